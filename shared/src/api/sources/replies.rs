//! Answers in the words of the sender's protocol.

use http::StatusCode;
use serde::Serialize;

use super::asked::Way;
use crate::http::{Problem, Response};
use crate::sources::reply::Reply;

/// An error as clients of InfluxDB read it: version 1 reads `error`, version 2 `code` and
/// `message`.
#[derive(Serialize)]
struct InfluxError<'a> {
    code: &'static str,
    message: &'a str,
    error: &'a str,
}

/// A response with an error as clients of InfluxDB read it.
pub(super) fn influx_error(status: StatusCode, message: &str) -> Response {
    let code = match status.as_u16() {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        413 => "request too large",
        415 => "unsupported media type",
        429 => "too many requests",
        503 => "unavailable",
        _ => "invalid",
    };
    Response::json(status, &InfluxError { code, message, error: message })
}

/// What was kept of some lines, and the first of what was not, as InfluxDB says it. Its
/// clients drop the whole batch then, which is right: what was good was kept, and a repeat
/// mends nothing.
pub(super) fn partial_write(rejected: usize, all: usize, first: &str) -> Response {
    let message =
        format!("partial write: {rejected} of {all} readings were rejected, the first: {first}");
    influx_error(StatusCode::BAD_REQUEST, &message)
}

impl Way {
    /// An error response in the words of the sender's protocol.
    pub(crate) fn in_its_words(self, response: Response) -> Response {
        if !matches!(self, Self::Lines | Self::Query) || !Problem::is_one(&response) {
            return response;
        }
        let detail = Problem::detail_of(&response);
        let said = influx_error(response.status, detail.as_deref().unwrap_or_default());
        let headers = response.headers.into_iter().filter(|(name, _)| *name != "content-type");
        Response { headers: said.headers.into_iter().chain(headers).collect(), ..said }
    }
}

/// The answer to a device whose message was understood: as its mapping says, or 204.
pub(super) fn of_source(reply: Option<&Reply>) -> Response {
    let Some(reply) = reply else { return Response::empty(StatusCode::NO_CONTENT) };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    match reply.text.is_empty() {
        true => Response::empty(status),
        false => Response::bytes(&reply.content_type, status, reply.text.clone().into_bytes()),
    }
}

/// The answer to a sender that must not take a node without its stores for its own fault: 429,
/// with what the other one says of when to come again.
pub(super) fn busy(response: Response) -> Response {
    let retry = response.headers.into_iter().filter(|(name, _)| *name == "retry-after");
    let busy = Response::empty(StatusCode::TOO_MANY_REQUESTS);
    Response { headers: busy.headers.into_iter().chain(retry).collect(), ..busy }
}
