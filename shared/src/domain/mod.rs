//! The domain's values: readings, their parts, and the statistics of many readings.
//!
//! Imports `base` and `limits`. Knows no host, no HTTP and no store.

pub(crate) mod calendar;
pub mod correction;
pub(crate) mod decimal;
pub(crate) mod duration;
pub mod exchange;
pub mod excursion;
pub mod histogram;
pub mod local;
pub mod plausible;
pub mod range;
pub mod reading;
pub mod rejection;
pub(crate) mod source;
pub mod stats;
pub mod step;
pub mod summary;
pub mod time_format;
pub(crate) mod unit;
pub mod zone;
pub(crate) mod zone_rule;
