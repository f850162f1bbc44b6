//! Changing the windows where something else stands of a counted reading.
//!
//! Sums could be corrected by a difference, but no minimum and no newest reading. So the
//! statistics of a minute are computed anew from the rows that stand, and those of an
//! hour, a day and all time from the windows below them. Devices' windows likewise.
//! Histograms and counts of late readings take differences.

use crate::base::sort;
use crate::domain::correction::Standing;
use crate::domain::histogram::Histogram;
use crate::domain::reading::MilliCelsius;
use crate::domain::stats::Stats;
use crate::error::{DamagedRow, Error};
use crate::host::{Sql, Value};
use crate::ledger::read::rows_between;
use crate::ledger::row::Row;
use crate::ledger::windows::{EMPTY, damaged_histogram};
use crate::ledger::{device_restate, placeholders};

/// A counted reading, and what stands of it before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restated {
    pub(crate) row: Row,
    pub(crate) before: Standing,
    pub(crate) after: Standing,
}

impl Restated {
    pub(super) fn minute(&self) -> i64 {
        i64::from(self.row.minute)
    }

    /// The regions whose windows change, or tell of the change.
    fn regions(&self) -> [u32; 3] {
        [self.row.region, self.before.region, self.after.region]
    }

    /// The regions that count a reading differently before and after, each with the
    /// temperature and whether it is added.
    pub(super) fn moves(&self) -> impl Iterator<Item = (u32, MilliCelsius, bool)> {
        let one = |standing: Standing, is_added| {
            let temperature = MilliCelsius::new(i64::from(standing.millicelsius?))?;
            Some((standing.region, temperature, is_added))
        };
        [one(self.before, false), one(self.after, true)].into_iter().flatten()
    }

    /// By how much the number of corrected readings of a region changes.
    fn corrected(&self, region: u32) -> i64 {
        let tells = |standing: Standing| {
            standing.applied > 0 && (standing.region == region || self.row.region == region)
        };
        i64::from(tells(self.after)) - i64::from(tells(self.before))
    }

    /// By how much the number of late readings of a region changes.
    fn late(&self, region: u32) -> i64 {
        self.of_kind(self.row.is_late, region)
    }

    /// By how much the number of those with an assumed time changes.
    fn assumed(&self, region: u32) -> i64 {
        self.of_kind(self.row.is_time_assumed, region)
    }

    fn of_kind(&self, is_of_it: bool, region: u32) -> i64 {
        let counts = |standing: Standing| {
            is_of_it && standing.region == region && standing.millicelsius.is_some()
        };
        i64::from(counts(self.after)) - i64::from(counts(self.before))
    }
}

/// The spans of windows of regions, from the finest; 0 is all time.
const SPANS: [i64; 4] = [1, 60, 1_440, 0];

/// Changes all windows that these readings are in. The corrections are stored already.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn restate(sql: &impl Sql, changes: &[Restated]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut places: Vec<(i64, i64)> = changes
        .iter()
        .flat_map(|change| change.regions().map(|region| (i64::from(region), change.minute())))
        .collect();
    sort_places(&mut places);
    for minutes in by_minute(&places) {
        restate_minute(sql, changes, &minutes)?;
    }
    for spans in SPANS.windows(2) {
        let [finer, span] = *spans else { continue };
        let start = |minute: i64| if span == 0 { 0 } else { minute - minute % span };
        let mut wider: Vec<(i64, i64)> =
            places.iter().map(|(region, minute)| (*region, start(*minute))).collect();
        sort_places(&mut wider);
        for (region, start) in wider {
            roll_up(sql, region, (finer, span), start)?;
        }
    }
    device_restate::restate(sql, changes)?;
    restate_histograms(sql, changes)
}

fn sort_places(places: &mut Vec<(i64, i64)>) {
    sort::sort_by_key(places, |(region, minute)| {
        u128::from(region.cast_unsigned()) << 64 | u128::from(minute.cast_unsigned())
    });
    places.dedup();
}

/// The places, each minute's together.
fn by_minute(places: &[(i64, i64)]) -> Vec<Vec<(i64, i64)>> {
    let mut all = places.to_vec();
    sort::sort_by_key(&mut all, |(region, minute)| {
        u128::from(minute.cast_unsigned()) << 64 | u128::from(region.cast_unsigned())
    });
    all.chunk_by(|a, b| a.1 == b.1).map(<[_]>::to_vec).collect()
}

/// Writes the windows of one minute anew, of these regions.
fn restate_minute(
    sql: &impl Sql,
    changes: &[Restated],
    places: &[(i64, i64)],
) -> Result<(), Error> {
    let Some((_, minute)) = places.first().copied() else { return Ok(()) };
    let rows = rows_between(sql, minute, minute + 1)?;
    for (region, _) in places {
        let own = rows.iter().filter(|row| i64::from(row.region) == *region);
        let one = |row: &Row| Some(Stats::of(row.temperature()?, row.timestamp()?));
        let stats = own.filter_map(one).reduce(Stats::merge);
        let statistics = stats.map_or(Some(EMPTY), Stats::to_columns);
        let statistics = statistics.ok_or(Error::Corrupt("window"))?;
        let id = u32::try_from(*region).map_err(|_too_large| Error::Corrupt("region"))?;
        let own = || changes.iter().filter(|change| change.minute() == minute);
        let mut bindings = vec![*region, 1, minute];
        bindings.extend(statistics);
        bindings.push(own().map(|change| change.late(id)).sum());
        bindings.push(own().map(|change| change.assumed(id)).sum());
        bindings.push(own().map(|change| change.corrected(id)).sum());
        let statement = format!(
            "INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                                  min, max, oldest, newest, late, assumed, corrected) VALUES {} \
             ON CONFLICT DO UPDATE SET {STATISTICS}, \
                 late = late + excluded.late, assumed = assumed + excluded.assumed, \
                 corrected = corrected + excluded.corrected",
            placeholders(1, bindings.len())
        );
        let bindings: Vec<Value> = bindings.into_iter().map(Value::Integer).collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}

/// The columns that are written anew, and the revision.
const STATISTICS: &str = "\
    readings = excluded.readings, sum = excluded.sum, squares_high = excluded.squares_high, \
    squares_low = excluded.squares_low, min = excluded.min, max = excluded.max, \
    oldest = excluded.oldest, newest = excluded.newest, revision = revision + 1";

/// Writes the window of `span` anew, from those of the `finer` span.
fn roll_up(
    sql: &impl Sql,
    region: i64,
    (finer, span): (i64, i64),
    start: i64,
) -> Result<(), Error> {
    let [.., min, max, oldest, newest] = EMPTY;
    let statement = format!(
        "INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                              min, max, oldest, newest, late, assumed, corrected, devices, \
                              averages) \
         SELECT ?1, ?2, ?3, coalesce(sum(readings), 0), coalesce(sum(sum), 0), \
                coalesce(sum(squares_high), 0), coalesce(sum(squares_low), 0), \
                coalesce(min(min), {min}), coalesce(max(max), {max}), \
                coalesce(min(oldest), {oldest}), coalesce(max(newest), {newest}), \
                coalesce(sum(late), 0), coalesce(sum(assumed), 0), \
                coalesce(sum(corrected), 0), 0, 0 \
         FROM windows WHERE region = ?1 AND span = ?4 AND start >= ?3 AND start < ?5 \
         ON CONFLICT DO UPDATE SET {STATISTICS}, late = excluded.late, \
             assumed = excluded.assumed, corrected = excluded.corrected"
    );
    let end = if span == 0 { i64::MAX } else { start + span };
    let bindings = [region, span, start, finer, end].map(Value::Integer);
    sql.execute(&statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// The spans of histograms.
const WITH_HISTOGRAM: [i64; 3] = [60, 1_440, 0];

fn restate_histograms(sql: &impl Sql, changes: &[Restated]) -> Result<(), Error> {
    let mut moves = Vec::new();
    for span in WITH_HISTOGRAM {
        moves.extend(changes.iter().flat_map(|change| {
            let start = if span == 0 { 0 } else { change.minute() - change.minute() % span };
            change.moves().map(move |(region, temperature, is_added)| {
                ([i64::from(region), span, start], temperature, is_added)
            })
        }));
    }
    sort::sort_by_key(&mut moves, |([region, span, start], ..)| {
        let wide = |number: i64| u128::from(number.cast_unsigned());
        wide(*region) << 96 | wide(*span) << 64 | wide(*start)
    });
    for moves in moves.chunk_by(|a, b| a.0 == b.0) {
        let Some((place, ..)) = moves.first() else { continue };
        let key = place.map(Value::Integer);
        let statement =
            "SELECT bins FROM histograms WHERE region = ?1 AND span = ?2 AND start = ?3";
        let rows = sql.execute(statement, &key).map_err(Error::Regions)?;
        let mut histogram = match rows.first().map(Vec::as_slice) {
            None => Histogram::default(),
            Some([Value::Blob(bins)]) => {
                Histogram::decode(bins).ok_or_else(|| Error::DamagedRows(vec![damaged(place)]))?
            }
            Some(_) => return Err(Error::Corrupt("histogram")),
        };
        for (_, temperature, is_added) in moves {
            match is_added {
                true => histogram.add(*temperature, 1),
                false => histogram.remove(*temperature),
            }
        }
        let write = "INSERT OR REPLACE INTO histograms (region, span, start, bins) \
                     VALUES (?1, ?2, ?3, ?4)";
        let [region, span, start] = key;
        let bindings = [region, span, start, Value::Blob(histogram.encode())];
        sql.execute(write, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}

fn damaged([region, span, start]: &[i64; 3]) -> DamagedRow {
    damaged_histogram(*region, *span, *start)
}
