//! `cargo xtask size`: prints the sizes of the components, and checks their limits in
//! `budget.toml`.

use anyhow::{Context, Result};

use crate::budget::Budget;
use crate::{root, step};

/// The components by their names in `budget.toml`, and what they are built as.
const COMPONENTS: [(&str, &str); 4] = [
    ("ingest", "release/isotherm_ingest"),
    ("query", "small/isotherm_query"),
    ("inspect", "small/isotherm_inspect"),
    ("sync", "small/isotherm_sync"),
];

/// Prints the sizes. Fails if a component has outgrown its limit.
pub(crate) fn check() -> Result<()> {
    step("Sizes of the components");
    let budget = Budget::read("bytes", &COMPONENTS.map(|(name, _)| name))?;
    let mut sizes = Vec::new();
    for ((_, component), (name, bytes_max)) in COMPONENTS.iter().zip(budget.limits()) {
        let file = root().join(format!("target/wasm32-wasip2/{component}.wasm"));
        let bytes = std::fs::metadata(&file)
            .with_context(|| format!("{} was not built", file.display()))?
            .len();
        println!("{name}: {bytes} bytes, of {bytes_max}");
        sizes.push(bytes);
    }
    let lower = budget.check(&sizes, "bytes").context("a component has outgrown its limit")?;
    lower.iter().for_each(|line| println!("{line}"));
    Ok(())
}
