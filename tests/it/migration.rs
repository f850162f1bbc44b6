//! A database that an older release wrote goes on under this one.

use std::path::Path;

use isotherm::api::{readings, routes};
use isotherm::domain::reading::UnixMillis;
use isotherm::http::{Header, Request};
use isotherm::ledger::database::{Budget, Database};
use isotherm::ledger::schema;
use isotherm_host::native::NativeHost;
use isotherm_it::root;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::faulty::{FaultyHost, Plan, scratch};

const START: i64 = 1_700_000_040_000;
const NOW: i64 = START + 86_400_000;

/// A node with the stored database of a schema version.
fn node_of(directory: &Path, version: u8) -> NativeHost {
    let stored = root().join(format!("tests/data/regions-schema-{version}.db"));
    std::fs::copy(stored, directory.join("regions.db")).unwrap();
    NativeHost::new(directory, &[("retention", "0")]).unwrap().simulated(1, 1)
}

/// A node with the stored database of schema version 1.
fn node(directory: &Path) -> NativeHost {
    node_of(directory, 1)
}

fn version(directory: &Path) -> i64 {
    let sql = Connection::open(directory.join("regions.db")).unwrap();
    sql.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn nth(n: i64, temperature: f64) -> Value {
    let region = if n % 2 == 0 { "hall" } else { "attic" };
    json!({
        "device_id": format!("d{}", n % 3), "region": region,
        "temperature_c": temperature, "timestamp": START + n * 30_000,
    })
}

fn original(n: i64) -> Value {
    nth(n, (n * 37 % 400) as f64 / 8.0 - 10.0)
}

fn request(method: http::Method, path: &str, query: Option<&str>) -> Request {
    Request { method, query: query.map(ToOwned::to_owned), ..Request::get(path) }
        .with(Header::Prefer, "wait")
}

fn get(host: &NativeHost, path: &str, query: Option<&str>) -> Value {
    let now = UnixMillis::new(NOW).unwrap();
    let answer = routes::answer(host, &request(http::Method::GET, path, query), now).response;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

fn check_figures(host: &NativeHost) {
    for (region, sum) in [("hall", 1_487_500), ("attic", 1_400_000)] {
        let body = get(host, &format!("/v1/regions/{region}"), None);
        assert_eq!((&body["count"], &body["sum_millicelsius"]), (&json!(100), &json!(sum)));
    }
    let range = "from=2023-11-14T22:30:00Z&to=2023-11-14T23:15:00Z";
    let body = get(host, "/v1/regions/attic", Some(range));
    assert_eq!((&body["count"], &body["sum_millicelsius"]), (&json!(45), &json!(625_625)));
}

#[test]
fn a_database_of_the_first_version_keeps_its_figures_and_still_tells_duplicates() {
    let directory = scratch();
    let host = node(directory.path());
    assert_eq!(version(directory.path()), 1, "the fixture is the first one");
    check_figures(&host);
    assert_eq!(version(directory.path()), schema::VERSION);

    let before = get(&host, "/v1/regions/hall", None)["revision"].as_i64().unwrap();
    let batch = json!([original(0), original(199), nth(4, 33.0), nth(200, 1.0)]);
    let body = post(&host, &batch);
    assert_eq!(body["outcomes"], json!(["duplicate", "duplicate", "conflict", "stored"]));
    let hall = get(&host, "/v1/regions/hall", None);
    assert_eq!((&hall["count"], &hall["sum_millicelsius"]), (&json!(101), &json!(1_488_500)));
    assert_eq!(hall["revision"], before + 1);
    let unchanged = get(&host, "/v1/regions/attic", None);
    assert_eq!(unchanged["revision"], 1);
    // Nobody counted these from the beginning, so they are not told.
    for key in ["devices", "device_average_c", "p50_c"] {
        assert_eq!((&hall[key], &unchanged[key]), (&Value::Null, &Value::Null), "{key}");
    }
    // Days were not kept before. The readings are in two of them.
    let days = get(
        &host,
        "/v1/regions/attic/windows",
        Some("from=2023-11-14T00:00:00Z&to=2023-11-16T00:00:00Z&step=1d"),
    );
    let counts: Vec<&Value> =
        days["windows"].as_array().unwrap().iter().map(|w| &w["count"]).collect();
    assert_eq!(counts.iter().filter_map(|count| count.as_i64()).sum::<i64>(), 100);
}

/// Posts readings and waits for their outcomes.
fn post(host: &NativeHost, readings: &Value) -> Value {
    let now = UnixMillis::new(NOW).unwrap();
    let post = request(http::Method::POST, "/v1/readings", None);
    let body = readings.to_string();
    let answer = readings::post(host, &post, body.as_bytes(), now).response;
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_database_of_version_3_keeps_its_readings_and_devices_as_runs() {
    let directory = scratch();
    let host = node_of(directory.path(), 3);
    assert_eq!(version(directory.path()), 3, "the fixture is of the third version");
    check_figures(&host);
    assert_eq!(version(directory.path()), schema::VERSION);

    let of_device = |n: &i64| n % 3 == 1;
    let devices = |region: &str| get(&host, &format!("/v1/regions/{region}/devices"), None);
    for (region, own) in [("hall", 0), ("attic", 1)] {
        let all: Vec<i64> = (0..200).filter(of_device).filter(|n| n % 2 == own).collect();
        let sum: f64 = all.iter().map(|n| original(*n)["temperature_c"].as_f64().unwrap()).sum();
        let listed = &devices(region)["devices"][1];
        assert_eq!(listed["device_id"], "d1");
        assert_eq!(listed["count"], all.len());
        assert_eq!(listed["average_c"], sum / all.len() as f64);
        assert_eq!(listed["temperature_c"], original(*all.last().unwrap())["temperature_c"]);
    }
    let day = "from=2023-11-14T00:00:00Z&to=2023-11-16T00:00:00Z";
    let range = format!("{day}&limit=1000");
    let readings = get(&host, "/v1/devices/d1/readings", Some(&range));
    assert_eq!(readings["readings"].as_array().unwrap().len(), (0..200).filter(of_device).count());

    // What is sent again and what is new meet the migrated runs.
    let outcomes =
        post(&host, &json!([original(1), nth(4, 33.0), nth(-6, 1.0)]))["outcomes"].clone();
    assert_eq!(outcomes, json!(["duplicate", "conflict", "stored"]));
    let hall = get(&host, "/v1/regions/hall", None);
    assert_eq!((&hall["count"], &hall["devices"]), (&json!(101), &json!(3)));
    let days = get(&host, "/v1/regions/hall", Some(day));
    assert_eq!((&days["count"], &days["devices"]), (&json!(101), &json!(3)));
}

#[test]
fn a_database_of_version_4_lists_its_devices_and_its_runs_are_read_and_rewritten() {
    let directory = scratch();
    let host = node_of(directory.path(), 4);
    assert_eq!(version(directory.path()), 4, "the fixture is of the fourth version");
    check_figures(&host);
    assert_eq!(version(directory.path()), schema::VERSION);
    let names = |region: &str, query: &str| -> Vec<String> {
        let page = get(&host, &format!("/v1/regions/{region}/devices"), Some(query));
        let devices = page["devices"].as_array().unwrap().clone();
        devices.iter().map(|d| d["device_id"].as_str().unwrap().to_owned()).collect()
    };
    for region in ["hall", "attic"] {
        assert_eq!(names(region, "limit=5"), ["d0", "d1", "d2"]);
        assert_eq!(names(region, "limit=1&after=d1"), ["d2"]);
    }
    // What is sent again and what is new meet runs without a checksum.
    let outcomes = post(&host, &json!([original(1), nth(4, 33.0), nth(-6, 1.0)]));
    assert_eq!(outcomes["outcomes"], json!(["duplicate", "conflict", "stored"]));
    let hall = get(&host, "/v1/regions/hall", None);
    assert_eq!((&hall["count"], &hall["devices"]), (&json!(101), &json!(3)));
    // Those that were touched have one now, and so are told from damaged ones.
    let sql = Connection::open(directory.path().join("regions.db")).unwrap();
    let of_version = |version: &str| -> i64 {
        let runs = "SELECT count(*) FROM ledger WHERE hex(substr(run, 1, 1)) = ?1";
        sql.query_row(runs, [version], |row| row.get(0)).unwrap()
    };
    assert!(of_version("01") > 0 && of_version("03") > 0);
}

#[test]
fn a_damaged_row_of_an_older_database_keeps_no_other_region_from_its_release() {
    let directory = scratch();
    let host = node_of(directory.path(), 4);
    let sql = Connection::open(directory.path().join("regions.db")).unwrap();
    let cut = "UPDATE device_windows SET run = substr(run, 1, length(run) - 1) \
               WHERE span = 0 AND region = (SELECT id FROM regions WHERE name = 'attic')";
    assert_eq!(sql.execute(cut, []).unwrap(), 1);
    drop(sql);
    check_figures(&host);
    assert_eq!(version(directory.path()), schema::VERSION);
    let hall = get(&host, "/v1/regions/hall/devices", None);
    assert_eq!(hall["devices"].as_array().unwrap().len(), 3);
}

#[test]
fn a_migration_that_fails_anywhere_leaves_the_old_version_or_the_new_one() {
    let open = |host: &FaultyHost| Database::open(host, Budget::waiting(100)).map(drop);
    let mut failed = 0;
    for works in [false, true] {
        for first in 1.. {
            let directory = scratch();
            let plan = Plan::new(first, true, works);
            let host = FaultyHost { inner: node(directory.path()), plan };
            let done = open(&host);
            let version = version(directory.path());
            assert!((1..=schema::VERSION).contains(&version), "{version}");
            check_figures(&host.inner);
            match done {
                Ok(()) if host.plan.calls() < first => break,
                Ok(()) => {}
                Err(_) => failed += 1,
            }
        }
    }
    assert!(failed >= 10, "{failed} failures are not every step of a migration");
}
