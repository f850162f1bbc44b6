//! The limits of regions: between what their temperatures should be, and between what
//! they can be.

use crate::domain::excursion::Limits;
use crate::domain::plausible::Plausible;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary::{self, REGION_OF_NAME};
use crate::ledger::integers;

/// What is set for a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionLimits {
    /// Outside of these is an excursion.
    pub limits: Limits,
    /// Outside of these a reading is rejected.
    pub plausible: Plausible,
    /// When it was set.
    pub changed: UnixMillis,
    /// How often it was set, at least 1.
    pub revision: i64,
}

impl RegionLimits {
    /// Whether the coldest and the warmest temperature are within the limits; `None`
    /// without limits, or without a temperature.
    pub(crate) fn holds(&self, extremes: Option<[MilliCelsius; 2]>) -> Option<bool> {
        let within = extremes?.map(|temperature| self.is_within(temperature));
        within.into_iter().try_fold(true, |all, within| Some(all && within?))
    }

    /// Whether the temperature is within the limits; `None` without limits.
    pub fn is_within(&self, temperature: MilliCelsius) -> Option<bool> {
        (!self.limits.is_none()).then(|| self.limits.is_within(temperature))
    }
}

const COLUMNS: &str = "l.low, l.high, l.for_ms, l.plausible_low, l.plausible_high, l.changed, \
                       l.revision";

/// The limits of regions, by their names, which are sorted.
pub(crate) fn of_regions<'a>(
    sql: &impl Sql,
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<(String, RegionLimits)>, Error> {
    let names = Value::Text(dictionary::list_of(names));
    let which = "WHERE r.name IN (SELECT value FROM json_each(?1)) ORDER BY r.name";
    of(sql, "regions", which, &[names])
}

/// All limits, by each name that their region has or had, in the order of these names.
pub(crate) fn by_all_names(sql: &impl Sql) -> Result<Vec<(String, RegionLimits)>, Error> {
    let names = "(SELECT id, name FROM regions \
                  UNION ALL SELECT id, name FROM aliases WHERE kind = 'regions')";
    of(sql, names, "ORDER BY r.name", &[])
}

/// The limits of a region, by a name that it has or had, if any are set.
pub(crate) fn of_region(sql: &impl Sql, region: &str) -> Result<Option<RegionLimits>, Error> {
    let which = format!("WHERE r.id = {REGION_OF_NAME}");
    let found = of(sql, "regions", &which, &[Value::Text(region.to_owned())])?;
    Ok(found.into_iter().next().map(|(_, limits)| limits))
}

/// The limits of the regions that `which` selects of `names`.
fn of(
    sql: &impl Sql,
    names: &str,
    which: &str,
    bindings: &[Value],
) -> Result<Vec<(String, RegionLimits)>, Error> {
    let statement = format!(
        "SELECT r.name, {COLUMNS} FROM limits AS l JOIN {names} AS r ON r.id = l.region {which}"
    );
    let rows = sql.execute(&statement, bindings).map_err(Error::Regions)?;
    rows.iter().map(|row| parsed(row)).collect::<Option<_>>().ok_or(Error::Corrupt("limits"))
}

fn parsed(row: &[Value]) -> Option<(String, RegionLimits)> {
    let [Value::Text(name), low, high, for_ms, plausible_low, plausible_high, changed, revision] =
        row
    else {
        return None;
    };
    let number = |value: &Value| match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    };
    // `Some(None)` is no limit, `None` is not readable.
    let limit = |value: &Value| match value {
        Value::Null => Some(None),
        value => MilliCelsius::new(number(value)?).map(Some),
    };
    let limits = Limits { low: limit(low)?, high: limit(high)?, for_ms: number(for_ms)? };
    let plausible = Plausible { low: limit(plausible_low)?, high: limit(plausible_high)? };
    let (changed, revision) = (UnixMillis::new(number(changed)?)?, number(revision)?);
    Some((name.clone(), RegionLimits { limits, plausible, changed, revision }))
}

/// Sets the limits of a region, in the place of what was set, and counts the change. Returns
/// whether the region is known.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn set(
    sql: &impl Sql,
    region: &str,
    limits: Limits,
    plausible: Plausible,
    now: UnixMillis,
) -> Result<bool, Error> {
    let statement = format!(
        "INSERT INTO limits (region, low, high, for_ms, plausible_low, plausible_high, changed, \
                            revision) \
        SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, 1 FROM regions WHERE id = {REGION_OF_NAME} \
        ON CONFLICT (region) DO UPDATE SET \
            low = excluded.low, high = excluded.high, for_ms = excluded.for_ms, \
            plausible_low = excluded.plausible_low, plausible_high = excluded.plausible_high, \
            changed = excluded.changed, revision = revision + 1 \
        RETURNING revision"
    );
    let limit = |limit: Option<MilliCelsius>| {
        limit.map_or(Value::Null, |limit| Value::Integer(i64::from(limit.get())))
    };
    let bindings = [
        Value::Text(region.to_owned()),
        limit(limits.low),
        limit(limits.high),
        Value::Integer(limits.for_ms),
        limit(plausible.low),
        limit(plausible.high),
        Value::Integer(now.get()),
    ];
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    Ok(!rows.is_empty())
}

/// How many other regions have plausible limits.
pub(crate) fn count_plausible(sql: &impl Sql, but: &str) -> Result<usize, Error> {
    let statement = format!(
        "SELECT count(*) FROM limits \
         WHERE region IS NOT {REGION_OF_NAME} \
               AND (plausible_low IS NOT NULL OR plausible_high IS NOT NULL)"
    );
    let rows = sql.execute(&statement, &[Value::Text(but.to_owned())]).map_err(Error::Regions)?;
    let [count] = rows.first().and_then(|row| integers(row)).ok_or(Error::Corrupt("limits"))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}
