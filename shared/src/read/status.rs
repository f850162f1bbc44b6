//! What the database holds, how large it is, and how fast it grows.
//!
//! All of it is estimated from what a few lookups find: to add up the runs would read the
//! whole database.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::host::{Sql, Value};
use crate::ledger;
use crate::ledger::database::Database;

const HOUR_MS: i64 = 60 * UnixMillis::PER_MINUTE;
const DAY_MS: i64 = 24 * HOUR_MS;
const DAYS_A_YEAR: i64 = 365;

/// Days before today whose readings say how many come.
const DAYS_OBSERVED: i64 = 7;

/// How many runs of the ledger are looked at, evenly spaced.
const RUNS_SAMPLED: i64 = 64;

/// What a run takes beside its own bytes: its row, and its place in the index. (Measured
/// with `dbstat`: 39 to 48 bytes.)
const BYTES_AROUND_RUN: i64 = 44;

/// What a database without a reading takes: its tables and indexes, each with its first page,
/// and the text of the schema. No reading brought these bytes. (Measured: `PRAGMA page_count`
/// of a new database, in pages of 4 KiB. A test compares it with a new one.)
const BYTES_WITHOUT_READINGS: i64 = 38 * 4_096;

/// How far apart the oldest and the newest reading are before growth is told. With fewer, most
/// pages are not full, and their bytes are not those of the readings.
const SPAN_TO_FORECAST_MS: i64 = DAY_MS;

/// What one entry of the journal, and each of its readings, writes to disk, in bytes.
/// (Measured: docs/operations.md.)
const WRITTEN_BY_ENTRY: i64 = 10_000;
const WRITTEN_BY_READING: i64 = 57;

/// What a fold, and each region in it, writes to disk, in bytes.
const WRITTEN_BY_FOLD: i64 = 84_000;
const WRITTEN_BY_REGION: i64 = 17_000;

/// What is in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) readings: i64,
    pub(crate) regions: i64,
    pub(crate) devices: i64,
    /// When the oldest and the newest counted reading were measured, Unix milliseconds.
    oldest_ms: i64,
    pub(crate) newest_ms: i64,
    /// When the oldest single reading was measured, to the minute; negative without one.
    pub(crate) oldest_single_ms: i64,
    /// The readings since the beginning of the days observed.
    recent: i64,
    /// The ids of the ledger's rows. They are given one after the other.
    ids: [i64; 2],
    /// Bytes of the file, and those of them that are free; unknown for a database server.
    pub(crate) file: Option<[i64; 2]>,
    /// Of the runs sampled: how many, their bytes, their readings.
    sample: [i64; 3],
    /// Folds; entries of the journal in them, and the readings that came with entries or,
    /// where the sender waited, without.
    folds: i64,
    entries: i64,
    entry_readings: i64,
}

/// The first of the days observed.
fn observed_from(now: UnixMillis) -> i64 {
    (now.get() / DAY_MS).saturating_sub(DAYS_OBSERVED).max(0) * DAY_MS
}

/// Looks into the database.
pub(crate) fn contents<H: Host>(
    database: &Database<'_, H>,
    now: UnixMillis,
) -> Result<Contents, Error> {
    let mut contents = database.read(|sql| figures(sql, now))?;
    contents.sample = database.read(|sql| sample(sql, contents.ids))?;
    for (name, value) in database.read(ledger::tallies)? {
        match name.as_str() {
            ledger::FOLDS => contents.folds = value,
            ledger::ENTRIES => contents.entries = value,
            ledger::ENTRY_READINGS => contents.entry_readings = value,
            _ => {}
        }
    }
    contents.file = database.read(|sql| Ok(file(sql)))?;
    Ok(contents)
}

fn figures(sql: &impl Sql, now: UnixMillis) -> Result<Contents, Error> {
    let statement = "\
        SELECT coalesce(sum(readings), 0), count(nullif(readings, 0)), \
               coalesce(min(oldest), 0), \
               coalesce(max(newest), 0), \
               (SELECT count(DISTINCT device) FROM region_devices), \
               coalesce((SELECT min(minute) FROM ledger), -1), \
               coalesce((SELECT min(id) FROM ledger), 1), \
               coalesce((SELECT max(id) FROM ledger), 0), \
               coalesce((SELECT sum(w.readings) \
                         FROM regions AS r CROSS JOIN windows AS w \
                              ON w.span = 1440 AND w.region = r.id AND w.start BETWEEN ?1 AND ?2), 0) \
        FROM windows WHERE span = 0";
    let bindings = [observed_from(now) / UnixMillis::PER_MINUTE, now.minute()].map(Value::Integer);
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let numbers = rows.first().and_then(|row| ledger::integers(row));
    let [readings, regions, oldest_ms, newest_ms, devices, minute, first, last, recent] =
        numbers.ok_or(Error::Corrupt("window"))?;
    let oldest_single_ms = minute.saturating_mul(UnixMillis::PER_MINUTE);
    Ok(Contents {
        readings,
        regions,
        devices,
        oldest_ms,
        newest_ms,
        oldest_single_ms,
        recent,
        ids: [first, last],
        ..Contents::default()
    })
}

/// Runs at evenly spaced ids, without those that are no more.
fn sample(sql: &impl Sql, [first, last]: [i64; 2]) -> Result<[i64; 3], Error> {
    let statement = "\
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT ?3) \
        SELECT count(*), coalesce(sum(length(run)), 0), coalesce(sum(records), 0) \
        FROM n CROSS JOIN ledger ON id = ?1 + i * ?2 / ?3";
    let bindings = [first, last - first + 1, RUNS_SAMPLED].map(Value::Integer);
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let numbers = rows.first().and_then(|row| ledger::integers(row));
    numbers.ok_or(Error::Corrupt("ledger"))
}

/// The size of the file, with what waits in its WAL. A database server may refuse to tell.
fn file(sql: &impl Sql) -> Option<[i64; 2]> {
    let pragma = |statement| {
        let rows = sql.execute(statement, &[]).ok()?;
        rows.first().and_then(|row| ledger::integers(row)).map(|[number]| number)
    };
    let page_bytes = pragma("PRAGMA page_size")?;
    let pages = [pragma("PRAGMA page_count")?, pragma("PRAGMA freelist_count")?];
    Some(pages.map(|pages| pages.saturating_mul(page_bytes)))
}

/// `a * b / c`, rounded down; 0 if `c` is not positive.
fn ratio(a: i64, b: i64, c: i64) -> i64 {
    let exact = i128::from(a) * i128::from(b);
    let quotient = exact.checked_div(i128::from(c.max(0))).unwrap_or(0);
    i64::try_from(quotient).unwrap_or(i64::MAX)
}

impl Contents {
    /// The bytes of the single readings.
    pub(crate) fn ledger_bytes(&self) -> i64 {
        let [first, last] = self.ids;
        let [runs, bytes, _] = self.sample;
        let sampled = bytes.saturating_add(runs.saturating_mul(BYTES_AROUND_RUN));
        ratio(sampled, last - first + 1, RUNS_SAMPLED)
    }

    /// How many single readings there are.
    fn ledger_readings(&self) -> i64 {
        let [first, last] = self.ids;
        let [_, _, records] = self.sample;
        ratio(records, last - first + 1, RUNS_SAMPLED)
    }

    /// The bytes of everything else that readings brought.
    fn windows_bytes(&self) -> Option<i64> {
        let [bytes, free] = self.file?;
        let others = self.ledger_bytes().saturating_add(BYTES_WITHOUT_READINGS);
        Some(bytes.saturating_sub(free).saturating_sub(others).max(0))
    }

    /// Whether the readings say how much a reading takes.
    fn is_enough_to_forecast(&self, now: UnixMillis) -> bool {
        // Without those from a clock that was ahead.
        let newest_ms = self.newest_ms.min(now.get());
        newest_ms.saturating_sub(self.oldest_ms) >= SPAN_TO_FORECAST_MS
    }

    /// How many readings a day brings, by the last days; `None` in the first hour.
    pub(crate) fn readings_per_day(&self, now: UnixMillis) -> Option<i64> {
        let from_ms = observed_from(now).max(self.oldest_ms);
        let observed_ms = now.get().saturating_sub(from_ms);
        let is_enough = self.readings > 0 && observed_ms >= HOUR_MS;
        is_enough.then(|| ratio(self.recent, DAY_MS, observed_ms))
    }

    /// What they add, in bytes: to the single readings, and to everything else; `None` until
    /// there is a day of them.
    fn added_per_day(&self, now: UnixMillis) -> Option<[i64; 2]> {
        let readings = self.readings_per_day(now).filter(|_| self.is_enough_to_forecast(now))?;
        let ledger = ratio(self.ledger_bytes(), readings, self.ledger_readings());
        Some([ledger, ratio(self.windows_bytes()?, readings, self.readings)])
    }

    /// By how many bytes the database grows a day. Once the oldest single readings are as
    /// old as they get, as many go as come.
    pub(crate) fn growth_per_day(&self, retention_ms: Option<i64>, now: UnixMillis) -> Option<i64> {
        let [ledger, windows] = self.added_per_day(now)?;
        let age_ms = now.get().saturating_sub(self.oldest_single_ms);
        let is_full = retention_ms.is_some_and(|ms| age_ms.saturating_add(HOUR_MS) >= ms);
        Some(windows.saturating_add(if is_full { 0 } else { ledger }))
    }

    /// How many bytes the database has in a year if as many readings go on to come.
    pub(crate) fn in_a_year(&self, retention_ms: Option<i64>, now: UnixMillis) -> Option<i64> {
        const YEAR_MS: i64 = DAYS_A_YEAR * DAY_MS;
        let [ledger, windows] = self.added_per_day(now)?;
        let kept_ms = retention_ms.unwrap_or(i64::MAX);
        // Of the readings to come, and of those that there are, what is kept then.
        let to_come = ratio(ledger, kept_ms.min(YEAR_MS), DAY_MS);
        let age_ms = now.get().saturating_sub(self.oldest_single_ms).max(1);
        let left_ms = kept_ms.saturating_sub(YEAR_MS).clamp(0, age_ms);
        let left = ratio(self.ledger_bytes(), left_ms, age_ms);
        let windows = self.windows_bytes()?.saturating_add(windows.saturating_mul(DAYS_A_YEAR));
        let readings = to_come.saturating_add(left).saturating_add(windows);
        Some(readings.saturating_add(BYTES_WITHOUT_READINGS))
    }

    /// About how many bytes a day go to the disk, of both stores: what was measured, for as
    /// many entries and folds to a reading as there were so far.
    pub(crate) fn written_per_day(&self, now: UnixMillis) -> Option<i64> {
        let readings = self.readings_per_day(now)?;
        if self.entry_readings <= 0 || self.folds <= 0 {
            return None;
        }
        let entries = ratio(readings, self.entries, self.entry_readings);
        let folds = ratio(readings, self.folds, self.readings);
        let regions = self.regions.min(self.readings / self.folds);
        let by_fold = WRITTEN_BY_FOLD.saturating_add(regions.saturating_mul(WRITTEN_BY_REGION));
        let by_entries = entries.saturating_mul(WRITTEN_BY_ENTRY);
        let by_readings = readings.saturating_mul(WRITTEN_BY_READING);
        Some(by_entries.saturating_add(by_readings).saturating_add(folds.saturating_mul(by_fold)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred days with a thousand readings each: 10 bytes for each as a single reading,
    /// and 20 for the averages.
    fn hundred_days(now: UnixMillis) -> Contents {
        let observed_ms = now.get() - observed_from(now);
        Contents {
            readings: 100_000,
            regions: 5,
            oldest_ms: now.get() - 100 * DAY_MS,
            newest_ms: now.get(),
            oldest_single_ms: now.get() - 100 * DAY_MS,
            recent: 1_000 * observed_ms / DAY_MS,
            // As many runs as are sampled, so all of them.
            ids: [7, 7 + RUNS_SAMPLED - 1],
            sample: [RUNS_SAMPLED, 1_000_000 - RUNS_SAMPLED * BYTES_AROUND_RUN, 100_000],
            file: Some([3_500_000 + BYTES_WITHOUT_READINGS, 500_000]),
            folds: 10_000,
            entries: 5_000,
            entry_readings: 50_000,
            ..Contents::default()
        }
    }

    #[test]
    fn a_year_adds_what_is_kept_of_the_single_readings_and_all_averages() {
        let now = UnixMillis::new(1_899_936_000_000).unwrap();
        let contents = hundred_days(now);
        assert_eq!(contents.readings_per_day(now), Some(1_000));
        assert_eq!(
            (contents.ledger_bytes(), contents.windows_bytes()),
            (1_000_000, Some(2_000_000))
        );
        let windows = 2_000_000 + 365 * 20_000;
        for (retention_days, growth, ledger) in [
            // For ever, longer than a year, and as long as there were days: it is full.
            (None, 30_000, 1_000_000 + 365 * 10_000),
            (Some(400), 30_000, 365 * 10_000 + 350_000),
            (Some(500), 30_000, 365 * 10_000 + 1_000_000),
            (Some(200), 30_000, 200 * 10_000),
            (Some(100), 20_000, 100 * 10_000),
            (Some(50), 20_000, 50 * 10_000),
        ] {
            let retention_ms = retention_days.map(|days| days * DAY_MS);
            assert_eq!(contents.growth_per_day(retention_ms, now), Some(growth));
            let in_a_year = contents.in_a_year(retention_ms, now);
            let all = windows + ledger + BYTES_WITHOUT_READINGS;
            assert_eq!(in_a_year, Some(all), "{retention_days:?}");
        }
        // A hundred entries and a hundred folds, of five regions each.
        let written = 100 * 10_000 + 1_000 * 57 + 100 * (84_000 + 5 * 17_000);
        assert_eq!(contents.written_per_day(now), Some(written));
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let now = UnixMillis::new(1_899_936_000_000).unwrap();
        let contents = hundred_days(now);
        let young = Contents { oldest_ms: now.get() - HOUR_MS + 1, ..contents.clone() };
        assert_eq!(young.readings_per_day(now), None);
        let server = Contents { file: None, ..contents.clone() };
        assert_eq!((server.growth_per_day(None, now), server.in_a_year(None, now)), (None, None));
        // Less than a day, also if a clock was ahead.
        let oldest_ms = now.get() - DAY_MS + 1;
        let first_day = Contents { oldest_ms, newest_ms: now.get() + DAY_MS, ..contents.clone() };
        assert_eq!(first_day.readings_per_day(now), Some(first_day.recent));
        let told = (first_day.growth_per_day(None, now), first_day.in_a_year(None, now));
        assert_eq!(told, (None, None));
        let old = Contents { entry_readings: 0, ..contents.clone() };
        assert_eq!(old.written_per_day(now), None);
        // All senders wait: there is no entry.
        let written = 1_000 * 57 + 100 * (84_000 + 5 * 17_000);
        assert_eq!(Contents { entries: 0, ..contents }.written_per_day(now), Some(written));
        let empty = Contents { ids: [1, 0], file: Some([0, 0]), ..Contents::default() };
        assert_eq!((empty.ledger_bytes(), empty.in_a_year(None, now)), (0, None));
    }
}
