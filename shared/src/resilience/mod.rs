//! What to do while a store fails: retry calls, or stop them with a circuit breaker.
//!
//! Imports `domain`, `error`, `host` and `limits`.

pub mod breaker;
pub mod circuit;
pub mod retry;
