//! The application core of Isotherm: temperature readings in, auditable
//! regional averages out.
//!
//! # The map
//!
//! Ground state, which nothing else can restore:
//! - the **journal** ([`journal`]): readings that were acknowledged but not yet
//!   folded, in a key-value store ([`inventory`] says what else is there);
//! - the **ledger** ([`ledger`]): folded readings inside the dedup horizon, in
//!   SQLite ([`regions`]). A reading enters it if nothing stands under its device
//!   and timestamp, and so counts once.
//!
//! Derived state: the **windows**, statistics ([`stats`]), percentiles
//! ([`histogram`]) and devices per region and minute, hour, day and all time
//! (`windows`, `device_window`). They are written in the ledger's transactions and
//! outlive it. A [`snapshot`] of them is kept for bad times. Ledger and devices'
//! windows are stored as `runs` of sorted records; `names` are numbers there.
//!
//! The way of a reading: [`ingest`] takes a body apart ([`json`], `decimal`,
//! [`reading`]), judges its times ([`settings`]), and makes it durable
//! ([`journal`], within its [`bound`]); a [`fold`] moves it into ledger and
//! windows; [`query`] folds, then reads ([`view`], [`report`]), and writes what the client
//! accepts (`representation`). The page is files beside it (`assets`).
//!
//! When a store fails: [`retry`] repeats what may be repeated, [`breaker`] and
//! [`guard`] spare a database that is away, [`error`] says whose turn it is.
//!
//! Architecture invariants:
//! - Nothing here knows a network, a clock or an SDK, but for `host::spin`.
//!   What is needed of a runtime is [`host`]'s traits; the time is an argument.
//! - A 2xx is decided after the store said that the data is on disk.
//! - Temperatures and sums are integers; floating point appears in the last
//!   division.
//! - Every bound is in [`limits`]; every error becomes HTTP in [`http`], every line for
//!   the operator JSON in [`log`].
//!
//! Absent on purpose: background work and memory between requests (a component
//! lives for one request), and any cleverness about which fold runs when (the
//! ledger's key makes every schedule right).

#![forbid(unsafe_code)]

mod assets;
pub mod bound;
pub mod breaker;
mod conflicts;
mod decimal;
mod device_window;
mod devices;
pub mod door;
pub mod error;
pub mod events;
pub mod figures;
pub mod fold;
pub mod guard;
pub mod histogram;
pub mod host;
pub mod http;
pub mod ingest;
pub mod inventory;
pub mod journal;
pub mod json;
mod json_items;
pub mod ledger;
pub mod limits;
pub mod log;
pub mod metrics;
mod names;
mod order;
mod parameters;
mod quarantine;
pub mod query;
pub mod reading;
pub mod regions;
pub mod rejected;
pub mod rejection;
pub mod report;
mod representation;
pub mod retry;
mod runs;
pub mod schema;
mod series;
pub mod settings;
pub mod snapshot;
pub mod stats;
mod status;
mod upkeep;
mod varint;
pub mod view;
mod windows;
