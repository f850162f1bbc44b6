//! A request that has a route: what its handler gets and returns.

use crate::access::Grant;
use crate::access::scope::Readable;
use crate::api::denial::lacks;
use crate::domain::reading::UnixMillis;
use crate::domain::zone::Zone;
use crate::host::Host;
use crate::http::accept::Format;
use crate::http::params::{QueryParams, no_such_zone};
use crate::http::{Kind, Problem, Refusal, Request};
use crate::settings;
use crate::wire::object::Object;

/// A request that has a route (`routes`), with its parameters parsed.
pub(crate) struct Call<'a, H> {
    pub(crate) host: &'a H,
    pub(crate) request: &'a Request,
    /// What the client may do.
    pub(crate) grant: &'a Grant,
    /// The node's clock.
    pub(crate) now: UnixMillis,
    /// The body, of at most `limits::SMALL_BODY_BYTES_MAX`; empty unless the route takes
    /// one.
    pub(crate) body: &'a [u8],
    pub(crate) params: QueryParams<'a>,
    /// The format that the request accepts, if the answer is a document.
    pub(crate) format: Format,
}

impl<'a, H> Call<'a, H> {
    /// The regions that the client may read of those that it asks for. One that it names was
    /// checked (`router`); what is found may have another name by now.
    pub(crate) fn readable(&self) -> Readable {
        match self.params.region() {
            Ok(Some(_)) => Readable::All,
            _ => self.grant.scopes.regions(),
        }
    }

    /// What to answer where nothing was found: 403 to a client that may not read
    /// everything, whether it exists or not.
    pub(crate) fn hidden(&self, missing: Refusal) -> Refusal {
        match self.grant.scopes.reads_all() {
            true => missing,
            false => lacks("read:<region>").into(),
        }
    }

    /// The body as an object of these fields.
    pub(crate) fn object(&self, known: &[&str]) -> Result<Object<'a>, Problem> {
        Object::parse(self.body, known).map_err(|detail| Problem::new(Kind::InvalidBody, detail))
    }
}

impl Grant {
    /// Checks that a region may be read, whether it exists or not.
    pub(crate) fn check_region(&self, region: &str) -> Result<(), Problem> {
        match self.scopes.may_read(region) {
            true => Ok(()),
            false => Err(lacks(&format!("read:{region}"))),
        }
    }
}

/// The time zone that a request asks for, or that of the variable `time_zone`.
pub(crate) fn zone_of<H: Host>(host: &H, tz: Option<&str>) -> Result<Zone, Refusal> {
    match tz {
        Some(text) => settings::zone(host, text)?.ok_or_else(|| no_such_zone(text).into()),
        None => Ok(settings::time_zone(host)?),
    }
}
