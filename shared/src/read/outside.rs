//! The search for excursions in one region.
//!
//! They are found in the single readings, as long as the ledger has them, and before that in
//! the windows of minutes, which are kept (`outside_minutes`). The windows of hours say where to look: in an hour
//! whose lowest and highest temperature are within, no excursion begins.

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

impl<S: Sql> Look<'_, S> {
    pub(crate) fn statement(
        &self,
        statement: &str,
        bindings: &[Value],
    ) -> Result<Vec<Vec<Value>>, Error> {
        self.sql.execute(statement, bindings).map_err(Error::Regions)
    }

    /// Finds excursions in the readings that the ledger has. `rows` returns those of some
    /// minutes, `devices` are those that may be among them.
    pub(crate) fn at_readings(
        &self,
        devices: &[DeviceWindow],
        rows: &dyn Fn(i64, i64) -> Result<Vec<Row>, Error>,
        union: &mut Union,
    ) -> Result<(), Error> {
        let [from, to] = self.asked.range.edges();
        let from = from.max(self.kept_from);
        let begin = from.saturating_sub(limits::EXCURSION_LOOK_BACK_MINUTES).max(self.kept_from);
        let hours = self.hours_outside(begin, to)?;
        if from >= to || hours.is_empty() {
            return Ok(());
        }
        let mut chunks = Chunks::of(rows);
        let follow = |window: &DeviceWindow| {
            let (oldest, newest, _) = window.seen();
            let device = window.device();
            let gap_ms = self.gap_ms(window);
            let has_older = oldest < instant(begin);
            let tracker = Tracker::new(Some(device), self.limits, gap_ms, instant(from), has_older);
            Followed { device, tracker, newest }
        };
        let mut followed: Vec<Followed> = devices.iter().map(follow).collect();
        // All of the day before, so that it is known of every run when it began.
        if hours.first().is_some_and(|hour| *hour < from) {
            self.follow((begin, from), &mut chunks, &mut followed, union)?;
        }
        let mut minute = from;
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
            self.follow((minute, end), &mut chunks, &mut followed, union)?;
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
    /// Whether it is outside, and has a later reading, which may end that.
    fn may_go_on(&self) -> bool {
        self.tracker.outside().is_some_and(|(.., heard)| heard < self.newest)
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
