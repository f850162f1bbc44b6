//! Answers to pages of other origins (Fetch Standard, 3.3): only of those that the variable
//! `cors_origins` names, and never with their cookies.

use http::{Method, StatusCode};

use crate::error::Error;
use crate::host::Host;
use crate::http::{Header, Request, Response};
use crate::limits;

const NAME: &str = "cors_origins";

/// The request headers that a page may send.
const HEADERS: &str = "accept, authorization, content-type, if-none-match, prefer, traceparent";

/// The response headers that a page may read.
const EXPOSED: &str = "age, etag, isotherm-coverage, link, preference-applied, retry-after, \
                       www-authenticate";

/// The origin of a request, if it is one of those that are allowed.
fn allowed<'r>(host: &impl Host, request: &'r Request) -> Result<Option<&'r str>, Error> {
    let Some(origin) = request.headers.get(Header::Origin) else { return Ok(None) };
    let origins = host.variable(NAME).map_err(Error::Variables)?.unwrap_or_default();
    let mut known = origins.split_ascii_whitespace().filter(|known| is_origin(known));
    Ok(known.any(|known| known == origin).then_some(origin))
}

/// Not `*`, and not `null`, which every sandboxed page has.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', '?', '#', '@']))
}

/// Checks the variable: exact origins with spaces between, and no path behind them.
pub(crate) fn check(host: &impl Host) -> Result<(), Error> {
    let origins = host.variable(NAME).map_err(Error::Variables)?.unwrap_or_default();
    let is_fine = origins.split_ascii_whitespace().all(is_origin)
        && origins.split_ascii_whitespace().count() <= limits::ORIGINS_MAX;
    let cause = format!(
        "must be at most {} origins like https://plant.example with spaces between",
        limits::ORIGINS_MAX
    );
    if is_fine { Ok(()) } else { Err(Error::Misconfigured { variable: NAME, cause }) }
}

/// The answer to a browser that asks whether a page may send a request; `None` if the
/// request is another one, or from a page that may not.
pub(crate) fn preflight(
    host: &impl Host,
    request: &Request,
    methods: &[Method],
) -> Result<Option<Response>, Error> {
    let is_preflight = request.method == Method::OPTIONS
        && request.headers.get(Header::AccessControlRequestMethod).is_some();
    if !is_preflight || allowed(host, request)?.is_none() {
        return Ok(None);
    }
    let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let response = Response::empty(StatusCode::NO_CONTENT)
        .with_header("access-control-allow-methods", methods)
        .with_header("access-control-allow-headers", HEADERS)
        .with_header("access-control-max-age", "600");
    Ok(Some(response))
}

/// Lets the page of an allowed origin read the answer.
pub(crate) fn allow(host: &impl Host, request: &Request, response: Response) -> Response {
    match allowed(host, request) {
        Ok(Some(origin)) => response
            .with_header("access-control-allow-origin", origin)
            .with_header("access-control-expose-headers", EXPOSED)
            .with_header("vary", "origin"),
        // A page that may not read it gets it all the same: that is the browser's part. Nor may
        // a cache give it to one that may, as it lacks the header.
        Ok(None) | Err(_) if request.headers.get(Header::Origin).is_some() => {
            response.with_header("vary", "origin")
        }
        Ok(None) | Err(_) => response,
    }
}
