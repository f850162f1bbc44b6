//! How the node is: ready or not, what it counts, what it put aside. Nothing
//! here folds.

use http::StatusCode;

use crate::breaker::State;
use crate::error::Error;
use crate::guard::Guard;
use crate::host::Host;
use crate::http::{Refusal, Request, Response};
use crate::inventory::Inventory;
use crate::journal::Quarantined;
use crate::ledger;
use crate::limits;
use crate::metrics::{self, Counted, Exposition};
use crate::parameters::parameters;
use crate::reading::UnixMillis;
use crate::regions::Regions;
use crate::representation::{Document, Format, Record, Table, negotiated};
use crate::settings::JournalBound;
use crate::view::BEFORE_READING;

/// `GET /readyz`: ready is who can make a reading durable. What else is wrong is
/// named.
pub(crate) fn readiness(host: &impl Host, now: UnixMillis) -> Result<Response, Refusal> {
    let (inventory, breaker, counted) = look_around(host, now);
    let (journal, regions) = (inventory.is_some(), counted.is_some());
    let word = |up: bool| if up { "ok" } else { "failing" };
    let status = match (journal, regions) {
        (true, true) => "ready",
        (false, false) => "unavailable",
        _ => "degraded",
    };
    let body = Record::of([
        ("status", status.into()),
        ("journal", word(journal).into()),
        ("regions", word(regions).into()),
        ("breaker", breaker.name().into()),
    ]);
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
    let exposition = negotiated(request, Exposition::OFFERS)?;
    parameters(request, &[])?;
    let (inventory, breaker, counted) = look_around(host, now);
    let bound = JournalBound::from_variables(host);
    let bound = bound.map_err(|error| host.log(&error.to_string())).ok();
    let text = metrics::render(exposition, inventory.as_ref(), bound, breaker, counted.as_ref());
    let response = Response::bytes(exposition.content_type(), StatusCode::OK, text.into_bytes());
    Ok(response.with_header("vary", "accept"))
}

/// What each store says at the moment, without folding; `None` for a store that
/// fails.
fn look_around(host: &impl Host, now: UnixMillis) -> (Option<Inventory>, State, Option<Counted>) {
    let count = || {
        let regions = Regions::open(host, BEFORE_READING)?;
        let totals = regions.read(ledger::totals)?;
        let tallies = regions.read(ledger::tallies)?;
        let newest =
            regions.read(|sql| ledger::newest_by_region(sql, limits::REGIONS_IN_METRICS_MAX))?;
        Ok(Counted { totals, tallies, newest })
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

/// `GET /v1/quarantine`.
pub(crate) fn quarantine(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Response, Refusal> {
    let format = Format::of(request)?;
    parameters(request, &[])?;
    let store = host.key_value().map_err(Error::Journal)?;
    let quarantined = Inventory::list(host, &store)?.quarantined;
    let row = |q: &Quarantined| {
        vec![
            q.name.as_str().into(),
            q.reason.code().into(),
            q.name.readings().into(),
            q.name.bytes().into(),
        ]
    };
    let listed = quarantined.iter().take(limits::QUARANTINED_LISTED_MAX);
    let rows: Vec<_> = listed.map(row).collect();
    // Further entries that the answer does not name.
    let omitted = quarantined.len() - rows.len();
    let document = Document {
        list: Some("entries"),
        table: Table { columns: vec!["name", "reason", "readings", "bytes"], rows },
        about: Record::default(),
        coverage: Record::of([("entries_omitted", omitted.into()), ("as_of", now.into())]),
        next: None,
    };
    Ok(document.into_response(request, format))
}
