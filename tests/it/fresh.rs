//! Whether components are as new as their source: tests over HTTP would otherwise pass, or
//! fail, for a release of before.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::root;

/// What all components are made of.
const SHARED: [&str; 3] = ["shared", "hosts/spin", "Cargo.lock"];

/// Components, and what each is made of beside that.
const COMPONENTS: [(&str, &[&str]); 4] = [
    ("release/isotherm_ingest.wasm", &["ingest/src"]),
    ("small/isotherm_query.wasm", &["query/src"]),
    ("small/isotherm_inspect.wasm", &["inspect/src"]),
    ("small/isotherm_sync.wasm", &["sync/src"]),
];
const CONFORMANCE: [(&str, &[&str]); 1] =
    [("release/isotherm_conformance.wasm", &["hosts/conformance/src"])];

/// Fails where a component that `manifest` names is missing, or older than a source.
pub(crate) fn check(manifest: &str) -> Result<()> {
    let directory = root().join("target/wasm32-wasip2");
    let (components, build): (&[(&str, &[&str])], _) = match manifest.contains("conformance") {
        true => (&CONFORMANCE, "cargo xtask build --conformance"),
        false => (&COMPONENTS, "cargo xtask build"),
    };
    let newest = |sources: &[&str]| {
        sources.iter().try_fold(SystemTime::UNIX_EPOCH, |newest, source| {
            anyhow::Ok(newest.max(changed(&root().join(source))?))
        })
    };
    let shared = newest(&SHARED)?;
    for (name, own) in components {
        let path = directory.join(name);
        let built = path.metadata();
        let built = built.with_context(|| format!("no {}: run {build}", path.display()))?;
        if built.modified()? < shared.max(newest(own)?) {
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
