//! From a request to its handler: finds its line in the table of routes, checks method,
//! parameters and types, and calls the handler.

use http::Method;

use crate::api::answer::{Answered, HandlerResult};
use crate::api::call::{Call, zone_of};
use crate::api::events::{self, Opened};
use crate::api::routes::Handler::{Events, InRegion, Named, OfDevice, Plain, Readings};
use crate::api::routes::{Answers, Query, Route};
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::http::accept::Format;
use crate::http::body;
use crate::http::params::QueryParams;
use crate::http::path::{argument, decoded, device_in_path, region_in_path};
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::limits;
use crate::upkeep;

/// How many bytes of a request have to be read before `answer_by`: 0 if its route takes no
/// body. An error in the head is answered at once, before any body is read, or asked for.
pub fn begin<H: Host>(routes: &[Route<H>], request: &Request) -> Result<usize, Answered> {
    let Some((route, _)) = find(routes, request).filter(|(route, _)| route.takes_body) else {
        return Ok(0);
    };
    let check = || {
        check_method(routes, route, request)?;
        body::check_type(request, "the body")?;
        body::check_length(request, limits::SMALL_BODY_BYTES_MAX)
    };
    match check() {
        Ok(()) => Ok(limits::SMALL_BODY_BYTES_MAX),
        Err(problem) => Err(refuse(routes, request, problem)),
    }
}

/// Answers a request whose body could not be read.
pub fn refuse<H: Host>(routes: &[Route<H>], request: &Request, problem: Problem) -> Answered {
    let route = find(routes, request).map_or("(none)", |(route, _)| route.pattern);
    Answered { route, ..Response::from(problem).into() }
}

/// Answers a request by the `routes` of a component. `body` has at most as many bytes as
/// `begin` asked for. `now` is the node's clock, read after the body, which may have taken
/// long to arrive.
pub fn answer_by<H: Host>(
    routes: &[Route<H>],
    host: &H,
    request: &Request,
    body: &[u8],
    now: UnixMillis,
) -> Answered {
    let Some((route, argument)) = find(routes, request) else {
        return Response::from(no_such_resource()).into();
    };
    match check_method(routes, route, request) {
        Ok(()) => route.answer(host, request, body, argument, now),
        Err(problem) => Answered { route: route.pattern, ..Response::from(problem).into() },
    }
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
        Some(_) => answer_by(&routes, host, request, body, now),
        None => answer_by(&Route::<H>::QUERY, host, request, body, now),
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
    let checked = request.allow(route.methods).map_err(Refusal::from);
    let opened = match checked.and_then(|()| route.check(host, request, now)) {
        Ok(_params) => events::open(host, request, now),
        Err(refusal) => Opened::refused(refusal.into_response(host, request.purpose())),
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

fn no_such_resource() -> Problem {
    Problem::new(Kind::NotFound, "no such resource; see /openapi.json")
}

impl<H: Host> Route<H> {
    /// Answers a request with a method of this route, if its handler takes no argument.
    pub(crate) fn answer_plainly(
        &self,
        host: &H,
        request: &Request,
        now: UnixMillis,
    ) -> HandlerResult {
        let Plain(handle) = self.handler else { return Err(no_such_resource().into()) };
        handle(&self.call(host, request, &[], now)?)
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
        body: &'a [u8],
        now: UnixMillis,
    ) -> Result<Call<'a, H>, Refusal> {
        let format = match self.answers {
            Answers::Documents => Format::of(request)?,
            Answers::Other => Format::Json,
        };
        let params = self.check(host, request, now)?;
        Ok(Call { host, request, now, body, params, format })
    }

    fn try_answer(
        &self,
        host: &H,
        request: &Request,
        body: &[u8],
        argument: &str,
        now: UnixMillis,
    ) -> HandlerResult {
        let call = self.call(host, request, body, now)?;
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
