//! HTTP as the application sees it: requests, responses, problems, documents.
//!
//! Imports `domain`.

mod headers;
pub(crate) mod message;
pub(crate) mod parameters;
pub(crate) mod representation;

pub use headers::{Header, Headers};
pub use message::*;
