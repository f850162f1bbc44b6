//! What devices send, read by a small declarative mapping: a body in, readings out.
//!
//! A mapping is data. It has pointers, globs and tables, and neither expressions nor loops, so
//! the same bytes give the same readings for ever, in a number of steps that is linear in the
//! size of the message.
//!
//! Imports `base`, `domain`, `wire` and `limits`. Knows no host, no HTTP and no store.

pub(crate) mod csv;
pub(crate) mod devices;
pub(crate) mod fields;
pub(crate) mod form;
#[cfg(test)]
mod fuzzed;
pub(crate) mod glob;
pub(crate) mod json;
pub(crate) mod line;
pub(crate) mod mapping;
pub(crate) mod measure;
pub(crate) mod number;
pub(crate) mod pointer;
pub(crate) mod presets;
pub(crate) mod read;
pub(crate) mod reply;
pub(crate) mod scope;
pub(crate) mod senml;
pub(crate) mod steps;
pub(crate) mod subject;
pub(crate) mod taken;
pub(crate) mod time;
pub(crate) mod tree;
#[cfg(test)]
pub(crate) mod tried;
