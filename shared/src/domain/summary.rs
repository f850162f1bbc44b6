//! What is known about a region and a time span: statistics, counts, devices,
//! percentiles.

use crate::domain::histogram::Histogram;
use crate::domain::reading::UnixMillis;
use crate::domain::stats::Stats;

/// The percentiles in an answer.
pub const PERCENTS: [u64; 3] = [50, 95, 99];

/// What is known about a region and a time span with at least one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The statistics.
    pub stats: Stats,
    /// When the newest reading that is not from the future was measured; `None` if all
    /// are.
    pub newest: Option<UnixMillis>,
    /// The sum of the revisions of the merged windows, at least 1. It grows whenever a
    /// reading is counted, so the same span with the same revision has the same
    /// statistics. Duplicates and conflicts don't change it.
    pub revision: i64,
    /// The number of these readings that arrived later than the variable `late_after`
    /// allows.
    pub late: i64,
    /// The number of these readings with the time of their arrival, as their sender gave none.
    pub time_assumed: i64,
    /// Readings sent again, as folds found them.
    pub duplicates: i64,
    /// Readings that contradict one of these, as folds found them.
    pub conflicts: i64,
    /// How many readings were changed, withdrawn, or moved to or from here.
    pub corrected: i64,
    /// The devices, if known.
    pub devices: Option<Devices>,
    /// The lower edges of the bins of `PERCENTS`, in thousandths of a degree, if known.
    pub percentiles: Option<[i64; PERCENTS.len()]>,
}

/// The devices of a region and a time span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    /// The number of devices with a reading there, at least 1.
    pub count: i64,
    /// The sum of their averages (`device_average`).
    pub averages: i64,
}

/// The average of a device in millionths of a degree Celsius, truncated toward zero: an
/// integer, so the sum of many is independent of order. `readings` is at least 1; valid
/// up to 9·10⁹ readings.
pub(crate) fn device_average(readings: i64, sum_millicelsius: i64) -> i64 {
    sum_millicelsius.saturating_mul(1_000).checked_div(readings).unwrap_or(0)
}

/// How many integers `Summary::from_columns` takes.
pub(crate) const SUMMARY_COLUMNS: usize = 16;

impl Summary {
    /// Reads the columns: the statistics', revision, late, those with an assumed time,
    /// duplicates, conflicts, corrected, devices or -1, and the sum of their averages. `None` if no release can have
    /// written them.
    pub(crate) fn from_columns(columns: [i64; SUMMARY_COLUMNS]) -> Option<Self> {
        let (stats, rest) = columns.split_first_chunk::<8>()?;
        let [revision, late, time_assumed, duplicates, conflicts, corrected, devices, averages] =
            *rest
        else {
            return None;
        };
        let stats = Stats::from_columns(*stats)?;
        Some(Self {
            stats,
            newest: Some(stats.newest()),
            revision,
            late,
            time_assumed,
            duplicates,
            conflicts,
            corrected,
            devices: (devices > 0).then_some(Devices { count: devices, averages }),
            percentiles: None,
        })
    }

    /// The same, without `newest` if that is after `latest`.
    #[must_use]
    pub(crate) fn as_of(self, latest: UnixMillis) -> Self {
        Self { newest: self.newest.filter(|newest| *newest <= latest), ..self }
    }

    /// The stored form.
    pub(crate) fn to_columns(self) -> Option<[i64; SUMMARY_COLUMNS]> {
        let [n, sum, high, low, min, max, oldest, newest] = self.stats.to_columns()?;
        let devices = self.devices.unwrap_or(Devices { count: -1, averages: 0 });
        Some([
            n,
            sum,
            high,
            low,
            min,
            max,
            oldest,
            newest,
            self.revision,
            self.late,
            self.time_assumed,
            self.duplicates,
            self.conflicts,
            self.corrected,
            devices.count,
            devices.averages,
        ])
    }

    /// Takes the percentiles from `histogram`, if it counted the same number of
    /// readings.
    pub(crate) fn set_percentiles(&mut self, histogram: &Histogram) {
        if histogram.readings() == self.stats.readings() {
            let edges = PERCENTS.map(|percent| histogram.percentile(percent).unwrap_or_default());
            // Within its bin, but not below the lowest reading.
            let lowest = i64::from(self.stats.min().get());
            self.percentiles = Some(edges.map(|edge| edge.max(lowest)));
        }
    }
}
