//! A node whose clock is behind or ahead: what is ahead of it waits, and nothing that is
//! right is rejected.

use isotherm::internals::journal::keys;
use serde_json::{Value, json};

use crate::support::assert::{check_fields, check_lines, header};
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, in_hall, instant};

/// A node that has counted one reading of `NOW`.
fn node(variables: &[(&str, &str)]) -> Node {
    let mut node = Node::quiet(variables);
    node.accept(&in_hall("a", NOW));
    assert_eq!(node.hall()["count"], 1);
    node
}

/// The sender is to come again: the node's clock is behind.
#[track_caller]
fn check_waits(node: &mut Node, body: &Value) {
    let answer = node.post(body);
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 503, "{problem}");
    assert_eq!(problem["type"], "urn:isotherm:problem:clock-not-set");
    assert!(header(&answer, "retry-after").is_some());
}

#[test]
fn a_node_whose_clock_is_behind_has_senders_wait_and_rejects_nothing() {
    let mut node = node(&[("retention", "7d")]);
    // A gateway without a clock chip starts in 1970, or some days or an hour ago.
    for now in [1_000, NOW - 3 * DAY, NOW - HOUR] {
        node.set_clock(now);
        check_waits(&mut node, &in_hall("b", NOW + 5));
        check_waits(&mut node, &json!([in_hall("b", NOW), in_hall("b", NOW + HOUR)]));
    }
    // With a clock that is right, a device that is ahead is told so.
    node.set_clock(NOW + 1_000);
    let answer = node.post(&in_hall("b", NOW + DAY));
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 422, "{problem}");
    assert_eq!(problem["type"], "urn:isotherm:problem:nothing-valid");
    assert_eq!(header(&answer, "retry-after"), None);
    // What is not ahead is taken in any case.
    node.set_clock(NOW - DAY);
    node.accept(&in_hall("c", NOW - DAY - HOUR));
}

#[test]
fn a_clock_that_is_behind_is_known_without_what_the_door_knows() {
    let mut node = node(&[("retention", "7d")]);
    node.set_clock(NOW - HOUR);
    // The key-value store is away, or is another one.
    node.set_plan(Plan::key_value_away());
    check_waits(&mut node, &in_hall("b", NOW - 1_000));
    node.set_plan(Plan::none());
    node.remove(keys::DOOR);
    check_waits(&mut node, &in_hall("b", NOW - 1_000));
    let answer = node.post(&json!([in_hall("c", NOW - HOUR), in_hall("b", NOW - 1_000)]));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    check_fields(&body, &json!({"accepted": 2, "waiting_for_clock": 1}));
}

#[test]
fn a_sender_waits_for_the_clock_although_a_new_name_is_rejected_beside_it() {
    let mut node = node(&[("retention", "7d"), ("devices_max", "1")]);
    node.accept_and_wait(&in_hall("a", NOW + 1));
    node.set_clock(NOW - HOUR);
    // The only one that is not ahead is of a new device.
    check_waits(&mut node, &json!([in_hall("new", NOW - HOUR), in_hall("a", NOW - 1_000)]));
}

#[test]
fn a_backlog_that_crosses_a_clock_that_is_behind_is_kept_until_it_is_set() {
    let mut node = node(&[("retention", "7d")]);
    // Two days of a gateway's backlog meet a node that is a day behind.
    node.set_clock(NOW - DAY);
    let one = |i: i64| in_hall("b", NOW - 2 * DAY + i * 5 * MINUTE + 1);
    let answer = node.send(&(0..576).map(one).collect(), true);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 202, "{body}");
    check_fields(&body, &json!({"accepted": 576, "rejected": []}));
    let waiting = body["waiting_for_clock"].as_i64().unwrap();
    assert!((280..290).contains(&waiting), "{waiting}");
    let told = json!({"quarantined_readings": waiting, "count": 577 - waiting});
    check_fields(&node.hall(), &told);
    // An operator may ask, and nothing ahead is counted.
    assert_eq!(node.retry()["quarantined_readings"], waiting);
    // The clock is set: what is done after an answer brings them back.
    node.set_clock(NOW + 1_000);
    let batch: Value = (0..10_000).map(|i| in_hall("c", NOW - i)).collect();
    for _ in 0..60 {
        node.accept(&batch);
        let body = node.hall();
        if body["quarantined_readings"] == 0 {
            assert_eq!(body["count"], 577 + 10_000);
            return;
        }
    }
    panic!("they never came back");
}

#[test]
fn a_lone_device_that_is_ahead_is_rejected_although_the_clock_was_once_far_ahead() {
    let mut node = Node::quiet(&[("retention", "0")]);
    node.accept_and_wait(&(0..168).map(|hour| in_hall("a", NOW - hour * HOUR)).collect());
    // For a while, clock and devices were ten days ahead.
    node.set_clock(NOW + 10 * DAY);
    node.accept(&in_hall("a", NOW + 10 * DAY));
    node.hall();
    node.set_clock(NOW);
    node.accept(&in_hall("a", NOW + 1));
    node.hall();
    node.reject(&in_hall("lone", NOW + HOUR));
    let mut batch: Vec<Value> = (6..105).map(|i| in_hall("b", NOW - i * MINUTE)).collect();
    batch.push(in_hall("lone", NOW + 10 * MINUTE));
    let body = node.accept(&json!(batch));
    assert_eq!(body["accepted"], 99, "{body}");
    assert_eq!(body["rejected"][0]["reason"], "in_future");
}

#[test]
fn the_newest_reading_is_not_one_of_the_future() {
    let mut node = Node::quiet(&[("retention", "0")]).with_clock_at(NOW + 30 * DAY);
    node.accept_and_wait(&json!([in_hall("b", NOW - HOUR), in_hall("a", NOW + 30 * DAY)]));
    node.set_clock(NOW);
    let body = node.hall();
    check_fields(&body, &json!({"newest": instant(NOW - HOUR), "count": 2}));
    let age = body["newest_age_ms"].as_i64().unwrap();
    assert!((HOUR..HOUR + MINUTE).contains(&age), "{age}");
    assert_eq!(node.read("/v1/regions")["regions"][0]["newest"], instant(NOW - HOUR));
    let seconds = (NOW - HOUR) / 1_000;
    let name = "isotherm_region_newest_reading_timestamp_seconds";
    check_lines(&node.metrics(), &[&format!("{name}{{region=\"hall\"}} {seconds}")]);
}
