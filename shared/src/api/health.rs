//! How the node is: alive, and ready or not. A probe may put anything into its query.

use http::StatusCode;
use serde::Serialize;

use crate::api::call::{Call, Outcome};
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Host, KeyValue};
use crate::http::Response;
use crate::http::document::Fields;
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::ledger;
use crate::ledger::database::Database;
use crate::read::fresh::BEFORE_READING;
use crate::resilience::breaker::State;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings;
use crate::upkeep::AFTER_ANSWER;

/// `GET /healthz`: it answers.
pub(crate) fn alive<H: Host>(_call: &Call<'_, H>) -> Outcome {
    Ok(Response::json(StatusCode::OK, &Fields::of([("status", "ok".into())])).into())
}

/// `GET /readyz`: ready is a node that can make a reading durable. What else is wrong is
/// named. Nothing is folded.
pub(crate) fn of_node<H: Host>(call: &Call<'_, H>) -> Outcome {
    let host = call.host;
    settings::check(host)?;
    let Parts { journal, regions, breaker } = parts(host, call.now);
    let word = |up: bool| if up { "ok" } else { "failing" };
    let (code, status) = match (journal, regions) {
        (true, true) => (StatusCode::OK, "ready"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::OK, "degraded"),
    };
    let body = Fields::of([
        ("status", status.into()),
        ("journal", word(journal).into()),
        ("regions", word(regions).into()),
        ("breaker", breaker.name().into()),
    ]);
    Ok(Response::json(code, &body).into())
}

/// Which of the stores work.
struct Parts {
    journal: bool,
    regions: bool,
    breaker: State,
}

fn parts(host: &impl Host, now: UnixMillis) -> Parts {
    let count = || Database::open(host, BEFORE_READING)?.read(ledger::totals);
    let noted = |error: Error| host.log(&error.to_string());
    match listed(host) {
        Ok((inventory, store)) => {
            let circuit = CircuitBreaker::new(host, &store, inventory.has_breaker);
            let regions = circuit.call(now, count).map_err(noted).is_ok();
            // As it is after the call.
            let has_breaker = inventory.has_breaker || !regions;
            let breaker = CircuitBreaker::new(host, &store, has_breaker).state();
            Parts { journal: true, regions, breaker }
        }
        Err(error) => {
            noted(error);
            let regions = count().map_err(noted).is_ok();
            Parts { journal: false, regions, breaker: State::NEW }
        }
    }
}

pub(crate) fn listed<H: Host>(host: &H) -> Result<(Inventory, H::KeyValue), Error> {
    let store = host.key_value().map_err(Error::Journal)?;
    Ok((Inventory::list(host, &store)?, store))
}

/// `GET /readyz/ingest`, for where `ingest` is served without `query`: ready is a node that
/// can make a reading durable, in the journal or, if that fails, in the regions database.
/// One that can't read its variables can't. A full journal is ready: it says by itself when
/// to come again.
pub(crate) fn of_ingest<H: Host>(call: &Call<'_, H>) -> Outcome {
    let host = call.host;
    settings::check(host)?;
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

/// Not `Fields`, which `ingest` does without.
#[derive(Serialize)]
struct Readiness {
    status: &'static str,
}

fn without_journal(host: &impl Host) -> (StatusCode, &'static str) {
    // It is opened for writing only when there is something to write.
    match Database::open(host, AFTER_ANSWER) {
        Ok(_) => (StatusCode::OK, "degraded"),
        Err(error) => {
            host.log(&error.to_string());
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    }
}
