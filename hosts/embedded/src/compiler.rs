//! The compiler (the feature `compiler`). Processors of 32 bits have none: they run what another
//! machine has compiled.

use anyhow::{Context as _, Result};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// Compiles a component to run here.
///
/// # Errors
///
/// What is no component.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Result<Component> {
    Ok(Component::from_binary(engine, component)?)
}

/// Code of a component for a target, like `aarch64-unknown-linux-gnu`.
///
/// # Errors
///
/// A target that there is no compiler for, or what is no component.
pub fn precompile(component: &[u8], target: &str) -> Result<Vec<u8>> {
    let mut config = crate::engine::config();
    config.target(code_for(target)).map_err(anyhow::Error::from).context("no such target")?;
    Ok(Engine::new(&config)?.precompile_component(component)?)
}

/// Code of a component for this very processor, with all that it has. It is kept where Spin keeps
/// it, too, and not compiled again.
///
/// # Errors
///
/// What is no component.
pub fn precompile_here(component: &[u8]) -> Result<Vec<u8>> {
    let mut config = crate::engine::config();
    keep(&mut config);
    Ok(compile(&Engine::new(&config)?, component)?.serialize()?)
}

/// What Wasmtime calls the code for one of Rust's targets. Those of 32 bits interpret Wasmtime's own
/// code, Pulley: it compiles for none of them.
fn code_for(target: &str) -> &str {
    let processor = target.split('-').next().unwrap_or_default();
    match processor.starts_with("armv") || matches!(processor, "arm" | "i586" | "i686") {
        true => "pulley32",
        false => target,
    }
}

/// Keeps what is compiled here where Spin keeps it, too.
pub(crate) fn keep(config: &mut Config) {
    match wasmtime::Cache::from_file(None) {
        Ok(cache) => drop(config.cache(Some(cache))),
        Err(error) => crate::log::say(&format!("compiled components can't be kept: {error:#}")),
    }
}

#[cfg(test)]
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
