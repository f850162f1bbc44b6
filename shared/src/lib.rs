//! The application core of Isotherm: temperature readings in, auditable regional
//! averages out.
//!
//! # The map
//!
//! | place | has | may import |
//! | --- | --- | --- |
//! | `base` | variable-length integers, sorting, checksums, distinct names | nothing |
//! | [`host`] | the seam: traits that a runtime implements | nothing |
//! | [`limits`] | every bound, with its reason | nothing |
//! | [`domain`] | readings, and what is computed from them: statistics, histograms | `base`, `limits` |
//! | [`error`] | what can go wrong | `host`, `limits` |
//! | [`wire`] | parsers of request bodies | `domain`, `limits` |
//! | [`settings`] | the configuration variables | `domain`, *ground* |
//! | [`resilience`] | retries, and the circuit breaker of the database | `domain`, *ground* |
//! | [`journal`] | readings that are durable but not folded; everything else in key-value | `base`, `domain`, `resilience`, `settings`, *ground* |
//! | [`ledger`] | the regions database: the readings that count, and the windows | `base`, `domain`, `resilience`, *ground* |
//! | [`fold`] | from the journal into the ledger; pruning | `domain`, `journal`, `ledger`, `settings`, *ground* |
//! | `upkeep` | work after an answer | `fold` and below, except `base`, `wire` |
//! | [`read`] | queries on the database, after a fold | `upkeep` and below, except `wire` |
//! | [`http`] | requests, responses, problems, documents | `domain`, *ground* |
//! | [`log`] | lines for the operator | `domain`, `http` |
//! | [`api`] | the routes, and what each resource answers | everything |
//!
//! *Ground* is `host`, `limits` and `error`. `tests/it/tidy.rs` has the same table
//! (`MAY_IMPORT`), and fails if an import is not in it.
//!
//! Ground state can't be restored from anything else: the journal and the ledger. A
//! reading enters the ledger only if no reading with its device and timestamp is there,
//! and so counts once. Derived state: the windows (statistics, percentiles and devices
//! per region and minute, hour, day and all time), written in the ledger's transactions;
//! they outlive its rows. A snapshot of the averages over all time is kept in key-value,
//! to answer from while the database is away.
//!
//! The way of a reading: [`api::readings`] has its body parsed ([`wire::json`]), checks
//! its time ([`settings::Horizon`]), and makes it durable ([`journal`]). A [`fold`] moves
//! it into ledger and windows. A handler in [`api`] folds, then reads ([`read`]), and
//! answers in the format that the client accepts ([`http`]).
//!
//! Architecture invariants:
//! - Nothing here knows a network, a clock or an SDK.
//!   A runtime is reached through [`host`]'s traits; the time is an argument.
//! - A 2xx is decided only after the store has said that the data is on disk.
//! - Temperatures and sums are integers; floating point appears in the last
//!   division.
//! - Every bound is in [`limits`]. [`http`] turns every error into a response, and
//!   [`log`] writes every line for the operator as JSON.
//!
//! Absent on purpose: background work and memory between requests (a component lives
//! for one request), and any schedule of folds (the ledger's key makes every order of
//! folds right).

#![forbid(unsafe_code)]

pub mod api;
mod base;
mod domain;
pub mod error;
mod fold;
pub mod host;
pub mod http;
mod journal;
mod ledger;
pub mod limits;
pub mod log;
mod read;
mod resilience;
mod settings;
mod upkeep;
mod wire;

pub use crate::domain::reading::UnixMillis;
pub use crate::settings::check_at_start;

/// What lies behind the entry points, for tests that look at journal and ledger without
/// HTTP. A component or a host needs nothing of it, and it changes with any release.
pub mod internals {
    /// Readings, and what is computed of many.
    pub mod domain {
        pub use crate::domain::*;
    }
    /// From the journal into the ledger.
    pub mod fold {
        pub use crate::fold::*;
    }
    /// What is in key-value.
    pub mod journal {
        pub use crate::journal::*;
    }
    /// What is in the database.
    pub mod ledger {
        pub use crate::ledger::*;
    }
    /// The variables.
    pub mod settings {
        pub use crate::settings::*;
    }
}
