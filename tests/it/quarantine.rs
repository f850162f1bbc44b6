//! Quarantine: each reading once, whatever fails, and a way back on which none is lost.

use std::collections::BTreeSet;

use isotherm::host::{Host, Sql};
use isotherm::internals::journal::keys;
use serde_json::{Value, json};

use crate::support::assert::{check_fields, metric};
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{DAY, NOW, at, in_hall, reading};

fn node() -> Node {
    Node::quiet(&[("retention", "0")])
}

#[track_caller]
fn check_hall(node: &mut Node, count: i64, quarantined: i64) {
    let expected = json!({"count": count, "quarantined_readings": quarantined});
    check_fields(&node.hall(), &expected);
}

/// Entries of one reading each that are too old by the time of their fold.
fn forty_too_old(node: &mut Node) {
    node.accept_and_wait(&in_hall("first", NOW));
    assert_eq!(node.hall()["count"], 1);
    for i in 0..40 {
        node.accept(&in_hall("old", NOW - 2 * DAY + i));
    }
    node.set_pruned_before(NOW - DAY);
    check_hall(node, 1, 40);
}

#[test]
fn retries_at_once_and_folds_beside_them_lose_nothing() {
    let mut node = node();
    forty_too_old(&mut node);
    // In the machine's time, as threads wait for each other.
    let other = Node::over(node.directory(), &[("retention", "0")]).with_clock_at(NOW);
    let other = &other;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..30).for_each(|_| drop(other.retry_at("/v1/quarantine/retry"))));
        }
        scope.spawn(|| (0..60).for_each(|_| drop(other.ask("/v1/regions/hall"))));
    });
    check_hall(&mut node, 1, 40);
    assert_eq!((node.keys("quarantine/"), node.keys("journal/")), (40, 0));

    // When duplicates of them are known again, each counts once, whichever retry it is.
    node.set_pruned_before(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..10).for_each(|_| drop(other.retry_at("/v1/quarantine/retry"))));
        }
    });
    check_hall(&mut node, 41, 0);
}

#[test]
fn a_retry_that_fails_at_any_call_loses_nothing_and_counts_nothing_twice() {
    let plans: [fn(usize) -> Plan; 2] =
        [|n| Plan::fail(n).for_ever(), |n| Plan::fail(n).for_ever().after_its_work()];
    for plan in plans {
        for first in 1..200 {
            let mut node = node();
            forty_too_old(&mut node);
            node.set_pruned_before(0);
            node.set_plan(plan(first));
            node.retry_at("/v1/quarantine/retry");
            let calls = node.host.plan.calls();
            node.set_plan(Plan::none());
            node.retry();
            let body = node.hall();
            let told = [&body["count"], &body["quarantined_readings"]];
            assert_eq!(told, [&json!(41), &json!(0)], "call {first} of {calls}");
            if calls < first {
                break;
            }
        }
    }
}

/// An entry of two readings, of which one is too old by the time of its fold.
fn one_of_two_too_old(node: &mut Node) {
    node.accept_and_wait(&in_hall("first", NOW));
    assert_eq!(node.hall()["count"], 1);
    node.accept(&json!([in_hall("a", NOW - 3 * DAY), in_hall("b", NOW - 3 * DAY / 2)]));
    node.set_pruned_before(NOW - 2 * DAY);
}

#[test]
fn a_fold_that_fails_leaves_nothing_in_quarantine() {
    let mut node = node();
    one_of_two_too_old(&mut node);
    // Every call of the fold fails, up to the commit; the figures add up to two.
    let mut first = 1;
    loop {
        // After any cool-down.
        node.now = node.now.saturating_add(60_000);
        node.set_plan(Plan::fail(first).for_ever());
        node.get("/v1/regions/hall");
        let calls = node.host.plan.calls();
        node.set_plan(Plan::sqlite_away());
        let text = node.metrics();
        let waiting = metric(&text, "isotherm_journal_readings");
        let aside = metric(&text, "isotherm_quarantined_readings");
        if waiting == 0 || calls < first {
            break;
        }
        // Between the commit and the removal, the entry is in both.
        assert!(waiting == 2 && aside <= 1, "call {first}: {waiting} and {aside}");
        first += 1;
    }
    assert!(first > 10, "the fold took {first} calls");
    node.set_plan(Plan::none());
    node.now = node.now.saturating_add(60_000);
    check_hall(&mut node, 2, 1);
}

#[test]
fn a_reading_pruned_between_two_attempts_is_in_quarantine_once() {
    let mut node = node();
    one_of_two_too_old(&mut node);
    // The commit, the last call to the database, fails.
    let busy = node.host.inner.sql().unwrap();
    let trigger = "CREATE TRIGGER fails BEFORE INSERT ON windows \
                   BEGIN SELECT raise(ABORT, 'disk I/O error'); END";
    Sql::execute(&busy, trigger, &[]).unwrap();
    assert_eq!(node.status_of("/v1/devices/a"), 503);
    assert_eq!(node.keys("quarantine/"), 0);
    Sql::execute(&busy, "DROP TRIGGER fails", &[]).unwrap();
    node.set_pruned_before(NOW - DAY);
    check_hall(&mut node, 1, 2);
}

/// Puts readings of these times into quarantine. Returns the entry's name.
fn put(node: &Node, reason: &str, times: &[i64]) -> String {
    let readings: Vec<_> = times.iter().map(|&ms| reading("device", "hall", 1_000, ms)).collect();
    let entry = node.journal(&readings);
    let (key, value) = entry.as_pair();
    let name = entry.name().as_str().to_owned();
    node.put(&format!("quarantine/1/{reason}/{name}"), value);
    node.remove(&key);
    name
}

#[test]
fn entries_that_can_not_be_counted_do_not_hide_one_that_can() {
    let mut node = node();
    for i in 0..1_100 {
        put(&node, "ahead_of_clock", &[NOW + 300 * DAY + i]);
    }
    let countable = put(&node, "damaged_row", &[NOW]);

    let mut names = BTreeSet::new();
    let mut path = "/v1/quarantine".to_owned();
    loop {
        let page = node.read(&path);
        let entries = page["entries"].as_array().unwrap().iter();
        names.extend(entries.map(|entry| entry["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/quarantine{next}");
    }
    assert_eq!(names.len(), 1_101);
    assert!(names.contains(&countable));

    // Each has its turn.
    node.now = at(NOW);
    let is_counted = |node: &Node| node.retry()["quarantined_readings"] == 1_100;
    assert!((0..40).any(|_| is_counted(&node)), "it is hidden");
    assert_eq!(node.hall()["count"], 1);
}

#[test]
fn a_retry_counts_the_entries_that_it_had_time_for() {
    let mut node = node();
    for i in 0..20 {
        let times: Vec<i64> = (0..10_000).map(|j| NOW + i * 10_000 + j).collect();
        put(&node, "damaged_row", &times);
    }
    let mut retried = 0;
    while retried < 20 {
        let before = node.keys("quarantine/");
        let told = node.retry();
        let counted = before - node.keys("quarantine/");
        assert_eq!(told["retried"], counted, "{told}");
        assert!(counted > 0, "{told}");
        retried += counted;
    }
    assert_eq!(node.hall()["count"], 200_000);
}

#[test]
fn retries_add_nothing_to_what_was_accepted() {
    const ACCEPTED: &str = "isotherm_readings_accepted_total";
    let mut node = node();
    forty_too_old(&mut node);
    let before = node.metric(ACCEPTED);
    for _ in 0..3 {
        node.retry();
    }
    assert_eq!(node.metric(ACCEPTED), before);
    node.set_pruned_before(0);
    node.retry();
    assert_eq!(node.metric(ACCEPTED), before + 40, "counted now");
}

#[test]
fn readings_come_back_from_quarantine_once_duplicates_are_known_again() {
    let mut node = node();
    node.accept_and_wait(&in_hall("a", NOW));
    node.accept(&json!([in_hall("b", NOW - 2 * DAY), in_hall("c", NOW - 2 * DAY)]));
    node.set_pruned_before(NOW - DAY);
    check_hall(&mut node, 1, 2);

    // Tried again, it is as old as before.
    let names = node.read("/v1/quarantine");
    let name = names["entries"][0]["name"].as_str().unwrap();
    for path in ["/v1/quarantine/retry".to_owned(), format!("/v1/quarantine/{name}/retry")] {
        let answer: Value = serde_json::from_slice(&node.retry_at(&path).body).unwrap();
        check_fields(&answer, &json!({"retried": 1, "quarantined_readings": 2}));
    }
    assert_eq!(node.hall()["count"], 1);
    assert_eq!(node.retry_at("/v1/quarantine/other/retry").status, 404);

    // The database of before the pruning is put back.
    node.set_pruned_before(0);
    check_fields(&node.retry(), &json!({"retried": 1, "quarantined_readings": 0}));
    assert_eq!(node.hall()["count"], 3);
}

#[test]
fn readings_come_back_from_quarantine_without_a_request_for_it() {
    let mut node = node();
    node.accept_and_wait(&in_hall("a", NOW));
    node.put(keys::DOOR, b"told=1");
    node.accept(&in_hall("f", NOW - 2 * DAY));
    node.set_pruned_before(NOW - DAY);
    check_hall(&mut node, 1, 1);
    node.set_pruned_before(0);
    // What is done after an answer brings it back.
    let batch: Value = (0..10_000).map(|i| in_hall("g", NOW - i)).collect();
    for _ in 0..40 {
        node.accept(&batch);
        let body = node.hall();
        if body["quarantined_readings"] == 0 && body["unfolded_entries"] == 0 {
            assert_eq!(body["count"], 10_002);
            return;
        }
    }
    panic!("it never came back");
}
