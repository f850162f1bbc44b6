//! From a request to its handler: finds its line in the table of routes, checks method,
//! parameters and types, and calls the handler.

use http::Method;

use crate::access::Grant;
use crate::api::access;
use crate::api::accessed::Accessed;
use crate::api::answer::{Answered, HandlerResult};
use crate::api::call::{Call, zone_of};
use crate::api::cors;
use crate::api::events::{self, Opened};
use crate::api::routes::Handler::{Events, InRegion, Named, OfDevice, Plain, Readings, Source};
use crate::api::routes::{Answers, Query, Route};
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::http::accept::Format;
use crate::http::body;
use crate::http::params::QueryParams;
use crate::http::path::{argument, decoded, device_in_path, region_in_path};
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::journal::door::Door;
use crate::limits;
use crate::upkeep;

/// A request that was let in by its head.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// How many bytes of its body have to be read at most: 0 if its route takes none.
    pub body_limit: usize,
    pub(crate) grant: Grant,
    /// The door, and when it was read; `None` if it was not.
    pub(crate) door: Option<(Door, UnixMillis)>,
}

impl Admitted {
    /// By this grant, with a body of at most so many bytes.
    fn by(grant: Grant, body_limit: usize) -> Self {
        Self { body_limit, grant, door: None }
    }
}

/// Judges a request by its head: its method, its credential, and what it says of its body.
/// An error in it is answered at once, before any body is read, or asked for.
pub fn begin<H: Host>(
    routes: &[Route<H>],
    host: &H,
    request: &Request,
    now: UnixMillis,
) -> Result<Admitted, Box<Answered>> {
    let Some((route, _)) = find(routes, request) else {
        let answered = finished(host, request, Response::from(no_such_resource()).into());
        return Err(Box::new(answered));
    };
    let refused = |refusal: Refusal, accessed| {
        let response = refusal.into_response(host, request.purpose());
        let answered = Answered { route: route.pattern, accessed, ..response.into() };
        Box::new(finished(host, request, answered))
    };
    match cors::preflight(host, request, &methods(routes, route)) {
        Ok(None) => {}
        Ok(Some(response)) => {
            let answered = Answered { route: route.pattern, ..response.into() };
            return Err(Box::new(finished(host, request, answered)));
        }
        Err(error) => return Err(refused(error.into(), Accessed::default())),
    }
    let allowed = check_method(routes, route, request);
    allowed.map_err(|problem| refused(problem.into(), Accessed::default()))?;
    let grant = access::admit(host, request, route.scope, access::by_jwt, now);
    let grant = grant.map_err(|denial| {
        let (refusal, accessed) = denial.into_parts();
        refused(refusal, accessed)
    })?;
    if !route.takes_body {
        return Ok(Admitted::by(grant, 0));
    }
    let (limit, body) = match route.takes_large_body {
        true => (limits::TABLE_BODY_BYTES_MAX, Ok(())),
        false => (limits::SMALL_BODY_BYTES_MAX, body::check_type(request, "the body")),
    };
    let body = body.and_then(|()| body::check_length(request, limit));
    body.map_err(|problem| refused(problem.into(), Accessed::by(&grant)))?;
    Ok(Admitted::by(grant, limit))
}

/// Answers a request whose body could not be read.
pub fn refuse<H: Host>(
    routes: &[Route<H>],
    host: &H,
    request: &Request,
    admitted: &Admitted,
    problem: Problem,
) -> Answered {
    let route = find(routes, request).map_or("(none)", |(route, _)| route.pattern);
    let accessed = Accessed::by(&admitted.grant);
    finished(host, request, Answered { route, accessed, ..Response::from(problem).into() })
}

/// Answers a request by the `routes` of a component. `body` has at most as many bytes as
/// `begin` asked for. `now` is the node's clock, read after the body, which may have taken
/// long to arrive.
pub fn answer_by<H: Host>(
    routes: &[Route<H>],
    host: &H,
    request: &Request,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Answered {
    let Some((route, argument)) = find(routes, request) else {
        return Response::from(no_such_resource()).into();
    };
    let answered = route.answer(host, request, &admitted.grant, body, argument, now);
    finished(host, request, answered)
}

/// The same without a body: `begin` and `answer_by` in one.
pub fn answer_at_once<H: Host>(
    routes: &[Route<H>],
    host: &H,
    request: &Request,
    body: &[u8],
    now: UnixMillis,
) -> Answered {
    match begin(routes, host, request, now) {
        Ok(admitted) => answer_by(routes, host, request, &admitted, body, now),
        Err(answered) => *answered,
    }
}

/// What every answer has beside its own: who may read it, and what it depends on.
pub(crate) fn finished(host: &impl Host, request: &Request, answered: Answered) -> Answered {
    let response = finished_response(host, request, answered.response);
    let accessed = answered.accessed.answered(response.status);
    Answered { response, accessed, ..answered }
}

pub(crate) fn finished_response(
    host: &impl Host,
    request: &Request,
    response: Response,
) -> Response {
    let response = response.with_header("vary", "authorization, cookie");
    cors::allow(host, request, response)
}

/// Folds the corrections that wait, before `inspect` answers. While they can't be folded,
/// they wait on.
pub fn fold_corrections<H: Host>(host: &H, now: UnixMillis) {
    match upkeep::fold_corrections(host, now) {
        Ok(()) | Err(Error::CircuitOpen { .. }) => {}
        Err(error) => host.log(&format!("corrections wait: {error}")),
    }
}

/// Answers a request that has no body, on a host that has the routes of `query` and
/// `inspect` in one program.
pub fn answer<H: Host>(host: &H, request: &Request, now: UnixMillis) -> Answered {
    answer_with(host, request, &[], now)
}

/// The same with a body.
pub fn answer_with<H: Host>(host: &H, request: &Request, body: &[u8], now: UnixMillis) -> Answered {
    fold_corrections(host, now);
    let routes = Route::<H>::INSPECT;
    match find(&routes, request) {
        Some(_) => answer_at_once(&routes, host, request, body, now),
        None => answer_at_once(&Route::<H>::QUERY, host, request, body, now),
    }
}

/// Answers a request for events; `None` if `request` is for something else (`answer`).
pub fn events<'a, H: Host>(
    host: &'a H,
    request: &Request,
    now: UnixMillis,
) -> Option<(Opened<'a, H>, &'static str, Accessed)> {
    let routes = Route::<H>::QUERY;
    let (route, _) = find(&routes, request)?;
    if !matches!(route.handler, Events) {
        return None;
    }
    let admitted = match begin(&routes, host, request, now) {
        Ok(admitted) => admitted,
        Err(answered) => {
            return Some((Opened::refused(answered.response), route.pattern, answered.accessed));
        }
    };
    let grant = &admitted.grant;
    let opened = match route.check(host, request, now) {
        Ok(_params) => events::open(host, request, grant.scopes.regions(), now),
        Err(refusal) => Opened::refused(refusal.into_response(host, request.purpose())),
    };
    let response = finished_response(host, request, opened.response);
    let accessed = Accessed::by(grant).answered(response.status);
    Some((Opened { response, ..opened }, route.pattern, accessed))
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
    request.allow(&methods(routes, route))
}

/// The methods of all lines with the path of `route`.
pub(crate) fn methods<H: Host>(routes: &[Route<H>], route: &Route<H>) -> Vec<Method> {
    let of_path = routes.iter().filter(|other| other.pattern == route.pattern);
    of_path.flat_map(|other| other.methods).cloned().collect()
}

fn no_such_resource() -> Problem {
    Problem::new(Kind::NotFound, "no such resource; see /openapi.json")
}

impl<H: Host> Route<H> {
    /// Answers a request with a method of this route, if its handler takes no argument.
    pub(crate) fn answer_plainly(
        &self,
        host: &H,
        request: &Request,
        grant: &Grant,
        now: UnixMillis,
    ) -> HandlerResult {
        let Plain(handle) = self.handler else { return Err(no_such_resource().into()) };
        handle(&self.call(host, request, grant, &[], now)?)
    }

    /// Answers a request for this route.
    fn answer(
        &self,
        host: &H,
        request: &Request,
        grant: &Grant,
        body: &[u8],
        argument: &str,
        now: UnixMillis,
    ) -> Answered {
        let answer = self.call(host, request, grant, body, now);
        let answered = match answer.and_then(|call| self.try_answer(&call, argument)) {
            Ok(answered) => answered,
            Err(refusal) => refusal.into_response(host, request.purpose()).into(),
        };
        Answered { route: self.pattern, accessed: Accessed::by(grant), ..answered }
    }

    /// The parameters of a request for this route.
    fn check<'a>(
        &self,
        host: &H,
        request: &'a Request,
        now: UnixMillis,
    ) -> Result<QueryParams<'a>, Refusal> {
        match self.query {
            Query::Of(known) => QueryParams::parse(request, known, now, &|tz| zone_of(host, tz)),
            Query::Ignored => Ok(QueryParams::none()),
        }
    }

    fn call<'a>(
        &self,
        host: &'a H,
        request: &'a Request,
        grant: &'a Grant,
        body: &'a [u8],
        now: UnixMillis,
    ) -> Result<Call<'a, H>, Refusal> {
        let format = match self.answers {
            Answers::Documents => Format::of(request)?,
            Answers::Other => Format::Json,
        };
        let params = self.check(host, request, now)?;
        if let Some(region) = params.region()? {
            grant.check_region(region.as_str())?;
        }
        Ok(Call { host, request, grant, now, body, params, format })
    }

    fn try_answer(&self, call: &Call<'_, H>, argument: &str) -> HandlerResult {
        match self.handler {
            Plain(handle) => handle(call),
            InRegion(handle) => {
                let region = region_in_path(argument)?;
                call.grant.check_region(region.as_str())?;
                handle(call, &region)
            }
            OfDevice(handle) => handle(call, &device_in_path(argument)?),
            Named(handle) => handle(call, &decoded(argument).unwrap_or_default()),
            // The component's entry point answers these.
            Events | Readings | Source(_) => Err(Refusal::from(no_such_resource())),
        }
    }
}
