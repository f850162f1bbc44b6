//! The integration tests, but for those under load (under_load/). Each file says what it
//! shows.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod aliases;
mod answers;
mod backlog;
mod backup;
mod backup_script;
mod backup_stores;
mod books;
mod bridge;
mod budget;
mod client;
mod clocks;
mod completeness;
mod conflicts;
mod conformance;
mod contract;
mod corrections;
mod corrections_model;
mod corrections_of_all;
mod corrections_of_past;
mod corrections_rule;
mod costs;
mod counters;
mod damage;
mod dense;
mod device_windows;
mod devices;
mod door;
mod events;
mod exactly_once;
mod exchange;
mod excursions;
mod export_pages;
mod exports;
mod folding;
mod formats;
mod gateway;
mod interface;
mod libsql;
mod limits_of_regions;
mod local_time;
mod log;
mod manifests;
mod merges;
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
mod rejections;
mod removal;
mod restore_script;
mod scale;
mod seam_faults;
mod series;
mod silence;
mod snapshots;
mod sources;
mod startup;
mod status;
mod store_faults;
mod support;
mod tidy;
mod tools;
mod xtask_access;
