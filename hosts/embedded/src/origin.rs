//! Servers that a component may call, as `allowed_outbound_hosts` names them.

use anyhow::{Context, Result, bail};

/// A server that a component may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    /// As a URL has it, with brackets around an address of IPv6.
    host: String,
    port: u16,
}

impl Origin {
    /// Reads an origin like `https://hub.example` or `http://10.0.0.2:3000`. Spin's patterns
    /// are not followed.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let uri: http::Uri = text.parse().with_context(|| format!("{text:?} is no origin"))?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            bail!("{text:?} is no origin: it has a path");
        }
        Self::of(&uri).with_context(|| format!("{text:?} is no origin"))
    }

    fn of(uri: &http::Uri) -> Option<Self> {
        let (scheme, host) = (uri.scheme_str()?, uri.host()?);
        let port = uri.port_u16().or(match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        })?;
        Some(Self { scheme: scheme.to_owned(), host: host.to_ascii_lowercase(), port })
    }

    /// Whether a request to this URL is one to it.
    pub(crate) fn has(&self, uri: &http::Uri) -> bool {
        Self::of(uri).is_some_and(|other| other == *self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path() {
        for text in ["https://hub.example", "http://10.0.0.2:3000", "https://[::1]:8443/"] {
            assert!(Origin::parse(text).is_ok(), "{text}");
        }
        for text in ["https://hub.example/a", "https://hub.example?a", "hub.example", "ftp://a"] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
