//! The integration tests, but for those under load (under_load/). Each file says what it
//! shows.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod backlog;
mod backup;
mod backup_script;
mod backup_stores;
mod books;
mod budget;
mod client;
mod clocks;
mod completeness;
mod conflicts;
mod conformance;
mod contract;
mod costs;
mod counters;
mod damage;
mod dense;
mod devices;
mod door;
mod events;
mod exactly_once;
mod folding;
mod formats;
mod interface;
mod log;
mod manifests;
mod migration;
mod model;
mod names;
mod observability;
mod page;
mod prose;
mod pruning;
mod quarantine;
mod questions;
mod readme;
mod real_data;
mod redis;
mod removal;
mod restore_script;
mod scale;
mod seam_faults;
mod series;
mod snapshots;
mod startup;
mod store_faults;
mod support;
mod tidy;
mod tools;
