//! How often ingest keys are used. A key stands in logs, so one that leaked must not fill the
//! node with what is sent by it.
//!
//! The value is text: the minute since 1970, and how many requests came in it. One request in
//! `limits::KEY_USES_PER_NOTE` writes, after its answer and for all of them, so the bound is
//! kept in expectation. It is best effort: while the store fails, requests are let through.

use crate::domain::reading::UnixMillis;
use crate::error::best_effort;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal::keys;
use crate::limits;

fn key(id: &str) -> String {
    format!("{}{id}", keys::KEY_RATE)
}

/// The minute and the count.
fn parse(value: Option<Vec<u8>>) -> Option<(i64, u64)> {
    let text = String::from_utf8(value?).ok()?;
    let (minute, count) = text.split_once(' ')?;
    Some((minute.parse().ok()?, count.parse().ok()?))
}

/// How many requests came by the key in this minute, as far as is known.
fn used(value: Option<Vec<u8>>, now: UnixMillis) -> u64 {
    parse(value).filter(|(minute, _)| *minute == now.minute()).map_or(0, |(_, count)| count)
}

/// Whether another request by the key with this id is allowed.
pub(crate) fn is_within(host: &impl Host, id: &str, now: UnixMillis) -> bool {
    let value = host.key_value().and_then(|store| store.get(&key(id)));
    used(best_effort(value).flatten(), now) < limits::KEY_USES_PER_MINUTE_MAX
}

/// Counts a request by the key.
pub(crate) fn note(host: &impl Host, id: &str, now: UnixMillis) -> Result<(), StoreError> {
    if !host.random().is_multiple_of(limits::KEY_USES_PER_NOTE) {
        return Ok(());
    }
    let (store, key) = (host.key_value()?, key(id));
    let stored = store.get(&key)?;
    let count = used(stored.clone(), now).saturating_add(limits::KEY_USES_PER_NOTE);
    let new = format!("{} {count}", now.minute());
    // Of two at once, one may be lost.
    store.replace(&key, stored.as_deref(), new.as_bytes()).map(|_was_stored| ())
}
