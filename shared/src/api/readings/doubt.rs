//! What the door must know before it can judge a request, and asks the database for where
//! it does not: how far was pruned, whether the clock is right, which names there are.

use super::batch::Batch;
use crate::domain::reading::{Reading, UnixMillis};
use crate::error::Error;
use crate::host::Host;
use crate::journal::door::{self, Door};
use crate::ledger::database::Database;
use crate::ledger::dictionary;
use crate::limits;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings::{Horizon, NamesBound};
use crate::upkeep::{self, AFTER_ANSWER};
use crate::wire::json::Item;

/// The journal, and what the door knows. Where it was never told of the database and one of
/// the items needs that, the database is asked first.
pub(super) fn open<H: Host>(
    host: &H,
    items: &[Item<'_>],
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(H::KeyValue, Door), Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let mut door = door::load(host, &journal).map_err(Error::Journal)?;
    let is_in_doubt =
        |reading: &Reading<'_>| is_old(reading, now) || horizon.is_ahead(reading, now);
    if !door.is_told && items.iter().flatten().any(is_in_doubt) {
        ask_the_database(host, &journal, &mut door, horizon, now)?;
    }
    Ok((journal, door))
}

/// Whether the node's clock is known to be behind: it is before this release was made, or
/// before readings that were counted. Without the journal, the database says which; it is
/// needed for such a request anyway.
pub(super) fn is_behind<H: Host>(
    host: &H,
    door: Option<&Door>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<bool, Error> {
    let newest = match door {
        Some(door) => Some(door.newest),
        None => upkeep::newest_counted(&Database::open(host, AFTER_ANSWER)?, horizon, now)?,
    };
    let is_before_what_was_counted = newest.is_some_and(|newest| horizon.latest(now) < newest);
    Ok(now.get() < limits::RELEASED_MS || is_before_what_was_counted)
}

/// Whether it must be known how far was pruned before this can be accepted.
fn is_old(reading: &Reading<'_>, now: UnixMillis) -> bool {
    reading.timestamp < now.saturating_sub(limits::OLD_READING_MS)
}

/// Has the door told of the database where it never was: the key-value store is new, and
/// the database may not be. While that is away, what is old is taken: if it is too old,
/// its turn will show; and a device that is ahead is told so.
fn ask_the_database<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &mut Door,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(), Error> {
    let names = NamesBound::from_variables(host)?;
    let told = CircuitBreaker::new(host, journal, true).call(now, || {
        let regions = Database::open(host, AFTER_ANSWER)?;
        upkeep::tell_door(&regions, journal, horizon, names, now)
    });
    match told {
        Ok(_facts) => *door = door::load(host, journal).map_err(Error::Journal)?,
        Err(Error::CircuitOpen { .. }) => {}
        Err(error) => host.log(&format!("the door was not told of the database: {error}")),
    }
    Ok(())
}

/// Rejects readings of devices and regions that are new, where there are as many as
/// there may be. Only then is the database asked at the door; while it is away, all are
/// accepted, and the bound is exceeded by what comes meanwhile.
pub(super) fn reject_new_names<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &Door,
    batch: &mut Batch<'_>,
    now: UnixMillis,
) -> Result<(), Error> {
    let bound = NamesBound::from_variables(host)?;
    let tables =
        [(door.regions >= bound.regions, "regions"), (door.devices >= bound.devices, "devices")];
    for (_, table) in tables.into_iter().filter(|(is_full, _)| *is_full) {
        let names = batch.readings.iter().map(|reading| match table {
            "regions" => reading.region.as_str(),
            _ => reading.device_id.as_str(),
        });
        let asked = CircuitBreaker::new(host, journal, true).call(now, || {
            let regions = Database::open(host, AFTER_ANSWER)?;
            regions.read(|sql| dictionary::are_known(sql, table, names.clone()))
        });
        match asked {
            Ok(known) => batch.keep(&known, table),
            Err(Error::CircuitOpen { .. }) => {}
            Err(error) => host.log(&format!("names are accepted unseen: {error}")),
        }
    }
    Ok(())
}
