//! The journal's bound: readings are refused before the disk is full.
//!
//! To know the journal's length takes a listing, which is too much for every
//! request. A request that lists it anyway, after its answer, leaves a mark in what
//! the door knows (`door`) where the bound is reached. So the bound can be exceeded by
//! what arrives between two listings. A mark that has become old is looked into, by
//! one request, which folds after its answer: so refusals end by themselves.
//!
//! What is in quarantine takes room, too: it is in the same store.

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
        /// Whether it is this request's turn to fold: where nobody reads,
        /// nobody else would.
        should_fold: bool,
    },
}

/// Looks at the mark, and into one that is old.
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
    // Of all that find it old, the one that renews it looks.
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

/// Sets or removes the mark, after a fold of what `inventory` lists left this many
/// entries. Returns whether the bound is reached.
pub(crate) fn update<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
    left: usize,
    now: UnixMillis,
) -> Result<bool, Error> {
    let is_reached = is_reached(host, inventory, left)?;
    let changed = door::update(host, store, &|door| {
        // A younger mark than this look at the clock stays.
        let younger = door.full_since.filter(|since| *since > now && is_fresh(*since, now));
        door.full_since = is_reached.then_some(younger.unwrap_or(now));
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
    // What is left is a part of what was listed, and has about its share of the
    // bytes.
    let share = inventory.journal_bytes() / inventory.unfolded().max(1);
    let bytes = share.saturating_mul(left).saturating_add(inventory.quarantined_bytes());
    let entries = left.saturating_add(inventory.quarantined.len());
    Ok(entries >= bound.entries || bytes >= bound.bytes)
}

/// Whether a mark says enough. A request that looked at the clock before it was set
/// finds it in its future.
fn is_fresh(since: UnixMillis, now: UnixMillis) -> bool {
    let age_ms = now.get().saturating_sub(since.get());
    (-limits::REQUEST_MS_MAX..limits::JOURNAL_FULL_MS).contains(&age_ms)
}
