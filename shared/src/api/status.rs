//! How the node is: ready or not, and what it counts.

use http::StatusCode;

use crate::api::answer::Answered;
use crate::api::metrics::{self, Counted, Exposition, Known};
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::http::parameters::parameters;
use crate::http::representation::{Record, negotiated};
use crate::http::{Refusal, Request, Response};
use crate::journal::door;
use crate::journal::inventory::Inventory;
use crate::journal::rejected;
use crate::ledger;
use crate::ledger::regions::Regions;
use crate::limits;
use crate::read::view::{BEFORE_READING, fold_and_read};
use crate::resilience::breaker::State;
use crate::resilience::guard::Guard;
use crate::settings::{self, Horizon, JournalBound, NamesBound};

/// `GET /readyz`: ready is a node that can make a reading durable. What else is wrong is
/// named. Nothing is folded.
pub(crate) fn readiness(host: &impl Host, now: UnixMillis) -> Result<Response, Refusal> {
    settings::check(host)?;
    let count = || Regions::open(host, BEFORE_READING)?.read(ledger::totals);
    let noted = |error: Error| host.log(&error.to_string());
    let (journal, regions, breaker) = match listed(host) {
        Ok((inventory, store)) => {
            let guard = Guard::new(host, &store, inventory.has_breaker);
            let counted = guard.call(now, count).map_err(noted).is_ok();
            // As it is after the call.
            let has_breaker = inventory.has_breaker || !counted;
            (true, counted, Guard::new(host, &store, has_breaker).state())
        }
        Err(error) => {
            noted(error);
            (false, count().map_err(noted).is_ok(), State::NEW)
        }
    };
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

fn listed<H: Host>(host: &H) -> Result<(Inventory, H::KeyValue), Error> {
    let store = host.key_value().map_err(Error::Journal)?;
    Ok((Inventory::list(host, &store)?, store))
}

/// `GET /metrics`: what the journal holds is folded first, as before any answer, so that
/// a scraper alone keeps the figures up to date.
pub(crate) fn metrics(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let exposition = negotiated(request, Exposition::OFFERS)?;
    parameters(request, &[])?;
    let latest = Horizon::from_variables(host)?.latest(now);
    let most = limits::REGIONS_IN_METRICS_MAX;
    let read = fold_and_read(
        host,
        Span::ALL_TIME,
        now,
        |regions| {
            regions.read_at_once(|sql| {
                let totals = ledger::totals(sql)?;
                let tallies = ledger::tallies(sql)?;
                let newest = ledger::newest_by_region(sql, latest, most)?;
                Ok(Counted { totals, tallies, newest })
            })
        },
        |_snapshot| None,
    );
    let noted = |error: &Error| host.log(&error.to_string());
    let (counted, shown) = match read {
        Ok(read) => (Some(read.value), Some(read.shown)),
        // The answer is what is known all the same.
        Err(error) => {
            if error.is_the_nodes() {
                noted(&error);
            }
            (None, None)
        }
    };
    let store = listed(host).inspect_err(noted).ok();
    let rejected = store.as_ref().and_then(|(_, store)| {
        rejected::counts(store).map_err(Error::Journal).inspect_err(noted).ok()
    });
    let door = store.as_ref().and_then(|(_, store)| {
        door::load(host, store).map_err(Error::Journal).inspect_err(noted).ok()
    });
    let breaker = store.as_ref().map_or(State::NEW, |(inventory, store)| {
        Guard::new(host, store, inventory.has_breaker).state()
    });
    let known = Known {
        coverage: shown.as_ref().map(|shown| shown.coverage.clone()),
        counted,
        rejected,
        door,
        inventory: store.map(|(inventory, _)| inventory),
        bound: JournalBound::from_variables(host).inspect_err(noted).ok(),
        names: NamesBound::from_variables(host).inspect_err(noted).ok(),
        breaker,
    };
    let text = metrics::render(exposition, &known);
    let response = Response::bytes(exposition.content_type(), StatusCode::OK, text.into_bytes());
    let response = response.with_header("vary", "accept");
    let follow_up = shown.map(|shown| shown.follow_up).unwrap_or_default();
    Ok(Answered { response, follow_up })
}
