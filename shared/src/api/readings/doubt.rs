//! Questions about a request that only the database can answer: how far was pruned,
//! whether the clock is right, which names there are.

use super::batch::Batch;
use crate::api::names;
use crate::domain::reading::{Reading, UnixMillis};
use crate::error::Error;
use crate::host::Host;
use crate::journal::door::{self, Door};
use crate::ledger::database::Database;
use crate::limits;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings::{Horizon, NamesBound};
use crate::upkeep::{self, AFTER_ANSWER};
use crate::wire::item::Item;

/// The journal, and what the door knows. If the door was never told of the database,
/// and one of the items needs that, the database is asked first.
///
/// What was read of the door with the request's token is used if the body came at once.
/// Requests read the door and write later anyway, so a moment changes nothing.
pub(super) fn open<H: Host>(
    host: &H,
    items: &[Item<'_>],
    read: Option<(Door, UnixMillis)>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(H::KeyValue, Door), Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let is_fresh = |at: UnixMillis| now.get().abs_diff(at.get()) <= limits::DOOR_FRESH_MS;
    let mut door = match read {
        Some((door, at)) if is_fresh(at) => door,
        _ => door::load(host, &journal).map_err(Error::Journal)?,
    };
    let is_in_doubt =
        |reading: &Reading<'_>| is_old(reading, now) || horizon.is_ahead(reading, now);
    if !door.is_told && items.iter().flatten().any(is_in_doubt) {
        ask_the_database(host, &journal, &mut door, horizon, now)?;
    }
    Ok((journal, door))
}

/// Whether the node's clock is known to be behind: before the date of this release, or
/// before readings that were counted. Without the journal, the database has the newest
/// reading; such a request needs the database anyway.
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

/// Whether the reading is so old that it can be accepted only if it is known how far
/// was pruned.
fn is_old(reading: &Reading<'_>, now: UnixMillis) -> bool {
    reading.timestamp < now.saturating_sub(limits::OLD_READING_MS)
}

/// Updates the door from the database for the first time: the key-value store is new,
/// but the database may not be. While the database is away, old readings are accepted,
/// and the fold finds those that are too old; readings that are ahead are rejected.
fn ask_the_database<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &mut Door,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(), Error> {
    let names = NamesBound::from_variables(host)?;
    let told = CircuitBreaker::new(host, journal, true).call(now, || {
        let database = Database::open(host, AFTER_ANSWER)?;
        upkeep::tell_door(&database, journal, horizon, names, now)
    });
    match told {
        Ok(_facts) => *door = door::load(host, journal).map_err(Error::Journal)?,
        Err(Error::CircuitOpen { .. }) => {}
        Err(error) => host.log(&format!("the door was not told of the database: {error}")),
    }
    Ok(())
}

/// Rejects readings of new devices and regions, once there are as many as allowed. Only
/// then is the database asked. While it is away, all readings are accepted, and the
/// bound may be exceeded.
pub(super) fn reject_new_names<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &Door,
    batch: &mut Batch<'_>,
    now: UnixMillis,
) -> Result<(), Error> {
    for table in names::full_tables(host, door)? {
        let names = batch.readings.iter().map(|reading| match table {
            "regions" => reading.region.as_str(),
            _ => reading.device_id.as_str(),
        });
        let names: Vec<&str> = names.collect();
        if let Some(known) = names::known(host, journal, table, &names, now) {
            batch.keep(&known, table);
        }
    }
    Ok(())
}
