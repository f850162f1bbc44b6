//! `cargo xtask bench`: measures the rate of the service, and what it costs.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::{Runtime, build, gateway, instructions, program, root, step};

/// The runtime that people get: it is built as for them.
const GATEWAY: &str = "gateway";

/// Takes `--runtime`, and passes the other arguments on.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    if arguments.iter().any(|argument| argument == "--instructions") {
        ensure!(arguments.len() == 1, "--instructions goes with nothing else");
        return instructions::run(shell);
    }
    let (mut runtime, mut rest) = (Runtime::Embedded.name(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--runtime" {
            let name = arguments.next().unwrap_or_default();
            runtime = if name == GATEWAY { GATEWAY } else { Runtime::named(&name)?.name() };
        } else {
            rest.push(argument);
        }
    }
    build(shell)?;
    let mut environment = vec![("ISOTHERM_RUNTIME", runtime.into())];
    if runtime == GATEWAY {
        let (_, executable) = gateway::make(shell, vec!["--compiler".to_owned()])?;
        environment.push(("ISOTHERM_GATEWAY", executable));
    }
    cmd!(shell, "cargo build --release --locked --target wasm32-wasip2 --target-dir target")
        .args(["--package", "hello"])
        .quiet()
        .run()?;
    step("Building the bench and the embedded runtime");
    cmd!(shell, "cargo build --locked --workspace").quiet().run()?;
    step(&format!("Measuring with the {} runtime; leave the machine to it", runtime));
    // The stores must be on this disk, not in a tmpfs.
    let directory = root().join("target/bench");
    shell.create_dir(&directory)?;
    let bench = program("isotherm-bench")?;
    // File names are relative to where the command was given.
    shell.change_dir(std::env::current_dir()?);
    cmd!(shell, "{bench} {rest...}")
        .envs(environment)
        .env("TMPDIR", directory)
        .quiet()
        .run()
        .context("the bench did not end well")
}
