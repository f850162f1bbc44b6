//! The stories of `model` without faults: the figures of every answer must add up. What
//! was acknowledged is counted, a duplicate, a conflict, waiting, or in quarantine.

use isotherm::api::readings;
use isotherm::http::{Header, Request};
use proptest::prelude::*;
use serde_json::Value;

use crate::model::config;
use crate::model::stores::{AHEAD_OF_CLOCK, quarantined_entries};
use crate::model::story::{Step, millicelsius, reading, step};
use crate::model::world::{World, fold_and_prune};
use crate::support::assert::metric;

/// A world without faults, and its books.
struct Books {
    world: World,
    /// How many readings were ever acknowledged, as far as the stores remember.
    acknowledged: i64,
}

impl Books {
    fn run(&mut self, step: &Step) {
        let World { node, .. } = &mut self.world;
        match step {
            Step::Send { near, waits, .. } | Step::Contradict { near, waits } => {
                let is_other = i64::from(matches!(step, Step::Contradict { .. }));
                let ids = self.world.ids(near);
                let body: Value =
                    ids.iter().map(|&id| reading(id, millicelsius(id) + is_other)).collect();
                self.acknowledged += self.post(&body, *waits);
            }
            Step::Read { .. } => drop(node.get("/v1/regions")),
            Step::Fold { .. } => drop(fold_and_prune(node)),
            Step::Restore { .. } => {
                self.world.run(step);
                // What the stores have now is all that they can answer for.
                self.acknowledged = self.told().iter().sum();
            }
            other => self.world.run(other),
        }
    }

    /// How many readings of the request are acknowledged and were not waiting already:
    /// the same request sent again is the same entry.
    fn post(&mut self, body: &Value, waits: bool) -> i64 {
        let node = &self.world.node;
        let kept = || (node.keys("journal/"), node.keys(AHEAD_OF_CLOCK));
        let before = kept();
        let mut request = Request::post("/v1/readings");
        if waits {
            request.headers.set(Header::Prefer, "wait");
        }
        let text = body.to_string();
        let handled = readings::post(&node.host, &request, text.as_bytes(), node.now);
        let after = kept();
        let answer: Value = serde_json::from_slice(&handled.response.body).unwrap();
        let count = |field: &str| answer[field].as_i64().unwrap_or(0);
        let accepted = match handled.response.status.as_u16() {
            200 => count("stored") + count("duplicates") + count("conflicts"),
            202 => {
                let ahead = count("waiting_for_clock");
                let journaled = if after.0 > before.0 { count("accepted") - ahead } else { 0 };
                journaled + if after.1 > before.1 { ahead } else { 0 }
            }
            _ => 0,
        };
        handled.after_answer.run(&node.host, node.now).unwrap();
        accepted
    }

    /// Counted, duplicates, conflicts, waiting and in quarantine, as an answer of a copy
    /// tells them.
    fn told(&self) -> [i64; 5] {
        let copy = self.world.copy();
        let list = self.world.node_over(&copy).read("/v1/regions");
        let sum = |field: &str| -> i64 {
            let regions = list["regions"].as_array().unwrap();
            regions.iter().map(|region| region[field].as_i64().unwrap()).sum()
        };
        let number = |field: &str| list[field].as_i64().unwrap();
        [
            sum("count"),
            sum("duplicates"),
            sum("conflicts"),
            number("unfolded_readings"),
            number("quarantined_readings"),
        ]
    }

    /// Of the readings that were in quarantine before a step, how many were there twice:
    /// in requests that had other readings, too. What is left of such entries may be the
    /// same, and is one then.
    fn repeated_in_quarantine(&self) -> i64 {
        let host = &self.world.node.host.inner;
        let mut all: Vec<_> = quarantined_entries(host);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        i64::try_from(count - all.len()).unwrap()
    }

    /// The same as `/metrics` and the header of CSV tell it. What was `repeated` in
    /// quarantine may be told once.
    fn check(&mut self, repeated: i64) {
        let told = self.told();
        let sum = told.iter().sum::<i64>();
        let may_be_told = self.acknowledged - repeated..=self.acknowledged;
        assert!(may_be_told.contains(&sum), "{may_be_told:?}: {told:?}");
        self.acknowledged = sum;
        let copy = self.world.copy();
        let mut node = self.world.node_over(&copy);
        let scraped = [
            "isotherm_readings_folded_total{outcome=\"stored\"}",
            "isotherm_readings_folded_total{outcome=\"duplicate\"}",
            "isotherm_readings_folded_total{outcome=\"conflict\"}",
            "isotherm_journal_readings",
            "isotherm_quarantined_readings",
        ];
        let metrics = node.metrics();
        assert_eq!(scraped.map(|name| metric(&metrics, name)), told);
        let coverage = node.coverage_of_csv();
        let quarantined = format!("quarantined_readings={}", told[4]);
        assert!(coverage.contains(&quarantined), "{coverage}");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_acknowledged_is_counted_repeated_contradicting_waiting_or_in_quarantine(
        steps in prop::collection::vec(step(), 1..30)
    ) {
        let mut books = Books { world: World::new(), acknowledged: 0 };
        for step in &steps {
            let repeated = books.repeated_in_quarantine();
            books.run(step);
            books.check(repeated);
        }
    }
}
