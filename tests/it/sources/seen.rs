//! What is seen at the node of what was not counted, and hints on devices that are set up wrong.

use http::Method;
use isotherm::http::{Header, Request};
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, json_reading};

fn node() -> Node {
    let mut node = Node::quiet(&[("retention", "30d")]);
    let mapping = json!({
        "body": "json", "only": {"/type": "up"}, "each": "/all/*",
        "take": [{"value": "t", "unit": {"at": "u", "C": "C", "F": "F"}}], "void": ["85", "-127"],
        "device": ["@id"], "region": ["hall"], "time": {"at": "at", "as": "unix-ms"},
        "limits": {"low": -40, "high": 60},
    });
    node.source("probe", &mapping);
    node
}

#[test]
fn what_was_refused_is_told_with_the_pointer_that_failed() {
    let mut node = node();
    let item = |id: &str, t: Value, u: &str| json!({"id": id, "t": t, "u": u, "at": NOW});
    for message in [
        json!({"type": "join"}),
        json!({"type": "up", "all": [item("a", json!(85), "C"), item("b", json!(20), "C")]}),
        json!({"type": "up", "all": [item("c", json!(70.5), "X")]}),
        json!({"type": "up", "all": [item("d", json!("warm"), "C"), item("e", json!(68), "F")]}),
        json!({"type": "up", "all": [item("f", json!(500), "C")]}),
    ] {
        assert_eq!(node.message("probe", &message.to_string()), 204, "{message}");
    }
    let response = node.deliver(&Request::post("/v1/in/probe"), "{\"type\":\"up\",\"type\":1}");
    assert_eq!(response.status, 400);
    check_fields(&node.hall(), &json!({"count": 2, "average_c": 20.0}));
    check_fields(
        &node.seen("probe"),
        &json!({
            "kept": 2, "ignored": 1, "void": 1,
            "refused": {"unknown_unit": 1, "not_a_number": 1, "implausible": 1, "unreadable": 1},
        }),
    );
    let refused = node.read("/v1/sources/probe/refused")["refused"].clone();
    let all: Vec<(&str, &str)> = refused
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["reason"].as_str().unwrap(), one["pointer"].as_str().unwrap()))
        .collect();
    let expected = [
        ("unreadable", ""),
        ("implausible", "/all/0/t"),
        ("not_a_number", "/all/0/t"),
        ("unknown_unit", "/all/0/t"),
    ];
    assert_eq!(all, expected);
    assert!(refused[2]["body"].as_str().unwrap().contains("\"warm\""));
    let metrics = node.metrics();
    for line in [
        r#"isotherm_source_readings_total{source="probe",outcome="kept"} 2"#,
        r#"isotherm_source_readings_total{source="probe",outcome="void"} 1"#,
        r#"isotherm_source_readings_total{source="probe",outcome="unknown_unit"} 1"#,
        r#"isotherm_source_time_assumed_readings_total{source="probe"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[test]
fn a_mapping_is_tried_and_keeps_nothing() {
    let mut node = node();
    let body =
        json!({"type": "up", "all": [{"id": "a", "t": 70.5, "u": "F", "at": NOW}]}).to_string();
    let tried = node.change(Method::POST, "/v1/sources/probe/try", &body);
    let tried: Value = serde_json::from_slice(&tried.body).unwrap();
    check_fields(
        &tried["readings"][0],
        &json!({
            "pointer": "/all/0/t", "device_id": "a", "region": "hall", "temperature_c": 21.389,
            "time_assumed": false,
        }),
    );
    // With a mapping that is sent with it.
    let envelope = json!({
        "mapping": {"body": "query", "take": [{"value": "temp", "unit": "C"}], "device": ["@id"],
                    "time": {"missing": "received"}},
        "query": "hum=54&temp=21.38&id=shellyht-0A0B0C",
    });
    let request = Request::post("/v1/sources/new/try")
        .with(Header::ContentType, "application/vnd.isotherm.try+json");
    let answer = isotherm::api::router::answer_with(
        &node.host,
        &request,
        envelope.to_string().as_bytes(),
        node.now,
    );
    let tried: Value = serde_json::from_slice(&answer.response.body).unwrap();
    check_fields(
        &tried["readings"][0],
        &json!({
            "id": "shellyht-0A0B0C", "temperature_c": 21.38, "time_assumed": true, "region": null,
        }),
    );
    assert_eq!(node.read("/v1/regions")["regions"], json!([]));
    assert_eq!(node.seen("new"), Value::Null);
}

#[test]
fn a_mapping_that_can_not_be_used_is_refused_with_a_sentence() {
    let mut node = node();
    for (mapping, word) in [
        (json!({"body": "json", "time": {"missing": "received"}}), "take"),
        (
            json!({"body": "json", "take": [{"value": "t"}], "device": ["@id"], "time": {"missing": "received"}}),
            "unit",
        ),
        (json!({"body": "json", "take": [{"value": "t", "unit": "C"}], "device": ["@id"]}), "time"),
        (json!({"body": "xml"}), "body"),
        (json!({"bodi": "json"}), "bodi"),
        (json!("preset:none"), "preset"),
        (json!(7), "mapping"),
    ] {
        let answer = node.change(Method::PUT, "/v1/sources/wrong", &mapping.to_string());
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 400, "{mapping}: {said}");
        assert!(said.contains(word), "{mapping}: {said}");
    }
    let answer = node.change(Method::PUT, "/v1/sources/a%2Fb", "\"preset:shelly-gen1\"");
    assert_eq!(answer.status, 400);
    assert_eq!(node.change(Method::GET, "/v1/sources/wrong", "").status, 404);
    assert_eq!(node.keys("source/1/"), 1);
}

#[test]
fn a_node_with_a_wrong_mapping_in_its_variable_is_not_ready() {
    let mut node = Node::quiet(&[(
        "sources",
        r#"{"cellar": {"body": "json", "time": {"missing": "received"}}}"#,
    )]);
    let answer = node.ask_ingest(&Request::get("/readyz/ingest"));
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 503, "{said}");
    assert!(said.contains("misconfigured") && said.contains("sources"), "{said}");
    // It is told, and hides no other source.
    assert!(node.seen("cellar")["error"].as_str().unwrap().contains("take"));
    assert_eq!(node.seen("influx")["error"], Value::Null);
    // What is sent as readings is not held up by it.
    node.accept(&json_reading("d", "hall", 1, NOW));
}

#[test]
fn a_sensor_in_fahrenheit_among_others_is_pointed_out() {
    let mut node = Node::quiet(&[("retention", "30d")]);
    for n in 0..20 {
        let at = NOW - n * MINUTE;
        for (device, celsius) in
            [("a", 21.0), ("b", 22.5), ("c", 20.5), ("wrong", 71.0), ("oven", 180.0)]
        {
            node.accept(&json_reading(device, "hall", celsius + (n % 3) as f64 / 10.0, at));
        }
    }
    node.hall();
    let hints = node.read("/v1/sources")["hints"].clone();
    assert_eq!(hints.as_array().unwrap().len(), 1, "{hints}");
    check_fields(&hints[0], &json!({"kind": "fahrenheit", "device_id": "wrong", "region": "hall"}));
}

#[test]
fn a_clock_in_local_time_is_pointed_out_after_days_and_a_backlog_is_not() {
    let mut node = Node::quiet(&[("retention", "30d"), ("late_after", "5m")]);
    for step in 0..96 {
        node.set_clock(NOW + step * HOUR);
        let now = node.now.get();
        node.accept(&json_reading("local", "hall", 20, now - 7 * HOUR - 2_000));
        node.accept(&json_reading("right", "hall", 20, now - 2_000));
        // Comes once a day with all that it has measured since.
        if step % 24 == 23 {
            let backlog: Vec<Value> = (0..24)
                .map(|n| json_reading("logger", "hall", 20, now - n * HOUR - 2_000))
                .collect();
            node.accept(&Value::Array(backlog));
        }
        let hints = node.read("/v1/sources")["hints"].clone();
        let told: Vec<&str> =
            hints.as_array().unwrap().iter().map(|h| h["device_id"].as_str().unwrap()).collect();
        let expected: &[&str] = if step > 54 { &["local"] } else { &[] };
        if step <= 47 || step > 54 {
            assert_eq!(told, expected, "after {step} hours");
        }
    }
    let hint = node.read("/v1/sources")["hints"][0].clone();
    check_fields(&hint, &json!({"kind": "offset", "late_ms": 7 * HOUR}));
    // Once it is mended, it is forgotten.
    node.set_clock(NOW + 96 * HOUR + 2 * DAY);
    assert_eq!(node.read("/v1/sources")["hints"], json!([]));
}

#[test]
fn a_gateway_that_starts_again_at_503_is_told_429() {
    let mut node = Node::quiet(&[]);
    node.source("ruuvi", &json!("preset:ruuvi"));
    node.source("probe", &json!({"preset": "ruuvi", "reply": {"busy": 503}, "region": ["hall"]}));
    let body = json!({"data": {"tags": {"F1:01": {"temperature": 4, "timestamp": NOW / 1_000}}}});
    // In 1970, and a node without the time assumes none.
    let body = body.to_string().replace(&(NOW / 1_000).to_string(), "17");
    node.set_clock(1_000);
    for (source, status) in [("ruuvi", 204), ("probe", 503)] {
        let response = node.deliver(&Request::post(&format!("/v1/in/{source}")), &body);
        assert_eq!(response.status, status, "{source}");
    }
    node.source("ruuvi", &json!({"preset": "ruuvi", "region": ["hall"]}));
    let response = node.deliver(&Request::post("/v1/in/ruuvi"), &body);
    assert_eq!(response.status, 429);
    assert!(response.headers.iter().any(|(name, _)| *name == "retry-after"));
    // A mapping of the variable is known while the key-value store is away; a stored one is not.
    let mut node = Node::quiet(&[("sources", r#"{"ruuvi":"preset:ruuvi"}"#)]);
    node.source("stored", &json!("preset:ruuvi"));
    node.set_plan(Plan::key_value_away());
    for (source, status) in [("ruuvi", 429), ("stored", 503)] {
        let response = node.deliver(&Request::post(&format!("/v1/in/{source}")), &body);
        assert_eq!(response.status, status, "{source}");
    }
}

#[test]
fn a_line_that_is_refused_is_kept_and_too_many_are_told_as_such() {
    let mut node = Node::quiet(&[]);
    let answer = node.deliver(&Request::post("/write"), "t,device_id=d temperature_c=1 1900000000");
    assert_eq!(answer.status, 400);
    let refused = node.read("/v1/sources/influx/refused")["refused"][0].clone();
    check_fields(&refused, &json!({"reason": "missing_field"}));
    assert!(refused["body"].as_str().unwrap().starts_with("t,device_id=d"));
    node.source(
        "many",
        &json!({"body": "line", "take": [{"value": "fields/v", "unit": "C"}],
        "device": ["@tags/d"], "region": ["hall"], "time": {"at": "time", "as": "unix"}}),
    );
    let line = |n: i64| format!("t,d=a v=1 {}\n", NOW - n);
    let body: String = (0..10_001).map(line).collect();
    let answer = node.deliver(&Request::post("/api/v2/write?bucket=many&precision=ms"), &body);
    assert_eq!(answer.status, 413, "a client may send it in halves");
}
