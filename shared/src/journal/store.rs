//! Appends, loads and removes entries in the key-value store.

use crate::base::distinct::Distinct;
use crate::host::{Host, KeyValue, StoreError, StoreErrorKind};
use crate::journal::entry::Entry;
use crate::journal::name::EntryName;
use crate::limits;
use crate::resilience::retry::{self, Policy};

/// For key-value calls: all of them may be repeated.
const RETRIES: Policy = Policy {
    base_ms: 5,
    cap_ms: 100,
    impatient_after_ms: limits::JOURNAL_RETRY_MS_MAX,
    total_ms: limits::JOURNAL_RETRY_MS_MAX,
    attempts: 4,
};

/// Makes `entry` durable: when this returns, its readings are on disk.
pub fn append<H: Host>(host: &H, store: &H::KeyValue, entry: &Entry) -> Result<(), StoreError> {
    let (key, value) = entry.as_pair();
    retried(host, || store.set(&key, value))
}

/// Loads those of the named entries that are still there, in any order.
pub fn load<H: Host>(
    host: &H,
    store: &H::KeyValue,
    names: &[EntryName],
) -> Result<Vec<Entry>, StoreError> {
    let keys: Vec<String> = names.iter().map(EntryName::journal_key).collect();
    let pairs = retried(host, || store.get_many(&keys))?;
    let entry = |(key, value): (String, Option<Vec<u8>>)| {
        Some(Entry { name: EntryName::from_key(&key)?, value: value? })
    };
    Ok(pairs.into_iter().filter_map(entry).collect())
}

/// Of each key, whether it is there. One listing tells it of all.
pub(crate) fn are_there<H: Host>(
    host: &H,
    store: &H::KeyValue,
    keys: &[String],
) -> Result<Vec<bool>, StoreError> {
    let listed = retried(host, || store.keys())?;
    let all: Vec<&str> = listed.iter().chain(keys).map(String::as_str).collect();
    // One that is listed has its place among those.
    let places = Distinct::of(all.into_iter()).places;
    Ok(places.into_iter().skip(listed.len()).map(|place| place < listed.len()).collect())
}

/// Removes the named entries; absent ones are no error.
pub fn remove<H: Host>(
    host: &H,
    store: &H::KeyValue,
    names: &[EntryName],
) -> Result<(), StoreError> {
    let keys: Vec<String> = names.iter().map(EntryName::journal_key).collect();
    delete(host, store, &keys)
}

/// Removes `keys`, if there are any: another request may have done all the work.
pub(crate) fn delete<H: Host>(
    host: &H,
    store: &H::KeyValue,
    keys: &[String],
) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    retried(host, || store.delete_many(keys))
}

/// Repeats a key-value call that a pause may mend. A pause does not mend a denied or a
/// full store.
pub(crate) fn retried<T>(
    host: &impl Host,
    call: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let is_transient =
        |error: &StoreError| !matches!(error.kind, StoreErrorKind::Denied | StoreErrorKind::Full);
    retry::run(host, RETRIES, is_transient, call)
}
