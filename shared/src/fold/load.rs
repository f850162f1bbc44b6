//! How a step gets its entries, and how large it is.
//!
//! Above a file, entries are read under the write lock: it is free or taken at once, and one
//! call reads them all.
//!
//! Above a server, the lock may be waited for, each statement is a request, and a transaction
//! that others wait for is ended after a while. The journal is then most likely a server, too,
//! and Spin's Redis reads one entry a call. So entries are read before the transaction begins,
//! which holds the lock for its statements alone. Another fold may have posted them meanwhile:
//! if the tally of folded entries has changed, those that are gone from the journal are left
//! out. (An entry that is posted but not removed yet is posted again, without effect, as it is
//! after a crash.) What is in quarantine is read under the lock there, too: all of a step leaves
//! it, so nothing of that may be left out.

use crate::error::Error;
use crate::host::{Host, StoreError};
use crate::journal::{self, Entry, EntryName};
use crate::ledger;
use crate::ledger::database::Database;
use crate::limits;

/// How large a step is.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) readings: usize,
    pub(super) bytes: usize,
}

impl Bounds {
    pub(super) fn of<H: Host>(database: &Database<'_, H>) -> Self {
        let part = if database.is_server() { limits::FOLD_STEP_PARTS_ON_A_SERVER } else { 1 };
        Self {
            entries: limits::ENTRIES_PER_FOLD_STEP_MAX / part,
            readings: limits::READINGS_PER_FOLD_STEP / part,
            bytes: limits::BYTES_PER_FOLD_STEP / part,
        }
    }
}

/// The entries of one step.
pub(super) struct Load<'a> {
    /// Reads those that are still there, in any order.
    pub(super) entries: &'a dyn Fn() -> Result<Vec<Entry>, StoreError>,
    /// The key of an entry. `None` if they are to be read under the lock.
    pub(super) key: Option<KeyOf<'a>>,
}

/// The key of an entry by its name.
type KeyOf<'a> = &'a dyn Fn(&EntryName) -> String;

/// Entries that were read before the lock was taken.
pub(super) struct Early {
    entries: Vec<Entry>,
    /// Their keys, in the same order.
    keys: Vec<String>,
    /// How many entries had been folded by then.
    folded: i64,
}

impl Load<'_> {
    /// Reads them now, above a server.
    pub(super) fn early<H: Host>(
        &self,
        database: &Database<'_, H>,
    ) -> Result<Option<Early>, Error> {
        let Some(key) = self.key.filter(|_| database.is_server()) else { return Ok(None) };
        let folded = database.read(|sql| ledger::tally(sql, ledger::ENTRIES))?;
        let entries = (self.entries)().map_err(Error::Journal)?;
        let keys = entries.iter().map(|entry| key(entry.name())).collect();
        Ok(Some(Early { entries, keys, folded }))
    }

    /// Those that are to be posted. The caller has the lock.
    pub(super) fn under_lock<H: Host>(
        &self,
        host: &H,
        sql: &H::Sql,
        journal: &H::KeyValue,
        early: Option<&Early>,
    ) -> Result<Vec<Entry>, Error> {
        let Some(Early { entries, keys, folded }) = early else {
            return (self.entries)().map_err(Error::Journal);
        };
        let mut entries = entries.clone();
        if ledger::tally(sql, ledger::ENTRIES)? != *folded {
            let are_there = journal::are_there(host, journal, keys).map_err(Error::Journal)?;
            let mut are_there = are_there.into_iter();
            entries.retain(|_| are_there.next() == Some(true));
        }
        Ok(entries)
    }
}
