//! The names of devices and regions: each is stored once, and rows refer to it by a
//! small integer.

use std::fmt::Write as _;

use crate::base::distinct::Distinct;
use crate::error::{Error, best_effort};
use crate::host::{Sql, Value};
use crate::ledger::row::DEVICE_BITS;
use crate::ledger::sql::integers;
use crate::limits;

/// The ids of the names in `table`, in the order of the names. New names get an id.
///
/// Must run in a transaction that holds the write lock.
#[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
pub(crate) fn ids<'a>(
    sql: &impl Sql,
    table: &str,
    names: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<u64>, Error> {
    let distinct = Distinct::of(names);
    let size = match distinct.names.len() {
        ..FEW => None,
        _ => Some(Size::of(sql, table)?),
    };
    let mut ids = match size.filter(|size| size.is_small_beside(distinct.names.len())) {
        Some(size) => by_reading_all(sql, table, &distinct, size)?,
        None => look_up(sql, table, &distinct.names)?,
    };
    let (places, new) = without_id(&distinct, &ids);
    if !new.is_empty() {
        // In a row, so that the largest is how many there are (`totals::facts`).
        let statement = format!(
            "INSERT INTO {table} (id, name) SELECT ?1 + j.key, j.value FROM json_each(?2) AS j"
        );
        let first = size.map_or_else(|| Size::of(sql, table), Ok)?.largest + 1;
        let bindings = [Value::Integer(first.cast_signed()), Value::Text(list_of(new.into_iter()))];
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
        set(&mut ids, places.into_iter().zip(first..));
    }
    let id = |place: usize| ids.get(place).copied().filter(|id| *id != 0);
    distinct.places.into_iter().map(id).collect::<Option<_>>().ok_or(Error::Corrupt("names"))
}

/// Fewer names are looked up, however small the table is.
const FEW: usize = 16;

/// The distinct names without an id, with their places.
fn without_id<'a>(distinct: &Distinct<'a>, ids: &[u64]) -> (Vec<usize>, Vec<&'a str>) {
    let all = distinct.names.iter().zip(ids).enumerate();
    all.filter(|(_, (_, id))| **id == 0).map(|(place, (name, _))| (place, *name)).unzip()
}

fn set(ids: &mut [u64], found: impl Iterator<Item = (usize, u64)>) {
    for (place, id) in found {
        if let Some(known) = ids.get_mut(place) {
            *known = id;
        }
    }
}

/// How many names a table has.
#[derive(Clone, Copy)]
struct Size {
    /// The largest id; 0 if there is none.
    largest: u64,
    /// Whether there are names that were given up.
    has_aliases: bool,
}

impl Size {
    fn of(sql: &impl Sql, table: &str) -> Result<Self, Error> {
        let statement = format!(
            "SELECT coalesce((SELECT max(id) FROM {table}), 0), \
                    EXISTS (SELECT 1 FROM aliases WHERE kind = '{table}')"
        );
        let rows = sql.execute(&statement, &[]).map_err(Error::Regions)?;
        let size = |[largest, has_aliases]: [i64; 2]| Self {
            largest: largest.cast_unsigned(),
            has_aliases: has_aliases != 0,
        };
        rows.first().and_then(|row| integers(row)).map(size).ok_or(Error::Corrupt("names"))
    }

    /// Whether so many names are found best by reading all of the table: that costs a fifth of
    /// looking up each of its names.
    fn is_small_beside(&self, names: usize) -> bool {
        let most = names.saturating_mul(4).min(limits::NAMES_READ_AT_ONCE_MAX);
        usize::try_from(self.largest).is_ok_and(|largest| largest <= most)
    }
}

/// The ids of the distinct names, 0 for a name without one, by reading all of the table. What is not
/// in it may be a name that was given up.
fn by_reading_all(
    sql: &impl Sql,
    table: &str,
    distinct: &Distinct<'_>,
    size: Size,
) -> Result<Vec<u64>, Error> {
    let mut ids = all(sql, table, distinct)?;
    let (places, unknown) = without_id(distinct, &ids);
    if size.has_aliases && !unknown.is_empty() {
        set(&mut ids, places.into_iter().zip(look_up(sql, table, &unknown)?));
    }
    Ok(ids)
}

/// The ids of the distinct names that are in the table; 0 for others.
fn all(sql: &impl Sql, table: &str, distinct: &Distinct<'_>) -> Result<Vec<u64>, Error> {
    let mut ids = vec![0; distinct.names.len()];
    // Both lists are in the order in which the table is read, whichever that is.
    let statement = format!("SELECT group_concat(name), group_concat(id) FROM {table}");
    let rows = sql.execute(&statement, &[]).map_err(Error::Regions)?;
    match rows.first().map(Vec::as_slice) {
        Some([Value::Null, Value::Null]) => {}
        Some([Value::Text(names), Value::Text(known)]) => {
            let mut known = known.split(',');
            for name in names.split(',') {
                let id =
                    known.next().and_then(|id| id.parse().ok()).ok_or(Error::Corrupt("names"))?;
                set(&mut ids, distinct.place_of(name).map(|place| (place, id)).into_iter());
            }
        }
        _ => return Err(Error::Corrupt("names")),
    }
    Ok(ids)
}

/// Whether each of the names is known in `table`, in their order.
pub(crate) fn are_known(sql: &impl Sql, table: &str, names: &[&str]) -> Result<Vec<bool>, Error> {
    let Distinct { names, places, .. } = Distinct::of(names.iter().copied());
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
    let mut ids = Vec::with_capacity(names.len());
    for names in names.chunks(limits::NAMES_READ_AT_ONCE_MAX) {
        ids.append(&mut look_up_at_once(sql, table, names)?);
    }
    Ok(ids)
}

/// The same for names whose places fit above an id.
fn look_up_at_once(sql: &impl Sql, table: &str, names: &[&str]) -> Result<Vec<u64>, Error> {
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

// A place and an id fit a positive INTEGER of SQLite.
const _: () = assert!(limits::NAMES_READ_AT_ONCE_MAX <= 1 << (63 - DEVICE_BITS));

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
