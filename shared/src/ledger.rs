//! Posting readings to the ledger, and by it to the windows.
//!
//! Architecture invariant: the ledger's primary key alone decides whether a
//! reading counts. `INSERT … ON CONFLICT DO NOTHING RETURNING` tells which rows
//! were really inserted, and only those enter the windows, in the same
//! transaction. So any number of folds may post the same readings, at once or
//! again, and the windows come out the same.

use std::collections::{HashMap, HashSet};

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::limits;
use crate::reading::{MilliCelsius, Reading, UnixMillis};
use crate::rejection::Rejections;
use crate::windows::{self, Counted, Repeats};

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

/// A row of the ledger. Ordered by its key, then by where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    minute: i64,
    device: i64,
    ms: i64,
    /// The position of its reading among those that are posted; 0 for a row
    /// from the database.
    index: usize,
    region: i64,
    milli: i64,
    /// Whether its reading came late; not kept in the database.
    is_late: bool,
}

impl Row {
    fn key(&self) -> (i64, i64, i64) {
        (self.minute, self.device, self.ms)
    }

    fn content(&self) -> (i64, i64) {
        (self.region, self.milli)
    }

    fn parameters(&self) -> [Value; limits::LEDGER_COLUMNS] {
        [self.minute, self.device, self.ms, self.region, self.milli].map(Value::Integer)
    }

    fn counted(&self) -> Option<Counted> {
        Some(Counted {
            region: self.region,
            device: self.device,
            timestamp: UnixMillis::from_minute(self.minute, self.ms)?,
            temperature: MilliCelsius::new(self.milli)?,
            is_late: self.is_late,
        })
    }
}

/// Posts `readings` and says what became of each, in their order. Of readings
/// with the same identity the first one is stored.
///
/// Must run inside a transaction.
pub(crate) fn post(sql: &impl Sql, readings: &[Reading<'_>]) -> Result<Vec<Outcome>, Error> {
    let pruned_before = tally(sql, "pruned_before")?;
    let is_open = |(_, reading): &(usize, &Reading<'_>)| reading.timestamp.get() >= pruned_before;
    // In the order of the key, and of one key in the order of the readings: the
    // first is the one that may be stored.
    let mut rows = rows(sql, readings.iter().enumerate().filter(is_open))?;
    rows.sort_unstable();

    let inserted = insert(sql, &rows)?;
    let standing = standing(sql, &rows, &inserted)?;

    let mut outcomes = vec![Outcome::TooOld; readings.len()];
    let mut counted = Vec::with_capacity(inserted.len());
    let mut repeats = Repeats::default();
    let mut conflicts = Vec::new();
    let mut claimed = None;
    for row in &rows {
        // Rows of one key are neighbours, and the first of them was inserted if
        // any of them was.
        let own = find(&inserted, row);
        let is_first = own.is_some() && claimed != Some(row.key());
        claimed = Some(row.key());
        let stands = own.or_else(|| find(&standing, row)).ok_or(Error::Corrupt("ledger row"))?;
        let outcome = if is_first {
            counted.push(row.counted().ok_or(Error::Corrupt("ledger row"))?);
            Outcome::Stored
        } else if stands.content() == row.content() {
            repeats.duplicate(stands.region, stands.minute);
            Outcome::Duplicate
        } else {
            repeats.conflict(stands.region, stands.minute);
            conflicts.push(*row);
            Outcome::Conflict
        };
        if let Some(place) = outcomes.get_mut(row.index) {
            *place = outcome;
        }
    }
    windows::add(sql, counted)?;
    repeats.count(sql)?;
    keep_conflicts(sql, &conflicts)?;
    let count = |outcome| outcomes.iter().filter(|&&o| o == outcome).count();
    add_to_tally(sql, "duplicates", count(Outcome::Duplicate))?;
    add_to_tally(sql, "conflicts", conflicts.len())?;
    add_to_tally(sql, "too_old", count(Outcome::TooOld))?;
    Ok(outcomes)
}

fn find<'a>(sorted: &'a [Row], row: &Row) -> Option<&'a Row> {
    let index = sorted.binary_search_by_key(&row.key(), Row::key).ok()?;
    sorted.get(index)
}

/// The readings as rows, in their order; names that are new get an id.
fn rows<'a>(
    sql: &impl Sql,
    readings: impl Iterator<Item = (usize, &'a Reading<'a>)> + Clone,
) -> Result<Vec<Row>, Error> {
    let devices = ids(sql, "devices", readings.clone().map(|(_, r)| r.device_id.as_str()))?;
    let regions = ids(sql, "regions", readings.clone().map(|(_, r)| r.region.as_str()))?;
    let row = |(index, reading): (usize, &Reading<'_>)| {
        Some(Row {
            minute: reading.timestamp.minute(),
            device: *devices.get(reading.device_id.as_str())?,
            ms: reading.timestamp.ms_of_minute(),
            index,
            region: *regions.get(reading.region.as_str())?,
            milli: i64::from(reading.temperature.get()),
            is_late: reading.is_late,
        })
    };
    readings.map(row).collect::<Option<_>>().ok_or(Error::Corrupt("names"))
}

fn ids<'a>(
    sql: &impl Sql,
    table: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, i64>, Error> {
    let names: HashSet<&str> = names.collect();
    let known =
        format!("SELECT name, id FROM {table} WHERE name IN (SELECT value FROM json_each(?1))");
    let new = format!(
        "INSERT INTO {table} (name) SELECT value FROM json_each(?1) WHERE true \
         ON CONFLICT (name) DO NOTHING RETURNING name, id"
    );
    let mut ids = name_ids(sql, &known, names.iter())?;
    if ids.len() < names.len() {
        let missing = names.iter().filter(|&&name| !ids.contains_key(name));
        let created = name_ids(sql, &new, missing)?;
        ids.extend(created);
    }
    Ok(ids)
}

fn name_ids<'a>(
    sql: &impl Sql,
    statement: &str,
    names: impl Iterator<Item = &'a &'a str>,
) -> Result<HashMap<String, i64>, Error> {
    // A name has no character that JSON would escape.
    let quoted: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    let list = Value::Text(format!("[{}]", quoted.join(",")));
    let rows = sql.execute(statement, &[list]).map_err(Error::Regions)?;
    names_and_numbers(rows).ok_or(Error::Corrupt("name"))
}

fn names_and_numbers(rows: Vec<Vec<Value>>) -> Option<HashMap<String, i64>> {
    let pair = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(name), Value::Integer(number)]) => Some((name, number)),
        _ => None,
    };
    rows.into_iter().map(pair).collect()
}

/// Inserts those of the rows whose key is free, and returns them, sorted.
fn insert(sql: &impl Sql, candidates: &[Row]) -> Result<Vec<Row>, Error> {
    let mut inserted = Vec::with_capacity(candidates.len());
    for chunk in candidates.chunks(limits::ROWS_PER_STATEMENT) {
        let statement = format!(
            "INSERT INTO ledger (minute, device, ms, region, milli) VALUES {} \
             ON CONFLICT DO NOTHING RETURNING minute, device, ms, region, milli",
            placeholders(chunk.len(), limits::LEDGER_COLUMNS)
        );
        inserted.append(&mut ledger_rows(sql, &statement, &parameters(chunk))?);
    }
    inserted.sort_unstable();
    Ok(inserted)
}

/// The rows that kept the candidates from being inserted, sorted.
fn standing(sql: &impl Sql, candidates: &[Row], inserted: &[Row]) -> Result<Vec<Row>, Error> {
    let refused = candidates.iter().filter(|row| find(inserted, row).is_none());
    let refused: Vec<Row> = refused.copied().collect();
    let mut standing = Vec::with_capacity(refused.len());
    for chunk in refused.chunks(limits::ROWS_PER_STATEMENT) {
        let statement = format!(
            "SELECT l.minute, l.device, l.ms, l.region, l.milli \
             FROM (SELECT column1 AS minute, column2 AS device, column3 AS ms \
                   FROM (VALUES {})) AS r \
             CROSS JOIN ledger AS l USING (minute, device, ms)",
            placeholders(chunk.len(), limits::LEDGER_COLUMNS)
        );
        standing.append(&mut ledger_rows(sql, &statement, &parameters(chunk))?);
    }
    standing.sort_unstable();
    Ok(standing)
}

fn ledger_rows(sql: &impl Sql, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, Error> {
    let rows = sql.execute(statement, parameters).map_err(Error::Regions)?;
    let row = |row: Vec<Value>| {
        let [minute, device, ms, region, milli] = integers(&row)?;
        Some(Row { minute, device, ms, index: 0, region, milli, is_late: false })
    };
    rows.into_iter().map(row).collect::<Option<_>>().ok_or(Error::Corrupt("ledger row"))
}

/// Keeps the contradicting rows, as long as there is room for them.
fn keep_conflicts(sql: &impl Sql, conflicts: &[Row]) -> Result<(), Error> {
    for chunk in conflicts.chunks(limits::ROWS_PER_STATEMENT) {
        let statement = format!(
            "INSERT OR IGNORE INTO conflicts (minute, device, ms, region, milli) \
             SELECT * FROM (VALUES {}) LIMIT max(0, {} - (SELECT count(*) FROM conflicts))",
            placeholders(chunk.len(), limits::LEDGER_COLUMNS),
            limits::CONFLICTS_KEPT_MAX
        );
        sql.execute(&statement, &parameters(chunk)).map_err(Error::Regions)?;
    }
    Ok(())
}

/// Removes at most `rows_max` ledger rows from before `horizon`, which is
/// remembered first: what is older can't be told from a duplicate any more.
///
/// Must run inside a transaction.
pub(crate) fn prune(sql: &impl Sql, horizon: UnixMillis, rows_max: i64) -> Result<(), Error> {
    let remember = "INSERT INTO tallies (name, value) VALUES ('pruned_before', ?1) \
                    ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    // Whole minutes go, so that is how far was pruned.
    let minute = horizon.minute();
    let before = minute.saturating_mul(UnixMillis::PER_MINUTE);
    sql.execute(remember, &[Value::Integer(before)]).map_err(Error::Regions)?;
    let remove = "DELETE FROM ledger WHERE (minute, device, ms) IN (\
                      SELECT minute, device, ms FROM ledger WHERE minute < ?1 \
                      ORDER BY minute, device, ms LIMIT ?2)";
    let parameters = [Value::Integer(minute), Value::Integer(rows_max)];
    sql.execute(remove, &parameters).map(drop).map_err(Error::Regions)
}

/// When the newest reading in the ledger was measured, to the minute.
pub(crate) fn newest(sql: &impl Sql) -> Result<Option<UnixMillis>, Error> {
    let newest = "SELECT minute FROM ledger ORDER BY minute DESC LIMIT 1";
    let rows = sql.execute(newest, &[]).map_err(Error::Regions)?;
    let minute = rows.first().and_then(|row| integers(row));
    Ok(minute.and_then(|[minute]| UnixMillis::from_minute(minute, 0)))
}

/// Whether the ledger has rows from before `horizon`.
pub(crate) fn has_rows_before(sql: &impl Sql, horizon: UnixMillis) -> Result<bool, Error> {
    let oldest = "SELECT minute FROM ledger ORDER BY minute, device, ms LIMIT 1";
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
    for (reason, count) in rejections.iter() {
        let name = format!("{REJECTED_PREFIX}{}", reason.code());
        add_to_tally(sql, &name, usize::try_from(count).unwrap_or(usize::MAX))?;
    }
    Ok(())
}

/// All tallies by their names.
pub(crate) fn tallies(sql: &impl Sql) -> Result<HashMap<String, i64>, Error> {
    let rows = sql.execute("SELECT name, value FROM tallies", &[]).map_err(Error::Regions)?;
    names_and_numbers(rows).ok_or(Error::Corrupt("tally"))
}

/// How many readings are counted in all regions.
pub(crate) fn stored(sql: &impl Sql) -> Result<i64, Error> {
    let statement = "SELECT coalesce(sum(readings), 0) FROM windows WHERE span = 0";
    let rows = sql.execute(statement, &[]).map_err(Error::Regions)?;
    let number = rows.first().and_then(|row| integers(row));
    number.map(|[stored]| stored).ok_or(Error::Corrupt("window"))
}

fn add_to_tally(sql: &impl Sql, name: &str, count: usize) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let statement = "INSERT INTO tallies (name, value) VALUES (?1, ?2) \
                     ON CONFLICT DO UPDATE SET value = value + excluded.value";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let parameters = [Value::Text(name.to_owned()), Value::Integer(count)];
    sql.execute(statement, &parameters).map(drop).map_err(Error::Regions)
}

fn parameters(rows: &[Row]) -> Vec<Value> {
    rows.iter().flat_map(Row::parameters).collect()
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
