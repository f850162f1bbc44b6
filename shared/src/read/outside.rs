//! The search for excursions in one region.
//!
//! They are found in the single readings, as long as the ledger has them, and before that in
//! the windows of minutes, which are kept (`outside_minutes`). The windows of hours say where
//! to look: in an hour whose lowest and highest temperature are within, no excursion begins.
//!
//! An excursion is the same whatever range it is asked for by. So the search begins a day
//! before the range, with what each device measured last before that (`outside_before`), and
//! again from earlier on, as long as an excursion of the range goes on from before.

use crate::domain::excursion::{Kind, Limits, Tracker, Union};
use crate::domain::range::Range;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::DeviceWindow;
use crate::ledger::{Row, integers};
use crate::limits;
use crate::read::chunks::Chunks;
use crate::read::silence::Expectations;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) range: Range,
    /// How long an excursion must last, in the place of what is set for the region.
    pub(crate) for_ms: Option<i64>,
    /// Which pauses are gaps, in the place of those after which a device is silent.
    pub(crate) gap_ms: Option<i64>,
}

/// The first instant of a minute.
pub(crate) fn instant(minute: i64) -> UnixMillis {
    UnixMillis::from_minute(minute, 0).unwrap_or(UnixMillis::MAX)
}

pub(crate) const HOUR: i64 = 60;

/// A search in one region.
pub(crate) struct Look<'a, S> {
    pub(crate) sql: &'a S,
    pub(crate) region: i64,
    pub(crate) limits: Limits,
    pub(crate) asked: Asked,
    /// The first minute of which no reading was deleted.
    pub(crate) kept_from: i64,
    /// How often the devices are expected to send.
    pub(crate) expected: &'a Expectations,
}

/// A device whose readings are followed.
struct Followed {
    device: u64,
    tracker: Tracker,
    /// When the newest of all its readings in the region was measured.
    newest: UnixMillis,
}

/// The last reading of a device that was outside with it.
pub(crate) struct Last {
    pub(crate) device: u64,
    pub(crate) at: UnixMillis,
    pub(crate) temperature: MilliCelsius,
}

/// What is known of the devices that have readings both before the search and in it.
#[derive(Default)]
pub(crate) struct Before {
    /// Those that were outside, sorted by device.
    pub(crate) outside: Vec<Last>,
    /// Those whose last reading was not found, sorted. All others were inside.
    pub(crate) unknown: Vec<u64>,
}

impl<S: Sql> Look<'_, S> {
    pub(crate) fn statement(
        &self,
        statement: &str,
        bindings: &[Value],
    ) -> Result<Vec<Vec<Value>>, Error> {
        self.sql.execute(statement, bindings).map_err(Error::Regions)
    }

    /// Finds the excursions that reach into the range, and others. `rows` returns the readings
    /// of some minutes, `devices` are those that may be among them. With `has_minutes`, what is
    /// before `kept_from` is found in minutes.
    pub(crate) fn search(
        &self,
        devices: &[DeviceWindow],
        rows: &dyn Fn(i64, i64) -> Result<Vec<Row>, Error>,
        has_minutes: bool,
    ) -> Result<Union, Error> {
        /// How many times as far the next search goes back.
        const FARTHER: i64 = 4;
        let mut chunks = Chunks::of(rows);
        let mut search = |begin| {
            let mut union = Union::default();
            self.at_readings(begin, devices, &mut chunks, &mut union)?;
            if has_minutes {
                self.at_minutes(begin, devices, &mut union)?;
            }
            Ok(union)
        };
        let [from, _] = self.asked.range.edges();
        // A whole hour, as there are windows of whole hours.
        let back = |minutes: i64| {
            let begin = from.saturating_sub(minutes).max(0);
            begin - begin % HOUR
        };
        let earliest = match from > self.kept_from {
            true => back(limits::EXCURSION_LOOK_BACK_MINUTES_MAX).max(self.kept_from),
            false => back(limits::EXCURSION_LOOK_BACK_MINUTES_MAX),
        };
        let mut begin = back(limits::EXCURSION_LOOK_BACK_MINUTES);
        let mut union = search(begin)?;
        while begin > earliest
            && let Some(unknown) = union.unknown_begin(self.asked.range.from())
        {
            let minutes = (from - begin).saturating_mul(FARTHER).max(from - unknown.minute());
            begin = back(minutes).max(earliest);
            match search(begin) {
                // What is beyond the bounds is not known.
                Err(Error::TooMuch { .. }) => break,
                farther => union = farther?,
            }
        }
        Ok(union)
    }

    /// Finds the excursions in the readings that the ledger has, from the minute `begin` on.
    fn at_readings(
        &self,
        begin: i64,
        devices: &[DeviceWindow],
        chunks: &mut Chunks<'_>,
        union: &mut Union,
    ) -> Result<(), Error> {
        let [from, to] = self.asked.range.edges();
        let begin = begin.max(self.kept_from);
        if begin >= to {
            return Ok(());
        }
        // What is before `kept_from` is found in minutes, if the range has that.
        let before = match from > self.kept_from {
            true => self.before(begin, devices, chunks)?,
            false => Before::default(),
        };
        let hours = self.hours_outside(begin, to)?;
        let follow = |window: &DeviceWindow| {
            let device = window.device();
            let place = before.outside.binary_search_by_key(&device, |last| last.device).ok();
            let last = place.and_then(|place| before.outside.get(place));
            let is_blind = last.is_some() || before.unknown.binary_search(&device).is_ok();
            let mut tracker =
                Tracker::new(Some(device), self.limits, self.gap_ms(window), is_blind);
            if let Some(last) = last {
                tracker.take(last.at, last.temperature);
            }
            Followed { device, tracker, newest: window.seen().1 }
        };
        let mut followed: Vec<Followed> = devices.iter().map(follow).collect();
        let mut minute = begin;
        while minute < to {
            let hour = minute - minute % HOUR;
            let next = hours.get(hours.partition_point(|other| *other < hour));
            // Without one that is outside, the next run begins in an hour with a reading
            // outside.
            if next != Some(&hour) && !followed.iter().any(Followed::may_go_on) {
                minute = next.copied().unwrap_or(to);
                continue;
            }
            let end = (hour + HOUR).min(to);
            self.follow((minute, end), chunks, &mut followed, union)?;
            minute = end;
        }
        followed.into_iter().filter_map(|one| one.tracker.finish()).for_each(|e| union.add(e));
        Ok(())
    }

    /// Follows the devices through these minutes.
    fn follow(
        &self,
        (from, to): (i64, i64),
        chunks: &mut Chunks<'_>,
        followed: &mut [Followed],
        union: &mut Union,
    ) -> Result<(), Error> {
        chunks.each(from, to, &mut |row| {
            if i64::from(row.region) != self.region {
                return Ok(());
            }
            let (Some(at), Some(temperature)) = (row.timestamp(), row.temperature()) else {
                return Err(Error::Corrupt("ledger row"));
            };
            let place = followed.binary_search_by_key(&row.device(), |one| one.device);
            let one = place.ok().and_then(|place| followed.get_mut(place));
            let one = one.ok_or(Error::Corrupt("device window"))?;
            if let Some(ended) = one.tracker.take(at, temperature) {
                union.add(ended);
            }
            Ok(())
        })?;
        if union.len() > limits::EXCURSIONS_MAX / 2 {
            for kind in [Kind::High, Kind::Low] {
                let begins = followed.iter().filter_map(|one| one.tracker.outside());
                let begins = begins.filter(|(other, ..)| *other == kind).map(|(_, begin, _)| begin);
                let settled = begins.fold(instant(to), UnixMillis::min);
                union.drop_short(kind, self.for_ms(), settled);
            }
        }
        check_number(union.len())
    }

    pub(crate) fn for_ms(&self) -> i64 {
        self.asked.for_ms.unwrap_or(self.limits.for_ms)
    }

    /// The pause that is longer than this is a gap of the device, in milliseconds.
    pub(crate) fn gap_ms(&self, window: &DeviceWindow) -> i64 {
        let usual = || self.expected.silent_after_ms(window);
        self.asked.gap_ms.or_else(usual).unwrap_or(limits::SILENT_AFTER_MS_UNLEARNED)
    }

    /// The hours with a reading outside, by their first minutes, in order.
    pub(crate) fn hours_outside(&self, from: i64, to: i64) -> Result<Vec<i64>, Error> {
        let statement = "\
            SELECT start FROM windows WHERE span = 60 AND region = ?1 AND start > ?2 - 60 \
                   AND start < ?3 AND (min < ?4 OR max > ?5) ORDER BY start";
        let limit = |limit: Option<MilliCelsius>| {
            limit.map_or(Value::Null, |limit| Value::Integer(i64::from(limit.get())))
        };
        let mut bindings = [self.region, from, to].map(Value::Integer).to_vec();
        bindings.extend([limit(self.limits.low), limit(self.limits.high)]);
        let rows = self.statement(statement, &bindings)?;
        let starts = rows.iter().map(|row| integers(row).map(|[start]| start));
        starts.collect::<Option<_>>().ok_or(Error::Corrupt("window"))
    }
}

impl Followed {
    /// Whether it is outside, and has a later reading, which may end that; or whether its
    /// next reading, inside or outside, is to tell.
    fn may_go_on(&self) -> bool {
        self.tracker.is_blind()
            || self.tracker.outside().is_some_and(|(.., heard)| heard < self.newest)
    }
}

pub(crate) fn check_number(excursions: usize) -> Result<(), Error> {
    if excursions <= limits::EXCURSIONS_MAX {
        return Ok(());
    }
    Err(Error::TooMuch {
        narrow: "these are too many; narrow it by from and to, or by a longer for",
    })
}
