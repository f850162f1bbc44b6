//! `GET /metrics`: the node's metrics. The journal is folded first, as before any
//! answer, so a scraper alone keeps the figures up to date.

use http::StatusCode;

use crate::api::answer::{Answered, HandlerResult};
use crate::api::call::Call;
use crate::api::exposition::{self, Counted, Known};
use crate::api::exposition_nodes::Nodes;
use crate::api::exposition_sources::Sources;
use crate::api::exposition_text::Exposition;
use crate::api::health::listed;
use crate::domain::range::Span;
use crate::error::Error;
use crate::host::Host;
use crate::http::Response;
use crate::http::accept::negotiated;
use crate::journal::door;
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::journal::noted;
use crate::journal::rejected;
use crate::ledger;
use crate::ledger::region_limits::{self, RegionLimits};
use crate::limits;
use crate::read::fresh::{Covered, Fresh, fold_and_read};
use crate::read::latest;
use crate::read::silence::Expectations;
use crate::resilience::breaker::State;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings::{self, Horizon, JournalBound, NamesBound};

/// If a store fails, answers with what is known.
pub(crate) fn all<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let exposition = negotiated(call.request, Exposition::OFFERS)?;
    let (counted, covered) = match counted(call)? {
        Some(Fresh { value, covered }) => (Some(value), Some(covered)),
        None => (None, None),
    };
    let known = known(call, counted, covered.as_ref());
    let text = exposition::render(exposition, &known);
    let response = Response::bytes(exposition.content_type(), StatusCode::OK, text.into_bytes());
    let response = response.with_header("vary", "accept");
    let after_answer = covered.map(|covered| covered.after_answer).unwrap_or_default();
    Ok(Answered { after_answer, ..response.into() })
}

/// What the database counts; `None` while it is away, which is logged.
fn counted<H: Host>(call: &Call<'_, H>) -> Result<Option<Fresh<Counted>>, Error> {
    let latest = Horizon::from_variables(call.host)?.latest(call.now);
    let silent_ms = settings::sender_silent_ms(call.host)?;
    let condition = call.readable().condition("r.name");
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let totals = ledger::totals(sql)?;
                let tallies = ledger::tallies(sql)?;
                let most = limits::REGIONS_IN_METRICS_MAX;
                let newest = ledger::newest_by_region(sql, &condition, latest, most)?;
                let expected = Expectations::load(sql, call.now)?;
                let regions = newest.iter().map(|(region, _)| region.as_str());
                let latest = latest::of_regions(sql, regions, &expected)?;
                let devices =
                    latest::of_devices(sql, &condition, limits::DEVICES_IN_METRICS_MAX, &expected)?;
                let names = latest.iter().map(|(region, _)| region.as_str());
                let limits = region_limits::of_regions(sql, names)?;
                let within = |(region, set): (String, RegionLimits)| {
                    let index = latest.binary_search_by(|(name, _)| name.cmp(&region)).ok()?;
                    let (_, now) = latest.get(index)?;
                    Some((region, set.holds(now.extremes())?))
                };
                let within_limits = limits.into_iter().filter_map(within).collect();
                // Names of nodes and of sources, as their lists have them.
                let (nodes, sources) = match call.grant.scopes.reads_all() {
                    true => (Nodes::load(sql, silent_ms, call.now)?, Sources::counted(sql)?),
                    false => (Nodes::none(), Sources::default()),
                };
                Ok(Counted {
                    totals,
                    tallies,
                    newest,
                    latest,
                    devices,
                    within_limits,
                    nodes,
                    sources,
                })
            })
        },
        |_snapshot| None,
    );
    let noted = |error: &Error| {
        if error.is_the_nodes() {
            call.host.log(&error.to_string());
        }
    };
    Ok(read.inspect_err(noted).ok())
}

/// `counted`, and what is in key-value.
fn known<H: Host>(
    call: &Call<'_, H>,
    counted: Option<Counted>,
    covered: Option<&Covered>,
) -> Known {
    let host = call.host;
    let all = call.grant.scopes.reads_all();
    let noted = |error: &Error| host.log(&error.to_string());
    let listed = listed(host).inspect_err(noted).ok();
    let store = listed.as_ref().map(|(_, store)| store);
    let rejected = |store| rejected::counts(store).map_err(Error::Journal);
    let denied = |store| noted::load(store, keys::AUTH).map_err(Error::Journal);
    let door = |store| door::load(host, store).map_err(Error::Journal);
    let breaker = |(inventory, store): &(Inventory, H::KeyValue)| {
        CircuitBreaker::new(host, store, inventory.has_breaker()).state()
    };
    Known {
        coverage: covered.map(|covered| covered.coverage.clone()),
        counted,
        rejected: store.and_then(|store| rejected(store).inspect_err(noted).ok()),
        denied: store.and_then(|store| denied(store).inspect_err(noted).ok()),
        sources: store
            .filter(|_| all)
            .and_then(|store| Sources::noted(store).inspect_err(noted).ok()),
        door: store.and_then(|store| door(store).inspect_err(noted).ok()),
        breaker: listed.as_ref().map_or(State::NEW, breaker),
        bound: JournalBound::from_variables(host).inspect_err(noted).ok(),
        names: NamesBound::from_variables(host).inspect_err(noted).ok(),
        inventory: listed.map(|(inventory, _)| inventory),
    }
}
