//! Stores and links that fail: nothing is lost, nothing is counted twice, and the sender goes
//! on by itself.

use serde_json::json;

use super::linked::{Linked, Quality};
use crate::support::faulty::Plan;
use crate::support::readings::{NOW, json_reading};

/// How a call fails: which, for how long, and whether its answer alone gets lost.
fn plans(call: usize) -> [Plan; 4] {
    let plan = || Plan::fail(call);
    [plan(), plan().for_ever(), plan().after_its_work(), plan().for_ever().after_its_work()]
}

/// After what went wrong: the hub has all that the gateway has, and nothing is left to send.
fn check(linked: &mut Linked, what: &str) {
    for _ in 0..4 {
        linked.beat();
        linked.hub.fold();
        if linked.state()["peers"][0]["behind_readings"] == 0 {
            break;
        }
    }
    assert_eq!(linked.hub.counted_as(), linked.gateway.counted_as(), "{what}");
    let state = linked.state();
    let peer = &state["peers"][0];
    assert_eq!(
        [&peer["behind_readings"], &peer["behind_minutes"], &peer["batches_under_way"]],
        [&json!(0), &json!(0), &json!(0)],
        "{what}: {state:#}"
    );
    assert_eq!(peer["error"], json!(null), "{what}");
}

fn send_some(linked: &mut Linked, count: &mut i64) {
    for _ in 0..3 {
        *count += 1;
        let reading = json_reading(&format!("d{}", *count % 5), "hall", 20, NOW - 997 * *count);
        linked.gateway.accept(&reading);
    }
}

/// As many of the calls of a beat as are made to fail: later ones repeat.
const CALLS_MAX: usize = 160;

#[test]
fn whatever_call_of_the_sender_fails_the_next_beat_goes_on() {
    let mut linked = Linked::new(&[]);
    let mut count = 0;
    send_some(&mut linked, &mut count);
    linked.gateway.set_plan(Plan::none());
    linked.beat();
    let calls = linked.gateway.host.plan.calls();
    assert!(calls > 100, "{calls} calls are hardly all");
    for call in 1..=calls.min(CALLS_MAX) {
        for plan in plans(call) {
            send_some(&mut linked, &mut count);
            linked.gateway.set_plan(plan);
            linked.beat();
            linked.gateway.set_plan(Plan::none());
            check(&mut linked, &format!("call {call}"));
        }
    }
}

#[test]
fn whatever_call_of_the_receiver_fails_the_next_beat_goes_on() {
    let mut linked = Linked::new(&[]);
    let mut count = 0;
    send_some(&mut linked, &mut count);
    let plan = linked.set_plan_of_hub(Plan::none());
    linked.beat();
    let calls = plan.calls();
    assert!(calls > 40, "{calls} calls are hardly all");
    for call in 1..=calls.min(CALLS_MAX) {
        for plan in plans(call) {
            send_some(&mut linked, &mut count);
            linked.set_plan_of_hub(plan);
            linked.beat();
            linked.set_plan_of_hub(Plan::none());
            check(&mut linked, &format!("call {call}"));
        }
    }
}

#[test]
fn a_link_that_is_cut_or_loses_answers_delays_and_loses_nothing() {
    let mut linked = Linked::new(&[]);
    let mut count = 0;
    for quality in [
        Quality::Cut,
        Quality::Deaf,
        Quality::Answers(503),
        Quality::Answers(429),
        Quality::Answers(200),
    ] {
        linked.set_link(quality);
        for _ in 0..3 {
            send_some(&mut linked, &mut count);
            linked.beat();
        }
        let state = linked.state();
        assert_eq!(state["peers"][0]["reachable"], false, "{quality:?}: {state:#}");
        assert!(state["peers"][0]["error"].is_string());
        assert!(state["peers"][0]["behind_readings"].as_i64().unwrap() >= 9);
        linked.set_link(Quality::Good);
        linked.pass(300_000);
        check(&mut linked, &format!("{quality:?}"));
    }
}

#[test]
fn a_peer_that_refuses_is_asked_again_after_five_minutes_and_not_before() {
    // 415 is that of a release that does not know such batches, or not this version of them.
    for status in [401, 403, 404, 409, 415] {
        let mut linked = Linked::new(&[]);
        let mut count = 0;
        send_some(&mut linked, &mut count);
        linked.set_link(Quality::Answers(status));
        linked.beat();
        let peer = &linked.state()["peers"][0];
        assert_eq!((&peer["reachable"], &peer["behind_readings"]), (&json!(false), &json!(3)));
        assert!(peer["error"].as_str().unwrap().contains(&status.to_string()), "{peer:#}");
        linked.set_link(Quality::Good);
        for _ in 0..4 {
            linked.beat();
            assert_eq!(linked.reached.requests.load(std::sync::atomic::Ordering::Relaxed), 0);
        }
        linked.beat();
        check(&mut linked, "after five minutes");
    }
}
