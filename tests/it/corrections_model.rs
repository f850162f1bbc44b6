//! Random stories of readings and corrections in any order: every figure is that of a node
//! that got only the readings that stand.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::corrections::{correction, post};
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
/// A correction: device, slot, expectation, temperature (as an index of a few), region.
type Corrected = (usize, usize, Option<i64>, Option<i64>, Option<usize>);

#[derive(Clone, Debug)]
enum Step {
    Measure(Vec<Measured>),
    Correct(Corrected),
}

/// Few temperatures, so that expectations often fit.
fn temperature() -> impl Strategy<Value = i64> {
    prop_oneof![Just(85_000), Just(-19_000), Just(-18_950), Just(4_125)]
}

fn step() -> impl Strategy<Value = Step> {
    let measured = (0..3_usize, 0..8_usize, 0..2_usize, temperature());
    let corrected = (
        0..3_usize,
        0..8_usize,
        prop::option::weighted(0.9, temperature()),
        prop::option::weighted(0.7, temperature()),
        prop::option::weighted(0.3, 0..3_usize),
    );
    prop_oneof![
        1 => prop::collection::vec(measured, 1..6).prop_map(Step::Measure),
        2 => corrected.prop_map(Step::Correct),
    ]
}

fn device(n: usize) -> String {
    format!("d{n}")
}

fn region(n: usize) -> String {
    format!("r{n}")
}

/// Slots in two minutes, an hour, another hour and another day.
fn time(slot: usize) -> i64 {
    let ago = [0, 1, 2_000, MINUTE, MINUTE + 1, HOUR, DAY, DAY + MINUTE][slot];
    NOW - MINUTE - ago
}

fn number(temperature: Option<i64>) -> Value {
    temperature.map_or(Value::Null, |millicelsius| json!(celsius(millicelsius)))
}

/// What stands, by the rule: of those that expect what stands, the one with the lowest id.
fn standing(
    counted: (usize, i64),
    corrections: &BTreeMap<String, Corrected>,
) -> Option<(usize, i64)> {
    let (mut region, mut temperature) = (counted.0, Some(counted.1));
    let mut used = Vec::new();
    while let Some((id, (.., new, moved))) =
        corrections.iter().find(|(_, (_, _, expected, ..))| *expected == temperature)
    {
        if used.contains(id) {
            break;
        }
        used.push(id.clone());
        region = moved.unwrap_or(region);
        temperature = *new;
    }
    temperature.map(|temperature| (region, temperature))
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
        let mut node = Node::quiet(&[("retention", "0")]);
        node.fold();
        let mut counted: BTreeMap<(usize, usize), (usize, i64)> = BTreeMap::new();
        let mut corrections: BTreeMap<(usize, usize), BTreeMap<String, Corrected>> =
            BTreeMap::new();
        for step in &steps {
            match step {
                Step::Measure(readings) => {
                    let one = |(d, slot, r, t): &Measured| {
                        json_reading(&device(*d), &region(*r), celsius(*t), time(*slot))
                    };
                    node.accept_and_wait(&readings.iter().map(one).collect());
                    for (d, slot, r, t) in readings {
                        counted.entry((*d, *slot)).or_insert((*r, *t));
                    }
                }
                Step::Correct(one) => {
                    let (d, slot, expected, new, moved) = one;
                    let mut body =
                        correction(&device(*d), time(*slot), number(*expected), number(*new));
                    if let Some(moved) = moved {
                        body["region"] = json!(region(*moved));
                    }
                    let (status, answer) = post(&node, &body);
                    if status == 200 {
                        let id = answer["id"].as_str().unwrap().to_owned();
                        corrections.entry((*d, *slot)).or_default().insert(id, *one);
                    } else {
                        // It says nothing, or two things.
                        prop_assert_eq!(status, 400, "{}", answer);
                    }
                }
            }
        }
        let mut plain = Node::quiet(&[("retention", "0")]);
        plain.set_clock(node.now.get());
        plain.fold();
        let none = BTreeMap::new();
        let stands = |(place, first): (&(usize, usize), &(usize, i64))| {
            let own = corrections.get(place).unwrap_or(&none);
            let (r, t) = standing(*first, own)?;
            Some(json_reading(&device(place.0), &region(r), celsius(t), time(place.1)))
        };
        let readings: Vec<Value> = counted.iter().filter_map(stands).collect();
        if !readings.is_empty() {
            plain.accept_and_wait(&Value::Array(readings));
        }
        plain.set_clock(node.now.get());
        let windows = |node: &Node| -> Vec<Window> {
            node.windows().into_iter().filter_map(figures).collect()
        };
        prop_assert_eq!(windows(&node), windows(&plain));
        let (devices, regions): (Vec<_>, Vec<_>) =
            ((0..3).map(device).collect(), (0..3).map(region).collect());
        prop_assert_eq!(
            told(&mut node, &devices, &regions), told(&mut plain, &devices, &regions)
        );
        // The ledger knows each as it was counted.
        for ((d, slot), (r, t)) in &counted {
            let again = json_reading(&device(*d), &region(*r), celsius(*t), time(*slot));
            let answer = node.accept_and_wait(&again);
            prop_assert_eq!(&answer["outcomes"], &json!(["duplicate"]));
        }
        prop_assert_eq!(windows(&node), windows(&plain));
    }
}
