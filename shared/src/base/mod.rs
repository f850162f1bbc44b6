//! What has nothing to do with temperatures: integers in few bytes, and sorting.
//!
//! Imports nothing.

pub(crate) mod order;
pub(crate) mod varint;
