//! How the node is: ready or not, what it counts, what it put aside. Nothing
//! here folds.

use http::StatusCode;
use serde::Serialize;

use crate::breaker::State;
use crate::error::Error;
use crate::guard::Guard;
use crate::host::Host;
use crate::http::{Refusal, Request, Response};
use crate::inventory::Inventory;
use crate::journal::Quarantined;
use crate::ledger;
use crate::limits;
use crate::metrics::{self, Counted};
use crate::parameters::parameters;
use crate::reading::UnixMillis;
use crate::regions::Regions;
use crate::view::BEFORE_READING;

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    journal: &'static str,
    regions: &'static str,
    breaker: &'static str,
}

/// `GET /readyz`: ready is who can make a reading durable. What else is wrong is
/// named.
pub(crate) fn readiness(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Response, Refusal> {
    parameters(request, &[])?;
    let (inventory, breaker, counted) = look_around(host, now);
    let (journal, regions) = (inventory.is_some(), counted.is_some());
    let word = |up: bool| if up { "ok" } else { "failing" };
    let body = Readiness {
        status: match (journal, regions) {
            (true, true) => "ready",
            (false, false) => "unavailable",
            _ => "degraded",
        },
        journal: word(journal),
        regions: word(regions),
        breaker: breaker.name(),
    };
    let ready = journal || regions;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Response::json(status, &body))
}

/// `GET /metrics`.
pub(crate) fn metrics(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Response, Refusal> {
    parameters(request, &[])?;
    let (inventory, breaker, counted) = look_around(host, now);
    let text = metrics::render(inventory.as_ref(), breaker, counted.as_ref());
    Ok(Response::bytes(metrics::CONTENT_TYPE, StatusCode::OK, text.into_bytes()))
}

/// What each store says at the moment, without folding; `None` for a store that
/// fails.
fn look_around(host: &impl Host, now: UnixMillis) -> (Option<Inventory>, State, Option<Counted>) {
    let count = || {
        let regions = Regions::open(host, BEFORE_READING)?;
        let stored = regions.read(ledger::stored)?;
        Ok(Counted { stored, tallies: regions.read(ledger::tallies)? })
    };
    let store = host.key_value().map_err(Error::Journal);
    let listed = store.and_then(|store| Ok((Inventory::list(host, &store)?, store)));
    let noted = |error: Error| host.log(&error.to_string());
    match listed {
        Ok((inventory, store)) => {
            let guard = Guard::new(host, &store, inventory.has_breaker);
            let counted = guard.call(now, count).map_err(noted).ok();
            // As it is after the call.
            let has_breaker = inventory.has_breaker || counted.is_none();
            let breaker = Guard::new(host, &store, has_breaker).state();
            (Some(inventory), breaker, counted)
        }
        Err(error) => {
            noted(error);
            (None, State::NEW, count().map_err(noted).ok())
        }
    }
}

#[derive(Serialize)]
struct Quarantine {
    entries: Vec<QuarantinedEntry>,
    /// Further entries that the answer does not name.
    entries_omitted: usize,
    as_of: UnixMillis,
}

#[derive(Serialize)]
struct QuarantinedEntry {
    name: String,
    reason: &'static str,
    readings: usize,
    bytes: usize,
}

/// `GET /v1/quarantine`.
pub(crate) fn quarantine(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Response, Refusal> {
    parameters(request, &[])?;
    let store = host.key_value().map_err(Error::Journal)?;
    let quarantined = Inventory::list(host, &store)?.quarantined;
    let entry = |q: &Quarantined| QuarantinedEntry {
        name: q.name.as_str().to_owned(),
        reason: q.reason.code(),
        readings: q.name.readings(),
        bytes: q.name.bytes(),
    };
    let entries: Vec<QuarantinedEntry> =
        quarantined.iter().take(limits::QUARANTINED_LISTED_MAX).map(entry).collect();
    let entries_omitted = quarantined.len() - entries.len();
    Ok(Response::json(StatusCode::OK, &Quarantine { entries, entries_omitted, as_of: now }))
}
