//! Counters beside the windows, and figures of the whole database.

use crate::domain::reading::UnixMillis;
use crate::domain::rejection::{Reason, Rejections};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::sql::{integers, placeholders};

/// The tally of transactions that posted readings. While it is unchanged, so are the
/// counted readings.
pub(crate) const FOLDS: &str = "folds";

/// The tally of the time before which readings were pruned, in Unix milliseconds.
pub(crate) const PRUNED_BEFORE: &str = "pruned_before";

/// The tallies of entries of the journal that were folded, and of the readings that came with
/// them or, where the sender waited, without an entry. (Those of older releases are not in
/// them.)
pub(crate) const ENTRIES: &str = "entries";
/// See `ENTRIES`.
pub(crate) const ENTRY_READINGS: &str = "entry_readings";

/// Counts entries that are folded, and their readings; no entry for readings that are folded
/// without one.
pub(crate) fn count_entries(sql: &impl Sql, entries: usize, readings: usize) -> Result<(), Error> {
    add_to_tallies(sql, &[(ENTRIES, entries), (ENTRY_READINGS, readings)])
}

/// The value of a tally; 0 if it was never written.
pub(crate) fn tally(sql: &impl Sql, name: &str) -> Result<i64, Error> {
    let statement = "SELECT value FROM tallies WHERE name = ?1";
    let rows = sql.execute(statement, &[Value::Text(name.to_owned())]).map_err(Error::Regions)?;
    match rows.first() {
        None => Ok(0),
        Some(row) => integers(row).map(|[value]| value).ok_or(Error::Corrupt("tally")),
    }
}

/// How SQLite keeps the database, in its own words; `None` where it does not tell, as some
/// servers don't.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    /// In other journal modes than `wal`, readers and the writer wait for each other. It is
    /// another one where the file system has no shared memory, as over a network.
    pub(crate) journal: Option<String>,
    /// What is on disk after a commit: with `full` and `extra` all of it. With `normal`, as
    /// libSQL's server has by default, a power cut takes back the last commits; with `off` it
    /// may damage the file. (<https://sqlite.org/pragma.html#pragma_synchronous>)
    pub(crate) synchronous: Option<&'static str>,
}

impl Modes {
    /// Asks for them.
    pub(crate) fn of(sql: &impl Sql) -> Self {
        let synchronous = match pragma(sql, "PRAGMA synchronous") {
            Some(Value::Integer(0)) => Some("off"),
            Some(Value::Integer(1)) => Some("normal"),
            Some(Value::Integer(2)) => Some("full"),
            Some(Value::Integer(3)) => Some("extra"),
            _ => None,
        };
        match pragma(sql, "PRAGMA journal_mode") {
            Some(Value::Text(journal)) => Self { journal: Some(journal), synchronous },
            _ => Self { journal: None, synchronous },
        }
    }

    /// Whether a power cut may take back what was committed.
    pub(crate) fn may_lose_commits(&self) -> bool {
        matches!(self.synchronous, Some("off" | "normal"))
    }
}

fn pragma(sql: &impl Sql, statement: &str) -> Option<Value> {
    // A database that does not tell is as good as another.
    let rows = sql.execute(statement, &[]).ok()?;
    rows.into_iter().next()?.into_iter().next()
}

/// The first minute whose readings can be corrected: of the first hour that is wholly in
/// the ledger. Figures of an hour in which pruning stopped can't be computed anew.
pub(crate) fn correctable_from(sql: &impl Sql) -> Result<i64, Error> {
    Ok(first_whole_hour(tally(sql, PRUNED_BEFORE)?))
}

/// The first minute of the first hour from which nothing was pruned, given the time before
/// which readings were, in Unix milliseconds.
pub(crate) fn first_whole_hour(pruned_before: i64) -> i64 {
    const MINUTES: i64 = 60;
    let hour = MINUTES * UnixMillis::PER_MINUTE;
    (pruned_before.saturating_add(hour - 1) / hour) * MINUTES
}

/// The prefix of the tallies of rejected readings; a reason's code follows.
pub(crate) const REJECTED_PREFIX: &str = "rejected.";

/// Counts rejected readings, by reason.
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

/// Adds to tallies; a count of 0 is skipped.
pub(super) fn add_to_tallies(sql: &impl Sql, counts: &[(&str, usize)]) -> Result<(), Error> {
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

fn names_and_numbers(rows: Vec<Vec<Value>>) -> Option<Vec<(String, i64)>> {
    let pair = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(name), Value::Integer(number)]) => Some((name, number)),
        _ => None,
    };
    rows.into_iter().map(pair).collect()
}

/// What the door must know of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Readings from before this time were pruned.
    pub(crate) pruned_before: UnixMillis,
    /// When the newest reading was measured, to the minute.
    pub(crate) newest: Option<UnixMillis>,
    pub(crate) regions: usize,
    pub(crate) devices: usize,
    /// Whether some region has plausible limits.
    pub(crate) has_plausible: bool,
}

/// What the door must know, at the cost of some index lookups.
pub(crate) fn facts(sql: &impl Sql) -> Result<Facts, Error> {
    // Ids are consecutive and no name is ever deleted, so the largest id is the count.
    let statement = "\
        SELECT coalesce((SELECT value FROM tallies WHERE name = ?1), 0), \
               coalesce((SELECT max(minute) FROM ledger), -1), \
               coalesce((SELECT max(id) FROM regions), 0), \
               coalesce((SELECT max(id) FROM devices), 0), \
               EXISTS (SELECT 1 FROM limits \
                       WHERE plausible_low IS NOT NULL OR plausible_high IS NOT NULL)";
    let bindings = [Value::Text(PRUNED_BEFORE.to_owned())];
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let facts = |row: &Vec<Value>| {
        let [pruned_before, newest, regions, devices, has_plausible] = integers(row)?;
        Some(Facts {
            pruned_before: UnixMillis::new(pruned_before)?,
            newest: UnixMillis::from_minute(newest, 0),
            regions: usize::try_from(regions).ok()?,
            devices: usize::try_from(devices).ok()?,
            has_plausible: has_plausible != 0,
        })
    };
    rows.first().and_then(facts).ok_or(Error::Corrupt("tally"))
}

/// What is counted in all regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) readings: i64,
    pub(crate) regions: i64,
}

/// What is counted in all regions.
pub(crate) fn totals(sql: &impl Sql) -> Result<Totals, Error> {
    let statement = "SELECT coalesce(sum(readings), 0), count(*) FROM windows \
                     WHERE span = 0 AND readings > 0";
    let rows = sql.execute(statement, &[]).map_err(Error::Regions)?;
    let numbers = rows.first().and_then(|row| integers(row));
    let totals = numbers.map(|[readings, regions]| Totals { readings, regions });
    totals.ok_or(Error::Corrupt("window"))
}

/// A number that rises with every reading that is counted, and with every one that
/// contradicts, in the regions for which `condition` (SQL, with `r.name`) holds.
pub(crate) fn changes(sql: &impl Sql, condition: &str) -> Result<i64, Error> {
    let statement = format!(
        "SELECT coalesce(sum(w.readings + w.conflicts), 0) \
         FROM windows AS w JOIN regions AS r ON r.id = w.region \
         WHERE w.span = 0 AND {condition}"
    );
    let rows = sql.execute(&statement, &[]).map_err(Error::Regions)?;
    let numbers = rows.first().and_then(|row| integers(row));
    numbers.map(|[changes]| changes).ok_or(Error::Corrupt("window"))
}

/// SQL for the time of the newest reading, not after ?1, in the region of a window `w`.
/// A reading from a clock that was ahead does not show that the region still sends.
pub(crate) const NEWEST_BY_THEN: &str = "\
    (SELECT min(m.newest, ?1) FROM windows AS m \
     WHERE m.span = 1 AND m.region = w.region AND m.readings > 0 AND m.start <= ?1 / 60000 \
     ORDER BY m.start DESC LIMIT 1)";

/// Regions with the time of their newest reading that is not after `latest`, in Unix
/// milliseconds; 0 if there is none. At most `limit` regions: those that were known
/// first, for which `condition` (SQL, with `r.name`) holds.
pub(crate) fn newest_by_region(
    sql: &impl Sql,
    condition: &str,
    latest: UnixMillis,
    limit: i64,
) -> Result<Vec<(String, i64)>, Error> {
    let statement = format!(
        "SELECT name, coalesce(iif(w.newest <= ?1, w.newest, {NEWEST_BY_THEN}), 0) \
         FROM windows AS w JOIN regions AS r ON r.id = w.region \
         WHERE w.span = 0 AND w.readings > 0 AND {condition} ORDER BY w.region LIMIT ?2"
    );
    let bindings = [latest.get(), limit].map(Value::Integer);
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    names_and_numbers(rows).ok_or(Error::Corrupt("window"))
}
