//! `cargo xtask gateway`: one executable with the application in it.

use std::path::PathBuf;

use anyhow::{Result, bail};
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
        .quiet()
        .run()?;
    let below = target.as_ref().map(|target| format!("{target}/")).unwrap_or_default();
    let base = root().join(format!("target/{below}gateway/isotherm-gateway"));
    let ending = target.as_ref().map(|target| format!("-{target}")).unwrap_or_default();
    let to = root().join(format!("target/dist/isotherm-gateway{ending}"));
    shell.create_dir(root().join("target/dist"))?;
    // The compiler of this machine makes code for the other one.
    let bundle = match &target {
        None => cmd!(shell, "{base} bundle"),
        Some(_) => cmd!(shell, "cargo run --quiet --locked --package isotherm-gateway -- bundle"),
    };
    bundle.args(&of_target).arg("--onto").arg(&base).arg("--to").arg(&to).quiet().run()?;
    println!("{}: {} bytes", to.display(), std::fs::metadata(&to)?.len());
    Ok((target, to))
}
