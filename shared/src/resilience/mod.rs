//! What to do while a store fails: retry calls, or stop them with a circuit breaker.
//!
//! Imports `domain`, `error`, `host` and `limits`.

pub(crate) mod breaker;
pub(crate) mod circuit;
pub(crate) mod retry;
