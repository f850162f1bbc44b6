//! Queries about corrections: a page of them, each with what became of it.

use crate::domain::correction::Fate;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::{corrections, integers};

/// The key of a correction: the minute, the device's id and the milliseconds of its
/// reading, and its hash.
pub(crate) type CorrectionKey = ([i64; 3], Vec<u8>);

/// A correction, with names.
pub(crate) struct Listed {
    pub(crate) key: CorrectionKey,
    pub(crate) device: String,
    pub(crate) expected: Option<i64>,
    pub(crate) millicelsius: Option<i64>,
    pub(crate) region: Option<String>,
    pub(crate) reason: String,
    pub(crate) made: i64,
    /// `None` if the reading was deleted from the ledger: it can't be changed any more.
    pub(crate) fate: Option<Fate>,
}

/// At most `most` corrections of readings in the bounds, after a key, sorted by it; those
/// of one device, if it is given.
pub(crate) fn select(
    sql: &impl Sql,
    (from, to): (UnixMillis, UnixMillis),
    device: Option<&str>,
    after: &CorrectionKey,
    most: usize,
) -> Result<Vec<Listed>, Error> {
    let statement = "\
        SELECT c.minute, c.device, c.ms, c.hash, d.name, c.expected, c.milli, r.name, c.reason, \
               c.made \
        FROM corrections AS c CROSS JOIN devices AS d ON d.id = c.device \
             LEFT JOIN regions AS r ON r.id = c.region \
        WHERE (c.minute, c.ms) >= (?1, ?2) AND (c.minute, c.ms) < (?3, ?4) \
              AND (c.minute, c.device, c.ms, c.hash) > (?5, ?6, ?7, ?8) \
              AND (?9 IS NULL OR d.name = ?9) \
        ORDER BY c.minute, c.device, c.ms, c.hash LIMIT ?10";
    let ([minute, id, ms], hash) = after;
    let numbers = [from.minute(), from.ms_of_minute(), to.minute(), to.ms_of_minute()];
    let mut bindings: Vec<Value> = numbers.map(Value::Integer).into();
    bindings.extend([*minute, *id, *ms].map(Value::Integer));
    bindings.push(Value::Blob(hash.clone()));
    bindings.push(device.map_or(Value::Null, |device| Value::Text(device.to_owned())));
    bindings.push(Value::Integer(i64::try_from(most).unwrap_or(i64::MAX)));
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let all = rows.iter().map(|row| listed(row)).collect::<Option<Vec<_>>>();
    let mut all = all.ok_or(Error::Corrupt("correction"))?;
    let place = |one: &Listed| {
        let [minute, device, ms] = one.key.0;
        (minute, device.unsigned_abs(), ms.unsigned_abs())
    };
    let places: Vec<_> = all.iter().map(place).collect();
    let fates = corrections::fates(sql, &places)?;
    for (one, place) in all.iter_mut().zip(places) {
        one.fate = corrections::fate_of(&fates, place, &one.key.1);
    }
    Ok(all)
}

fn listed(row: &[Value]) -> Option<Listed> {
    let (key, rest) = row.split_first_chunk::<3>()?;
    let key = integers(key)?;
    let [Value::Blob(hash), Value::Text(device), rest @ ..] = rest else { return None };
    let [expected, milli, region, Value::Text(reason), Value::Integer(made)] = rest else {
        return None;
    };
    let number = |value: &Value| match value {
        Value::Null => Some(None),
        Value::Integer(number) => Some(Some(*number)),
        Value::Text(_) | Value::Blob(_) => None,
    };
    let region = match region {
        Value::Text(name) => Some(name.clone()),
        Value::Null => None,
        Value::Integer(_) | Value::Blob(_) => return None,
    };
    Some(Listed {
        key: (key, hash.clone()),
        device: device.clone(),
        expected: number(expected)?,
        millicelsius: number(milli)?,
        region,
        reason: reason.clone(),
        made: *made,
        fate: None,
    })
}
