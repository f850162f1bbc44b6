//! Parsers of request bodies: bytes in, items or an object out.
//!
//! Imports `domain` and `limits`.

pub(crate) mod item;
pub(crate) mod json;
pub(crate) mod json_items;
mod json_place;
pub(crate) mod object;
