//! Merges, one after the other and beside other corrections: no reading stays behind, goes
//! back or counts twice.

use serde_json::{Value, json};

use crate::corrections::{correct, correction, post};
use crate::corrections_model::figures;
use crate::corrections_of_all::in_steps;
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{HOUR, MINUTE, NOW, json_reading};
use crate::support::tables::Window;

/// When the n-th reading was measured.
fn time(n: i64) -> i64 {
    NOW - n * 7 * MINUTE
}

/// `count` readings of a device, as it sends them to the region.
fn readings(device: &str, region: &str, count: i64) -> Value {
    (0..count).map(|n| json_reading(device, region, n % 40, time(n))).collect()
}

fn node_with(all: &[(&str, &str, i64)]) -> Node {
    let mut node = Node::quiet(&[("retention", "0")]);
    for (device, region, count) in all {
        node.accept_and_wait(&readings(device, region, *count));
    }
    node
}

fn windows(node: &Node) -> Vec<Window> {
    node.windows().into_iter().filter_map(figures).collect()
}

fn merge_regions(node: &Node, from: &str, into: &str) -> i64 {
    in_steps(node, json!({"region": from, "rename": into, "reason": "one room"})).0
}

fn merge_devices(node: &Node, from: &str, into: &str) -> i64 {
    in_steps(node, json!({"device_id": from, "rename": into, "reason": "one sensor"})).0
}

fn names(node: &Node, list: &str, field: &str) -> Vec<String> {
    let body = node.look_at(&format!("/v1/{list}"));
    let all = body[list].as_array().unwrap().iter();
    all.map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_region_that_got_another_one_is_merged_with_all_that_it_got() {
    let all = [("a", "r1", 40), ("b", "r2", 3), ("c", "r3", 1)];
    let node = node_with(&all);
    assert_eq!(merge_regions(&node, "r1", "r2"), 40);
    assert_eq!(merge_regions(&node, "r2", "r3"), 43);
    assert_eq!(names(&node, "regions", "region"), ["r3"]);
    let plain = node_with(&all.map(|(device, _, count)| (device, "r3", count)));
    assert_eq!(windows(&node), windows(&plain));
    for name in ["r1", "r2", "r3"] {
        check_fields(&node.look_at(&format!("/v1/regions/{name}")), &json!({"count": 44}));
    }
}

#[test]
fn a_reading_that_is_changed_after_a_merge_stays_where_it_is() {
    let mut node = node_with(&[("a", "r1", 40), ("b", "r2", 1)]);
    merge_regions(&node, "r1", "r2");
    // Each has another hash, so whatever depends on it comes both ways.
    for n in 0..20 {
        let answer = correct(&node, &correction("a", time(n), json!(n), json!(n + 100)));
        assert_eq!(answer["state"], "applied");
    }
    for n in 20..40 {
        correct(&node, &correction("a", time(n), json!(n), Value::Null));
    }
    assert_eq!(names(&node, "regions", "region"), ["r2"]);
    check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": 21, "max_c": 119.0}));
    for n in 20..40 {
        correct(&node, &correction("a", time(n), Value::Null, json!(n)));
    }
    check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": 41, "max_c": 119.0}));
    // So does what goes on to a third region.
    node.accept_and_wait(&readings("c", "r3", 1));
    merge_regions(&node, "r2", "r3");
    check_fields(&node.look_at("/v1/regions/r3"), &json!({"count": 42, "max_c": 119.0}));
    assert_eq!(names(&node, "regions", "region"), ["r3"]);
}

#[test]
fn a_reading_that_was_withdrawn_before_a_merge_is_taken_back_into_the_other_region() {
    let node = node_with(&[("a", "r1", 20), ("b", "r2", 1)]);
    for n in 0..10 {
        correct(&node, &correction("a", time(n), json!(n), Value::Null));
    }
    merge_regions(&node, "r1", "r2");
    check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": 11}));
    for n in 0..10 {
        correct(&node, &correction("a", time(n), Value::Null, json!(n)));
    }
    assert_eq!(names(&node, "regions", "region"), ["r2"]);
    check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": 21}));
}

#[test]
fn a_region_is_withdrawn_again_with_the_same_words() {
    let node = node_with(&[("a", "r1", 20)]);
    let withdrawal = json!({"region": "r1", "withdraw": true, "reason": "a test"});
    assert_eq!(in_steps(&node, withdrawal.clone()).0, 20);
    for n in 0..5 {
        correct(&node, &correction("a", time(n), Value::Null, json!(n)));
    }
    check_fields(&node.look_at("/v1/regions/r1"), &json!({"count": 5}));
    for withdrawn in [5, 0] {
        assert_eq!(in_steps(&node, withdrawal.clone()).0, withdrawn);
        check_fields(&node.look_at("/v1/regions/r1"), &json!({"count": 0}));
    }
    let list = node.look_at("/v1/corrections?limit=1000");
    let all = list["corrections"].as_array().unwrap();
    let again = all.iter().filter(|one| one["reason"] == "a test (2)").count();
    assert_eq!((all.len(), again), (30, 5));
}

#[test]
fn a_reading_that_comes_late_while_a_region_or_a_device_is_merged_is_merged_too() {
    for (whole, from, into) in [("region", "r1", "r2"), ("device_id", "a", "b")] {
        let mut node = node_with(&[("a", "r1", 2_500), ("b", "r2", 1)]);
        let mut body = json!({whole: from, "rename": into, "reason": "one"});
        let answer = correct(&node, &body);
        assert_eq!(answer["done"], false);
        body["from"] = answer["from"].clone();
        // Before where the next step begins, in the first hour and in a day between.
        for ms in [time(2_499) + 1, time(2_300) + 1] {
            node.accept_and_wait(&json_reading("a", "r1", 30, ms));
        }
        in_steps(&node, body);
        let (list, field) =
            if whole == "region" { ("regions", "region") } else { ("devices", whole) };
        let left = if whole == "region" { vec!["r2"] } else { vec!["b"] };
        assert_eq!(names(&node, list, field), left);
        // A merged device has its readings under both names, but for the one that both had.
        assert_eq!(node.stored(), if whole == "region" { 2_503 } else { 2 * 2_502 });
    }
}

#[test]
fn what_is_named_by_an_old_name_keeps_its_own_name_as_an_alias() {
    let mut node = node_with(&[("a", "r1", 5), ("b", "r9", 1)]);
    correct(&node, &json!({"region": "r1", "rename": "r2", "reason": "x"}));
    correct(&node, &json!({"region": "r1", "rename": "r3", "reason": "x"}));
    for name in ["r1", "r2", "r3"] {
        check_fields(&node.look_at(&format!("/v1/regions/{name}")), &json!({"region": "r3"}));
    }
    merge_regions(&node, "r2", "r9");
    for name in ["r1", "r2", "r3", "r9"] {
        let answer = node.look_at(&format!("/v1/regions/{name}"));
        check_fields(&answer, &json!({"region": "r9", "count": 6}));
    }
    node.accept_and_wait(&json_reading("a", "r3", 1, NOW + 1));
    assert_eq!(names(&node, "regions", "region"), ["r9"]);
}

#[test]
fn one_reading_is_moved_twice_where_both_say_from_where() {
    let node = node_with(&[("a", "r1", 12)]);
    let moved = |n: i64, from: &str, into: &str| {
        let mut body = correction("a", time(n), json!(n), json!(n));
        body["expect_region"] = json!(from);
        body["region"] = json!(into);
        correct(&node, &body)
    };
    for n in 0..12 {
        let first = moved(n, "r1", "r2");
        check_fields(&first, &json!({"state": "applied", "expect_region": "r1", "region": "r2"}));
        check_fields(&moved(n, "r2", "r3"), &json!({"state": "applied"}));
        // Sent again, it tells that it does not stand any more.
        check_fields(&moved(n, "r1", "r2"), &json!({"id": first["id"], "state": "superseded"}));
    }
    check_fields(&node.look_at("/v1/regions/r3"), &json!({"count": 12}));
    assert_eq!(names(&node, "regions", "region"), ["r3"]);
}

/// What becomes of the same readings when they are sent once more, by outcomes.
fn outcomes(node: &mut Node, body: &Value) -> (usize, usize) {
    let answer = node.accept_and_wait(body);
    let all = answer["outcomes"].as_array().unwrap();
    let count = |what: &str| all.iter().filter(|outcome| *outcome == what).count();
    assert_eq!(count("stored"), 0, "{answer}");
    (count("duplicate"), count("conflict"))
}

#[test]
fn a_reading_of_a_merged_region_that_is_sent_again_is_a_duplicate() {
    let mut node = node_with(&[("a", "r1", 20), ("b", "r2", 3), ("c", "r3", 1)]);
    correct(&node, &correction("a", time(1), json!(1), json!(21)));
    correct(&node, &correction("a", time(2), json!(2), Value::Null));
    for (from, into) in [("r1", "r2"), ("r2", "r3")] {
        merge_regions(&node, from, into);
        correct(&node, &json!({"region": into, "rename": format!("{into}-b"), "reason": "x"}));
        let before = node.look_at(&format!("/v1/regions/{into}"));
        for name in ["r1", into] {
            assert_eq!(outcomes(&mut node, &readings("a", name, 20)), (20, 0), "{name}");
        }
        let after = node.look_at(&format!("/v1/regions/{into}"));
        let repeats = before["duplicates"].as_i64().unwrap() + 40;
        check_fields(&after, &json!({"duplicates": repeats, "conflicts": 0}));
        assert_eq!(after["count"], before["count"]);
        correct(&node, &json!({"region": into, "rename": into.to_owned() + "x", "reason": "x"}));
        correct(&node, &json!({"region": into, "rename": into, "reason": "x"}));
    }
    // What stands is a duplicate, too; what is neither contradicts.
    let again = |celsius: i64| json_reading("a", "r1", celsius, time(1));
    assert_eq!(outcomes(&mut node, &again(21)), (1, 0));
    assert_eq!(outcomes(&mut node, &again(22)), (0, 1));
    let elsewhere = json_reading("a", "r4", 1, time(1));
    assert_eq!(outcomes(&mut node, &elsewhere), (0, 1));
    assert_eq!(node.look_at("/v1/conflicts")["seen"], 2);
}

#[test]
fn a_reading_of_a_merged_device_that_is_sent_again_is_a_duplicate() {
    let mut node = node_with(&[("a", "r1", 20), ("b", "r2", 3), ("c", "r2", 1)]);
    correct(&node, &correction("a", time(5), json!(5), json!(25)));
    correct(&node, &correction("a", time(6), json!(6), Value::Null));
    merge_regions(&node, "r1", "r2");
    // The first reading of all three is of one time.
    for (from, into, count) in [("a", "b", 20), ("b", "c", 19)] {
        merge_devices(&node, from, into);
        check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": count, "max_c": 25.0}));
        assert_eq!(outcomes(&mut node, &readings("a", "r1", 20)), (20, 0), "{into}");
        check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": count, "max_c": 25.0}));
        check_fields(&node.look_at("/v1/devices/a"), &json!({"device_id": into, "count": 19}));
    }
    // It can be taken back under each of its names, and stands where the others do.
    correct(&node, &correction("a", time(6), Value::Null, json!(6)));
    check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": 20}));
    assert_eq!(names(&node, "regions", "region"), ["r2"]);
    assert_eq!(names(&node, "devices", "device_id"), ["c"]);
}

#[test]
fn a_merged_device_replaces_what_was_withdrawn_of_the_other() {
    let mut node = Node::quiet(&[("retention", "0")]);
    node.accept_and_wait(&json!([
        json_reading("t-20", "room", 85, NOW),
        json_reading("t-20", "room", 4, NOW - HOUR),
        json_reading("esp32", "hall", 5, NOW),
        json_reading("esp32", "room", 6, NOW - HOUR),
    ]));
    correct(&node, &correction("t-20", NOW, json!(85), Value::Null));
    merge_devices(&node, "esp32", "t-20");
    let device = node.look_at("/v1/devices/t-20");
    check_fields(&device, &json!({"count": 2, "region": "hall", "temperature_c": 5.0}));
    check_fields(&node.look_at("/v1/regions/room"), &json!({"count": 1, "average_c": 4.0}));
    check_fields(&node.look_at("/v1/regions/hall"), &json!({"count": 1, "average_c": 5.0}));
    assert_eq!(node.look_at("/v1/conflicts")["seen"], 2);
    assert_eq!(names(&node, "devices", "device_id"), ["t-20"]);
}

#[test]
fn a_device_can_be_merged_and_withdrawn_after_its_region_was_merged() {
    let node = node_with(&[("a", "r1", 20), ("b", "r1", 3), ("c", "r2", 1)]);
    merge_devices(&node, "a", "b");
    merge_regions(&node, "r1", "r2");
    merge_devices(&node, "b", "c");
    check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": 20, "devices": 1}));
    let withdrawal = json!({"device_id": "b", "withdraw": true, "reason": "a test"});
    assert_eq!(in_steps(&node, withdrawal).0, 20);
    check_fields(&node.look_at("/v1/regions/r2"), &json!({"count": 0}));
    let (status, _) = post(&node, &json!({"region": "r9", "rename": "r2", "reason": "x"}));
    assert_eq!(status, 404);
}
