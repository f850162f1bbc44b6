//! The fold: it moves journal entries into the ledger and the windows.
//!
//! A fold runs in steps. Each step takes the database's write lock, reads some entries,
//! posts them in one transaction, and removes them from the journal after the commit.
//! If the process dies in between, the entries are folded again, without effect.
//! Entries are read only under the lock, so that concurrent folds don't do the same
//! work. (From a database on a server, they are read before, and looked at again under the
//! lock: `load`.) That nothing counts twice is ensured by the ledger alone.
//!
//! What can't be posted goes into quarantine, after the commit and before its entry is
//! removed: entries that can't be read, readings that are older than the ledger, and
//! readings that belong to a row of the database that can't be read. The rest of their
//! entry, and all other entries, are folded.

pub(crate) mod corrections;
mod damage;
mod expiry;
mod load;

use std::ops::Range;

use self::damage::Damage;
use self::load::{Bounds, Load};
use crate::domain::exchange::FromNode;
use crate::domain::reading::{Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejections};
use crate::error::Error;
use crate::host::{Host, Sql};
use crate::journal::inventory::Inventory;
use crate::journal::{self, Aside, Content, Entry, EntryName, QuarantineReason, Quarantined};
use crate::ledger::corrections::Said;
use crate::ledger::database::Database;
use crate::ledger::{self, Outcome};
use crate::limits;

pub(crate) use self::damage::note_damage;
pub use self::expiry::prune;
pub(crate) use self::expiry::watermark;

/// What a fold left in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Entries that are left, because time ran out or the lock was taken.
    pub left_entries: usize,
    /// The readings in them, by the numbers in their keys.
    pub left_readings: usize,
    /// Whether the quarantine may have more in it than the inventory lists: this fold
    /// set something aside, or another fold took an entry first.
    pub quarantine_changed: bool,
}

/// Folds the journal entries in `inventory`, as far as the budget allows.
pub fn run<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    inventory: &Inventory,
) -> Result<Folded, Error> {
    let mut folded = Folded {
        left_entries: inventory.unfolded(),
        left_readings: inventory.journal_readings(),
        quarantine_changed: false,
    };
    let mut longest_ms = 0;
    let steps = steps(inventory.entries(), Bounds::of(database));
    for (number, names) in steps.into_iter().take(database.budget().steps_max()).enumerate() {
        // The next step may take as long as the longest so far.
        let left_ms = database.left_ms();
        if number > 0 && left_ms <= longest_ms {
            break;
        }
        match step(database, journal, inventory, names) {
            Ok(changed) => {
                folded.left_entries -= names.len();
                let readings = names.iter().map(EntryName::readings);
                let readings = readings.fold(0, usize::saturating_add);
                folded.left_readings = folded.left_readings.saturating_sub(readings);
                folded.quarantine_changed |= changed;
            }
            Err(error) if error.is_busy() => break,
            Err(error) => return Err(error),
        }
        longest_ms = longest_ms.max(left_ms.saturating_sub(database.left_ms()));
    }
    Ok(folded)
}

/// Posts readings that are not in the journal, counts their request's rejections, and
/// returns the outcome of each reading, in order. A reading that is too old counts as
/// rejected, too.
pub fn post_now<H: Host>(
    database: &Database<'_, H>,
    readings: &[Reading<'_>],
    rejections: &Rejections,
) -> Result<Vec<Outcome>, Error> {
    database.transaction(|sql| {
        ledger::count_entries(sql, 0, readings.len())?;
        let outcomes = ledger::post(sql, readings)?;
        let mut rejections = rejections.clone();
        let too_old = outcomes.iter().filter(|outcome| **outcome == Outcome::TooOld).count();
        rejections.add(Reason::TooOld, u64::try_from(too_old).unwrap_or(u64::MAX));
        ledger::count_rejections(sql, &rejections)?;
        Ok(outcomes)
    })
}

/// The entries cut into steps, each of which ends with the entry that reaches a bound.
fn steps(names: &[EntryName], bounds: Bounds) -> Vec<&[EntryName]> {
    let mut steps = Vec::new();
    let (mut from, mut readings, mut bytes) = (0, 0, 0);
    for (index, name) in names.iter().enumerate() {
        readings = name.readings().saturating_add(readings);
        bytes = name.bytes().saturating_add(bytes);
        let entries = index + 1 - from;
        if readings >= bounds.readings || bytes >= bounds.bytes || entries >= bounds.entries {
            steps.extend(names.get(from..=index));
            (from, readings, bytes) = (index + 1, 0, 0);
        }
    }
    steps.extend(names.get(from..).filter(|rest| !rest.is_empty()));
    steps
}

/// Returns whether the quarantine may have changed.
fn step<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    inventory: &Inventory,
    names: &[EntryName],
) -> Result<bool, Error> {
    let host = database.host();
    let load = Load {
        entries: &|| journal::load(host, journal, names),
        key: Some(&EntryName::journal_key),
    };
    let Posted { names: done, aside } = post_entries(database, journal, inventory, &load, None)?;
    // After the commit, and before the entries are removed: a crash in between repeats
    // this, and a failure before the commit leaves nothing behind.
    set_aside(host, journal, &aside)?;
    journal::remove(host, journal, &done).map_err(Error::Journal)?;
    Ok(!aside.is_empty() || done.len() < names.len())
}

/// Folds entries in quarantine again, as far as the budget allows. `latest` is the
/// latest time that a reading may have. Readings that are counted now leave the
/// quarantine. Entries are not moved in between, so none can be lost. Returns how many
/// entries were tried.
pub(crate) fn retry<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    inventory: &Inventory,
    quarantined: &[Quarantined],
    latest: UnixMillis,
) -> Result<usize, Error> {
    let host = database.host();
    let names: Vec<EntryName> = quarantined.iter().map(|q| q.name.clone()).collect();
    let mut rest = quarantined;
    let steps = steps(&names, Bounds::of(database));
    for names in steps.into_iter().take(database.budget().steps_max()) {
        let (now, later) = rest.split_at(names.len().min(rest.len()));
        rest = later;
        let load = Load { entries: &|| journal::load_quarantined(host, journal, now), key: None };
        let Posted { aside, .. } = post_entries(database, journal, inventory, &load, Some(latest))?;
        set_aside(host, journal, &aside)?;
        journal::remove_quarantined(host, journal, now, &aside).map_err(Error::Journal)?;
        if database.left_ms() == 0 {
            break;
        }
    }
    Ok(quarantined.len() - rest.len())
}

fn set_aside<H: Host>(host: &H, journal: &H::KeyValue, aside: &[Aside]) -> Result<(), Error> {
    aside
        .iter()
        .try_for_each(|aside| journal::set_aside(host, journal, aside))
        .map_err(Error::Journal)
}

/// The result of posting entries.
struct Posted {
    names: Vec<EntryName>,
    /// What could not be posted. It is not in quarantine yet.
    aside: Vec<Aside>,
}

/// Posts the entries of `load` in one transaction. If it finds rows that can't be read, it
/// starts again without the readings that belong to them.
fn post_entries<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    inventory: &Inventory,
    load: &Load<'_>,
    latest: Option<UnixMillis>,
) -> Result<Posted, Error> {
    let early = load.early(database)?;
    let mut damage: Vec<Damage> = Vec::new();
    for _ in 0..limits::DAMAGE_ATTEMPTS_MAX {
        let posted = database.transaction(|sql| {
            let entries = load.under_lock(database.host(), sql, journal, early.as_ref())?;
            let names = entries.iter().map(|entry| entry.name().clone()).collect();
            let aside = post(sql, &entries, &damage, latest)?;
            Ok(Posted { names, aside })
        });
        match posted {
            Err(Error::DamagedRows(rows)) => {
                for row in rows {
                    note_damage(database.host(), journal, inventory, &row);
                    damage.push(database.read(|sql| Damage::of(sql, &row))?);
                }
            }
            other => return other,
        }
    }
    Err(Error::Corrupt("row"))
}

/// The most readings that a step can have: its last entry may exceed the bound.
const READINGS_AT_ONCE_MAX: usize =
    limits::READINGS_PER_FOLD_STEP + limits::READINGS_PER_REQUEST_MAX;

/// Posts the entries' readings, except those that `damage` affects. Returns what could
/// not be posted.
///
/// `latest` is `None` for entries of the journal, whose readings were checked when they
/// were accepted.
fn post(
    sql: &impl Sql,
    entries: &[Entry],
    damage: &[Damage],
    latest: Option<UnixMillis>,
) -> Result<Vec<Aside>, Error> {
    let count = entries.iter().map(|entry| entry.name().readings());
    let count = count.fold(0, usize::saturating_add).min(READINGS_AT_ONCE_MAX);
    let mut readings = Vec::with_capacity(count);
    // How many of the readings belong to each entry, and by which source they came.
    let mut counts = Vec::with_capacity(entries.len());
    let mut rejections = Rejections::default();
    let (mut aside, mut sent) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.decode() {
            Ok(Content { readings: decoded, rejections: rejected, from, source }) => {
                let (met, free) = apart(decoded, !damage.is_empty(), |reading| {
                    damage.iter().any(|damage| damage.meets(reading))
                });
                let (ahead, mut free) = apart(free, latest.is_some(), |reading| {
                    latest.is_some_and(|latest| reading.timestamp > latest)
                });
                aside.extend(Aside::of(&met, QuarantineReason::DamagedRow));
                aside.extend(Aside::of(&ahead, QuarantineReason::AheadOfClock));
                counts.push((free.len(), source));
                let own = readings.len()..readings.len() + free.len();
                sent.extend(from.map(|from| (from, own)));
                readings.append(&mut free);
                rejections.merge(&rejected);
            }
            Err(cause) => aside.push(Aside::unreadable(entry.clone(), cause)),
        }
    }
    ledger::count_rejections(sql, &rejections)?;
    note_sent(sql, &sent)?;
    ledger::count_entries(sql, counts.len(), readings.len())?;
    if readings.is_empty() {
        return Ok(aside);
    }
    let outcomes = ledger::post(sql, &readings)?;
    for (from, own) in &sent {
        let own = readings.get(own.clone()).unwrap_or_default().iter();
        let regions = own.map(|reading| reading.region.as_str());
        ledger::received::note_regions(sql, &from.sender, regions)?;
    }
    let mut judged = readings.into_iter().zip(outcomes);
    for (count, source) in counts {
        let own = judged.by_ref().take(count);
        let is_too_old = |(_, outcome): &(Reading<'_>, Outcome)| *outcome == Outcome::TooOld;
        let too_old: Vec<Reading<'_>> = match source {
            None => own.filter(is_too_old).map(|(reading, _)| reading).collect(),
            Some(source) => {
                let own: Vec<(Reading<'_>, Outcome)> = own.collect();
                ledger::sources::note(sql, &source, &own)?;
                own.into_iter().filter(is_too_old).map(|(reading, _)| reading).collect()
            }
        };
        aside.extend(Aside::of(&too_old, QuarantineReason::TooOld));
    }
    Ok(aside)
}

/// Notes what other nodes sent, each with the places of its readings, and adds their
/// corrections. (Those apply to readings that are counted later, too.)
fn note_sent(sql: &impl Sql, sent: &[(FromNode<'_>, Range<usize>)]) -> Result<(), Error> {
    if sent.is_empty() {
        return Ok(());
    }
    let said = sent.iter().flat_map(|(from, _)| &from.corrections).map(|one| Said {
        correction: one.correction.clone(),
        hash: one.hash,
        made: one.made,
        by: one.by.as_deref(),
    });
    let said: Vec<Said<'_>> = said.collect();
    ledger::corrections::add(sql, &ledger::corrections::with_ids(sql, &said)?)?;
    let noted: Vec<_> = sent.iter().map(|(from, own)| (from, own.len())).collect();
    ledger::received::note(sql, &noted)
}

/// The readings for which `is_met` holds, and the others.
fn apart<'a>(
    readings: Vec<Reading<'a>>,
    has_any: bool,
    is_met: impl Fn(&Reading<'a>) -> bool,
) -> (Vec<Reading<'a>>, Vec<Reading<'a>>) {
    match has_any {
        true => readings.into_iter().partition(is_met),
        false => (Vec::new(), readings),
    }
}
