//! Reading the ledger: rows by key, by minute, and by device.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::integers;
use crate::ledger::row::{LEDGER, MS_BITS, Row, key};
use crate::ledger::sorted_run::{Keys, Run};
use crate::ledger::standing::{between, standing};

/// All rows of the runs that the keys belong to, sorted by minute and key. `wanted`
/// must be sorted the same way.
pub(crate) fn load(sql: &impl Sql, wanted: &[Keys<1>]) -> Result<Vec<Row>, Error> {
    rows_of(&LEDGER.load(sql, wanted)?)
}

/// The rows that stand of all minutes from `from` (included) to `to` (excluded), sorted by
/// minute, device and time.
pub fn rows_between(sql: &impl Sql, from: i64, to: i64) -> Result<Vec<Row>, Error> {
    Ok(standing(counted_between(sql, from, to)?, &between(sql, from, to)?))
}

/// The rows as they were counted, likewise.
pub(super) fn counted_between(sql: &impl Sql, from: i64, to: i64) -> Result<Vec<Row>, Error> {
    let statement = "SELECT minute, first, run FROM ledger \
                     WHERE minute >= ?1 AND minute < ?2 ORDER BY minute, first";
    let rows = sql.execute(statement, &[from, to].map(Value::Integer)).map_err(Error::Regions)?;
    rows_of(&runs(&rows)?)
}

fn runs(rows: &[Vec<Value>]) -> Result<Vec<Run<1>>, Error> {
    let runs = rows.iter().map(|row| Run::from_columns(row)).collect::<Option<_>>();
    runs.ok_or(Error::Corrupt("ledger"))
}

/// The rows that stand of a device in the minutes from `from` (included) to `to` (excluded),
/// sorted by time.
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
    Ok(standing(rows, &between(sql, from, to)?))
}

fn rows_of(runs: &[Run<1>]) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for run in runs {
        rows.append(&mut LEDGER.decode(run)?);
    }
    Ok(rows)
}

/// The row of this minute, device and time among `rows`, which are sorted as `load`
/// returns them.
pub(crate) fn find(rows: &[Row], minute: i64, device: u64, ms: u64) -> Option<&Row> {
    let key = (minute, key(device, ms));
    let index = rows.binary_search_by_key(&key, |row| (i64::from(row.minute), row.key)).ok()?;
    rows.get(index)
}

/// The newest hours with readings in the ledger, newest first, at most `most`. Each is
/// given as its newest minute that has a reading.
pub(crate) fn hours(sql: &impl Sql, most: i64) -> Result<Vec<UnixMillis>, Error> {
    // Goes from hour to hour through the index, without reading the rows.
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

/// Whether the ledger has rows from before `horizon`.
pub(crate) fn has_rows_before(sql: &impl Sql, horizon: UnixMillis) -> Result<bool, Error> {
    let oldest = "SELECT minute FROM ledger ORDER BY minute LIMIT 1";
    let rows = sql.execute(oldest, &[]).map_err(Error::Regions)?;
    Ok(match rows.first() {
        Some(row) => integers::<1>(row).is_some_and(|[minute]| minute < horizon.minute()),
        None => false,
    })
}
