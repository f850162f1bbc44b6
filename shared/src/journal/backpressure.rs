//! Backpressure: readings are refused when the journal is at its bound, before the disk
//! is full.
//!
//! Measuring the journal takes a listing, too much for every request. A request that
//! lists it anyway, after its answer, sets a mark in the door (`door`) if the bound is
//! reached. So what arrives between two listings can exceed the bound. When the mark is
//! old, one request lists the journal again and folds after its answer: so refusals end
//! by themselves.
//!
//! The quarantine counts, too: it is in the same store.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::journal::door::{self, Changed, Door};
use crate::journal::inventory::Inventory;
use crate::limits;
use crate::settings::JournalBound;

/// Whether there is room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There is room.
    Open,
    /// There is none.
    Closed {
        /// Whether this request must fold: while no client reads, no other request
        /// would.
        should_fold: bool,
    },
}

/// Checks the mark, and lists the journal if the mark is old.
pub(crate) fn check<H: Host>(
    host: &H,
    store: &H::KeyValue,
    door: &Door,
    now: UnixMillis,
) -> Result<Admission, Error> {
    let Some(since) = door.full_since else { return Ok(Admission::Open) };
    let refused = Admission::Closed { should_fold: false };
    if is_fresh(since, now) {
        return Ok(refused);
    }
    // Of all requests that find it old, only the one that renews it lists the journal.
    let renewed = door::update(host, store, &|door| {
        if door.full_since == Some(since) {
            door.full_since = Some(now);
        }
    });
    if renewed.map_err(Error::Journal)?.is_none() {
        return Ok(refused);
    }
    let inventory = Inventory::list(host, store)?;
    if update(host, store, &inventory, inventory.unfolded(), now)? {
        return Ok(Admission::Closed { should_fold: true });
    }
    Ok(Admission::Open)
}

/// Sets or removes the mark, after a fold left this many of the entries in `inventory`.
/// Returns whether the bound is reached.
pub(crate) fn update<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
    left: usize,
    now: UnixMillis,
) -> Result<bool, Error> {
    let is_reached = is_reached(host, inventory, left)?;
    let changed = door::update(host, store, &|door| {
        // A mark set after this request read the clock stays, whatever this one found: the
        // other has listed more. If there is room by now, the next look at it says so.
        let younger = door.full_since.filter(|since| *since > now && is_fresh(*since, now));
        door.full_since = younger.or(is_reached.then_some(now));
    });
    if let Some(Changed { old, new }) = changed.map_err(Error::Journal)? {
        match (old.full_since, new.full_since) {
            (None, Some(_)) => host
                .log("the journal has reached its bound; readings are refused until it is folded"),
            (Some(_), None) => host.log("the journal has room again"),
            _ => {}
        }
    }
    Ok(is_reached)
}

fn is_reached(host: &impl Host, inventory: &Inventory, left: usize) -> Result<bool, Error> {
    let bound = JournalBound::from_variables(host)?;
    // What is left is assumed to have its share of the listed bytes.
    let share = inventory.journal_bytes() / inventory.unfolded().max(1);
    let bytes = share.saturating_mul(left).saturating_add(inventory.quarantined_bytes());
    let entries = left.saturating_add(inventory.quarantined().len());
    Ok(entries >= bound.entries || bytes >= bound.bytes)
}

/// Whether the mark is recent enough. To a request that read the clock before it was
/// set, it is in the future.
fn is_fresh(since: UnixMillis, now: UnixMillis) -> bool {
    let age_ms = now.get().saturating_sub(since.get());
    (-limits::REQUEST_MS_MAX..limits::JOURNAL_FULL_MS).contains(&age_ms)
}
