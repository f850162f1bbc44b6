//! Posting readings to the ledger, and by it to the windows.
//!
//! Architecture invariant: the ledger alone decides whether a reading counts. A
//! reading enters it if no other one stands under its device and time, and only
//! then the windows, in the same transaction; the transaction holds the write
//! lock from before the ledger is looked at. So any number of folds may post the
//! same readings, at once or again, and the windows come out the same.
//!
//! The ledger is kept as runs (`runs.rs`) of a minute's readings, in the
//! order of devices and times.

use crate::base::sort;
use crate::base::varint::{self, unzigzag, zigzag};
use crate::domain::reading::{MilliCelsius, Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejections};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary;
use crate::ledger::sorted_run::{Keys, Run, RunRecord, RunTable};
use crate::ledger::windows::{self, Repeats};
use crate::limits;

/// What became of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Counted, for the first time.
    Stored,
    /// Counted before, with the same content.
    Duplicate,
    /// Contradicts a counted reading of the same device and time, which
    /// stands.
    Conflict,
    /// Older than what was pruned: it can't be told from a duplicate, and was
    /// not counted.
    TooOld,
}

/// The table of the ledger's runs.
pub(crate) const LEDGER: RunTable<1> = RunTable { name: "ledger", group: ["minute"] };

/// A reading in the ledger, or on its way into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whole minutes since 1970-01-01T00:00:00Z.
    pub minute: u32,
    /// Device and milliseconds into the minute: see `key`.
    key: u64,
    /// The region's id.
    pub region: u32,
    /// Thousandths of a degree Celsius.
    pub millicelsius: i32,
    /// The position of its reading among those that are posted; of no meaning in
    /// a row from the database.
    index: u32,
    /// Whether its reading came late; not kept in the database.
    pub is_late: bool,
}

/// Bits of a key that tell the milliseconds into the minute, which are below
/// 60,000; those above tell the device.
const MS_BITS: u32 = 16;

/// Bits that the id of a device may have: with the milliseconds in its key, as many
/// as a positive INTEGER of SQLite.
pub(crate) const DEVICE_BITS: u32 = 63 - MS_BITS;

/// A reading's place in its minute: by device, then by time.
fn key(device: u64, ms: u64) -> u64 {
    device << MS_BITS | ms
}

/// The key of a device's reading.
pub(crate) fn key_at(minute: i64, device: u64, ms: u64) -> Keys<1> {
    let key = key(device, ms);
    Keys { group: [minute], from: key, to: key }
}

impl Row {
    pub(crate) fn of(
        index: usize,
        reading: &Reading<'_>,
        device: u64,
        region: u64,
    ) -> Option<Self> {
        let ms = u64::try_from(reading.timestamp.ms_of_minute()).ok()?;
        let device = Some(device).filter(|device| device >> DEVICE_BITS == 0)?;
        Some(Self {
            minute: u32::try_from(reading.timestamp.minute()).ok()?,
            key: key(device, ms),
            region: u32::try_from(region).ok()?,
            millicelsius: reading.temperature.get(),
            index: u32::try_from(index).ok()?,
            is_late: reading.is_late,
        })
    }

    /// The device's id.
    pub fn device(&self) -> u64 {
        self.key >> MS_BITS
    }

    /// When it was measured.
    pub fn timestamp(&self) -> Option<UnixMillis> {
        UnixMillis::from_minute(i64::from(self.minute), self.ms())
    }

    /// Minute, device and time, as one key (`order`).
    fn place(&self) -> u128 {
        u128::from(self.minute) << 64 | u128::from(self.key)
    }

    /// Milliseconds into the minute.
    pub(crate) fn ms(&self) -> i64 {
        (self.key & ((1 << MS_BITS) - 1)).cast_signed()
    }

    /// The measured temperature.
    pub fn temperature(&self) -> Option<MilliCelsius> {
        MilliCelsius::new(i64::from(self.millicelsius))
    }

    fn content(&self) -> (u32, i32) {
        (self.region, self.millicelsius)
    }
}

/// Beside the key: the region, and how much warmer it is than the one before.
impl RunRecord<1> for Row {
    const NUMBERS: usize = 2;

    fn group(&self) -> [i64; 1] {
        [i64::from(self.minute)]
    }

    fn key(&self) -> u64 {
        self.key
    }

    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        varint::put(out, u64::from(self.region));
        let millicelsius_before = before.map_or(0, |row| row.millicelsius);
        varint::put(out, zigzag(i64::from(self.millicelsius) - i64::from(millicelsius_before)));
    }

    fn take(group: [i64; 1], key: u64, before: Option<&Self>, input: &mut &[u8]) -> Option<Self> {
        let region = i64::try_from(varint::take(input).ok()?).ok()?;
        let millicelsius_before = before.map_or(0, |row| row.millicelsius);
        let millicelsius =
            unzigzag(varint::take(input).ok()?).checked_add(i64::from(millicelsius_before))?;
        Self::from_row(group, key, &[region, millicelsius])
    }

    fn from_row([minute]: [i64; 1], key: u64, numbers: &[i64]) -> Option<Self> {
        let [region, millicelsius] = *numbers else { return None };
        Some(Self {
            minute: u32::try_from(minute).ok()?,
            key,
            region: u32::try_from(region).ok()?,
            millicelsius: MilliCelsius::new(millicelsius)?.get(),
            index: 0,
            is_late: false,
        })
    }
}

/// Posts `readings` and says what became of each, in their order. Of readings
/// with the same identity the first one is stored.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn post(sql: &impl Sql, readings: &[Reading<'_>]) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = vec![Outcome::TooOld; readings.len()];
    let mut counted = Vec::with_capacity(readings.len());
    let mut repeats = Repeats::default();
    let mut conflicts = Vec::new();
    LEDGER.merge(sql, &sorted_rows(sql, readings)?, |standing, row| {
        let outcome = match standing {
            None => {
                counted.push(*row);
                Outcome::Stored
            }
            Some(standing) if standing.content() == row.content() => {
                repeats.duplicate(standing);
                Outcome::Duplicate
            }
            Some(standing) => {
                repeats.conflict(standing);
                conflicts.push(*row);
                Outcome::Conflict
            }
        };
        if let Some(place) = outcomes.get_mut(row.index as usize) {
            *place = outcome;
        }
        // What stands is never changed.
        false
    })?;
    windows::add(sql, counted)?;
    repeats.count(sql)?;
    keep_conflicts(sql, &conflicts)?;
    let count = |outcome| outcomes.iter().filter(|&&o| o == outcome).count();
    add_to_tallies(
        sql,
        &[(FOLDS, 1), ("duplicates", count(Outcome::Duplicate)), ("conflicts", conflicts.len())],
    )?;
    Ok(outcomes)
}

/// The tally of transactions that posted readings: where it is the same, so is what is
/// counted.
pub(crate) const FOLDS: &str = "folds";

/// The tally that says how far was pruned, in Unix milliseconds.
pub(crate) const PRUNED_BEFORE: &str = "pruned_before";

/// The readings as rows, in the order of the key, and of one key in their own: the first
/// is the one that may be stored. Without those from before what was pruned.
fn sorted_rows(sql: &impl Sql, readings: &[Reading<'_>]) -> Result<Vec<Row>, Error> {
    let mut rows = rows(sql, readings, tally(sql, PRUNED_BEFORE)?)?;
    sort::sort_by_key(&mut rows, Row::place);
    Ok(rows)
}

/// The readings as rows, in their order, but for those from before what was pruned;
/// names that are new get an id.
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

fn names_and_numbers(rows: Vec<Vec<Value>>) -> Option<Vec<(String, i64)>> {
    let pair = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(name), Value::Integer(number)]) => Some((name, number)),
        _ => None,
    };
    rows.into_iter().map(pair).collect()
}

/// Columns of a conflict.
const CONFLICT_COLUMNS: usize = 5;

/// Keeps the contradicting rows; of all of them, the newest that there is room for.
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

/// The rows of the runs that the keys belong to, in the order of minutes and keys,
/// which must be that of `wanted`.
pub(crate) fn load(sql: &impl Sql, wanted: &[Keys<1>]) -> Result<Vec<Row>, Error> {
    rows_of(&LEDGER.load(sql, wanted)?)
}

/// The rows of all minutes from `from` (included) to `to` (excluded), by minute,
/// device and time.
pub fn rows_between(sql: &impl Sql, from: i64, to: i64) -> Result<Vec<Row>, Error> {
    let statement = "SELECT minute, first, run FROM ledger \
                     WHERE minute >= ?1 AND minute < ?2 ORDER BY minute, first";
    let rows = sql.execute(statement, &[from, to].map(Value::Integer)).map_err(Error::Regions)?;
    rows_of(&runs(&rows)?)
}

fn runs(rows: &[Vec<Value>]) -> Result<Vec<Run<1>>, Error> {
    let runs = rows.iter().map(|row| Run::from_columns(row)).collect::<Option<_>>();
    runs.ok_or(Error::Corrupt("ledger"))
}

/// The rows of a device in the minutes from `from` (included) to `to` (excluded),
/// by time.
pub(crate) fn rows_of_device(
    sql: &impl Sql,
    device: u64,
    from: i64,
    to: i64,
) -> Result<Vec<Row>, Error> {
    let statement = "\
        WITH RECURSIVE minutes (minute) AS ( \
            SELECT ?1 UNION ALL SELECT minute + 1 FROM minutes WHERE minute + 1 < ?2) \
        SELECT l.minute, l.first, l.run FROM minutes AS m CROSS JOIN ledger AS l \
             ON l.minute = m.minute AND l.first <= ?4 AND l.first >= \
                (SELECT first FROM ledger WHERE minute = m.minute AND first <= ?3 \
                 ORDER BY first DESC LIMIT 1) \
        ORDER BY l.minute, l.first";
    let (first, last) = (key(device, 0), key(device, (1 << MS_BITS) - 1));
    let bindings = [from, to, first.cast_signed(), last.cast_signed()];
    let rows = sql.execute(statement, &bindings.map(Value::Integer)).map_err(Error::Regions)?;
    let mut rows = rows_of(&runs(&rows)?)?;
    rows.retain(|row| row.device() == device);
    Ok(rows)
}

fn rows_of(runs: &[Run<1>]) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for run in runs {
        rows.append(&mut LEDGER.decode(run)?);
    }
    Ok(rows)
}

/// The row of this minute, device and time among `rows`, which are as `load` has
/// them.
pub(crate) fn find(rows: &[Row], minute: i64, device: u64, ms: u64) -> Option<&Row> {
    let key = (minute, key(device, ms));
    let index = rows.binary_search_by_key(&key, |row| (i64::from(row.minute), row.key)).ok()?;
    rows.get(index)
}

/// Removes at most `runs_max` of the ledger's runs from before `before`, which is
/// remembered first: what is older can't be told from a duplicate any more. Conflicts
/// of that time go, too: what stands beside them is gone.
///
/// Must run inside a transaction.
pub(crate) fn prune(sql: &impl Sql, before: UnixMillis, runs_max: i64) -> Result<(), Error> {
    let remember = "INSERT INTO tallies (name, value) VALUES (?1, ?2) \
                    ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    // Whole minutes go, so that is how far was pruned.
    let minute = Value::Integer(before.minute());
    let pruned_before = before.minute().saturating_mul(UnixMillis::PER_MINUTE);
    let bindings = [Value::Text(PRUNED_BEFORE.to_owned()), Value::Integer(pruned_before)];
    sql.execute(remember, &bindings).map_err(Error::Regions)?;
    let remove = "DELETE FROM ledger WHERE id IN (\
                      SELECT id FROM ledger WHERE minute < ?1 ORDER BY minute LIMIT ?2)";
    let bindings = [minute.clone(), Value::Integer(runs_max)];
    sql.execute(remove, &bindings).map_err(Error::Regions)?;
    let conflicts = "DELETE FROM conflicts WHERE minute < ?1";
    sql.execute(conflicts, &[minute]).map(|_no_rows| ()).map_err(Error::Regions)
}

/// The newest hours in which the ledger has readings, at most `most`, the newest first:
/// each as its newest minute that has one.
pub(crate) fn hours(sql: &impl Sql, most: i64) -> Result<Vec<UnixMillis>, Error> {
    // From one to the next by the index, not by the rows.
    let statement = "\
        WITH RECURSIVE hours (minute) AS ( \
            SELECT max(minute) FROM ledger UNION ALL \
            SELECT (SELECT max(minute) FROM ledger WHERE minute < hours.minute / 60 * 60) \
            FROM hours WHERE hours.minute IS NOT NULL LIMIT ?1) \
        SELECT minute FROM hours WHERE minute IS NOT NULL";
    let rows = sql.execute(statement, &[Value::Integer(most)]).map_err(Error::Regions)?;
    let hour = |row: &Vec<Value>| {
        let [minute] = integers(row)?;
        UnixMillis::from_minute(minute, 0)
    };
    rows.iter().map(hour).collect::<Option<_>>().ok_or(Error::Corrupt("ledger"))
}

/// What the door must know of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// How far was pruned.
    pub(crate) pruned_before: UnixMillis,
    /// When the newest reading was measured, to the minute.
    pub(crate) newest: Option<UnixMillis>,
    pub(crate) regions: usize,
    pub(crate) devices: usize,
}

/// What the door must know, at the cost of four looks at an index.
pub(crate) fn facts(sql: &impl Sql) -> Result<Facts, Error> {
    // Ids are given one after the other, and no name ever goes.
    let statement = "\
        SELECT coalesce((SELECT value FROM tallies WHERE name = ?1), 0), \
               coalesce((SELECT max(minute) FROM ledger), -1), \
               coalesce((SELECT max(id) FROM regions), 0), \
               coalesce((SELECT max(id) FROM devices), 0)";
    let bindings = [Value::Text(PRUNED_BEFORE.to_owned())];
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let facts = |row: &Vec<Value>| {
        let [pruned_before, newest, regions, devices] = integers(row)?;
        Some(Facts {
            pruned_before: UnixMillis::new(pruned_before)?,
            newest: UnixMillis::from_minute(newest, 0),
            regions: usize::try_from(regions).ok()?,
            devices: usize::try_from(devices).ok()?,
        })
    };
    rows.first().and_then(facts).ok_or(Error::Corrupt("tally"))
}

/// Whether the ledger has rows from before `horizon`.
pub(crate) fn has_rows_before(sql: &impl Sql, horizon: UnixMillis) -> Result<bool, Error> {
    let oldest = "SELECT minute FROM ledger ORDER BY minute LIMIT 1";
    let rows = sql.execute(oldest, &[]).map_err(Error::Regions)?;
    Ok(match rows.first() {
        Some(row) => integers::<1>(row).is_some_and(|[minute]| minute < horizon.minute()),
        None => false,
    })
}

/// The value of a tally; 0 before anything was tallied.
pub(crate) fn tally(sql: &impl Sql, name: &str) -> Result<i64, Error> {
    let statement = "SELECT value FROM tallies WHERE name = ?1";
    let rows = sql.execute(statement, &[Value::Text(name.to_owned())]).map_err(Error::Regions)?;
    match rows.first() {
        None => Ok(0),
        Some(row) => integers(row).map(|[value]| value).ok_or(Error::Corrupt("tally")),
    }
}

/// The prefix of the tallies of rejected readings, before a reason's code.
pub(crate) const REJECTED_PREFIX: &str = "rejected.";

/// Counts rejected readings by their reasons.
pub(crate) fn count_rejections(sql: &impl Sql, rejections: &Rejections) -> Result<(), Error> {
    let tally = |(reason, count): (Reason, u64)| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        (format!("{REJECTED_PREFIX}{}", reason.code()), count)
    };
    let counts: Vec<(String, usize)> = rejections.iter().map(tally).collect();
    let counts: Vec<(&str, usize)> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    add_to_tallies(sql, &counts)
}

/// All tallies by their names.
pub(crate) fn tallies(sql: &impl Sql) -> Result<Vec<(String, i64)>, Error> {
    let rows = sql.execute("SELECT name, value FROM tallies", &[]).map_err(Error::Regions)?;
    names_and_numbers(rows).ok_or(Error::Corrupt("tally"))
}

/// What is counted in all regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) readings: i64,
    pub(crate) regions: i64,
}

/// What is counted in all regions.
pub(crate) fn totals(sql: &impl Sql) -> Result<Totals, Error> {
    let statement = "SELECT coalesce(sum(readings), 0), count(*) FROM windows WHERE span = 0";
    let rows = sql.execute(statement, &[]).map_err(Error::Regions)?;
    let numbers = rows.first().and_then(|row| integers(row));
    let totals = numbers.map(|[readings, regions]| Totals { readings, regions });
    totals.ok_or(Error::Corrupt("window"))
}

/// In SQL, the newest reading of the region of a window `w` that is not from after ?1:
/// one from a time when a clock was ahead is no sign of life.
pub(crate) const NEWEST_BY_THEN: &str = "\
    (SELECT min(m.newest, ?1) FROM windows AS m \
     WHERE m.span = 1 AND m.region = w.region AND m.start <= ?1 / 60000 \
     ORDER BY m.start DESC LIMIT 1)";

/// Regions and their newest readings that are not from after `latest`, Unix
/// milliseconds, 0 where there is none; of at most `limit` regions, those that were
/// known first.
pub(crate) fn newest_by_region(
    sql: &impl Sql,
    latest: UnixMillis,
    limit: i64,
) -> Result<Vec<(String, i64)>, Error> {
    let statement = format!(
        "SELECT name, coalesce(iif(w.newest <= ?1, w.newest, {NEWEST_BY_THEN}), 0) \
         FROM windows AS w JOIN regions ON id = w.region \
         WHERE w.span = 0 ORDER BY w.region LIMIT ?2"
    );
    let bindings = [latest.get(), limit].map(Value::Integer);
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    names_and_numbers(rows).ok_or(Error::Corrupt("window"))
}

fn add_to_tallies(sql: &impl Sql, counts: &[(&str, usize)]) -> Result<(), Error> {
    let mut bindings = Vec::with_capacity(counts.len() * 2);
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        bindings.push(Value::Text((*name).to_owned()));
        bindings.push(Value::Integer(i64::try_from(*count).unwrap_or(i64::MAX)));
    }
    if bindings.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "INSERT INTO tallies (name, value) VALUES {} \
         ON CONFLICT DO UPDATE SET value = value + excluded.value",
        placeholders(bindings.len() / 2, 2)
    );
    sql.execute(&statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// How many rows of this many bindings each go into one statement.
pub(crate) fn rows_per_statement(sql: &impl Sql, columns: usize) -> usize {
    (sql.parameters_max() / columns).clamp(1, limits::ROWS_PER_STATEMENT)
}

/// `(?,?,?),(?,?,?)`: the same text for the same number of rows, so that the
/// host's statement cache knows it again.
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row; rows].join(",")
}

/// The row as `N` integers, if it is that.
pub(crate) fn integers<const N: usize>(row: &[Value]) -> Option<[i64; N]> {
    let integer = |value: &Value| match value {
        Value::Integer(number) => Some(*number),
        Value::Text(_) | Value::Blob(_) | Value::Null => None,
    };
    let numbers: Option<Vec<i64>> = row.iter().map(integer).collect();
    numbers?.try_into().ok()
}
