//! The regions database: the ledger, which decides whether a reading counts, and the
//! windows that are computed from it.
//!
//! Imports `base`, `domain`, `resilience`, `host`, `limits` and `error`. Knows nothing
//! of the journal.

pub(crate) mod aside;
mod corrected;
pub(crate) mod corrections;
mod count;
pub mod database;
mod device_restate;
pub(crate) mod device_settings;
pub(crate) mod device_window;
pub(crate) mod dictionary;
mod gaps;
mod left_behind;
mod numbers;
pub(crate) mod outbox;
pub(crate) mod plain;
mod prune;
mod quarters;
mod read;
pub(crate) mod received;
mod region_devices;
pub mod region_limits;
pub(crate) mod renaming;
mod repeats;
mod restate;
mod row;
pub(crate) mod run;
pub mod schema;
mod single_record;
pub(crate) mod sorted_run;
pub(crate) mod sources;
mod sql;
pub(crate) mod standing;
mod totals;
pub(crate) mod whole;
pub(crate) mod windows;

pub use count::Outcome;
pub(crate) use count::post;
pub(crate) use prune::prune;
pub(crate) use read::{Place, edges, find, has_rows_before, hours, load, piece, rows_of_device};
pub use read::{counted_between, rows_between};
pub use row::Row;
pub(crate) use row::{LEDGER, key_at};
pub(crate) use sql::{integers, placeholders, rows_per_statement};
pub(crate) use totals::{
    ENTRIES, ENTRY_READINGS, FOLDS, Facts, Modes, PRUNED_BEFORE, REJECTED_PREFIX, Totals, changes,
    count_entries, count_rejections, facts, first_whole_hour, newest_by_region, tallies, tally,
    totals,
};
