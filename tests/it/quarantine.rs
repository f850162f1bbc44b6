//! Quarantine: each reading once, whatever fails, and a way back on which none is lost.

use std::collections::BTreeSet;

use isotherm::api::routes;
use isotherm::domain::rejection::Rejections;
use isotherm::host::{Host, KeyValue, Sql};
use isotherm::http::Request;
use isotherm::journal::{self, Entry};
use isotherm_host::native::NativeHost;
use serde_json::{Value, json};

use crate::faulty::{FaultyHost, Node, Plan, scratch};
use crate::folding::{self, at};

const NOW: i64 = 1_900_000_000_000;
const DAY: i64 = 86_400_000;

fn node(directory: &std::path::Path) -> Node {
    let inner = NativeHost::new(directory, &[("retention", "0")]).unwrap().simulated(1, 3);
    Node { host: FaultyHost { inner, plan: Plan::new(0, false, false) }, now: at(NOW) }
}

fn reading(device: &str, ms: i64) -> Value {
    json!({"device_id": device, "region": "hall", "temperature_c": 1, "timestamp": ms})
}

fn hall(node: &mut Node) -> Value {
    serde_json::from_slice(&node.get("/v1/regions/hall").body).unwrap()
}

fn prune(host: &NativeHost, before: i64) {
    let statement = format!(
        "INSERT INTO tallies (name, value) VALUES ('pruned_before', {before}) \
         ON CONFLICT DO UPDATE SET value = excluded.value"
    );
    Sql::execute(&host.sql().unwrap(), &statement, &[]).unwrap();
}

fn retry(host: &impl Host) -> Value {
    let request = Request::post("/v1/quarantine/retry");
    let answer = routes::answer(host, &request, at(NOW)).response;
    serde_json::from_slice(&answer.body).unwrap()
}

fn keys(host: &NativeHost, prefix: &str) -> usize {
    let keys = KeyValue::keys(&host.key_value().unwrap()).unwrap();
    keys.iter().filter(|key| key.starts_with(prefix)).count()
}

/// Entries of one reading each that are too old by the time of their fold.
fn forty_too_old(node: &mut Node) {
    assert_eq!(node.post(&reading("first", NOW), Some("wait")).status, 200);
    assert_eq!(hall(node)["count"], 1);
    for i in 0..40 {
        assert_eq!(node.post(&reading("old", NOW - 2 * DAY + i), None).status, 202);
    }
    prune(&node.host.inner, NOW - DAY);
    let body = hall(node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(1), &json!(40)));
}

#[test]
fn retries_at_once_and_folds_beside_them_lose_nothing() {
    let directory = scratch();
    let mut node = node(directory.path());
    forty_too_old(&mut node);
    let host = NativeHost::new(directory.path(), &[("retention", "0")]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..30 {
                    retry(&host);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..60 {
                routes::answer(&host, &Request::get("/v1/regions/hall"), at(NOW));
            }
        });
    });
    let body = hall(&mut node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(1), &json!(40)));
    assert_eq!((keys(&host, "quarantine/"), keys(&host, "journal/")), (40, 0));

    // When they can be told again, each counts once, whoever tries.
    prune(&host, 0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..10 {
                    retry(&host);
                }
            });
        }
    });
    let body = hall(&mut node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(41), &json!(0)));
}

#[test]
fn a_retry_that_fails_at_any_call_loses_nothing_and_counts_nothing_twice() {
    for works in [false, true] {
        for first in 1..200 {
            let directory = scratch();
            let mut node = node(directory.path());
            forty_too_old(&mut node);
            prune(&node.host.inner, 0);
            node.host.plan = Plan::new(first, true, works);
            retry(&node.host);
            let calls = node.host.plan.calls();
            node.host.plan = Plan::new(0, false, false);
            retry(&node.host);
            let body = hall(&mut node);
            let told = (&body["count"], &body["quarantined_readings"]);
            assert_eq!(told, (&json!(41), &json!(0)), "call {first} of {calls}");
            if calls < first {
                break;
            }
        }
    }
}

/// An entry of two readings, of which one is too old by the time of its fold.
fn one_of_two_too_old(node: &mut Node) {
    assert_eq!(node.post(&reading("first", NOW), Some("wait")).status, 200);
    assert_eq!(hall(node)["count"], 1);
    let old = json!([reading("a", NOW - 3 * DAY), reading("b", NOW - 3 * DAY / 2)]);
    assert_eq!(node.post(&old, None).status, 202);
    prune(&node.host.inner, NOW - 2 * DAY);
}

#[test]
fn a_fold_that_fails_leaves_nothing_in_quarantine() {
    let directory = scratch();
    let mut node = node(directory.path());
    one_of_two_too_old(&mut node);
    // Every call of the fold fails, up to the commit; whatever is told adds up to two.
    let mut first = 1;
    loop {
        // After any cool-down.
        node.now = node.now.saturating_add(60_000);
        node.host.plan = Plan::new(first, true, false);
        node.get("/v1/regions/hall");
        let calls = node.host.plan.calls();
        node.host.plan = Plan::sqlite_away();
        let text = String::from_utf8(node.get("/metrics").body).unwrap();
        let metric = |name: &str| -> i64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        let waiting = metric("isotherm_journal_readings ");
        let aside = metric("isotherm_quarantined_readings ");
        if waiting == 0 || calls < first {
            break;
        }
        // Between the commit and the removal, the entry is in both.
        assert!(waiting == 2 && aside <= 1, "call {first}: {waiting} and {aside}");
        first += 1;
    }
    assert!(first > 10, "the fold took {first} calls");
    node.host.plan = Plan::new(0, false, false);
    let body = hall(&mut node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(2), &json!(1)));
}

#[test]
fn what_is_pruned_between_two_attempts_stands_there_once() {
    let directory = scratch();
    let mut node = node(directory.path());
    one_of_two_too_old(&mut node);
    // The commit, the last call to the database, fails.
    let busy = node.host.inner.sql().unwrap();
    let trigger = "CREATE TRIGGER fails BEFORE INSERT ON windows \
                   BEGIN SELECT raise(ABORT, 'disk I/O error'); END";
    Sql::execute(&busy, trigger, &[]).unwrap();
    assert_eq!(node.get("/v1/devices/a").status, 503);
    assert_eq!(keys(&node.host.inner, "quarantine/"), 0);
    Sql::execute(&busy, "DROP TRIGGER fails", &[]).unwrap();
    prune(&node.host.inner, NOW - DAY);
    let body = hall(&mut node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(1), &json!(2)));
}

/// Puts readings of these times into quarantine. Returns the entry's name.
fn put(host: &NativeHost, reason: &str, times: &[i64]) -> String {
    let readings: Vec<_> =
        times.iter().map(|&ms| folding::reading("device", "hall", 1_000, ms)).collect();
    let entry = Entry::encode(&readings, &Rejections::default());
    let store = host.key_value().unwrap();
    journal::append(host, &store, &entry).unwrap();
    let name = entry.name().as_str().to_owned();
    let key = format!("journal/2/{name}");
    let value = KeyValue::get(&store, &key).unwrap().unwrap();
    KeyValue::set(&store, &format!("quarantine/1/{reason}/{name}"), &value).unwrap();
    KeyValue::delete_many(&store, &[key]).unwrap();
    name
}

#[test]
fn what_can_not_be_counted_hides_nothing_that_can_and_pages_name_all() {
    let directory = scratch();
    let mut node = node(directory.path());
    for i in 0..1_100 {
        put(&node.host.inner, "ahead_of_clock", &[NOW + 300 * DAY + i]);
    }
    let countable = put(&node.host.inner, "damaged_row", &[NOW]);

    let mut names = BTreeSet::new();
    let mut path = "/v1/quarantine".to_owned();
    loop {
        let page: Value = serde_json::from_slice(&node.get(&path).body).unwrap();
        let entries = page["entries"].as_array().unwrap().iter();
        names.extend(entries.map(|entry| entry["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/quarantine{next}");
    }
    assert_eq!(names.len(), 1_101);
    assert!(names.contains(&countable));

    // Each has its turn.
    let is_counted = |node: &Node| retry(&node.host)["quarantined_readings"] == 1_100;
    assert!((0..40).any(|_| is_counted(&node)), "it is hidden");
    assert_eq!(hall(&mut node)["count"], 1);
}

#[test]
fn an_answer_that_counts_its_retries_counts_those_that_it_had_time_for() {
    let directory = scratch();
    let mut node = node(directory.path());
    for i in 0..20 {
        let times: Vec<i64> = (0..10_000).map(|j| NOW + i * 10_000 + j).collect();
        put(&node.host.inner, "damaged_row", &times);
    }
    let mut retried = 0;
    while retried < 20 {
        let before = keys(&node.host.inner, "quarantine/");
        let told = retry(&node.host);
        let counted = before - keys(&node.host.inner, "quarantine/");
        assert_eq!(told["retried"], counted, "{told}");
        assert!(counted > 0, "{told}");
        retried += counted;
    }
    assert_eq!(hall(&mut node)["count"], 200_000);
}

#[test]
fn retries_add_nothing_to_what_was_accepted() {
    let directory = scratch();
    let mut node = node(directory.path());
    forty_too_old(&mut node);
    let accepted = |node: &mut Node| -> i64 {
        let text = String::from_utf8(node.get("/metrics").body).unwrap();
        let name = "isotherm_readings_accepted_total ";
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
    };
    let before = accepted(&mut node);
    for _ in 0..3 {
        retry(&node.host);
    }
    assert_eq!(accepted(&mut node), before);
    prune(&node.host.inner, 0);
    retry(&node.host);
    assert_eq!(accepted(&mut node), before + 40, "counted now");
}
