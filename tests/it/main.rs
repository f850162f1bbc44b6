//! The integration tests, but for those under load (under_load.rs).
//!
//! - `answers`: what an answer says of what it does not have, and what it costs;
//! - `backlog`: a long journal in little memory;
//! - `backup`: copies of the stores of a running service;
//! - `books`: what was acknowledged, and what became of it, add up;
//! - `budget`: how long a fold works, and for whose lock it waits;
//! - `completeness`: what goes with an average, against the readings themselves;
//! - `conformance`, `strict`: what every host must do;
//! - `conflicts`: contradicting readings, and what stands;
//! - `contract`: what a client sees over HTTP, answer by answer;
//! - `damage`: a row of the database that can't be read;
//! - `dense`: minutes of many runs;
//! - `devices`: those of a region, one of them, its readings;
//! - `events`: what who listens is told;
//! - `exactly_once`: many connections, resends, kills;
//! - `real_data`: files of measured temperatures against figures from the file;
//! - `store_faults`: the same while the stores fail;
//! - `faulty`, `seam_faults`: every single call of the application fails;
//! - `folding`: journal, ledger and windows on a real SQLite, without HTTP;
//! - `formats`: what a client accepts, and what it has already;
//! - `interface`: its tables, against its documents;
//! - `log`: what an operator reads;
//! - `manifests`: those of Kubernetes;
//! - `migration`: databases of older releases;
//! - `model`: random stories against a model of a few lines;
//! - `observability`: rules and dashboard, by Prometheus;
//! - `page`: its files, and the description of the interface;
//! - `pruning`: what the ledger forgets, and what becomes of what is older;
//! - `quarantine`: each reading once, and the way back;
//! - `readme`: its example;
//! - `redis`: several servers over one journal;
//! - `series`: a region's figures step by step;
//! - `snapshots`: when the last good averages are kept;
//! - `tidy`: the house rules;
//! - `tools`: what a browser and the programs of others say of it.

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
mod books;
mod budget;
mod completeness;
mod conflicts;
mod conformance;
mod contract;
mod damage;
mod dense;
mod devices;
mod events;
mod exactly_once;
mod faulty;
mod folding;
mod formats;
mod interface;
mod log;
mod manifests;
mod migration;
mod model;
mod observability;
mod page;
mod pruning;
mod quarantine;
mod readme;
mod real_data;
mod redis;
mod seam_faults;
mod series;
mod snapshots;
mod store_faults;
mod strict;
mod tidy;
mod tools;
