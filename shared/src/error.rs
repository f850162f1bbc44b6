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
    /// The database was written by a newer release than this one.
    SchemaTooNew {
        /// The schema version found there.
        found: i64,
        /// The newest that this release knows.
        known: i64,
    },
    /// The database holds something that no release wrote.
    Corrupt(&'static str),
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

    pub(crate) fn variable(variable: &'static str) -> impl FnOnce(StoreError) -> Self {
        move |error| Self::Misconfigured { variable, cause: error.message }
    }
}

/// For the operator's log.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => write!(f, "journal (key-value store): {error}"),
            Self::Regions(error) => write!(f, "regions database (SQLite): {error}"),
            Self::SchemaTooNew { found, known } => write!(
                f,
                "regions database has schema version {found}, this release knows up to {known}: \
                 deploy the newer release"
            ),
            Self::Corrupt(part) => write!(f, "regions database: impossible {part}"),
            Self::Misconfigured { variable, cause } => write!(f, "variable {variable}: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
