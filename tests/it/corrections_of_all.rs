//! Whole devices and regions: renamed, merged, withdrawn.

use serde_json::{Value, json};

use crate::corrections::{cold_room, correct};
use crate::corrections_model::figures;
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{MINUTE, NOW, json_reading};
use crate::support::tables::{Tier, Window};

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
pub(crate) fn in_steps(node: &Node, mut body: Value) -> (i64, usize) {
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
