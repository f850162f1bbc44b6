//! The search for excursions in times whose single readings were deleted.
//!
//! Minutes stay, with the lowest and the highest temperature of the region and how many
//! readings it has. They don't tell which sensor measured what. So another sensor inside does
//! not end an excursion: it goes on until nothing was outside for longer than the pause that
//! is a gap of the devices that were. Then it ends where all devices have been heard of since
//! its last minute outside, as many as the hour has.

use crate::domain::excursion::{Excursion, Kind, Limits, Tracker, Union};
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::integers;
use crate::ledger::run::RunRecord;
use crate::ledger::sorted_run::Keys;
use crate::limits;
use crate::read::outside::{HOUR, Look, check_number, instant};

/// What a region measured in a minute.
#[derive(Clone, Copy)]
struct Minute {
    start: i64,
    readings: i64,
    min: MilliCelsius,
    max: MilliCelsius,
}

/// The devices of a region in an hour.
struct HourDevices {
    start: i64,
    count: i64,
    /// The longest pause that is no gap, of those above and of those below the limits.
    gap_ms: [i64; 2],
}

/// Follows a region on one side of its limits, minute by minute.
struct Follower<'a> {
    kind: Kind,
    tracker: Tracker,
    hours: &'a [HourDevices],
    /// The last minute outside, and of its hour, how many devices there are and how long a
    /// pause of them may be.
    last: i64,
    devices: i64,
    gap_ms: i64,
    /// The minutes inside since then: how many readings they have, which is the last one, and
    /// in which one all devices had been heard of.
    heard: i64,
    inside: Option<Minute>,
    end: Option<Minute>,
    /// Whether there was a minute inside before the first one outside; and the last minute to
    /// which one may go on from before those that are looked at.
    was_inside: bool,
    known_after: i64,
}

impl Minute {
    fn extreme(self, kind: Kind) -> MilliCelsius {
        if kind == Kind::High { self.max } else { self.min }
    }
}

impl Follower<'_> {
    /// Takes a minute inside. Returns the excursion that it shows to have ended.
    fn take_inside(&mut self, minute: Minute) -> Option<Excursion> {
        if self.tracker.outside().is_none() {
            self.was_inside = true;
            self.look(minute);
            return None;
        }
        self.heard += minute.readings;
        self.inside = Some(minute);
        if self.end.is_none() && self.heard >= self.devices {
            self.end = Some(minute);
        }
        match minute.readings >= self.devices || self.has_elapsed(minute) {
            true => self.ended(),
            false => None,
        }
    }

    /// Tells the tracker if nothing that was before can go on in this minute.
    fn look(&mut self, minute: Minute) {
        if self.was_inside && minute.start > self.known_after {
            self.tracker.was_inside();
        }
    }

    /// Takes a minute outside. Returns the excursion that had ended before it.
    fn take_outside(&mut self, minute: Minute) -> Option<Excursion> {
        self.look(minute);
        // Without a reading, nobody knows that it ended.
        let ended = match self.inside.is_some() && self.has_elapsed(minute) {
            true => self.ended(),
            false => None,
        };
        let hour = self
            .hours
            .binary_search_by_key(&(minute.start - minute.start % HOUR), |hour| hour.start);
        let hour = hour.ok().and_then(|hour| self.hours.get(hour));
        let side = usize::from(self.kind == Kind::Low);
        self.devices = hour.map_or(1, |hour| hour.count);
        self.gap_ms = hour.and_then(|hour| hour.gap_ms.get(side)).copied().unwrap_or(0);
        self.last = minute.start;
        (self.heard, self.inside, self.end) = (0, None, None);
        self.tracker.expect(self.gap_ms);
        // The one before, of the same side, has ended.
        self.tracker.take(instant(minute.start), minute.extreme(self.kind));
        ended
    }

    fn has_elapsed(&self, minute: Minute) -> bool {
        (minute.start - self.last) * UnixMillis::PER_MINUTE > self.gap_ms
    }

    /// Ends the excursion where it was last heard to be over.
    fn ended(&mut self) -> Option<Excursion> {
        let end = self.end.take().or(self.inside.take())?;
        (self.heard, self.inside) = (0, None);
        self.tracker.take(instant(end.start), end.extreme(self.kind))
    }
}

impl<S: Sql> Look<'_, S> {
    /// Finds the excursions of a region, with these devices, in minutes from `begin` on whose
    /// readings were deleted, and unites them with those that go on in readings.
    pub(crate) fn at_minutes(
        &self,
        begin: i64,
        devices: &[DeviceWindow],
        union: &mut Union,
    ) -> Result<(), Error> {
        let [from, to] = self.asked.range.edges();
        if from >= self.kept_from {
            return Ok(());
        }
        let begin = self.last_minute(begin)?.unwrap_or(begin);
        let hours = self.hours_of_devices(begin, to.min(self.kept_from), devices)?;
        // What ends is seen once a gap has passed, perhaps where the readings are kept.
        let longest_ms = hours.iter().flat_map(|hour| hour.gap_ms).max().unwrap_or(0);
        let beyond = longest_ms / UnixMillis::PER_MINUTE + 2;
        let end = to.min(self.kept_from.saturating_add(beyond));
        let mut minutes = self.minutes(begin, end, limits::WINDOWS_READ_MAX + 1)?;
        if i64::try_from(minutes.len()).is_ok_and(|count| count > limits::WINDOWS_READ_MAX) {
            return Err(Error::TooMuch { narrow: "narrow it by from and to" });
        }
        // After a silence, the next minute tells.
        if minutes.last().is_none_or(|minute| minute.start < self.kept_from) {
            minutes.extend(self.minutes(end, to, 1)?);
        }
        let has_older = !self.minutes(0, begin, 1)?.is_empty();
        let known_after = begin.saturating_add(longest_ms / UnixMillis::PER_MINUTE);
        for kind in [Kind::High, Kind::Low] {
            let limits = match kind {
                Kind::High => Limits { low: None, ..self.limits },
                Kind::Low => Limits { high: None, ..self.limits },
            };
            let tracker = Tracker::new(None, limits, 0, has_older);
            let follower = Follower {
                kind,
                tracker,
                hours: &hours,
                last: 0,
                devices: 1,
                gap_ms: 0,
                heard: 0,
                inside: None,
                end: None,
                was_inside: false,
                known_after,
            };
            self.follow_minutes(follower, limits, &minutes, union)?;
        }
        Ok(())
    }

    fn follow_minutes(
        &self,
        mut follower: Follower<'_>,
        limits: Limits,
        minutes: &[Minute],
        union: &mut Union,
    ) -> Result<(), Error> {
        let kind = follower.kind;
        for minute in minutes {
            let is_kept = minute.start >= self.kept_from;
            let is_open = follower.tracker.outside().is_some();
            if is_kept && !is_open {
                break;
            }
            if limits.is_within(minute.extreme(kind)) {
                follower.take_inside(*minute).into_iter().for_each(|ended| union.add(ended));
                continue;
            }
            if is_kept {
                if follower.inside.is_some() && follower.has_elapsed(*minute) {
                    follower.ended().into_iter().for_each(|ended| union.add(ended));
                    break;
                }
                // It goes on in that minute, with what was found in its readings.
                let until = union.next_begin(kind, instant(minute.start));
                let until = until.filter(|until| until.minute() == minute.start);
                let until = until.unwrap_or(instant(minute.start));
                let open = follower.tracker.finish();
                let open = open.map(|open| Excursion { until, is_open: false, ..open });
                open.into_iter().for_each(|excursion| union.add(excursion));
                return check_number(union.len());
            }
            follower.take_outside(*minute).into_iter().for_each(|ended| union.add(ended));
        }
        let ended = if follower.end.is_some() { follower.ended() } else { None };
        let rest = ended.or(follower.tracker.finish());
        rest.into_iter().for_each(|excursion| union.add(excursion));
        check_number(union.len())
    }

    /// The devices of the hours with a reading outside, in the order of the hours.
    fn hours_of_devices(
        &self,
        from: i64,
        to: i64,
        devices: &[DeviceWindow],
    ) -> Result<Vec<HourDevices>, Error> {
        /// Hours that are read at once.
        const AT_ONCE: usize = 64;
        let starts = self.hours_outside(from, to)?;
        if starts.len().saturating_mul(devices.len()) > limits::EXCURSION_DEVICE_WINDOWS_MAX {
            return Err(Error::TooMuch { narrow: "narrow it by from and to" });
        }
        let mut hours: Vec<HourDevices> = Vec::with_capacity(starts.len());
        for starts in starts.chunks(AT_ONCE) {
            let keys =
                |start: &i64| Keys { group: [self.region, HOUR, *start], from: 0, to: u64::MAX };
            for run in
                DEVICE_WINDOWS.load(self.sql, &starts.iter().map(keys).collect::<Vec<_>>())?
            {
                for window in DEVICE_WINDOWS.decode::<DeviceWindow>(&run)? {
                    let [_, _, start] = window.group();
                    if hours.last().is_none_or(|hour| hour.start != start) {
                        let least = limits::SILENT_AFTER_MS_MIN;
                        let gap_ms = [self.asked.gap_ms.unwrap_or(least); 2];
                        hours.push(HourDevices { start, count: 0, gap_ms });
                    }
                    let Some(hour) = hours.last_mut() else { continue };
                    hour.count += 1;
                    self.note_gap(hour, &window, devices);
                }
            }
        }
        Ok(hours)
    }

    /// Enters how long a pause of the device may be, on the sides on which it was outside.
    fn note_gap(&self, hour: &mut HourDevices, window: &DeviceWindow, devices: &[DeviceWindow]) {
        let all_time = devices.binary_search_by_key(&window.device(), DeviceWindow::device);
        let Some(device) = all_time.ok().and_then(|index| devices.get(index)) else { return };
        let gap_ms = self.gap_ms(device);
        let extremes = window.extremes();
        // Where the extremes are not known, it may have been outside.
        let is_high = extremes.is_none_or(|e| self.limits.high.is_some_and(|high| e.max > high));
        let is_low = extremes.is_none_or(|e| self.limits.low.is_some_and(|low| e.min < low));
        for (known, is_outside) in hour.gap_ms.iter_mut().zip([is_high, is_low]) {
            if is_outside {
                *known = (*known).max(gap_ms);
            }
        }
    }

    /// The last minute before this one that has readings, if it is not too long before.
    fn last_minute(&self, before: i64) -> Result<Option<i64>, Error> {
        let statement = "\
            SELECT start FROM windows WHERE span = 1 AND region = ?1 \
                   AND start >= ?2 AND start < ?3 AND readings > 0 ORDER BY start DESC LIMIT 1";
        let earliest = before.saturating_sub(limits::EXCURSION_LOOK_BACK_MINUTES_MAX);
        let bindings = [self.region, earliest, before].map(Value::Integer);
        let rows = self.statement(statement, &bindings)?;
        let start = rows.first().map(|row| integers(row).map(|[start]| start));
        start.map(|start| start.ok_or(Error::Corrupt("window"))).transpose()
    }

    /// The minutes of the region that have readings; at most `most`.
    fn minutes(&self, from: i64, to: i64, most: i64) -> Result<Vec<Minute>, Error> {
        let statement = "\
            SELECT start, readings, min, max FROM windows WHERE span = 1 AND region = ?1 \
                   AND start >= ?2 AND start < ?3 AND readings > 0 ORDER BY start LIMIT ?4";
        let rows = self.statement(statement, &[self.region, from, to, most].map(Value::Integer))?;
        let minute = |row: &Vec<Value>| {
            let [start, readings, min, max] = integers(row)?;
            let (min, max) = (MilliCelsius::new(min)?, MilliCelsius::new(max)?);
            Some(Minute { start, readings, min, max })
        };
        rows.iter().map(minute).collect::<Option<_>>().ok_or(Error::Corrupt("window"))
    }
}
