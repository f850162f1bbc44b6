//! `cargo xtask size`: prints the sizes of the components, and checks their limits.

use anyhow::{Context, Result, bail};

use crate::{root, step};

/// The components, by their profiles, and the largest size of each, in bytes. All of them
/// fold, and judge tokens; `query` and `inspect` also verify JWTs. `inspect` has everything that
/// is not needed for an average.
const LIMITS: [(&str, u64); 4] = [
    ("release/isotherm_ingest", 975_000),
    ("small/isotherm_query", 706_000),
    ("small/isotherm_inspect", 1_160_000),
    ("small/isotherm_sync", 720_000),
];

/// Prints the sizes. Fails if a component has outgrown its limit.
pub(crate) fn check() -> Result<()> {
    step("Sizes of the components");
    for (component, bytes_max) in LIMITS {
        let file = root().join(format!("target/wasm32-wasip2/{component}.wasm"));
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
