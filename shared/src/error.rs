//! What can go wrong beyond a single request, and whose turn it then is.
//! The one table from here to HTTP is `http::Problem::from`.

use std::fmt;

use crate::host::{StoreError, StoreErrorKind};

/// Why the application could not do what a request asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The key-value store that holds the journal failed.
    Journal(StoreError),
    /// The database that holds ledger and windows failed.
    Regions(StoreError),
    /// The database that holds ledger and windows takes too long for anything.
    Unresponsive {
        /// How long it took to be opened, in milliseconds.
        elapsed_ms: u64,
    },
    /// The database was written by a newer release than this one.
    SchemaTooNew {
        /// The schema version found there.
        found: i64,
        /// The newest that this release knows.
        known: i64,
    },
    /// The database holds something that no release wrote.
    Corrupt(&'static str),
    /// The regions database failed several times and is being spared.
    Spared {
        /// When to ask again, in milliseconds, at least 1.
        retry_after_ms: i64,
    },
    /// The work could not be done in the time that it was given.
    TooSlow,
    /// The journal has reached its bound.
    JournalFull,
    /// The provider of configuration variables failed.
    Variables(StoreError),
    /// A configuration variable can't be read.
    Misconfigured {
        /// The variable's name.
        variable: &'static str,
        /// What is wrong with it.
        cause: String,
    },
}

impl Error {
    /// Whether somebody else merely held a lock.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Regions(e) | Self::Journal(e) if e.kind == StoreErrorKind::Busy)
    }

    /// Whether the regions database is damaged, which no waiting mends.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Regions(error) => error.kind == StoreErrorKind::Damaged,
            Self::Corrupt(_) => true,
            _ => false,
        }
    }

    /// Whether this speaks against asking the regions database again soon.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Regions(error) => error.kind != StoreErrorKind::Busy,
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
            Self::Spared { retry_after_ms } => {
                write!(f, "regions database: spared for another {retry_after_ms} ms")
            }
            Self::TooSlow => f.write_str("not done in the time given"),
            Self::JournalFull => f.write_str("the journal has reached its bound"),
            Self::Variables(error) => write!(f, "variables: {error}"),
            Self::Misconfigured { variable, cause } => write!(f, "variable {variable}: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
