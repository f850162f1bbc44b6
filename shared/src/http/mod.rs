//! HTTP as the application sees it: requests, responses, problems, documents.
//!
//! Imports `domain`, `error`, `host` and `limits`.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod document;
mod errors;
mod headers;
mod message;
pub mod params;
pub(crate) mod path;
mod problem;

pub use headers::{Header, Headers};
pub use message::{Purpose, Request, Response};
pub use problem::{ItemError, Kind, Problem};
pub(crate) use problem::{Refusal, is_zero};
