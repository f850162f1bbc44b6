//! Random stories of readings, corrections and merges in any order: every figure is that of a
//! node that got only the readings that stand, and of one that got all in another order.

use std::collections::BTreeMap;

use isotherm::host::Value as SqlValue;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::corrections::{correction, post};
use crate::corrections_rule::{Corrected, Names, region, standing};
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, celsius, json_reading};
use crate::support::tables::Window;

/// A window without what tells how it came to be.
pub(crate) fn figures(window: Window) -> Option<Window> {
    let Window { readings, .. } = window;
    let plain = Window { revision: 0, duplicates: 0, conflicts: 0, ..window };
    (readings > 0).then_some(plain)
}

/// All that a node tells, apart from traces of corrections.
fn told(node: &mut Node, devices: &[String], regions: &[String]) -> Value {
    let mut all = Vec::new();
    for region in regions {
        all.push(node.look_at(&format!("/v1/regions?after={}", &region[..region.len() - 1])));
        let answer = node.ask(&format!("/v1/regions/{region}/devices"));
        all.push(serde_json::from_slice(&answer.body).unwrap());
        let (from, to) = (NOW - 2 * DAY - 17 * MINUTE, NOW + 13 * MINUTE);
        let range = node.ask(&format!("/v1/regions/{region}?from={from}&to={to}"));
        all.push(serde_json::from_slice(&range.body).unwrap());
    }
    // A device of which only corrections have come has no readings.
    let known = devices.iter().filter(|d| node.ask(&format!("/v1/devices/{d}")).status == 200);
    for device in known {
        all.push(json!(device));
        for path in ["", "/readings?limit=1000", "/windows"] {
            let answer = node.ask(&format!("/v1/devices/{device}{path}"));
            all.push(serde_json::from_slice(&answer.body).unwrap());
        }
    }
    let mut all = Value::Array(all);
    strip(&mut all);
    all
}

/// Removes what readings that do not stand leave behind.
fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(strip);
            items.retain(|item| *item != json!({}));
        }
        Value::Object(fields) => {
            // A region or a device that has no reading may be known by its name.
            if fields.get("status").is_some_and(|status| status == 404)
                || fields.get("count").is_some_and(|count| count == 0)
                || fields.get("devices").is_some_and(|devices| *devices == json!([]))
            {
                *fields = serde_json::Map::new();
                return;
            }
            for field in [
                "revision",
                "conflicts",
                "duplicates",
                "corrected",
                "expected_interval_ms",
                "silent_after_ms",
                "silent",
                // Which devices are silent depends on the order of their readings.
                "silent_devices",
                "latest_average_c",
                "latest_devices",
                "warmest_device",
                "warmest_c",
                "warmest_at",
                "coldest_device",
                "coldest_c",
                "coldest_at",
            ] {
                fields.remove(field);
            }
            fields.values_mut().for_each(strip);
        }
        _ => {}
    }
}

/// A reading that was measured: device, slot in time, region, temperature.
type Measured = (usize, usize, usize, i64);
#[derive(Clone, Debug)]
enum Step {
    Measure(Vec<Measured>),
    Correct(Corrected),
    /// One region into another: renamed, if there is no such one.
    Merge(usize, usize),
}

/// Few temperatures, so that expectations often fit.
fn temperature() -> impl Strategy<Value = i64> {
    prop_oneof![Just(85_000), Just(-19_000), Just(-18_950), Just(4_125)]
}

fn step() -> impl Strategy<Value = Step> {
    let measured = (0..3_usize, 0..8_usize, 0..REGIONS, temperature());
    let corrected = (
        0..3_usize,
        0..8_usize,
        prop::option::weighted(0.9, temperature()),
        prop::option::weighted(0.3, 0..REGIONS),
        prop::option::weighted(0.7, temperature()),
        prop::option::weighted(0.4, 0..REGIONS),
    );
    prop_oneof![
        2 => prop::collection::vec(measured, 1..6).prop_map(Step::Measure),
        4 => corrected.prop_map(Step::Correct),
        1 => (0..REGIONS, 0..REGIONS).prop_map(|(from, into)| Step::Merge(from, into)),
    ]
}

/// Names of regions that are used.
const REGIONS: usize = 4;

fn device(n: usize) -> String {
    format!("d{n}")
}

/// Slots in two minutes, an hour, another hour and another day.
fn time(slot: usize) -> i64 {
    let ago = [0, 1, 2_000, MINUTE, MINUTE + 1, HOUR, DAY, DAY + MINUTE][slot];
    NOW - MINUTE - ago
}

fn number(temperature: Option<i64>) -> Value {
    temperature.map_or(Value::Null, |millicelsius| json!(celsius(millicelsius)))
}

/// All that was said to a node, and what has to stand then.
struct Story {
    node: Node,
    names: Names,
    /// The id in the database of each region.
    stored: Vec<i64>,
    counted: BTreeMap<(usize, usize), (usize, i64)>,
    corrections: BTreeMap<(usize, usize), BTreeMap<String, Corrected>>,
}

impl Story {
    fn new() -> Self {
        let node = Node::quiet(&[("retention", "0")]);
        node.fold();
        let (names, stored, counted, corrections) = Default::default();
        Self { node, names, stored, counted, corrections }
    }

    fn step(&mut self, step: &Step) {
        self.take(step);
        for id in self.stored.len()..self.names.now.len() {
            let name = region(self.names.now[id]);
            let rows = self.node.execute(&format!("SELECT id FROM regions WHERE name = '{name}'"));
            let SqlValue::Integer(stored) = rows[0][0] else { panic!("{rows:?}") };
            self.stored.push(stored);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Measure(readings) => {
                let one = |(d, slot, r, t): &Measured| {
                    json_reading(&device(*d), &region(*r), celsius(*t), time(*slot))
                };
                self.node.accept_and_wait(&readings.iter().map(one).collect());
                for (d, slot, r, t) in readings {
                    let id = self.names.id(*r);
                    self.counted.entry((*d, *slot)).or_insert((id, *t));
                }
            }
            Step::Correct(one) => self.correct(*one),
            Step::Merge(from, into) => {
                let body = json!({"region": region(*from), "rename": region(*into), "reason": "m"});
                let (status, answer) = post(&self.node, &body);
                let expected = if self.names.merge(*from, *into) { 200 } else { status };
                assert_eq!(status, expected, "{answer}");
                assert!(status != 200 || answer["done"] == true, "{answer}");
            }
        }
    }

    fn correct(&mut self, (d, slot, expected, from, new, into): Corrected) {
        let mut body = correction(&device(d), time(slot), number(expected), number(new));
        for (field, name) in [("expect_region", from), ("region", into)] {
            if let Some(name) = name {
                body[field] = json!(region(name));
            }
        }
        let (status, answer) = post(&self.node, &body);
        if status == 200 {
            let id = answer["id"].as_str().unwrap().to_owned();
            let [from, into] = [from, into].map(|name| name.map(|name| self.names.id(name)));
            let own = self.corrections.entry((d, slot)).or_default();
            // Sent again after its region has another name, it is still what it was.
            own.entry(id).or_insert((d, slot, expected, from, new, into));
        } else {
            // It says nothing, or two things.
            assert_eq!(status, 400, "{answer}");
        }
    }

    /// The readings that stand.
    fn stands(&self) -> Vec<Value> {
        let none = BTreeMap::new();
        let one = |(place, first): (&(usize, usize), &(usize, i64))| {
            let own = self.corrections.get(place).unwrap_or(&none);
            let (id, t) = standing(*first, own, &self.names.merged)?;
            let name = region(self.names.now[id]);
            Some(json_reading(&device(place.0), &name, celsius(t), time(place.1)))
        };
        self.counted.iter().filter_map(one).collect()
    }

    /// What a node has that got all corrections before the readings, and these from the last
    /// to the first. Its regions have their ids as names.
    fn in_another_order(&self) -> Vec<Window> {
        let mut other = Node::quiet(&[("retention", "0")]);
        other.fold();
        let sql = Connection::open(other.directory().join("regions.db")).unwrap();
        let file = self.node.directory().join("regions.db");
        sql.execute("ATTACH ?1 AS old", [file.to_str().unwrap()]).unwrap();
        sql.execute_batch(
            "INSERT INTO devices SELECT * FROM old.devices;
             INSERT INTO regions SELECT id, 'id-' || id FROM old.regions;
             INSERT INTO corrections SELECT * FROM old.corrections;",
        )
        .unwrap();
        drop(sql);
        for ((d, slot), (r, t)) in self.counted.iter().rev() {
            let name = format!("id-{}", self.stored[*r]);
            other.accept_and_wait(&json_reading(&device(*d), &name, celsius(*t), time(*slot)));
        }
        windows(&other)
    }

    /// The windows of this node, with regions by their ids.
    fn windows_by_id(&self) -> Vec<Window> {
        let ids = self.node.execute("SELECT name, 'id-' || id FROM regions");
        let mut all = windows(&self.node);
        for window in &mut all {
            let name = SqlValue::Text(window.region.clone());
            let found = ids.iter().find(|row| row[0] == name).unwrap();
            let SqlValue::Text(id) = &found[1] else { panic!("{found:?}") };
            window.region.clone_from(id);
        }
        all.sort();
        all
    }
}

/// Those that have readings, sorted.
fn windows(node: &Node) -> Vec<Window> {
    node.windows().into_iter().filter_map(figures).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(96, |cases| cases.parse().unwrap()),
        rng_seed: RngSeed::Fixed(5),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_figure_is_that_of_the_readings_that_stand(
        steps in prop::collection::vec(step(), 1..14)
    ) {
        let mut story = Story::new();
        steps.iter().for_each(|step| story.step(step));
        let mut plain = Node::quiet(&[("retention", "0")]);
        plain.set_clock(story.node.now.get());
        plain.fold();
        let readings = story.stands();
        if !readings.is_empty() {
            plain.accept_and_wait(&Value::Array(readings));
        }
        plain.set_clock(story.node.now.get());
        prop_assert_eq!(windows(&story.node), windows(&plain));
        let devices: Vec<_> = (0..3).map(device).collect();
        // The other names stand for these.
        let regions: Vec<_> = (0..REGIONS).map(region).collect();
        let is_name = |name: &&String| story.names.is_name(name);
        let regions: Vec<String> = regions.iter().filter(is_name).cloned().collect();
        prop_assert_eq!(
            told(&mut story.node, &devices, &regions), told(&mut plain, &devices, &regions)
        );
        prop_assert_eq!(story.windows_by_id(), story.in_another_order());
        // The ledger knows each as it was counted, by the name that its region had.
        for ((d, slot), (r, t)) in &story.counted {
            let name = region(story.names.first[*r]);
            let again = json_reading(&device(*d), &name, celsius(*t), time(*slot));
            let answer = story.node.accept_and_wait(&again);
            prop_assert_eq!(&answer["outcomes"], &json!(["duplicate"]));
        }
        prop_assert_eq!(windows(&story.node), windows(&plain));
    }
}
