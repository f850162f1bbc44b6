//! `cargo xtask gateway`: one executable with the application in it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{build, root, step};

/// Builds it for this machine, or for another target whose linker is there. Returns the target, and
/// the executable.
pub(crate) fn make(shell: &Shell, arguments: Vec<String>) -> Result<(Option<String>, PathBuf)> {
    use lexopt::prelude::*;
    let mut target = None;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("target") => target = Some(parser.value()?.string()?),
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    build(shell)?;
    step("The gateway");
    shell.change_dir(root());
    let of_target: Vec<&str> = target.iter().flat_map(|target| ["--target", target]).collect();
    cmd!(shell, "cargo build --locked --profile gateway --package isotherm-gateway")
        .args(&of_target)
        .args(features_of(target.as_deref()))
        .quiet()
        .run()?;
    let below = target.as_ref().map(|target| format!("{target}/")).unwrap_or_default();
    let base = root().join(format!("target/{below}gateway/isotherm-gateway"));
    let ending = target.as_ref().map(|target| format!("-{target}")).unwrap_or_default();
    let to = root().join(format!("target/dist/isotherm-gateway{ending}"));
    shell.create_dir(root().join("target/dist"))?;
    // Always for a named target: without one, the code would need all that this very processor has.
    let host = host(shell)?;
    let code = target.as_deref().unwrap_or(&host);
    // What is for another machine does not run here.
    let bundle = match code == host {
        true => cmd!(shell, "{base} bundle"),
        false => cmd!(shell, "cargo run --quiet --locked --package isotherm-gateway").args([
            "--features",
            "arm64",
            "--",
            "bundle",
        ]),
    };
    bundle.args(["--target", code]).arg("--onto").arg(&base).arg("--to").arg(&to).quiet().run()?;
    println!("{}: {} bytes", to.display(), std::fs::metadata(&to)?.len());
    Ok((target, to))
}

/// There is no compiler for processors of 32 bits.
fn features_of(target: Option<&str>) -> &'static [&'static str] {
    let processor = target.and_then(|target| target.split('-').next()).unwrap_or_default();
    let has_32_bits = processor.starts_with("armv") || matches!(processor, "arm" | "i586" | "i686");
    if has_32_bits { &["--no-default-features"] } else { &[] }
}

/// This machine's target.
fn host(shell: &Shell) -> Result<String> {
    let said = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}
