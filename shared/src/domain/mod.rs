//! The domain's values: readings, their parts, and the statistics of many readings.
//!
//! Imports `base` and `limits`. Knows no host, no HTTP and no store.

pub(crate) mod calendar;
pub mod correction;
pub(crate) mod decimal;
pub(crate) mod duration;
pub mod excursion;
pub mod histogram;
pub mod plausible;
pub mod range;
pub mod reading;
pub mod rejection;
pub mod stats;
pub(crate) mod step;
pub mod summary;
pub mod zone;
pub(crate) mod zone_rule;
