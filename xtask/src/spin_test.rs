//! Runs `tests/spin-test`: the application core in spin-test's simulation of Spin.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{root, step};

const MANIFESTS: [&str; 3] = ["journal.toml", "denied.toml", "nothing.toml"];

/// Runs the suite. Returns why it was skipped, if it was.
pub(crate) fn run(shell: &Shell) -> Result<Option<&'static str>> {
    step("The application core under spin-test");
    let skipped = missing(shell);
    if let Some(what) = skipped {
        println!("skipped: {what}");
        return Ok(skipped);
    }
    let _directory = shell.push_dir(root().join("tests/spin-test"));
    cmd!(shell, "cargo build --release --locked --target wasm32-wasip1 --target-dir target")
        .args(["--package", "door"])
        .quiet()
        .run()?;
    for manifest in MANIFESTS {
        cmd!(shell, "spin-test run --from {manifest}").quiet().run()?;
    }
    Ok(None)
}

fn missing(shell: &Shell) -> Option<&'static str> {
    let runs = |program: &str, arguments: &[&str]| {
        let asked = cmd!(shell, "{program} {arguments...}").quiet().ignore_stdout();
        asked.ignore_stderr().run().is_ok()
    };
    if !runs("spin-test", &["--help"]) {
        return Some("tests/spin-test (put the program spin-test on the PATH)");
    }
    if !runs("rustup", &["target", "add", "wasm32-wasip1"]) {
        return Some("tests/spin-test (add the target wasm32-wasip1)");
    }
    let manifest = root().join("tests/spin-test/Cargo.toml").display().to_string();
    if !runs("cargo", &["fetch", "--locked", "--manifest-path", &manifest]) {
        return Some("tests/spin-test (its crate's repository can't be reached)");
    }
    None
}
