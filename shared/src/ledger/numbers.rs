//! Senders' own numbers of readings, where they send no time.
//!
//! Of such a reading the time is that of its arrival, so a message that is sent again would be
//! another reading. Many senders count their messages, and that number is better than any
//! clock: the same number of a device within `limits::NUMBER_MS` is the same reading. It gets
//! the time at which it came first. What follows is what follows for any reading: with the
//! same temperature it is a duplicate, with another a conflict.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::reading::{Reading, TimeOrigin, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary;
use crate::ledger::sql::{integers, placeholders, rows_per_statement};
use crate::limits;

/// A device's id and a number of its.
type Numbered = (i64, i64);

/// The readings, those that came before by their numbers with the times at which they came
/// first.
///
/// Must run in the transaction that counts them.
pub(super) fn with_first_times<'r, 'a>(
    sql: &impl Sql,
    readings: &'r [Reading<'a>],
) -> Result<Cow<'r, [Reading<'a>]>, Error> {
    if !readings.iter().any(Reading::is_time_assumed) {
        return Ok(Cow::Borrowed(readings));
    }
    let numbered: Vec<(usize, u32)> = readings
        .iter()
        .enumerate()
        .filter_map(|(index, reading)| Some((index, number(reading)?)))
        .collect();
    if numbered.is_empty() {
        return Ok(Cow::Borrowed(readings));
    }
    let device = |(index, _): &(usize, u32)| Some(readings.get(*index)?.device_id.as_str());
    let devices: Vec<&str> = numbered.iter().filter_map(device).collect();
    let ids = dictionary::ids(sql, "devices", devices.into_iter())?;
    let keys: Vec<Numbered> = ids
        .iter()
        .zip(&numbered)
        .map(|(id, (_, number))| (id.cast_signed(), i64::from(*number)))
        .collect();
    let mut first = known(sql, &keys)?;
    let (mut readings, mut new) = (readings.to_vec(), Vec::new());
    for ((index, _), key) in numbered.into_iter().zip(keys) {
        let Some(reading) = readings.get_mut(index) else { continue };
        let at = reading.timestamp.get();
        let times = first.entry(key).or_default();
        match times.iter().find(|time| time.abs_diff(at) <= limits::NUMBER_MS.unsigned_abs()) {
            Some(time) => {
                reading.timestamp = UnixMillis::new(*time).ok_or(Error::Corrupt("number"))?;
            }
            None => {
                times.push(at);
                new.push([key.0, key.1, at]);
            }
        }
    }
    keep(sql, &new)?;
    Ok(Cow::Owned(readings))
}

fn number(reading: &Reading<'_>) -> Option<u32> {
    match reading.time_origin() {
        TimeOrigin::Assumed { number } => number,
        TimeOrigin::Sent => None,
    }
}

/// When each of these numbers came first.
fn known(sql: &impl Sql, keys: &[Numbered]) -> Result<BTreeMap<Numbered, Vec<i64>>, Error> {
    let mut known: BTreeMap<Numbered, Vec<i64>> = BTreeMap::new();
    for chunk in keys.chunks(rows_per_statement(sql, 2)) {
        let statement = format!(
            "SELECT DISTINCT n.device, n.number, n.at \
             FROM (SELECT column1 AS device, column2 AS number FROM (VALUES {})) AS k \
             CROSS JOIN numbers AS n USING (device, number) ORDER BY n.at",
            placeholders(chunk.len(), 2)
        );
        let bindings = chunk.iter().flat_map(|(device, number)| [*device, *number]);
        let bindings: Vec<Value> = bindings.map(Value::Integer).collect();
        for row in sql.execute(&statement, &bindings).map_err(Error::Regions)? {
            let [device, number, at] = integers(&row).ok_or(Error::Corrupt("number"))?;
            known.entry((device, number)).or_default().push(at);
        }
    }
    Ok(known)
}

/// Keeps new numbers, and forgets those that are old beside them.
fn keep(sql: &impl Sql, new: &[[i64; 3]]) -> Result<(), Error> {
    for chunk in new.chunks(rows_per_statement(sql, 3)) {
        let statement = format!(
            "INSERT OR IGNORE INTO numbers (device, number, at) VALUES {}",
            placeholders(chunk.len(), 3)
        );
        let bindings: Vec<Value> = chunk.iter().flatten().copied().map(Value::Integer).collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    let Some(newest) = new.iter().map(|[.., at]| *at).max() else { return Ok(()) };
    let before = [Value::Integer(newest.saturating_sub(limits::NUMBERS_KEPT_MS))];
    let statement = "DELETE FROM numbers WHERE at < ?1";
    sql.execute(statement, &before).map(|_no_rows| ()).map_err(Error::Regions)
}
