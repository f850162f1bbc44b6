//! The rows of the ledger that stand after the corrections of their readings.
//!
//! Architecture invariant: the ledger keeps each reading as it was counted, so that it is
//! still known as a duplicate. What is computed from rows is computed from those that
//! stand (`standing`).

use crate::domain::correction::{Change, stand};
use crate::error::Error;
use crate::host::{Sql, Value};
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
const COLUMNS: &str = "minute, device, ms, hash, expected, milli, region";

fn stored(row: &[Value]) -> Option<Stored> {
    let (identity, rest) = row.split_first_chunk::<3>()?;
    let [minute, device, ms] = integers(identity)?;
    let number = |value: &Value| match value {
        Value::Null => Some(None),
        Value::Integer(number) => Some(Some(*number)),
        Value::Text(_) | Value::Blob(_) => None,
    };
    let [Value::Blob(hash), expected, millicelsius, region] = rest else { return None };
    let hash = hash.as_slice().try_into().ok()?;
    let small = |value| {
        Some(match number(value)? {
            Some(number) => Some(i32::try_from(number).ok()?),
            None => None,
        })
    };
    let region = match number(region)? {
        Some(id) => Some(u32::try_from(id).ok()?),
        None => None,
    };
    let change = Change { expected: small(expected)?, millicelsius: small(millicelsius)?, region };
    let key = key(u64::try_from(device).ok()?, u64::try_from(ms).ok()?);
    Some(Stored { minute, key, hash, change })
}

/// The corrections that the condition selects, sorted by reading and hash.
pub(super) fn select(
    sql: &impl Sql,
    condition: &str,
    bindings: &[Value],
) -> Result<Vec<Stored>, Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM corrections WHERE {condition} ORDER BY minute, device, ms, hash"
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

/// The rows that stand, given all `corrections` of their minutes: those of readings that
/// were withdrawn are left out, others are changed.
pub(crate) fn standing(rows: Vec<Row>, corrections: &[Stored]) -> Vec<Row> {
    if corrections.is_empty() {
        return rows;
    }
    let stands = |row: Row| {
        let own = of_reading(corrections, place(i64::from(row.minute), row.key));
        let (standing, _) = stand(row.region, row.millicelsius, &changes(own));
        let millicelsius = standing.millicelsius?;
        Some(Row { region: standing.region, millicelsius, ..row })
    };
    rows.into_iter().filter_map(stands).collect()
}
