//! What a node does after an answer, when nobody waits: it folds what is left of the
//! journal, prunes, and tells the door what it must know.

use crate::bound;
use crate::door;
use crate::error::Error;
use crate::fold;
use crate::guard::Guard;
use crate::host::Host;
use crate::inventory::Inventory;
use crate::journal::{self, QuarantineReason};
use crate::ledger;
use crate::limits;
use crate::reading::UnixMillis;
use crate::regions::{Budget, Regions};
use crate::settings::{Horizon, NamesBound};

/// Nobody waits for it, and a request that finds the lock taken leaves the work to the
/// one that has it.
pub(crate) const AFTER_ANSWER: Budget =
    Budget { lock_ms: 0, total_ms: limits::AFTER_ANSWER_FOLD_MS_MAX };

/// Does all of it, as far as the time goes.
pub(crate) fn run<H: Host>(host: &H, now: UnixMillis) -> Result<(), Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let horizon = Horizon::from_variables(host)?;
    let names = NamesBound::from_variables(host)?;
    let inventory = Inventory::list(host, &journal)?;
    let folded = Guard::new(host, &journal, inventory.has_breaker).call(now, || {
        let regions = Regions::open(host, AFTER_ANSWER)?;
        let left = fold::run(&regions, &journal, &inventory)?.left_entries;
        if left == 0 {
            fold::prune(&regions, &journal, horizon, now)?;
        }
        let pruned_before = tell_door(&regions, &journal, names, now)?;
        bring_back(host, &journal, &inventory, pruned_before)?;
        Ok(left)
    });
    let left = folded.as_ref().map_or_else(|_| inventory.unfolded(), |&left| left);
    bound::update(host, &journal, &inventory, left, now)?;
    match folded {
        Err(error) if !error.is_busy() && !matches!(error, Error::Spared { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Tells the door what is in the database. Returns how far that was pruned.
fn tell_door<H: Host>(
    regions: &Regions<'_, H>,
    journal: &H::KeyValue,
    names: NamesBound,
    now: UnixMillis,
) -> Result<UnixMillis, Error> {
    let pruned_before = regions.read(|sql| ledger::tally(sql, ledger::PRUNED_BEFORE))?;
    let pruned_before = UnixMillis::new(pruned_before).ok_or(Error::Corrupt("tally"))?;
    let newest = regions.read(ledger::newest)?;
    let [region_count, device_count] = regions.read(ledger::names_count)?;
    let is_full = |count: i64, bound: usize| usize::try_from(count).is_ok_and(|n| n >= bound);
    let told = door::update(regions.host(), journal, &|door| {
        // Somebody else pruned, or the key was lost.
        if door.pruned_before < pruned_before {
            (door.pruned_before, door.published) = (pruned_before, now);
        }
        let step = limits::DOOR_NEWEST_STEP_MS;
        door.newest = match newest {
            Some(newest) if newest >= door.newest.saturating_add(step) => newest,
            // What made it so new is gone.
            Some(newest) if newest < door.newest.saturating_sub(step) => newest,
            _ => door.newest,
        };
        door.regions_full = is_full(region_count, names.regions);
        door.devices_full = is_full(device_count, names.devices);
    });
    told.map_err(Error::Journal)?;
    Ok(pruned_before)
}

/// Brings back from quarantine what can be told from a duplicate again: the database
/// was restored, or is another one.
fn bring_back<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    inventory: &Inventory,
    pruned_before: UnixMillis,
) -> Result<(), Error> {
    let pruned_before = pruned_before.get().cast_unsigned();
    let can_be_told = inventory.quarantined.iter().filter(|quarantined| {
        quarantined.reason == QuarantineReason::TooOld
            && quarantined.name.base_ms() >= pruned_before
    });
    for quarantined in can_be_told.take(limits::REQUEUED_AT_ONCE_MAX) {
        journal::requeue(host, journal, quarantined).map_err(Error::Journal)?;
        host.log(&format!(
            "back from quarantine: {}, which can be told from a duplicate again",
            quarantined.name.as_str()
        ));
    }
    Ok(())
}
