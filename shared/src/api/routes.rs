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
use crate::api::export;
use crate::api::health;
use crate::api::metrics;
use crate::api::quarantine;
use crate::api::regions;
use crate::api::windows;
use crate::domain::reading::{DeviceId, Region, UnixMillis};
use crate::host::Host;
use crate::http::accept::Format;
use crate::http::params::Param::{
    After, DeviceId as Device, From, Limit, PageOfReadings, Region as InOne, Step, To,
};
use crate::http::params::{Param, QueryParams};
use crate::http::path::{decoded, device_in_path, region_in_path};
use crate::http::{Kind, Problem, Refusal, Request, Response};

/// A line of the table. Several lines may have the same path, with other methods.
pub struct Route<H: Host> {
    /// The path, as in `openapi.json`: `/v1/regions/{region}`.
    pub pattern: &'static str,
    /// The methods that it answers to.
    pub methods: &'static [Method],
    /// The permission that a client needs. Not enforced yet.
    pub scope: Scope,
    query: Query,
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
    /// To change the quarantine.
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

/// The table, in two parts, so that a component contains only its own handlers.
impl<H: Host> Route<H> {
    /// What `ingest` serves.
    #[rustfmt::skip] // One line per resource.
    pub const INGEST: [Self; 3] = [
        Self::body("/v1/readings", Scope::Write, Readings),
        // Here, because a runtime finds the component by the path alone.
        Self::document("/v1/readings", &[InOne, Device, From, To, After, PageOfReadings], Plain(export::list)),
        Self::probe("/readyz/ingest", Plain(health::of_ingest)),
    ];

    /// What `query` serves.
    #[rustfmt::skip] // One line per resource.
    pub const QUERY: [Self; 17] = [
        Self::document("/v1/regions", &[From, To, After, Limit], Plain(regions::list)),
        Self::document("/v1/regions/{region}", &[From, To], InRegion(regions::one)),
        Self::document("/v1/regions/{region}/windows", &[From, To, Step], InRegion(windows::of_region)),
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
        Self { pattern, methods: READING, scope: Scope::Read, query, answers, handler }
    }

    const fn get(pattern: &'static str, scope: Scope, handler: Handler<H>) -> Self {
        let (query, answers) = (Query::Of(&[]), Answers::Other);
        Self { pattern, methods: READING, scope, query, answers, handler }
    }

    const fn post(pattern: &'static str, scope: Scope, handler: Handler<H>) -> Self {
        let (query, answers) = (Query::Of(&[]), Answers::Other);
        Self { pattern, methods: POSTING, scope, query, answers, handler }
    }

    /// Whose answer depends on the body alone.
    const fn body(pattern: &'static str, scope: Scope, handler: Handler<H>) -> Self {
        let (query, answers) = (Query::Ignored, Answers::Other);
        Self { pattern, methods: POSTING, scope, query, answers, handler }
    }

    const fn probe(pattern: &'static str, handler: Handler<H>) -> Self {
        let (query, answers) = (Query::Ignored, Answers::Other);
        Self { pattern, methods: READING, scope: Scope::Open, query, answers, handler }
    }
}

/// Answers a request to `query`. `now` is the node's clock.
pub fn answer<H: Host>(host: &H, request: &Request, now: UnixMillis) -> Answered {
    let routes = Route::<H>::QUERY;
    let Some((route, argument)) = find(&routes, request) else {
        return Response::from(no_such_resource()).into();
    };
    match check_method(&routes, route, request) {
        Ok(()) => route.answer(host, request, argument, now),
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
    let checked = check_method(&routes, route, request).and_then(|()| route.check(request));
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

/// Checks the method of a request for `route`. If it is not one of the route's, the problem
/// names those of all lines with its path.
pub(crate) fn check_method<H: Host>(
    routes: &[Route<H>],
    route: &Route<H>,
    request: &Request,
) -> Result<(), Problem> {
    if route.methods.contains(&request.method) {
        return Ok(());
    }
    let of_path = routes.iter().filter(|other| other.pattern == route.pattern);
    let methods: Vec<Method> = of_path.flat_map(|other| other.methods).cloned().collect();
    request.allow(&methods)
}

/// The segment of `path` where `pattern` has braces; it must not be empty. Returns an
/// empty argument if `pattern` has no braces, and `None` if `path` does not match it.
fn argument<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some("");
    };
    let (_, behind) = rest.split_once('}')?;
    let name = path.strip_prefix(before)?.strip_suffix(behind)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn no_such_resource() -> Problem {
    Problem::new(Kind::NotFound, "no such resource; see /openapi.json")
}

impl<H: Host> Route<H> {
    /// Answers a request with a method of this route, if its handler takes no argument.
    /// (Apart from `answer`, so that `ingest` does not contain what parses arguments.)
    pub(crate) fn answer_plainly(
        &self,
        host: &H,
        request: &Request,
        now: UnixMillis,
    ) -> HandlerResult {
        let Plain(handle) = self.handler else { return Err(no_such_resource().into()) };
        handle(&self.call(host, request, now)?)
    }

    /// Answers a request with a method of this route.
    fn answer(&self, host: &H, request: &Request, argument: &str, now: UnixMillis) -> Answered {
        let answered = match self.try_answer(host, request, argument, now) {
            Ok(answered) => answered,
            Err(refusal) => refusal.into_response(host, request.purpose()).into(),
        };
        Answered { route: self.pattern, ..answered }
    }

    /// The parameters of a request with a method of this route.
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

    /// The request, as a handler takes it.
    fn call<'a>(
        &self,
        host: &'a H,
        request: &'a Request,
        now: UnixMillis,
    ) -> Result<Call<'a, H>, Problem> {
        let format = match self.answers {
            Answers::Documents => Format::of(request)?,
            Answers::Other => Format::Json,
        };
        Ok(Call { host, request, now, params: self.check(request)?, format })
    }

    fn try_answer(
        &self,
        host: &H,
        request: &Request,
        argument: &str,
        now: UnixMillis,
    ) -> HandlerResult {
        let call = self.call(host, request, now)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_one_piece_of_a_path() {
        for (pattern, path, expected) in [
            ("/v1/regions", "/v1/regions", Some("")),
            ("/v1/regions", "/v1/regions/", None),
            ("/v1/regions/{region}", "/v1/regions/hall", Some("hall")),
            ("/v1/regions/{region}", "/v1/regions/", None),
            ("/v1/regions/{region}", "/v1/regions/a/b", None),
            ("/v1/regions/{region}/windows", "/v1/regions/a%2Fb/windows", Some("a%2Fb")),
            ("/v1/regions/{region}/windows", "/v1/regions/windows", None),
            ("/v1/quarantine/{name}/retry", "/v1/quarantine/retry", None),
        ] {
            assert_eq!(argument(pattern, path), expected, "{pattern} {path}");
        }
    }
}
