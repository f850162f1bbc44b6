//! Wasmtime's engine. Code that was compiled ahead runs in it if it was compiled by the same release
//! of Wasmtime, with the same configuration.

use std::time::Duration;

use anyhow::Result;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How many instances a pool may have, the most first: it reserves some 4 GiB of addresses for each,
/// which not every kernel or limit leaves. With 32 bits there are none for a pool.
const POOLS: &[u32] = if cfg!(target_pointer_width = "64") { &[1_000, 100] } else { &[] };

/// How many instances live at once without a pool. With 32 bits, each reserves 12 MiB of addresses at
/// least, of which a process has 2 to 4 GiB.
const WITHOUT_A_POOL: u32 = 64;

/// How often a computing guest yields to other tasks.
const YIELD_EVERY: Duration = Duration::from_millis(10);

/// How many memories, tables and stacks that were used are given back to the system at a time: each
/// time, all threads' caches of addresses are told. Single readings on 16 connections take a fifth
/// less time than with one at a time.
const GIVEN_BACK_AT_ONCE: usize = 16;

/// What a table and a stack keep for the next instance, in bytes. It is more than most use, and
/// clearing it takes less time than to have it from the system again.
const TABLE_BYTES_KEPT: usize = 16 << 10;
const STACK_BYTES_KEPT: usize = 32 << 10;

/// What compiled code depends on.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config
}

/// An engine, and how many instances may live at once in it, each for one request: as many as it has
/// addresses for.
pub(crate) fn engine(config: &Config) -> Result<(Engine, u32)> {
    let mut pools = POOLS.iter().filter_map(|count| {
        let engine = Engine::new(&pooled(config, *count)).ok()?;
        Some((engine, *count))
    });
    let (engine, instances_max) = match pools.next() {
        Some(found) => found,
        None => (Engine::new(config)?, WITHOUT_A_POOL),
    };
    let clock = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(YIELD_EVERY);
        }
    });
    Ok((engine, instances_max))
}

/// With a pool of this many instances, each of which is three core instances.
fn pooled(config: &Config, count: u32) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(4 * count).total_tables(2 * count);
    pool.total_component_instances(count).total_stacks(count).total_memories(count);
    pool.decommit_batch_size(GIVEN_BACK_AT_ONCE);
    pool.table_keep_resident(TABLE_BYTES_KEPT).async_stack_keep_resident(STACK_BYTES_KEPT);
    let mut pooled = config.clone();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    pooled
}
