//! The corrections of counted readings, as a set. A change of what stands changes all
//! windows in the same transaction (`restate`).

use crate::base::sort;
use crate::domain::correction::{Correction, Fate, stand};
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary;
use crate::ledger::restate::{Restated, restate};
use crate::ledger::row::{LEDGER, Row, key, key_at};
use crate::ledger::sorted_run::Keys;
use crate::ledger::sql::{placeholders, rows_per_statement};
use crate::ledger::standing::{Stored, changes, of_reading, place, select};
use crate::ledger::totals::{FOLDS, PRUNED_BEFORE, add_to_tallies, tally};

/// A correction to store: what it says, its hash, and when it was accepted.
pub(crate) struct NewCorrection<'a> {
    pub(crate) correction: &'a Correction<'a>,
    pub(crate) hash: &'a [u8],
    pub(crate) made: UnixMillis,
}

/// A reading: minute, device, and milliseconds into the minute.
pub(crate) type Identity = (i64, u64, u64);

/// What becomes of a correction, by its reading and hash; `None` if the ledger does not have
/// the reading any more.
pub(crate) type FateOf = (u128, [u8; 32], Option<Fate>);

/// What becomes of all corrections of these readings, sorted.
pub(crate) fn fates(sql: &impl Sql, readings: &[Identity]) -> Result<Vec<FateOf>, Error> {
    let mut wanted: Vec<Keys<1>> =
        readings.iter().map(|(minute, device, ms)| key_at(*minute, *device, *ms)).collect();
    sort::sort_by_key(&mut wanted, |keys| place(keys.group[0], keys.from));
    wanted.dedup();
    let all = of_identities(sql, &wanted)?;
    let counted = counted(sql, &wanted)?;
    let pruned_before = tally(sql, PRUNED_BEFORE)? / UnixMillis::PER_MINUTE;
    let mut fates = Vec::with_capacity(all.len());
    for own in all.chunk_by(|a, b| a.place() == b.place()) {
        let Some(first) = own.first() else { continue };
        let row = counted.binary_search_by(|row| row.place().cmp(&first.place())).ok();
        let found = match row.and_then(|index| counted.get(index)) {
            Some(row) => {
                let (_, fates) = stand(row.region, row.millicelsius, &changes(own));
                fates.into_iter().map(Some).collect()
            }
            None if first.minute < pruned_before => vec![None; own.len()],
            None => vec![Some(Fate::Waiting); own.len()],
        };
        let fate = |(stored, fate): (&Stored, Option<Fate>)| (stored.place(), stored.hash, fate);
        fates.extend(own.iter().zip(found).map(fate));
    }
    Ok(fates)
}

/// One of `fates`.
pub(crate) fn fate_of(fates: &[FateOf], reading: Identity, hash: &[u8]) -> Option<Fate> {
    let (minute, device, ms) = reading;
    let wanted = (place(minute, key(device, ms)), hash);
    let index = fates.binary_search_by(|(at, hash, _)| (*at, hash.as_slice()).cmp(&wanted)).ok()?;
    fates.get(index).and_then(|(_, _, fate)| *fate)
}

/// The rows of these readings as they were counted, sorted. `identities` are sorted, too.
fn counted(sql: &impl Sql, identities: &[Keys<1>]) -> Result<Vec<Row>, Error> {
    let mut rows: Vec<Row> = Vec::new();
    for run in LEDGER.load(sql, identities)? {
        rows.append(&mut LEDGER.decode(&run)?);
    }
    rows.retain(|row| {
        let wanted = |keys: &Keys<1>| (keys.group[0], keys.from).cmp(&(row.minute.into(), row.key));
        identities.binary_search_by(wanted).is_ok()
    });
    Ok(rows)
}

/// Columns of a correction that are written.
const WRITTEN: usize = 9;

/// Adds corrections to the set, and changes the windows where something else stands now.
/// Those that are there already change nothing.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn add(sql: &impl Sql, new: &[NewCorrection<'_>]) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let of = |new: &NewCorrection<'_>| new.correction.timestamp;
    let devices = new.iter().map(|new| new.correction.device_id.as_str());
    let devices = dictionary::ids(sql, "devices", devices.collect::<Vec<_>>().into_iter())?;
    let named: Vec<&str> =
        new.iter().filter_map(|new| Some(new.correction.region.as_ref()?.as_str())).collect();
    let mut regions = dictionary::ids(sql, "regions", named.into_iter())?.into_iter();
    let mut identities = Vec::with_capacity(new.len());
    let mut rows = Vec::with_capacity(new.len());
    for (one, device) in new.iter().zip(devices) {
        let (minute, ms) = (of(one).minute(), of(one).ms_of_minute());
        identities.push(key_at(minute, device, ms.unsigned_abs()));
        let region = one.correction.region.as_ref().and_then(|_| regions.next());
        let number = |temperature: Option<crate::domain::reading::MilliCelsius>| {
            temperature.map_or(Value::Null, |celsius| Value::Integer(i64::from(celsius.get())))
        };
        rows.push([
            Value::Integer(minute),
            Value::Integer(device.cast_signed()),
            Value::Integer(ms),
            Value::Blob(one.hash.to_vec()),
            number(one.correction.expected),
            number(one.correction.temperature),
            region.map_or(Value::Null, |id| Value::Integer(id.cast_signed())),
            Value::Text(one.correction.reason.clone().into_owned()),
            Value::Integer(one.made.get()),
        ]);
    }
    sort::sort_by_key(&mut identities, |keys| place(keys.group[0], keys.from));
    identities.dedup();
    let before = of_identities(sql, &identities)?;
    for chunk in rows.chunks(rows_per_statement(sql, WRITTEN)) {
        let statement = format!(
            "INSERT OR IGNORE INTO corrections \
                 (minute, device, ms, hash, expected, milli, region, reason, made) VALUES {}",
            placeholders(chunk.len(), WRITTEN)
        );
        let bindings: Vec<Value> = chunk.iter().flatten().cloned().collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    let after = of_identities(sql, &identities)?;
    // A reading of which the ledger has nothing any more can't be changed.
    let pruned_before = tally(sql, PRUNED_BEFORE)? / UnixMillis::PER_MINUTE;
    let mut counted = counted(sql, &identities)?;
    counted.retain(|row| i64::from(row.minute) >= pruned_before);
    let restated = |row: &Row| {
        let at = place(row.minute.into(), row.key);
        let stands =
            |all: &[Stored]| stand(row.region, row.millicelsius, &changes(of_reading(all, at))).0;
        let (before, after) = (stands(&before), stands(&after));
        (before != after).then_some(Restated { row: *row, before, after })
    };
    restate(sql, &counted.iter().filter_map(restated).collect::<Vec<_>>())?;
    // What was answered before may be another answer now.
    add_to_tallies(sql, &[(FOLDS, 1), ("corrections", new.len())])
}

/// All corrections of these readings, sorted.
fn of_identities(sql: &impl Sql, identities: &[Keys<1>]) -> Result<Vec<Stored>, Error> {
    let minutes: Vec<String> = identities.iter().map(|keys| keys.group[0].to_string()).collect();
    let list = Value::Text(format!("[{}]", minutes.join(",")));
    select(sql, "minute IN (SELECT value FROM json_each(?1))", &[list])
}
