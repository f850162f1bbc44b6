//! What senders send, taken apart into items.
//!
//! Imports `base` and `domain`: a parser gets bytes and gives items.

pub mod json;
pub(crate) mod json_items;
