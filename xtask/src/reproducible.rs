//! `cargo xtask reproducible`: checks that the same source gives the same bytes
//! elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::{root, step};

/// SHA-256 as loops: it is of short texts alone, and takes 7 KB less of each component.
const COMPACT_SHA256: &str =
    "--cfg\u{1f}sha2_backend=\"soft\"\u{1f}--cfg\u{1f}sha2_backend_soft=\"compact\"";

/// Flags that give fixed names to directories that differ between machines: the sources
/// of the dependencies, and those of the standard library if they are installed (if
/// not, rustc uses this name by itself). And `COMPACT_SHA256`.
pub(crate) fn rustflags(shell: &Shell, cargo_home: &Path) -> Result<String> {
    let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
    let version = cmd!(shell, "rustc --version --verbose").quiet().read()?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let commit = commit.context("rustc names no commit")?;
    let crates = cargo_home.join("registry/src");
    let library = Path::new(&sysroot).join("lib/rustlib/src/rust");
    // The separator of CARGO_ENCODED_RUSTFLAGS, as a path may have spaces.
    Ok(format!(
        "{COMPACT_SHA256}\u{1f}--remap-path-prefix={}=/cargo\u{1f}--remap-path-prefix={}=/rustc/{commit}",
        crates.display(),
        library.display()
    ))
}

/// Where cargo keeps the sources of the dependencies.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    Ok(std::env::home_dir().context("there is no home directory")?.join(".cargo"))
}

/// The components by the profiles that they are built with, as in `spin.toml`.
const PROFILES: [(&str, &[&str]); 2] = [
    ("release", &["isotherm-ingest"]),
    ("small", &["isotherm-query", "isotherm-inspect", "isotherm-sync"]),
];

/// Builds the components in `source` into `target`.
pub(crate) fn build(shell: &Shell, source: &Path, target: &Path, home: &Path) -> Result<()> {
    let flags = rustflags(shell, home)?;
    let _directory = shell.push_dir(source);
    for (profile, packages) in PROFILES {
        let packages = packages.iter().flat_map(|package| ["--package", package]);
        cmd!(shell, "cargo build --profile {profile} --locked --target wasm32-wasip2")
            .args(packages)
            .arg("--target-dir")
            .arg(target)
            .env("CARGO_HOME", home)
            .env("CARGO_ENCODED_RUSTFLAGS", &flags)
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .quiet()
            .run()?;
    }
    Ok(())
}

/// Builds twice from scratch: here, and from a copy in another directory with another
/// cargo home. Fails if a byte differs.
pub(crate) fn check(shell: &Shell) -> Result<()> {
    crate::target::ensure(shell)?;
    let home = cargo_home()?;
    let here = root().join("target/reproducible");
    shell.remove_path(&here)?;
    step("Building the components here");
    build(shell, &root(), &here, &home)?;

    step("Building them elsewhere");
    let directory = shell.create_temp_dir()?;
    let elsewhere = directory.path();
    let (source, other_home) = (elsewhere.join("the source"), elsewhere.join("the home"));
    copy_source(shell, &source)?;
    shell.create_dir(&other_home)?;
    std::os::unix::fs::symlink(home.join("registry"), other_home.join("registry"))?;
    let there = elsewhere.join("target");
    build(shell, &source, &there, &other_home)?;

    step("Comparing them");
    for component in [
        "release/isotherm_ingest",
        "small/isotherm_query",
        "small/isotherm_inspect",
        "small/isotherm_sync",
    ] {
        let file = format!("wasm32-wasip2/{component}.wasm");
        let (one, other) = (here.join(&file), there.join(&file));
        let same = shell.read_binary_file(&one)? == shell.read_binary_file(other)?;
        ensure!(same, "{component} has other bytes when it is built elsewhere");
        cmd!(shell, "sha256sum {one}").quiet().run()?;
    }
    Ok(())
}

/// Copies the files that git tracks or would add, as they are now.
fn copy_source(shell: &Shell, to: &Path) -> Result<()> {
    let files =
        cmd!(shell, "git ls-files -z --cached --others --exclude-standard").quiet().read()?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (root().join(file), to.join(file));
        if from.is_file() {
            shell.create_dir(to.parent().context("a file has a directory")?)?;
            shell.copy_file(from, to)?;
        }
    }
    Ok(())
}
