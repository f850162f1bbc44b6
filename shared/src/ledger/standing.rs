//! The rows of the ledger that stand after the corrections of their readings.
//!
//! Architecture invariant: the ledger keeps each reading as it was counted, so that it is
//! still known as a duplicate. What is computed from rows is computed from those that
//! stand (`standing`).

use crate::domain::correction::{Change, Standing, stand};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary;
use crate::ledger::row::{Row, key};
use crate::ledger::sql::integers;

/// A stored correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) minute: i64,
    /// The key of its reading in the minute (`row::key`).
    pub(crate) key: u64,
    pub(super) hash: [u8; 32],
    pub(crate) change: Change,
}

impl Stored {
    /// Its reading: minute, device and time as one key.
    pub(super) fn place(&self) -> u128 {
        place(self.minute, self.key)
    }
}

pub(super) fn place(minute: i64, key: u64) -> u128 {
    u128::from(minute.cast_unsigned()) << 64 | u128::from(key)
}

/// The columns of `stored`.
const COLUMNS: &str = "minute, device, ms, hash, expected, expected_region, milli, region";

fn stored(row: &[Value]) -> Option<Stored> {
    let (identity, rest) = row.split_first_chunk::<3>()?;
    let [minute, device, ms] = integers(identity)?;
    let [Value::Blob(hash), rest @ ..] = rest else { return None };
    let hash = hash.as_slice().try_into().ok()?;
    let mut numbers = rest.iter().map(|value| match value {
        Value::Null => Some(None),
        Value::Integer(number) => Some(Some(*number)),
        Value::Text(_) | Value::Blob(_) => None,
    });
    let mut number = || numbers.next()?;
    let celsius = |number: Option<i64>| number.map(i32::try_from).transpose().ok();
    let region = |number: Option<i64>| number.map(u32::try_from).transpose().ok();
    let change = Change {
        expected: celsius(number()?)?,
        expected_region: region(number()?)?,
        millicelsius: celsius(number()?)?,
        region: region(number()?)?,
    };
    let key = key(u64::try_from(device).ok()?, u64::try_from(ms).ok()?);
    Some(Stored { minute, key, hash, change })
}

/// The corrections in force that the condition selects, sorted by reading and hash.
fn select(sql: &impl Sql, condition: &str, bindings: &[Value]) -> Result<Vec<Stored>, Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM corrections WHERE {condition} AND in_force = 1 \
         ORDER BY minute, device, ms, hash"
    );
    let rows = sql.execute(&statement, bindings).map_err(Error::Regions)?;
    rows.iter().map(|row| stored(row)).collect::<Option<_>>().ok_or(Error::Corrupt("correction"))
}

/// The corrections of readings of the minutes from `from` (included) to `to` (excluded).
pub(crate) fn between(sql: &impl Sql, from: i64, to: i64) -> Result<Vec<Stored>, Error> {
    select(sql, "minute >= ?1 AND minute < ?2", &[from, to].map(Value::Integer))
}

/// Those of one reading, by its place in `all`, which is sorted.
pub(super) fn of_reading(all: &[Stored], place: u128) -> &[Stored] {
    let begin = all.partition_point(|stored| stored.place() < place);
    let end = all.partition_point(|stored| stored.place() <= place);
    all.get(begin..end).unwrap_or_default()
}

pub(super) fn changes(stored: &[Stored]) -> Vec<Change> {
    stored.iter().map(|stored| stored.change).collect()
}

/// What stands of a row, given all `corrections` of its minute, and its own ones of them.
pub(super) fn of_row<'a>(row: &Row, corrections: &'a [Stored]) -> (Standing, &'a [Stored]) {
    let own = of_reading(corrections, place(i64::from(row.minute), row.key));
    let (standing, _) = stand(row.region, row.millicelsius, &changes(own));
    (standing, own)
}

/// The row as it stands; `None` if it is withdrawn.
pub(super) fn stood(row: &Row, standing: &Standing) -> Option<Row> {
    let millicelsius = standing.millicelsius?;
    Some(Row { region: standing.region, millicelsius, ..*row })
}

/// The rows that stand, given all `corrections` of their minutes: those of readings that
/// were withdrawn are left out, others are changed.
pub(crate) fn standing(rows: Vec<Row>, corrections: &[Stored]) -> Vec<Row> {
    if corrections.is_empty() {
        return rows;
    }
    rows.iter().filter_map(|row| stood(row, &of_row(row, corrections).0)).collect()
}

/// All corrections of the minutes of these rows, which are sorted by minute.
pub(super) fn of_minutes(sql: &impl Sql, rows: &[Row]) -> Result<Vec<Stored>, Error> {
    let any = "SELECT 1 FROM corrections LIMIT 1";
    if rows.is_empty() || sql.execute(any, &[]).map_err(Error::Regions)?.is_empty() {
        return Ok(Vec::new());
    }
    let minutes = rows.chunk_by(|a, b| a.minute == b.minute).filter_map(<[Row]>::first);
    in_minutes(sql, dictionary::list_of_ids(minutes.map(|row| u64::from(row.minute))))
}

/// All corrections of these minutes, given as a JSON array.
pub(super) fn in_minutes(sql: &impl Sql, minutes: String) -> Result<Vec<Stored>, Error> {
    select(sql, "minute IN (SELECT value FROM json_each(?1))", &[Value::Text(minutes)])
}
