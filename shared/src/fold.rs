//! The fold: journal entries become ledger rows and windows.
//!
//! A fold goes in steps. Each takes the database's write lock, then reads some
//! entries, posts them in one transaction, and removes them from the journal
//! after the commit. Whoever dies in between leaves entries that are folded
//! again, to no effect. Reading the entries only under the lock keeps folds
//! that run at once from doing the same work; that they don't count twice is
//! the ledger's doing alone.

use crate::error::Error;
use crate::host::{Host, Sql};
use crate::inventory::Inventory;
use crate::journal::{self, Content, Entry, EntryName, QuarantineReason};
use crate::ledger::{self, Outcome};
use crate::limits;
use crate::reading::{Reading, UnixMillis};
use crate::regions::Regions;
use crate::rejection::Rejections;
use crate::settings::Horizon;

/// Folds what `inventory` found in the journal, as far as the budget goes.
/// Returns how many entries are left.
pub fn run<H: Host>(
    regions: &Regions<'_, H>,
    journal: &H::KeyValue,
    inventory: &Inventory,
) -> Result<usize, Error> {
    let mut left = inventory.unfolded();
    for names in steps(&inventory.entries) {
        if left < inventory.unfolded() && regions.is_late() {
            break;
        }
        match step(regions, journal, names) {
            Ok(()) => left -= names.len(),
            Err(error) if error.is_busy() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

/// Posts readings that are not in the journal, counts what was rejected beside
/// them, and says what became of each, in their order.
pub fn post<H: Host>(
    regions: &Regions<'_, H>,
    readings: &[Reading<'_>],
    rejections: &Rejections,
) -> Result<Vec<Outcome>, Error> {
    regions.transaction(|sql| {
        ledger::count_rejections(sql, rejections)?;
        ledger::post(sql, readings)
    })
}

/// Removes expired ledger rows, as far as the budget goes.
///
/// Only to be called when the whole backlog was folded: what waits in the
/// journal may be older than what is forgotten here. What has come since is
/// not: it was accepted after `now`, and the slack in the horizon covers the
/// time that a request takes.
pub fn prune<H: Host>(
    regions: &Regions<'_, H>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(), Error> {
    let Some(before) = horizon.prune_before(now) else { return Ok(()) };
    // A clock that runs ahead must not make the ledger forget what is recent
    // by the readings themselves.
    let newest = regions.read(ledger::newest)?;
    let Some(before) =
        newest.and_then(|newest| horizon.prune_before(newest)).map(|b| b.min(before))
    else {
        return Ok(());
    };
    while !regions.is_late() && regions.read(|sql| ledger::has_rows_before(sql, before))? {
        let pruned =
            regions.transaction(|sql| ledger::prune(sql, before, limits::RUNS_PRUNED_PER_STEP));
        match pruned {
            Err(error) if error.is_busy() => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

/// The entries cut into steps, each bounded in entries, readings and bytes.
fn steps(names: &[EntryName]) -> Vec<&[EntryName]> {
    let mut steps = Vec::new();
    let (mut from, mut readings, mut bytes) = (0, 0, 0);
    for (index, name) in names.iter().enumerate() {
        readings = name.readings().saturating_add(readings);
        bytes = name.bytes().saturating_add(bytes);
        let entries = index + 1 - from;
        if readings >= limits::READINGS_PER_FOLD_STEP
            || bytes >= limits::BYTES_PER_FOLD_STEP
            || entries >= limits::ENTRIES_PER_FOLD_STEP_MAX
        {
            steps.extend(names.get(from..=index));
            (from, readings, bytes) = (index + 1, 0, 0);
        }
    }
    steps.extend(names.get(from..).filter(|rest| !rest.is_empty()));
    steps
}

fn step<H: Host>(
    regions: &Regions<'_, H>,
    journal: &H::KeyValue,
    names: &[EntryName],
) -> Result<(), Error> {
    let host = regions.host();
    let done = regions.transaction(|sql| {
        let entries = journal::load(host, journal, names).map_err(Error::Journal)?;
        post_entries(host, journal, sql, &entries)?;
        Ok(entries.iter().map(|entry| entry.name().clone()).collect::<Vec<_>>())
    })?;
    journal::remove(host, journal, &done).map_err(Error::Journal)
}

/// The most readings that a step can have: what its last entry has is on top.
const READINGS_AT_ONCE_MAX: usize =
    limits::READINGS_PER_FOLD_STEP + limits::READINGS_PER_REQUEST_MAX;

/// What can't be posted is in quarantine before the transaction commits, and so
/// before its entry is removed.
fn post_entries<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    sql: &impl Sql,
    entries: &[Entry],
) -> Result<(), Error> {
    let count = entries.iter().map(|entry| entry.name().readings());
    let mut readings = Vec::with_capacity(count.sum::<usize>().min(READINGS_AT_ONCE_MAX));
    let mut rejections = Rejections::default();
    for entry in entries {
        match entry.decode() {
            Ok(Content { readings: mut decoded, rejections: rejected }) => {
                readings.append(&mut decoded);
                rejections.merge(&rejected);
            }
            Err(error) => {
                let reason = QuarantineReason::Unreadable;
                journal::quarantine(host, journal, entry, reason).map_err(Error::Journal)?;
                host.log(&format!(
                    "quarantined the entry {}: it is unreadable: {error}",
                    entry.name().as_str()
                ));
            }
        }
    }
    ledger::count_rejections(sql, &rejections)?;
    if readings.is_empty() {
        return Ok(());
    }
    let outcomes = ledger::post(sql, &readings)?;
    let too_old = readings.into_iter().zip(outcomes).filter(|(_, o)| *o == Outcome::TooOld);
    let too_old: Vec<Reading<'_>> = too_old.map(|(reading, _)| reading).collect();
    for chunk in too_old.chunks(limits::READINGS_PER_REQUEST_MAX) {
        let entry = Entry::encode(chunk, &Rejections::default());
        let reason = QuarantineReason::TooOld;
        journal::quarantine(host, journal, &entry, reason).map_err(Error::Journal)?;
        host.log(&format!(
            "quarantined {} readings: they are older than the ledger, and can't be told from \
             duplicates any more",
            chunk.len()
        ));
    }
    Ok(())
}
