//! Parsers of request bodies: bytes in, items out.
//!
//! Imports `domain` and `limits`.

pub mod json;
pub(crate) mod json_items;
