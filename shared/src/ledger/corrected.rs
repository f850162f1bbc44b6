//! Adding newly counted readings to the windows, as the corrections that came before them
//! say.

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::row::Row;
use crate::ledger::sql::{placeholders, rows_per_statement};
use crate::ledger::standing::{of_minutes, of_row, stood};
use crate::ledger::windows::{self, EMPTY, SPANS};

/// Adds the readings that stand of those that were just counted.
///
/// Must run in the transaction that counted them.
pub(crate) fn add(sql: &impl Sql, counted: Vec<Row>) -> Result<(), Error> {
    let all = of_minutes(sql, &counted)?;
    if all.is_empty() {
        return windows::add(sql, counted);
    }
    let (mut standing, mut corrected) = (Vec::with_capacity(counted.len()), Vec::new());
    for row in counted {
        let (stands, _) = of_row(&row, &all);
        if stands.applied > 0 {
            corrected.push((row.region, row.minute));
            if stands.region != row.region {
                corrected.push((stands.region, row.minute));
            }
        }
        standing.extend(stood(&row, &stands));
    }
    windows::add(sql, standing)?;
    add_to_windows(sql, "corrected", 1, &corrected)
}

/// What is known better of a counted reading by another copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    /// It did not come late.
    InTime,
    /// Its time is its sender's.
    TimeSent,
}

/// Takes back what another copy knows better of these counted readings.
pub(crate) fn known_better(sql: &impl Sql, rows: &[Row], what: Better) -> Result<(), Error> {
    let all = of_minutes(sql, rows)?;
    let standing = rows.iter().filter_map(|row| stood(row, &of_row(row, &all).0));
    let places: Vec<(u32, u32)> = standing.map(|row| (row.region, row.minute)).collect();
    let column = match what {
        Better::InTime => "late",
        Better::TimeSent => "assumed",
    };
    add_to_windows(sql, column, -1, &places)
}

/// For each counted row, and one of the same device and time with another content: what
/// stands, and whether the other is known all the same, as its corrections explain the
/// difference. It may have the region that the reading was moved to, and the temperature
/// that stands.
pub(crate) fn known(sql: &impl Sql, rows: Vec<(Row, Row)>) -> Result<Vec<(Row, Row, bool)>, Error> {
    let counted: Vec<Row> = rows.iter().map(|(counted, _)| *counted).collect();
    let all = of_minutes(sql, &counted)?;
    let judged = |(counted, other): (Row, Row)| {
        let (stands, own) = of_row(&counted, &all);
        let is_region = counted.region == other.region
            || own.iter().any(|stored| stored.change.region == Some(other.region));
        let is_temperature = counted.millicelsius == other.millicelsius
            || stands.millicelsius == Some(other.millicelsius);
        (Row { region: stands.region, ..counted }, other, is_region && is_temperature)
    };
    Ok(rows.into_iter().map(judged).collect())
}

/// Adds `each` to a column of the windows of these regions and minutes, as often as they
/// are named.
fn add_to_windows(
    sql: &impl Sql,
    column: &str,
    each: i64,
    named: &[(u32, u32)],
) -> Result<(), Error> {
    let place = |span: u16, (region, minute): &(u32, u32)| {
        let (span, minute) = (i64::from(span), i64::from(*minute));
        let start = if span == 0 { 0 } else { minute - minute % span };
        [i64::from(*region), span, start]
    };
    let rows: Vec<[i64; 3]> =
        SPANS.iter().flat_map(|span| named.iter().map(|one| place(*span, one))).collect();
    for chunk in rows.chunks(rows_per_statement(sql, 3)) {
        let [readings, sum, high, low, min, max, oldest, newest] = EMPTY;
        // Those that are corrected are counted in a transaction that changes more.
        let revised = if column != "corrected" { ", revision = revision + 1" } else { "" };
        let statement = format!(
            "INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                                  min, max, oldest, newest, devices, averages, {column}) \
             SELECT column1, column2, column3, {readings}, {sum}, {high}, {low}, {min}, {max}, \
                    {oldest}, {newest}, iif(column2 = 1, NULL, 0), iif(column2 = 1, NULL, 0), \
                    {each} * count(*) FROM (VALUES {}) WHERE true GROUP BY 1, 2, 3 \
             ON CONFLICT DO UPDATE SET {column} = {column} + excluded.{column}{revised}",
            placeholders(chunk.len(), 3)
        );
        let bindings: Vec<Value> = chunk.iter().flatten().copied().map(Value::Integer).collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}
