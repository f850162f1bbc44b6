//! Names of devices and regions that are given up, by renaming or by a merge. They go on
//! standing for what they named.

use crate::domain::correction::Cause;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary;
use crate::ledger::whole::Whole;
use crate::limits;

/// Gives `name` to what has the id `id`: names that were given up go on standing for it.
fn give_up(sql: &impl Sql, whole: Whole, (name, id): (&str, u64)) -> Result<(), Error> {
    let statement = "INSERT OR REPLACE INTO aliases (kind, name, id) VALUES (?1, ?2, ?3)";
    let bindings = [
        Value::Text(whole.table().to_owned()),
        Value::Text(name.to_owned()),
        Value::Integer(id.cast_signed()),
    ];
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// A renaming, or the end of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renaming<'a> {
    pub(crate) whole: Whole,
    pub(crate) name: &'a str,
    pub(crate) id: u64,
    /// The name that takes its place.
    pub(crate) new: &'a str,
    pub(crate) cause: Cause<'a>,
}

impl Renaming<'_> {
    /// Keeps a trace of it.
    fn note(&self, sql: &impl Sql, is_merged: bool) -> Result<(), Error> {
        let statement = "INSERT INTO renamings (kind, name, new, merged, made, by, reason) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let text = |text: &str| Value::Text(text.to_owned());
        let bindings = [
            text(self.whole.table()),
            text(self.name),
            text(self.new),
            Value::Integer(is_merged.into()),
            Value::Integer(self.cause.made.get()),
            self.cause.by.map_or(Value::Null, text),
            text(self.cause.reason),
        ];
        sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
    }
}

/// Renames a device or a region. The old name goes on standing for it. The new one must not
/// be known.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn rename(sql: &impl Sql, renaming: &Renaming<'_>) -> Result<(), Error> {
    let Renaming { whole, name, id, new, .. } = *renaming;
    set_name(sql, whole, id, new)?;
    let forget = "DELETE FROM aliases WHERE kind = ?1 AND name = ?2";
    let bindings = [whole.table(), new].map(|text| Value::Text(text.to_owned()));
    sql.execute(forget, &bindings).map_err(Error::Regions)?;
    give_up(sql, whole, (name, id))?;
    renaming.note(sql, false)
}

fn set_name(sql: &impl Sql, whole: Whole, id: u64, name: &str) -> Result<(), Error> {
    let bindings = [Value::Text(name.to_owned()), Value::Integer(id.cast_signed())];
    let rename = format!("UPDATE {} SET name = ?1 WHERE id = ?2", whole.table());
    sql.execute(&rename, &bindings).map_err(Error::Regions)?;
    if whole == Whole::Device {
        let rename = "UPDATE region_devices SET name = ?1 WHERE device = ?2";
        sql.execute(rename, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}

/// The name that something had. What was merged, and has nothing left, has its id behind it.
pub(crate) fn name_before_merge(name: &str) -> &str {
    name.split_once('~').map_or(name, |(before, _id)| before)
}

/// Ends a merge: what is left of the name stands for the other from now on. Readings that
/// the ledger does not have any more stay under `<name>.old`.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn end_merge(sql: &impl Sql, renaming: &Renaming<'_>, other: u64) -> Result<(), Error> {
    let Renaming { whole, name, id, .. } = *renaming;
    let is_left = match whole {
        Whole::Region => "SELECT 1 FROM windows WHERE span = 0 AND region = ?1 AND readings > 0",
        Whole::Device => "SELECT 1 FROM region_devices WHERE device = ?1",
    };
    let rows = sql.execute(is_left, &[Value::Integer(id.cast_signed())]).map_err(Error::Regions)?;
    // A tilde can't be in a name that is sent.
    let rest = if rows.is_empty() { format!("{name}~{id}") } else { format!("{name}.old") };
    let is_taken = dictionary::id_of(sql, whole.table(), &rest)?.is_some();
    let is_name = rest.len() <= limits::NAME_BYTES_MAX;
    set_name(sql, whole, id, &if is_taken || !is_name { format!("{id}.old") } else { rest })?;
    let follow = "UPDATE aliases SET id = ?3 WHERE kind = ?1 AND id = ?2";
    let bindings = [
        Value::Text(whole.table().to_owned()),
        Value::Integer(id.cast_signed()),
        Value::Integer(other.cast_signed()),
    ];
    sql.execute(follow, &bindings).map_err(Error::Regions)?;
    if whole == Whole::Region {
        let of_senders = "INSERT OR IGNORE INTO sender_regions (sender, region) \
                          SELECT sender, ?2 FROM sender_regions WHERE region = ?1";
        let bindings = [id, other].map(|id| Value::Integer(id.cast_signed()));
        sql.execute(of_senders, &bindings).map_err(Error::Regions)?;
    }
    give_up(sql, whole, (name, other))?;
    renaming.note(sql, true)
}
