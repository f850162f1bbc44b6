//! Answers that are no success (RFC 9457).

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::error::Error;
use crate::host::Host;
use crate::http::{Purpose, Request, Response};

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

    /// What is said to the caller.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    #[cfg(test)]
    pub(crate) fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
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

impl Request {
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
