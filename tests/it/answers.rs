//! What an answer says of what it does not have, and what it costs.

use isotherm::host::{Host, KeyValue, Sql, Value as SqlValue};
use isotherm::limits;
use isotherm_host::native::NativeHost;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::faulty::{FaultyHost, Node, Plan, scratch};
use crate::folding::at;

const NOW: i64 = 1_900_000_000_000;
const DAY: i64 = 86_400_000;

fn node(step_ms: u64, variables: &[(&str, &str)]) -> (TempDir, Node) {
    let directory = scratch();
    let inner = NativeHost::new(directory.path(), variables).unwrap().simulated(step_ms, 3);
    let host = FaultyHost { inner, plan: Plan::new(0, false, false) };
    (directory, Node { host, now: at(NOW) })
}

fn reading(device: &str, region: &str, ms: i64) -> Value {
    json!({"device_id": device, "region": region, "temperature_c": 1, "timestamp": ms})
}

fn get(node: &mut Node, path: &str) -> (u16, Value) {
    let answer = node.get(path);
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn execute(node: &Node, statement: &str) -> Vec<Vec<SqlValue>> {
    Sql::execute(&node.host.inner.sql().unwrap(), statement, &[]).unwrap()
}

#[test]
fn what_waits_to_be_counted_is_not_missing() {
    let (_directory, mut node) = node(1, &[]);
    assert_eq!(node.post(&reading("a", "hall", NOW), None).status, 202);
    assert_eq!(get(&mut node, "/v1/regions/hall").0, 200);
    // Somebody has the write lock for as long as the answers may take.
    let busy = node.host.inner.sql().unwrap();
    Sql::execute(&busy, "BEGIN IMMEDIATE", &[]).unwrap();
    assert_eq!(node.post(&reading("b", "attic", NOW), None).status, 202);
    for path in [
        "/v1/regions/attic",
        "/v1/regions/attic/windows",
        "/v1/regions/attic/devices",
        "/v1/devices/b",
        "/v1/devices/b/readings",
        // It may be among them.
        "/v1/regions/nowhere",
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.headers.iter().any(|(name, _)| *name == "retry-after"), "{path}");
    }
    let (_, list) = get(&mut node, "/v1/regions");
    assert_eq!((&list["complete"], &list["unfolded_readings"]), (&json!(false), &json!(1)));
    Sql::execute(&busy, "COMMIT", &[]).unwrap();
    assert_eq!(get(&mut node, "/v1/regions/attic").0, 200);
    assert_eq!(get(&mut node, "/v1/regions/nowhere").0, 404);
    assert_eq!(get(&mut node, "/v1/devices/nobody").0, 404);
    assert_eq!(get(&mut node, "/v1/regions").1["complete"], true);
}

#[test]
fn a_list_from_a_snapshot_that_lacks_regions_says_so_and_has_another_page() {
    let (_directory, mut node) = node(1, &[]);
    let batch: Vec<Value> =
        (0..1_500).map(|i| reading("a", &format!("r{i:04}"), NOW - i)).collect();
    assert_eq!(node.post(&json!(batch), None).status, 202);
    assert_eq!(get(&mut node, "/v1/regions").0, 200);
    node.host.plan = Plan::sqlite_away();
    let (status, list) = get(&mut node, "/v1/regions?after=r0990");
    assert_eq!((status, &list["stale"], &list["complete"]), (200, &json!(true), &json!(false)));
    assert_eq!(list["regions"].as_array().unwrap().len(), 9, "up to the thousandth");
    // What comes then is not the end of the list, but not to be had.
    let next = list["next"].as_str().unwrap();
    assert_eq!(get(&mut node, &format!("/v1/regions{next}")).0, 503);
    // Beyond the snapshot, as before it.
    assert_eq!(get(&mut node, "/v1/regions/r0999").0, 200);
    assert_eq!(get(&mut node, "/v1/regions/r1400").0, 503);
    assert_eq!(get(&mut node, "/v1/regions/nowhere").0, 503);
}

#[test]
fn without_a_snapshot_nothing_is_missing_that_is_counted() {
    let (_directory, mut node) = node(1, &[]);
    assert_eq!(node.post(&reading("a", "hall", NOW), None).status, 202);
    node.host.plan = Plan::sqlite_away();
    for path in ["/v1/regions/hall", "/v1/regions", "/v1/devices/a", "/v1/conflicts"] {
        assert_eq!(get(&mut node, path).0, 503, "{path}");
    }
}

#[test]
fn the_answer_that_sets_readings_aside_counts_them_in_every_format() {
    for path in ["/v1/regions/hall", "/v1/regions", "/metrics", "csv"] {
        let (_directory, mut node) = node(1, &[("retention", "0")]);
        assert_eq!(node.post(&reading("a", "hall", NOW), Some("wait")).status, 200);
        assert_eq!(node.post(&reading("b", "hall", NOW - DAY), None).status, 202);
        // As if the database had been restored while it waited.
        execute(&node, "INSERT INTO tallies VALUES ('pruned_before', 1899999000000)");
        if path == "/metrics" {
            let text = String::from_utf8(node.get(path).body).unwrap();
            for line in ["isotherm_quarantined_readings 1", "isotherm_journal_readings 0"] {
                assert!(text.lines().any(|l| l == line), "{line}\n{text}");
            }
        } else if path == "csv" {
            let header = node.get_as("/v1/regions", "text/csv").headers;
            let coverage = header.iter().find(|(name, _)| *name == "isotherm-coverage").unwrap();
            assert!(coverage.1.contains("quarantined_readings=1"), "{coverage:?}");
            assert!(coverage.1.contains("unfolded_readings=0"), "{coverage:?}");
        } else {
            let (_, body) = get(&mut node, path);
            let told = (&body["quarantined_readings"], &body["unfolded_readings"]);
            assert_eq!(told, (&json!(1), &json!(0)), "{path}");
        }
    }
}

#[test]
fn a_scraper_alone_keeps_the_figures_up_to_date() {
    let (_directory, mut node) = node(1, &[]);
    for i in 0..120 {
        assert_eq!(node.post(&reading("a", "hall", NOW - i), None).status, 202);
    }
    let text = String::from_utf8(node.get("/metrics").body).unwrap();
    for line in ["isotherm_readings_accepted_total 120", "isotherm_journal_entries 0"] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

/// Windows of a region for as many minutes, by SQL alone.
fn fill(node: &Node, region: &str, minutes: i64) {
    execute(node, &format!("INSERT INTO regions (name) VALUES ('{region}')"));
    execute(
        node,
        &format!(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT {minutes}) \
             INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                                  min, max, oldest, newest) \
             SELECT (SELECT id FROM regions WHERE name = '{region}'), 60, i * 60, 1, 0, 0, 0, 0, \
                    0, i * 3600000, i * 3600000 FROM n"
        ),
    );
}

#[test]
fn a_question_that_is_too_wide_is_refused_and_no_outage() {
    let (_directory, mut node) = node(1, &[("retention", "0")]);
    assert_eq!(node.post(&reading("a", "hall", NOW), Some("wait")).status, 200);
    // Hours since 1970, of some regions: more than an answer is made of, though they
    // have no days.
    let hours = NOW / 3_600_000;
    for region in ["r1", "r2"] {
        fill(&node, region, hours);
    }
    // Days that begin an hour late have two edges of hours each.
    let path = "/v1/regions/r1/windows?from=1970-04-27T01:00:00Z&step=1d";
    let (status, problem) = get(&mut node, path);
    assert_eq!(status, 200, "{problem}");
    execute(
        &node,
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT 600000) \
         INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                              min, max, oldest, newest) \
         SELECT (SELECT id FROM regions WHERE name = 'hall'), 1440, i * 1440, 1, 0, 0, 0, 0, 0, \
                0, 0 FROM n WHERE i NOT IN (SELECT start / 1440 FROM windows WHERE span = 1440)",
    );
    for path in ["/v1/regions/hall?from=0", "/v1/regions?from=0"] {
        let answer = node.get(path);
        assert_eq!(answer.status, 422, "{path}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["type"], "urn:isotherm:problem:too-much-asked");
        assert!(problem["detail"].as_str().unwrap().contains("narrow"), "{problem}");
    }
    for _ in 0..5 {
        assert_eq!(node.get("/v1/regions?from=0").status, 422);
    }
    let (_, ready) = get(&mut node, "/readyz");
    assert_eq!((&ready["status"], &ready["breaker"]), (&json!("ready"), &json!("closed")));
    assert_eq!(get(&mut node, "/v1/regions/hall").0, 200);
}

#[test]
fn a_page_of_devices_costs_what_is_on_it() {
    let (_directory, mut node) = node(1, &[("retention", "0")]);
    for batch in 0..4 {
        let one = |i: i64| reading(&format!("d{:05}", batch * 10_000 + i), "hall", NOW - batch);
        let batch: Vec<Value> = (0..10_000).map(one).collect();
        assert_eq!(node.post(&json!(batch), Some("wait")).status, 200);
    }
    let mut bytes = |path: &str| {
        node.host.plan = Plan::new(0, false, false);
        let (status, body) = get(&mut node, path);
        assert_eq!(status, 200);
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
    let (_directory, mut node) = node(30, &[]);
    for entry in 0..10 {
        let batch: Vec<Value> =
            (0..10_000).map(|i| reading(&format!("d{i}"), "hall", NOW - entry * 1_000)).collect();
        assert_eq!(node.post(&json!(batch), None).status, 202);
    }
    let store = node.host.inner.key_value().unwrap();
    let waiting = || {
        let keys = KeyValue::keys(&store).unwrap();
        keys.iter().filter(|key| key.starts_with("journal/")).count()
    };
    if waiting() < 5 {
        // Chance has made a request fold already.
        return;
    }
    let before = waiting();
    let body: Value = {
        let request = isotherm::http::Request::get("/v1/regions/hall");
        let answered = isotherm::api::routes::answer(&node.host, &request, node.now);
        assert!(waiting() > 0 && waiting() < before, "one step is all there was time for");
        answered.after_answer.run(&node.host, node.now).unwrap();
        serde_json::from_slice(&answered.response.body).unwrap()
    };
    assert!(body["unfolded_entries"].as_u64().unwrap() > 0, "{body}");
    assert_eq!(waiting(), 0, "what is left is folded when nobody waits");
}

#[test]
fn a_database_that_takes_long_to_fail_is_spared_from_when_it_has_failed() {
    let (_directory, mut node) = node(1, &[]);
    assert_eq!(node.post(&reading("a", "hall", NOW), Some("wait")).status, 200);
    // Each call to it fails after longer than the first cool-down.
    node.host.plan = Plan::sqlite_away_slowly(limits::REGIONS_RESPONSE_MS_MAX + 100);
    for _ in 0..limits::BREAKER_FAILURES_TO_OPEN {
        assert!(matches!(node.get("/v1/regions/hall").status.as_u16(), 200 | 503));
    }
    let before = node.host.plan.sqlite_calls();
    node.get("/v1/regions/hall");
    assert_eq!(node.host.plan.sqlite_calls(), before, "it is asked again at once");
}

#[test]
fn names_that_no_client_can_ask_for_do_no_harm_where_an_older_release_took_them() {
    use isotherm::journal::EntryName;
    let (_directory, mut node) = node(1, &[("retention", "0")]);
    // As an older release journaled it: version 2, one reading of device ".." in ".".
    let value = b"\x02\x01\x05\x01\x01.\x02..\x00\x02\x00\x00\x00".to_vec();
    let digest: String =
        <sha2::Sha256 as sha2::Digest>::digest(&value).iter().map(|b| format!("{b:02x}")).collect();
    let key = format!("journal/2/{:012x}-00000001-{:08x}-{digest}", 5, value.len());
    let store = node.host.inner.key_value().unwrap();
    KeyValue::set(&store, &key, &value).unwrap();
    let (_, list) = get(&mut node, "/v1/regions");
    assert_eq!(
        (&list["regions"][0]["region"], &list["regions"][0]["count"]),
        (&json!("."), &json!(1))
    );
    assert_eq!(list["quarantined_readings"], 0);
    // A new one is rejected at the door.
    let answer = node.post(&reading("a", "..", NOW), None);
    assert_eq!(answer.status, 422);
    assert!(EntryName::from_key(&key).is_some());
}

#[test]
fn files_that_can_not_be_read_are_no_missing_files() {
    let (_directory, mut node) = node(1, &[]);
    assert_eq!(node.get("/assets/app.js").status, 404);
    node.host.plan = Plan::new(1, true, false);
    assert_eq!(node.get("/assets/app.js").status, 503);
}

#[test]
fn new_names_are_rejected_where_there_are_as_many_as_may_be_and_known_ones_go_on() {
    let variables = [("regions_max", "2"), ("devices_max", "3")];
    let (directory, mut node) = node(1, &variables);
    let batch = |region: &str| -> Value {
        (0..5_000).map(|i| reading(&format!("d{}", i % 3), region, NOW - i)).collect()
    };
    let store = node.host.inner.key_value().unwrap();
    let is_told = || {
        let door =
            KeyValue::get(&store, isotherm::journal::keys::DOOR).unwrap().unwrap_or_default();
        String::from_utf8(door).unwrap().contains(" regions=2 devices=3")
    };
    for round in 0..100 {
        let region = if round % 2 == 0 { "hall" } else { "attic" };
        assert_eq!(node.post(&batch(region), None).status, 202);
        if is_told() {
            break;
        }
    }
    assert!(is_told(), "the door never learned of it");
    let mixed = json!([
        reading("d1", "hall", NOW + 1),
        reading("d1", "cellar", NOW + 2),
        reading("new", "hall", NOW + 3),
    ]);
    let answer = node.post(&mixed, None);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status.as_u16(), &body["accepted"]), (202, &json!(1)), "{body}");
    for (position, (index, variable)) in [(1, "regions_max"), (2, "devices_max")].iter().enumerate()
    {
        let rejected = &body["rejected"][position];
        assert_eq!(
            (&rejected["index"], &rejected["reason"]),
            (&json!(index), &json!("too_many_names"))
        );
        assert!(rejected["detail"].as_str().unwrap().contains(variable), "{rejected}");
    }
    assert_eq!(get(&mut node, "/v1/regions/cellar").0, 404);
    // An operator who gives them more room has it at once.
    let inner = NativeHost::new(directory.path(), &[("regions_max", "9"), ("devices_max", "9")]);
    let wider =
        FaultyHost { inner: inner.unwrap().simulated(1, 3), plan: Plan::new(0, false, false) };
    let mut wider = Node { host: wider, now: node.now };
    assert_eq!(wider.post(&reading("d1", "cellar", NOW + 5), None).status, 202);
    // While nobody can say which names are known, nobody is kept from sending.
    node.host.plan = Plan::sqlite_away();
    assert_eq!(node.post(&reading("new", "hall", NOW + 4), None).status, 202);
}

#[test]
fn the_next_page_of_a_time_long_ago_is_there() {
    let (_directory, mut node) = node(1, &[("retention", "0")]);
    let at = |minute: i64| format!("1971-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    let batch: Vec<Value> = (0..30)
        .map(
            |i| json!({"device_id": "a", "region": "hall", "temperature_c": 1, "timestamp": at(i)}),
        )
        .collect();
    assert_eq!(node.post(&json!(batch), Some("wait")).status, 200);
    for path in [
        "/v1/devices/a/readings?from=1971-01-01T00:00:00Z&to=1971-01-02T00:00:00Z&limit=10",
        "/v1/regions/hall/windows?from=0&to=1971-01-01T01:00:00Z&step=1m",
        "/v1/regions/hall/windows?from=0",
    ] {
        let (status, page) = get(&mut node, path);
        assert_eq!(status, 200, "{path}");
        let next = isotherm_it::next_page(path, page["next"].as_str().unwrap());
        assert_eq!(get(&mut node, &next).0, 200, "{next}");
    }
}
