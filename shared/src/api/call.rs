//! A request that has a route: what its handler gets and returns.

use crate::domain::reading::UnixMillis;
use crate::http::Request;
use crate::http::accept::Format;
use crate::http::params::QueryParams;

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
