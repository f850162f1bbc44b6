//! What was measured, and the steps of a story.

use proptest::prelude::*;
use serde_json::Value;

use crate::support::faulty::Plan;
use crate::support::readings::{HOUR, NOW, celsius, json_reading};

/// How many readings were ever measured.
pub(super) const READINGS: i64 = 400;
/// What the retention may be.
pub(super) const RETENTIONS: [&str; 4] = ["12h", "3h", "48h", "0"];

/// What was measured, once and for all: by four devices in three regions, every
/// six hours.
pub(super) fn region(id: usize) -> String {
    format!("r{}", id % 3)
}

pub(crate) fn millicelsius(id: usize) -> i64 {
    i64::try_from(id * 7_919 % 50_000).unwrap() - 10_000
}

/// Half past an hour, so that no clock is ever right at a reading's limits.
pub(super) fn timestamp(id: usize) -> i64 {
    NOW + i64::try_from(id / 4).unwrap() * 6 * HOUR + HOUR / 2
}

pub(crate) fn reading(id: usize, millicelsius: i64) -> Value {
    json_reading(&format!("d{}", id % 4), &region(id), celsius(millicelsius), timestamp(id))
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A sensor sends these until they are acknowledged: readings by their
    /// distance from what is measured at the moment.
    Send { near: Vec<i64>, waits: bool, trouble: Trouble },
    /// A sensor contradicts those of them that are counted.
    Contradict { near: Vec<i64>, waits: bool },
    /// A client reads, which folds.
    Read { trouble: Trouble },
    /// What `ingest` does after an answer when it is its turn: fold and prune.
    Fold { trouble: Trouble },
    /// The node's clock is set.
    Clock { hours: i64 },
    /// The retention is changed.
    Retention { choice: usize },
    /// Both stores are copied.
    Backup,
    /// One of them, or both, is put back.
    Restore { journal: bool, regions: bool },
    /// An operator has what is in quarantine tried again.
    Retry,
}

/// What goes wrong meanwhile, at the n-th call to a store; whether the call did
/// its work before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    None,
    /// One call fails.
    Fault {
        call: usize,
        works: bool,
    },
    /// All calls fail from there on, until the request is answered.
    Outage {
        call: usize,
        works: bool,
    },
    /// The process is killed, and started again.
    Kill {
        call: usize,
        works: bool,
    },
}

impl Trouble {
    /// Which calls fail for it.
    pub(super) fn plan(self) -> Plan {
        let (plan, works) = match self {
            Self::None => (Plan::none(), false),
            Self::Fault { call, works } => (Plan::fail(call), works),
            Self::Outage { call, works } | Self::Kill { call, works } => {
                (Plan::fail(call).for_ever(), works)
            }
        };
        if works { plan.after_its_work() } else { plan }
    }
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let call = 1..60_usize;
    prop_oneof![
        2 => Just(Trouble::None),
        1 => (call.clone(), any::<bool>()).prop_map(|(call, works)| Trouble::Fault { call, works }),
        1 => (call.clone(), any::<bool>())
            .prop_map(|(call, works)| Trouble::Outage { call, works }),
        1 => (call, any::<bool>()).prop_map(|(call, works)| Trouble::Kill { call, works }),
    ]
}

/// Readings around the present and the retention, in any order, now and then
/// twice.
fn near() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-16..6_i64, 1..12_usize)
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (near(), any::<bool>(), trouble())
            .prop_map(|(near, waits, trouble)| Step::Send { near, waits, trouble }),
        2 => (near(), any::<bool>()).prop_map(|(near, waits)| Step::Contradict { near, waits }),
        2 => trouble().prop_map(|trouble| Step::Read { trouble }),
        3 => trouble().prop_map(|trouble| Step::Fold { trouble }),
        4 => (-16..20_i64).prop_map(|hours| Step::Clock { hours }),
        1 => (0..RETENTIONS.len()).prop_map(|choice| Step::Retention { choice }),
        1 => Just(Step::Backup),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(journal, regions)| Step::Restore { journal, regions }),
        1 => Just(Step::Retry),
    ]
}
