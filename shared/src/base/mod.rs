//! General building blocks: compact integers, sorting, checksums, distinct names.
//!
//! Imports nothing.

pub(crate) mod checksum;
pub(crate) mod digest;
pub(crate) mod distinct;
pub(crate) mod input;
pub(crate) mod page;
pub(crate) mod sort;
pub(crate) mod varint;
