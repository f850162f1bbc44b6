//! The door: what a request must know about the node before it accepts a reading. One
//! key (`door/1`), one read.
//!
//! Folds update it after their work, if something changed. It is text, `name=value`
//! pairs with spaces between. A missing value is 0; names that this release does not
//! know are dropped on writing.
//!
//! Architecture invariant: a fold publishes here how far it is going to prune, and
//! prunes later (`fold::prune`). So no request accepts a reading from before what was
//! pruned: a duplicate of it could not be detected any more.

use crate::domain::reading::UnixMillis;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal;
use crate::journal::keys;
use crate::limits;

/// What a request must know before it accepts a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Duplicates of readings before this can't be detected any more, or soon can't be.
    pub pruned_before: UnixMillis,
    /// When that was published here.
    pub published: UnixMillis,
    /// When the newest counted reading was measured, to within
    /// `limits::DOOR_NEWEST_STEP_MS`.
    pub newest: UnixMillis,
    /// Since when the journal has been at its bound, if it is.
    pub full_since: Option<UnixMillis>,
    /// How far the journal has come from half of its bound (0) to all of it
    /// (`limits::JOURNAL_PRESSURE_MAX`): the further, the longer each request waits.
    pub pressure: u8,
    /// The number of regions, if that is the most there may be; otherwise 0.
    pub regions: usize,
    /// The number of devices, likewise.
    pub devices: usize,
    /// Whether the plausible limits of regions have to be read.
    pub has_plausible: bool,
    /// Whether a fold has ever written here what is in the database.
    pub is_told: bool,
}

impl Default for Door {
    /// The door of an empty node.
    fn default() -> Self {
        Self {
            pruned_before: UnixMillis::MIN,
            published: UnixMillis::MIN,
            newest: UnixMillis::MIN,
            full_since: None,
            pressure: 0,
            regions: 0,
            devices: 0,
            has_plausible: false,
            is_told: false,
        }
    }
}

impl Door {
    pub(crate) fn parse(value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let mut door = Self::default();
        for (name, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
            let instant = value.parse().ok().and_then(UnixMillis::new);
            match name {
                "pruned" => door.pruned_before = instant.unwrap_or(UnixMillis::MIN),
                "published" => door.published = instant.unwrap_or(UnixMillis::MIN),
                "newest" => door.newest = instant.unwrap_or(UnixMillis::MIN),
                "full" => door.full_since = instant,
                "pressure" => {
                    let level: u8 = value.parse().unwrap_or(0);
                    door.pressure = level.min(limits::JOURNAL_PRESSURE_MAX);
                }
                "regions" => door.regions = value.parse().unwrap_or(0),
                "devices" => door.devices = value.parse().unwrap_or(0),
                "plausible" => door.has_plausible = value == "1",
                "told" => door.is_told = value == "1",
                _ => {}
            }
        }
        door
    }

    fn to_text(self) -> String {
        let mut text = format!(
            "pruned={} published={} newest={} told={}",
            self.pruned_before.get(),
            self.published.get(),
            self.newest.get(),
            u8::from(self.is_told)
        );
        if self.has_plausible {
            text += " plausible=1";
        }
        if let Some(since) = self.full_since {
            text += &format!(" full={}", since.get());
        }
        if self.pressure > 0 {
            text += &format!(" pressure={}", self.pressure);
        }
        for (count, names) in [(self.regions, "regions"), (self.devices, "devices")] {
            if count > 0 {
                text += &format!(" {names}={count}");
            }
        }
        text
    }
}

/// Reads the stored door.
pub(crate) fn load<H: Host>(host: &H, store: &H::KeyValue) -> Result<Door, StoreError> {
    let value = journal::retried(host, || store.get(keys::DOOR))?;
    Ok(value.map_or_else(Door::default, |value| Door::parse(&value)))
}

/// How often to try while other requests change it.
const ATTEMPTS: usize = 8;

/// The door before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) old: Door,
    pub(crate) new: Door,
}

/// Changes the stored door. `None` if there was nothing to change, or if other requests
/// changed it during every attempt.
pub(crate) fn update<H: Host>(
    host: &H,
    store: &H::KeyValue,
    change: &dyn Fn(&mut Door),
) -> Result<Option<Changed>, StoreError> {
    for _ in 0..ATTEMPTS {
        let stored = journal::retried(host, || store.get(keys::DOOR))?;
        let old = stored.as_deref().map_or_else(Door::default, Door::parse);
        let mut new = old;
        change(&mut new);
        if new == old {
            return Ok(None);
        }
        let written = new.to_text().into_bytes();
        if journal::retried(host, || store.replace(keys::DOOR, stored.as_deref(), &written))? {
            return Ok(Some(Changed { old, new }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_what_is_not_known_is_left_out() {
        let at = |ms| UnixMillis::new(ms).unwrap();
        let door = Door {
            pruned_before: at(60_000),
            published: at(1_700_000_000_000),
            newest: at(1_700_000_000_001),
            full_since: Some(at(5)),
            pressure: 3,
            regions: 7,
            devices: 0,
            has_plausible: false,
            is_told: true,
        };
        let with_limits = Door { has_plausible: true, ..door };
        for door in [Door::default(), door, Door { devices: 9, ..door }, with_limits] {
            assert_eq!(Door::parse(door.to_text().as_bytes()), door);
        }
        let newer = format!("{} later=7 x", door.to_text());
        assert_eq!(Door::parse(newer.as_bytes()), door);
        for bad in [&b""[..], b"\xff", b"pruned=-1 newest=x full=", b"=== "] {
            assert_eq!(Door::parse(bad), Door::default(), "{bad:?}");
        }
    }
}
