//! The stores, and how they and their copies are opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::failure::{Failure, Kind};

/// How long a store may be locked.
const LOCKED_FOR_MAX: Duration = Duration::from_secs(30);

/// The files of the two stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stores {
    journal: PathBuf,
    regions: PathBuf,
}

/// Which of the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Journal,
    Regions,
}

impl Which {
    /// The journal first: a reading leaves it once the database has it. So what the journal's copy
    /// lacks because it was counted, that of the database has.
    pub(crate) const BOTH: [Self; 2] = [Self::Journal, Self::Regions];

    /// The name of its copy.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Journal => "journal.db",
            Self::Regions => "regions.db",
        }
    }
}

impl Stores {
    /// The two files. They need not be there yet.
    ///
    /// # Errors
    ///
    /// One file for both, or a path that can't be made absolute.
    pub fn new(journal: &Path, regions: &Path) -> Result<Self, Failure> {
        let stores = Self { journal: resolved(journal)?, regions: resolved(regions)? };
        if stores.journal == stores.regions {
            let journal = stores.journal.display();
            let said = format!("journal and regions are one file: {journal}");
            return Err(Failure::new(Kind::Arguments, said));
        }
        Ok(stores)
    }

    /// Whether both files are there. A node makes them when it needs them first.
    pub fn are_there(&self) -> bool {
        self.journal.is_file() && self.regions.is_file()
    }

    pub(crate) fn file(&self, which: Which) -> &Path {
        match which {
            Which::Journal => &self.journal,
            Which::Regions => &self.regions,
        }
    }
}

/// A store may be a link to another disk, and its -wal is beside the file itself.
fn resolved(path: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::new(Kind::Arguments, format!("{}: {error}", path.display())))?;
    Ok(std::fs::canonicalize(&absolute).unwrap_or(absolute))
}

/// Opens a store that a service may use. It is not made if it is missing.
pub(crate) fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(LOCKED_FOR_MAX)?;
    Ok(connection)
}

/// Opens a copy that nobody writes to. No file is made beside it.
pub(crate) fn open_copy(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let escaped = file.display().to_string();
    let escaped = escaped.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}

/// The one value of a query.
pub(crate) fn number(connection: &Connection, query: &str) -> rusqlite::Result<i64> {
    connection.query_row(query, [], |row| row.get(0))
}
