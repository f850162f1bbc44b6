//! What is measured now, and which devices are silent: in the answers about regions and
//! devices, in metrics and in events.

use http::Method;
use isotherm::api::router;
use isotherm::http::Request;
use serde_json::{Value, json};

use crate::support::assert::{check_fields, check_lines};
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, instant, json_reading};

/// Cold sends every minute, door every five, probe every second; each until this many
/// minutes ago. All are of the room.
fn room(ends: [i64; 3]) -> Node {
    let mut node = Node::quiet(&[("retention", "0")]);
    let intervals = [("cold", MINUTE), ("door", 5 * MINUTE), ("probe", 1_000)];
    for ((device, interval), end) in intervals.into_iter().zip(ends) {
        let last = NOW - end * MINUTE;
        let one = |n: i64| {
            let celsius = -20 + n + if device == "door" { 9 } else { 0 };
            json_reading(device, "room", celsius, last - n * interval)
        };
        node.accept_and_wait(&(0..7).map(one).collect());
    }
    node.set_clock(NOW);
    node
}

fn put(node: &Node, device: &str, body: &Value) -> (u16, Value) {
    let mut request = Request::get(&format!("/v1/devices/{device}"));
    request.method = Method::PUT;
    let body = body.to_string();
    let response = router::answer_with(&node.host, &request, body.as_bytes(), node.now).response;
    let json = serde_json::from_slice(&response.body).unwrap_or_default();
    (response.status.as_u16(), json)
}

#[test]
fn a_region_says_what_is_measured_now_and_not_what_silent_devices_measured_last() {
    let node = room([1, 4, 0]);
    let all = node.look_at("/v1/regions/room");
    let expected = json!({
        "latest_average_c": -51.0 / 3.0, "latest_devices": 3,
        "warmest_device": "door", "warmest_c": -11.0, "warmest_at": instant(NOW - 4 * MINUTE),
        // Of two equal ones, the one that is known longer.
        "coldest_device": "cold", "coldest_c": -20.0, "coldest_at": instant(NOW - MINUTE),
        "silent_devices": 0, "silent": [],
    });
    check_fields(&all, &expected);
    check_fields(&node.look_at("/v1/regions")["regions"][0], &expected);
    // The figures of a range are not those of now.
    let range = format!("/v1/regions/room?from={}", NOW - DAY);
    check_fields(&node.look_at(&range), &json!({"count": 21, "latest_devices": null}));

    let node = room([4, 14, 3]);
    let expected = json!({
        "latest_average_c": -11.0, "latest_devices": 1, "warmest_device": "door",
        "coldest_device": "door", "silent_devices": 2, "silent": ["cold", "probe"],
    });
    check_fields(&node.look_at("/v1/regions/room"), &expected);

    let node = room([90, 60, 30]);
    let expected = json!({
        "latest_average_c": null, "latest_devices": 0, "warmest_device": null,
        "warmest_c": null, "coldest_at": null,
        "silent_devices": 3, "silent": ["cold", "door", "probe"],
    });
    check_fields(&node.look_at("/v1/regions/room"), &expected);
}

#[test]
fn a_device_is_silent_when_three_of_its_usual_gaps_have_passed() {
    for (device, ends, interval_ms, after_ms) in [
        ("cold", [2, 0, 0], 60_000, 180_000),
        ("door", [0, 14, 0], 300_000, 900_000),
        // A second is too short to wake somebody for.
        ("probe", [0, 0, 1], 1_000, 120_000),
    ] {
        let mut node = room(ends);
        let expected = json!({
            "expected_interval_ms": interval_ms, "silent_after_ms": after_ms, "silent": false,
        });
        check_fields(&node.look_at(&format!("/v1/devices/{device}")), &expected);
        let newest = NOW - ends.iter().max().unwrap() * MINUTE;
        node.set_clock(newest + after_ms);
        assert_eq!(node.look_at(&format!("/v1/devices/{device}"))["silent"], false);
        node.set_clock(newest + after_ms + 1);
        assert_eq!(node.look_at(&format!("/v1/devices/{device}"))["silent"], true);
    }
}

#[test]
fn a_device_of_which_little_is_known_has_an_hour() {
    let mut node = Node::quiet(&[]);
    node.accept_and_wait(&json_reading("new", "room", 1, NOW));
    let unlearned = json!({"expected_interval_ms": null, "silent_after_ms": HOUR, "silent": false});
    check_fields(&node.look_at("/v1/devices/new"), &unlearned);
    node.set_clock(NOW + HOUR + 1);
    assert_eq!(node.look_at("/v1/devices/new")["silent"], true);
}

#[test]
fn readings_that_come_late_or_in_between_do_not_change_how_often_a_device_sends() {
    let mut node = room([0, 0, 0]);
    for at in [NOW - 90_000, NOW - 2 * DAY, NOW - 91_000] {
        node.accept_and_wait(&json_reading("cold", "room", 1, at));
    }
    assert_eq!(node.look_at("/v1/devices/cold")["expected_interval_ms"], 60_000);
    // Two pauses of five are not usual.
    for at in [HOUR, 2 * HOUR] {
        node.set_clock(NOW + at);
        node.accept_and_wait(&json_reading("cold", "room", 1, NOW + at));
    }
    assert_eq!(node.look_at("/v1/devices/cold")["expected_interval_ms"], 60_000);
}

#[test]
fn how_often_a_device_sends_can_be_set_and_left_to_its_readings_again() {
    let node = room([30, 30, 30]);
    let (status, answer) = put(&node, "cold", &json!({"expected_interval": "1h"}));
    assert_eq!(status, 200);
    let set = json!({
        "device_id": "cold", "expected_interval_ms": HOUR, "silent_after_ms": 3 * HOUR,
        "silent": false,
    });
    check_fields(&answer, &set);
    check_fields(&node.look_at("/v1/devices/cold"), &set);
    check_fields(&node.look_at("/v1/regions/room"), &json!({"silent": ["door", "probe"]}));
    // It may be silent for ever.
    put(&node, "door", &json!({"expected_interval": "0"}));
    let never = json!({"expected_interval_ms": null, "silent_after_ms": null, "silent": false});
    check_fields(&node.look_at("/v1/devices/door"), &never);
    put(&node, "cold", &json!({"expected_interval": null}));
    let learned = json!({"expected_interval_ms": MINUTE, "silent": true});
    check_fields(&node.look_at("/v1/devices/cold"), &learned);

    assert_eq!(put(&node, "nobody", &json!({"expected_interval": "1h"})).0, 404);
    for bad in [
        json!({}),
        json!({"expected_interval": 60}),
        json!({"expected_interval": "8d"}),
        json!({"expected_interval": "500ms"}),
        json!({"expected_interval": "1h", "region": "hall"}),
        json!([]),
    ] {
        let (status, problem) = put(&node, "cold", &bad);
        assert_eq!(status, 400, "{bad} {problem}");
        assert_eq!(problem["type"], "urn:isotherm:problem:invalid-body", "{bad}");
    }
}

fn names(page: &Value) -> Vec<&str> {
    let devices = page["devices"].as_array().unwrap();
    devices.iter().map(|device| device["device_id"].as_str().unwrap()).collect()
}

#[test]
fn all_devices_are_listed_in_pages_by_name_with_their_region_of_now() {
    let mut node = room([10, 10, 0]);
    node.accept_and_wait(&json_reading("probe", "yard", 3, NOW + 1));
    node.accept_and_wait(&json_reading("attic-1", "attic", 4, NOW));
    let all = node.look_at("/v1/devices");
    assert_eq!(names(&all), ["attic-1", "cold", "door", "probe"]);
    let moved = json!({
        "region": "yard", "count": 8, "min_c": -20.0, "max_c": 3.0, "temperature_c": 3.0,
        "silent": false,
    });
    check_fields(&all["devices"][3], &moved);
    // Where it was before, it is neither measured nor silent.
    node.set_clock(NOW + 30 * MINUTE);
    check_fields(&node.look_at("/v1/regions/room"), &json!({"silent": ["cold", "door"]}));
    check_fields(&node.look_at("/v1/regions/yard"), &json!({"silent": ["probe"]}));
    node.set_clock(NOW);

    for (query, expected) in [
        ("region=room", &["cold", "door"][..]),
        ("region=yard", &["probe"]),
        ("region=nowhere", &[]),
        ("silent=true", &["cold"]),
        ("silent=false", &["attic-1", "door", "probe"]),
        ("silent_for=5m", &["cold", "door"]),
        ("silent_for=11m", &[]),
        ("silent=false&silent_for=5m&region=room", &["door"]),
        ("after=cold", &["door", "probe"]),
    ] {
        assert_eq!(names(&node.look_at(&format!("/v1/devices?{query}"))), expected, "{query}");
    }
    // Page by page, also where a page skips devices.
    let mut next = Some("?limit=1&silent=false".to_owned());
    let mut found = Vec::new();
    while let Some(query) = next {
        let page = node.look_at(&format!("/v1/devices{query}"));
        found.extend(names(&page).into_iter().map(ToOwned::to_owned));
        next = page["next"].as_str().map(ToOwned::to_owned);
    }
    assert_eq!(found, ["attic-1", "door", "probe"]);
    for bad in ["silent=yes", "silent_for=soon", "limit=0", "from=1", "region=a%2Fb"] {
        assert_eq!(node.ask(&format!("/v1/devices?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn metrics_have_the_temperature_of_each_device_and_whether_it_is_silent() {
    let mut node = room([10, 14, 0]);
    node.accept_and_wait(&json_reading("probe", "room", -18.375, NOW + 1));
    check_lines(
        &node.metrics(),
        &[
            "isotherm_region_temperature_celsius{region=\"room\",stat=\"average\"} -14.6875",
            "isotherm_region_temperature_celsius{region=\"room\",stat=\"min\"} -18.375",
            "isotherm_region_temperature_celsius{region=\"room\",stat=\"max\"} -11",
            "isotherm_region_devices{region=\"room\"} 2",
            "isotherm_region_silent_devices{region=\"room\"} 1",
            "isotherm_device_temperature_celsius{region=\"room\",device_id=\"cold\"} -20",
            "isotherm_device_temperature_celsius{region=\"room\",device_id=\"probe\"} -18.375",
            "isotherm_device_silent{region=\"room\",device_id=\"cold\"} 1",
            "isotherm_device_silent{region=\"room\",device_id=\"door\"} 0",
        ],
    );
}

#[test]
fn a_listener_is_told_that_a_device_has_fallen_silent() {
    let node = room([0, 0, 0]);
    let request = Request::get("/v1/events");
    let mut stream = router::events(&node.host, &request, node.now).unwrap().0.stream.unwrap();
    let first = stream.step(node.now).text;
    assert_eq!(first, "event: readings\ndata: 21\n\nevent: silent\ndata: 0\n\n");
    let mut told = String::new();
    let later = node.now.saturating_add(4 * MINUTE);
    for _ in 0..10 {
        isotherm::host::Host::sleep_ms(&node.host, 1_000);
        told += &stream.step(later).text.replace(":\n\n", "");
    }
    assert_eq!(told, "event: silent\ndata: 2\n\n");
}

#[test]
fn a_device_has_its_figures_by_hour_and_its_gaps() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let start = NOW - NOW % DAY;
    let one = |minute: i64| json_reading("cold", "room", minute % 7 - 20, start + minute * MINUTE);
    // A pause from 0:50 to 2:10.
    node.accept_and_wait(&(0..51).chain(130..181).map(one).collect());
    node.accept_and_wait(&json_reading("cold", "yard", 40, start + 20 * MINUTE + 1));
    let path = format!("/v1/devices/cold/windows?from={start}&to={}", start + 4 * HOUR);
    let hours = node.look_at(&path);
    check_fields(&hours, &json!({"device_id": "cold", "step_ms": HOUR, "next": null}));
    let count = |n: usize| hours["windows"][n]["count"].as_i64().unwrap();
    assert_eq!([count(0), count(1), count(2), count(3)], [52, 0, 50, 1]);
    check_fields(&hours["windows"][0], &json!({"min_c": -20.0, "max_c": 40.0}));
    check_fields(&hours["windows"][1], &json!({"average_c": null, "min_c": null}));
    let day = node.look_at(&format!("{path}&step=1d"));
    check_fields(&day["windows"][0], &json!({"count": 103, "min_c": -20.0, "max_c": 40.0}));
    let quarters = node.look_at(&format!("{path}&step=15m"));
    let count = |n: usize| quarters["windows"][n]["count"].as_i64().unwrap();
    assert_eq!([count(0), count(1), count(2), count(3)], [15, 16, 15, 6]);

    let path = format!("/v1/devices/cold/gaps?from={start}&to={}", start + 3 * HOUR + 4 * MINUTE);
    let gaps = node.look_at(&path);
    check_fields(&gaps, &json!({"longer_ms": 180_000, "readings": 103, "kept_from": null}));
    let expected = json!([
        {"begin": instant(start + 50 * MINUTE), "end": instant(start + 130 * MINUTE),
         "duration_ms": 80 * MINUTE},
        // It has not ended.
        {"begin": instant(start + 180 * MINUTE), "end": null, "duration_ms": 4 * MINUTE},
    ]);
    assert_eq!(gaps["gaps"], expected);
    assert_eq!(node.look_at(&format!("{path}&longer=2h"))["gaps"], json!([]));
    assert_eq!(node.ask("/v1/devices/nobody/gaps").status, 404);
    assert_eq!(node.ask("/v1/devices/nobody/windows").status, 404);
}

#[test]
fn a_list_of_names_is_one_cell_of_csv() {
    let mut node = room([90, 60, 0]);
    let csv = node.get_as("/v1/regions", "text/csv").body;
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.trim_end().ends_with(",2,cold door,,,,0,"), "{csv}");
}
