//! What an answer costs: bytes of the database, time for folding, and questions that are
//! refused because they ask for too much.

use isotherm::limits;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{HOUR, NOW, in_hall, reading};

/// Windows of an hour, of a new region, as many since 1970.
fn fill_hours(node: &Node, region: &str, hours: i64) {
    node.execute(&format!("INSERT INTO regions (name) VALUES ('{region}')"));
    node.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT {hours}) \
         INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                              min, max, oldest, newest) \
         SELECT (SELECT id FROM regions WHERE name = '{region}'), 60, i * 60, 1, 0, 0, 0, 0, \
                0, i * 3600000, i * 3600000 FROM n"
    ));
}

/// Windows of a day, of the hall, where it has none.
fn fill_days(node: &Node, days: i64) {
    node.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT {days}) \
         INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                              min, max, oldest, newest) \
         SELECT (SELECT id FROM regions WHERE name = 'hall'), 1440, i * 1440, 1, 0, 0, 0, 0, 0, \
                0, 0 FROM n WHERE i NOT IN (SELECT start / 1440 FROM windows WHERE span = 1440)"
    ));
}

#[test]
fn a_range_that_is_too_wide_is_refused_and_is_no_outage() {
    let mut node = Node::quiet(&[("retention", "0")]);
    node.accept_and_wait(&in_hall("a", NOW));
    // Hours since 1970, of some regions: more than an answer is made of, though they
    // have no days.
    for region in ["r1", "r2"] {
        fill_hours(&node, region, NOW / HOUR);
    }
    // Days that begin an hour late have two edges of hours each.
    node.read("/v1/regions/r1/windows?from=1970-04-27T01:00:00Z&step=1d");
    fill_days(&node, 600_000);
    for path in ["/v1/regions/hall?from=0", "/v1/regions?from=0"] {
        let answer = node.get(path);
        assert_eq!(answer.status, 422, "{path}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["type"], "urn:isotherm:problem:too-much-asked");
        assert!(problem["detail"].as_str().unwrap().contains("narrow"), "{problem}");
    }
    for _ in 0..5 {
        assert_eq!(node.status_of("/v1/regions?from=0"), 422);
    }
    check_fields(&node.read("/readyz"), &json!({"status": "ready", "breaker": "closed"}));
    node.hall();
}

#[test]
fn a_page_of_devices_costs_what_is_on_it() {
    let mut node = Node::quiet(&[("retention", "0")]);
    for batch in 0..4 {
        let one = |i: i64| in_hall(&format!("d{:05}", batch * 10_000 + i), NOW - batch);
        node.accept_and_wait(&(0..10_000).map(one).collect());
    }
    let mut bytes = |path: &str| {
        // Which counts from here.
        node.set_plan(Plan::none());
        let body = node.read(path);
        (node.host.plan.bytes(), body)
    };
    let (first, body) = bytes("/v1/regions/hall/devices?limit=1");
    assert_eq!(body["devices"][0]["device_id"], "d00000");
    let (last, body) = bytes("/v1/regions/hall/devices?limit=1&after=d39998");
    assert_eq!((&body["devices"][0]["device_id"], body.get("next")), (&json!("d39999"), None));
    // A run is two kilobytes; all of them would be hundreds.
    assert!(first < 8_000 && last < 8_000, "{first} and {last} bytes of the database");
    let (one, body) = bytes("/v1/devices/d20000");
    assert_eq!(body["count"], 1);
    assert!(one < 8_000, "{one} bytes of the database");
}

#[test]
fn a_backlog_is_folded_within_the_time_and_the_rest_after_the_answer() {
    // Every look at the clock takes 30 ms, so a step takes some.
    let node = Node::new(&[]).simulated(30, 3).with_clock_at(NOW);
    for entry in 0..10 {
        let one = |i: i64| reading("d", "hall", 1, NOW - entry * 10_000 - i);
        node.journal(&(0..10_000).map(one).collect::<Vec<_>>());
    }
    let before = node.keys("journal/");
    let request = isotherm::http::Request::get("/v1/regions/hall");
    let answered = isotherm::api::router::answer(&node.host, &request, node.now);
    let waiting = node.keys("journal/");
    assert!(waiting > 0 && waiting < before, "one step is all there was time for");
    answered.after_answer.run(&node.host, node.now).unwrap();
    let body: Value = serde_json::from_slice(&answered.response.body).unwrap();
    assert!(body["unfolded_entries"].as_u64().unwrap() > 0, "{body}");
    assert_eq!(node.keys("journal/"), 0, "what is left is folded when nobody waits");
}

#[test]
fn a_database_that_is_slow_to_fail_is_not_asked_again_at_once() {
    let mut node = Node::quiet(&[]);
    node.accept_and_wait(&in_hall("a", NOW));
    // Each call to it fails after longer than the first cool-down.
    node.set_plan(Plan::sqlite_away().after_ms(limits::REGIONS_RESPONSE_MS_MAX + 100));
    for _ in 0..limits::BREAKER_FAILURES_TO_OPEN {
        assert!(matches!(node.status_of("/v1/regions/hall"), 200 | 503));
    }
    let before = node.host.plan.sqlite_calls();
    node.get("/v1/regions/hall");
    assert_eq!(node.host.plan.sqlite_calls(), before, "it is asked again at once");
}
