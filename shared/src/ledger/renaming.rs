//! Correcting whole devices and regions: renaming, merging and withdrawing them, in
//! bounded steps. Each reading gets a correction of its own, so that nothing changes
//! without a trace.

use std::borrow::Cow;

use crate::base::digest::sha256;
use crate::domain::correction::Correction;
use crate::domain::reading::{DeviceId, Reading, Region, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::corrections::{NewCorrection, add};
use crate::ledger::row::Row;
use crate::ledger::sql::integers;
use crate::ledger::{count, dictionary, read};
use crate::limits;

/// What is corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    Device,
    Region,
}

impl Whole {
    /// Its table of names.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Device => "devices",
            Self::Region => "regions",
        }
    }

    fn has(self, id: u64, row: &Row) -> bool {
        match self {
            Self::Device => row.device() == id,
            Self::Region => u64::from(row.region) == id,
        }
    }
}

/// What a step of a correction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Readings that were corrected.
    pub(crate) corrected: usize,
    /// The minute to go on from; `None` if all were corrected.
    pub(crate) next: Option<i64>,
}

/// Gives `name`, of the device or region `id`, to what has the id `other`, or is to be
/// renamed (`None`): names that were given up go on standing for it.
fn give_up(
    sql: &impl Sql,
    whole: Whole,
    (name, id): (&str, u64),
    made: UnixMillis,
    reason: &str,
) -> Result<(), Error> {
    let statement = "INSERT OR REPLACE INTO aliases (kind, name, id, made, reason) \
                     VALUES (?1, ?2, ?3, ?4, ?5)";
    let bindings = [
        Value::Text(whole.table().to_owned()),
        Value::Text(name.to_owned()),
        Value::Integer(id.cast_signed()),
        Value::Integer(made.get()),
        Value::Text(reason.to_owned()),
    ];
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// Renames a device or a region. The old name goes on standing for it. `new` must not be
/// known.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn rename(
    sql: &impl Sql,
    whole: Whole,
    (name, id): (&str, u64),
    new: &str,
    (made, reason): (UnixMillis, &str),
) -> Result<(), Error> {
    set_name(sql, whole, id, new)?;
    let forget = "DELETE FROM aliases WHERE kind = ?1 AND name = ?2";
    let bindings = [whole.table(), new].map(|text| Value::Text(text.to_owned()));
    sql.execute(forget, &bindings).map_err(Error::Regions)?;
    give_up(sql, whole, (name, id), made, reason)
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

/// What is to become of the readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Into<'a> {
    /// They are withdrawn.
    Nothing,
    /// They become readings of the device or region with this name and id, which exists.
    Other(&'a str, u64),
}

/// Corrects readings of a device or region that the ledger has, from a minute on, at most
/// `limits::CORRECTED_AT_ONCE_MAX`.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn correct(
    sql: &impl Sql,
    whole: Whole,
    id: u64,
    into: Into<'_>,
    from: i64,
    (made, reason): (UnixMillis, &str),
) -> Result<Progress, Error> {
    /// Minutes looked at in one request: some weeks.
    const MINUTES_MAX: i64 = 30 * 1_440;
    const MINUTES_AT_ONCE: i64 = 60;
    let [first, last] = minutes(sql)?;
    let mut minute = from.max(first);
    let end = last.min(minute.saturating_add(MINUTES_MAX));
    let mut rows: Vec<Row> = Vec::new();
    while minute <= end && rows.len() < limits::CORRECTED_AT_ONCE_MAX {
        let mut found = read::rows_between(sql, minute, minute + MINUTES_AT_ONCE)?;
        found.retain(|row| whole.has(id, row));
        rows.append(&mut found);
        minute += MINUTES_AT_ONCE;
    }
    let mut next = (minute <= last).then_some(minute);
    if let Some(over) = rows.get(limits::CORRECTED_AT_ONCE_MAX).map(|row| row.minute) {
        // Whole minutes. One that has more readings than that is corrected whole.
        let before = rows.partition_point(|row| row.minute < over);
        let whole_minute = rows.partition_point(|row| row.minute <= over);
        let (kept, at) = if before > 0 { (before, over) } else { (whole_minute, over + 1) };
        next = Some(i64::from(at));
        rows.truncate(kept);
    }
    let corrections = corrections(sql, &rows, whole, into, reason)?;
    if let (Whole::Device, Into::Other(name, _)) = (whole, into) {
        post_again(sql, &rows, name)?;
    }
    let hashes: Vec<_> = corrections.iter().map(|one| sha256(&one.to_text())).collect();
    let new: Vec<NewCorrection<'_>> = corrections
        .iter()
        .zip(&hashes)
        .map(|(correction, hash)| NewCorrection { correction, hash, made })
        .collect();
    add(sql, &new)?;
    Ok(Progress { corrected: rows.len(), next })
}

/// The first and the last minute of the ledger; an empty range without one.
fn minutes(sql: &impl Sql) -> Result<[i64; 2], Error> {
    let ends = "SELECT coalesce((SELECT min(minute) FROM ledger), 0), \
                       coalesce((SELECT max(minute) FROM ledger), -1)";
    let rows = sql.execute(ends, &[]).map_err(Error::Regions)?;
    rows.first().and_then(|row| integers(row)).ok_or(Error::Corrupt("ledger"))
}

fn corrections<'a>(
    sql: &impl Sql,
    rows: &[Row],
    whole: Whole,
    into: Into<'a>,
    reason: &'a str,
) -> Result<Vec<Correction<'a>>, Error> {
    let names = dictionary::of(sql, "devices", rows.iter().map(Row::device))?;
    let region = match (whole, into) {
        (Whole::Region, Into::Other(name, _)) => Region::stored(name),
        _ => None,
    };
    let correction = |row: &Row| {
        let name = names.get(row.device())?.to_owned();
        Some(Correction {
            device_id: DeviceId::stored(name)?,
            timestamp: row.timestamp()?,
            expected: row.temperature(),
            temperature: region.as_ref().and_then(|_| row.temperature()),
            region: region.clone(),
            reason: Cow::Borrowed(reason),
        })
    };
    rows.iter().map(correction).collect::<Option<_>>().ok_or(Error::Corrupt("ledger row"))
}

/// Posts the readings once more, as those of another device.
fn post_again(sql: &impl Sql, rows: &[Row], device: &str) -> Result<(), Error> {
    let names = dictionary::of(sql, "regions", rows.iter().map(|row| u64::from(row.region)))?;
    let reading = |row: &Row| {
        let region = Region::stored(names.get(row.region.into())?.to_owned())?;
        let device_id = DeviceId::stored(device)?;
        let reading = Reading::new(device_id, region, row.temperature()?, row.timestamp()?);
        Some(reading.arrived(row.is_late))
    };
    let readings: Option<Vec<Reading<'_>>> = rows.iter().map(reading).collect();
    count::post(sql, &readings.ok_or(Error::Corrupt("ledger row"))?).map(|_outcomes| ())
}

/// Ends a merge: what is left of the name stands for the other from now on. Readings that
/// the ledger does not have any more stay under `<name>.old`.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn end_merge(
    sql: &impl Sql,
    whole: Whole,
    (name, id): (&str, u64),
    other: u64,
    (made, reason): (UnixMillis, &str),
) -> Result<(), Error> {
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
    give_up(sql, whole, (name, other), made, reason)
}
