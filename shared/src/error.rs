//! What can go wrong beyond a single reading, and who must act. `http::Problem::of` is
//! the one table from here to HTTP.

use std::fmt;

use crate::host::{StoreError, StoreErrorKind};
use crate::limits;

/// Why the application could not do what a request asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The key-value store that holds the journal failed.
    Journal(StoreError),
    /// The database that holds ledger and windows failed.
    Regions(StoreError),
    /// The database that holds ledger and windows responds too slowly.
    Unresponsive {
        /// How long it took to be opened, in milliseconds.
        elapsed_ms: u64,
    },
    /// The database was written by a newer release than this one.
    SchemaTooNew {
        /// The schema version found there.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// The database holds something that no release wrote.
    Corrupt(&'static str),
    /// Rows of the database that can't be read, at least one. Other rows can.
    DamagedRows(Vec<DamagedRow>),
    /// The request asks for more than an answer can be made of.
    TooMuch {
        /// What to ask for instead.
        narrow: &'static str,
    },
    /// Not found, but acknowledged readings wait to be counted or could not be looked
    /// at, and it may be among them.
    NotCountedYet,
    /// The node's clock is behind the readings that it has counted.
    ClockNotSet,
    /// The regions database failed several times in a row, and the circuit breaker is
    /// open.
    CircuitOpen {
        /// When to ask again, in milliseconds, at least 1.
        retry_after_ms: i64,
    },
    /// The work was not done within its time budget.
    TooSlow,
    /// The journal is at its bound.
    JournalFull,
    /// A file that is mounted with the component can't be read.
    Assets(StoreError),
    /// The provider of configuration variables failed.
    Variables(StoreError),
    /// The runtime gives no random bits.
    Random(StoreError),
    /// A configuration variable can't be read.
    Misconfigured {
        /// The variable's name.
        variable: &'static str,
        /// What is wrong with it.
        cause: String,
    },
}

/// Which row of the database can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// The table.
    pub table: &'static str,
    /// The columns that identify the row, with their values.
    pub key: Vec<(&'static str, i64)>,
}

/// `ledger minute=28333333 first=0`.
impl fmt::Display for DamagedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table)?;
        self.key.iter().try_for_each(|(column, value)| write!(f, " {column}={value}"))
    }
}

/// Ignores an error that breaks no promise to a caller. Each call says why.
pub fn best_effort<T, E>(done: Result<T, E>) -> Option<T> {
    done.ok()
}

impl Error {
    /// Whether another connection merely held a lock.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Regions(e) | Self::Journal(e) if e.kind == StoreErrorKind::Busy)
    }

    /// Whether the regions database is damaged, which retrying does not mend.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Regions(error) => error.kind == StoreErrorKind::Damaged,
            Self::Corrupt(_) => true,
            _ => false,
        }
    }

    /// Whether the regions database could not answer, as opposed to answering with an
    /// error.
    pub(crate) fn is_away(&self) -> bool {
        !matches!(self, Self::DamagedRows(_) | Self::TooMuch { .. } | Self::Misconfigured { .. })
            && !matches!(self, Self::Regions(e) if e.kind == StoreErrorKind::TooLarge)
    }

    /// Whether it belongs in the operator's log, not only in the answer.
    pub(crate) fn is_the_nodes(&self) -> bool {
        !matches!(self, Self::TooMuch { .. } | Self::NotCountedYet)
    }

    /// Whether to stop calling the regions database for a while. A lock, a damaged row
    /// or an answer that is too large is no reason to.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Regions(error) => {
                !matches!(error.kind, StoreErrorKind::Busy | StoreErrorKind::TooLarge)
            }
            Self::Unresponsive { .. } | Self::SchemaTooNew { .. } | Self::Corrupt(_) => true,
            _ => false,
        }
    }
}

/// For the operator's log.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => write!(f, "journal (key-value store): {error}"),
            Self::Regions(error) => {
                write!(f, "regions database (SQLite): {error}")?;
                if error.kind == StoreErrorKind::Damaged {
                    // A component can't move a file.
                    f.write_str(
                        "; the operator must move its file aside: a new one is made, \
                         and takes what is in the journal",
                    )?;
                }
                Ok(())
            }
            Self::Unresponsive { elapsed_ms } => {
                write!(f, "regions database (SQLite): took {elapsed_ms} ms to be opened")
            }
            Self::SchemaTooNew { found, known } => write!(
                f,
                "regions database has schema version {found}, this release knows up to {known}: \
                 deploy the newer release"
            ),
            Self::Corrupt(part) => write!(f, "regions database: impossible {part}"),
            Self::DamagedRows(rows) => {
                f.write_str("regions database: what can't be read:")?;
                for row in rows.iter().take(limits::DAMAGED_ROWS_LOGGED_MAX) {
                    write!(f, " {row},")?;
                }
                write!(
                    f,
                    " {} in all; the operator must restore them from a backup, or delete them",
                    rows.len()
                )
            }
            Self::TooMuch { narrow } => write!(f, "more was asked for than is answered; {narrow}"),
            Self::NotCountedYet => {
                f.write_str("not found among what is counted, and not all is counted yet")
            }
            Self::ClockNotSet => f.write_str(
                "the node's clock is behind the readings that it has counted; the operator must \
                 set it",
            ),
            Self::CircuitOpen { retry_after_ms } => {
                write!(f, "regions database: circuit open for another {retry_after_ms} ms")
            }
            Self::TooSlow => f.write_str("not done in the time given"),
            Self::JournalFull => f.write_str("the journal has reached its bound"),
            Self::Assets(error) => write!(f, "files mounted with the component: {error}"),
            Self::Random(error) => write!(f, "random bits: {error}"),
            Self::Variables(error) => write!(f, "variables: {error}"),
            Self::Misconfigured { variable, cause } => write!(f, "variable {variable}: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
