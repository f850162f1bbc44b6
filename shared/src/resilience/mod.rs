//! What to do while a store fails: retry what may be repeated, spare what is away.
//!
//! Imports `domain`.

pub mod breaker;
pub mod circuit;
pub mod retry;
