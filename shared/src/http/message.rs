//! HTTP as the application sees it: requests, responses, and the one table
//! from errors to problems (RFC 9457).

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::error::Error;
use crate::host::{Host, StoreErrorKind};
use crate::http::{Header, Headers};
use crate::limits;

/// The head of a request, as far as the application looks at it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-encoded, without the query.
    pub path: String,
    /// The query without its question mark, percent-encoded.
    pub query: Option<String>,
    /// The headers that are looked at.
    pub headers: Headers,
}

impl Request {
    /// A GET of `target`, a path with or without a query, and no header.
    pub fn get(target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self { method: Method::GET, path: path.to_owned(), query, headers: Headers::default() }
    }

    /// A POST to `target`, likewise.
    pub fn post(target: &str) -> Self {
        Self { method: Method::POST, ..Self::get(target) }
    }

    /// The same with this header.
    #[must_use]
    pub fn with(mut self, header: Header, value: impl Into<String>) -> Self {
        self.headers.set(header, value);
        self
    }

    /// What a request with this method is for.
    pub fn purpose(&self) -> Purpose {
        match self.method {
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE => Purpose::Reading,
            _ => Purpose::Writing,
        }
    }

    /// Whether the method is one of `allowed`; the problem to answer if not.
    pub(crate) fn allow(&self, allowed: &'static [Method]) -> Result<(), Problem> {
        if allowed.contains(&self.method) {
            return Ok(());
        }
        let list = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let detail = format!("this resource answers to {list}");
        Err(Problem::new(Kind::MethodNotAllowed, detail).with_header("allow", list))
    }
}

/// A response, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, `content-length` excepted.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON response that no cache keeps.
    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        Self::of_type("application/json", status, value)
    }

    fn of_type(content_type: &str, status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::bytes(content_type, status, body),
            // Only a map with keys that are no strings can't be written, and
            // there is none; an answer without a body is still an answer.
            Err(_) => Self::bytes(content_type, StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
        }
    }

    /// A response of any type that no cache keeps.
    pub(crate) fn bytes(content_type: &str, status: StatusCode, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        Self { status, headers, body }
    }

    /// A response that may be kept, and is asked about before it is used again.
    pub(crate) fn revalidated(content_type: &str, tag: &str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("cache-control", REVALIDATED.to_owned()),
            ("etag", tag.to_owned()),
        ];
        Self { status: StatusCode::OK, headers, body }
    }

    /// The answer to who has the representation with the entity tag `tag`.
    pub(crate) fn not_modified(tag: &str) -> Self {
        let headers = vec![("cache-control", REVALIDATED.to_owned()), ("etag", tag.to_owned())];
        Self { status: StatusCode::NOT_MODIFIED, headers, body: Vec::new() }
    }

    /// The same with one more header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

const REVALIDATED: &str = "no-cache";

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let (status, code, title) = problem.kind.row();
        let body = ProblemBody {
            r#type: format!("urn:isotherm:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: &problem.detail,
            errors: &problem.errors,
            errors_omitted: problem.errors_omitted,
        };
        let mut response = Self::of_type("application/problem+json", status, &body);
        response.headers.extend(problem.headers);
        response
    }
}

/// An answer that is no success: `application/problem+json`.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    headers: Vec<(&'static str, String)>,
    errors: Vec<ItemError>,
    errors_omitted: usize,
}

/// What is wrong with one item of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemError {
    /// The item's position in the request, from 0.
    pub index: usize,
    /// A `Reason` code.
    pub reason: &'static str,
    /// The reason in a sentence.
    pub detail: Cow<'static, str>,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ItemError],
    #[serde(skip_serializing_if = "is_zero")]
    errors_omitted: usize,
}

pub(crate) fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The kinds of problem. Each has one status and one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unreadable,
    BadParameter,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    TooLarge,
    UnsupportedMediaType,
    NothingValid,
    TooMuchAsked,
    BodyTimeout,
    TooManyStreams,
    StoreUnavailable,
    ClockNotSet,
    Misconfigured,
}

impl Kind {
    /// Status, code and title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unreadable => (StatusCode::BAD_REQUEST, "unreadable", "The body can't be read"),
            Self::BadParameter => {
                (StatusCode::BAD_REQUEST, "bad-parameter", "A parameter can't be used")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such resource"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method")
            }
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "There is no representation of a type that is accepted",
            ),
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large")
            }
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body is of a type that is not understood",
            ),
            Self::NothingValid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing-valid",
                "No reading of the request was accepted",
            ),
            Self::TooMuchAsked => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "too-much-asked",
                "The answer would be too large",
            ),
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body did not arrive in time")
            }
            Self::TooManyStreams => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-streams",
                "There are too many event streams",
            ),
            Self::ClockNotSet => (
                StatusCode::SERVICE_UNAVAILABLE,
                "clock-not-set",
                "The clock of this node is not set",
            ),
            Self::StoreUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store-unavailable",
                "A store of this node does not work",
            ),
            Self::Misconfigured => (
                StatusCode::SERVICE_UNAVAILABLE,
                "misconfigured",
                "This node is not configured right",
            ),
        }
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { kind, detail, headers: Vec::new(), errors: Vec::new(), errors_omitted: 0 }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn with_errors(mut self, errors: Vec<ItemError>, omitted: usize) -> Self {
        self.errors = errors;
        self.errors_omitted = omitted;
        self
    }

    /// The body is larger than the node takes.
    pub fn body_too_large(limit_bytes: usize) -> Self {
        let detail = format!("the body has more than {limit_bytes} bytes; send smaller batches");
        Self::new(Kind::TooLarge, detail)
    }

    /// The body did not come in the time that it may take.
    pub fn body_too_slow() -> Self {
        let detail = "the body did not arrive in time; nothing was kept, send it again";
        Self::new(Kind::BodyTimeout, detail)
    }

    /// The body ended before it was complete.
    pub fn body_cut_off() -> Self {
        Self::new(Kind::Unreadable, "the body was cut off; nothing was kept, send it again")
    }
}

/// No success: because of the request, or because of the node.
#[derive(Debug)]
pub(crate) enum Refusal {
    Request(Box<Problem>),
    Node(Error),
}

impl Refusal {
    /// The answer. What is wrong with the node goes to its log.
    pub(crate) fn into_response(self, host: &impl Host, purpose: Purpose) -> Response {
        match self {
            Self::Request(problem) => (*problem).into(),
            Self::Node(error) => {
                if error.is_the_nodes() {
                    host.log(&error.to_string());
                }
                Problem::of(&error, purpose).into()
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Request(Box::new(problem))
    }
}

/// What a caller wanted, which decides what an error means to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be told something.
    Reading,
    /// To have something kept.
    Writing,
}

/// The table: what a caller is told of an error. The cause is for the log.
impl Problem {
    /// The problem for a caller that wanted this.
    pub fn of(error: &Error, purpose: Purpose) -> Self {
        let after = |after_s: i64, detail: String| {
            Self::new(Kind::StoreUnavailable, detail)
                .with_header("retry-after", after_s.to_string())
        };
        let later = |reading: &str, writing: &str| {
            let detail = match purpose {
                Purpose::Reading => format!("{reading}; try again"),
                Purpose::Writing => format!("{writing}; nothing was kept, send it again"),
            };
            after(limits::RETRY_AFTER_S, detail)
        };
        let both = |detail| later(detail, detail);
        match error {
            Error::Journal(_) => both("the journal can't be used"),
            Error::JournalFull => both("the journal is full until the regions database is back"),
            Error::TooSlow => both("not done in time"),
            Error::Regions(cause) if cause.kind == StoreErrorKind::TooLarge => {
                Self::of(&Error::TooMuch { narrow: "ask for less at once" }, purpose)
            }
            Error::DamagedRows(_) => both(
                "a row of the regions database is damaged, which this needs; the operator must \
                 look at the log",
            ),
            error if error.is_damage() => {
                both("the regions database is damaged; the operator must look at the log")
            }
            Error::Regions(_) | Error::Unresponsive { .. } | Error::Corrupt(_) => {
                both("the regions database can't be used")
            }
            Error::Spared { retry_after_ms } => {
                let retry_after_s = retry_after_ms.saturating_add(999) / 1_000;
                let problem = both("the regions database can't be used at the moment");
                after(retry_after_s, problem.detail.into_owned())
            }
            Error::NotCountedYet => later(
                "not found so far, but acknowledged readings wait to be counted",
                "acknowledged readings wait to be counted",
            ),
            Error::SchemaTooNew { .. } => {
                both("the regions database belongs to a newer release; the operator must deploy it")
            }
            Error::Assets(_) => both("the file can't be read"),
            Error::Variables(_) => both("the configuration can't be read"),
            Error::TooMuch { narrow } => Self::new(Kind::TooMuchAsked, *narrow),
            Error::ClockNotSet => Self::new(
                Kind::ClockNotSet,
                "readings are ahead of this node's clock, which is behind those that it has \
                 counted; nothing was kept, send it again; the operator must set the clock",
            )
            .with_header("retry-after", limits::CLOCK_RETRY_AFTER_S.to_string()),
            Error::Misconfigured { variable, .. } => Self::new(
                Kind::Misconfigured,
                format!("the operator must correct the variable {variable}; see the log"),
            )
            .with_header("retry-after", limits::CLOCK_RETRY_AFTER_S.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DamagedRow;
    use crate::host::StoreError;

    #[test]
    fn a_reader_is_never_told_that_nothing_was_kept_and_a_writer_always_is() {
        let store = |message: &str| StoreError::from_message(message);
        let row = DamagedRow { table: "ledger", key: vec![("minute", 7)] };
        for error in [
            Error::Journal(store("x")),
            Error::Regions(store("x")),
            Error::Regions(store("file is not a database")),
            Error::Unresponsive { elapsed_ms: 5 },
            Error::SchemaTooNew { found: 9, known: 5 },
            Error::Corrupt("x"),
            Error::DamagedRows(vec![row]),
            Error::NotCountedYet,
            Error::Spared { retry_after_ms: 1 },
            Error::TooSlow,
            Error::JournalFull,
            Error::Assets(store("x")),
            Error::Variables(store("x")),
        ] {
            let said = |purpose| Problem::of(&error, purpose).detail.into_owned();
            let (reading, writing) = (said(Purpose::Reading), said(Purpose::Writing));
            assert!(!reading.contains("kept") && reading.contains("try again"), "{reading}");
            assert!(writing.contains("nothing was kept, send it again"), "{writing}");
            let headers = Problem::of(&error, Purpose::Reading).headers;
            assert!(headers.iter().any(|(name, _)| *name == "retry-after"), "{error:?}");
        }
        let narrow = Problem::of(&Error::TooMuch { narrow: "narrow it" }, Purpose::Reading);
        assert_eq!((narrow.kind, &*narrow.detail), (Kind::TooMuchAsked, "narrow it"));
        let too_large = Error::Regions(store("query result exceeds limit of 5 bytes"));
        assert_eq!(Problem::of(&too_large, Purpose::Reading).kind, Kind::TooMuchAsked);
        assert!(!too_large.is_outage(), "the store is well");
    }
}
