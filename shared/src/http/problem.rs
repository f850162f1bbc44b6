//! Error responses: problem details (RFC 9457).

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::error::Error;
use crate::host::Host;
use crate::http::{Purpose, Request, Response};

/// The type of an error response.
const MEDIA_TYPE: &str = "application/problem+json";

/// An error response, of the type `application/problem+json`.
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

/// The kinds of problem. Each has one status, one code and one title, which are part of the
/// interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body can't be read.
    Unreadable,
    /// The body is not what the resource takes.
    InvalidBody,
    /// A query parameter is unknown, or has a value that can't be used.
    BadParameter,
    /// The request has no credential that is valid here.
    Unauthenticated,
    /// The credential does not allow it.
    Forbidden,
    /// No such resource, or nothing of this name.
    NotFound,
    /// The resource does not answer to the method.
    MethodNotAllowed,
    /// The resource has no representation of an accepted type.
    NotAcceptable,
    /// It contradicts what is there.
    Contradicting,
    /// The body has more bytes, or more readings, than are taken.
    TooLarge,
    /// The body is of another type, or encoded.
    UnsupportedMediaType,
    /// No reading of the request was accepted.
    NothingValid,
    /// What is to be corrected can't be.
    NotCorrectable,
    /// The answer would take too much to compute.
    TooMuchAsked,
    /// The body did not arrive in time.
    BodyTimeout,
    /// More requests came by an ingest key than may in a minute.
    TooOften,
    /// As many event streams are open as there may be.
    TooManyStreams,
    /// A store failed, or has no room.
    StoreUnavailable,
    /// The node's clock is behind.
    ClockNotSet,
    /// A variable can't be used.
    Misconfigured,
}

const _: () = assert!(Kind::ALL.len() == Kind::Misconfigured as usize + 1);

impl Kind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Unreadable,
        Self::InvalidBody,
        Self::BadParameter,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::Contradicting,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::NothingValid,
        Self::NotCorrectable,
        Self::TooMuchAsked,
        Self::BodyTimeout,
        Self::TooOften,
        Self::TooManyStreams,
        Self::StoreUnavailable,
        Self::ClockNotSet,
        Self::Misconfigured,
    ];

    /// The status of an answer of this kind.
    pub fn status(self) -> u16 {
        self.row().0.as_u16()
    }

    /// The code that stands for the kind in an answer.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// Status, code and title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unreadable => (StatusCode::BAD_REQUEST, "unreadable", "Unreadable request body"),
            Self::InvalidBody => (StatusCode::BAD_REQUEST, "invalid-body", "Invalid request body"),
            Self::BadParameter => (StatusCode::BAD_REQUEST, "bad-parameter", "Invalid parameter"),
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "Authentication required")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::Contradicting => (StatusCode::CONFLICT, "contradicting", "In contradiction"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "not-acceptable", "Not acceptable"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Request too large"),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
            ),
            Self::NothingValid => {
                (StatusCode::UNPROCESSABLE_ENTITY, "nothing-valid", "No valid reading")
            }
            Self::NotCorrectable => {
                (StatusCode::UNPROCESSABLE_ENTITY, "not-correctable", "Can't be corrected")
            }
            Self::TooMuchAsked => {
                (StatusCode::UNPROCESSABLE_ENTITY, "too-much-asked", "Answer too large")
            }
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "body-timeout", "Request body timed out")
            }
            Self::TooOften => (StatusCode::TOO_MANY_REQUESTS, "too-often", "Too many requests"),
            Self::TooManyStreams => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-streams", "Too many event streams")
            }
            Self::ClockNotSet => {
                (StatusCode::SERVICE_UNAVAILABLE, "clock-not-set", "Node clock not set")
            }
            Self::StoreUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "Storage unavailable")
            }
            Self::Misconfigured => {
                (StatusCode::SERVICE_UNAVAILABLE, "misconfigured", "Invalid configuration")
            }
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

    /// Whether a response is a problem.
    pub(crate) fn is_one(response: &Response) -> bool {
        response.headers.iter().any(|(name, value)| *name == "content-type" && value == MEDIA_TYPE)
    }

    /// The sentence for the client in a response that is a problem.
    pub(crate) fn detail_of(response: &Response) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Said {
            detail: String,
        }
        serde_json::from_slice::<Said>(&response.body).ok().map(|said| said.detail)
    }

    /// The sentence for the client.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    #[cfg(test)]
    pub(crate) fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The body is larger than the node accepts.
    pub fn body_too_large(limit_bytes: usize) -> Self {
        let detail = format!("the body has more than {limit_bytes} bytes; send smaller batches");
        Self::new(Kind::TooLarge, detail)
    }

    /// The body did not arrive within its time limit.
    pub fn body_too_slow() -> Self {
        let detail = "the body did not arrive in time; nothing was stored, send it again";
        Self::new(Kind::BodyTimeout, detail)
    }

    /// The body ended before it was complete.
    pub fn body_cut_off() -> Self {
        Self::new(Kind::Unreadable, "the body was cut off; nothing was stored, send it again")
    }
}

/// Why there is no success: because of the request, or because of the node.
#[derive(Debug)]
pub(crate) enum Refusal {
    Request(Box<Problem>),
    Node(Error),
}

impl Refusal {
    /// The response. A fault of the node goes to its log.
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
        let mut response = Self::of_type(MEDIA_TYPE, status, &body);
        response.headers.extend(problem.headers);
        response
    }
}

impl Request {
    /// Checks that the method is one of `allowed`; if not, returns the problem to
    /// answer.
    pub(crate) fn allow(&self, allowed: &[Method]) -> Result<(), Problem> {
        if allowed.contains(&self.method) {
            return Ok(());
        }
        let list = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let detail = format!("method not allowed; supported: {list}");
        Err(Problem::new(Kind::MethodNotAllowed, detail).with_header("allow", list))
    }
}
