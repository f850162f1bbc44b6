//! The application core of Isotherm: temperature readings in, auditable
//! regional averages out.
//!
//! # The map
//!
//! | place | has | may import |
//! | --- | --- | --- |
//! | `base` | integers in few bytes, sorting, checksums, distinct names | nothing |
//! | [`host`] | the seam: what is needed of a runtime, as dumb calls | nothing |
//! | [`limits`], [`error`], [`settings`] | bounds; what can go wrong; variables | `host`, and `domain` for the last |
//! | [`domain`] | readings and what is computed of many: statistics, histograms | `base` |
//! | [`wire`] | bodies, taken apart into items | `domain` |
//! | [`resilience`] | retries, and the circuit breaker of the database | `domain` |
//! | [`journal`] | readings that are durable but not folded; all else in key-value | `base`, `domain`, `resilience` |
//! | [`ledger`] | the regions database: what counts, and the windows | `base`, `domain`, `resilience` |
//! | [`fold`], `upkeep` | from the journal into the ledger; what is done when nobody waits | `journal`, `ledger` |
//! | [`read`] | what is asked for, out of the database, after a fold | `fold` and below |
//! | [`http`] | requests, responses, problems, documents | `domain` |
//! | [`log`] | lines for the operator | `http` |
//! | [`api`] | the resources | everything |
//!
//! `tests/it/tidy.rs` has the whole table, and fails where an import is not in it.
//!
//! Ground state, which nothing else can restore: the journal and the ledger. A reading
//! enters the ledger if nothing stands under its device and timestamp, and so counts
//! once. Derived state: the windows (statistics, percentiles and devices per region and
//! minute, hour, day and all time), written in the ledger's transactions; they outlive
//! it. A snapshot of them is kept for bad times.
//!
//! The way of a reading: [`api::readings`] has its body taken apart ([`wire::json`]),
//! judges its time ([`settings::Horizon`]), and makes it durable ([`journal`]); a
//! [`fold`] moves it into ledger and windows; [`api::query`] folds, then reads
//! ([`read`]), and writes what the client accepts.
//!
//! Architecture invariants:
//! - Nothing here knows a network, a clock or an SDK.
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

pub mod api;
mod base;
pub mod domain;
pub mod error;
pub mod fold;
pub mod host;
pub mod http;
pub mod journal;
pub mod ledger;
pub mod limits;
pub mod log;
pub mod read;
pub mod resilience;
pub mod settings;
mod upkeep;
pub mod wire;
