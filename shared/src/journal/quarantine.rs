//! The quarantine: acknowledged readings that can't be counted, kept where no fold
//! looks for them (`quarantine/1/<reason>/<name>`).

use crate::domain::reading::Reading;
use crate::domain::rejection::Rejections;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal::entry::{DecodeError, Entry};
use crate::journal::keys;
use crate::journal::name::EntryName;
use crate::journal::store::{delete, retried};

/// Why an entry is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// It can't be read.
    Unreadable,
    /// Its readings were older than the ledger when they were folded.
    TooOld,
    /// Its readings belong to a row of the database that can't be read.
    DamagedRow,
    /// Its readings are ahead of the node's clock, which is behind.
    AheadOfClock,
}

const _: () = assert!(QuarantineReason::ALL.len() == QuarantineReason::AheadOfClock as usize + 1);

impl QuarantineReason {
    /// All reasons.
    pub const ALL: [Self; 4] =
        [Self::Unreadable, Self::TooOld, Self::DamagedRow, Self::AheadOfClock];

    /// The reason's code in keys and answers.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooOld => "too_old",
            Self::DamagedRow => "damaged_row",
            Self::AheadOfClock => "ahead_of_clock",
        }
    }

    /// The reason in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Unreadable => "it can't be read",
            Self::TooOld => {
                "they are older than the ledger, and can't be told from duplicates any more"
            }
            Self::DamagedRow => "they belong to a row of the database that can't be read",
            Self::AheadOfClock => "they are ahead of the node's clock, which is behind",
        }
    }
}

/// An entry in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The entry's name.
    pub name: EntryName,
    /// Why it is there.
    pub reason: QuarantineReason,
}

impl Quarantined {
    /// The quarantined entry under `key`, if it is one.
    pub fn from_key(key: &str) -> Option<Self> {
        let (code, name) = key.strip_prefix(keys::QUARANTINE)?.split_once('/')?;
        let reason = QuarantineReason::ALL.into_iter().find(|reason| reason.code() == code)?;
        Some(Self { name: EntryName::parse(name)?, reason })
    }

    fn key(&self) -> String {
        format!("{}{}/{}", keys::QUARANTINE, self.reason.code(), self.name.as_str())
    }
}

/// An entry to put into quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    entry: Entry,
    reason: QuarantineReason,
    /// Why it can't be read, if that is the reason.
    cause: Option<DecodeError>,
}

impl Aside {
    /// An entry that can't be read.
    pub(crate) fn unreadable(entry: Entry, cause: DecodeError) -> Self {
        Self { entry, reason: QuarantineReason::Unreadable, cause: Some(cause) }
    }

    /// Readings of one entry, as an entry of their own. The same readings always get
    /// the same name. `None` without readings.
    pub(crate) fn of(readings: &[Reading<'_>], reason: QuarantineReason) -> Option<Self> {
        let entry = || Entry::encode(readings, &Rejections::default());
        (!readings.is_empty()).then(|| Self { entry: entry(), reason, cause: None })
    }

    fn quarantined(&self) -> Quarantined {
        Quarantined { name: self.entry.name.clone(), reason: self.reason }
    }
}

/// Puts the entry into quarantine, and logs it.
pub(crate) fn set_aside<H: Host>(
    host: &H,
    store: &H::KeyValue,
    aside: &Aside,
) -> Result<(), StoreError> {
    let key = aside.quarantined().key();
    retried(host, || store.set(&key, &aside.entry.value))?;
    let cause = aside.cause.map_or(String::new(), |cause| format!(": {cause}"));
    host.log(&format!(
        "quarantined {} readings as {}: {}{cause}",
        aside.entry.name.readings(),
        aside.entry.name.as_str(),
        aside.reason.words()
    ));
    Ok(())
}

/// Loads those of the quarantined entries that are still there.
pub(crate) fn load_quarantined<H: Host>(
    host: &H,
    store: &H::KeyValue,
    quarantined: &[Quarantined],
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::with_capacity(quarantined.len());
    for quarantined in quarantined {
        let key = quarantined.key();
        if let Some(value) = retried(host, || store.get(&key))? {
            entries.push(Entry { name: quarantined.name.clone(), value });
        }
    }
    Ok(entries)
}

/// Removes entries from quarantine, except those that were set aside again.
pub(crate) fn remove_quarantined<H: Host>(
    host: &H,
    store: &H::KeyValue,
    quarantined: &[Quarantined],
    again: &[Aside],
) -> Result<(), StoreError> {
    let again: Vec<String> = again.iter().map(|aside| aside.quarantined().key()).collect();
    let keys = quarantined.iter().map(Quarantined::key);
    let gone: Vec<String> = keys.filter(|key| !again.contains(key)).collect();
    delete(host, store, &gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantined_entry_is_known_by_its_key() {
        let name = Entry::encode(&[], &Rejections::default()).name().clone();
        for reason in QuarantineReason::ALL {
            let quarantined = Quarantined { name: name.clone(), reason };
            assert_eq!(Quarantined::from_key(&quarantined.key()), Some(quarantined));
        }
        assert_eq!(Quarantined::from_key("quarantine/1/lost/x"), None);
    }
}
