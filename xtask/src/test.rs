//! `cargo xtask test`: runs everything that CI runs.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use crate::tools::Tools;
use crate::{Runtime, build, build_conformance, instructions, root, size, spin_test, step, target};

/// Stops at the first step that fails.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let runtime = parse(arguments)?;
    target::ensure(shell)?;

    step("Formatting");
    cmd!(shell, "cargo fmt --all --check").quiet().run()?;

    // It depends on the core, and has a lock file of its own.
    step("The lock file of the component for spin-test");
    cmd!(shell, "cargo metadata --locked --format-version 1")
        .args(["--manifest-path", "tests/spin-test/door/Cargo.toml"])
        .quiet()
        .ignore_stdout()
        .run()?;

    step("Clippy, on this machine and on wasm32-wasip2");
    cmd!(shell, "cargo clippy --locked --workspace --all-targets -- -D warnings").quiet().run()?;
    cmd!(shell, "cargo clippy --locked --release --target wasm32-wasip2 --target-dir target")
        .args(["--package", "isotherm", "--package", "isotherm-ingest"])
        .args(["--package", "isotherm-query", "--package", "isotherm-inspect"])
        .args(["--package", "isotherm-sync"])
        .args(["--package", "isotherm-spin"])
        .args(["--package", "isotherm-conformance"])
        .args(["--", "-D", "warnings"])
        .quiet()
        .run()?;

    build(shell)?;
    size::check()?;
    let mut skipped = Vec::from_iter(instructions::run_if_possible(shell)?);

    build_conformance(shell)?;

    step("Documentation");
    cmd!(shell, "cargo doc --locked --workspace --no-deps --document-private-items")
        // With private items, links to them lead somewhere.
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")
        .quiet()
        .run()?;

    skipped.extend(deny(shell)?);
    let tools = Tools::find(shell, runtime)?;
    skipped.extend(tools.skipped);

    step(&format!("Tests, with the {} runtime for those over HTTP", runtime.name()));
    // The tests start the workspace's programs by their path.
    cmd!(shell, "cargo build --locked --workspace").quiet().run()?;
    let statements = root().join("target/statements");
    shell.remove_path(&statements)?;
    cmd!(shell, "cargo test --locked --workspace --")
        .args(&tools.filter)
        .envs(tools.variables.iter().cloned())
        .env("ISOTHERM_RUNTIME", runtime.name())
        .env("ISOTHERM_STATEMENTS", &statements)
        .quiet()
        .run()?;

    if runtime == Runtime::Embedded {
        on_the_gateway(shell, &tools.filter, &tools.variables)?;
    }

    step("Unit tests of access control with ES256");
    cmd!(
        shell,
        "cargo test --locked --quiet --package isotherm --lib --features es256 -- access::"
    )
    .quiet()
    .run()?;

    skipped.extend(spin_test::run(shell)?);
    for what in skipped {
        println!("SKIPPED: {what}");
    }
    println!("\nAll of it passed, but for what is named as skipped.");
    Ok(())
}

/// The tests of what every runtime has to do, on the gateway: the contract, formats and exactly once. Two
/// of them start a node with a variable that can't be used, with which the gateway does not start.
pub(crate) const OF_THE_GATEWAY: [&str; 8] = [
    "contract::",
    "formats::",
    "exactly_once::",
    "completeness::",
    "--skip",
    "a_misconfigured_node_accepts_nothing",
    "--skip",
    "a_node_with_a_variable_that_can_not_be_read",
];

/// Runs them, and those of faults and the model, against the gateway's executable.
fn on_the_gateway(
    shell: &Shell,
    filter: &[&str],
    variables: &[(&'static str, String)],
) -> Result<()> {
    step(
        "The tests of the contract, formats, exactly once, faults and the model, with the gateway",
    );
    cmd!(shell, "cargo test --locked --workspace --test it --")
        .args(OF_THE_GATEWAY)
        .args(["store_faults::", "model::every_acknowledged_reading", "parsers_of_prometheus"])
        .args(filter)
        .envs(variables.iter().cloned())
        .env("ISOTHERM_RUNTIME", "gateway")
        .quiet()
        .run()?;
    Ok(())
}

fn parse(arguments: Vec<String>) -> Result<Runtime> {
    use lexopt::prelude::*;
    let mut runtime = Runtime::Embedded;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("runtime") => runtime = Runtime::named(&parser.value()?.string()?)?,
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    Ok(runtime)
}

/// Licences, bans, sources and advisories of the dependencies. Returns what was skipped.
fn deny(shell: &Shell) -> Result<Vec<&'static str>> {
    step("Licences and sources of the dependencies");
    let has_deny = cmd!(shell, "cargo deny --version").quiet().ignore_stdout().ignore_stderr();
    if has_deny.run().is_err() {
        let skipped = "cargo deny (install it: cargo install --locked cargo-deny)";
        println!("skipped: {skipped}");
        return Ok(vec![skipped]);
    }
    cmd!(shell, "cargo deny --locked check bans licenses sources").quiet().run()?;
    let fetched = cmd!(shell, "cargo deny --locked fetch db").quiet().ignore_stdout();
    if fetched.ignore_stderr().run().is_err() {
        let skipped = "advisories of the dependencies (their database can't be reached)";
        println!("skipped: {skipped}");
        return Ok(vec![skipped]);
    }
    cmd!(shell, "cargo deny --locked check advisories").quiet().run()?;
    Ok(Vec::new())
}
