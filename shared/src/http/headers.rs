//! The request headers that the application reads.

/// A header that is read. To add one: a variant, its place in `ALL`, and its name in
/// `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// RFC 9110, 12.5.1.
    Accept,
    /// RFC 9110, 8.4.
    ContentEncoding,
    /// In bytes (RFC 9110, 8.6).
    ContentLength,
    /// RFC 9110, 8.3.
    ContentType,
    /// Whether the client waits for 100 (Continue) before it sends a body (RFC 9110,
    /// 10.1.1).
    Expect,
    /// RFC 9110, 13.1.2.
    IfNoneMatch,
    /// RFC 7240.
    Prefer,
    /// Where the connection comes from, with its port. Set by the runtime, behind what a
    /// client may have sent.
    SpinClientAddr,
    /// W3C Trace Context.
    Traceparent,
}

impl Header {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Accept,
        Self::ContentEncoding,
        Self::ContentLength,
        Self::ContentType,
        Self::Expect,
        Self::IfNoneMatch,
        Self::Prefer,
        Self::SpinClientAddr,
        Self::Traceparent,
    ];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::ContentEncoding => "content-encoding",
            Self::ContentLength => "content-length",
            Self::ContentType => "content-type",
            Self::Expect => "expect",
            Self::IfNoneMatch => "if-none-match",
            Self::Prefer => "prefer",
            Self::SpinClientAddr => "spin-client-addr",
            Self::Traceparent => "traceparent",
        }
    }
}

const _: () = assert!(Header::ALL.len() == Header::Traceparent as usize + 1);

/// The headers of a request, as far as they are read.
#[derive(Clone, Debug, Default)]
pub struct Headers([Option<String>; Header::ALL.len()]);

impl Headers {
    /// From the lines of each header: several lines mean the same as one line joined by
    /// commas (RFC 9110, 5.3).
    pub fn from_lines(lines: impl Fn(&'static str) -> Vec<String>) -> Self {
        Self(Header::ALL.map(|header| {
            let lines = lines(header.name());
            (!lines.is_empty()).then(|| lines.join(","))
        }))
    }

    /// The value of a header, if the request has it.
    pub fn get(&self, header: Header) -> Option<&str> {
        self.0.get(header as usize)?.as_deref()
    }

    /// Sets the value of a header.
    pub fn set(&mut self, header: Header, value: impl Into<String>) {
        if let Some(place) = self.0.get_mut(header as usize) {
            *place = Some(value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_has_a_place_of_its_own_and_lines_are_joined() {
        let headers = Headers::from_lines(|name| match name {
            "accept" => vec!["text/csv".to_owned(), "*/*".to_owned()],
            "expect" => Vec::new(),
            name => vec![name.to_owned()],
        });
        for header in Header::ALL {
            let expected = match header {
                Header::Accept => Some("text/csv,*/*"),
                Header::Expect => None,
                other => Some(other.name()),
            };
            assert_eq!(headers.get(header), expected);
        }
    }
}
