//! Programs of others that tests run. `cargo xtask test` says in variables where they are;
//! where they can't be had, it skips these tests by name.

use std::process::Output;

/// What `cargo xtask test` says in a variable.
///
/// # Panics
///
/// If it does not.
pub fn variable(name: &str) -> String {
    let value = std::env::var(name).unwrap_or_default();
    assert!(!value.is_empty(), "no {name}: run the tests with cargo xtask test");
    value
}

/// Checks that a program succeeded.
///
/// # Panics
///
/// If it did not: with all that it printed.
pub fn check(output: &Output) {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).join("\n");
    assert!(output.status.success(), "{text}");
}
