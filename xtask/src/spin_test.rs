//! Runs `tests/spin-test`: the application core in spin-test's simulation of Spin.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{root, step};

const MANIFESTS: [&str; 3] = ["journal.toml", "denied.toml", "nothing.toml"];

/// Builds the component, so that it is known to compile, and runs the suite. Returns why a
/// part was skipped, if it was.
pub(crate) fn run(shell: &Shell) -> Result<Option<&'static str>> {
    step("The application core under spin-test");
    let _directory = shell.push_dir(root().join("tests/spin-test"));
    if !runs(shell, "rustup", &["target", "add", "wasm32-wasip1"]) {
        return Ok(skipped("tests/spin-test (add the target wasm32-wasip1)"));
    }
    cmd!(shell, "cargo build --release --locked --target wasm32-wasip1 --target-dir target")
        .args(["--manifest-path", "door/Cargo.toml"])
        .quiet()
        .run()?;
    if !runs(shell, "spin-test", &["--help"]) {
        return Ok(skipped("the suite of tests/spin-test (put the program spin-test on the PATH)"));
    }
    if !runs(shell, "cargo", &["fetch", "--locked"]) {
        return Ok(skipped("the suite of tests/spin-test (its crate's repository is away)"));
    }
    for manifest in MANIFESTS {
        cmd!(shell, "spin-test run --from {manifest}").quiet().run()?;
    }
    Ok(None)
}

fn skipped(what: &'static str) -> Option<&'static str> {
    println!("skipped: {what}");
    Some(what)
}

fn runs(shell: &Shell, program: &str, arguments: &[&str]) -> bool {
    let asked = cmd!(shell, "{program} {arguments...}").quiet().ignore_stdout();
    asked.ignore_stderr().run().is_ok()
}
