//! Random stories against a model of a few lines.
//!
//! Sensors send what they measured in any order and company, again and again,
//! while calls fail, processes are killed, clocks are set, the retention is changed,
//! rows are pruned, stores are restored from a backup, and what is in quarantine is
//! tried again. After every step a reader's view (of a copy, so that looking changes
//! nothing) must be that of the model: each acknowledged reading is counted exactly
//! once, or in quarantine: because a restored store could not tell it from a duplicate,
//! or until the node's clock is set.
//!
//! `story` has the steps, `world` does them and checks, `stores` looks into the files.

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

pub(crate) mod stores;
pub(crate) mod story;
pub(crate) mod world;

use story::step;
use world::World;

/// The same stories in every run, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES`
/// say otherwise. Whatever failed before is in model.regressions and goes first: so
/// far, what failed when a protection was taken out to see it fail.
pub(crate) fn config() -> ProptestConfig {
    let persistence =
        FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/model.regressions"));
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 256;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(2);
    }
    ProptestConfig { failure_persistence: Some(Box::new(persistence)), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_acknowledged_reading_is_counted_exactly_once_whatever_happens(
        steps in prop::collection::vec(step(), 1..30)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.check();
        }
    }
}
