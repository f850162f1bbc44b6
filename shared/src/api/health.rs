//! Probes: whether the node is alive, and whether it is ready. Their query is ignored.

use http::StatusCode;
use serde::Serialize;

use crate::api::access;
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::api::sources;
use crate::api::start;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Host, KeyValue};
use crate::http::Response;
use crate::http::document::Fields;
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::ledger::database::Database;
use crate::ledger::{self, Modes};
use crate::read::fresh::BEFORE_READING;
use crate::resilience::breaker::State;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings;
use crate::upkeep::AFTER_ANSWER;

/// `GET /healthz`: the node answers.
pub(crate) fn alive<H: Host>(_call: &Call<'_, H>) -> HandlerResult {
    Ok(Response::json(StatusCode::OK, &Fields::of([("status", "ok".into())])).into())
}

/// `GET /readyz`: the node is ready if it can make a reading durable. The body names
/// what else is wrong. Nothing is folded.
pub(crate) fn of_node<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let host = call.host;
    start::check(host)?;
    check_access(host)?;
    access::check_jwt(host)?;
    let Parts { journal, regions, modes, breaker } = parts(host, call.now);
    let word = |up: bool| if up { "ok" } else { "failing" };
    let (code, status) = match (journal, regions) {
        (true, true) if !modes.may_lose_commits() => (StatusCode::OK, "ready"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::OK, "degraded"),
    };
    let body = Fields::of([
        ("status", status.into()),
        ("journal", word(journal).into()),
        ("regions", word(regions).into()),
        ("journal_mode", modes.journal.into()),
        ("synchronous", modes.synchronous.into()),
        ("breaker", breaker.name().into()),
        ("auth", if settings::access_is_on(host)? { "on" } else { "off" }.into()),
    ]);
    Ok(Response::json(code, &body).into())
}

/// Checks the variables of access, and that somebody could be let in, as far as the store says
/// so. That it fails is said elsewhere.
fn check_access(host: &impl Host) -> Result<(), Error> {
    access::check(host)?;
    match access::check_keys(host) {
        Err(Error::Journal(_)) => Ok(()),
        checked => checked,
    }
}

/// Which of the stores work.
struct Parts {
    journal: bool,
    regions: bool,
    /// Those of the regions database, if it is there.
    modes: Modes,
    breaker: State,
}

fn parts(host: &impl Host, now: UnixMillis) -> Parts {
    let count = || {
        let database = Database::open(host, BEFORE_READING)?;
        database.read(ledger::totals)?;
        database.read(|sql| Ok(Modes::of(sql)))
    };
    let noted = |error: Error| host.log(&error.to_string());
    match listed(host) {
        Ok((inventory, store)) => {
            let circuit = CircuitBreaker::new(host, &store, inventory.has_breaker());
            let counted = circuit.call(now, count).map_err(noted);
            // The state after the call.
            let has_breaker = inventory.has_breaker() || counted.is_err();
            let breaker = CircuitBreaker::new(host, &store, has_breaker).state();
            Parts::of(true, counted, breaker)
        }
        Err(error) => {
            noted(error);
            Parts::of(false, count().map_err(noted), State::NEW)
        }
    }
}

impl Parts {
    fn of(journal: bool, counted: Result<Modes, ()>, breaker: State) -> Self {
        let regions = counted.is_ok();
        Self { journal, regions, modes: counted.unwrap_or_default(), breaker }
    }
}

pub(crate) fn listed<H: Host>(host: &H) -> Result<(Inventory, H::KeyValue), Error> {
    let store = host.key_value().map_err(Error::Journal)?;
    Ok((Inventory::list(host, &store)?, store))
}

/// `GET /readyz/ingest`, for a node that serves `ingest` without `query`. The node is
/// ready if it can read its variables and make a reading durable: in the journal or, if
/// that fails, in the regions database. With a full journal it is ready: a refusal says
/// when to try again.
pub(crate) fn of_ingest<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let host = call.host;
    start::check(host)?;
    check_access(host)?;
    sources::check(host)?;
    let journal = host.key_value().and_then(|journal| journal.get(keys::DOOR));
    let (code, status) = match journal {
        Ok(_) => (StatusCode::OK, "ready"),
        Err(error) => {
            host.log(&Error::Journal(error).to_string());
            without_journal(host)
        }
    };
    Ok(Response::json(code, &Readiness { status }).into())
}

/// Not `Fields`, to leave that out of `ingest`.
#[derive(Serialize)]
struct Readiness {
    status: &'static str,
}

fn without_journal(host: &impl Host) -> (StatusCode, &'static str) {
    // Opened only: there is nothing to write.
    match Database::open(host, AFTER_ANSWER) {
        Ok(_) => (StatusCode::OK, "degraded"),
        Err(error) => {
            host.log(&error.to_string());
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    }
}
