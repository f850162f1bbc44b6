//! The head of a request to `ingest`: its route, its credential, and what it says of its
//! body.

use super::formats;
use super::{AfterPost, Begun, Handled};
use crate::api::access::{self, Admission};
use crate::api::accessed::Accessed;
use crate::api::answer::Answered;
use crate::api::cors;
use crate::api::denial::Denial;
use crate::api::router::{self, Admitted};
use crate::api::routes::{Handler, Route};
use crate::api::sources::{self, Asked, Way};
use crate::domain::reading::UnixMillis;
use crate::host::Host;
use crate::http::body::check_length;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::settings;

/// Judges a request by its head, so that an error in it is answered before any body is
/// read, or asked for. `now` is the node's clock.
pub fn begin<H: Host>(host: &H, request: &Request, now: UnixMillis) -> Begun {
    let routes = Route::<H>::INGEST;
    let Some((route, argument)) = router::find(&routes, request) else {
        let problem =
            Problem::new(Kind::NotFound, "no such resource; POST readings to /v1/readings");
        return Begun::Done(Handled::of(host, request, Response::from(problem)));
    };
    match cors::preflight(host, request, &router::methods(&routes, route)) {
        Ok(None) => {}
        Ok(Some(response)) => {
            let handled = Handled::of(host, request, response);
            return Begun::Done(Handled { counts: None, route: route.pattern, ..handled });
        }
        Err(error) => return Begun::Done(Handled::refused(host, request, error.into())),
    }
    if let Handler::Source(way) = route.handler {
        return begin_source(&routes, (route, way, argument), host, request, now);
    }
    let takes_readings = matches!(route.handler, Handler::Readings);
    let begun = admit(&routes, route, host, request, now);
    let (refusal, accessed) = match begun {
        Ok(admitted) if takes_readings => return Begun::WantsBody(admitted),
        Ok(Admitted { grant, .. }) => match route.answer_plainly(host, request, &grant, now) {
            Ok(Answered { response, after_answer, .. }) => {
                let after_answer = AfterPost::folding(after_answer.should_fold);
                let handled = Handled::of(host, request, response);
                let accessed = Accessed::by(&grant);
                let (counts, route) = (None, route.pattern);
                return Begun::Done(Handled { after_answer, counts, route, accessed, ..handled });
            }
            Err(refusal) => (refusal, Accessed::by(&grant)),
        },
        Err(denial) => denial,
    };
    if takes_readings {
        return Begun::Done(Handled { accessed, ..Handled::refused(host, request, refusal) });
    }
    let response = refusal.into_response(host, request.purpose());
    let handled = Handled::of(host, request, response);
    let accessed = accessed.answered(handled.response.status);
    Begun::Done(Handled { counts: None, route: route.pattern, accessed, ..handled })
}

/// The same for a request to a source.
fn begin_source<H: Host>(
    routes: &[Route<H>],
    (route, way, argument): (&Route<H>, Way, &str),
    host: &H,
    request: &Request,
    now: UnixMillis,
) -> Begun {
    let admitted = router::check_method(routes, route, request)
        .and_then(|()| Asked::of(way, request, argument))
        .map_err(|problem| (problem.into(), Accessed::default()))
        .and_then(|asked| sources::admit(host, request, &asked, now).map_err(Denial::into_parts));
    let (refusal, accessed) = match admitted {
        Ok(admitted) => return Begun::WantsBody(admitted),
        Err(refused) => refused,
    };
    let answer = sources::refused(host, request, way, refusal);
    let accessed = accessed.answered(answer.response.status);
    let handled = Handled::of_source(host, request, answer, route.pattern);
    Begun::Done(Handled { accessed, ..handled })
}

/// Judges the head of a request for `route`.
fn admit<H: Host>(
    routes: &[Route<H>],
    route: &Route<H>,
    host: &H,
    request: &Request,
    now: UnixMillis,
) -> Result<Admitted, (Refusal, Accessed)> {
    let nobody = |refusal: Refusal| (refusal, Accessed::default());
    router::check_method(routes, route, request).map_err(|problem| nobody(problem.into()))?;
    // A JWT is for people and services, who send no readings.
    let admission = access::admit_sender(host, request, route.scope, now);
    let Admission { grant, door } = admission.map_err(Denial::into_parts)?;
    let body_limit = match route.handler {
        Handler::Readings => body_limit(host, request),
        _ => Ok(0),
    };
    match body_limit {
        Ok(body_limit) => Ok(Admitted { body_limit, grant, door: door.map(|door| (door, now)) }),
        Err(refusal) => Err((refusal, Accessed::by(&grant))),
    }
}

/// How many bytes the body may have, if the head is valid.
fn body_limit(host: &impl Host, request: &Request) -> Result<usize, Refusal> {
    let format = formats::format(request)?;
    formats::check_query(request, format)?;
    let limit_bytes = settings::max_body_bytes(host)?;
    check_length(request, limit_bytes)?;
    Ok(limit_bytes)
}
