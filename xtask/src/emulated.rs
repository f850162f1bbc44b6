//! `cargo xtask emulated`: the gateway for another processor, built here, and tested under qemu.

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::test::OF_THE_GATEWAY;
use crate::{gateway, root, step};

/// The first release that does. Version 7.2 of Debian 12 takes all memory for Wasmtime's pool of
/// instances.
const QEMU_VERSION: u32 = 10;

/// The program of qemu-user for a target, and the words that run an executable with it.
fn emulator(target: &str) -> Result<(&'static str, &'static str)> {
    Ok(match target {
        // Wasmtime's pool reserves several TiB of addresses: a bound on them would be in its way.
        "aarch64-unknown-linux-gnu" => ("qemu-aarch64", "qemu-aarch64 -L /usr/aarch64-linux-gnu"),
        "armv7-unknown-linux-gnueabihf" => (
            "qemu-arm",
            // 16 GiB.
            "prlimit --as=17179869184 qemu-arm -L /usr/arm-linux-gnueabihf",
        ),
        other => bail!("nothing is emulated for {other}"),
    })
}

/// Builds it, and runs the tests of the contract, of formats and of exactly once over it.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let (target, is_built) = parse(arguments)?;
    let (qemu, emulator) = emulator(&target)?;
    check_version(shell, qemu)?;
    let gateway = match is_built {
        true => root().join(format!("target/dist/isotherm-gateway-{target}")),
        false => gateway::make(shell, vec!["--target".to_owned(), target.clone()])?.1,
    };
    step(&format!("The tests of the contract, of formats, and of exactly once, with {qemu}"));
    shell.change_dir(root());
    cmd!(shell, "cargo build --locked --workspace").quiet().run()?;
    // One at a time: an emulated start takes a second of a core.
    cmd!(shell, "cargo test --locked --workspace --test it -- --test-threads 1")
        .args(OF_THE_GATEWAY)
        .env("ISOTHERM_RUNTIME", "gateway")
        .env("ISOTHERM_GATEWAY", &gateway)
        .env("ISOTHERM_EMULATOR", emulator)
        .quiet()
        .run()?;
    Ok(())
}

fn parse(arguments: Vec<String>) -> Result<(String, bool)> {
    use lexopt::prelude::*;
    let (mut target, mut is_built) = (None, false);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("target") => target = Some(parser.value()?.string()?),
            Long("no-build") => is_built = true,
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    Ok((target.context("--target TRIPLE")?, is_built))
}

fn check_version(shell: &Shell, qemu: &str) -> Result<()> {
    let needs = || format!("{qemu} {QEMU_VERSION} or newer is needed: qemu-user of Debian 13");
    let said = cmd!(shell, "{qemu} --version").quiet().read().with_context(needs)?;
    let version = said.split("version ").nth(1).and_then(|rest| rest.split('.').next());
    match version.and_then(|version| version.parse::<u32>().ok()) {
        Some(version) if version >= QEMU_VERSION => Ok(()),
        _ => bail!("{}; this is: {}", needs(), said.lines().next().unwrap_or_default()),
    }
}
