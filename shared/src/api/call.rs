//! A request that has a route: what its handler gets and returns.

use crate::domain::reading::UnixMillis;
use crate::domain::zone::Zone;
use crate::host::Host;
use crate::http::accept::Format;
use crate::http::params::{QueryParams, no_such_zone};
use crate::http::{Refusal, Request};
use crate::settings;

/// A request that has a route (`routes`), with its parameters parsed.
pub(crate) struct Call<'a, H> {
    pub(crate) host: &'a H,
    pub(crate) request: &'a Request,
    /// The node's clock.
    pub(crate) now: UnixMillis,
    pub(crate) params: QueryParams<'a>,
    /// The format that the request accepts, if the answer is a document.
    pub(crate) format: Format,
}

/// The time zone that a request asks for, or that of the variable `time_zone`.
pub(crate) fn zone_of<H: Host>(host: &H, tz: Option<&str>) -> Result<Zone, Refusal> {
    match tz {
        Some(text) => settings::zone(host, text)?.ok_or_else(|| no_such_zone(text).into()),
        None => Ok(settings::time_zone(host)?),
    }
}
