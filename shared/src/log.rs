//! The operator's log: one JSON object per line, one line per request and one per event
//! that an operator should know about. Never a body, a token or a name chosen by a
//! client.
//!
//! | field | |
//! | --- | --- |
//! | `component` | `ingest` or `query` |
//! | `trace_id` | of the request's trace, if it names one |
//! | `message` | in a line about the node: what is wrong, and what to do |
//! | `at` | in a line about a request: when it had arrived with its body, Unix milliseconds |
//! | `route` | the method and the route, without names |
//! | `who` | the id of a token, or a hash of who a JWT is for; without access control, `anyone` |
//! | `status`, `outcome` | of the answer |
//! | `accepted`, `rejected` | of `ingest`: readings of an answered request |
//! | `reason` | why the first of them was rejected, or the body was not read |
//! | `duration_ms` | from the request's head to the end of the answer |

use http::{Method, StatusCode};

use crate::domain::reading::UnixMillis;
use crate::http::{Header, Request};

/// The log of one component and trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    component: &'static str,
    trace_id: Option<String>,
}

impl Log {
    /// The log of `component` while it answers `request`.
    pub fn new(component: &'static str, request: &Request) -> Self {
        let trace_id =
            request.headers.get(Header::Traceparent).and_then(trace_id).map(ToOwned::to_owned);
        Self { component, trace_id }
    }

    /// A line about the node.
    pub fn message(&self, message: &str) -> String {
        // A string can always be serialized.
        let message = serde_json::to_string(message).unwrap_or_default();
        format!("{},\"message\":{message}}}", self.head())
    }

    /// A line about an answered request.
    pub fn request(&self, request: &Request, answered: AccessLine<'_>) -> String {
        let AccessLine { at, route, who, status, counts, duration_ms } = answered;
        let (method, code) = (method(&request.method), status.as_u16());
        let outcome = outcome(status, counts.is_some());
        let counts = counts.map_or(String::new(), |Counts { accepted, rejected, reason }| {
            let reason = reason.map_or(String::new(), |code| format!(",\"reason\":\"{code}\""));
            format!(",\"accepted\":{accepted},\"rejected\":{rejected}{reason}")
        });
        // An id has no character that is escaped.
        let who = who.map_or(String::new(), |who| format!(",\"who\":\"{who}\""));
        format!(
            "{},\"at\":{},\"route\":\"{method} {route}\"{who},\"status\":{code},\
             \"outcome\":\"{outcome}\"{counts},\"duration_ms\":{duration_ms}}}",
            self.head(),
            at.get(),
        )
    }

    fn head(&self) -> String {
        let trace_id = self.trace_id.as_ref();
        let trace_id = trace_id.map_or(String::new(), |id| format!(",\"trace_id\":\"{id}\""));
        format!("{{\"component\":\"{}\"{trace_id}", self.component)
    }
}

/// The readings of a request: those that are durable now, and those that can't be
/// counted. Of a request that failed as a whole, none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged.
    pub accepted: usize,
    /// Rejected.
    pub rejected: usize,
    /// Why the first of them was rejected, or why the body could not be read.
    pub reason: Option<&'static str>,
}

/// What a line about a request says about its answer.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// When the request had arrived, with its body.
    pub at: UnixMillis,
    /// The route, with placeholders for the names in the path.
    pub route: &'static str,
    /// Whose request it was, if that was asked.
    pub who: Option<&'a str>,
    /// The answer's status.
    pub status: StatusCode,
    /// The readings, on routes that accept readings.
    pub counts: Option<Counts>,
    /// How long it took.
    pub duration_ms: u64,
}

/// The trace id of a `traceparent` (W3C Trace Context, 3.2.2): 32 lower-case
/// hexadecimal digits, not all zero. Later versions may have more after the flags.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.trim().split('-');
    let (version, trace_id, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_hex(trace_id, 32)
        && !is_zero(trace_id)
        && is_hex(parent, 16)
        && !is_zero(parent)
        && is_hex(flags, 2);
    is_valid.then_some(trace_id)
}

fn outcome(status: StatusCode, takes_readings: bool) -> &'static str {
    match status {
        StatusCode::ACCEPTED if takes_readings => "journaled",
        StatusCode::OK if takes_readings => "folded",
        StatusCode::NOT_MODIFIED => "not_modified",
        _ if status.is_server_error() => "failed",
        _ if status.is_client_error() => "refused",
        _ => "answered",
    }
}

/// The method, if HTTP defines it; clients can make up others.
fn method(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    if known.contains(method) { method.as_str() } else { "(other)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_is_taken_from_a_valid_parent_only() {
        let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(trace_id(&valid), Some(TRACE));
        assert_eq!(trace_id(&format!("cc-{TRACE}-00f067aa0ba902b7-01-later")), Some(TRACE));
        for invalid in [
            "",
            "00",
            &valid.to_uppercase(),
            &format!("{valid}-more"),
            &valid.replacen("00-", "ff-", 1),
            &valid.replace(TRACE, "00000000000000000000000000000000"),
            &valid.replace("00f067aa0ba902b7", "0000000000000000"),
            &valid.replace(TRACE, "\",\"evil\":\"0123456789abcdef0123"),
        ] {
            assert_eq!(trace_id(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn an_outcome_says_whose_turn_it_is() {
        for (status, takes_readings, expected) in [
            (StatusCode::ACCEPTED, true, "journaled"),
            (StatusCode::ACCEPTED, false, "answered"),
            (StatusCode::OK, true, "folded"),
            (StatusCode::OK, false, "answered"),
            (StatusCode::NOT_MODIFIED, false, "not_modified"),
            (StatusCode::UNPROCESSABLE_ENTITY, true, "refused"),
            (StatusCode::SERVICE_UNAVAILABLE, false, "failed"),
        ] {
            assert_eq!(outcome(status, takes_readings), expected, "{status}");
        }
    }

    #[test]
    fn lines_are_json_and_name_no_device() {
        let request = Request {
            method: Method::from_bytes(b"BREW").unwrap(),
            ..Request::get("/v1/devices/secret?token=secret")
        }
        .with(Header::Traceparent, format!("00-{TRACE}-00f067aa0ba902b7-01"));
        let log = Log::new("query", &request);
        let answered = AccessLine {
            at: UnixMillis::new(1_700_000_000_000).unwrap(),
            route: "/v1/devices/{device_id}",
            who: Some("gw-1"),
            status: StatusCode::METHOD_NOT_ALLOWED,
            counts: Some(Counts { accepted: 3, rejected: 1, reason: Some("too_old") }),
            duration_ms: 7,
        };
        assert_eq!(
            log.request(&request, answered),
            format!(
                "{{\"component\":\"query\",\"trace_id\":\"{TRACE}\",\"at\":1700000000000,\
                 \"route\":\"(other) /v1/devices/{{device_id}}\",\"who\":\"gw-1\",\"status\":405,\
                 \"outcome\":\"refused\",\"accepted\":3,\"rejected\":1,\"reason\":\"too_old\",\
                 \"duration_ms\":7}}"
            )
        );
        let message = Log::new("ingest", &Request::get("/")).message("a \"quoted\"\nline");
        assert_eq!(message, r#"{"component":"ingest","message":"a \"quoted\"\nline"}"#);
    }
}
