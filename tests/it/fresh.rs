//! Whether components are as new as their source: tests over HTTP would otherwise pass, or
//! fail, for a release of before.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::root;

/// What the components are made of.
const SOURCES: [&str; 9] = [
    "shared",
    "ingest/src",
    "query/src",
    "query/assets",
    "inspect/src",
    "sync/src",
    "hosts/spin",
    "hosts/conformance/src",
    "Cargo.lock",
];

/// Fails where a component that `manifest` names is missing, or older than a source.
pub(crate) fn check(manifest: &str) -> Result<()> {
    let directory = root().join("target/wasm32-wasip2");
    let (names, build): (&[&str], _) = match manifest.contains("conformance") {
        true => (&["release/isotherm_conformance.wasm"], "cargo xtask build --conformance"),
        false => (
            &[
                "release/isotherm_ingest.wasm",
                "small/isotherm_query.wasm",
                "small/isotherm_inspect.wasm",
                "small/isotherm_sync.wasm",
            ],
            "cargo xtask build",
        ),
    };
    let mut newest = SystemTime::UNIX_EPOCH;
    for source in SOURCES {
        newest = newest.max(changed(&root().join(source))?);
    }
    for name in names {
        let path = directory.join(name);
        let built = path.metadata();
        let built = built.with_context(|| format!("no {}: run {build}", path.display()))?;
        if built.modified()? < newest {
            bail!("{} is older than its source: run {build}", path.display());
        }
    }
    Ok(())
}

/// When a file, or the newest below a directory, was changed.
fn changed(path: &Path) -> Result<SystemTime> {
    if path.is_file() {
        return Ok(path.metadata()?.modified()?);
    }
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in std::fs::read_dir(path)? {
        newest = newest.max(changed(&entry?.path())?);
    }
    Ok(newest)
}
