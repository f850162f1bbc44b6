//! The compiler, if this was built with it (the feature `compiler`). Processors of 32 bits have none:
//! they run what another machine has compiled.

use anyhow::Result;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// Compiles a component to run here.
///
/// # Errors
///
/// What is no component, or a program without a compiler.
#[cfg(feature = "compiler")]
pub fn compile(engine: &Engine, component: &[u8]) -> Result<Component> {
    Ok(Component::from_binary(engine, component)?)
}

/// Compiles a component for a target, like `aarch64-unknown-linux-gnu`; without one, for this very
/// processor, with all that it has.
///
/// # Errors
///
/// A target that there is no compiler for, what is no component, or a program without a compiler.
#[cfg(feature = "compiler")]
pub fn precompile(component: &[u8], target: Option<&str>) -> Result<Vec<u8>> {
    use anyhow::Context as _;

    let mut config = crate::engine::config();
    if let Some(target) = target {
        config.target(code_for(target)).map_err(anyhow::Error::from).context("no such target")?;
    }
    Ok(Engine::new(&config)?.precompile_component(component)?)
}

/// What Wasmtime calls the code for one of Rust's targets. Those of 32 bits interpret Wasmtime's own
/// code, Pulley: it compiles for none of them.
#[cfg(feature = "compiler")]
fn code_for(target: &str) -> &str {
    let processor = target.split('-').next().unwrap_or_default();
    match processor.starts_with("armv") || matches!(processor, "arm" | "i586" | "i686") {
        true => "pulley32",
        false => target,
    }
}

/// Keeps what is compiled here where Spin keeps it, too.
#[cfg(feature = "compiler")]
pub(crate) fn keep(config: &mut Config) {
    match wasmtime::Cache::from_file(None) {
        Ok(cache) => drop(config.cache(Some(cache))),
        Err(error) => crate::log::say(&format!("compiled components can't be kept: {error:#}")),
    }
}

#[cfg(not(feature = "compiler"))]
const NONE: &str = "this program has no compiler in it: it runs the application in it alone";

/// It can't.
///
/// # Errors
///
/// Always.
#[cfg(not(feature = "compiler"))]
pub fn compile(_engine: &Engine, _component: &[u8]) -> Result<Component> {
    anyhow::bail!(NONE)
}

/// It can't.
///
/// # Errors
///
/// Always.
#[cfg(not(feature = "compiler"))]
pub fn precompile(_component: &[u8], _target: Option<&str>) -> Result<Vec<u8>> {
    anyhow::bail!(NONE)
}

/// There is nothing to keep.
#[cfg(not(feature = "compiler"))]
pub(crate) fn keep(_config: &mut Config) {}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;

    #[test]
    fn targets_of_32_bits_have_code_to_be_interpreted() {
        for target in ["armv7-unknown-linux-gnueabihf", "arm-unknown-linux-gnueabi"] {
            assert_eq!(code_for(target), "pulley32");
        }
        for target in ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-musl"] {
            assert_eq!(code_for(target), target);
        }
    }
}
