//! A database of an older release goes on under this one; one of a newer release is
//! refused.

use std::collections::BTreeMap;
use std::path::Path;

use isotherm::error::Error;
use isotherm::host::{Host, Sql, Value as SqlValue};
use isotherm::internals::ledger::database::{Budget, Database};
use isotherm::internals::ledger::schema;
use isotherm::internals::settings::Horizon;
use isotherm_it::root;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::assert::{check_fields, header};
use crate::support::faulty::Plan;
use crate::support::node::{FOR_EVER, Node, fold_and_prune};
use crate::support::readings::{DAY, HOUR, START as ANY_TIME, json_reading, reading};

const START: i64 = 1_700_000_040_000;
const NOW: i64 = START + DAY;

/// A node with the stored database of a schema version.
fn node_of(version: u8) -> Node {
    let node = Node::new(&[("retention", "0")]).simulated(1, 1).with_clock_at(NOW);
    let stored = root().join(format!("tests/data/regions-schema-{version}.db"));
    std::fs::copy(stored, node.directory().join("regions.db")).unwrap();
    node
}

/// The version of the file, whatever the application makes of it.
fn version(directory: &Path) -> i64 {
    let sql = Connection::open(directory.join("regions.db")).unwrap();
    sql.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn nth(n: i64, celsius: f64) -> Value {
    let region = if n % 2 == 0 { "hall" } else { "attic" };
    json_reading(&format!("d{}", n % 3), region, celsius, START + n * 30_000)
}

fn original(n: i64) -> Value {
    nth(n, (n * 37 % 400) as f64 / 8.0 - 10.0)
}

fn check_figures(node: &Node) {
    for (region, sum) in [("hall", 1_487_500), ("attic", 1_400_000)] {
        let body = node.look_at(&format!("/v1/regions/{region}"));
        check_fields(&body, &json!({"count": 100, "sum_millicelsius": sum}));
    }
    let range = "from=2023-11-14T22:30:00Z&to=2023-11-14T23:15:00Z";
    let body = node.look_at(&format!("/v1/regions/attic?{range}"));
    check_fields(&body, &json!({"count": 45, "sum_millicelsius": 625_625}));
}

/// The stored database of this version, whose figures are the same under this release.
fn migrated(from: u8) -> Node {
    let node = node_of(from);
    assert_eq!(version(node.directory()), i64::from(from), "the fixture is of its version");
    check_figures(&node);
    assert_eq!(version(node.directory()), schema::VERSION);
    node
}

#[test]
fn a_database_of_the_first_version_keeps_its_figures_and_still_knows_duplicates() {
    let mut node = migrated(1);
    let before = node.look_at("/v1/regions/hall")["revision"].as_i64().unwrap();
    let batch = json!([original(0), original(199), nth(4, 33.0), nth(200, 1.0)]);
    let outcomes = json!(["duplicate", "duplicate", "conflict", "stored"]);
    assert_eq!(node.accept_and_wait(&batch)["outcomes"], outcomes);
    let hall = node.look_at("/v1/regions/hall");
    let expected = json!({"count": 101, "sum_millicelsius": 1_488_500, "revision": before + 1});
    check_fields(&hall, &expected);
    let unchanged = node.look_at("/v1/regions/attic");
    assert_eq!(unchanged["revision"], 1);
    // These were not counted from the beginning, so they are null.
    for region in [&hall, &unchanged] {
        check_fields(region, &json!({"devices": null, "device_average_c": null, "p50_c": null}));
    }
    // Days were not kept before. The readings are in two of them.
    let days = "from=2023-11-14T00:00:00Z&to=2023-11-16T00:00:00Z&step=1d";
    let days = node.look_at(&format!("/v1/regions/attic/windows?{days}"));
    let days = days["windows"].as_array().unwrap();
    assert_eq!(days.iter().filter_map(|day| day["count"].as_i64()).sum::<i64>(), 100);
}

#[test]
fn a_database_of_version_3_keeps_its_readings_and_devices_as_runs() {
    let mut node = migrated(3);
    let of_device = |n: &i64| n % 3 == 1;
    for (region, own) in [("hall", 0), ("attic", 1)] {
        let all: Vec<i64> = (0..200).filter(of_device).filter(|n| n % 2 == own).collect();
        let sum: f64 = all.iter().map(|n| original(*n)["temperature_c"].as_f64().unwrap()).sum();
        let devices = node.look_at(&format!("/v1/regions/{region}/devices"));
        let expected = json!({
            "device_id": "d1", "count": all.len(), "average_c": sum / all.len() as f64,
            "temperature_c": original(*all.last().unwrap())["temperature_c"],
        });
        check_fields(&devices["devices"][1], &expected);
    }
    let day = "from=2023-11-14T00:00:00Z&to=2023-11-16T00:00:00Z";
    let readings = node.look_at(&format!("/v1/devices/d1/readings?{day}&limit=1000"));
    assert_eq!(readings["readings"].as_array().unwrap().len(), (0..200).filter(of_device).count());

    // What is sent again and what is new meet the migrated runs.
    check_outcomes_of_old_and_new(&mut node);
    let days = node.look_at(&format!("/v1/regions/hall?{day}"));
    check_fields(&days, &json!({"count": 101, "devices": 3}));
}

/// One reading of the stored database, one that contradicts one of them, and a new one.
fn check_outcomes_of_old_and_new(node: &mut Node) {
    let body = node.accept_and_wait(&json!([original(1), nth(4, 33.0), nth(-6, 1.0)]));
    assert_eq!(body["outcomes"], json!(["duplicate", "conflict", "stored"]));
    check_fields(&node.look_at("/v1/regions/hall"), &json!({"count": 101, "devices": 3}));
}

#[test]
fn a_database_of_version_4_lists_its_devices_and_its_runs_are_read_and_rewritten() {
    let mut node = migrated(4);
    let names = |region: &str, query: &str| -> Vec<String> {
        let page = node.look_at(&format!("/v1/regions/{region}/devices?{query}"));
        let devices = page["devices"].as_array().unwrap().clone();
        devices.iter().map(|d| d["device_id"].as_str().unwrap().to_owned()).collect()
    };
    for region in ["hall", "attic"] {
        assert_eq!(names(region, "limit=5"), ["d0", "d1", "d2"]);
        assert_eq!(names(region, "limit=1&after=d1"), ["d2"]);
    }
    // What is sent again and what is new meet runs without a checksum.
    check_outcomes_of_old_and_new(&mut node);
    // Those that were touched have one now, which tells them from damaged ones.
    let has_version = |version: &str| node.runs().iter().any(|run| run.version == version);
    assert!(has_version("01") && has_version("04"));
}

#[test]
fn a_database_of_version_5_knows_no_extremes_of_what_it_had_and_those_of_what_comes() {
    let mut node = migrated(5);
    let unknown = json!({"min_c": null, "max_c": null, "expected_interval_ms": null});
    check_fields(&node.look_at("/v1/devices/d1"), &unknown);
    check_outcomes_of_old_and_new(&mut node);
    check_fields(&node.look_at("/v1/devices/d1"), &unknown);
    let hour = START / HOUR * HOUR + 5 * HOUR;
    let batch = [(0, 3.0), (1, -4.0)];
    let one = |(n, celsius): (i64, f64)| json_reading("d1", "hall", celsius, hour + n);
    node.accept_and_wait(&batch.map(one).into_iter().collect());
    let windows = format!("/v1/devices/d1/windows?from={hour}&to={}", hour + HOUR);
    let known = json!({"count": 2, "min_c": -4.0, "max_c": 3.0});
    check_fields(&node.look_at(&windows)["windows"][0], &known);
    let has_version = |version: &str| node.runs().iter().any(|run| run.version == version);
    assert!(has_version("03") && has_version("04"));
}

#[test]
fn a_database_of_version_5_has_no_limits_and_takes_them() {
    let mut node = migrated(5);
    check_outcomes_of_old_and_new(&mut node);
    let none = json!({"low_c": null, "high_c": null, "revision": 0});
    check_fields(&node.look_at("/v1/regions/hall/limits"), &none);
    let set = node.limit("hall", &json!({"low_c": -5, "high_c": 35}));
    check_fields(&set, &json!({"low_c": -5.0, "high_c": 35.0, "revision": 1}));
    let range = "from=2023-11-14T00:00:00Z&to=2023-11-16T00:00:00Z";
    let excursions = node.look_at(&format!("/v1/regions/hall/excursions?{range}"));
    assert!(!excursions["excursions"].as_array().unwrap().is_empty());
}

#[test]
fn a_database_of_version_5_keeps_its_devices_and_percentiles_and_gets_quarter_hours() {
    let node = migrated(5);
    let range = "from=2023-11-14T22:15:00Z&to=2023-11-14T22:45:00Z";
    let hall = |node: &Node| node.look_at(&format!("/v1/regions/hall?{range}"));
    let before = hall(&node);
    check_fields(&before, &json!({"count": 30, "devices": 3}));
    let later = |hour: i64| reading("late", "hall", 1, NOW + hour * HOUR);
    node.journal(&(0..9).map(later).collect::<Vec<_>>());
    node.fold_at(Horizon { retention_ms: Some(HOUR), ..FOR_EVER }, NOW + 9 * HOUR);
    assert!(node.stored() < 9, "all that was there is deleted");
    let after = hall(&node);
    for field in ["devices", "device_average_c", "p50_c", "p95_c", "p99_c"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let devices = node.look_at("/v1/regions/attic/devices");
    assert_eq!(devices["devices"].as_array().unwrap().len(), 3);
}

/// The schema in a database: of each table and index its SQL, without comments, spaces and
/// quotation marks.
fn schema_of(node: &Node) -> BTreeMap<String, String> {
    node.fold();
    let rows = node.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL");
    let plain = |sql: &str| -> String {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap());
        lines.collect::<String>().replace([' ', '"'], "")
    };
    let named = |row: Vec<SqlValue>| match &row[..] {
        [SqlValue::Text(name), SqlValue::Text(sql)] => (name.clone(), plain(sql)),
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(named).collect()
}

#[test]
fn a_new_database_has_the_schema_that_all_migrations_lead_to() {
    let new = Node::new(&[]);
    let schema = schema_of(&new);
    assert!(schema.len() > 25, "{schema:#?}");
    for version in [1, 3, 4, 5, 6, 7, 8] {
        assert_eq!(schema_of(&migrated(version)), schema, "from version {version}");
    }
    let count = |table: &str| new.execute(&format!("SELECT count(*) FROM {table}"));
    for (table, rows) in [("node", 1), ("lease", 1), ("peers", 0), ("regions", 0)] {
        assert_eq!(count(table), [[SqlValue::Integer(rows)]], "{table}");
    }
}

#[test]
fn a_database_of_version_8_knows_its_senders_and_marks_regions_from_their_next_readings_on() {
    let node = migrated(8);
    let senders = node.look_at("/v1/senders");
    check_fields(&senders["nodes"][0], &json!({"name": "gw-1", "readings": 200, "silent": true}));
    let hall = node.look_at("/v1/regions/hall");
    let of_senders = json!({"senders": 1, "silent_senders": 1, "behind_senders": 0, "behind": []});
    check_fields(&hall, &of_senders);
}

#[test]
fn a_damaged_row_of_an_older_database_keeps_no_other_region_from_its_release() {
    let node = node_of(4);
    let sql = Connection::open(node.directory().join("regions.db")).unwrap();
    let cut = "UPDATE device_windows SET run = substr(run, 1, length(run) - 1) \
               WHERE span = 0 AND region = (SELECT id FROM regions WHERE name = 'attic')";
    assert_eq!(sql.execute(cut, []).unwrap(), 1);
    drop(sql);
    check_figures(&node);
    assert_eq!(version(node.directory()), schema::VERSION);
    let hall = node.look_at("/v1/regions/hall/devices");
    assert_eq!(hall["devices"].as_array().unwrap().len(), 3);
}

#[test]
fn a_migration_that_fails_anywhere_leaves_the_old_version_or_the_new_one() {
    let plans: [fn(usize) -> Plan; 2] =
        [|n| Plan::fail(n).for_ever(), |n| Plan::fail(n).for_ever().after_its_work()];
    let mut failed = 0;
    for plan in plans {
        for first in 1.. {
            let mut node = node_of(1);
            node.set_plan(plan(first));
            let done = Database::open(&node.host, Budget::waiting(100)).map(drop);
            let calls = node.host.plan.calls();
            let version = version(node.directory());
            assert!((1..=schema::VERSION).contains(&version), "{version}");
            node.set_plan(Plan::none());
            check_figures(&node);
            match done {
                Ok(()) if calls < first => break,
                Ok(()) => {}
                Err(_) => failed += 1,
            }
        }
    }
    assert!(failed >= 10, "{failed} failures are not every step of a migration");
}

#[test]
fn entries_of_a_newer_release_wait_for_it_and_hold_up_pruning() {
    let node = Node::new(&[("retention", "0")]);
    node.put("journal/2/whatever", b"?");
    node.journal(&[reading("a", "hall", 1, ANY_TIME)]);
    assert_eq!(node.fold(), 1);
    assert_eq!(node.keys("journal/"), 1);
}

#[test]
fn a_database_of_a_newer_release_is_refused_and_left_alone() {
    let node = Node::new(&[("retention", "0")]);
    node.fold();
    let known = schema::VERSION;
    let newer = known + 1;
    node.host.inner.sql().unwrap().set_schema_version(newer).unwrap();
    node.journal(&[reading("a", "hall", 1, ANY_TIME)]);
    let refused = fold_and_prune(&node.host.inner, FOR_EVER, ANY_TIME);
    assert_eq!(refused, Err(Error::SchemaTooNew { found: newer, known }));
    assert_eq!(node.keys("journal/"), 1);

    let answer = node.ask("/v1/regions");
    assert_eq!(answer.status, http::StatusCode::SERVICE_UNAVAILABLE);
    assert!(header(&answer, "retry-after").is_some());
}

#[test]
fn two_components_that_start_at_once_find_one_schema() {
    for _ in 0..20 {
        let node = Node::new(&[("retention", "0")]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| node.fold());
            }
        });
        assert_eq!(version(node.directory()), schema::VERSION);
        let mode = node.execute("PRAGMA journal_mode");
        assert_eq!(mode, [[SqlValue::Text("wal".to_owned())]]);
    }
}
