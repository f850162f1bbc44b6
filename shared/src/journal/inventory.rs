//! What is in the key-value store, from one listing of its keys.
//!
//! The keys alone answer what a request usually needs to know: how long the journal is,
//! what is in quarantine, whether the circuit breaker has a state, how old the last
//! good snapshot is.

use crate::base::sort;
use crate::error::Error;
use crate::host::{Host, KeyValue};
use crate::journal::keys::{self, SnapshotName};
use crate::journal::{self, EntryName, Quarantined};

/// A listing, sorted by what the keys mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The journal's entries, in the order of the times of their readings, so a fold
    /// touches each part of the ledger once.
    entries: Vec<EntryName>,
    /// Journal keys of a newer release, which this one can't read. They wait for it.
    foreign_entries: usize,
    /// The keys of the corrections that are not folded.
    corrections: Vec<String>,
    /// What is in quarantine.
    quarantined: Vec<Quarantined>,
    /// Whether a state of the circuit breaker is stored.
    has_breaker: bool,
    /// The names of the rows of the regions database that can't be read.
    damaged_rows: Vec<String>,
    /// The snapshots: one, except while it is replaced.
    snapshots: Vec<SnapshotName>,
}

impl Inventory {
    /// Lists the store.
    pub fn list<H: Host>(host: &H, store: &H::KeyValue) -> Result<Self, Error> {
        let keys = journal::retried(host, || store.keys()).map_err(Error::Journal)?;
        let mut inventory = Self::default();
        for key in &keys {
            inventory.sort_in(key);
        }
        sort::sort_by_key(&mut inventory.entries, |name| u128::from(name.base_ms()));
        Ok(inventory)
    }

    fn sort_in(&mut self, key: &str) {
        if let Some(name) = EntryName::from_key(key) {
            self.entries.push(name);
        } else if key.starts_with(keys::ANY_ENTRY) {
            self.foreign_entries += 1;
        } else if key.starts_with(keys::CORRECTION) {
            self.corrections.push(key.to_owned());
        } else if let Some(quarantined) = Quarantined::from_key(key) {
            self.quarantined.push(quarantined);
        } else if let Some(name) = SnapshotName::from_key(key) {
            self.snapshots.push(name);
        } else if key == keys::BREAKER {
            self.has_breaker = true;
        } else if let Some(row) = key.strip_prefix(keys::DAMAGED_ROW) {
            self.damaged_rows.push(row.to_owned());
        }
    }

    /// The journal's entries, in the order of the times of their readings.
    pub(crate) fn entries(&self) -> &[EntryName] {
        &self.entries
    }

    /// The keys of the corrections that are not folded.
    pub(crate) fn corrections(&self) -> &[String] {
        &self.corrections
    }

    /// What is in quarantine.
    pub(crate) fn quarantined(&self) -> &[Quarantined] {
        &self.quarantined
    }

    /// Whether the breaker has a state worth reading.
    pub(crate) fn has_breaker(&self) -> bool {
        self.has_breaker
    }

    /// The rows of the regions database that can't be read, by their names.
    pub(crate) fn damaged_rows(&self) -> &[String] {
        &self.damaged_rows
    }

    /// The same as if no row were known to be damaged.
    pub(crate) fn without_damaged_rows(self) -> Self {
        Self { damaged_rows: Vec::new(), ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_damaged_row(mut self, row: &str) -> Self {
        self.damaged_rows.push(row.to_owned());
        self
    }

    /// The number of acknowledged entries and corrections that wait to be folded.
    pub fn unfolded(&self) -> usize {
        self.entries.len() + self.foreign_entries + self.corrections.len()
    }

    /// The snapshots; one but for a moment.
    pub fn snapshots(&self) -> &[SnapshotName] {
        &self.snapshots
    }

    /// The newest snapshot.
    pub fn newest_snapshot(&self) -> Option<&SnapshotName> {
        self.snapshots.iter().max_by_key(|name| name.as_of())
    }

    /// The number of readings in the journal.
    pub fn journal_readings(&self) -> usize {
        self.entries.iter().map(EntryName::readings).fold(0, usize::saturating_add)
    }

    /// The size of the journal's values, in bytes.
    pub fn journal_bytes(&self) -> usize {
        self.entries.iter().map(EntryName::bytes).fold(0, usize::saturating_add)
    }

    /// The number of readings in quarantine.
    pub fn quarantined_readings(&self) -> usize {
        self.quarantined
            .iter()
            .map(|quarantined| quarantined.name.readings())
            .fold(0, usize::saturating_add)
    }

    /// The size of the values in quarantine, in bytes.
    pub fn quarantined_bytes(&self) -> usize {
        let bytes = self.quarantined.iter().map(|quarantined| quarantined.name.bytes());
        bytes.fold(0, usize::saturating_add)
    }
}
