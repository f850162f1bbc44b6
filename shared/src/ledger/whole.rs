//! Correcting whole devices and regions: merging and withdrawing them, in bounded steps.
//! Each reading gets corrections of its own, so that nothing changes without a trace.
//!
//! Architecture invariant: after a merge nothing can come to stand in the old region any
//! more. So a move is made for each reading that was counted in it, or has a correction
//! that moves it there, whether it stands there now or not.

use crate::base::digest::sha256;
use crate::base::sort;
use crate::domain::correction::{Cause, Change, Standing, text_of};
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::corrections::{Identity, NewCorrection, add};
use crate::ledger::count::{self, Outcome};
use crate::ledger::row::{Row, key, parts};
use crate::ledger::sql::integers;
use crate::ledger::standing::{Stored, between, in_minutes, of_row, place, stood};
use crate::ledger::totals::correctable_from;
use crate::ledger::{dictionary, left_behind, read};
use crate::limits;

/// What is corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    Device,
    Region,
}

impl Whole {
    /// Its table of names.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Device => "devices",
            Self::Region => "regions",
        }
    }
}

/// What is to become of all readings of a device or a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task<'a> {
    pub(crate) whole: Whole,
    pub(crate) id: u64,
    /// The device or the region whose readings they become; `None` withdraws them.
    pub(crate) into: Option<u64>,
    pub(crate) cause: Cause<'a>,
}

impl Task<'_> {
    /// What moves each reading, if this merges a region into another.
    fn merge(&self) -> Option<Change> {
        let id = |id: u64| u32::try_from(id).ok();
        let into = self.into.filter(|_| self.whole == Whole::Region)?;
        Some(Change::merge(id(self.id)?, id(into)?))
    }
}

/// What a step of a correction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Readings that were corrected.
    pub(crate) corrected: usize,
    /// The minute to go on from; `None` if all were corrected.
    pub(crate) next: Option<i64>,
}

/// A reading that is to be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    minute: i64,
    /// In its minute (`row::key`).
    key: u64,
    /// What was counted, and what stands of it; `None` if only corrections have come.
    counted: Option<(Row, Standing)>,
    /// What stands of the reading that the other device has of the same time, if any.
    other: Option<Standing>,
}

/// Minutes that are read at once.
const MINUTES_AT_ONCE: i64 = 60;

/// Corrects readings that can be corrected (`correctable_from`), from a minute on, at most
/// `limits::CORRECTED_AT_ONCE_MAX`.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn correct(sql: &impl Sql, task: &Task<'_>, from: i64) -> Result<Progress, Error> {
    /// Minutes looked at in one request: some weeks.
    const MINUTES_MAX: i64 = 30 * 1_440;
    let [first, last] = read::edges(sql)?.unwrap_or([0, -1]);
    let first = first.max(correctable_from(sql)?);
    let mut minute = from.max(first);
    let end = last.min(minute.saturating_add(MINUTES_MAX));
    let mut found: Vec<Found> = Vec::new();
    while minute <= end && found.len() < limits::CORRECTED_AT_ONCE_MAX {
        found.append(&mut find(sql, task, minute)?);
        minute += MINUTES_AT_ONCE;
    }
    let mut next = (minute <= last).then_some(minute);
    if let Some(over) = found.get(limits::CORRECTED_AT_ONCE_MAX).map(|one| one.minute) {
        // Whole minutes. One that has more readings than that is corrected whole.
        let before = found.partition_point(|one| one.minute < over);
        let whole_minute = found.partition_point(|one| one.minute <= over);
        let (kept, at) = if before > 0 { (before, over) } else { (whole_minute, over + 1) };
        next = Some(at);
        found.truncate(kept);
    }
    if next.is_none() {
        let mut promised = promised(sql, task, first)?;
        // What was moved is not found again.
        next = (promised.len() >= limits::CORRECTED_AT_ONCE_MAX).then_some(last);
        found.append(&mut promised);
        sort::sort_by_key(&mut found, |one| place(one.minute, one.key));
        found.dedup_by_key(|one| (one.minute, one.key));
    }
    post_again(sql, task, &found)?;
    let changes: Vec<ChangeOf> = found.iter().flat_map(|one| changes(task, one)).collect();
    add(sql, &in_words(sql, task, &changes)?)?;
    if next.is_none() {
        next = match task.whole {
            Whole::Region => left_behind::of_region(sql, task.id, first)?,
            Whole::Device => left_behind::of_device(sql, task.id, first)?,
        };
    }
    Ok(Progress { corrected: found.len(), next })
}

/// The readings of an hour that are to be corrected, sorted.
fn find(sql: &impl Sql, task: &Task<'_>, from: i64) -> Result<Vec<Found>, Error> {
    let to = from + MINUTES_AT_ONCE;
    let (rows, all) = (read::counted_between(sql, from, to)?, between(sql, from, to)?);
    let other = |row: &Row| {
        let (_, ms) = parts(row.key);
        let wanted = (row.minute, key(task.into?, ms.unsigned_abs()));
        let index = rows.binary_search_by_key(&wanted, |row| (row.minute, row.key)).ok()?;
        rows.get(index).map(|other| of_row(other, &all).0)
    };
    let one = |row: &Row| {
        let (stands, own) = of_row(row, &all);
        let is_open = stands.millicelsius.is_some();
        let other = if task.whole == Whole::Device { other(row) } else { None };
        let is_wanted = match (task.whole, task.into) {
            (Whole::Device, None) => row.device() == task.id && is_open,
            // One that is withdrawn has to be known under the other name, too.
            (Whole::Device, Some(_)) => row.device() == task.id && (is_open || other.is_none()),
            (Whole::Region, None) => u64::from(stands.region) == task.id && is_open,
            (Whole::Region, Some(_)) => is_to_be_moved(task, row, &stands, own),
        };
        let (minute, key) = (i64::from(row.minute), row.key);
        is_wanted.then_some(Found { minute, key, counted: Some((*row, stands)), other })
    };
    Ok(rows.iter().filter_map(one).collect())
}

/// Whether a reading can ever come to stand in the region that is merged, given its
/// corrections.
fn is_to_be_moved(task: &Task<'_>, row: &Row, stands: &Standing, own: &[Stored]) -> bool {
    let is_it = |region: u32| u64::from(region) == task.id;
    let merge = task.merge();
    let is_merged = own.iter().any(|stored| Some(stored.change) == merge);
    let is_target = |stored: &Stored| stored.change.region.is_some_and(is_it);
    is_it(stands.region) || !is_merged && (is_it(row.region) || own.iter().any(is_target))
}

/// Readings that a correction moves to the region that is merged, and that have not come
/// yet.
fn promised(sql: &impl Sql, task: &Task<'_>, from: i64) -> Result<Vec<Found>, Error> {
    let (Whole::Region, Some(other)) = (task.whole, task.into) else { return Ok(Vec::new()) };
    let statement = "\
        SELECT DISTINCT minute, device, ms FROM corrections AS c \
        WHERE region = ?1 AND minute >= ?3 AND in_force = 1 AND NOT EXISTS ( \
            SELECT 1 FROM corrections AS m \
            WHERE m.minute = c.minute AND m.device = c.device AND m.ms = c.ms \
                  AND m.expected_region = ?1 AND m.region = ?2 AND m.milli IS NULL) \
        LIMIT ?4";
    let most = i64::try_from(limits::CORRECTED_AT_ONCE_MAX).unwrap_or(i64::MAX);
    let bindings = [task.id.cast_signed(), other.cast_signed(), from, most].map(Value::Integer);
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let found = |row: &Vec<Value>| {
        let [minute, device, ms] = integers(row)?;
        let key = key(device.cast_unsigned(), ms.cast_unsigned());
        Some(Found { minute, key, counted: None, other: None })
    };
    rows.iter().map(found).collect::<Option<_>>().ok_or(Error::Corrupt("correction"))
}

/// What is to change of a reading.
type ChangeOf = (Identity, Change);

/// What is to change of a reading, and of that of the other device.
fn changes(task: &Task<'_>, found: &Found) -> Vec<ChangeOf> {
    let (device, ms) = parts(found.key);
    let reading = |device| (found.minute, device, ms.unsigned_abs());
    if let Some(merge) = task.merge() {
        return vec![(reading(device), merge)];
    }
    let Some((row, stands)) = found.counted else { return Vec::new() };
    let mut changes = Vec::new();
    if let Some(other) = task.into {
        // It is counted under the other name as it was here, or nothing stands there.
        let counted =
            Standing { region: row.region, millicelsius: Some(row.millicelsius), applied: 0 };
        let before = found.other.unwrap_or(counted);
        if found.other.is_none_or(|other| other.millicelsius.is_none()) {
            changes.extend(from_to(&before, &stands).map(|change| (reading(other), change)));
        }
    }
    if stands.millicelsius.is_some() {
        let withdrawal = Change {
            expected: stands.millicelsius,
            expected_region: (task.whole == Whole::Region).then_some(stands.region),
            millicelsius: None,
            region: None,
        };
        changes.push((reading(device), withdrawal));
    }
    changes
}

/// What makes of a reading that stands so one that stands otherwise: first its region, then
/// its temperature.
fn from_to(before: &Standing, after: &Standing) -> impl Iterator<Item = Change> + use<> {
    let (expected, region) = (before.millicelsius, Some(after.region));
    let both = Change { expected, expected_region: None, millicelsius: after.millicelsius, region };
    let moved = Change { expected_region: Some(before.region), millicelsius: expected, ..both };
    let changed = Change { region: None, ..both };
    let (is_moved, is_changed) = (before.region != after.region, expected != after.millicelsius);
    // One that is withdrawn is moved by what brings it back.
    let (first, second) = match expected {
        None if is_moved => (is_changed.then_some(both), None),
        _ => (is_moved.then_some(moved), is_changed.then_some(changed)),
    };
    [first, second].into_iter().flatten()
}

/// The changes as corrections, each with a reason that makes it another one than those that
/// are there: what was applied is not applied again.
fn in_words(
    sql: &impl Sql,
    task: &Task<'_>,
    changes: &[ChangeOf],
) -> Result<Vec<NewCorrection>, Error> {
    let devices = changes.iter().map(|((_, device, _), _)| *device);
    let devices = dictionary::of(sql, "devices", devices)?;
    let regions = changes.iter().flat_map(|(_, change)| [change.expected_region, change.region]);
    let regions = dictionary::of(sql, "regions", regions.flatten().map(u64::from))?;
    let minutes = changes.iter().map(|((minute, ..), _)| minute.cast_unsigned());
    let known = in_minutes(sql, dictionary::list_of_ids(minutes))?;
    let is_known = |hash: &[u8; 32]| known.iter().any(|stored| stored.hash == *hash);
    let celsius = |number: Option<i32>| number.and_then(|number| MilliCelsius::new(number.into()));
    let new = |(reading, change): &ChangeOf| {
        let (minute, device, ms) = *reading;
        let at = UnixMillis::from_minute(minute, ms.cast_signed())?;
        let name = |region: Option<u32>| regions.get(region?.into());
        let device = devices.get(device)?;
        let hash = |reason: &str| {
            let temperatures = [change.expected, change.millicelsius].map(celsius);
            let regions = [change.expected_region, change.region].map(name);
            sha256(&text_of((device, at), temperatures, regions, reason))
        };
        let mut reason = task.cause.reason.to_owned();
        for times in 2.. {
            if !is_known(&hash(&reason)) {
                break;
            }
            reason = format!("{} ({times})", task.cause.reason);
        }
        let (reading, change, hash) = (*reading, *change, hash(&reason));
        let by = task.cause.by.map(str::to_owned);
        Some(NewCorrection { reading, change, hash, reason, made: task.cause.made, by })
    };
    changes.iter().map(new).collect::<Option<_>>().ok_or(Error::Corrupt("correction"))
}

/// Posts the readings once more, as those of the other device: as they were counted, so that
/// they are known when they are sent again. Where that device has one of the same time, it is
/// a duplicate of it, or contradicts it.
fn post_again(sql: &impl Sql, task: &Task<'_>, found: &[Found]) -> Result<(), Error> {
    let (Whole::Device, Some(device)) = (task.whole, task.into) else { return Ok(()) };
    let row = |found: &Found| {
        let (row, stands) = found.counted?;
        let row = if found.other.is_some() { stood(&row, &stands)? } else { row };
        Some(Row { key: key(device, row.ms().unsigned_abs()), ..row })
    };
    let mut rows: Vec<Row> = found.iter().filter_map(row).collect();
    for (index, row) in (0..).zip(&mut rows) {
        row.index = index;
    }
    let mut outcomes = vec![Outcome::TooOld; rows.len()];
    count::post_rows(sql, &rows, &mut outcomes)
}
