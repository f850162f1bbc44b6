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
//! | `sources` | what devices send, read by a mapping | `base`, `domain`, `wire`, `limits` |
//! | [`http`] | requests, responses, problems, documents | `domain`, *ground* |
//! | [`access`] | who may do what: tokens, JWTs, sessions, scopes | `base`, `domain`, `wire`, `http`, `limits` |
//! | [`settings`] | the configuration variables | `domain`, *ground* |
//! | [`resilience`] | retries, and the circuit breaker of the database | `domain`, *ground* |
//! | [`journal`] | readings that are durable but not folded; everything else in key-value | `base`, `domain`, `resilience`, `settings`, *ground* |
//! | [`ledger`] | the regions database: the readings that count, and the windows | `base`, `domain`, `resilience`, *ground* |
//! | [`fold`] | from the journal into the ledger; pruning | `domain`, `journal`, `ledger`, `settings`, *ground* |
//! | `upkeep` | work after an answer | `fold` and below, except `base`, `wire` |
//! | [`read`] | queries on the database, after a fold | `upkeep` and below, except `wire` and `http` |
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

pub mod access;
pub mod api;
mod base;
mod domain;
pub mod error;
mod exchange;
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
mod sources;
mod upkeep;
mod wire;

pub use crate::api::start::check_at_start;
pub use crate::domain::reading::UnixMillis;

/// Makes a token where there is no node: the token itself, which is to be shown once, and its
/// line for the variable `tokens`. `random` has to come from a generator for secrets. Fails
/// with what is wrong with the id, the scopes or the time at which it expires.
pub fn new_token(
    id: &str,
    random: &[u8; 32],
    scopes: &[&str],
    expires: Option<&str>,
    now: UnixMillis,
) -> Result<(String, String), String> {
    use crate::access::{scope::Scopes, token::Token, token::TokenId};

    let valid_id = TokenId::new(id).ok_or_else(|| {
        let most = limits::TOKEN_ID_BYTES_MAX;
        format!("{id:?} is no id: 1 to {most} of A-Z a-z 0-9 . : -, like gateway-7")
    })?;
    let no_scope = scopes.iter().find(|&&scope| Scopes::of([scope].into_iter()).is_none());
    if let Some(scope) = no_scope {
        return Err(format!(
            "{scope:?} is no scope: write:<device>@<region>, read:<region>, \
             sync:<node>@<region>, metrics or admin; a name may end with *"
        ));
    }
    let scopes = Scopes::of(scopes.iter().copied())
        .ok_or_else(|| format!("a token has 1 to {} scopes", limits::SCOPES_MAX))?;
    let time = |text: &str| {
        let at = UnixMillis::parse_rfc3339(text).filter(|at| *at > now);
        at.ok_or_else(|| format!("{text:?} is no time in RFC 3339 that is to come"))
    };
    let expires = expires.map(time).transpose()?;
    let (token, kept) = Token::make(valid_id, random, scopes, expires, now);
    Ok((token.expose().to_owned(), kept.to_string()))
}

/// What lies behind the entry points, for tests that look at journal and ledger without
/// HTTP. A component or a host needs nothing of it, and it changes with any release.
pub mod internals {
    /// Readings, and what is computed of many.
    pub mod domain {
        pub use crate::domain::*;
    }
    /// The exchange between nodes.
    pub mod exchange {
        pub use crate::exchange::*;
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
    /// Bodies of requests.
    pub mod wire {
        pub use crate::wire::*;
    }
}
