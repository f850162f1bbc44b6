//! The table of a source's devices: which device and region an id is, and since when.

use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use isotherm::api::{readings, router};
use isotherm::http::{Header, Request};
use isotherm_stores::native::NativeHost;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, NOW, instant};

/// Messages `{"id":…,"t":…,"at":…}` whose devices are in the table.
fn mapping() -> Value {
    json!({
        "body": "json", "take": [{"value": "t", "unit": "C"}], "device": ["@id"],
        "time": {"at": "at", "as": "unix-ms"},
    })
}

fn node() -> Node {
    let mut node = Node::quiet(&[("retention", "30d")]);
    node.source("attic", &mapping());
    node
}

impl Node {
    #[track_caller]
    fn tell(&mut self, id: &str, celsius: f64, at: i64) {
        self.message("attic", &json!({"id": id, "t": celsius, "at": at}).to_string());
    }

    #[track_caller]
    fn put_table(&mut self, csv: &str) {
        let response = self.change(Method::PUT, "/v1/sources/attic/devices", csv);
        let text = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, 204, "{text}");
    }

    fn adopt(&mut self, row: &Value) -> u16 {
        let path = "/v1/sources/attic/devices";
        self.change(Method::POST, path, &row.to_string()).status.as_u16()
    }
}

#[test]
fn an_unknown_device_is_seen_and_adopted_by_one_request() {
    let mut node = node();
    node.tell("F1:01", -18.25, NOW - 5_000);
    node.tell("F1:01", -18.5, NOW - 4_000);
    node.tell("F1:02", 4.0, NOW - 3_000);
    assert_eq!(node.read("/v1/regions")["regions"], json!([]));
    let unknown = node.read("/v1/sources/attic/unknown");
    let expected = json!([
        {"id": "F1:02", "temperature_c": 4.0, "timestamp": instant(NOW - 3_000), "readings": 1},
        {"id": "F1:01", "temperature_c": -18.5, "timestamp": instant(NOW - 4_000), "readings": 2},
    ]);
    assert_eq!(unknown["devices"], expected);
    check_fields(
        &node.seen("attic"),
        &json!({
            "unknown_devices": 2, "refused": {"unknown_device": 3}, "kept": 0, "devices": 0,
        }),
    );
    assert_eq!(node.adopt(&json!({"id": "F1:01", "device": "freezer", "region": "store"})), 200);
    let left = node.read("/v1/sources/attic/unknown");
    assert_eq!(left["devices"].as_array().unwrap().len(), 1);
    node.tell("F1:01", -18.25, NOW - 5_000);
    let store = node.read("/v1/regions/store");
    check_fields(&store, &json!({"count": 1, "average_c": -18.25}));
    check_fields(&node.seen("attic"), &json!({"unknown_devices": 1, "kept": 1, "devices": 1}));
}

#[test]
fn the_ids_of_one_probe_are_one_device() {
    let mut node = node();
    // The id of such a sensor changes with its battery.
    node.put_table("id,device,region\nNexus-TH.*,freezer,cellar\nhonest,honest,cellar\n");
    for number in 0..254 {
        node.tell(&format!("Nexus-TH.{number}"), -20.0, NOW - number * 60_000);
        node.tell("honest", 20.0, NOW - number * 60_000);
    }
    let cellar = node.read("/v1/regions/cellar");
    let expected = json!({"count": 508, "devices": 2, "average_c": 0.0, "device_average_c": 0.0});
    check_fields(&cellar, &expected);
}

#[test]
fn a_reading_goes_where_the_sensor_was_when_it_was_measured() {
    let mut node = node();
    let moved = NOW - DAY;
    node.put_table(&format!(
        "id,device,region,since\ns7,probe-7,cold-1,\ns7,probe-7,cold-2,{}\n",
        instant(moved).as_str().unwrap()
    ));
    // The backlog comes in another order, and twice.
    let mut backlog: Vec<i64> = (-30..30).map(|n| moved + n * HOUR / 2).collect();
    backlog.extend(backlog.clone());
    for at in crate::support::readings::shuffled(&backlog, 3) {
        node.tell("s7", 4.0, at);
    }
    for (region, oldest) in [("cold-1", moved - 15 * HOUR), ("cold-2", moved)] {
        let body = node.read(&format!("/v1/regions/{region}"));
        check_fields(&body, &json!({"count": 30, "oldest": instant(oldest), "conflicts": 0}));
    }
    // A sensor that was nowhere before has no reading from then.
    node.put_table(&format!(
        "id,device,region,since\ns8,p8,cold-1,{}\n",
        instant(moved).as_str().unwrap()
    ));
    node.tell("s8", 4.0, moved - 1);
    assert_eq!(node.read("/v1/sources/attic/unknown")["devices"][0]["id"], "s8");
}

#[test]
fn a_large_table_is_read_in_parts_and_changed_at_once() {
    let mut node = node();
    let rows: String = (0..5_000).map(|n| format!("id-{n},d-{n},r-{},\n", n % 7)).collect();
    node.put_table(&format!("id,device,region,since\n{rows}glob-*,g,r-0,\n"));
    assert!(node.keys("source-devices/1/attic/") > 10);
    for number in [0, 1, 2_499, 4_999] {
        node.tell(&format!("id-{number}"), 1.0, NOW - 1_000);
    }
    node.tell("glob-7", 1.0, NOW - 1_000);
    let devices = node.read("/v1/devices");
    let mut names: Vec<&str> = devices["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["device_id"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["d-0", "d-1", "d-2499", "d-4999", "g"]);
    let parts = node.keys("source-devices/1/attic/");
    assert_eq!(node.adopt(&json!({"id": "new", "device": "new", "region": "r-1"})), 200);
    assert_eq!(node.keys("source-devices/1/attic/"), parts, "those of the table before are gone");
    let table = node.read("/v1/sources/attic/devices");
    assert_eq!(table["devices"].as_array().unwrap().len(), 5_002);
    let csv = node.get_as("/v1/sources/attic/devices", "text/csv");
    let csv = String::from_utf8(csv.body).unwrap();
    assert!(csv.starts_with("id,device,region,since\r\nid-0,d-0,r-0,\r\n"), "{}", &csv[..80]);
    // What is read can be put back.
    node.put_table(&csv);
    assert_eq!(node.read("/v1/sources/attic/devices"), table);
    node.put_table("id,device,region\nonly,only,hall\n");
    assert_eq!(node.keys("source-devices/1/attic/"), 0);
    assert_eq!(node.change(Method::DELETE, "/v1/sources/attic", "").status, 204);
    assert_eq!(node.keys("source-devices/1/attic"), 0);
    let gone = node.deliver(&Request::post("/v1/in/attic"), "{}");
    assert_eq!(gone.status, 404);
}

#[test]
fn a_table_that_can_not_be_used_changes_nothing_and_says_where() {
    let mut node = node();
    node.put_table("id,device,region\na,a,hall\n");
    let before = node.read("/v1/sources/attic/devices");
    for (table, line) in [
        ("id,device,region\nb,b b,hall\n", "line 2"),
        ("id,device,region\nb,b,hall\nc,c\n", "line 3"),
        ("id,device,region\nb,b,hall\nb,c,hall\n", "line 3"),
        ("id,device,region,since\nb,b,hall,yesterday\n", "line 2"),
        ("id,device,place\nb,b,hall\n", "line 1"),
        ("", "line 1"),
    ] {
        let response = node.change(Method::PUT, "/v1/sources/attic/devices", table);
        let said = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, 400, "{said}");
        assert!(said.contains(line), "{table:?}: {said}");
    }
    for row in [json!({"id": "b"}), json!({"id": "b", "device": "b", "region": "x y"}), json!([])] {
        assert_eq!(node.adopt(&row), 400, "{row}");
    }
    assert_eq!(node.read("/v1/sources/attic/devices"), before);
    let other = Request::with_method(Method::PUT, "/v1/sources/attic/devices")
        .with(Header::ContentType, "image/png");
    let answer = isotherm::api::router::answer_with(&node.host, &other, b"x", node.now);
    assert_eq!(answer.response.status, 415);
}

#[test]
fn a_device_is_known_while_its_table_is_changed_again_and_again() {
    let mut node = node();
    let rows: String = (0..600).map(|n| format!("id-{n},d-{n},hall,\n")).collect();
    node.put_table(&format!("id,device,region,since\n{rows}"));
    let directory = node.directory().to_owned();
    let over = || NativeHost::new(&directory, &[("retention", "30d")]).unwrap();
    let (now, changed) = (node.now, AtomicBool::new(false));
    std::thread::scope(|scope| {
        // Two operators at once, each with devices of its own.
        let adopting = [0, 1].map(|operator| {
            let over = &over;
            scope.spawn(move || {
                let host = over();
                // More than the head of a table has room for: it is written anew once.
                for n in 0..150 {
                    let id = format!("new-{operator}-{n}");
                    let row = json!({"id": id, "device": id, "region": "hall"}).to_string();
                    let request = Request::post("/v1/sources/attic/devices");
                    // 409 after some collisions: then it is sent again.
                    let adopted = || {
                        let body = row.as_bytes();
                        router::answer_with(&host, &request, body, now).response.status == 200
                    };
                    assert!((0..50).any(|_| adopted()), "{id}");
                }
            })
        });
        scope.spawn(|| {
            let host = over();
            let mut n = 0;
            while n <= 10 || !changed.load(Ordering::Relaxed) {
                let at = NOW - n * 1_000;
                let message =
                    json!({"id": format!("id-{}", n % 600), "t": 4, "at": at}).to_string();
                let request = Request::post("/v1/in/attic");
                let handled = readings::post(&host, &request, message.as_bytes(), now);
                assert_eq!(handled.response.status, 204);
                handled.after_answer.run(&host, now).unwrap();
                n += 1;
            }
        });
        for thread in adopting {
            thread.join().unwrap();
        }
        changed.store(true, Ordering::Relaxed);
    });
    assert_eq!(node.read("/v1/sources/attic/unknown")["devices"], json!([]));
    let table = node.read("/v1/sources/attic/devices");
    assert_eq!(table["devices"].as_array().unwrap().len(), 900);
    assert_eq!(node.seen("attic")["devices"], 900);
}

#[test]
fn of_the_first_devices_that_are_adopted_at_once_none_is_lost() {
    for round in 0..10 {
        let mut node = node();
        let directory = node.directory().to_owned();
        let now = node.now;
        std::thread::scope(|scope| {
            for operator in 0..3 {
                let directory = &directory;
                scope.spawn(move || {
                    let host = NativeHost::new(directory, &[]).unwrap();
                    let row = json!({"id": operator.to_string(), "device": "d", "region": "r"});
                    let request = Request::post("/v1/sources/attic/devices");
                    let body = row.to_string();
                    let adopted = || {
                        let answer = router::answer_with(&host, &request, body.as_bytes(), now);
                        answer.response.status == 200
                    };
                    assert!((0..50).any(|_| adopted()));
                });
            }
        });
        assert_eq!(node.seen("attic")["devices"], 3, "round {round}");
    }
}

#[test]
fn a_table_that_lacks_a_part_makes_no_device_unknown() {
    let mut node = node();
    let rows: String = (0..600).map(|n| format!("id-{n},d-{n},hall,\n")).collect();
    node.put_table(&format!("id,device,region,since\n{rows}"));
    let keys = isotherm::host::KeyValue::keys(&node.key_value()).unwrap();
    for key in keys.iter().filter(|key| key.starts_with("source-devices/1/attic/")) {
        node.remove(key);
    }
    let message = json!({"id": "id-7", "t": 4, "at": NOW}).to_string();
    let answer = node.deliver(&Request::post("/v1/in/attic"), &message);
    assert_eq!(answer.status, 503, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(node.read("/v1/sources/attic/unknown")["devices"], json!([]));
}
