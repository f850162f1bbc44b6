//! The corrections of counted readings, as a set. A change of what stands changes all
//! windows in the same transaction (`restate`).

use crate::base::sort;
use crate::domain::correction::{self, Change, Correction, Fate, Standing};
use crate::domain::reading::{MilliCelsius, Region, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary;
use crate::ledger::outbox;
use crate::ledger::restate::{Restated, restate};
use crate::ledger::row::{LEDGER, Row, key, key_at};
use crate::ledger::sorted_run::Keys;
use crate::ledger::sql::{integers, placeholders, rows_per_statement};
use crate::ledger::standing::{Stored, changes, in_minutes, of_row, place};
use crate::ledger::totals::{FOLDS, PRUNED_BEFORE, add_to_tallies, correctable_from, tally};

/// A correction to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewCorrection {
    pub(crate) reading: Identity,
    pub(crate) change: Change,
    /// Of what it says.
    pub(crate) hash: [u8; 32],
    pub(crate) reason: String,
    /// When it was accepted.
    pub(crate) made: UnixMillis,
    /// The name of the credential that asked for it, if it is known.
    pub(crate) by: Option<String>,
}

/// A correction with names, its hash, when it was accepted, and by which credential.
pub(crate) struct Said<'a> {
    pub(crate) correction: Correction<'a>,
    pub(crate) hash: [u8; 32],
    pub(crate) made: UnixMillis,
    pub(crate) by: Option<&'a str>,
}

/// The corrections with ids in place of names. New names get an id.
pub(crate) fn with_ids(sql: &impl Sql, said: &[Said<'_>]) -> Result<Vec<NewCorrection>, Error> {
    let devices: Vec<&str> = said.iter().map(|one| one.correction.device_id.as_str()).collect();
    let devices = dictionary::ids(sql, "devices", devices.into_iter())?;
    let regions = said.iter().map(|one| &one.correction);
    let regions = regions.flat_map(|one| [&one.expected_region, &one.region]);
    let names: Vec<&str> = regions.flatten().map(Region::as_str).collect();
    let mut regions = dictionary::ids(sql, "regions", names.into_iter())?.into_iter();
    let mut region =
        |name: &Option<Region<'_>>| name.as_ref().and_then(|_| u32::try_from(regions.next()?).ok());
    let mut new = Vec::with_capacity(said.len());
    for (Said { correction: one, hash, made, by }, device) in said.iter().zip(devices) {
        let (minute, ms) = (one.timestamp.minute(), one.timestamp.ms_of_minute());
        let celsius = |temperature: Option<MilliCelsius>| temperature.map(MilliCelsius::get);
        let change = Change {
            expected: celsius(one.expected),
            expected_region: region(&one.expected_region),
            millicelsius: celsius(one.temperature),
            region: region(&one.region),
        };
        let (reading, reason) =
            ((minute, device, ms.unsigned_abs()), one.reason.clone().into_owned());
        let by = by.map(str::to_owned);
        new.push(NewCorrection { reading, change, hash: *hash, reason, made: *made, by });
    }
    Ok(new)
}

/// A reading: minute, device, and milliseconds into the minute.
pub(crate) type Identity = (i64, u64, u64);

/// What becomes of a correction, by its reading and hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FateOf {
    place: u128,
    hash: [u8; 32],
    /// `None` if the ledger does not have the reading any more, or the correction came too
    /// late.
    pub(crate) fate: Option<Fate>,
    /// What stands of the reading, if the ledger has it.
    pub(crate) standing: Option<Standing>,
}

/// What becomes of all corrections of these readings, sorted.
pub(crate) fn fates(sql: &impl Sql, readings: &[Identity]) -> Result<Vec<FateOf>, Error> {
    let wanted = sorted(readings.iter().copied());
    let all = of_identities(sql, &wanted)?;
    let counted = counted(sql, &wanted)?;
    let pruned_before = tally(sql, PRUNED_BEFORE)? / UnixMillis::PER_MINUTE;
    let mut fates = Vec::with_capacity(all.len());
    for own in all.chunk_by(|a, b| a.place() == b.place()) {
        let Some(first) = own.first() else { continue };
        let row = counted.binary_search_by(|row| row.place().cmp(&first.place())).ok();
        let row = row.and_then(|index| counted.get(index));
        let found = match row {
            Some(row) => {
                let fates = correction::fates(row.region, row.millicelsius, &changes(own));
                fates.into_iter().map(Some).collect()
            }
            None if first.minute < pruned_before => vec![None; own.len()],
            None => vec![Some(Fate::Waiting); own.len()],
        };
        let standing = row.map(|row| of_row(row, own).0);
        let fate = |(stored, fate): (&Stored, Option<Fate>)| FateOf {
            place: stored.place(),
            hash: stored.hash,
            fate,
            standing,
        };
        fates.extend(own.iter().zip(found).map(fate));
    }
    Ok(fates)
}

/// The keys of readings, each once.
fn sorted(readings: impl Iterator<Item = Identity>) -> Vec<Keys<1>> {
    let mut keys: Vec<Keys<1>> =
        readings.map(|(minute, device, ms)| key_at(minute, device, ms)).collect();
    sort::sort_by_key(&mut keys, |keys| place(keys.group[0], keys.from));
    keys.dedup();
    keys
}

/// One of `fates`.
pub(crate) fn fate_of<'a>(
    fates: &'a [FateOf],
    reading: Identity,
    hash: &[u8],
) -> Option<&'a FateOf> {
    let (minute, device, ms) = reading;
    let wanted = (place(minute, key(device, ms)), hash);
    let index = fates.binary_search_by(|one| (one.place, one.hash.as_slice()).cmp(&wanted)).ok()?;
    fates.get(index)
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
const WRITTEN: usize = 12;

impl NewCorrection {
    fn to_row(&self, correctable_from: i64) -> [Value; WRITTEN] {
        let Change { expected, expected_region, millicelsius, region } = self.change;
        let number = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
        let (minute, device, ms) = self.reading;
        [
            Value::Integer(minute),
            Value::Integer(device.cast_signed()),
            Value::Integer(ms.cast_signed()),
            Value::Blob(self.hash.to_vec()),
            number(expected.map(i64::from)),
            number(expected_region.map(i64::from)),
            number(millicelsius.map(i64::from)),
            number(region.map(i64::from)),
            Value::Text(self.reason.clone()),
            Value::Integer(self.made.get()),
            self.by.clone().map_or(Value::Null, Value::Text),
            Value::Integer(i64::from(minute >= correctable_from)),
        ]
    }
}

/// Adds corrections to the set, and changes the windows where something else stands now.
/// Those that are there already change nothing. One that comes too late
/// (`correctable_from`) is kept, and is never in force.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn add(sql: &impl Sql, new: &[NewCorrection]) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let identities = sorted(new.iter().map(|one| one.reading));
    let before = of_identities(sql, &identities)?;
    let correctable_from = correctable_from(sql)?;
    let mut added = Vec::new();
    for chunk in new.chunks(rows_per_statement(sql, WRITTEN)) {
        let statement = format!(
            "INSERT OR IGNORE INTO corrections \
                 (minute, device, ms, hash, expected, expected_region, milli, region, reason, \
                  made, by, in_force) VALUES {} RETURNING minute, device, ms",
            placeholders(chunk.len(), WRITTEN)
        );
        let bindings: Vec<Value> =
            chunk.iter().flat_map(|one| one.to_row(correctable_from)).collect();
        // Those that were there are not returned.
        for row in sql.execute(&statement, &bindings).map_err(Error::Regions)? {
            let [minute, device, ms] = integers(&row).ok_or(Error::Corrupt("correction"))?;
            added.push((minute, key(device.cast_unsigned(), ms.cast_unsigned())));
        }
    }
    outbox::note_corrected(sql, added.into_iter())?;
    let after = of_identities(sql, &identities)?;
    let mut counted = counted(sql, &identities)?;
    counted.retain(|row| i64::from(row.minute) >= correctable_from);
    let restated = |row: &Row| {
        let (before, after) = (of_row(row, &before).0, of_row(row, &after).0);
        (before != after).then_some(Restated { row: *row, before, after })
    };
    restate(sql, &counted.iter().filter_map(restated).collect::<Vec<_>>())?;
    // What was answered before may be another answer now.
    add_to_tallies(sql, &[(FOLDS, 1), ("corrections", new.len())])
}

/// All corrections of the minutes of these readings, sorted.
pub(super) fn of_identities(sql: &impl Sql, identities: &[Keys<1>]) -> Result<Vec<Stored>, Error> {
    in_minutes(
        sql,
        dictionary::list_of_ids(identities.iter().map(|keys| keys.group[0].cast_unsigned())),
    )
}
