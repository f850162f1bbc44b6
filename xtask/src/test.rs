//! `cargo xtask test`: everything that CI runs.

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{Runtime, build, root, step, target};

/// The components, and the largest that each may be, in bytes. `query` answers
/// much more than `ingest`, which folds as well.
const COMPONENTS: [(&str, u64); 2] = [("isotherm_ingest", 320_000), ("isotherm_query", 400_000)];

/// Stops at the first step that fails.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let runtime = parse(arguments)?;
    target::ensure(shell)?;

    step("Formatting");
    cmd!(shell, "cargo fmt --all --check").quiet().run()?;

    step("Clippy, on this machine and on wasm32-wasip2");
    cmd!(shell, "cargo clippy --locked --workspace --all-targets -- -D warnings").quiet().run()?;
    cmd!(shell, "cargo clippy --locked --release --target wasm32-wasip2 --target-dir target")
        .args(["--package", "isotherm", "--package", "isotherm-ingest"])
        .args(["--package", "isotherm-query", "--", "-D", "warnings"])
        .quiet()
        .run()?;

    build(shell)?;
    check_sizes()?;

    step("Documentation");
    cmd!(shell, "cargo doc --locked --workspace --no-deps --document-private-items")
        .env("RUSTDOCFLAGS", "-D warnings")
        .quiet()
        .run()?;

    let mut skipped = deny(shell)?;

    step(&format!("Tests, with the {} runtime for those over HTTP", runtime.name()));
    // The tests start these two by their path.
    cmd!(shell, "cargo build --locked --workspace").quiet().run()?;
    let mut filter = Vec::new();
    for (tool, test, what) in [
        ("curl", "readme::", "the README's example (install curl)"),
        (
            "prlimit",
            "store_faults::a_disk_without_space",
            "the full disk (install util-linux's prlimit)",
        ),
    ] {
        let is_there = cmd!(shell, "{tool} --version").quiet().ignore_stdout().ignore_stderr();
        if is_there.run().is_err() {
            skipped.push(what);
            filter.extend(["--skip", test]);
        }
    }
    if runtime == Runtime::Spin {
        skipped.push(
            "store_faults:: and a_minute_without_the_database_under_load (stores fail on demand in \
             the embedded runtime only)",
        );
        filter.extend(["--skip", "store_faults::", "--skip", "a_minute_without_the_database"]);
    }
    cmd!(shell, "cargo test --locked --workspace --")
        .args(filter)
        .env("ISOTHERM_RUNTIME", runtime.name())
        .quiet()
        .run()?;

    for what in skipped {
        println!("SKIPPED: {what}");
    }
    println!("\nAll of it passed, but for what is named as skipped.");
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

fn check_sizes() -> Result<()> {
    step("Sizes of the components");
    for (component, bytes_max) in COMPONENTS {
        let file = root().join(format!("target/wasm32-wasip2/release/{component}.wasm"));
        let bytes = std::fs::metadata(&file)
            .with_context(|| format!("{} was not built", file.display()))?
            .len();
        println!("{component}: {bytes} bytes, of {bytes_max}");
        if bytes > bytes_max {
            bail!("{component} has outgrown its limit");
        }
    }
    Ok(())
}

/// Licences, bans and sources of the dependencies. Returns what was skipped.
fn deny(shell: &Shell) -> Result<Vec<&'static str>> {
    step("Licences and sources of the dependencies");
    let has_deny = cmd!(shell, "cargo deny --version").quiet().ignore_stdout().ignore_stderr();
    if has_deny.run().is_err() {
        let skipped = "cargo deny (install it: cargo install --locked cargo-deny)";
        println!("skipped: {skipped}");
        return Ok(vec![skipped]);
    }
    cmd!(shell, "cargo deny --locked check bans licenses sources").quiet().run()?;
    Ok(Vec::new())
}
