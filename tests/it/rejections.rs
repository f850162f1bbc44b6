//! What is rejected can be found: the last rejected items and unreadable bodies, by device.

use std::time::Duration;

use isotherm::api::readings::{self, Begun};
use isotherm::http::{Header, Request};
use isotherm::internals::journal::keys;
use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Sender;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{DAY, MINUTE, NOW, in_hall, instant, json_reading};
use crate::support::service::{Expect as _, until};

const LIST: &str = "/v1/rejections";
const DEVICES: &str = "/v1/rejections/devices";

fn node() -> Node {
    Node::quiet(&[("retention", "7d")])
}

/// Posts a body that need not be JSON, from this address. Returns the answer's status.
fn post(node: &Node, body: &str, address: &str) -> u16 {
    let head = Request::post("/v1/readings").with(Header::SpinClientAddr, address);
    let handled = readings::post(&node.host, &head, body.as_bytes(), node.now);
    handled.after_answer.run(&node.host, node.now).unwrap();
    handled.response.status.as_u16()
}

fn list(node: &Node, path: &str) -> Vec<Value> {
    node.look_at(path)["rejections"].as_array().unwrap().clone()
}

#[test]
fn one_misconfigured_sensor_is_found_at_once_and_counted_exactly() {
    let mut node = node();
    for minute in 0..20_i64 {
        node.set_clock(NOW + minute * MINUTE);
        node.accept(&in_hall("good", NOW + minute * MINUTE));
        node.reject(&json_reading("cellar-7", "hall", "4.5", NOW));
        let found = list(&node, LIST);
        assert_eq!(found.len(), usize::try_from(minute).unwrap() + 1, "{found:?}");
    }
    let newest = json!({
        "at": instant(node.now.get()), "device_id": "cellar-7", "region": "hall",
        "reason": "wrong_type", "detail": "temperature_c must be a number, in degrees Celsius",
        "address": null, "stands_for": 1,
    });
    let body = node.look_at(LIST);
    assert_eq!(body["rejections"][0], newest);
    check_fields(&body, &json!({"kept": 20, "as_of": instant(node.now.get())}));
    assert_eq!(body["kept_from"], body["rejections"][19]["at"]);
    let devices = &node.look_at(DEVICES)["devices"];
    assert_eq!(
        devices,
        &json!([{
            "device_id": "cellar-7", "region": "hall", "rejected": 20,
            "last_at": newest["at"], "last_reason": "wrong_type",
            "last_detail": newest["detail"], "last_address": null,
        }])
    );
}

#[test]
fn several_devices_with_a_mistake_a_minute_do_not_hide_each_other() {
    let mut node = node();
    for minute in 0..10 {
        for device in ["a", "b", "c", "d"] {
            node.set_clock(NOW + minute * MINUTE);
            node.reject(&in_hall(device, NOW + DAY));
        }
    }
    let counted = node.look_at(DEVICES);
    let rejected: Vec<&Value> =
        counted["devices"].as_array().unwrap().iter().map(|device| &device["rejected"]).collect();
    assert_eq!(rejected, [10, 10, 10, 10], "{counted}");
}

/// What is listed of a request with this item alone.
fn listed_of(item: &str) -> Value {
    let node = node();
    assert_eq!(post(&node, &format!("[{item}]"), "10.0.0.7:40123"), 422, "{item}");
    let mut found = list(&node, LIST);
    assert_eq!(found.len(), 1, "{item}");
    let found = found.swap_remove(0);
    check_fields(&found, &json!({"address": "10.0.0.7", "stands_for": 1}));
    found
}

#[test]
fn device_and_region_are_found_whatever_is_wrong_with_the_reading() {
    let (now, ahead, old) = (NOW, NOW + DAY, NOW - 8 * DAY);
    for (rest, reason) in [
        (format!("\"temperature_c\":NaN,\"timestamp\":{now}"), "malformed"),
        ("\"temperature_c\":1".to_owned(), "missing_field"),
        (format!("\"temperature_c\":1,\"timestamp\":{now},\"unit\":\"F\""), "unknown_field"),
        (format!("\"temperature_c\":1,\"temperature_c\":1,\"timestamp\":{now}"), "duplicate_field"),
        (format!("\"temperature_c\":\"1\",\"timestamp\":{now}"), "wrong_type"),
        (format!("\"temperature_c\":5000,\"timestamp\":{now}"), "temperature_out_of_range"),
        ("\"temperature_c\":1,\"timestamp\":5".to_owned(), "invalid_timestamp"),
        (format!("\"temperature_c\":1,\"timestamp\":{ahead}"), "in_future"),
        (format!("\"temperature_c\":1,\"timestamp\":{old}"), "too_old"),
    ] {
        let names = r#""device_id":"d1","region":"hall""#;
        for item in [format!("{{{names},{rest}}}"), format!("{{{rest},{names}}}")] {
            let expected = json!({"device_id": "d1", "region": "hall", "reason": reason});
            check_fields(&listed_of(&item), &expected);
        }
    }
}

#[test]
fn names_are_listed_as_they_were_sent_cut_and_in_one_line() {
    let long = format!(r#"{{"device_id":"{}","region":"ü"}}"#, "x".repeat(300));
    let cut = "x".repeat(64);
    for (item, device, region) in [
        (r#"{"device_id":17,"region":null}"#, json!("17"), json!("null")),
        (r#"{"device_id":"a\nb","region":"h\"all,"}"#, json!("a\\nb"), json!("h\"all,")),
        (long.as_str(), json!(cut), json!("ü")),
        // What is no name is no device, and may be anything.
        (r#"{"device_id":{"password":"x"},"region":["y"]}"#, Value::Null, Value::Null),
        ("{}", Value::Null, Value::Null),
        ("7", Value::Null, Value::Null),
    ] {
        let found = listed_of(item);
        check_fields(&found, &json!({"device_id": device, "region": region}));
        assert!(!found.to_string().contains("password"), "{found}");
    }
}

#[test]
fn a_cell_with_a_comma_or_a_quote_is_quoted_in_csv() {
    let mut node = node();
    node.reject(&json_reading("a\nb", "x,\"y\"", 1, NOW));
    let csv = String::from_utf8(node.get_as(LIST, "text/csv").body).unwrap();
    let mut lines = csv.split("\r\n");
    assert_eq!(lines.next(), Some("at,device_id,region,reason,detail,address,stands_for"));
    let line = lines.next().unwrap();
    let rule =
        "device_id and region: names are 1 to 64 of A-Z a-z 0-9 . _ : -, and not . or .. alone";
    let expected = format!(r#",a\nb,"x,""y""",invalid_device_id,"{rule}",,1"#);
    assert!(line.ends_with(&expected), "{line}");
    assert_eq!((lines.next(), lines.next()), (Some(""), None));
}

#[test]
fn what_is_rejected_beside_accepted_readings_is_listed_and_counted_once() {
    let mut node = node();
    node.accept(&json!([in_hall("a", NOW), in_hall("b", NOW + DAY), {"device_id": "c"}]));
    node.accept_and_wait(&json!([in_hall("a", NOW + 1), in_hall("b", NOW + DAY)]));
    let found: Vec<Value> = list(&node, LIST).iter().map(|r| r["device_id"].clone()).collect();
    assert_eq!(found, ["b", "c", "b"]);
    assert_eq!(node.metric("isotherm_readings_rejected_total{reason=\"in_future\"}"), 2);
    assert_eq!(node.metric("isotherm_readings_rejected_total{reason=\"missing_field\"}"), 1);
}

#[test]
fn items_that_are_alike_are_one_record_and_a_batch_displaces_no_others() {
    let mut node = node();
    node.reject(&json!({"device_id": "before"}));
    node.set_clock(NOW + MINUTE);
    node.reject(&(0..5_000).map(|i| json!({"device_id": format!("d{}", i % 5)})).collect());
    let found = list(&node, LIST);
    assert_eq!(found.len(), 6);
    assert!(found[..5].iter().all(|record| record["stands_for"] == 1_000), "{found:?}");
    node.set_clock(NOW + 2 * MINUTE);
    node.reject(&(0..10_000).map(|i| json!({"device_id": format!("e{i}")})).collect());
    let found = list(&node, LIST);
    assert_eq!(found.len(), 56);
    let sum: u64 = found[..50].iter().map(|record| record["stands_for"].as_u64().unwrap()).sum();
    assert_eq!(sum, 10_000);
    let rest = json!({"device_id": null, "region": null, "stands_for": 9_951});
    check_fields(&found[49], &rest);
    assert_eq!(node.look_at(DEVICES)["devices"][0]["rejected"], 9_951);
}

#[test]
fn a_time_that_is_off_is_told_by_how_much_and_is_one_record_however_much() {
    let mut node = node();
    let said = |rejected: &Value| rejected["errors"][0]["detail"].as_str().unwrap().to_owned();
    node.set_clock(NOW);
    let ahead = node.reject(&in_hall("a", NOW + 64 * MINUTE));
    assert_eq!(
        said(&ahead),
        "timestamp is 1 h 3 min ahead of this node's clock, and at most 5 minutes are accepted \
         (variable max_skew); check the device's clock"
    );
    let old = node.reject(&in_hall("a", NOW - 8 * DAY));
    let begin = "timestamp is 8 d old, and at most 7 days are accepted (variable retention); ";
    assert!(said(&old).starts_with(begin), "{old}");
    node.reject(&(0..100).map(|i| in_hall("b", NOW + DAY + i * MINUTE)).collect());
    assert_eq!(list(&node, LIST)[0]["stands_for"], 100);
}

#[test]
fn a_page_goes_on_where_the_last_one_ended_although_new_ones_come() {
    let mut node = node();
    let reject = |node: &mut Node, i: i64| {
        node.set_clock(NOW + i * MINUTE);
        node.reject(&json!({"device_id": format!("d{i}"), "region": "hall"}));
    };
    (0..10).for_each(|i| reject(&mut node, i));
    let mut path = format!("{LIST}?limit=4");
    let mut seen = Vec::new();
    for page in 0.. {
        let body = node.look_at(&path);
        seen.extend(body["rejections"].as_array().unwrap().iter().map(|r| r["device_id"].clone()));
        let Some(next) = body["next"].as_str() else { break };
        path = format!("{LIST}{next}");
        reject(&mut node, 10 + page);
    }
    let expected: Vec<Value> = (0..10).rev().map(|i| json!(format!("d{i}"))).collect();
    assert_eq!(seen, expected);
    assert_eq!(list(&node, &format!("{LIST}?device_id=d3")).len(), 1);
    assert_eq!(list(&node, &format!("{LIST}?reason=missing_field")).len(), 12);
    assert_eq!(list(&node, &format!("{LIST}?reason=too-large")).len(), 0);
    assert_eq!(list(&node, &format!("{LIST}?region=hall")).len(), 12);
    assert_eq!(list(&node, &format!("{LIST}?region=hall&device_id=d3")).len(), 1);
    assert_eq!(list(&node, &format!("{LIST}?region=cellar")).len(), 0);
    let next = node.look_at(&format!("{LIST}?region=hall&limit=4"))["next"].clone();
    assert!(next.as_str().unwrap().contains("region=hall"), "{next}");
    for query in ["reason=nonsense", "after=x", "limit=0", "area=1"] {
        assert_eq!(node.status_of(&format!("{LIST}?{query}")), 400, "{query}");
    }
}

#[test]
fn a_value_that_can_not_be_read_is_begun_again() {
    for damaged in [&b""[..], b"\xff\xff", b"nonsense of another release"] {
        let mut node = node();
        node.put(keys::REJECTIONS, damaged);
        assert_eq!(list(&node, LIST).len(), 0);
        node.reject(&json!({"device_id": "a"}));
        assert_eq!(list(&node, LIST).len(), 1);
    }
}

#[test]
fn an_accepted_reading_costs_no_call_more_and_a_rejected_one_few() {
    let mut node = node();
    node.accept(&in_hall("a", NOW));
    let calls = |node: &mut Node, body: &Value, status: u16| {
        let before = node.host.plan.calls();
        assert_eq!(node.post(body).status, status);
        node.host.plan.calls() - before
    };
    // The store is opened, the door is looked at, the entry is written.
    assert_eq!(calls(&mut node, &in_hall("a", NOW + 1), 202), 3);
    let entries = node.keys("journal/");
    // Opened and looked at; after the answer opened again, and both values read and written.
    let bad = json!({"device_id": "a"});
    assert_eq!(calls(&mut node, &bad, 422), 2 + 5);
    let many: Vec<usize> = (0..200).map(|_| calls(&mut node, &bad, 422)).collect();
    // A look at when the last note was written.
    let rare = many.iter().filter(|calls| **calls == 2 + 2).count();
    assert!(rare > 150 && many.iter().all(|calls| [4, 7].contains(calls)), "{rare}: {many:?}");
    assert_eq!(node.keys("journal/"), entries);
}

#[test]
fn a_request_that_is_no_fault_of_a_sensor_is_not_noted() {
    let node = Node::quiet(&[("journal_max_entries", "1")]);
    node.put(keys::DOOR, format!("full={NOW}").as_bytes());
    assert_eq!(post(&node, &in_hall("a", NOW).to_string(), ""), 503);
    for request in [Request::get("/v1/readings"), Request::post("/v1/reading")] {
        let Begun::Done(handled) = readings::begin(&node.host, &request, node.now) else {
            panic!("it wants a body");
        };
        handled.after_answer.run(&node.host, node.now).unwrap();
    }
    assert_eq!(node.keys(keys::REJECTIONS) + node.keys(keys::REJECTED), 0);
}

/// The records of a service, once there are so many.
fn records(service: &Service, count: usize) -> Vec<Value> {
    until("as many are listed", || {
        let body = service.read(LIST);
        let found = body["rejections"].as_array().unwrap();
        assert!(found.len() <= count, "{body}");
        (found.len() == count).then(|| found.clone())
    })
}

#[test]
fn each_kind_of_refusal_is_listed_with_where_it_came_from() {
    let service = Service::start(&[("max_body_bytes", "2000")]).unwrap();
    let good = in_hall("good", now_ms());
    let padded = format!("{good}{}", " ".repeat(3_000));
    let html = [("content-type", "text/html")];
    // Neither of these is believed.
    let forged = [("spin-client-addr", "6.6.6.6:6"), ("x-forwarded-for", "7.7.7.7")];
    let brotli = [("content-encoding", "br")];
    let hot = json_reading("hot", "hall", 5_000, now_ms()).to_string();
    let cases = [
        ("secret=1", &[][..], 400, "unreadable", Value::Null),
        (&padded, &[], 413, "too-large", Value::Null),
        ("a,b\n", &html, 415, "unsupported-media-type", Value::Null),
        ("x", &brotli, 415, "unsupported-media-type", Value::Null),
        (&hot, &forged, 422, "temperature_out_of_range", json!("hot")),
        (&format!("[{good},{{\"device_id\":\"half\"}}]"), &[], 202, "missing_field", json!("half")),
    ];
    for (number, (body, headers, status, reason, device)) in cases.iter().enumerate() {
        let answer = service.sender().post(body.as_bytes(), headers).unwrap();
        assert_eq!(answer.status, *status, "{}", answer.body);
        let newest = records(&service, number + 1).swap_remove(0);
        let expected = json!({"reason": reason, "device_id": device, "address": "127.0.0.1",
                              "stands_for": 1});
        check_fields(&newest, &expected);
        let detail = newest["detail"].as_str().unwrap();
        let told = answer.json().unwrap().to_string().replace(" (near `secret`)", "");
        assert!(told.contains(&detail.replace('"', "\\\"")), "{detail}: {}", answer.body);
        // In the log there is the reason, and nothing of the sender.
        service.wait_for_log(&format!("\"reason\":\"{reason}\"")).unwrap();
    }
    let body = service.get(LIST).unwrap().body;
    assert!(!body.contains("secret") && !service.log().contains("hot"), "{body}");
    let unread = &service.read(DEVICES)["devices"][0];
    check_fields(unread, &json!({"device_id": null, "rejected": 4, "last_address": "127.0.0.1"}));
}

#[test]
fn what_comes_at_the_same_moment_is_listed_from_each() {
    let service = Service::start(&[]).unwrap();
    // The first of all may be lost beside others: a store does not tell that it has no value.
    assert_eq!(service.send(&json!({"device_id": "first"}), &[]).status, 422);
    records(&service, 1);
    std::thread::scope(|scope| {
        for device in 0..8 {
            let sender = Sender::new(service.sender().url(), Duration::from_secs(60));
            scope.spawn(move || {
                let body = json!({"device_id": format!("d{device}"), "region": "hall"});
                assert_eq!(sender.post(body.to_string().as_bytes(), &[]).unwrap().status, 422);
            });
        }
    });
    records(&service, 9);
    let devices = service.read(DEVICES);
    let names: Vec<&str> = devices["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["device_id"].as_str().unwrap())
        .collect();
    assert!((0..8).all(|device| names.contains(&format!("d{device}").as_str())), "{devices}");
    let metrics = service.get("/metrics").unwrap().body;
    assert!(metrics.contains("rejected_total{reason=\"missing_field\"} 9\n"), "{metrics}");
}
