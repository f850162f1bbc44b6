//! Notes of what was rejected: counts of readings (`rejected/1`), and which they were
//! ([`recent`]). Both are written in one step, after the answer, and rarely ([`noted`]).

use crate::domain::reading::UnixMillis;
use crate::domain::rejection::{Reason, Rejections};
use crate::host::{Host, KeyValue, StoreError};
use crate::journal::keys;
use crate::journal::noted;
use crate::journal::recent::{self, Rejected};

/// What a request leaves to be noted.
#[derive(Debug, Default)]
pub struct Note {
    /// Readings that no entry of the journal counts.
    pub(crate) counted: Rejections,
    /// What was rejected, oldest first. `recent` sets the times.
    pub(crate) rejected: Vec<Rejected>,
}

/// Writes the note, if it is this request's turn.
pub(crate) fn note<H: Host>(
    host: &H,
    store: &H::KeyValue,
    note: &Note,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let counts: Vec<(&str, u64)> =
        note.counted.iter().map(|(reason, count)| (reason.code(), count)).collect();
    match noted::note(host, store, keys::REJECTED, counts.into_iter(), now)? {
        Some(times) => recent::add(store, &note.rejected, now, times),
        None => Ok(()),
    }
}

/// The counts.
pub(crate) fn counts(store: &impl KeyValue) -> Result<Rejections, StoreError> {
    let mut rejections = Rejections::default();
    for (name, count) in noted::load(store, keys::REJECTED)?.counts() {
        if let Some(reason) = Reason::ALL.into_iter().find(|reason| reason.code() == name) {
            rejections.add(reason, count);
        }
    }
    Ok(rejections)
}
