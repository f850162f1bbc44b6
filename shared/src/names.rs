//! The names of devices and regions, which are kept once: rows refer to them by
//! small integers.

use std::collections::HashMap;

use crate::error::Error;
use crate::host::{Sql, Value};

/// The ids of the names in `table`, each of which has one after this.
pub(crate) fn ids<'a>(
    sql: &impl Sql,
    table: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<HashMap<&'a str, u64>, Error> {
    let mut ids: HashMap<&str, u64> = names.map(|name| (name, 0)).collect();
    let missing = look_up(sql, table, &mut ids)?;
    if missing > 0 {
        let new = format!(
            "INSERT INTO {table} (name) SELECT value FROM json_each(?1) WHERE true \
             ON CONFLICT (name) DO NOTHING"
        );
        let names = ids.iter().filter(|(_, id)| **id == 0).map(|(name, _)| *name);
        sql.execute(&new, &[list(names)]).map_err(Error::Regions)?;
        if look_up(sql, table, &mut ids)? > 0 {
            return Err(Error::Corrupt("names"));
        }
    }
    Ok(ids)
}

/// Fills in the ids of names that have none yet (0), and says how many still
/// have none. All of them come as one value: a row for each would cost more than
/// finding it.
fn look_up(sql: &impl Sql, table: &str, ids: &mut HashMap<&str, u64>) -> Result<usize, Error> {
    let known = format!(
        "SELECT json_group_array(coalesce(t.id, 0) ORDER BY j.key) \
         FROM json_each(?1) AS j LEFT JOIN {table} AS t ON t.name = j.value"
    );
    let mut open: Vec<(&&str, &mut u64)> = ids.iter_mut().filter(|(_, id)| **id == 0).collect();
    if open.is_empty() {
        return Ok(0);
    }
    let names = list(open.iter().map(|(name, _)| **name));
    let rows = sql.execute(&known, &[names]).map_err(Error::Regions)?;
    let found = match rows.first().map(Vec::as_slice) {
        Some([Value::Text(found)]) => found.trim_matches(['[', ']']),
        _ => return Err(Error::Corrupt("names")),
    };
    let found: Option<Vec<u64>> = found.split(',').map(|id| id.parse().ok()).collect();
    let found = found.filter(|found| found.len() == open.len()).ok_or(Error::Corrupt("names"))?;
    let missing = found.iter().filter(|id| **id == 0).count();
    for ((_, id), found) in open.iter_mut().zip(found) {
        **id = found;
    }
    Ok(missing)
}

/// Names as a list in JSON: they have no character that it would escape.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let mut text = String::from("[");
    for name in names {
        text.push_str(if text.len() > 1 { ",\"" } else { "\"" });
        text.push_str(name);
        text.push('"');
    }
    text.push(']');
    Value::Text(text)
}

/// Names by their ids.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<(i64, String)>);

impl Names {
    /// The name of this id, if it is one of them.
    pub(crate) fn get(&self, id: u32) -> Option<&str> {
        let index = self.0.binary_search_by_key(&i64::from(id), |(known, _)| *known).ok()?;
        self.0.get(index).map(|(_, name)| name.as_str())
    }
}

/// The names of these ids, in `table`.
pub(crate) fn of(
    sql: &impl Sql,
    table: &str,
    ids: impl Iterator<Item = u32>,
) -> Result<Names, Error> {
    let mut list = String::from("[null");
    ids.for_each(|id| list += &format!(",{id}"));
    list.push(']');
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
