//! Adding newly counted readings to the windows, as the corrections that came before them
//! say.

use crate::domain::correction::stand;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::row::Row;
use crate::ledger::sql::{placeholders, rows_per_statement};
use crate::ledger::standing::{changes, of_reading, place, select};
use crate::ledger::windows::{self, EMPTY, SPANS};

/// Adds the readings that stand of those that were just counted.
///
/// Must run in the transaction that counted them.
pub(crate) fn add(sql: &impl Sql, counted: Vec<Row>) -> Result<(), Error> {
    let any = "SELECT 1 FROM corrections LIMIT 1";
    if counted.is_empty() || sql.execute(any, &[]).map_err(Error::Regions)?.is_empty() {
        return windows::add(sql, counted);
    }
    let mut minutes: Vec<u32> = counted.iter().map(|row| row.minute).collect();
    minutes.dedup();
    let list: Vec<String> = minutes.iter().map(u32::to_string).collect();
    let list = Value::Text(format!("[{}]", list.join(",")));
    let all = select(sql, "minute IN (SELECT value FROM json_each(?1))", &[list])?;
    let (mut standing, mut corrected) = (Vec::with_capacity(counted.len()), Vec::new());
    for row in counted {
        let own = of_reading(&all, place(row.minute.into(), row.key));
        let (stands, _) = stand(row.region, row.millicelsius, &changes(own));
        if stands.applied > 0 {
            corrected.push((row.region, row.minute));
            if stands.region != row.region {
                corrected.push((stands.region, row.minute));
            }
        }
        standing.extend(stands.millicelsius.map(|millicelsius| Row {
            region: stands.region,
            millicelsius,
            ..row
        }));
    }
    windows::add(sql, standing)?;
    count(sql, &corrected)
}

/// Counts corrected readings in the windows of these regions and minutes.
fn count(sql: &impl Sql, corrected: &[(u32, u32)]) -> Result<(), Error> {
    let place = |span: u16, (region, minute): &(u32, u32)| {
        let (span, minute) = (i64::from(span), i64::from(*minute));
        let start = if span == 0 { 0 } else { minute - minute % span };
        [i64::from(*region), span, start]
    };
    let rows: Vec<[i64; 3]> =
        SPANS.iter().flat_map(|span| corrected.iter().map(|one| place(*span, one))).collect();
    for chunk in rows.chunks(rows_per_statement(sql, 3)) {
        let [readings, sum, high, low, min, max, oldest, newest] = EMPTY;
        let statement = format!(
            "INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                                  min, max, oldest, newest, devices, averages, corrected) \
             SELECT column1, column2, column3, {readings}, {sum}, {high}, {low}, {min}, {max}, \
                    {oldest}, {newest}, iif(column2 = 1, NULL, 0), iif(column2 = 1, NULL, 0), \
                    count(*) FROM (VALUES {}) WHERE true GROUP BY 1, 2, 3 \
             ON CONFLICT DO UPDATE SET corrected = corrected + excluded.corrected",
            placeholders(chunk.len(), 3)
        );
        let bindings: Vec<Value> = chunk.iter().flatten().copied().map(Value::Integer).collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}
