//! Fault injection: makes a store fail, stall, or report a full disk, for tests and
//! experiments. Off by default.
//!
//! With the flag `--faults`, the runtime answers at
//! `/.well-known/isotherm-host/faults`: `PUT` sets the plan, `GET` shows it with the
//! number of calls to each store. The plan is JSON:
//!
//! ```json
//! {"seed": 7, "rules": [
//!     {"store": "sqlite", "effect": "locked", "probability": 0.5},
//!     {"store": "key_value", "effect": "stall", "ms": 200}]}
//! ```
//!
//! At every call to a store, its rules are tried in order. Rules that stall delay the
//! call; the first other rule that applies decides how it fails. With the same seed and
//! the same sequence of calls, the same calls fail.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use isotherm_stores::{Failure, random};
use serde::{Deserialize, Serialize};

/// The path of the plan of faults.
pub const FAULTS_PATH: &str = "/.well-known/isotherm-host/faults";

/// The longest stall, in milliseconds.
const STALL_MS_MAX: u64 = 60_000;

/// The two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Key-value, which holds the journal.
    KeyValue,
    /// The database with ledger and windows.
    Sqlite,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It fails and does nothing.
    Fail,
    /// It does its work and then fails, as if the answer got lost.
    Lost,
    /// It fails as on a full disk.
    Full,
    /// It fails as if another connection held a lock.
    Locked,
    /// It fails as on a damaged file.
    Damaged,
    /// It takes `ms` longer.
    Stall,
    /// If it writes, it takes `ms` longer, and every other call to the store waits: a
    /// disk with a slow sync, behind one connection.
    SlowSync,
}

/// What a call does to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// One rule of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The store whose calls it applies to.
    pub store: Store,
    /// What happens to them.
    pub effect: Effect,
    /// The probability, from 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// The length of a stall, in milliseconds.
    #[serde(default)]
    pub ms: u64,
}

fn always() -> f64 {
    1.0
}

/// The body of a `PUT`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Together with the probabilities, decides which calls get a fault.
    #[serde(default)]
    pub seed: u64,
    /// Tried in this order.
    pub rules: Vec<Rule>,
}

/// The faults of a runtime.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    /// Held during a call with a slow sync.
    disk: Mutex<()>,
}

/// The answer to a `GET`.
#[derive(Default, Serialize)]
struct State {
    plan: Plan,
    /// Calls so far, with or without a fault.
    key_value_calls: u64,
    sqlite_calls: u64,
    #[serde(skip)]
    random: u64,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Installs the plan in `json`.
    pub fn set(&self, json: &[u8]) -> Result<()> {
        let plan: Plan = serde_json::from_slice(json)?;
        for rule in &plan.rules {
            if !(0.0..=1.0).contains(&rule.probability) {
                bail!("probability {} is not from 0 to 1", rule.probability);
            }
            if rule.ms > STALL_MS_MAX {
                bail!("a stall of {} ms is longer than {STALL_MS_MAX} ms", rule.ms);
            }
        }
        let mut state = self.state();
        (state.random, state.plan) = (plan.seed, plan);
        Ok(())
    }

    /// The plan and the numbers of calls, as JSON.
    pub fn show(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&*self.state())?)
    }

    /// Makes a call to `store`, with its fault if one is due.
    pub(crate) fn call<T>(
        &self,
        store: Store,
        access: Access,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Met { stall_ms, sync_ms, effect } = self.state().roll(store);
        if stall_ms > 0 {
            std::thread::sleep(Duration::from_millis(stall_ms));
        }
        let _waiting = (sync_ms > 0).then(|| {
            let disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
            if access == Access::Write {
                std::thread::sleep(Duration::from_millis(sync_ms));
            }
            disk
        });
        let Some(effect) = effect else { return work() };
        if effect == Effect::Lost {
            work()?;
        }
        Err(match effect {
            Effect::Full => "database or disk is full".to_owned(),
            Effect::Locked => "database is locked".to_owned(),
            Effect::Damaged => "file is not a database".to_owned(),
            Effect::Fail | Effect::Lost | Effect::Stall | Effect::SlowSync => {
                "injected fault".to_owned()
            }
        })
    }
}

impl State {
    /// The faults of the next call to `store`.
    fn roll(&mut self, store: Store) -> Met {
        match store {
            Store::KeyValue => self.key_value_calls += 1,
            Store::Sqlite => self.sqlite_calls += 1,
        }
        let mut met = Met::default();
        for rule in self.plan.rules.iter().filter(|rule| rule.store == store) {
            // A double holds 53 bits exactly.
            let dice = (random::next(&mut self.random) >> 11) as f64 / (1_u64 << 53) as f64;
            if dice >= rule.probability {
                continue;
            }
            match rule.effect {
                Effect::Stall => met.stall_ms += rule.ms,
                Effect::SlowSync => met.sync_ms += rule.ms,
                effect => {
                    met.effect = Some(effect);
                    return met;
                }
            }
        }
        met
    }
}

/// The faults of a call: how long it stalls, how long its sync takes, and how it fails.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    stall_ms: u64,
    sync_ms: u64,
    effect: Option<Effect>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(plan: &str) -> Faults {
        let faults = Faults::default();
        faults.set(plan.as_bytes()).unwrap();
        faults
    }

    fn outcomes(faults: &Faults, store: Store, calls: usize) -> Vec<bool> {
        (0..calls).map(|_| faults.call(store, Access::Read, || Ok(())).is_ok()).collect()
    }

    #[test]
    fn a_rule_meets_its_store_and_no_other() {
        let faults = with(r#"{"rules": [{"store": "sqlite", "effect": "full"}]}"#);
        let failed = faults.call(Store::Sqlite, Access::Read, || Ok(())).unwrap_err();
        assert_eq!(failed, "database or disk is full");
        assert_eq!(faults.call(Store::KeyValue, Access::Read, || Ok(5)), Ok(5));
        faults.set(br#"{"rules": []}"#).unwrap();
        assert_eq!(faults.call(Store::Sqlite, Access::Read, || Ok(5)), Ok(5));
    }

    #[test]
    fn the_same_seed_fails_the_same_calls() {
        let plan = |seed: u64| {
            format!(
                r#"{{"seed": {seed}, "rules":
                    [{{"store": "sqlite", "effect": "fail", "probability": 0.5}}]}}"#
            )
        };
        let first = outcomes(&with(&plan(1)), Store::Sqlite, 200);
        assert_eq!(outcomes(&with(&plan(1)), Store::Sqlite, 200), first);
        assert_ne!(outcomes(&with(&plan(2)), Store::Sqlite, 200), first);
        let met = first.iter().filter(|ok| !**ok).count();
        assert!((70..130).contains(&met), "{met} of 200 with probability 0.5");
    }

    #[test]
    fn a_lost_answer_leaves_the_work_done() {
        let faults = with(r#"{"rules": [{"store": "key_value", "effect": "lost"}]}"#);
        let mut done = false;
        let work = || {
            done = true;
            Ok(())
        };
        assert!(faults.call(Store::KeyValue, Access::Write, work).is_err());
        assert!(done);
    }

    #[test]
    fn a_plan_that_can_not_be_followed_is_refused() {
        for bad in [
            "{}",
            r#"{"rules": [{"store": "redis", "effect": "fail"}]}"#,
            r#"{"rules": [{"store": "sqlite", "effect": "fail", "probability": 2}]}"#,
            r#"{"rules": [{"store": "sqlite", "effect": "stall", "ms": 60001}]}"#,
            r#"{"rules": [{"store": "sqlite", "effect": "fail", "often": true}]}"#,
        ] {
            assert!(Faults::default().set(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
