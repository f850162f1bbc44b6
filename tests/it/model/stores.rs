//! Which readings are where, read from a node's files.

use std::collections::BTreeSet;

use isotherm::host::{Host, KeyValue};
use isotherm::internals::journal::{self, EntryName};
use isotherm_stores::native::NativeHost;

use super::story::millicelsius;
use crate::support::node::scratch;
use crate::support::readings::{HOUR, NOW};
use crate::support::tables::ledger_of;

/// The readings in entries under this prefix, by their ids, with their temperatures.
fn entries(host: &NativeHost, prefix: &str) -> Vec<(usize, i64)> {
    let store = host.key_value().unwrap();
    let mut found = Vec::new();
    for key in KeyValue::keys(&store).unwrap() {
        let Some(name) = key.strip_prefix(prefix) else { continue };
        // As it would be in the journal.
        let value = KeyValue::get(&store, &key).unwrap().unwrap();
        let other = scratch();
        let reader = NativeHost::new(other.path(), &[]).unwrap();
        let journal = reader.key_value().unwrap();
        let back = format!("journal/3/{name}");
        KeyValue::set(&journal, &back, &value).unwrap();
        let name = EntryName::from_key(&back).unwrap();
        for entry in journal::load(&reader, &journal, std::slice::from_ref(&name)).unwrap() {
            for reading in entry.decode().unwrap().readings {
                let id = id(reading.device_id.as_str(), reading.timestamp.get());
                found.push((id, i64::from(reading.temperature.get())));
            }
        }
    }
    found
}

/// The id of a device's reading at this time.
fn id(device: &str, ms: i64) -> usize {
    let slot = (ms - NOW) / (6 * HOUR);
    usize::try_from(slot).unwrap() * 4 + device[1..].parse::<usize>().unwrap()
}

/// The readings that the ledger has.
pub(super) fn in_the_ledger(host: &NativeHost) -> BTreeSet<usize> {
    ledger_of(host).iter().map(|stored| id(&stored.device, stored.at)).collect()
}

/// Those that were measured so, by their ids.
fn measured(host: &NativeHost, prefix: &str) -> BTreeSet<usize> {
    let all = entries(host, prefix).into_iter();
    all.filter(|(id, temperature)| *temperature == millicelsius(*id)).map(|(id, _)| id).collect()
}

/// The readings that wait in the journal.
pub(super) fn waiting(host: &NativeHost) -> BTreeSet<usize> {
    measured(host, "journal/3/")
}

/// The readings in quarantine.
pub(super) struct InQuarantine {
    pub(super) too_old: BTreeSet<usize>,
    pub(super) ahead_of_clock: BTreeSet<usize>,
}

impl InQuarantine {
    pub(super) fn all(&self) -> BTreeSet<usize> {
        &self.too_old | &self.ahead_of_clock
    }
}

const TOO_OLD: &str = "quarantine/1/too_old/";
pub(crate) const AHEAD_OF_CLOCK: &str = "quarantine/1/ahead_of_clock/";

pub(super) fn quarantined(host: &NativeHost) -> InQuarantine {
    InQuarantine {
        too_old: measured(host, TOO_OLD),
        ahead_of_clock: measured(host, AHEAD_OF_CLOCK),
    }
}

/// The readings of all entries in quarantine, as often as they are there.
pub(crate) fn quarantined_entries(host: &NativeHost) -> Vec<(usize, i64)> {
    [TOO_OLD, AHEAD_OF_CLOCK].iter().flat_map(|prefix| entries(host, prefix)).collect()
}

/// How many readings wait that contradict what was measured.
pub(super) fn contradictions(host: &NativeHost) -> usize {
    ["journal/3/", TOO_OLD, AHEAD_OF_CLOCK]
        .iter()
        .flat_map(|prefix| entries(host, prefix))
        .filter(|(id, temperature)| *temperature != millicelsius(*id))
        .count()
}
