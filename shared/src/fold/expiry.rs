//! Pruning: which ledger rows have expired, and when they are deleted.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::journal::door;
use crate::ledger;
use crate::ledger::database::Database;
use crate::limits;
use crate::settings::{self, Horizon};

/// Deletes expired ledger rows, as far as the budget allows.
///
/// Call this only after the whole backlog was folded: entries in the journal may be
/// older than the rows that are deleted here.
///
/// There are two stages. First the time before which rows will be deleted is published
/// to the door, which accepts nothing older from then on. The rows are deleted once it
/// has been published for `limits::PRUNE_PUBLISHED_MS_MIN`: by then every request that
/// did not know it has left its entry.
pub fn prune<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(), Error> {
    let Some(target) = expired_before(database, horizon, now)? else { return Ok(()) };
    let door = door::load(database.host(), journal).map_err(Error::Journal)?;
    let known_ms = now.get().saturating_sub(door.published.get());
    if known_ms >= limits::PRUNE_PUBLISHED_MS_MIN {
        prune_before(database, door.pruned_before.min(target))?;
    }
    // Publishing is a write, so several minutes are published together.
    let is_due = target >= door.pruned_before.saturating_add(limits::PRUNE_SLACK_MS);
    // If the clock was set back, it is unknown how long the time has been published.
    if is_due || known_ms < 0 {
        let published = door::update(database.host(), journal, &|door| {
            door.pruned_before = door.pruned_before.max(target);
            door.published = now;
        });
        published.map_err(Error::Journal)?;
    }
    Ok(())
}

/// The time before which ledger rows have expired; `None` if none have.
///
/// Both the node's clock and the readings must say so: a clock that runs ahead, or a
/// reading from the future, must not delete recent rows. An hour counts as past when a
/// tenth of the hours with readings came after it (decision 8).
fn expired_before<H: Host>(
    database: &Database<'_, H>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, Error> {
    let Some(by_clock) = horizon.prune_before(now) else { return Ok(None) };
    if !database.read(|sql| ledger::has_rows_before(sql, by_clock))? {
        return Ok(None);
    }
    let hours = database.read(|sql| ledger::hours(sql, i64::MAX))?;
    let by_readings = watermark(&hours).and_then(|hour| horizon.prune_before(hour));
    let Some(before) = by_readings.map(|before| before.min(by_clock)) else { return Ok(None) };
    // What a peer may not have stays, as long as there is room for it.
    let bytes_max = settings::outbox_max_bytes(database.host())?;
    let first =
        database.read(|sql| ledger::outbox::deletable_before(sql, before.minute(), bytes_max))?;
    Ok(UnixMillis::from_minute(first, 0).map(|first| first.min(before)))
}

/// The watermark: the newest hour that a tenth of `hours` came after (decision 8).
/// `hours` are in the order of `ledger::hours`.
pub(crate) fn watermark(hours: &[UnixMillis]) -> Option<UnixMillis> {
    hours.get(hours.len().div_ceil(limits::HOURS_PER_WITNESS)).copied()
}

fn prune_before<H: Host>(database: &Database<'_, H>, before: UnixMillis) -> Result<(), Error> {
    for _ in 0..database.budget().steps_max() {
        if database.left_ms() == 0 || !database.read(|sql| ledger::has_rows_before(sql, before))? {
            break;
        }
        let prune = |is_kept| {
            let runs = limits::RUNS_PRUNED_PER_STEP;
            database.transaction(|sql| ledger::prune(sql, before, runs, is_kept))
        };
        let pruned = match prune(true) {
            // A quarter hour that can't be read must not keep the ledger from being pruned.
            Err(error @ Error::DamagedRows(_)) => {
                database.host().log(&format!("{error}; readings are deleted without them"));
                prune(false)
            }
            other => other,
        };
        match pruned {
            Err(error) if error.is_busy() => return Ok(()),
            Ok(0) => {}
            Ok(lost) => database.host().log(&format!(
                "{lost} readings from before {before} were deleted before a peer had them: it \
                 rejects them (`aside` in GET /v1/sync), or the outbox is larger than \
                 outbox_max_bytes"
            )),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
