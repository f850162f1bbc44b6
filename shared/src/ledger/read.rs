//! Reading the ledger: rows by key, by minute, and by device.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::integers;
use crate::ledger::row::{DEVICE_BITS, LEDGER, MS_BITS, Row, key, parts};
use crate::ledger::run::Run;
use crate::ledger::sorted_run::Keys;
use crate::ledger::standing::{between, standing};
use crate::limits;

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
pub fn counted_between(sql: &impl Sql, from: i64, to: i64) -> Result<Vec<Row>, Error> {
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
    let begin = Place { minute: from, key: key(device, 0) };
    let mut rows = rows_of(&runs_of_device(sql, device, begin, to, i64::MAX)?)?;
    rows.retain(|row| row.device() == device);
    Ok(standing(rows, &between(sql, from, to)?))
}

/// At most `most` runs that a device's readings belong to, from the place `begin` to the
/// minute `to` (excluded), sorted by minute and key.
fn runs_of_device(
    sql: &impl Sql,
    device: u64,
    begin: Place,
    to: i64,
    most: i64,
) -> Result<Vec<Run<1>>, Error> {
    let statement = "\
        WITH RECURSIVE minutes (minute) AS ( \
            SELECT ?1 UNION ALL SELECT minute + 1 FROM minutes WHERE minute + 1 < ?2) \
        SELECT l.minute, l.first, l.run FROM minutes AS m CROSS JOIN ledger AS l \
             ON l.minute = m.minute AND l.first <= ?4 AND l.first >= \
                (SELECT first FROM ledger WHERE minute = m.minute \
                 AND first <= iif(m.minute = ?1, ?6, ?3) \
                 ORDER BY first DESC LIMIT 1) \
        ORDER BY l.minute, l.first LIMIT ?5";
    let (first, last) = (key(device, 0), key(device, (1 << MS_BITS) - 1));
    let from = begin.key.max(first).cast_signed();
    let bindings = [begin.minute, to, first.cast_signed(), last.cast_signed(), most, from];
    runs(&sql.execute(statement, &bindings.map(Value::Integer)).map_err(Error::Regions)?)
}

/// A place in the ledger, which is sorted by minute, then device, then time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    minute: i64,
    key: u64,
}

impl Place {
    /// Before all readings of this minute.
    pub(crate) fn before(minute: i64) -> Self {
        Self { minute, key: 0 }
    }

    /// The place of a reading: its minute, its device, and its milliseconds into the minute.
    pub(crate) fn new(minute: i64, device: u64, ms: u64) -> Option<Self> {
        let is_one = minute >= 0 && device >> DEVICE_BITS == 0 && ms >> MS_BITS == 0;
        is_one.then(|| Self { minute, key: key(device, ms) })
    }

    /// The next place in the same minute.
    fn next(self) -> Self {
        Self { key: (self.key + 1).min(i64::MAX.unsigned_abs()), ..self }
    }

    /// What `new` takes.
    pub(crate) fn parts(self) -> [i64; 3] {
        let (device, ms) = parts(self.key);
        [self.minute, device.cast_signed(), ms]
    }

    /// Of this reading.
    pub(crate) fn of(row: &Row) -> Self {
        Self { minute: i64::from(row.minute), key: row.key }
    }
}

/// Readings that follow each other in the ledger.
pub(crate) struct Piece {
    pub(crate) rows: Vec<Row>,
    /// What the next piece comes after; `None` if there is no further one.
    pub(crate) end: Option<Place>,
}

/// The oldest and the newest minute that have a reading.
pub(crate) fn edges(sql: &impl Sql) -> Result<Option<[i64; 2]>, Error> {
    let statement = "SELECT (SELECT min(minute) FROM ledger), (SELECT max(minute) FROM ledger)";
    let rows = sql.execute(statement, &[]).map_err(Error::Regions)?;
    Ok(rows.first().and_then(|row| integers(row)))
}

/// The rows after `after` in minutes before `to`, of all devices or of one, sorted by minute,
/// device and time. Reads at most `most` runs, or for one device so many minutes, and ends
/// with the run that reaches `limits::READINGS_PER_PIECE`. So it may have no row and still
/// have an end.
pub(crate) fn piece(
    sql: &impl Sql,
    device: Option<u64>,
    after: Place,
    to: i64,
    most: usize,
) -> Result<Piece, Error> {
    if after.minute >= to {
        return Ok(Piece { rows: Vec::new(), end: None });
    }
    let number = i64::try_from(most).unwrap_or(i64::MAX);
    // The first key that the next reading may have: its run is not always that of `after`.
    let begin = after.next();
    let (runs, end) = match device {
        Some(device) => {
            let minute = begin.minute.saturating_add(number).min(to);
            let runs = runs_of_device(sql, device, begin, minute, number)?;
            // No reading has the first place of a minute: no device has the id 0.
            (runs, (minute < to).then_some(Place::before(minute)))
        }
        None => (runs_from(sql, begin, to, number)?, None),
    };
    let mut piece = Piece { rows: Vec::new(), end };
    for (index, run) in runs.iter().enumerate() {
        let rows: Vec<Row> = LEDGER.decode(run)?;
        let last = rows.last().map(Place::of);
        let is_wanted = |row: &Row| device.is_none_or(|device| row.device() == device);
        piece.rows.extend(rows.iter().filter(|row| Place::of(row) > after && is_wanted(row)));
        let is_last = index + 1 == runs.len();
        if piece.rows.len() >= limits::READINGS_PER_PIECE && !is_last
            || is_last && runs.len() >= most
        {
            piece.end = Some(last.ok_or(Error::Corrupt("ledger"))?);
            break;
        }
    }
    let ends = piece.rows.first().zip(piece.rows.last());
    if let Some((first, last)) = ends.map(|(a, b)| (i64::from(a.minute), i64::from(b.minute))) {
        let corrections = between(sql, first, last + 1)?;
        piece.rows = standing(piece.rows, &corrections);
    }
    Ok(piece)
}

/// At most `most` runs from the one on that the place belongs to, in minutes before `to`.
fn runs_from(sql: &impl Sql, place: Place, to: i64, most: i64) -> Result<Vec<Run<1>>, Error> {
    let statement = "\
        SELECT minute, first, run FROM ledger \
        WHERE minute < ?3 AND (minute, first) >= (?1, coalesce( \
            (SELECT first FROM ledger WHERE minute = ?1 AND first <= ?2 \
             ORDER BY first DESC LIMIT 1), 0)) \
        ORDER BY minute, first LIMIT ?4";
    let bindings = [place.minute, place.key.cast_signed(), to, most];
    runs(&sql.execute(statement, &bindings.map(Value::Integer)).map_err(Error::Regions)?)
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
