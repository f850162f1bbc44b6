//! Which devices are silent: their newest reading is older than it should be.
//!
//! How often a device sends is learned from the gaps between its last readings, or set
//! (`ledger::device_settings`). It is silent when three such gaps have passed.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Sql;
use crate::ledger::device_settings;
use crate::ledger::device_window::DeviceWindow;
use crate::limits;

/// What is expected of devices.
pub(crate) struct Expectations {
    now: UnixMillis,
    /// Intervals that were set, in milliseconds, sorted by device; 0: it may be silent.
    set_ms: Vec<(u64, i64)>,
}

impl Expectations {
    /// What is expected at `now`.
    pub(crate) fn load(sql: &impl Sql, now: UnixMillis) -> Result<Self, Error> {
        Ok(Self { now, set_ms: device_settings::intervals_ms(sql)? })
    }

    fn set_ms(&self, window: &DeviceWindow) -> Option<i64> {
        let index = self.set_ms.binary_search_by_key(&window.device(), |(device, _)| *device);
        index.ok().and_then(|index| self.set_ms.get(index)).map(|(_, ms)| *ms)
    }

    /// How often the device is expected to send, in milliseconds: as set, or as learned;
    /// `None` if neither is known, or if it may be silent.
    pub(crate) fn interval_ms(&self, window: &DeviceWindow) -> Option<i64> {
        match self.set_ms(window) {
            Some(set) => Some(set).filter(|ms| *ms > 0),
            None => window.usual_gap_ms().map(|ms| ms.min(limits::EXPECTED_INTERVAL_MS_MAX)),
        }
    }

    /// The age of its newest reading at which the device is silent, in milliseconds;
    /// `None` if it may be silent.
    pub(crate) fn silent_after_ms(&self, window: &DeviceWindow) -> Option<i64> {
        if self.set_ms(window) == Some(0) {
            return None;
        }
        let after = match self.interval_ms(window) {
            Some(interval) => interval.saturating_mul(limits::GAPS_TO_SILENCE),
            None => limits::SILENT_AFTER_MS_UNLEARNED,
        };
        Some(after.max(limits::SILENT_AFTER_MS_MIN))
    }

    /// How old its newest reading is, in milliseconds; negative if that is in the future.
    pub(crate) fn age_ms(&self, window: &DeviceWindow) -> i64 {
        self.now.get() - window.seen().1.get()
    }

    /// Whether the device is silent.
    pub(crate) fn is_silent(&self, window: &DeviceWindow) -> bool {
        self.silent_after_ms(window).is_some_and(|after| self.age_ms(window) > after)
    }
}
