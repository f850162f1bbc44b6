//! Work after an answer, when no client waits: folds the rest of the journal, prunes,
//! and updates what the door knows.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::fold;
use crate::host::Host;
use crate::journal::backpressure;
use crate::journal::door;
use crate::journal::inventory::Inventory;
use crate::journal::plausible::{self, PlausibleByRegion};
use crate::journal::{QuarantineReason, Quarantined};
use crate::ledger::database::{Budget, Database};
use crate::ledger::{self, Facts};
use crate::limits;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings::{self, Horizon, NamesBound};

/// No client waits for it, and a request that finds the lock taken leaves the work to
/// the request that holds it.
pub(crate) const AFTER_ANSWER: Budget =
    Budget { lock_ms: 0, total_ms: limits::AFTER_ANSWER_FOLD_MS_MAX };

/// Does all of it, as far as the budget allows.
pub(crate) fn run<H: Host>(host: &H, now: UnixMillis) -> Result<(), Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let horizon = Horizon::from_variables(host)?;
    let names = NamesBound::from_variables(host)?;
    let inventory = Inventory::list(host, &journal)?;
    let mut left = inventory.unfolded();
    let done = CircuitBreaker::new(host, &journal, inventory.has_breaker()).call(now, || {
        let database = Database::open(host, AFTER_ANSWER)?;
        left = fold::run(&database, &journal, &inventory)?.left_entries;
        if left == 0 {
            fold::prune(&database, &journal, horizon, now)?;
            take_back_published(&database, &journal, now)?;
        }
        let facts = tell_door(&database, &journal, horizon, names, now)?;
        bring_back(&database, &journal, &inventory, facts.pruned_before, horizon.latest(now))
    });
    backpressure::update(host, &journal, &inventory, left, now)?;
    match done {
        Err(error) if !error.is_busy() && !matches!(error, Error::CircuitOpen { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Folds the corrections in the journal, if there are any.
pub(crate) fn fold_corrections<H: Host>(host: &H, now: UnixMillis) -> Result<(), Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &journal)?;
    if inventory.corrections().is_empty() {
        return Ok(());
    }
    CircuitBreaker::new(host, &journal, inventory.has_breaker()).call(now, || {
        let database = Database::open(host, Budget::waiting(limits::QUERY_FOLD_MS_MAX))?;
        fold::corrections::run(&database, &journal, inventory.corrections())
    })
}

/// Updates what the door knows of the database.
pub(crate) fn tell_door<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    horizon: Horizon,
    names: NamesBound,
    now: UnixMillis,
) -> Result<Facts, Error> {
    let facts = database.read(ledger::facts)?;
    let newest = newest_that_counts(database, &facts, horizon, now)?;
    let told = door::update(database.host(), journal, &|door| {
        // Another request pruned, or the door's key was lost.
        if door.pruned_before < facts.pruned_before {
            (door.pruned_before, door.published) = (facts.pruned_before, now);
        }
        let newest = newest.unwrap_or(UnixMillis::MIN);
        let step_ms = limits::DOOR_NEWEST_STEP_MS.unsigned_abs();
        if newest.get().abs_diff(door.newest.get()) >= step_ms {
            door.newest = newest;
        }
        door.regions = if facts.regions >= names.regions { facts.regions } else { 0 };
        door.devices = if facts.devices >= names.devices { facts.devices } else { 0 };
        door.has_plausible = facts.has_plausible;
        door.is_told = true;
    });
    // One of the stores is another one than before, or an older release wrote the door.
    if let Some(door::Changed { old, new }) = told.map_err(Error::Journal)? {
        // Once for each journal: a component does not know when its runtime starts.
        if !old.is_told && !settings::access_is_on(database.host())? {
            database.host().log(settings::ACCESS_IS_OFF);
        }
        if new.has_plausible && !old.has_plausible {
            tell_plausible(database, journal)?;
        }
    }
    Ok(facts)
}

/// How often to copy the plausible limits while other requests change them.
const COPIES: usize = 3;

/// Copies the plausible limits of the regions to where `ingest` reads them, if they are
/// others.
pub(crate) fn tell_plausible<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
) -> Result<(), Error> {
    let host = database.host();
    let mut told = plausible::load(host, journal).map_err(Error::Journal)?;
    // What was copied may have changed before it was stored: a copy holds when it is the
    // same afterwards.
    for _ in 0..COPIES {
        let set = database.read(ledger::region_limits::by_all_names)?;
        let set = set.into_iter().map(|(name, set)| (name, set.plausible));
        let set = PlausibleByRegion::of(set);
        if set == told {
            break;
        }
        plausible::store(host, journal, &set).map_err(Error::Journal)?;
        told = set;
    }
    let has_plausible = !told.is_empty();
    let told = door::update(host, journal, &|door| door.has_plausible = has_plausible);
    told.map(|_changed| ()).map_err(Error::Journal)
}

/// When the newest counted reading was measured, of those that say something about the
/// node's clock.
pub(crate) fn newest_counted<H: Host>(
    database: &Database<'_, H>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, Error> {
    let facts = database.read(ledger::facts)?;
    newest_that_counts(database, &facts, horizon, now)
}

fn newest_that_counts<H: Host>(
    database: &Database<'_, H>,
    facts: &Facts,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, Error> {
    match facts.newest {
        Some(newest) if newest > horizon.latest(now) => {
            let hours = database.read(|sql| ledger::hours(sql, limits::HOURS_LOOKED_AT_MAX))?;
            Ok(newest_of_one_run(&hours))
        }
        newest => Ok(newest),
    }
}

/// The newest hour at which a clock was right: the last one that follows on the
/// watermark without a long gap. `hours` are in the order of `ledger::hours`. Readings
/// of a clock that was far ahead come after such a gap; readings from before a clock
/// was set back don't.
fn newest_of_one_run(hours: &[UnixMillis]) -> Option<UnixMillis> {
    let begin = fold::watermark(hours).or(hours.last().copied())?;
    let later = hours.iter().rev().skip_while(|hour| **hour < begin);
    let mut newest = begin;
    for hour in later {
        if hour.get().saturating_sub(newest.get()) > limits::HOURS_APART_MAX_MS {
            break;
        }
        newest = *hour;
    }
    Some(newest)
}

/// Takes back the time that was published to the door, if the database has no row from
/// before it and was not pruned that far: the database is another one, or was restored.
fn take_back_published<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    now: UnixMillis,
) -> Result<(), Error> {
    let host = database.host();
    let published = door::load(host, journal).map_err(Error::Journal)?;
    let known_ms = now.get().saturating_sub(published.published.get());
    let pruned_before = database.read(ledger::facts)?.pruned_before;
    if known_ms < limits::PRUNE_PUBLISHED_MS_MIN
        || published.pruned_before <= pruned_before
        || database.read(|sql| ledger::has_rows_before(sql, published.pruned_before))?
    {
        return Ok(());
    }
    let taken_back = door::update(host, journal, &|door| {
        if door.pruned_before == published.pruned_before {
            (door.pruned_before, door.published) = (pruned_before, now);
        }
    });
    taken_back.map(|_changed| ()).map_err(Error::Journal)
}

/// Folds again what is in quarantine and can be counted now: readings that were too
/// old, if the database was restored or is another one, so that duplicates of them are
/// recognised; and readings that were ahead, if the clock was set.
fn bring_back<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    inventory: &Inventory,
    pruned_before: UnixMillis,
    latest: UnixMillis,
) -> Result<(), Error> {
    let at = |instant: UnixMillis| instant.get().cast_unsigned();
    let can_be_counted = |quarantined: &&Quarantined| match quarantined.reason {
        QuarantineReason::TooOld => quarantined.name.base_ms() >= at(pruned_before),
        QuarantineReason::AheadOfClock => quarantined.name.base_ms() <= at(latest),
        QuarantineReason::Unreadable | QuarantineReason::DamagedRow => false,
    };
    let all = inventory.quarantined().iter().filter(can_be_counted);
    let some: Vec<Quarantined> = all.take(limits::RETRIED_AT_ONCE_MAX).cloned().collect();
    if some.is_empty() {
        return Ok(());
    }
    database.host().log(&format!("{} entries in quarantine can be counted again", some.len()));
    fold::retry(database, journal, inventory, &some, latest).map(|_tried| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_a_clock_that_was_far_ahead_are_not_the_newest_and_those_before_a_reset_are() {
        const HOUR: i64 = 3_600_000;
        let at = |hours: i64| UnixMillis::new(1_900_000_000_000 + hours * HOUR).unwrap();
        let hours = |list: &[i64]| -> Vec<UnixMillis> {
            let mut list = list.to_vec();
            list.sort_unstable_by(|a, b| b.cmp(a));
            list.into_iter().map(at).collect()
        };
        let week: Vec<i64> = (0..168).collect();
        let with = |more: &[i64]| newest_of_one_run(&hours(&[&week, more].concat()));
        assert_eq!(with(&[]), Some(at(167)));
        assert_eq!(with(&[167 + 240, 167 + 241]), Some(at(167)), "ten days ahead");
        assert_eq!(with(&[168, 190]), Some(at(190)), "a gap of a day is none");
        assert_eq!(newest_of_one_run(&hours(&[0, 240])), Some(at(0)));
        assert_eq!(newest_of_one_run(&hours(&[5])), Some(at(5)));
        assert_eq!(newest_of_one_run(&[]), None);
    }
}
