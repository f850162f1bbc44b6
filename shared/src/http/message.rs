//! Requests and responses, as plain values.

use http::{Method, StatusCode};
use serde::Serialize;

use crate::http::{Header, Headers};

/// The head of a request, as far as the application reads it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-encoded, without the query.
    pub path: String,
    /// The query without its question mark, percent-encoded.
    pub query: Option<String>,
    /// The headers that are read.
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

    /// A POST to `target`, also without headers.
    pub fn post(target: &str) -> Self {
        Self { method: Method::POST, ..Self::get(target) }
    }

    /// A request with another method than GET, and no header.
    pub fn with_method(method: Method, target: &str) -> Self {
        Self { method, ..Self::get(target) }
    }

    /// Sets a header.
    #[must_use]
    pub fn with(mut self, header: Header, value: impl Into<String>) -> Self {
        self.headers.set(header, value);
        self
    }

    /// The address that the connection came from, without its port, if the runtime tells:
    /// the last member of the header, as a client can only send earlier ones. Behind a
    /// proxy it is the proxy's. (`x-forwarded-for` says what a client wants.)
    pub(crate) fn client_address(&self) -> Option<&str> {
        let members = self.headers.get(Header::SpinClientAddr)?;
        let last = members.rsplit(',').next()?.trim();
        let host = match last.rsplit_once(':') {
            Some((host, _port)) if host.contains('.') || host.ends_with(']') => host,
            _ => last,
        };
        Some(host.trim_matches(['[', ']'])).filter(|host| !host.is_empty())
    }

    /// What a request with this method is for.
    pub fn purpose(&self) -> Purpose {
        match self.method {
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE => Purpose::Reading,
            _ => Purpose::Writing,
        }
    }
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, without `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON response that must not be cached.
    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        Self::of_type("application/json", status, value)
    }

    pub(crate) fn of_type(content_type: &str, status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::bytes(content_type, status, body),
            // Only a map whose keys are not strings can't be written, and there is
            // none. An answer without a body is still an answer.
            Err(_) => Self::bytes(content_type, StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
        }
    }

    /// A response of any type that must not be cached.
    pub(crate) fn bytes(content_type: &str, status: StatusCode, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        Self { status, headers, body }
    }

    /// A response without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        let headers = vec![("cache-control", "no-store".to_owned())];
        Self { status, headers, body: Vec::new() }
    }

    /// A response that may be cached, and must be revalidated before it is used again.
    pub(crate) fn revalidated(content_type: &str, tag: &str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("cache-control", REVALIDATED.to_owned()),
            ("etag", tag.to_owned()),
        ];
        Self { status: StatusCode::OK, headers, body }
    }

    /// The answer to a client that has the representation with the entity tag `tag`.
    pub(crate) fn not_modified(tag: &str) -> Self {
        let headers = vec![("cache-control", REVALIDATED.to_owned()), ("etag", tag.to_owned())];
        Self { status: StatusCode::NOT_MODIFIED, headers, body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

const REVALIDATED: &str = "no-cache";

/// What a client wanted. It decides what an error means to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read data.
    Reading,
    /// To store data.
    Writing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_the_runtime_added_without_its_port() {
        for (header, expected) in [
            ("127.0.0.1:53152", Some("127.0.0.1")),
            ("[2001:db8::7]:443", Some("2001:db8::7")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("10.0.0.7", Some("10.0.0.7")),
            ("6.6.6.6:6,127.0.0.1:53152", Some("127.0.0.1")),
            ("", None),
        ] {
            let request = Request::get("/").with(Header::SpinClientAddr, header);
            assert_eq!(request.client_address(), expected, "{header}");
        }
        assert_eq!(Request::get("/").client_address(), None);
    }
}
