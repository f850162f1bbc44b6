//! The domain's values: readings, their parts, and the statistics of many readings.
//!
//! Imports `base` and `limits`. Knows no host, no HTTP and no store.

pub(crate) mod decimal;
pub(crate) mod duration;
pub mod excursion;
pub mod histogram;
pub mod plausible;
pub mod range;
pub mod reading;
pub mod rejection;
pub mod stats;
pub mod summary;
