//! What Isotherm relies on in a host, as checks that every host runs: natively as a
//! library, in a runtime as a component that answers with the outcomes.
//!
//! The checks need stores of their own that are empty at the start, and the variable
//! `defined` with the value `a value`. `echo` is empty, or the URL of a server that
//! answers with the body that it was sent.

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

/// All checks, in the order to run them.
pub fn checks<H: Host>() -> Vec<Check<H>> {
    let mut checks = sql::checks();
    checks.extend(key_value::checks());
    checks.extend(runtime::checks());
    checks.extend(application::checks());
    checks
}

/// Runs all checks. Returns each name, with what was wrong if anything was.
pub fn run<H: Host>(host: &H) -> Vec<(&'static str, Outcome)> {
    checks().into_iter().map(|Check { name, run }| (name, run(host))).collect()
}
