//! Excursions: against an independent program over the raw readings, and story by story.

mod histories;
mod independent;
mod pruned;
mod ranges;
mod stories;

use crate::support::readings::{DAY, HOUR, NOW};

/// A whole hour, some days before `NOW`.
const START: i64 = NOW / HOUR * HOUR - 5 * DAY;
