//! All single readings of a range, in large pages.
//!
//! A page may have a hundred thousand readings, so nothing here holds all of them: the
//! ledger is read piece by piece, and each reading is handed on.

use crate::base::sort;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::Sql;
use crate::ledger::dictionary::{self, Names};
use crate::ledger::{self, Place, Row};
use crate::limits;

/// Which readings a page is to have.
pub(crate) struct Wanted<'a> {
    /// Of one region alone.
    pub(crate) region: Option<&'a str>,
    /// Of one device alone.
    pub(crate) device: Option<&'a str>,
    /// The first instant.
    pub(crate) from: UnixMillis,
    /// The first instant after them.
    pub(crate) to: UnixMillis,
    /// Those after this place alone.
    pub(crate) after: Option<Place>,
}

/// A reading, with its names.
pub(crate) struct Named<'a> {
    pub(crate) at: UnixMillis,
    pub(crate) device: &'a str,
    pub(crate) region: &'a str,
    pub(crate) temperature: MilliCelsius,
}

/// How the reading of a page ended.
pub(crate) enum Ended {
    /// The next page comes after this place; `None` if this is the last one.
    Page(Option<Place>),
    /// No reading of this region was counted.
    UnknownRegion,
    /// No reading of this device was counted.
    UnknownDevice,
}

/// Calls `put` with the readings that are wanted, sorted by minute, then device, then time,
/// until it returns that it took none. Ends earlier after `limits::PIECES_PER_PAGE_MAX` pieces
/// of the ledger, so that there may be a next page although `put` has room.
pub(crate) fn page(
    sql: &impl Sql,
    wanted: &Wanted<'_>,
    put: &mut dyn FnMut(&Named<'_>) -> bool,
) -> Result<Ended, Error> {
    let id = |table, name: Option<&str>| {
        name.map(|name| dictionary::id_of(sql, table, name)).transpose()
    };
    let (region, device) = (id("regions", wanted.region)?, id("devices", wanted.device)?);
    if region == Some(None) {
        return Ok(Ended::UnknownRegion);
    }
    if device == Some(None) {
        return Ok(Ended::UnknownDevice);
    }
    let (region, device) = (region.flatten(), device.flatten());
    // One device is looked up minute by minute, so those beyond the ledger are left out.
    let Some([oldest, newest]) = ledger::edges(sql)? else { return Ok(Ended::Page(None)) };
    let begin = Place::before(wanted.from.minute().max(oldest));
    let mut place = wanted.after.unwrap_or(begin).max(begin);
    let to = wanted.to.saturating_sub(1).minute().min(newest) + 1;
    let mut most = MOST_AT_FIRST;
    for _ in 0..limits::PIECES_PER_PAGE_MAX {
        let piece = ledger::piece(sql, device, place, to, most)?;
        most = next_most(most, piece.rows.len());
        let mut rows = piece.rows;
        rows.retain(|row| {
            let is_within = row.timestamp().is_none_or(|at| (wanted.from..wanted.to).contains(&at));
            is_within && region.is_none_or(|region| u64::from(row.region) == region)
        });
        let devices = names(sql, "devices", &rows, Row::device)?;
        let regions = names(sql, "regions", &rows, |row| row.region.into())?;
        for row in &rows {
            let named = named(row, &devices, &regions).ok_or(Error::Corrupt("ledger row"))?;
            if !put(&named) {
                return Ok(Ended::Page(Some(place)));
            }
            place = Place::of(row);
        }
        match piece.end {
            Some(end) => place = end,
            None => return Ok(Ended::Page(None)),
        }
    }
    Ok(Ended::Page(Some(place)))
}

/// How much of the ledger the first piece is read from: most pages are small.
const MOST_AT_FIRST: usize = 64;

/// How much the next piece is read from, after one with this many rows: what is beyond
/// `limits::READINGS_PER_PIECE` is read in vain.
fn next_most(most: usize, rows: usize) -> usize {
    match rows {
        limits::READINGS_PER_PIECE.. => most.div_ceil(2),
        HALF_A_PIECE.. => most,
        _ => (most * 2).min(limits::RUNS_PER_PIECE_MAX),
    }
}

const HALF_A_PIECE: usize = limits::READINGS_PER_PIECE / 2;

/// The names that the rows refer to.
fn names(
    sql: &impl Sql,
    table: &str,
    rows: &[Row],
    id: impl Fn(&Row) -> u64,
) -> Result<Names, Error> {
    let mut ids: Vec<u64> = rows.iter().map(id).collect();
    ids.dedup();
    sort::sort_by_key(&mut ids, |id| u128::from(*id));
    ids.dedup();
    if ids.is_empty() {
        return Ok(Names::default());
    }
    dictionary::of(sql, table, ids.into_iter())
}

fn named<'a>(row: &Row, devices: &'a Names, regions: &'a Names) -> Option<Named<'a>> {
    Some(Named {
        at: row.timestamp()?,
        device: devices.get(row.device())?,
        region: regions.get(row.region.into())?,
        temperature: row.temperature()?,
    })
}
