//! What is known of a region and a span of time: the statistics, and what went
//! into them.

use crate::domain::histogram::Histogram;
use crate::domain::reading::UnixMillis;
use crate::domain::stats::Stats;

/// The percentiles of an answer.
pub const PERCENTS: [u64; 3] = [50, 95, 99];

/// What is known of a region and a span of time that holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The statistics.
    pub stats: Stats,
    /// When the newest reading was measured that is not from the future; `None` if all
    /// are.
    pub newest: Option<UnixMillis>,
    /// The sum of the revisions of the windows that they were merged from, at
    /// least 1. It grows whenever a reading is counted, so the same span with the same
    /// revision has the same statistics. Duplicates and conflicts leave it as it is.
    pub revision: i64,
    /// Of the readings, those that came later than the variable `late_after`.
    pub late: i64,
    /// Readings that were sent again, as folds saw them.
    pub duplicates: i64,
    /// Readings that contradict one of these, as folds saw them.
    pub conflicts: i64,
    /// The devices, where they can be told.
    pub devices: Option<Devices>,
    /// The lower edges of the bins of `PERCENTS`, in thousandths of a degree,
    /// where they can be told.
    pub percentiles: Option<[i64; PERCENTS.len()]>,
}

/// The devices of a region and a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    /// How many have a reading there, at least 1.
    pub count: i64,
    /// The sum of their averages (`device_average`).
    pub averages: i64,
}

/// The average of a device in millionths of a degree Celsius, cut toward zero:
/// an integer, so that the sum of many has no order. `readings` is at least 1;
/// good for 9·10⁹ readings.
pub(crate) fn device_average(readings: i64, sum_millicelsius: i64) -> i64 {
    sum_millicelsius.saturating_mul(1_000).checked_div(readings).unwrap_or(0)
}

/// How many integers `Summary::from_columns` takes.
pub(crate) const SUMMARY_COLUMNS: usize = 14;

impl Summary {
    /// The figures in the columns: the statistics', revision, late, duplicates,
    /// conflicts, devices or -1, and the sum of their averages. `None` if nobody
    /// can have written them.
    pub(crate) fn from_columns(columns: [i64; SUMMARY_COLUMNS]) -> Option<Self> {
        let (stats, rest) = columns.split_first_chunk::<8>()?;
        let [revision, late, duplicates, conflicts, devices, averages] = *rest else {
            return None;
        };
        let stats = Stats::from_columns(*stats)?;
        Some(Self {
            stats,
            newest: Some(stats.newest()),
            revision,
            late,
            duplicates,
            conflicts,
            devices: (devices > 0).then_some(Devices { count: devices, averages }),
            percentiles: None,
        })
    }

    /// The same without a newest reading that is from after `latest`.
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
            self.duplicates,
            self.conflicts,
            devices.count,
            devices.averages,
        ])
    }

    /// Takes the percentiles from `histogram`, if it counted just these
    /// readings.
    pub(crate) fn set_percentiles(&mut self, histogram: &Histogram) {
        if histogram.readings() == self.stats.readings() {
            let edges = PERCENTS.map(|percent| histogram.percentile(percent).unwrap_or_default());
            // In its bin, and no lower than the lowest reading.
            let lowest = i64::from(self.stats.min().get());
            self.percentiles = Some(edges.map(|edge| edge.max(lowest)));
        }
    }
}
