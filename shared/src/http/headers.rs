//! The request headers that the application reads.

use std::fmt;

/// A header that is read. To add one: a variant, its place in `ALL`, and its name in
/// `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// RFC 9110, 12.5.1.
    Accept,
    /// For which method a browser asks (Fetch Standard, 3.3.2).
    AccessControlRequestMethod,
    /// RFC 9110, 11.6.2. Taken out of the head by `access::credential` alone.
    Authorization,
    /// RFC 9110, 8.4.
    ContentEncoding,
    /// In bytes (RFC 9110, 8.6).
    ContentLength,
    /// RFC 9110, 8.3.
    ContentType,
    /// RFC 6265, 4.2. Taken out of the head by `access::credential` alone.
    Cookie,
    /// Whether the client waits for 100 (Continue) before it sends a body (RFC 9110,
    /// 10.1.1).
    Expect,
    /// RFC 9110, 13.1.2.
    IfNoneMatch,
    /// Which page a browser's request comes from (RFC 6454, 7).
    Origin,
    /// RFC 7240.
    Prefer,
    /// Where the connection comes from, with its port. Set by the runtime, behind what a
    /// client may have sent.
    SpinClientAddr,
    /// W3C Trace Context.
    Traceparent,
    /// The topic that a bridge took a message from. For mappings of sources.
    XMqttTopic,
    /// Which sensor of a station of Sensor.Community it is. For mappings of sources.
    XSensor,
}

impl Header {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 15] = [
        Self::Accept,
        Self::AccessControlRequestMethod,
        Self::Authorization,
        Self::ContentEncoding,
        Self::ContentLength,
        Self::ContentType,
        Self::Cookie,
        Self::Expect,
        Self::IfNoneMatch,
        Self::Origin,
        Self::Prefer,
        Self::SpinClientAddr,
        Self::Traceparent,
        Self::XMqttTopic,
        Self::XSensor,
    ];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::AccessControlRequestMethod => "access-control-request-method",
            Self::Authorization => "authorization",
            Self::ContentEncoding => "content-encoding",
            Self::ContentLength => "content-length",
            Self::ContentType => "content-type",
            Self::Cookie => "cookie",
            Self::Expect => "expect",
            Self::IfNoneMatch => "if-none-match",
            Self::Origin => "origin",
            Self::Prefer => "prefer",
            Self::SpinClientAddr => "spin-client-addr",
            Self::Traceparent => "traceparent",
            Self::XMqttTopic => "x-mqtt-topic",
            Self::XSensor => "x-sensor",
        }
    }
}

const _: () = assert!(Header::ALL.len() == Header::XSensor as usize + 1);

/// The headers of a request, as far as they are read.
#[derive(Clone, Default)]
pub struct Headers([Option<String>; Header::ALL.len()]);

/// Without their values, as some are secret.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = Header::ALL.into_iter().filter(|header| self.get(*header).is_some());
        f.debug_list().entries(given.map(Header::name)).finish()
    }
}

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
