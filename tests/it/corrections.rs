//! Corrections: what stands after them, in every tier; and whole devices and regions.

use http::Method;
use isotherm::api::router;
use isotherm::http::Request;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, instant, json_reading};

pub(crate) fn post(node: &Node, body: &Value) -> (u16, Value) {
    let mut request = Request::get("/v1/corrections");
    request.method = Method::POST;
    let body = body.to_string();
    let answered = router::answer_with(&node.host, &request, body.as_bytes(), node.now);
    let json = serde_json::from_slice(&answered.response.body).unwrap_or_default();
    (answered.response.status.as_u16(), json)
}

pub(crate) fn correct(node: &Node, body: &Value) -> Value {
    let (status, answer) = post(node, body);
    assert_eq!(status, 200, "{answer}");
    answer
}

pub(crate) fn correction(device: &str, at: i64, expected: Value, temperature: Value) -> Value {
    json!({
        "device_id": device, "timestamp": at, "expect_c": expected, "temperature_c": temperature,
        "reason": "the sensor was reset",
    })
}

pub(crate) fn cold_room() -> Node {
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
fn what_was_taken_back_is_withdrawn_again_by_other_words_alone() {
    let node = cold_room();
    let at = NOW - 3 * MINUTE;
    let withdrawal = correction("probe", at, json!(85), Value::Null);
    let back = correction("probe", at, Value::Null, json!(85));
    assert_eq!(correct(&node, &withdrawal)["state"], "applied");
    assert_eq!(correct(&node, &back)["state"], "applied");
    // The same words are the same correction, which was applied before.
    assert_eq!(correct(&node, &withdrawal)["state"], "superseded");
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 5, "max_c": 85.0}));
    let list = node.look_at("/v1/corrections");
    let state = |words: &Value| {
        let mut all = list["corrections"].as_array().unwrap().iter();
        all.find(|one| one["expect_c"] == words["expect_c"]).unwrap()["state"].clone()
    };
    let withdrawn = json!({"expect_c": 85.0});
    assert_eq!((state(&withdrawn), state(&back)), (json!("superseded"), json!("applied")));
    let mut again = withdrawal;
    again["reason"] = json!("it was reset all the same");
    assert_eq!(correct(&node, &again)["state"], "applied");
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 4, "max_c": -19.0}));
}

#[test]
fn a_reading_that_was_moved_stays_where_it_is_when_its_temperature_is_corrected() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let time = |n: i64| NOW - n * MINUTE;
    node.accept_and_wait(&(0..12).map(|n| json_reading("d", "r1", n, time(n))).collect());
    for n in 0..12 {
        let mut moved = correction("d", time(n), json!(n), json!(n));
        moved["region"] = json!("r2");
        correct(&node, &moved);
        let changed = correction("d", time(n), json!(n), json!(n + 20));
        assert_eq!(correct(&node, &changed)["state"], "applied");
    }
    let moved = json!({"count": 12, "min_c": 20.0});
    check_fields(&node.look_at("/v1/regions/r2"), &moved);
}

#[test]
fn a_device_is_corrected_by_a_name_that_it_had() {
    let node = cold_room();
    correct(&node, &json!({"device_id": "probe", "rename": "p-1", "reason": "labelled"}));
    let withdrawal = correction("probe", NOW - 3 * MINUTE, json!(85), Value::Null);
    let answer = correct(&node, &withdrawal);
    check_fields(&answer, &json!({"ack": "folded", "device_id": "p-1", "state": "applied"}));
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
        with("expect_region", json!("a/b")),
        with("expect_region", json!(1)),
        json!({"device_id": "probe", "rename": "p", "expect_region": "cold", "reason": "x"}),
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
    let mut stays = correction("probe", NOW, json!(1), json!(1));
    (stays["expect_region"], stays["region"]) = (json!("cold"), json!("cold"));
    assert_eq!(post(&node, &stays).0, 400);
    assert_eq!(post(&node, &json!({"region": "x", "withdraw": true, "reason": "x"})).0, 404);
    check_fields(&node.look_at("/v1/regions/cold"), &json!({"count": 5, "corrected": 0}));
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
