//! What Isotherm relies on in a host, as checks that every host runs: natively as a
//! library, in a runtime as the component that answers with their outcomes.
//!
//! The checks want stores of their own, which are empty when they begin, and the variable
//! `defined` with the value `a value`; `echo` is empty, or the URL of a server that answers
//! with what it was sent.

#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]
#![expect(clippy::indexing_slicing, reason = "what is not there is null, and another value")]

mod application;
mod check;
#[cfg(target_family = "wasm")]
mod component;
mod key_value;
mod runtime;
mod sql;

pub use check::{Check, Outcome};

use isotherm::host::Host;

/// All checks, in the order in which they are to be run.
pub fn checks<H: Host>() -> Vec<Check<H>> {
    let mut checks = sql::checks();
    checks.extend(key_value::checks());
    checks.extend(runtime::checks());
    checks.extend(application::checks());
    checks
}

/// Runs all checks. Each has its name, and what was wrong, if anything was.
pub fn run<H: Host>(host: &H) -> Vec<(&'static str, Outcome)> {
    checks().into_iter().map(|Check { name, run }| (name, run(host))).collect()
}
