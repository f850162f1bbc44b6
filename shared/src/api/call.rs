//! A request that has a route: what its handler gets and returns.

use crate::domain::reading::UnixMillis;
use crate::http::accept::Format;
use crate::http::params::QueryParams;
use crate::http::{Kind, Problem, Request};
use crate::wire::object::Object;

/// A request that has a route (`routes`), with its parameters parsed.
pub(crate) struct Call<'a, H> {
    pub(crate) host: &'a H,
    pub(crate) request: &'a Request,
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
    /// The body as an object of these fields.
    pub(crate) fn object(&self, known: &[&str]) -> Result<Object<'a>, Problem> {
        Object::parse(self.body, known).map_err(|detail| Problem::new(Kind::InvalidBody, detail))
    }
}
