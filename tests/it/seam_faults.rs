//! Every host call fails once, and for ever from there, before and after it did
//! its work. A sensor sends until it is acknowledged; when all is well again,
//! the state is that of a run without faults.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{HOUR, START, json_reading};
use crate::support::tables::{Stored, Window};

/// As a sensor: again until it is acknowledged. After some attempts, a human
/// repairs what is broken for good.
fn deliver(node: &mut Node, body: &Value, waits: bool) {
    for attempt in 0..40 {
        if attempt == 3 {
            node.host.plan.heal();
        }
        let response = node.send(body, waits);
        match response.status.as_u16() {
            200 | 202 => return,
            503 => {}
            other => panic!("{other}: {}", String::from_utf8_lossy(&response.body)),
        }
    }
    panic!("not acknowledged though everything is well");
}

fn batch(from: i64, count: i64) -> Value {
    let one = |i: i64| {
        let (device, region) = (format!("d{}", i % 5), format!("r{}", i % 2));
        json_reading(&device, &region, i % 900, START - HOUR + i / 5 * 400)
    };
    (from..from + count).map(one).collect()
}

/// The ledger and the windows by their names; without what the order of arrival and the
/// number of attempts decide.
type State = (BTreeSet<Stored>, Vec<Window>);

fn state(node: &Node) -> State {
    let timeless = |window| Window { revision: 0, duplicates: 0, conflicts: 0, ..window };
    (node.ledger(), node.windows().into_iter().map(timeless).collect())
}

/// The whole story once, under a plan. Returns the state at its end and how
/// many host calls it took.
fn story(plan: Plan) -> (State, usize) {
    let mut node = Node::new(&[]).simulated(1, 7);
    node.set_plan(plan);

    deliver(&mut node, &batch(0, 20), false);
    node.get("/v1/regions");
    deliver(&mut node, &batch(10, 20), true);
    for i in 0..4 {
        deliver(&mut node, &batch(30 + i * 3, 5), false);
    }
    // Enough that the request folds after its answer, by the dice of this seed.
    deliver(&mut node, &batch(44, 3_000), false);
    node.get("/v1/regions/r1");
    deliver(&mut node, &batch(3_044, 10), true);

    node.host.plan.heal();
    for _ in 0..20 {
        let response = node.get("/v1/regions");
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        if response.status == 200 && body["unfolded_entries"] == 0 && body["stale"] == false {
            assert_eq!(body["quarantined_readings"], 0);
            return (state(&node), node.host.plan.calls());
        }
    }
    panic!("it does not recover: {:?}", node.host.inner.logged());
}

/// Whatever call fails by its plan, the state at the end is that of a run without faults.
fn check(plan: impl Fn(usize) -> Plan) {
    let (expected, calls) = story(Plan::none());
    assert_eq!(expected.0.len(), 3_054);
    assert!(calls > 60, "{calls} calls are hardly the whole story");
    for first in 1..=calls {
        let (actual, _) = story(plan(first));
        assert!(actual == expected, "with call {first} of {calls} failing");
    }
}

#[test]
fn any_call_may_fail_once() {
    check(Plan::fail);
}

#[test]
fn any_call_may_be_the_last_before_a_repair() {
    check(|first| Plan::fail(first).for_ever());
}

#[test]
fn any_answer_may_get_lost_once() {
    check(|first| Plan::fail(first).after_its_work());
}

#[test]
fn all_answers_may_get_lost_until_a_repair() {
    check(|first| Plan::fail(first).for_ever().after_its_work());
}
