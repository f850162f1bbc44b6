//! Posting readings: to the ledger, and those that count to the windows.
//!
//! Architecture invariant: the ledger alone decides whether a reading counts. A reading
//! enters it only if no reading with its device and time is there; only then does it
//! enter the windows, in the same transaction. The transaction takes the write lock
//! before it reads the ledger. So any number of folds may post the same readings, at
//! once or again, and the windows come out the same.
//!
//! The ledger is stored as runs (`sorted_run.rs`), each of one minute's readings,
//! sorted by device and time.

use crate::base::sort;
use crate::domain::reading::Reading;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::corrected;
use crate::ledger::corrected::Better;
use crate::ledger::dictionary;
use crate::ledger::numbers;
use crate::ledger::outbox;
use crate::ledger::repeats::Repeats;
use crate::ledger::row::{LEDGER, Row};
use crate::ledger::sql::{placeholders, rows_per_statement};
use crate::ledger::totals::{FOLDS, PRUNED_BEFORE, add_to_tallies, tally};
use crate::limits;

/// What became of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Counted, for the first time.
    Stored,
    /// Counted before, with the same content, or with the content that stands after its
    /// corrections.
    Duplicate,
    /// Contradicts a counted reading of the same device and time; the counted one
    /// stands.
    Conflict,
    /// Older than what was pruned: it may be a duplicate, so it was not counted.
    TooOld,
}

/// Posts `readings` and returns the outcome of each, in their order. Of several
/// readings with the same identity, the first is stored.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn post(sql: &impl Sql, readings: &[Reading<'_>]) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = vec![Outcome::TooOld; readings.len()];
    let readings = numbers::with_first_times(sql, readings)?;
    post_rows(sql, &sorted_rows(sql, &readings)?, &mut outcomes)?;
    Ok(outcomes)
}

/// The same for rows, sorted by key. The outcome of each is stored at its index.
#[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
pub(super) fn post_rows(
    sql: &impl Sql,
    rows: &[Row],
    outcomes: &mut [Outcome],
) -> Result<(), Error> {
    let mut counted = Vec::with_capacity(rows.len());
    let (mut in_time, mut time_sent) = (Vec::new(), Vec::new());
    let mut repeats = Repeats::default();
    let mut others = Vec::new();
    LEDGER.merge(sql, rows, |standing, row| {
        let outcome = match standing {
            None => {
                counted.push(*row);
                Outcome::Stored
            }
            Some(standing) if standing.content() == row.content() => {
                repeats.duplicate(standing);
                set(outcomes, row, Outcome::Duplicate);
                // Of nodes that have it, the one to which it came in time is right, and the
                // one that was sent its time: so all of them agree, whichever copy came first.
                let was_in_time = standing.is_late && !row.is_late;
                let was_sent = standing.is_time_assumed && !row.is_time_assumed;
                standing.is_late &= row.is_late;
                standing.is_time_assumed &= row.is_time_assumed;
                in_time.extend(was_in_time.then_some(*standing));
                time_sent.extend(was_sent.then_some(*standing));
                return was_in_time || was_sent;
            }
            Some(standing) => {
                others.push((*standing, *row));
                Outcome::Conflict
            }
        };
        set(outcomes, row, outcome);
        // What a counted reading says is never changed.
        false
    })?;
    outbox::note_counted(sql, &counted)?;
    outbox::note_counted(sql, &in_time)?;
    outbox::note_counted(sql, &time_sent)?;
    corrected::add(sql, counted)?;
    corrected::known_better(sql, &in_time, Better::InTime)?;
    corrected::known_better(sql, &time_sent, Better::TimeSent)?;
    let mut conflicts = Vec::new();
    for (standing, row, is_known) in corrected::known(sql, others)? {
        match is_known {
            true => {
                repeats.duplicate(&standing);
                set(outcomes, &row, Outcome::Duplicate);
            }
            false => {
                repeats.conflict(&standing);
                conflicts.push(row);
            }
        }
    }
    repeats.count(sql)?;
    keep_conflicts(sql, &conflicts)?;
    let count = |outcome| outcomes.iter().filter(|&&o| o == outcome).count();
    add_to_tallies(
        sql,
        &[(FOLDS, 1), ("duplicates", count(Outcome::Duplicate)), ("conflicts", conflicts.len())],
    )
}

fn set(outcomes: &mut [Outcome], row: &Row, outcome: Outcome) {
    if let Some(place) = outcomes.get_mut(row.index as usize) {
        *place = outcome;
    }
}

/// The readings as rows, sorted by key; rows with the same key keep their order, as the
/// first may be stored. Readings from before what was pruned are left out.
fn sorted_rows(sql: &impl Sql, readings: &[Reading<'_>]) -> Result<Vec<Row>, Error> {
    let mut rows = rows(sql, readings, tally(sql, PRUNED_BEFORE)?)?;
    sort::sort_by_key(&mut rows, Row::place);
    Ok(rows)
}

/// The readings as rows, in their order, without those from before what was pruned. New
/// names get an id.
fn rows(sql: &impl Sql, readings: &[Reading<'_>], pruned_before: i64) -> Result<Vec<Row>, Error> {
    let is_open = |reading: &Reading<'_>| reading.timestamp.get() >= pruned_before;
    let mut open = Vec::with_capacity(readings.len());
    open.extend(readings.iter().enumerate().filter(|(_, reading)| is_open(reading)));
    let devices = dictionary::ids(sql, "devices", open.iter().map(|(_, r)| r.device_id.as_str()))?;
    let regions = dictionary::ids(sql, "regions", open.iter().map(|(_, r)| r.region.as_str()))?;
    let mut rows = Vec::with_capacity(open.len());
    for ((index, reading), (device, region)) in
        open.into_iter().zip(devices.into_iter().zip(regions))
    {
        rows.push(Row::of(index, reading, device, region).ok_or(Error::Corrupt("names"))?);
    }
    Ok(rows)
}

/// Columns of a conflict.
const CONFLICT_COLUMNS: usize = 5;

/// Stores the contradicting rows. Of all conflicts, the newest
/// `limits::CONFLICTS_KEPT_MAX` are kept.
fn keep_conflicts(sql: &impl Sql, conflicts: &[Row]) -> Result<(), Error> {
    if conflicts.is_empty() {
        return Ok(());
    }
    for chunk in conflicts.chunks(rows_per_statement(sql, CONFLICT_COLUMNS)) {
        let statement = format!(
            "INSERT OR IGNORE INTO conflicts (minute, device, ms, region, milli) VALUES {}",
            placeholders(chunk.len(), CONFLICT_COLUMNS),
        );
        let row = |row: &Row| {
            let (device, region) = (row.device().cast_signed(), i64::from(row.region));
            [i64::from(row.minute), device, row.ms(), region, i64::from(row.millicelsius)]
        };
        let bindings: Vec<Value> = chunk.iter().flat_map(row).map(Value::Integer).collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    let beyond = "\
        DELETE FROM conflicts WHERE (minute, device, ms, region, milli) IN ( \
            SELECT minute, device, ms, region, milli FROM conflicts \
            ORDER BY minute DESC, device DESC, ms DESC, region DESC, milli DESC \
            LIMIT -1 OFFSET ?1)";
    let most = [Value::Integer(limits::CONFLICTS_KEPT_MAX)];
    sql.execute(beyond, &most).map(|_no_rows| ()).map_err(Error::Regions)
}
