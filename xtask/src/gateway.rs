//! `cargo xtask gateway`: one executable with the application in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{build, root, step};

/// Builds it for this machine, or for another target whose linker is there. Returns the target, and
/// the executable.
pub(crate) fn make(shell: &Shell, arguments: Vec<String>) -> Result<(Option<String>, PathBuf)> {
    use lexopt::prelude::*;
    let (mut target, mut with_compiler) = (None, false);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("target") => target = Some(parser.value()?.string()?),
            Long("compiler") => with_compiler = true,
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    build(shell)?;
    step("The gateway");
    shell.change_dir(root());
    shell.create_dir(root().join("target/dist"))?;
    // Always for a named target: without one, the code would need all that this very processor has.
    let host = host(shell)?;
    let code = target.as_deref().unwrap_or(&host);
    let base = compiled(shell, "isotherm-gateway", target.as_deref())?;
    if with_compiler {
        let compiler = compiled(shell, "isotherm-compile", target.as_deref())?;
        print_size(&placed(shell, &compiler, "isotherm-compile", target.as_deref())?)?;
    }
    let to = in_dist("isotherm-gateway", target.as_deref());
    // The compiler runs here, for whichever machine. Development has built it.
    let other: &[&str] = if code == host { &[] } else { &["--features", "arm64"] };
    cmd!(shell, "cargo run --quiet --locked --package isotherm-compile")
        .args(other)
        .args(["--", "bundle", "--target", code, "--onto"])
        .arg(&base)
        .arg("--to")
        .arg(&to)
        .quiet()
        .run()?;
    print_size(&to)?;
    Ok((target, to))
}

/// A program in the profile for people. Each is built alone: together they would have the features of
/// both, and the gateway a compiler.
fn compiled(shell: &Shell, name: &str, target: Option<&str>) -> Result<PathBuf> {
    let of_target: Vec<&str> = target.iter().flat_map(|target| ["--target", target]).collect();
    cmd!(shell, "cargo build --locked --profile gateway --package {name}")
        .args(&of_target)
        .quiet()
        .run()?;
    let below = target.map(|target| format!("{target}/")).unwrap_or_default();
    Ok(root().join(format!("target/{below}gateway/{name}")))
}

/// Where a program for people is placed.
fn in_dist(name: &str, target: Option<&str>) -> PathBuf {
    let ending = target.map(|target| format!("-{target}")).unwrap_or_default();
    root().join(format!("target/dist/{name}{ending}"))
}

fn placed(shell: &Shell, file: &Path, name: &str, target: Option<&str>) -> Result<PathBuf> {
    let to = in_dist(name, target);
    shell.copy_file(file, &to)?;
    Ok(to)
}

fn print_size(file: &Path) -> Result<()> {
    println!("{}: {} bytes", file.display(), std::fs::metadata(file)?.len());
    Ok(())
}

/// This machine's target.
fn host(shell: &Shell) -> Result<String> {
    let said = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}
