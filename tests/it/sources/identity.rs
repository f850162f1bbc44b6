//! Messages without a time: what of them counts once, and that they are counted apart.

use http::Method;
use isotherm::http::Request;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{HOUR, MINUTE, NOW, instant, shuffled};
use crate::support::tables::Tier;

/// A mapping of `{"id":…,"t":…,"n":…}` in the region `hall`, without a time.
fn timeless() -> Value {
    json!({
        "body": "json", "take": [{"value": "t", "unit": "C"}], "device": ["@id"],
        "region": ["hall"], "id": "n", "time": {"missing": "received"},
    })
}

fn node_with(mapping: &Value) -> Node {
    let mut node = Node::quiet(&[("retention", "30d")]);
    node.source("probe", mapping);
    node
}

fn told(id: &str, celsius: f64, number: u32) -> String {
    json!({"id": id, "t": celsius, "n": number}).to_string()
}

#[test]
fn a_message_that_is_sent_again_counts_once_by_its_number() {
    let mut node = node_with(&timeless());
    let messages: Vec<String> = (0..40)
        .flat_map(|number| ["a", "b"].map(|id| told(id, f64::from(number) / 8.0, number)))
        .collect();
    let again: Vec<String> = messages.iter().chain(&messages).chain(&messages).cloned().collect();
    for (index, message) in shuffled(&again, 7).iter().enumerate() {
        node.set_clock(NOW + i64::try_from(index).unwrap() * MINUTE);
        node.message("probe", message);
        if index % 17 == 0 {
            node.hall();
        }
        if index % 50 == 49 {
            node.restart(&[("retention", "30d")]);
        }
    }
    let sum: i64 = (0..40).map(|number| number * 125 * 2).sum();
    let expected =
        json!({"count": 80, "sum_millicelsius": sum, "time_assumed": 80, "conflicts": 0});
    check_fields(&node.hall(), &expected);
    check_fields(&node.seen("probe"), &json!({"kept": 80, "time_assumed": 80}));
}

#[test]
fn the_same_number_with_another_value_is_a_conflict_and_much_later_another_reading() {
    let mut node = node_with(&timeless());
    node.message("probe", &told("a", 20.0, 65_534));
    let first = node.now.get();
    node.set_clock(NOW + 5 * HOUR);
    node.message("probe", &told("a", 21.0, 65_534));
    check_fields(&node.hall(), &json!({"count": 1, "conflicts": 1, "newest": instant(first)}));
    // A counter that has wrapped.
    node.set_clock(NOW + 7 * HOUR);
    node.message("probe", &told("a", 21.0, 65_534));
    check_fields(&node.hall(), &json!({"count": 2, "conflicts": 1, "average_c": 20.5}));
    // The number of one device says nothing of another.
    node.message("probe", &told("b", 20.0, 65_534));
    assert_eq!(node.hall()["count"], 3);
}

#[test]
fn numbers_hold_while_the_database_is_away() {
    let mut node = node_with(&timeless());
    node.set_plan(Plan::sqlite_away());
    for (minutes, number) in [(0, 1), (1, 2), (2, 1), (3, 3), (4, 2), (5, 1)] {
        node.set_clock(NOW + minutes * MINUTE);
        node.message("probe", &told("a", 20.0, number));
    }
    node.set_plan(Plan::none());
    node.set_clock(NOW + HOUR);
    check_fields(&node.hall(), &json!({"count": 3, "duplicates": 3, "time_assumed": 3}));
}

#[test]
fn what_has_an_assumed_time_is_counted_apart_in_every_window() {
    let mut node = node_with(&timeless());
    for number in 0..30 {
        node.set_clock(NOW + i64::from(number) * 10 * MINUTE);
        node.message("probe", &told("a", 20.0, number));
        let own_time = node.now.get();
        node.accept(&crate::support::readings::json_reading("b", "hall", 10, own_time));
    }
    check_fields(&node.hall(), &json!({"count": 60, "time_assumed": 30}));
    for span in Tier::ALL {
        let all = node.windows_of(span);
        let assumed: i64 = all.iter().map(|window| window.assumed).sum();
        assert_eq!(assumed, 30, "{span:?}");
    }
    // Taking one of them out takes it out of the count.
    let newest = node.read("/v1/devices/a/readings?limit=1")["readings"][0].clone();
    let correction = json!({
        "device_id": "a", "timestamp": newest["timestamp"], "expect_c": 20.0,
        "temperature_c": null, "reason": "test",
    });
    let response = node.change(Method::POST, "/v1/corrections", &correction.to_string());
    assert!(response.status.is_success(), "{}", String::from_utf8_lossy(&response.body));
    check_fields(&node.hall(), &json!({"count": 59, "time_assumed": 29}));
}

#[test]
fn a_slot_makes_repeats_and_echoes_one_reading() {
    let mut mapping = timeless();
    mapping["time"]["slot_ms"] = json!(60_000);
    let mut node = node_with(&mapping);
    let slot = NOW - NOW % MINUTE + MINUTE;
    for (ms, celsius) in [(0, 30.5), (1_600, 30.5), (11_700, 30.5), (59_000, 30.5), (61_000, 30.5)]
    {
        node.set_clock(slot + ms);
        node.message("probe", &json!({"id": "a", "t": celsius}).to_string());
    }
    check_fields(&node.hall(), &json!({"count": 2, "conflicts": 0}));
    node.set_clock(slot + 62_000);
    node.message("probe", &json!({"id": "a", "t": 31.5}).to_string());
    check_fields(&node.hall(), &json!({"count": 2, "conflicts": 1}));
}

#[test]
fn several_values_of_one_device_without_times_are_refused_whole() {
    let mapping = json!({
        "body": "json", "each": "/*", "take": [{"value": "t", "unit": "C"}], "device": ["@id"],
        "region": ["hall"], "time": {"missing": "received"}, "strict": true,
    });
    let mut node = node_with(&mapping);
    let flush = json!([{"id": "a", "t": 1}, {"id": "a", "t": 2}, {"id": "b", "t": 3}]).to_string();
    let response = node.deliver(&Request::post("/v1/in/probe"), &flush);
    assert_eq!(response.status, 422);
    let said: Value = serde_json::from_slice(&response.body).unwrap();
    assert!(said["errors"].as_array().unwrap().iter().any(|e| e["reason"] == "missing_timestamp"));
    let of_a = json!([{"id": "a", "t": 1}, {"id": "b", "t": 3}]).to_string();
    assert_eq!(node.message("probe", &of_a), 204);
    assert_eq!(node.hall()["count"], 2);
}

#[test]
fn a_node_without_the_time_assumes_none() {
    let mut node = node_with(&timeless());
    node.set_clock(1_000);
    let response = node.deliver(&Request::post("/v1/in/probe"), &told("a", 20.0, 1));
    assert_eq!(response.status, 503, "{}", String::from_utf8_lossy(&response.body));
    // Neither does one that is behind what it counted.
    node.set_clock(NOW);
    node.message("probe", &told("a", 20.0, 1));
    node.hall();
    node.set_clock(NOW - HOUR);
    let response = node.deliver(&Request::post("/v1/in/probe"), &told("a", 20.0, 2));
    assert_eq!(response.status, 503, "{}", String::from_utf8_lossy(&response.body));
}
