//! The conflicts: readings that contradict a counted one, each with the counted one.

use crate::access::scope::Readable;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary;
use crate::ledger::{self, Row};

/// The key of a row in the table `conflicts`: minute, device, ms, region, milli.
pub(crate) type ConflictKey = [i64; 5];

/// A contradicting reading, and the counted one, which stands.
pub(crate) struct Conflict {
    pub(crate) key: ConflictKey,
    pub(crate) device: String,
    pub(crate) region: String,
    /// Region and thousandths of a degree; `None` once it was pruned from the ledger.
    pub(crate) standing: Option<(String, i64)>,
}

/// At most `limit` conflicts from `from` (included) to `to` (excluded) with keys after
/// `after`, sorted by key, in regions that may be read.
pub(crate) fn select(
    sql: &impl Sql,
    readable: &Readable,
    (from, to): (UnixMillis, UnixMillis),
    after: ConflictKey,
    limit: usize,
) -> Result<Vec<Conflict>, Error> {
    let condition = readable.condition("r.name");
    let statement = format!(
        "SELECT c.minute, c.device, c.ms, c.region, c.milli, d.name, r.name \
        FROM conflicts AS c \
             CROSS JOIN devices AS d ON d.id = c.device \
             CROSS JOIN regions AS r ON r.id = c.region \
        WHERE (c.minute, c.ms) >= (?1, ?2) AND (c.minute, c.ms) < (?3, ?4) \
              AND (c.minute, c.device, c.ms, c.region, c.milli) > (?5, ?6, ?7, ?8, ?9) \
              AND {condition} \
        ORDER BY c.minute, c.device, c.ms, c.region, c.milli LIMIT ?10"
    );
    let mut bindings = vec![from.minute(), from.ms_of_minute(), to.minute(), to.ms_of_minute()];
    bindings.extend(after);
    bindings.push(i64::try_from(limit).unwrap_or(i64::MAX));
    let bindings: Vec<Value> = bindings.into_iter().map(Value::Integer).collect();
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    let conflicts = rows.into_iter().map(conflict).collect::<Option<_>>();
    let mut conflicts: Vec<Conflict> = conflicts.ok_or(Error::Corrupt("conflict"))?;
    add_standing(sql, &mut conflicts)?;
    for conflict in &mut conflicts {
        // What stands may be of a region that may not be read.
        conflict.standing = conflict.standing.take().filter(|(region, _)| readable.has(region));
    }
    Ok(conflicts)
}

/// Adds the readings that stand, if the ledger still has them.
fn add_standing(sql: &impl Sql, conflicts: &mut [Conflict]) -> Result<(), Error> {
    let place = |conflict: &Conflict| {
        let [minute, device, ms, _, _] = conflict.key;
        Some((minute, u64::try_from(device).ok()?, u64::try_from(ms).ok()?))
    };
    let places: Option<Vec<_>> = conflicts.iter().map(place).collect();
    let places = places.ok_or(Error::Corrupt("conflict"))?;
    let wanted: Vec<_> =
        places.iter().map(|&(minute, device, ms)| ledger::key_at(minute, device, ms)).collect();
    let rows = ledger::load(sql, &wanted)?;
    let standing: Vec<Option<&Row>> = places
        .iter()
        .map(|&(minute, device, ms)| ledger::find(&rows, minute, device, ms))
        .collect();
    let regions = standing.iter().flatten().map(|row| row.region.into());
    let regions = dictionary::of(sql, "regions", regions)?;
    for (conflict, standing) in conflicts.iter_mut().zip(standing) {
        let Some(row) = standing else { continue };
        let region = regions.get(row.region.into()).ok_or(Error::Corrupt("conflict"))?;
        conflict.standing = Some((region.to_owned(), i64::from(row.millicelsius)));
    }
    Ok(())
}

fn conflict(row: Vec<Value>) -> Option<Conflict> {
    let (key, names) = row.split_first_chunk::<5>()?;
    let key = ledger::integers(key)?;
    let [Value::Text(device), Value::Text(region)] = names else { return None };
    Some(Conflict { key, device: device.clone(), region: region.clone(), standing: None })
}

/// A key before all others.
pub(crate) const BEGINNING: ConflictKey = [-1, 0, 0, 0, 0];
