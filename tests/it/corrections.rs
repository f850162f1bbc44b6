//! Corrections: what stands after them, in every tier; and whole devices and regions.

use std::collections::BTreeMap;

use http::Method;
use isotherm::api::router;
use isotherm::http::Request;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, celsius, instant, json_reading};
use crate::support::tables::{Tier, Window};

fn post(node: &Node, body: &Value) -> (u16, Value) {
    let mut request = Request::get("/v1/corrections");
    request.method = Method::POST;
    let body = body.to_string();
    let answered = router::answer_with(&node.host, &request, body.as_bytes(), node.now);
    let json = serde_json::from_slice(&answered.response.body).unwrap_or_default();
    (answered.response.status.as_u16(), json)
}

fn correct(node: &Node, body: &Value) -> Value {
    let (status, answer) = post(node, body);
    assert_eq!(status, 200, "{answer}");
    answer
}

fn correction(device: &str, at: i64, expected: Value, temperature: Value) -> Value {
    json!({
        "device_id": device, "timestamp": at, "expect_c": expected, "temperature_c": temperature,
        "reason": "the sensor was reset",
    })
}

/// A window without what tells how it came to be.
fn figures(window: Window) -> Option<Window> {
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

fn cold_room() -> Node {
    let mut node = Node::quiet(&[("retention", "30d")]);
    let one = |n: i64| {
        let celsius = if n == 3 { 85.0 } else { -19.0 - n as f64 / 8.0 };
        json_reading("probe", "cold", celsius, NOW - n * MINUTE)
    };
    node.accept_and_wait(&(0..5).map(one).collect());
    node
}

#[test]
fn a_reading_is_withdrawn_and_its_trace_stays() {
    let mut node = cold_room();
    let at = NOW - 3 * MINUTE;
    let before = node.look_at("/v1/regions/cold");
    check_fields(&before, &json!({"count": 5, "max_c": 85.0, "corrected": 0}));
    let withdrawal = correction("probe", at, json!(85), Value::Null);
    let answer = correct(&node, &withdrawal);
    let said = json!({
        "ack": "folded", "device_id": "probe", "timestamp": instant(at), "expect_c": 85.0,
        "temperature_c": null, "region": null, "reason": "the sensor was reset",
        "made": instant(node.now.get()), "state": "applied",
    });
    check_fields(&answer, &said);
    let after = node.look_at("/v1/regions/cold");
    check_fields(&after, &json!({"count": 4, "max_c": -19.0, "p99_c": -19.0, "corrected": 1}));
    assert!(after["revision"].as_i64() > before["revision"].as_i64());
    // Sent again, it is the same one; the reading is still known as a duplicate.
    node.set_clock(NOW + HOUR);
    assert_eq!(correct(&node, &withdrawal)["id"], answer["id"]);
    let again = json_reading("probe", "cold", 85.0, at);
    assert_eq!(node.accept_and_wait(&again)["outcomes"], json!(["duplicate"]));
    let unchanged = node.look_at("/v1/regions/cold");
    check_fields(&unchanged, &json!({"count": 4, "corrected": 1}));
    let list = node.look_at("/v1/corrections");
    assert_eq!(list["corrections"].as_array().unwrap().len(), 1);
    check_fields(&list["corrections"][0], &json!({"id": answer["id"], "state": "applied"}));
    // It can be taken back.
    correct(&node, &correction("probe", at, Value::Null, json!(-19.5)));
    let back = node.look_at("/v1/regions/cold");
    check_fields(&back, &json!({"count": 5, "max_c": -19.0, "corrected": 1}));
}

#[test]
fn a_correction_waits_for_what_it_expects_and_of_two_one_stands() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let at = NOW - 7 * MINUTE;
    let early = correct(&node, &correction("late", at, json!(85), json!(4)));
    assert_eq!(early["state"], "waiting");
    node.accept_and_wait(&json_reading("late", "cold", 85, at));
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 1, "average_c": 4.0}));
    let other = correct(&node, &correction("late", at, json!(85), json!(5)));
    let states: Vec<_> = node.look_at("/v1/corrections")["corrections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].clone(), one["state"].as_str().unwrap().to_owned()))
        .collect();
    // Sorted by id: the lower one is applied.
    assert_eq!((states[0].1.as_str(), states[1].1.as_str()), ("applied", "conflict"));
    let applied = if states[0].0 == other["id"] { 5.0 } else { 4.0 };
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"average_c": applied}));
}

#[test]
fn a_correction_that_can_not_be_meant_is_refused() {
    let node = cold_room();
    let good = correction("probe", NOW, json!(-19), json!(-18));
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let without = |field: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for bad in [
        without("device_id"),
        without("timestamp"),
        without("expect_c"),
        without("temperature_c"),
        without("reason"),
        with("reason", json!(" ")),
        with("reason", json!("a\nb")),
        with("reason", json!("x".repeat(201))),
        with("temperature_c", json!(-19)),
        with("temperature_c", json!(1_001)),
        with("expect_c", json!("85")),
        with("timestamp", json!(NOW / 1_000)),
        with("region", json!("a/b")),
        with("unit", json!("F")),
        with("from", json!("2026-01-01T00:00:00Z")),
        json!({"device_id": "probe", "rename": "probe", "reason": "x"}),
        json!({"device_id": "probe", "region": "cold", "rename": "x", "reason": "x"}),
        json!({"rename": "x", "reason": "x"}),
        json!({"region": "cold", "withdraw": "yes", "reason": "x"}),
        json!([good]),
    ] {
        let (status, problem) = post(&node, &bad);
        assert_eq!(status, 400, "{bad} {problem}");
    }
    let old = correction("probe", NOW - 31 * DAY, json!(1), json!(2));
    let (status, problem) = post(&node, &old);
    assert_eq!(
        (status, problem["type"].as_str()),
        (422, Some("urn:isotherm:problem:not-correctable"))
    );
    assert_eq!(post(&node, &json!({"region": "x", "withdraw": true, "reason": "x"})).0, 404);
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 5, "corrected": 0}));
}

#[test]
fn a_region_and_a_device_get_other_names_and_answer_to_the_old_ones() {
    let mut node = cold_room();
    let renamed = json!({"region": "cold", "rename": "cold-room-1", "reason": "as on the door"});
    check_fields(&correct(&node, &renamed), &json!({"renamed": "cold", "done": true}));
    for name in ["cold", "cold-room-1"] {
        let answer = node.look_at(&format!("/v1/regions/{name}"));
        check_fields(&answer, &json!({"region": "cold-room-1", "count": 5}));
    }
    correct(&node, &json!({"device_id": "probe", "rename": "p-1", "reason": "labelled"}));
    for name in ["probe", "p-1"] {
        check_fields(&node.look_at(&format!("/v1/devices/{name}")), &json!({"device_id": "p-1"}));
    }
    // A device that sends under the old names counts under the new ones, and once.
    let outcomes = node.accept_and_wait(&json!([
        json_reading("probe", "cold", -19, NOW),
        json_reading("probe", "cold", -7, NOW + 1),
        json_reading("p-1", "cold-room-1", -7, NOW + 1),
    ]));
    assert_eq!(outcomes["outcomes"], json!(["duplicate", "stored", "duplicate"]));
    let regions = node.look_at("/v1/regions")["regions"].as_array().unwrap().len();
    assert_eq!(regions, 1);
    assert_eq!(node.look_at("/v1/devices")["devices"].as_array().unwrap().len(), 1);
    // And back again.
    correct(&node, &json!({"region": "cold-room-1", "rename": "cold", "reason": "back"}));
    check_fields(&node.look_at("/v1/regions/cold-room-1"), &json!({"region": "cold"}));
}

/// Repeats a step until it is done. Returns how many readings were corrected, and in how
/// many steps.
fn in_steps(node: &Node, mut body: Value) -> (i64, usize) {
    let (mut corrected, mut steps) = (0, 0);
    loop {
        let answer = correct(node, &body);
        (corrected, steps) = (corrected + answer["corrected"].as_i64().unwrap(), steps + 1);
        if answer["done"] == true {
            return (corrected, steps);
        }
        body["from"] = answer["from"].clone();
    }
}

#[test]
fn a_region_is_merged_into_another_in_steps() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let readings = |region: &str, device: &str, count: i64| -> Value {
        let one = |n: i64| json_reading(device, region, n % 40 - 20, NOW - n * 20_000);
        (0..count).map(one).collect()
    };
    node.accept_and_wait(&readings("dairy", "a", 500));
    node.accept_and_wait(&readings("diary", "b", 2_500));
    let mut plain = Node::quiet(&[("retention", "0")]);
    plain.accept_and_wait(&readings("dairy", "a", 500));
    plain.accept_and_wait(&readings("dairy", "b", 2_500));

    let merge = json!({"region": "diary", "rename": "dairy", "reason": "a typo"});
    let (corrected, steps) = in_steps(&node, merge);
    assert_eq!(corrected, 2_500);
    assert!((3..6).contains(&steps), "{steps} steps");
    let windows =
        |node: &Node| -> Vec<Window> { node.windows().into_iter().filter_map(figures).collect() };
    assert_eq!(windows(&node), windows(&plain));
    let regions = node.look_at("/v1/regions");
    assert_eq!(regions["regions"].as_array().unwrap().len(), 1);
    // What is sent under the wrong name counts under the right one.
    node.accept_and_wait(&json_reading("b", "diary", 7, NOW + 1));
    check_fields(&node.look_at("/v1/regions/diary"), &json!({"region": "dairy", "count": 3_001}));
    assert_eq!(node.look_at("/v1/devices/b")["regions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_device_is_merged_into_another_and_what_both_have_counts_once() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let readings = |device: &str, range: std::ops::Range<i64>| -> Value {
        range.map(|n| json_reading(device, "room", n, NOW - n * MINUTE)).collect()
    };
    node.accept_and_wait(&readings("t-20", 0..10));
    node.accept_and_wait(&readings("esp32", 5..15));
    let merge = json!({"device_id": "esp32", "rename": "t-20", "reason": "one sensor"});
    assert_eq!(in_steps(&node, merge).0, 10);
    check_fields(&node.look_at("/v1/regions/room"), &json!({"count": 15, "devices": 1}));
    let device = node.look_at("/v1/devices/esp32");
    check_fields(&device, &json!({"device_id": "t-20", "count": 15, "temperature_c": 0.0}));
    node.accept_and_wait(&json_reading("esp32", "room", 3, NOW + 1));
    check_fields(&node.look_at("/v1/devices/t-20"), &json!({"count": 16}));
    assert_eq!(node.look_at("/v1/devices")["devices"].as_array().unwrap().len(), 1);
}

#[test]
fn a_region_is_withdrawn_and_comes_back_with_new_readings() {
    let mut node = cold_room();
    node.accept_and_wait(&json_reading("door", "hall", 20, NOW));
    let withdrawal = json!({"region": "cold", "withdraw": true, "reason": "a test"});
    assert_eq!(in_steps(&node, withdrawal).0, 5);
    let regions = node.look_at("/v1/regions");
    let names: Vec<_> =
        regions["regions"].as_array().unwrap().iter().map(|r| r["region"].clone()).collect();
    assert_eq!(names, [json!("hall")]);
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 0, "average_c": null}));
    assert_eq!(node.counted(Tier::AllTime), 1);
    assert_eq!(node.ask("/v1/devices/probe").status, 404);
    node.accept_and_wait(&json_reading("probe", "cold", -20, NOW + 1));
    let back = json!({"count": 1, "average_c": -20.0, "min_c": -20.0, "max_c": -20.0});
    check_fields(&node.look_at("/v1/regions/cold"), &back);
    check_fields(&node.look_at("/v1/devices/probe"), &json!({"count": 1, "max_c": -20.0}));
}

#[test]
fn while_the_database_is_away_a_correction_waits_in_the_journal() {
    use crate::support::faulty::Plan;
    let mut node = cold_room();
    node.set_plan(Plan::sqlite_away());
    let withdrawal = correction("probe", NOW - 3 * MINUTE, json!(85), Value::Null);
    let (status, answer) = post(&node, &withdrawal);
    assert_eq!((status, &answer["ack"]), (202, &json!("journaled")));
    node.set_plan(Plan::none());
    assert_eq!(node.keys("correction/1/"), 1);
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 4, "unfolded_entries": 0}));
    assert_eq!(node.keys("correction/1/"), 0);
}

#[test]
fn a_damaged_correction_is_set_aside_and_the_others_are_folded() {
    let node = cold_room();
    node.put("correction/1/00", b"nobody wrote this");
    correct(&node, &correction("probe", NOW - 3 * MINUTE, json!(85), Value::Null));
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 4, "unfolded_entries": 0}));
    assert_eq!(node.keys("damaged-correction/1/"), 1);
}
