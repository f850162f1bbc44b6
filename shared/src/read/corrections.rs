//! Queries about corrections: a page of them, each with what became of it.

use crate::domain::correction::Fate;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::renaming::name_before_merge;
use crate::ledger::{corrections, dictionary, integers};
use crate::limits;

/// The key of a correction: the minute, the device's id and the milliseconds of its
/// reading, and its hash.
pub(crate) type CorrectionKey = ([i64; 3], Vec<u8>);

/// A correction, with names.
pub(crate) struct Listed {
    pub(crate) key: CorrectionKey,
    pub(crate) device: String,
    pub(crate) expected: Option<i64>,
    pub(crate) expected_region: Option<String>,
    pub(crate) millicelsius: Option<i64>,
    pub(crate) region: Option<String>,
    pub(crate) reason: String,
    pub(crate) made: i64,
    /// The name of the credential that asked for it, if it is known.
    pub(crate) by: Option<String>,
    /// `None` if the reading was deleted from the ledger: it can't be changed any more.
    pub(crate) fate: Option<Fate>,
    /// The region and the temperature that stand of the reading, if the ledger has it; no
    /// temperature if it is withdrawn.
    pub(crate) stands: Option<(String, Option<i64>)>,
}

/// At most `most` corrections of readings in the bounds, after a key, sorted by it; those
/// of one device, if it is given by a name that it has or had.
pub(crate) fn select(
    sql: &impl Sql,
    (from, to): (UnixMillis, UnixMillis),
    device: Option<&str>,
    after: &CorrectionKey,
    most: usize,
) -> Result<Vec<Listed>, Error> {
    let statement = "\
        SELECT c.minute, c.device, c.ms, c.hash, d.name, c.expected, e.name, c.milli, r.name, \
               c.reason, c.made, c.by \
        FROM corrections AS c CROSS JOIN devices AS d ON d.id = c.device \
             LEFT JOIN regions AS e ON e.id = c.expected_region \
             LEFT JOIN regions AS r ON r.id = c.region \
        WHERE (c.minute, c.ms) >= (?1, ?2) AND (c.minute, c.ms) < (?3, ?4) \
              AND (c.minute, c.device, c.ms, c.hash) > (?5, ?6, ?7, ?8) \
              AND (?9 IS NULL OR c.device = ?9) \
        ORDER BY c.minute, c.device, c.ms, c.hash LIMIT ?10";
    let ([minute, id, ms], hash) = after;
    let numbers = [from.minute(), from.ms_of_minute(), to.minute(), to.ms_of_minute()];
    let mut bindings: Vec<Value> = numbers.map(Value::Integer).into();
    bindings.extend([*minute, *id, *ms].map(Value::Integer));
    bindings.push(Value::Blob(hash.clone()));
    let device = device.map(|name| dictionary::id_of(sql, "devices", name)).transpose()?;
    // No device has the id 0.
    let id = |id: Option<u64>| Value::Integer(id.unwrap_or(0).cast_signed());
    bindings.push(device.map_or(Value::Null, id));
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
    let regions = fates.iter().filter_map(|one| Some(u64::from(one.standing?.region)));
    let regions = dictionary::of(sql, "regions", regions)?;
    for (one, place) in all.iter_mut().zip(places) {
        let Some(found) = corrections::fate_of(&fates, place, &one.key.1) else { continue };
        one.fate = found.fate;
        if let Some(standing) = found.standing {
            let region = regions.get(standing.region.into()).ok_or(Error::Corrupt("region"))?;
            one.stands =
                Some((name_before_merge(region).to_owned(), standing.millicelsius.map(i64::from)));
        }
    }
    Ok(all)
}

fn listed(row: &[Value]) -> Option<Listed> {
    let (key, rest) = row.split_first_chunk::<3>()?;
    let key = integers(key)?;
    let [Value::Blob(hash), Value::Text(device), rest @ ..] = rest else { return None };
    let [expected, expected_region, milli, region, Value::Text(reason), rest @ ..] = rest else {
        return None;
    };
    let [Value::Integer(made), by] = rest else { return None };
    let number = |value: &Value| match value {
        Value::Null => Some(None),
        Value::Integer(number) => Some(Some(*number)),
        Value::Text(_) | Value::Blob(_) => None,
    };
    let name = |value: &Value| match value {
        Value::Text(name) => Some(Some(name_before_merge(name).to_owned())),
        Value::Null => Some(None),
        Value::Integer(_) | Value::Blob(_) => None,
    };
    Some(Listed {
        key: (key, hash.clone()),
        device: name_before_merge(device).to_owned(),
        expected: number(expected)?,
        expected_region: name(expected_region)?,
        millicelsius: number(milli)?,
        region: name(region)?,
        reason: reason.clone(),
        made: *made,
        by: name(by)?,
        fate: None,
        stands: None,
    })
}

/// A renaming, or the end of a merge.
pub(crate) struct Renaming {
    /// The table of its names: `devices` or `regions`.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// The name that took its place.
    pub(crate) new: String,
    /// Whether there was one of this name.
    pub(crate) is_merged: bool,
    pub(crate) made: UnixMillis,
    /// The name of the credential that asked for it, if it is known.
    pub(crate) by: Option<String>,
    pub(crate) reason: String,
}

/// The last `limits::RENAMINGS_LISTED_MAX` renamings and merges, newest first.
pub(crate) fn renamings(sql: &impl Sql) -> Result<Vec<Renaming>, Error> {
    let statement = "SELECT kind, name, new, reason, merged, made, by FROM renamings \
                     ORDER BY id DESC LIMIT ?1";
    let rows = sql.execute(statement, &[Value::Integer(limits::RENAMINGS_LISTED_MAX)]);
    let one = |row: Vec<Value>| {
        let [texts @ .., merged, made, by] = row.as_slice() else { return None };
        let [Value::Text(kind), Value::Text(name), Value::Text(new), Value::Text(reason)] = texts
        else {
            return None;
        };
        let [kind, name, new, reason] = [kind, name, new, reason].map(Clone::clone);
        let [merged, made] = integers(&[merged.clone(), made.clone()])?;
        let by = if let Value::Text(by) = by { Some(by.clone()) } else { None };
        let (is_merged, made) = (merged == 1, UnixMillis::new(made)?);
        Some(Renaming { kind, name, new, is_merged, made, by, reason })
    };
    let rows = rows.map_err(Error::Regions)?;
    rows.into_iter().map(one).collect::<Option<_>>().ok_or(Error::Corrupt("renaming"))
}
