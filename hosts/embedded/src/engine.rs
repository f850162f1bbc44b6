//! Wasmtime's engine. Code that was compiled ahead runs in it if it was compiled by the same release
//! of Wasmtime, with the same configuration.

use std::time::Duration;

use anyhow::{Context, Result};
use wasmtime::{Cache, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::log;

/// The most instances that live at once, each for one request.
pub(crate) const INSTANCES_MAX: u32 = 1_000;

/// How often a computing guest yields to other tasks.
const YIELD_EVERY: Duration = Duration::from_millis(10);

/// What compiled code depends on.
fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config
}

/// Compiles a component for a target, like `aarch64-unknown-linux-gnu`; without one, for this
/// machine's kind of processor.
///
/// # Errors
///
/// A target that there is no compiler for, or what is no component.
pub fn precompile(component: &[u8], target: Option<&str>) -> Result<Vec<u8>> {
    let mut config = config();
    if let Some(target) = target {
        config.target(target).map_err(anyhow::Error::from).context("no such target")?;
    }
    let engine = Engine::new(&config)?;
    Ok(engine.precompile_component(component)?)
}

/// Pools instances if the machine has the address space. With `is_cached`, what is compiled here is
/// kept where Spin keeps it, too, so only the first start compiles.
pub(crate) fn engine(is_cached: bool) -> Result<Engine> {
    let mut config = config();
    if is_cached {
        match Cache::from_file(None) {
            Ok(cache) => drop(config.cache(Some(cache))),
            Err(error) => log::say(&format!("compiled components can't be kept: {error:#}")),
        }
    }
    let mut pooled = config.clone();
    // As many concurrent instances as in Spin, each of which is three core instances.
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(4 * INSTANCES_MAX).total_tables(2 * INSTANCES_MAX);
    pool.total_component_instances(INSTANCES_MAX).total_stacks(INSTANCES_MAX);
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = match Engine::new(&pooled) {
        Ok(engine) => engine,
        Err(_) => Engine::new(&config)?,
    };
    let clock = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(YIELD_EVERY);
        }
    });
    Ok(engine)
}
