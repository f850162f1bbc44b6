//! The table of routes: every resource, with its methods, scope, parameters and
//! handler.
//!
//! A new resource is a line here, a handler, and an entry in `docs/api.md` and in
//! `query/assets/openapi.json`; a test reports which of them is missing.

use http::Method;

use crate::api::answer::{Answered, HandlerResult};
use crate::api::assets;
use crate::api::call::Call;
use crate::api::conflicts;
use crate::api::devices;
use crate::api::events::{self, Opened};
use crate::api::excursions;
use crate::api::health;
use crate::api::metrics;
use crate::api::quarantine;
use crate::api::region_limits;
use crate::api::regions;
use crate::api::windows;
use crate::domain::reading::{DeviceId, Region, UnixMillis};
use crate::host::Host;
use crate::http::accept::Format;
use crate::http::body;
use crate::http::params::Param::{After, For, From, Gap, Limit, Step, To};
use crate::http::params::{Param, QueryParams};
use crate::http::path::{argument, decoded, device_in_path, region_in_path};
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::limits;

/// A line of the table. Several lines may have the same path, with other methods.
pub struct Route<H: Host> {
    /// The path, as in `openapi.json`: `/v1/regions/{region}`.
    pub pattern: &'static str,
    /// The methods that it answers to.
    pub methods: &'static [Method],
    /// The permission that a client needs. Not enforced yet.
    pub scope: Scope,
    query: Query,
    /// Whether a small JSON body is read, which is then in `Call::body`.
    takes_body: bool,
    answers: Answers,
    pub(crate) handler: Handler<H>,
}

/// A permission of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Granted to every client: health, and the page.
    Open,
    /// To read readings and averages.
    Read,
    /// To send readings.
    Write,
    /// To read metrics.
    Metrics,
    /// To change settings and the quarantine.
    Admin,
}

/// Which parameters a request may have.
#[derive(Clone, Copy)]
enum Query {
    /// These and no others.
    Of(&'static [Param]),
    /// Any; they are ignored, as a probe may send anything.
    Ignored,
}

/// What a route answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
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
}

use Handler::{Events, InRegion, Named, OfDevice, Plain, Readings};

const READING: &[Method] = &[Method::GET, Method::HEAD];
const POSTING: &[Method] = &[Method::POST];
const PUTTING: &[Method] = &[Method::PUT];
const DELETING: &[Method] = &[Method::DELETE];

/// The table, in two parts, so that a component contains only its own handlers.
impl<H: Host> Route<H> {
    /// What `ingest` serves.
    pub const INGEST: [Self; 2] = [
        Self::body("/v1/readings", Scope::Write, Readings),
        Self::probe("/readyz/ingest", Plain(health::of_ingest)),
    ];

    /// What `query` serves.
    #[rustfmt::skip] // One line per resource.
    pub const QUERY: [Self; 22] = [
        Self::document("/v1/regions", &[From, To, After, Limit], Plain(regions::list)),
        Self::document("/v1/regions/{region}", &[From, To], InRegion(regions::one)),
        Self::document("/v1/regions/{region}/windows", &[From, To, Step], InRegion(windows::of_region)),
        Self::document("/v1/regions/{region}/limits", &[], InRegion(region_limits::read)),
        Self::json(PUTTING, "/v1/regions/{region}/limits", Scope::Admin, InRegion(region_limits::put)),
        Self::changing(DELETING, "/v1/regions/{region}/limits", Scope::Admin, InRegion(region_limits::delete)),
        Self::document("/v1/regions/{region}/excursions", &[From, To, For, Gap], InRegion(excursions::of_region)),
        Self::document("/v1/devices/{device_id}/excursions", &[From, To, For, Gap], OfDevice(excursions::of_device)),
        Self::document("/v1/regions/{region}/devices", &[After, Limit], InRegion(devices::of_region)),
        Self::document("/v1/devices/{device_id}", &[], OfDevice(devices::one)),
        Self::document("/v1/devices/{device_id}/readings", &[From, To, Limit], OfDevice(devices::readings)),
        Self::document("/v1/conflicts", &[From, To, After, Limit], Plain(conflicts::list)),
        Self::document("/v1/quarantine", &[After], Plain(quarantine::list)),
        Self::post("/v1/quarantine/retry", Scope::Admin, Plain(quarantine::retry)),
        Self::post("/v1/quarantine/{name}/retry", Scope::Admin, Named(quarantine::retry_one)),
        Self::get("/v1/events", Scope::Read, Events),
        Self::get("/metrics", Scope::Metrics, Plain(metrics::all)),
        Self::probe("/readyz", Plain(health::of_node)),
        Self::probe("/healthz", Plain(health::alive)),
        Self::get("/", Scope::Open, Plain(assets::page)),
        Self::get("/openapi.json", Scope::Open, Plain(assets::description)),
        Self::get("/assets/{name}", Scope::Open, Named(assets::file)),
    ];

    const fn document(
        pattern: &'static str,
        params: &'static [Param],
        handler: Handler<H>,
    ) -> Self {
        let (query, answers) = (Query::Of(params), Answers::Documents);
        let (methods, scope, takes_body) = (READING, Scope::Read, false);
        Self { pattern, methods, scope, query, takes_body, answers, handler }
    }

    const fn get(pattern: &'static str, scope: Scope, handler: Handler<H>) -> Self {
        let (query, answers) = (Query::Of(&[]), Answers::Other);
        let (methods, takes_body) = (READING, false);
        Self { pattern, methods, scope, query, takes_body, answers, handler }
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
        Self { pattern, methods, scope, query, takes_body, answers, handler }
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

    const fn probe(pattern: &'static str, handler: Handler<H>) -> Self {
        Self { query: Query::Ignored, ..Self::get(pattern, Scope::Open, handler) }
    }
}

/// How many bytes of a request to `query` have to be read before `answer_with`: 0 if its
/// route takes no body. An error in the head is answered at once, before any body is read,
/// or asked for.
pub fn begin<H: Host>(request: &Request) -> Result<usize, Answered> {
    let routes = Route::<H>::QUERY;
    let Some((route, _)) = find(&routes, request).filter(|(route, _)| route.takes_body) else {
        return Ok(0);
    };
    let check = || {
        request.allow(&methods_of(&routes, route))?;
        body::check_type(request, "the body")?;
        body::check_length(request, limits::SMALL_BODY_BYTES_MAX)
    };
    match check() {
        Ok(()) => Ok(limits::SMALL_BODY_BYTES_MAX),
        Err(problem) => Err(refuse::<H>(request, problem)),
    }
}

/// Answers a request to `query` whose body could not be read.
pub fn refuse<H: Host>(request: &Request, problem: Problem) -> Answered {
    let routes = Route::<H>::QUERY;
    let route = find(&routes, request).map_or("(none)", |(route, _)| route.pattern);
    Answered { route, ..Response::from(problem).into() }
}

/// Answers a request to `query` that has no body. `now` is the node's clock.
pub fn answer<H: Host>(host: &H, request: &Request, now: UnixMillis) -> Answered {
    answer_with(host, request, &[], now)
}

/// The same with the body of which `begin` asked for as many bytes, or an empty one. `now`
/// is read after the body, which may have taken long to arrive.
pub fn answer_with<H: Host>(host: &H, request: &Request, body: &[u8], now: UnixMillis) -> Answered {
    let routes = Route::<H>::QUERY;
    let Some((route, argument)) = find(&routes, request) else {
        return Response::from(no_such_resource()).into();
    };
    match request.allow(&methods_of(&routes, route)) {
        Ok(()) => route.answer(host, request, body, argument, now),
        Err(problem) => Answered { route: route.pattern, ..Response::from(problem).into() },
    }
}

/// Answers a request for events; `None` if `request` is for something else (`answer`).
pub fn events<'a, H: Host>(
    host: &'a H,
    request: &Request,
    now: UnixMillis,
) -> Option<(Opened<'a, H>, &'static str)> {
    let routes = Route::<H>::QUERY;
    let (route, _) = find(&routes, request)?;
    if !matches!(route.handler, Events) {
        return None;
    }
    let checked = request.allow(route.methods).and_then(|()| route.check(request));
    let opened = match checked {
        Ok(_params) => events::open(host, request, now),
        Err(problem) => Opened::refused(Response::from(problem)),
    };
    Some((opened, route.pattern))
}

/// The route of a request, and the argument in the place of the path's braces. If no line
/// with this path has the method, it is the first one.
pub(crate) fn find<'r, 'p, H: Host>(
    routes: &'r [Route<H>],
    request: &'p Request,
) -> Option<(&'r Route<H>, &'p str)> {
    let of_path =
        || routes.iter().filter_map(|route| Some((route, argument(route.pattern, &request.path)?)));
    let with_method = of_path().find(|(route, _)| route.methods.contains(&request.method));
    with_method.or_else(|| of_path().next())
}

/// The methods of all lines with the path of this one.
fn methods_of<H: Host>(routes: &[Route<H>], route: &Route<H>) -> Vec<Method> {
    let of_path = routes.iter().filter(|other| other.pattern == route.pattern);
    of_path.flat_map(|other| other.methods).cloned().collect()
}

fn no_such_resource() -> Problem {
    Problem::new(Kind::NotFound, "no such resource; see /openapi.json")
}

impl<H: Host> Route<H> {
    /// Answers a request for this route, if its handler takes no argument. (Apart from
    /// `answer`, so that `ingest` does not contain what parses arguments.)
    pub(crate) fn answer_plainly(
        &self,
        host: &H,
        request: &Request,
        now: UnixMillis,
    ) -> HandlerResult {
        request.allow(self.methods)?;
        let Plain(handle) = self.handler else { return Err(no_such_resource().into()) };
        let (params, format) = (QueryParams::none(), Format::Json);
        handle(&Call { host, request, now, body: &[], params, format })
    }

    /// Answers a request for this route.
    fn answer(
        &self,
        host: &H,
        request: &Request,
        body: &[u8],
        argument: &str,
        now: UnixMillis,
    ) -> Answered {
        let answered = match self.try_answer(host, request, body, argument, now) {
            Ok(answered) => answered,
            Err(refusal) => refusal.into_response(host, request.purpose()).into(),
        };
        Answered { route: self.pattern, ..answered }
    }

    /// The parameters of a request for this route.
    fn check<'a>(&self, request: &'a Request) -> Result<QueryParams<'a>, Problem> {
        match self.query {
            Query::Of(known) => QueryParams::parse(request, known),
            Query::Ignored => Ok(QueryParams::none()),
        }
    }

    /// The parameters that its query may have, by name; `None` if it is not looked at.
    pub fn params(&self) -> Option<Vec<&'static str>> {
        match self.query {
            Query::Of(known) => Some(known.iter().map(|param| param.name()).collect()),
            Query::Ignored => None,
        }
    }

    fn try_answer(
        &self,
        host: &H,
        request: &Request,
        body: &[u8],
        argument: &str,
        now: UnixMillis,
    ) -> HandlerResult {
        let format = match self.answers {
            Answers::Documents => Format::of(request)?,
            Answers::Other => Format::Json,
        };
        let params = self.check(request)?;
        let call = Call { host, request, now, body, params, format };
        match self.handler {
            Plain(handle) => handle(&call),
            InRegion(handle) => handle(&call, &region_in_path(argument)?),
            OfDevice(handle) => handle(&call, &device_in_path(argument)?),
            Named(handle) => handle(&call, &decoded(argument).unwrap_or_default()),
            // The component's entry point answers these.
            Events | Readings => Err(Refusal::from(no_such_resource())),
        }
    }
}
