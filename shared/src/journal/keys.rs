//! All keys of the key-value store, with their versions. A new release can read what an
//! old one wrote, and leaves alone what it does not know.
//!
//! | key | value |
//! | --- | --- |
//! | `journal/3/<name>` | an entry ([`crate::journal`]); in older releases, `journal/2/<name>` and `journal/1/<name>` |
//! | `quarantine/1/<reason>/<name>` | an entry that could not be folded |
//! | `correction/1/<hash>` | a correction that is not folded ([`crate::journal::corrections`]) |
//! | `damaged-correction/1/<hash>` | one that can't be read |
//! | `breaker/1/regions` | the state of the circuit breaker, if it is not new |
//! | `door/1` | the door ([`crate::journal::door`]) |
//! | `plausible/1` | what temperatures are plausible ([`crate::journal::plausible`]) |
//! | `rejected/1` | how many readings were rejected in requests that left no entry |
//! | `rejections/1` | the last rejected items ([`crate::journal::recent`]) |
//! | `token/1/<id>` | what is kept of a token ([`crate::journal::tokens`]) |
//! | `token-use/1/<id>` | the hour in which a token was last used, Unix milliseconds |
//! | `auth/1` | how many requests were not allowed, by why ([`crate::journal::noted`]) |
//! | `damaged/1/<row>` | a row of the regions database that can't be read |
//! | `events/1` | when each open stream of events ends at the latest |
//! | `source/1/<source>` | the mapping of a source ([`crate::journal::sources`]) |
//! | `source-devices/1/<source>` | its table of devices, or the head of it |
//! | `source-devices/1/<source>/<table>-<part>` | a part of a large table |
//! | `source-counts/1/<source>` | how much it sent that was not counted, by why |
//! | `source-left/1/<source>` | its unknown devices, and its last refused messages |
//! | `key-rate/1/<id>` | how often an ingest key was used in this minute |
//! | `lags/1` | devices that are late by the same whole quarter hours ([`crate::journal::lags`]) |
//! | `snapshot/2/<as of>-<folds>` | last good averages; in older releases, `snapshot/1/<as of>` |
//!
//! Older releases also have `full/1`, which means nothing any more.

use crate::domain::reading::UnixMillis;
pub(crate) use crate::resilience::circuit::BREAKER_KEY as BREAKER;

/// The prefix of an entry's name.
pub(crate) const ENTRY: &str = "journal/3/";
/// The same in older releases, whose names have another hash.
pub(crate) const ENTRY_OF_SHA256: &str = "journal/2/";
/// The same in releases before, whose names have no base, too.
pub(crate) const ENTRY_WITHOUT_BASE: &str = "journal/1/";
/// The prefix of entries of any release.
pub(crate) const ANY_ENTRY: &str = "journal/";
/// The prefix of the reason and the name of an entry in quarantine.
pub(crate) const QUARANTINE: &str = "quarantine/1/";
/// The prefix of the hash of a correction.
pub(crate) const CORRECTION: &str = "correction/1/";
/// The same of one that can't be read.
pub(crate) const DAMAGED_CORRECTION: &str = "damaged-correction/1/";
/// The key of the door.
pub const DOOR: &str = "door/1";
/// The key of what temperatures are plausible.
pub const PLAUSIBLE: &str = "plausible/1";
/// The key of the counts of readings rejected in requests that left no entry.
pub const REJECTED: &str = "rejected/1";
/// The key of the last rejected items.
pub const REJECTIONS: &str = "rejections/1";
/// The prefix of the id of a token.
pub(crate) const TOKEN: &str = "token/1/";
/// The same of its last use.
pub(crate) const TOKEN_USE: &str = "token-use/1/";
/// The key that says that a token was ever stored: it has the line of the last one.
pub(crate) const HAS_TOKENS: &str = "tokens/1";
/// The key of the counts of requests that were not allowed.
pub const AUTH: &str = "auth/1";
/// The prefix of the name of a row that can't be read.
pub(crate) const DAMAGED_ROW: &str = "damaged/1/";
/// The key of the times when the open streams of events end.
pub(crate) const EVENTS: &str = "events/1";
/// The prefix of the name of a source, for its mapping.
pub(crate) const SOURCE: &str = "source/1/";
/// The same for its table of devices.
pub(crate) const SOURCE_DEVICES: &str = "source-devices/1/";
/// The same for the counts of what was not counted.
pub(crate) const SOURCE_COUNTS: &str = "source-counts/1/";
/// The same for its unknown devices and refused messages.
pub(crate) const SOURCE_LEFT: &str = "source-left/1/";
/// The prefix of the id of an ingest key.
pub(crate) const KEY_RATE: &str = "key-rate/1/";
/// The key of the devices that are late by the same whole quarter hours.
pub(crate) const LAGS: &str = "lags/1";
const SNAPSHOT: &str = "snapshot/2/";
const SNAPSHOT_WITHOUT_FOLDS: &str = "snapshot/1/";

/// A snapshot's name, from its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotName {
    pub(crate) as_of: UnixMillis,
    /// `None` in keys of older releases.
    pub(crate) folds: Option<i64>,
}

impl SnapshotName {
    /// The snapshot under `key`, if it is one.
    pub fn from_key(key: &str) -> Option<Self> {
        let (as_of, folds) = match key.strip_prefix(SNAPSHOT) {
            Some(name) => {
                let (as_of, folds) = name.split_once('-')?;
                (as_of, Some(folds.parse().ok()?))
            }
            None => (key.strip_prefix(SNAPSHOT_WITHOUT_FOLDS)?, None),
        };
        Some(Self { as_of: UnixMillis::new(as_of.parse().ok()?)?, folds })
    }

    /// When its averages were current.
    pub(crate) fn as_of(&self) -> UnixMillis {
        self.as_of
    }

    pub(crate) fn key(&self) -> String {
        match self.folds {
            Some(folds) => format!("{SNAPSHOT}{:013}-{folds}", self.as_of.get()),
            None => format!("{SNAPSHOT_WITHOUT_FOLDS}{:013}", self.as_of.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_known_by_its_key_and_an_older_release_s_too() {
        let as_of = UnixMillis::new(1_700_000_000_000).unwrap();
        for folds in [Some(0), Some(12), None] {
            let name = SnapshotName { as_of, folds };
            assert_eq!(SnapshotName::from_key(&name.key()), Some(name));
        }
        for other in ["snapshot/2/1700000000000", "snapshot/2/x-1", "snapshot/3/1-1", "x"] {
            assert_eq!(SnapshotName::from_key(other), None, "{other}");
        }
    }
}
