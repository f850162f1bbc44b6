//! What late and deleted readings, silent devices and changes of sides make of excursions.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::START;
use crate::corrections::{correct, correction};
use crate::support::assert::{check_fields, header};
use crate::support::node::{Node, scratch};
use crate::support::readings::{HOUR, MINUTE, NOW, instant, json_reading};

/// A node with these temperatures of a device, a minute apart, and limits of 2 to 8 °C.
fn node_of(temperatures: &[i64]) -> Node {
    let mut node = Node::quiet(&[]);
    let nth = |(minute, celsius): (i64, &i64)| nth_of("d", minute, *celsius);
    node.accept(&(0..).zip(temperatures).map(nth).collect());
    node.limit("cold", &json!({"low_c": 2, "high_c": 8}));
    node
}

pub(super) fn nth_of(device: &str, minute: i64, celsius: i64) -> Value {
    json_reading(device, "cold", celsius, START + minute * MINUTE + 30_000)
}

pub(super) fn excursions(node: &mut Node, query: &str) -> Vec<Value> {
    let path = format!("/v1/regions/cold/excursions?{query}");
    node.read(&path)["excursions"].as_array().unwrap().clone()
}

/// The sum of the revisions of its minutes.
fn minutes_of(excursion: &Value) -> i64 {
    excursion["revision"].as_i64().unwrap() / 1_000_000
}

/// From the start to this minute.
pub(super) fn minutes(from: i64, to: i64) -> String {
    format!("from={}&to={}", START + from * MINUTE, START + to * MINUTE)
}

pub(super) fn minute(n: i64) -> Value {
    instant(START + n * MINUTE + 30_000)
}

#[test]
fn a_late_reading_moves_an_excursion_and_its_revision() {
    let mut node = node_of(&[5, 5, 9, 9, 5]);
    node.accept(&json!([nth_of("d", 6, 9), nth_of("d", 7, 5)]));
    let range = minutes(0, 60);
    let before = excursions(&mut node, &range);
    let ends = |e: &Value| (e["begin"].clone(), e["end"].clone(), minutes_of(e));
    assert_eq!(before.len(), 2);
    let (_, _, revision) = ends(&before[0]);
    assert_eq!(ends(&before[0]), (minute(2), minute(4), 3));
    // One that says the same changes nothing.
    node.accept(&json!([nth_of("d", 3, 9)]));
    assert_eq!(excursions(&mut node, &range), before);
    // Of another device, it ends the one later and begins the other one earlier.
    node.accept(&json!([nth_of("e", 3, 10), nth_of("e", 6, 5)]));
    let joined = excursions(&mut node, &range);
    assert_eq!(joined.len(), 1);
    assert_eq!((&joined[0]["begin"], &joined[0]["end"]), (&minute(2), &minute(7)));
    check_fields(&joined[0], &json!({"readings": 4, "devices": 2, "extreme_device": "e"}));
    assert!(ends(&joined[0]).2 > revision);
    // One inside changes only what the readings of the minute are.
    node.accept(&json!([nth_of("f", 5, 5)]));
    let same = excursions(&mut node, &range);
    assert_eq!(ends(&same[0]).2, ends(&joined[0]).2 + 1);
    check_fields(&same[0], &json!({"readings": 4, "devices": 2}));
}

#[test]
fn a_change_of_sides_is_two_excursions_and_short_ones_are_left_out() {
    let mut node = node_of(&[5, 9, 9, 9, 1, 5, 9, 5, 9]);
    let kinds = |found: &[Value]| -> Vec<(String, Value, Value)> {
        let one = |e: &Value| {
            (e["kind"].as_str().unwrap().to_owned(), e["begin"].clone(), e["end"].clone())
        };
        found.iter().map(one).collect()
    };
    let high = |begin, end| ("high".to_owned(), begin, end);
    let all = excursions(&mut node, &minutes(0, 60));
    assert_eq!(
        kinds(&all),
        [
            high(minute(1), minute(4)),
            ("low".to_owned(), minute(4), minute(5)),
            high(minute(6), minute(7)),
            high(minute(8), Value::Null),
        ]
    );
    check_fields(&all[3], &json!({"open": true, "duration_ms": 0, "end": null}));
    let long = excursions(&mut node, &format!("{}&for=2m", minutes(0, 60)));
    assert_eq!(kinds(&long), [high(minute(1), minute(4))]);
    // What ends with the range is open there.
    let cut = excursions(&mut node, &minutes(0, 3));
    check_fields(&cut[0], &json!({"end": null, "open": true, "duration_ms": MINUTE}));
}

#[test]
fn a_device_that_falls_silent_outside_hides_none_of_the_others() {
    let mut node = node_of(&[5, 9]);
    node.accept(&(0..10).map(|m| nth_of("e", m, if m == 5 { 12 } else { 5 })).collect());
    let found = excursions(&mut node, &minutes(0, 60));
    assert_eq!(found.len(), 2, "{found:?}");
    check_fields(&found[0], &json!({"open": true, "extreme_device": "d", "end": null}));
    check_fields(&found[1], &json!({"open": false, "extreme_device": "e", "end": minute(6)}));
    // During a pause nobody knows.
    node.accept(&json!([nth_of("d", 30, 9), nth_of("d", 31, 5)]));
    let found = excursions(&mut node, &minutes(0, 60));
    assert_eq!(found.len(), 1, "{found:?}");
    check_fields(
        &found[0],
        &json!({
            "gaps": 1, "longest_gap_ms": 29 * MINUTE, "devices": 2, "end": minute(31),
        }),
    );
    let found = excursions(&mut node, &format!("{}&gap=30m", minutes(0, 60)));
    check_fields(&found[0], &json!({"gaps": 0, "longest_gap_ms": null}));
}

#[test]
fn beyond_the_retention_they_are_found_in_minutes_and_say_so() {
    let own = scratch();
    let kept = [("retention", "30d")];
    let mut node = Node::over(own.path(), &kept).simulated(1, 3).with_clock_at(NOW);
    let mut sent: Vec<Value> = Vec::new();
    for minute in 0..60 {
        let celsius = if (10..20).contains(&minute) { 9 } else { 5 };
        sent.push(nth_of("d", minute, celsius));
        // Inside again in the same minute, which minutes don't tell.
        sent.push(json_reading("d", "cold", 5, START + minute * MINUTE + 45_000));
    }
    node.accept(&sent.into());
    node.limit("cold", &json!({"low_c": 2, "high_c": 8}));
    let range = minutes(0, 60);
    let exact = excursions(&mut node, &range);
    assert_eq!(exact.len(), 10);
    check_fields(&exact[0], &json!({"resolution": "reading", "readings": 1}));
    prune_before(&mut node, START + 15 * MINUTE);
    let answer = node.read(&format!("/v1/regions/cold/excursions?{range}"));
    assert_eq!(answer["kept_from"], instant(START + 15 * MINUTE));
    let found = answer["excursions"].as_array().unwrap();
    check_fields(
        &found[0],
        &json!({
            "resolution": "minute", "begin": instant(START + 10 * MINUTE), "readings": null,
            "devices": null, "device_ids": null, "extreme_device": null, "extreme_c": 9.0,
        }),
    );
    // The rest of them is found exactly; the first one of it goes on from the minutes.
    assert_eq!(found[0]["end"], instant(START + 15 * MINUTE + 45_000));
    assert_eq!(found.len(), 1 + 4, "{found:?}");
    check_fields(&found[1], &json!({"resolution": "reading", "begin": minute(16)}));
    // Of a device there are no minutes.
    let of_device = node.read(&format!("/v1/devices/d/excursions?{range}"));
    assert_eq!(of_device["kept_from"], instant(START + 15 * MINUTE));
    assert_eq!(of_device["excursions"].as_array().unwrap().len(), 5);
    prune_before(&mut node, START + 2 * HOUR);
    let found = excursions(&mut node, &range);
    assert_eq!(found.len(), 1);
    check_fields(
        &found[0],
        &json!({
            "resolution": "minute", "begin": instant(START + 10 * MINUTE),
            "end": instant(START + 20 * MINUTE), "duration_ms": 10 * MINUTE, "extreme_c": 9.0,
        }),
    );
    assert!(minutes_of(&found[0]) >= 11);
}

/// Has the ledger forget what is older, as pruning does.
pub(super) fn prune_before(node: &mut Node, ms: i64) {
    let sql = rusqlite::Connection::open(node.directory().join("regions.db")).unwrap();
    sql.execute("DELETE FROM ledger WHERE minute < ?1", [ms / MINUTE]).unwrap();
    let tally = "INSERT OR REPLACE INTO tallies (name, value) VALUES ('pruned_before', ?1)";
    sql.execute(tally, [ms]).unwrap();
}

#[test]
fn a_sensor_that_is_inside_does_not_end_the_excursion_of_another_one_when_readings_go() {
    let own = scratch();
    let mut node =
        Node::over(own.path(), &[("retention", "30d")]).simulated(1, 3).with_clock_at(NOW);
    // Both send every five minutes, in turn; one is outside for 40 minutes.
    for round in 0..24 {
        let outside = (4..12).contains(&round);
        node.accept(&json!([
            nth_of("d", round * 5, if outside { 9 } else { 5 }),
            nth_of("e", round * 5 + 2, 5),
        ]));
    }
    node.limit("cold", &json!({"high_c": 8, "for": "20m"}));
    let expected = [(minute(20), minute(60))];
    let ends = |found: &[Value]| -> Vec<(Value, Value)> {
        found.iter().map(|e| (e["begin"].clone(), e["end"].clone())).collect()
    };
    assert_eq!(ends(&excursions(&mut node, &minutes(0, 200))), expected);
    for kept_from in [32, 38, 200] {
        prune_before(&mut node, START + kept_from * MINUTE);
        let found = excursions(&mut node, &minutes(0, 200));
        assert_eq!(found.len(), 1, "kept from {kept_from}: {found:?}");
        assert_eq!(found[0]["begin"], instant(START + 20 * MINUTE), "kept from {kept_from}");
        let end = if kept_from < 60 { minute(60) } else { instant(START + 60 * MINUTE) };
        check_fields(&found[0], &json!({"end": end, "resolution": "minute", "extreme_c": 9.0}));
    }
}

#[test]
fn what_a_gap_is_does_not_depend_on_the_range_and_is_in_the_revision() {
    let mut node = node_of(&[5; 20]);
    node.accept(&json!([nth_of("d", 20, 9), nth_of("d", 32, 9), nth_of("d", 33, 5)]));
    // Then it sends every ten minutes.
    let slow = (4..40).map(|n| nth_of("d", n * 10, 5)).collect();
    let of = |node: &mut Node, from, to| {
        let found = excursions(node, &minutes(from, to));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let whole = of(&mut node, 0, 40);
    check_fields(&whole, &json!({"gaps": 1, "longest_gap_ms": 12 * MINUTE}));
    for (from, to) in [(19, 34), (20, 40), (-500, 35)] {
        assert_eq!(of(&mut node, from, to), whole);
    }
    node.accept(&slow);
    let slower = of(&mut node, 0, 40);
    check_fields(&slower, &json!({"gaps": 0, "longest_gap_ms": null, "end": whole["end"]}));
    assert_eq!(minutes_of(&slower), minutes_of(&whole), "none of its minutes has changed");
    assert_ne!(slower["revision"], whole["revision"]);
    assert_eq!(of(&mut node, 0, 400), slower);
    // So do a correction, a name, and a limit.
    let wrong = correction("d", START + 32 * MINUTE + 30_000, json!(9), json!(8.5));
    assert_eq!(correct(&node, &wrong)["state"], "applied");
    let corrected = of(&mut node, 0, 40);
    check_fields(&corrected, &json!({"corrected": 1, "readings": 2}));
    node.limit("cold", &json!({"high_c": 8.25}));
    let limited = of(&mut node, 0, 40);
    let revisions = [&whole, &slower, &corrected, &limited].map(|e| e["revision"].as_i64());
    assert_eq!(BTreeSet::from(revisions).len(), 4, "{revisions:?}");
}

#[test]
fn a_region_without_limits_has_no_excursions_and_that_is_said() {
    let mut node = Node::quiet(&[]);
    node.accept(&json!([nth_of("d", 0, 5)]));
    for (path, detail) in [
        ("/v1/regions/cold/excursions", "the region has no limits; set them"),
        ("/v1/regions/attic/excursions", "unknown region"),
        ("/v1/devices/d/excursions", "no region of the device has limits; set them"),
        ("/v1/devices/e/excursions", "unknown device"),
    ] {
        let answer = node.get(path);
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 404, "{body}");
        assert!(body.contains(detail), "{body}");
    }
    node.limit("cold", &json!({"high_c": 8}));
    for (path, detail) in [
        ("/v1/regions/cold/excursions?for=8d", "for must be 0 or a number with"),
        ("/v1/regions/cold/excursions?gap=x", "gap must be 0 or a number with"),
        ("/v1/devices/d/excursions?from=0", "at most 31 days apart"),
    ] {
        let answer = node.get(path);
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert!(body.contains(detail), "{body}");
    }
    assert_eq!(node.status_of("/v1/regions/cold/excursions?from=0"), 200);
    let answer = node.change(Method::POST, "/v1/regions/cold/excursions", "");
    assert_eq!((answer.status.as_u16(), header(&answer, "allow")), (405, Some("GET, HEAD")));
}

#[test]
fn many_short_ones_are_left_out_on_the_way_and_too_many_are_refused() {
    let mut node = Node::quiet(&[]);
    // On the limit and above it, in turn, for twenty hours.
    let nth = |n: i64| json_reading("d", "cold", 8 + n % 2, START + n * 3_000);
    for thousands in 0..24 {
        node.accept(&(thousands * 1_000..(thousands + 1) * 1_000).map(nth).collect());
    }
    node.read("/v1/regions");
    node.limit("cold", &json!({"high_c": 8, "for": "1m"}));
    let range = minutes(0, 1_200);
    assert_eq!(excursions(&mut node, &range), Vec::<Value>::new());
    let all = node.get(&format!("/v1/regions/cold/excursions?{range}&for=0"));
    let body = String::from_utf8(all.body).unwrap();
    assert_eq!(all.status, 422, "{body}");
    assert!(body.contains("these are too many; narrow it by from and to"), "{body}");
    assert_eq!(excursions(&mut node, &format!("{}&for=0", minutes(0, 60))).len(), 600);
}
