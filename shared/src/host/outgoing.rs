//! An outgoing HTTP request: the arguments and results of `Host::send`.

use std::fmt;

/// A request to another server.
#[derive(Clone, Debug)]
pub struct HttpCall<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// `http://host:port/path?query`, or with `https`.
    pub url: &'a str,
    /// Names in lower case, with values.
    pub headers: &'a [(&'a str, &'a str)],
    /// Empty for none.
    pub body: &'a [u8],
    /// How long each part may take.
    pub limits: SendLimits,
    /// The most bytes of the answer's body; a longer one is an error.
    pub answer_bytes_max: usize,
}

/// Time limits, in milliseconds. The first two and the last bound the whole call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLimits {
    /// Until the connection is established.
    pub connect_ms: u64,
    /// From then until the head of the answer.
    pub first_byte_ms: u64,
    /// Between two pieces of the body of the answer.
    pub between_bytes_ms: u64,
    /// From the head of the answer to the end of its body.
    pub rest_ms: u64,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, with values, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// The kind of failure.
    pub kind: SendErrorKind,
    /// The runtime's message, for the log.
    pub message: String,
}

/// The kinds of failure that are handled differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// This host sends no requests.
    Unsupported,
    /// The runtime does not allow this component to call this server.
    Denied,
    /// One of the three limits was reached. Whether the request arrived is unknown.
    TimedOut,
    /// The body of the answer has too many bytes.
    TooLarge,
    /// Anything else. Whether the request arrived is unknown.
    Other,
}

impl SendError {
    /// An error of this kind, with this message.
    pub fn new(kind: SendErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
