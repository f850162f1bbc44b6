//! Backpressure: readings are refused when the journal is at its bound, before the disk
//! is full. Before that, from half of the bound on, each request waits a while before its
//! answer, the longer the more is waiting (`pause_ms`): so senders that wait for answers settle
//! at the rate at which their readings are folded, and are not refused.
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

/// How long a request waits before its answer at this pressure, in milliseconds.
pub(crate) fn pause_ms(pressure: u8) -> u64 {
    let square = |level: u8| u64::from(level) * u64::from(level);
    square(pressure.min(limits::JOURNAL_PRESSURE_MAX)) * limits::PRESSURE_PAUSE_MS_MAX
        / square(limits::JOURNAL_PRESSURE_MAX)
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
    let pressure = pressure(host, inventory, left)?;
    let is_reached = pressure == limits::JOURNAL_PRESSURE_MAX;
    let changed = door::update(host, store, &|door| {
        // A mark set after this request read the clock stays, whatever this one found: the
        // other has listed more. If there is room by now, the next look at it says so.
        let younger = door.full_since.filter(|since| *since > now && is_fresh(*since, now));
        door.full_since = younger.or(is_reached.then_some(now));
        door.pressure = pressure;
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

/// Ends the waiting of requests: all that was in the journal is folded.
pub(crate) fn relieve<H: Host>(host: &H, store: &H::KeyValue) -> Result<(), Error> {
    let changed = door::update(host, store, &|door| door.pressure = 0);
    changed.map(|_changed| ()).map_err(Error::Journal)
}

/// The pressure with this many of the entries in `inventory` left: see `Door::pressure`.
fn pressure(host: &impl Host, inventory: &Inventory, left: usize) -> Result<u8, Error> {
    let bound = JournalBound::from_variables(host)?;
    // What is left is assumed to have its share of the listed bytes.
    let share = inventory.journal_bytes() / inventory.unfolded().max(1);
    let bytes = share.saturating_mul(left).saturating_add(inventory.quarantined_bytes());
    let entries = left.saturating_add(inventory.quarantined().len());
    Ok(pressure_of(entries, bound.entries).max(pressure_of(bytes, bound.bytes)))
}

/// 0 up to half of the bound, and the highest only at the bound.
fn pressure_of(count: usize, bound: usize) -> u8 {
    const STEPS: usize = limits::JOURNAL_PRESSURE_MAX as usize;
    let half = bound / 2;
    let above = count.saturating_sub(half);
    let steps = above.saturating_mul(STEPS).checked_div(bound - half).unwrap_or(STEPS);
    u8::try_from(steps.min(STEPS)).unwrap_or(limits::JOURNAL_PRESSURE_MAX)
}

/// Whether the mark is recent enough. To a request that read the clock before it was
/// set, it is in the future.
fn is_fresh(since: UnixMillis, now: UnixMillis) -> bool {
    let age_ms = now.get().saturating_sub(since.get());
    (-limits::REQUEST_MS_MAX..limits::JOURNAL_FULL_MS).contains(&age_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_grows_from_half_of_the_bound_and_is_full_at_the_bound_alone() {
        for (count, bound, expected) in [
            (0, 1_000, 0),
            (562, 1_000, 0),
            (563, 1_000, 1),
            (750, 1_000, 4),
            (999, 1_000, 7),
            (1_000, 1_000, 8),
            (usize::MAX, 1_000, 8),
            (0, 1, 0),
            (1, 1, 8),
            (0, 0, 8),
        ] {
            assert_eq!(pressure_of(count, bound), expected, "{count} of {bound}");
        }
    }

    #[test]
    fn the_pause_grows_with_the_pressure_and_has_an_end() {
        let pauses: Vec<u64> = (0..=9).map(pause_ms).collect();
        assert_eq!(pauses, [0, 8, 32, 72, 128, 200, 288, 392, 512, 512]);
    }
}
