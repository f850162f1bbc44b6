//! The figures of a region and a span of time, as columns of an answer.

use serde_json::Value;

use crate::domain::reading::MilliCelsius;
use crate::domain::summary::{PERCENTS, Summary};

/// The columns of `cells`.
pub(crate) const COLUMNS: &[&str] = &[
    "count",
    "average_c",
    "min_c",
    "max_c",
    "standard_deviation_c",
    "p50_c",
    "p95_c",
    "p99_c",
    "devices",
    "device_average_c",
    "late",
    "time_assumed",
    "duplicates",
    "conflicts",
    "corrected",
    "oldest",
    "newest",
    // Exact: the average is this, divided by 1,000 times the count.
    "sum_millicelsius",
    "revision",
];

/// The columns that are counts: 0 without a reading, where the others are null.
const COUNTS: &[&str] =
    &["count", "devices", "late", "time_assumed", "duplicates", "conflicts", "corrected"];

/// The figures, in the order of `COLUMNS`.
pub(crate) fn cells(figures: Option<&Summary>) -> Vec<Value> {
    let Some(figures) = figures else {
        let empty = |name: &&str| if COUNTS.contains(name) { 0.into() } else { Value::Null };
        return COLUMNS.iter().map(empty).collect();
    };
    let stats = &figures.stats;
    let devices = figures.devices;
    let [p50, p95, p99] = match figures.percentiles {
        Some(edges) => {
            edges.map(|millicelsius| MilliCelsius::new(millicelsius).map(MilliCelsius::to_celsius))
        }
        None => [None; PERCENTS.len()],
    };
    vec![
        stats.readings().into(),
        stats.average().into(),
        stats.min().to_celsius().into(),
        stats.max().to_celsius().into(),
        stats.standard_deviation().into(),
        p50.into(),
        p95.into(),
        p99.into(),
        devices.map(|d| d.count).into(),
        devices.map(|d| d.averages as f64 / (d.count as f64 * 1e6)).into(),
        figures.late.into(),
        figures.time_assumed.into(),
        figures.duplicates.into(),
        figures.conflicts.into(),
        figures.corrected.into(),
        stats.oldest().into(),
        figures.newest.into(),
        i64::try_from(stats.sum_millicelsius()).ok().into(),
        figures.revision.into(),
    ]
}
