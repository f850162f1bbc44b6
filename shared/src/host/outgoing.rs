//! HTTP as a client: what `Host::send` takes and gives.

use std::fmt;

/// A request to another server.
#[derive(Clone, Debug)]
pub struct HttpCall<'a> {
    /// The method, `GET` for one.
    pub method: &'a str,
    /// `http://host:port/path?query`, or with `https`.
    pub url: &'a str,
    /// Names in lower case, and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// Empty for none.
    pub body: &'a [u8],
    /// How long each part may take.
    pub limits: SendLimits,
    /// The most bytes of an answer's body; a longer one is an error.
    pub answer_bytes_max: usize,
}

/// Three limits on time, in milliseconds: none of them alone ends every wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLimits {
    /// Until the connection stands.
    pub connect_ms: u64,
    /// From then until the answer's head has come.
    pub first_byte_ms: u64,
    /// Between two pieces of the answer's body.
    pub between_bytes_ms: u64,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values, in the order they came in.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// What kind of failure.
    pub kind: SendErrorKind,
    /// The runtime's own words, for the log.
    pub message: String,
}

/// The failures that are met differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// This host sends no requests.
    Unsupported,
    /// The runtime does not allow this component to call this server.
    Denied,
    /// One of the three limits was reached. Whether the request arrived is not known.
    TimedOut,
    /// The answer's body has more bytes than it may.
    TooLarge,
    /// Anything else; whether the request arrived is not known.
    Other,
}

impl SendError {
    /// An error of this kind, in these words.
    pub fn new(kind: SendErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
