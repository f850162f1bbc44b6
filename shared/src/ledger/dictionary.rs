//! The names of devices and regions: each is stored once, and rows refer to it by a
//! small integer.

use std::fmt::Write as _;

use crate::base::distinct::Distinct;
use crate::error::{Error, best_effort};
use crate::host::{Sql, Value};
use crate::ledger::row::DEVICE_BITS;

/// The ids of the names in `table`, in the order of the names. New names get an id.
pub(crate) fn ids<'a>(
    sql: &impl Sql,
    table: &str,
    names: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<u64>, Error> {
    let Distinct { names, places } = Distinct::of(names);
    let mut ids = look_up(sql, table, &names)?;
    if ids.contains(&0) {
        let new = format!(
            "INSERT INTO {table} (name) SELECT value FROM json_each(?1) WHERE true \
             ON CONFLICT (name) DO NOTHING"
        );
        let missing = names.iter().zip(&ids).filter(|(_, id)| **id == 0).map(|(name, _)| *name);
        sql.execute(&new, &[Value::Text(list_of(missing))]).map_err(Error::Regions)?;
        ids = look_up(sql, table, &names)?;
    }
    let id = |place: usize| ids.get(place).copied().filter(|id| *id != 0);
    places.into_iter().map(id).collect::<Option<_>>().ok_or(Error::Corrupt("names"))
}

/// Whether each of the names is known in `table`, in their order.
pub(crate) fn are_known(sql: &impl Sql, table: &str, names: &[&str]) -> Result<Vec<bool>, Error> {
    let Distinct { names, places } = Distinct::of(names.iter().copied());
    let ids = look_up(sql, table, &names)?;
    Ok(places.into_iter().map(|place| ids.get(place).is_some_and(|id| *id != 0)).collect())
}

/// SQL for the id of the region whose name, now or before, is bound as `?1`.
pub(crate) const REGION_OF_NAME: &str = "coalesce( \
    (SELECT id FROM regions WHERE name = ?1), \
    (SELECT id FROM aliases WHERE kind = 'regions' AND name = ?1))";

/// SQL for the ids of the regions that have, or had, one of the names in the list `?1`.
pub(crate) const REGIONS_OF_NAMES: &str = "( \
    SELECT id FROM regions WHERE name IN (SELECT value FROM json_each(?1)) UNION \
    SELECT id FROM aliases WHERE kind = 'regions' AND name IN (SELECT value FROM json_each(?1)))";

/// The same as `REGION_OF_NAME` for a device.
pub(crate) const DEVICE_OF_NAME: &str = "coalesce( \
    (SELECT id FROM devices WHERE name = ?1), \
    (SELECT id FROM aliases WHERE kind = 'devices' AND name = ?1))";

/// The id of one name in `table`, if it is known.
pub(crate) fn id_of(sql: &impl Sql, table: &str, name: &str) -> Result<Option<u64>, Error> {
    let ids = look_up(sql, table, &[name])?;
    Ok(ids.first().copied().filter(|id| *id != 0))
}

/// The id and the name of what has, or had, this name in `table`.
pub(crate) fn now(sql: &impl Sql, table: &str, name: &str) -> Result<Option<(u64, String)>, Error> {
    let Some(id) = id_of(sql, table, name)? else { return Ok(None) };
    let names = of(sql, table, [id].into_iter())?;
    let name = names.get(id).ok_or(Error::Corrupt("names"))?.to_owned();
    Ok(Some((id, name)))
}

/// The ids of the names; 0 for a name without one. A name that was given up stands for
/// what it named. They come as one value: a row for each would cost more than the lookup. As SQL
/// promises no order for that, each comes with the place of its name, above the bits of an id.
fn look_up(sql: &impl Sql, table: &str, names: &[&str]) -> Result<Vec<u64>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let known = format!(
        "SELECT json_group_array(j.key << {DEVICE_BITS} | \
             coalesce(t.id, (SELECT a.id FROM aliases AS a \
                             WHERE a.kind = '{table}' AND a.name = j.value), 0)) \
         FROM json_each(?1) AS j LEFT JOIN {table} AS t ON t.name = j.value"
    );
    let rows = sql
        .execute(&known, &[Value::Text(list_of(names.iter().copied()))])
        .map_err(Error::Regions)?;
    let found = match rows.first().map(Vec::as_slice) {
        Some([Value::Text(found)]) => found.trim_matches(['[', ']']),
        _ => return Err(Error::Corrupt("names")),
    };
    let (mut ids, mut count) = (vec![0; names.len()], 0);
    for placed in found.split(',') {
        let placed: Option<u64> = placed.parse().ok();
        let (place, id) = placed.map(apart).ok_or(Error::Corrupt("names"))?;
        *ids.get_mut(place).ok_or(Error::Corrupt("names"))? = id;
        count += 1;
    }
    if count == names.len() { Ok(ids) } else { Err(Error::Corrupt("names")) }
}

/// The place of a name, and the id below it.
fn apart(placed: u64) -> (usize, u64) {
    let place = usize::try_from(placed >> DEVICE_BITS).unwrap_or(usize::MAX);
    (place, placed & ((1 << DEVICE_BITS) - 1))
}

/// The ids as a JSON array.
pub(crate) fn list_of_ids(ids: impl Iterator<Item = u64>) -> String {
    let mut text = String::from("[");
    for id in ids {
        if text.len() > 1 {
            text.push(',');
        }
        // A String takes all that is written.
        best_effort(write!(text, "{id}"));
    }
    text.push(']');
    text
}

/// The names as a JSON array. Names contain no character that JSON would escape.
pub(crate) fn list_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("[");
    for name in names {
        text.push_str(if text.len() > 1 { ",\"" } else { "\"" });
        text.push_str(name);
        text.push('"');
    }
    text.push(']');
    text
}

/// Names by their ids.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<(i64, String)>);

impl Names {
    /// The name of this id, if it is one of them.
    pub(crate) fn get(&self, id: u64) -> Option<&str> {
        let id = i64::try_from(id).ok()?;
        let index = self.0.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        self.0.get(index).map(|(_, name)| name.as_str())
    }
}

/// The names of these ids, in `table`.
pub(crate) fn of(
    sql: &impl Sql,
    table: &str,
    ids: impl Iterator<Item = u64>,
) -> Result<Names, Error> {
    let list = list_of_ids(ids);
    let statement = format!(
        "SELECT id, name FROM {table} \
                 WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
    );
    let rows = sql.execute(&statement, &[Value::Text(list)]).map_err(Error::Regions)?;
    let pair = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Integer(id), Value::Text(name)]) => Some((id, name)),
        _ => None,
    };
    rows.into_iter().map(pair).collect::<Option<_>>().map(Names).ok_or(Error::Corrupt("names"))
}
