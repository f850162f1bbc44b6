//! Pruning: what has expired, and when it goes.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::journal::door;
use crate::ledger;
use crate::ledger::database::Database;
use crate::limits;
use crate::settings::Horizon;

/// Removes expired ledger rows, as far as the budget goes.
///
/// Only to be called when the whole backlog was folded: what waits in the journal may
/// be older than what is forgotten here.
///
/// In two stages. What is to go is published to the door, which accepts nothing older
/// from then on; what was published long enough ago for all requests that did not know
/// it to have left their entry, goes.
pub fn prune<H: Host>(
    regions: &Database<'_, H>,
    journal: &H::KeyValue,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(), Error> {
    let Some(target) = expired_before(regions, horizon, now)? else { return Ok(()) };
    let door = door::load(regions.host(), journal).map_err(Error::Journal)?;
    let known_ms = now.get().saturating_sub(door.published.get());
    if known_ms >= limits::PRUNE_PUBLISHED_MS_MIN {
        prune_before(regions, door.pruned_before.min(target))?;
    }
    // Each time is a write, so some minutes go together.
    let is_due = target >= door.pruned_before.saturating_add(limits::PRUNE_SLACK_MS);
    // A clock that was set back says nothing of how long it is known.
    if is_due || known_ms < 0 {
        let published = door::update(regions.host(), journal, &|door| {
            door.pruned_before = door.pruned_before.max(target);
            door.published = now;
        });
        published.map_err(Error::Journal)?;
    }
    Ok(())
}

/// Before when ledger rows have expired, if any have.
///
/// By the node's clock, and by the readings: a clock that runs ahead, or a reading from
/// the future, must not make the ledger forget what is recent. An hour is taken for
/// past when a tenth of the hours with readings came after it (decision 8).
fn expired_before<H: Host>(
    regions: &Database<'_, H>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, Error> {
    let Some(by_clock) = horizon.prune_before(now) else { return Ok(None) };
    if !regions.read(|sql| ledger::has_rows_before(sql, by_clock))? {
        return Ok(None);
    }
    let hours = regions.read(|sql| ledger::hours(sql, i64::MAX))?;
    let by_readings = witnessed(&hours).and_then(|hour| horizon.prune_before(hour));
    Ok(by_readings.map(|before| before.min(by_clock)))
}

/// The newest of the hours, which are in the order of `ledger::hours`, that a tenth of
/// them came after (decision 8).
pub(crate) fn witnessed(hours: &[UnixMillis]) -> Option<UnixMillis> {
    hours.get(hours.len().div_ceil(limits::HOURS_PER_WITNESS)).copied()
}

fn prune_before<H: Host>(regions: &Database<'_, H>, before: UnixMillis) -> Result<(), Error> {
    for _ in 0..regions.budget().steps_max() {
        if regions.left_ms() == 0 || !regions.read(|sql| ledger::has_rows_before(sql, before))? {
            break;
        }
        let pruned =
            regions.transaction(|sql| ledger::prune(sql, before, limits::RUNS_PRUNED_PER_STEP));
        match pruned {
            Err(error) if error.is_busy() => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}
