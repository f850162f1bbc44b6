//! Every host call fails once, and for ever from there, before and after it did
//! its work. A sensor sends until it is acknowledged; when all is well again,
//! the state is that of a run without faults.

use std::collections::{BTreeMap, BTreeSet};

use isotherm::domain::reading::UnixMillis;
use isotherm::host::{Host, Sql, Value};
use isotherm::ledger::{self, Row};
use isotherm_host::native::NativeHost;
use serde_json::{Value as Json, json};

use crate::faulty::{FaultyHost, Node, Plan, scratch};

const NOW: i64 = 1_700_000_000_000;

/// As a sensor: again until it is acknowledged. After some attempts, a human
/// repairs what is broken for good.
fn deliver(node: &mut Node, body: &Json, prefer: Option<&str>) {
    for attempt in 0..40 {
        if attempt == 3 {
            node.host.plan.heal();
        }
        let response = node.post(body, prefer);
        match response.status.as_u16() {
            200 | 202 => return,
            503 => {}
            other => panic!("{other}: {}", String::from_utf8_lossy(&response.body)),
        }
    }
    panic!("not acknowledged though everything is well");
}

fn batch(from: i64, count: i64) -> Json {
    let one = |i: i64| {
        json!({
            "device_id": format!("d{}", i % 5), "region": format!("r{}", i % 2),
            "temperature_c": i % 900, "timestamp": NOW - 3_600_000 + i / 5 * 400,
        })
    };
    (from..from + count).map(one).collect()
}

/// The ledger by its names, and the windows; without what chance and the order
/// of arrival decide.
fn state(host: &impl Host) -> (BTreeSet<Vec<String>>, BTreeSet<Vec<String>>) {
    let sql = host.sql().unwrap();
    let rows = |statement: &str| -> BTreeSet<Vec<String>> {
        let text = |value: Value| match value {
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Blob(bytes) => format!("{bytes:?}"),
            Value::Null => "null".to_owned(),
        };
        let rows = sql.execute(statement, &[]).unwrap();
        rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
    };
    let names = |table: &str| -> BTreeMap<String, String> {
        let rows = rows(&format!("SELECT id, name FROM {table}"));
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
    };
    let (devices, regions) = (names("devices"), names("regions"));
    let row = |row: Row| {
        let (device, region) = (row.device().to_string(), row.region.to_string());
        let at = row.timestamp().unwrap().to_string();
        vec![devices[&device].clone(), regions[&region].clone(), at, row.millicelsius.to_string()]
    };
    let ledger = ledger::rows_between(&sql, 0, i64::MAX).unwrap().into_iter().map(row).collect();
    let windows = rows(
        "SELECT r.name, span, start, readings, sum, squares_high * 1048576 + squares_low, \
                min, max, oldest, newest, late, devices, averages, bins \
         FROM windows JOIN regions r ON r.id = region \
              LEFT JOIN histograms USING (region, span, start)",
    );
    (ledger, windows)
}

type State = (BTreeSet<Vec<String>>, BTreeSet<Vec<String>>);

/// The whole story once, under a plan. Returns the state at its end and how
/// many host calls it took.
fn story(first: usize, for_ever: bool, works: bool) -> (State, usize) {
    let directory = scratch();
    let native = NativeHost::new(directory.path(), &[]).unwrap().simulated(1, 7);
    let plan = Plan::new(first, for_ever, works);
    let now = UnixMillis::new(NOW).unwrap();
    let mut run = Node { host: FaultyHost { inner: native, plan }, now };

    deliver(&mut run, &batch(0, 20), None);
    run.get("/v1/regions");
    deliver(&mut run, &batch(10, 20), Some("wait"));
    for i in 0..4 {
        deliver(&mut run, &batch(30 + i * 3, 5), None);
    }
    // So many that the request folds after its answer, by the dice of this seed.
    deliver(&mut run, &batch(44, 3_000), None);
    run.get("/v1/regions/r1");
    deliver(&mut run, &batch(3_044, 10), Some("wait"));

    run.host.plan.heal();
    for _ in 0..20 {
        let response = run.get("/v1/regions");
        let body: Json = serde_json::from_slice(&response.body).unwrap();
        if response.status == 200 && body["unfolded_entries"] == 0 && body["stale"] == false {
            assert_eq!(body["quarantined_readings"], 0);
            return (state(&run.host), run.host.plan.calls());
        }
    }
    panic!("it does not recover: {:?}", run.host.inner.logged());
}

fn check(for_ever: bool, works: bool) {
    let (expected, calls) = story(0, false, false);
    assert_eq!(expected.0.len(), 3_054);
    assert!(calls > 60, "{calls} calls are hardly the whole story");
    for first in 1..=calls {
        let (actual, _) = story(first, for_ever, works);
        assert!(actual == expected, "with call {first} of {calls} failing");
    }
}

#[test]
fn any_call_may_fail_once() {
    check(false, false);
}

#[test]
fn any_call_may_be_the_last_before_a_repair() {
    check(true, false);
}

#[test]
fn any_answer_may_get_lost_once() {
    check(false, true);
}

#[test]
fn all_answers_may_get_lost_until_a_repair() {
    check(true, true);
}
