//! The table of routes: every resource, with its methods, scope, parameters and
//! handler.
//!
//! A new resource is a line here, a handler, and an entry in `docs/api.md` and in
//! `query/assets/openapi.json`; a test reports which of them is missing.

use http::Method;

pub use crate::access::Scope;
use crate::api::answer::HandlerResult;
use crate::api::assets;
use crate::api::call::Call;
use crate::api::conflicts;
use crate::api::corrections;
use crate::api::device_history;
use crate::api::devices;
use crate::api::excursions;
use crate::api::export;
use crate::api::health;
use crate::api::metrics;
use crate::api::quarantine;
use crate::api::region_limits;
use crate::api::regions;
use crate::api::rejections;
use crate::api::senders;
use crate::api::session;
use crate::api::sources::{Way, manage, side};
use crate::api::status;
use crate::api::sync;
use crate::api::tokens;
use crate::api::windows;
use crate::domain::reading::{DeviceId, Region};
use crate::host::Host;
use crate::http::params::Param;
use crate::http::params::Param::{
    After, For, From, Gap, Limit, Longer, PageOfReadings, Silent, SilentFor, Step, To, Tz,
};

/// A line of the table. Several lines may have the same path, with other methods.
pub struct Route<H: Host> {
    /// The path, as in `openapi.json`: `/v1/regions/{region}`.
    pub pattern: &'static str,
    /// The methods that it answers to.
    pub methods: &'static [Method],
    /// What a client's credential must allow (`api::access`).
    pub scope: Scope,
    pub(super) query: Query,
    /// Whether a small JSON body is read, which is then in `Call::body`.
    pub(super) takes_body: bool,
    /// Whether that body is of any type, and may be large.
    pub(super) takes_large_body: bool,
    pub(super) answers: Answers,
    pub(crate) handler: Handler<H>,
}

/// Which parameters a request may have.
#[derive(Clone, Copy)]
pub(super) enum Query {
    /// These and no others.
    Of(&'static [Param]),
    /// Any; they are ignored, as a probe may send anything.
    Ignored,
}

/// What a route answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// A document, as JSON, CSV or NDJSON.
    Documents,
    /// A format of its own.
    Other,
}

/// What answers, and the argument that it takes from the path.
pub(crate) enum Handler<H: Host> {
    /// No argument.
    Plain(fn(&Call<'_, H>) -> HandlerResult),
    InRegion(fn(&Call<'_, H>, &Region<'_>) -> HandlerResult),
    OfDevice(fn(&Call<'_, H>, &DeviceId<'_>) -> HandlerResult),
    Named(fn(&Call<'_, H>, &str) -> HandlerResult),
    /// A stream, which the component's entry point writes (`events::open`).
    Events,
    /// Readings in a body, which the component's entry point reads (`readings::post`).
    Readings,
    /// What devices send, likewise.
    Source(Way),
}

use Handler::{Events, InRegion, Named, OfDevice, Plain, Readings, Source};

const READING: &[Method] = &[Method::GET, Method::HEAD];
const POSTING: &[Method] = &[Method::POST];
const SENDING: &[Method] = &[Method::POST, Method::PUT, Method::GET];
const PUTTING: &[Method] = &[Method::PUT];
const DELETING: &[Method] = &[Method::DELETE];

/// The table, in a part for each component, so that it contains only its own handlers.
impl<H: Host> Route<H> {
    /// What `ingest` serves.
    #[rustfmt::skip] // One line per resource.
    pub const INGEST: [Self; 15] = [
        // Here, because a runtime finds the component by the path alone.
        Self::document("/v1/readings", &[Param::Region, Param::DeviceId, From, To, Tz, After, PageOfReadings], Plain(export::list)),
        Self::body("/v1/readings", Scope::Write, Readings),
        Self::probe("/readyz/ingest", Plain(health::of_ingest)),
        Self::source(SENDING, "/v1/in/{source}", Way::Named),
        Self::source(SENDING, "/v1/in/{source}/{key}", Way::Named),
        Self::source(POSTING, "/write", Way::Lines),
        Self::source(POSTING, "/api/v2/write", Way::Lines),
        Self::source(POSTING, "/api/v3/write_lp", Way::Lines),
        Self::source(POSTING, "/query", Way::Query),
        Self::source(POSTING, "/api/v1/{key}/telemetry", Way::Telemetry),
        Self::source(SENDING, "/weatherstation/updateweatherstation.php", Way::Fixed("wunderground", "PASSWORD")),
        Self::source(SENDING, "/data/report", Way::Fixed("ecowitt", "key")),
        Self::source(SENDING, "/data/report/", Way::Fixed("ecowitt", "key")),
        Self::probe("/ping", Plain(side::ping)),
        Self::probe("/health", Plain(side::health)),
    ];

    /// What `query` serves: averages, and what is measured now.
    #[rustfmt::skip] // One line per resource.
    pub const QUERY: [Self; 10] = [
        Self::document("/v1/regions", &[From, To, Tz, After, Limit], Plain(regions::list)),
        Self::document("/v1/regions/{region}", &[From, To, Tz], InRegion(regions::one)),
        Self::document("/v1/regions/{region}/windows", &[From, To, Step, Tz], InRegion(windows::of_region)),
        Self::get("/v1/events", Scope::Read, Events),
        Self::get("/metrics", Scope::Metrics, Plain(metrics::all)),
        Self::probe("/readyz", Plain(health::of_node)),
        Self::probe("/healthz", Plain(health::alive)),
        Self::get("/", Scope::Open, Plain(assets::page)),
        Self::get("/openapi.json", Scope::Open, Plain(assets::description)),
        Self::get("/assets/{name}", Scope::Open, Named(assets::file)),
    ];

    /// What `inspect` serves: what is behind the averages, and what an operator changes.
    #[rustfmt::skip] // One line per resource.
    pub const INSPECT: [Self; 40] = [
        Self::document("/v1/regions/{region}/devices", &[After, Limit], InRegion(devices::of_region)),
        Self::document("/v1/devices", &[Param::Region, Silent, SilentFor, After, Limit], Plain(devices::list)),
        Self::document("/v1/devices/{device_id}", &[], OfDevice(devices::one)),
        Self::json(PUTTING, "/v1/devices/{device_id}", Scope::Admin, OfDevice(devices::put)),
        Self::document("/v1/devices/{device_id}/readings", &[From, To, Tz, Limit], OfDevice(device_history::readings)),
        Self::document("/v1/devices/{device_id}/windows", &[From, To, Step, Tz], OfDevice(device_history::windows)),
        Self::document("/v1/devices/{device_id}/gaps", &[From, To, Tz, Longer], OfDevice(device_history::gaps)),
        Self::document("/v1/regions/{region}/limits", &[], InRegion(region_limits::read)),
        Self::json(PUTTING, "/v1/regions/{region}/limits", Scope::Admin, InRegion(region_limits::put)),
        Self::changing(DELETING, "/v1/regions/{region}/limits", Scope::Admin, InRegion(region_limits::delete)),
        Self::document("/v1/regions/{region}/excursions", &[From, To, Tz, For, Gap], InRegion(excursions::of_region)),
        Self::document("/v1/devices/{device_id}/excursions", &[From, To, Tz, For, Gap], OfDevice(excursions::of_device)),
        Self::document("/v1/conflicts", &[From, To, Tz, After, Limit], Plain(conflicts::list)),
        Self::document("/v1/rejections", &[After, Limit, Param::DeviceId, Param::Region, Param::Reason], Plain(rejections::list)),
        Self::document("/v1/rejections/devices", &[], Plain(rejections::by_device)),
        Self::document("/v1/status", &[], Plain(status::of_node)),
        Self::document("/v1/senders", &[], Plain(senders::list)).for_all(),
        Self::changing(DELETING, "/v1/senders/{node}", Scope::Admin, Named(senders::delete)),
        Self::document("/v1/corrections", &[From, To, Tz, After, Limit], Plain(corrections::list)).for_all(),
        Self::json(POSTING, "/v1/corrections", Scope::Admin, Plain(corrections::post)),
        Self::document("/v1/quarantine", &[After], Plain(quarantine::list)).for_all(),
        Self::post("/v1/quarantine/retry", Scope::Admin, Plain(quarantine::retry)),
        Self::post("/v1/quarantine/{name}/retry", Scope::Admin, Named(quarantine::retry_one)),
        Self::get("/v1/sources", Scope::ReadAll, Plain(manage::list)),
        Self::get("/v1/sources/{source}", Scope::ReadAll, Named(manage::one)),
        Self::json(PUTTING, "/v1/sources/{source}", Scope::Admin, Named(manage::put)),
        Self::changing(DELETING, "/v1/sources/{source}", Scope::Admin, Named(manage::delete)),
        Self::get("/v1/sources/{source}/refused", Scope::Admin, Named(manage::refused)),
        Self::any_body(POSTING, "/v1/sources/{source}/try", Named(manage::attempt)),
        Self::document("/v1/sources/{source}/devices", &[], Named(manage::devices)).for_all(),
        Self::any_body(PUTTING, "/v1/sources/{source}/devices", Named(manage::put_devices)),
        Self::json(POSTING, "/v1/sources/{source}/devices", Scope::Admin, Named(manage::adopt)),
        Self::get("/v1/sources/{source}/unknown", Scope::ReadAll, Named(manage::unknown)),
        Self::get("/v1/tokens", Scope::Admin, Plain(tokens::list)),
        Self::json(POSTING, "/v1/tokens", Scope::Admin, Plain(tokens::post)),
        Self::json(PUTTING, "/v1/tokens/{id}", Scope::Admin, Named(tokens::put)),
        Self::changing(DELETING, "/v1/tokens/{id}", Scope::Admin, Named(tokens::delete)),
        Self::get("/v1/session", Scope::Any, Plain(session::read)),
        Self::post("/v1/session", Scope::Any, Plain(session::begin)),
        Self::changing(DELETING, "/v1/session", Scope::Open, Plain(session::end)),
    ];

    /// What `sync` serves: the exchange with other nodes, on the side that sends.
    #[rustfmt::skip] // One line per resource.
    pub const SYNC: [Self; 2] = [
        Self::get("/v1/sync", Scope::ReadAll, Plain(sync::state)),
        Self::post("/v1/sync", Scope::Sync, Plain(sync::begin)),
    ];

    /// The parameters that its query may have, by name; `None` if it is not looked at.
    pub fn params(&self) -> Option<Vec<&'static str>> {
        match self.query {
            Query::Of(known) => Some(known.iter().map(|param| param.name()).collect()),
            Query::Ignored => None,
        }
    }

    const fn document(
        pattern: &'static str,
        params: &'static [Param],
        handler: Handler<H>,
    ) -> Self {
        let (query, answers) = (Query::Of(params), Answers::Documents);
        let (methods, scope, takes_body) = (READING, Scope::Read, false);
        let takes_large_body = false;
        Self { pattern, methods, scope, query, takes_body, takes_large_body, answers, handler }
    }

    /// The same for those who may read every region.
    const fn for_all(self) -> Self {
        Self { scope: Scope::ReadAll, ..self }
    }

    const fn get(pattern: &'static str, scope: Scope, handler: Handler<H>) -> Self {
        let (query, answers) = (Query::Of(&[]), Answers::Other);
        let (methods, takes_body, takes_large_body) = (READING, false, false);
        Self { pattern, methods, scope, query, takes_body, takes_large_body, answers, handler }
    }

    const fn post(pattern: &'static str, scope: Scope, handler: Handler<H>) -> Self {
        Self::changing(POSTING, pattern, scope, handler)
    }

    /// What changes something and takes no body.
    const fn changing(
        methods: &'static [Method],
        pattern: &'static str,
        scope: Scope,
        handler: Handler<H>,
    ) -> Self {
        let (query, takes_body, answers) = (Query::Of(&[]), false, Answers::Other);
        let takes_large_body = false;
        Self { pattern, methods, scope, query, takes_body, takes_large_body, answers, handler }
    }

    /// The same with a small JSON body (`Call::body`), which the component's entry point
    /// reads (`begin`).
    const fn json(
        methods: &'static [Method],
        pattern: &'static str,
        scope: Scope,
        handler: Handler<H>,
    ) -> Self {
        Self { takes_body: true, ..Self::changing(methods, pattern, scope, handler) }
    }

    /// Whose answer depends on the body alone.
    const fn body(pattern: &'static str, scope: Scope, handler: Handler<H>) -> Self {
        Self { query: Query::Ignored, ..Self::changing(POSTING, pattern, scope, handler) }
    }

    /// A large body of any type, which the handler looks at.
    const fn any_body(
        methods: &'static [Method],
        pattern: &'static str,
        handler: Handler<H>,
    ) -> Self {
        let route = Self::json(methods, pattern, Scope::Admin, handler);
        Self { query: Query::Ignored, takes_large_body: true, ..route }
    }

    /// What devices send; its query is theirs.
    const fn source(methods: &'static [Method], pattern: &'static str, way: Way) -> Self {
        let route = Self::changing(methods, pattern, Scope::Source, Source(way));
        Self { query: Query::Ignored, ..route }
    }

    const fn probe(pattern: &'static str, handler: Handler<H>) -> Self {
        Self { query: Query::Ignored, ..Self::get(pattern, Scope::Open, handler) }
    }
}
