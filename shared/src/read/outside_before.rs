//! What the devices of a region measured last before a search for excursions begins.
//!
//! A device may have been outside then, and its next reading may be days later. Its windows
//! of hours and days say when it sent, and whether it can have been outside: only then are
//! the readings of the hour read.

use crate::base::sort;
use crate::error::Error;
use crate::host::Sql;
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::sorted_run::Keys;
use crate::limits;
use crate::read::chunks::Chunks;
use crate::read::outside::{Before, HOUR, Last, Look, instant};

const DAY: i64 = 24 * HOUR;

impl<S: Sql> Look<'_, S> {
    /// What the devices measured last before the minute `begin`.
    pub(crate) fn before(
        &self,
        begin: i64,
        devices: &[DeviceWindow],
        chunks: &mut Chunks<'_>,
    ) -> Result<Before, Error> {
        let is_wanted = |window: &&DeviceWindow| {
            let (oldest, newest, _) = window.seen();
            oldest < instant(begin) && newest >= instant(begin) && self.may_be_outside(window)
        };
        let wanted = devices.iter().filter(is_wanted).map(DeviceWindow::device).collect();
        let mut before = Before { outside: Vec::new(), unknown: wanted };
        // Readings from before were deleted, or are in the same hour.
        if begin <= self.kept_from || begin % HOUR != 0 {
            return Ok(before);
        }
        let today = begin - begin % DAY;
        self.hours_before(today, begin, &mut before, chunks)?;
        let days = limits::EXCURSION_LOOK_BACK_MINUTES_MAX / DAY;
        for day in (1..=days).map(|day| today - day * DAY) {
            if before.unknown.is_empty() || day < 0 {
                break;
            }
            let mut of_day = Before::default();
            for window in self.device_windows(DAY, day, &before.unknown)? {
                let Ok(place) = before.unknown.binary_search(&window.device()) else { continue };
                before.unknown.remove(place);
                if self.may_be_outside(&window) {
                    of_day.unknown.push(window.device());
                }
            }
            self.hours_before(day, day + DAY, &mut of_day, chunks)?;
            before.outside.append(&mut of_day.outside);
            // The readings that its window had were replaced.
            for device in of_day.unknown {
                let place = before.unknown.partition_point(|other| *other < device);
                before.unknown.insert(place, device);
            }
        }
        sort::sort_by_key(&mut before.outside, |last| u128::from(last.device));
        Ok(before)
    }

    /// Looks for the last readings of the unknown ones in these hours, the last hour first.
    fn hours_before(
        &self,
        from: i64,
        to: i64,
        before: &mut Before,
        chunks: &mut Chunks<'_>,
    ) -> Result<(), Error> {
        let mut hour = to;
        while hour > from && !before.unknown.is_empty() {
            hour -= HOUR;
            let mut outside = Vec::new();
            for window in self.device_windows(HOUR, hour, &before.unknown)? {
                let Ok(place) = before.unknown.binary_search(&window.device()) else { continue };
                if self.may_be_outside(&window) {
                    outside.push(window.device());
                } else {
                    before.unknown.remove(place);
                }
            }
            if outside.is_empty() {
                continue;
            }
            for last in self.last_of(hour, &outside, chunks)? {
                if let Ok(place) = before.unknown.binary_search(&last.device) {
                    before.unknown.remove(place);
                }
                if self.limits.outside(last.temperature).is_some() {
                    before.outside.push(last);
                }
            }
        }
        Ok(())
    }

    /// The last readings that these devices have in an hour; sorted by device, as they are.
    fn last_of(
        &self,
        hour: i64,
        devices: &[u64],
        chunks: &mut Chunks<'_>,
    ) -> Result<Vec<Last>, Error> {
        let mut found: Vec<Option<Last>> = devices.iter().map(|_device| None).collect();
        chunks.each(hour, hour + HOUR, &mut |row| {
            let place = devices.binary_search(&row.device());
            let place = place.ok().filter(|_place| i64::from(row.region) == self.region);
            let Some(last) = place.and_then(|place| found.get_mut(place)) else { return Ok(()) };
            let (Some(at), Some(temperature)) = (row.timestamp(), row.temperature()) else {
                return Err(Error::Corrupt("ledger row"));
            };
            *last = Some(Last { device: row.device(), at, temperature });
            Ok(())
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The windows of an hour or a day; of a few devices theirs, otherwise all.
    fn device_windows(
        &self,
        span: i64,
        start: i64,
        devices: &[u64],
    ) -> Result<Vec<DeviceWindow>, Error> {
        const FEW: usize = 16;
        let keys = |from, to| Keys { group: [self.region, span, start], from, to };
        let keys = match devices.len() <= FEW {
            true => devices.iter().map(|device| keys(*device, *device)).collect(),
            false => vec![keys(0, u64::MAX)],
        };
        let mut windows = Vec::new();
        for run in DEVICE_WINDOWS.load(self.sql, &keys)? {
            windows.append(&mut DEVICE_WINDOWS.decode(&run)?);
        }
        Ok(windows)
    }

    /// Whether a reading of the window may be outside.
    fn may_be_outside(&self, window: &DeviceWindow) -> bool {
        let is_within = |temperature| self.limits.is_within(temperature);
        !window.extremes().is_some_and(|e| is_within(e.min) && is_within(e.max))
    }
}
