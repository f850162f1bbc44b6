//! The gateway's package for Debian, and a Debian to try it in.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::tools::{Tools, is_root, unpacked};
use crate::{gateway, root, step};

/// What makes packages of what cargo has built.
const CARGO_DEB: &str = "cargo-deb";
const CARGO_DEB_VERSION: &str = "3.8.0";

/// Where `cargo xtask tools` puts it.
fn cargo_deb() -> PathBuf {
    root().join("target").join(CARGO_DEB).join("bin").join(CARGO_DEB)
}

/// A Debian without anything that it can do without, in a directory.
fn debian() -> PathBuf {
    root().join("target/debian")
}

/// `cargo xtask package`: the gateway, and its package in `target/dist`.
pub(crate) fn package(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let cargo_deb = cargo_deb();
    if !cargo_deb.exists() {
        install_cargo_deb(shell)?;
    }
    let (target, executable) = gateway::make(shell, arguments)?;
    step("The package for Debian");
    // What hosts/gateway/Cargo.toml has as its asset.
    shell.create_dir(root().join("target/package"))?;
    shell.copy_file(executable, root().join("target/package/isotherm-gateway"))?;
    let of_target: Vec<&str> = target.iter().flat_map(|target| ["--target", target]).collect();
    let to = root().join("target/dist");
    // Without strip: the application is behind what it would keep.
    cmd!(shell, "{cargo_deb} deb --package isotherm-gateway --no-build --no-strip --output {to}")
        .args(of_target)
        .quiet()
        .run()?;
    Ok(())
}

fn install_cargo_deb(shell: &Shell) -> Result<()> {
    step("cargo-deb");
    let to = root().join("target").join(CARGO_DEB);
    cmd!(shell, "cargo install --locked --quiet {CARGO_DEB} --version {CARGO_DEB_VERSION}")
        .arg("--root")
        .arg(to)
        .quiet()
        .run()?;
    Ok(())
}

/// Installs what the tests of the package need, for root.
pub(crate) fn install(shell: &Shell) -> Result<()> {
    if !is_root(shell) {
        return Ok(());
    }
    if !cargo_deb().exists() {
        install_cargo_deb(shell)?;
    }
    if debian().join("usr/bin/dpkg").exists() {
        return Ok(());
    }
    let Some(mmdebstrap) = unpacked("mmdebstrap", "mmdebstrap") else { return Ok(()) };
    step("A Debian for the tests of the package");
    // From where this machine has its own packages.
    let release = shell.read_file("/etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release has no VERSION_CODENAME")?;
    let directory = PathBuf::from("/etc/apt/sources.list.d");
    let mut sources = shell.read_dir(&directory).unwrap_or_default();
    sources.push(directory.with_file_name("sources.list"));
    sources.retain(|file| {
        file.exists() && file.extension().is_some_and(|kind| kind == "list" || kind == "sources")
    });
    let unfinished = debian().with_extension("new");
    shell.remove_path(&unfinished)?;
    // For the user of the package, who can't enter what is for root alone.
    cmd!(shell, "perl {mmdebstrap} --quiet --variant=minbase --mode=root {codename}")
        .arg(&unfinished)
        .args(sources)
        .quiet()
        .run()?;
    std::fs::rename(unfinished, debian())?;
    Ok(())
}

/// Looks for what the tests of the package need.
pub(crate) fn find(tools: &mut Tools) {
    let is_there = cargo_deb().exists() && debian().join("usr/bin/dpkg").exists();
    if !is_there {
        let what = "the package for Debian (be root on Debian: cargo xtask tools)";
        tools.skip("gateway::package", what);
        return;
    }
    tools.variables.push(("ISOTHERM_CARGO_DEB", cargo_deb().display().to_string()));
    tools.variables.push(("ISOTHERM_DEBIAN", debian().display().to_string()));
}
