//! The formats of `/v1/readings` beside JSON, and compressed bodies.

use isotherm::api::readings;
use isotherm::http::{Header, Request, Response};
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::gzip::gzipped;
use crate::support::node::Node;
use crate::support::readings::{MINUTE, NOW, instant, json_reading};

fn of_type(media_type: &str) -> Request {
    Request::post("/v1/readings").with(Header::ContentType, media_type)
}

#[track_caller]
fn said(response: &Response, status: u16) -> Value {
    let text = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_same_readings_count_once_whatever_format_they_come_in() {
    let mut node = Node::quiet(&[]);
    let readings: Vec<Value> = (0..50)
        .map(|n| {
            json_reading(
                &format!("d{}", n % 7),
                "hall",
                f64::from(n) / 8.0,
                NOW - i64::from(n) * MINUTE,
            )
        })
        .collect();
    let json = Value::Array(readings.clone()).to_string();
    let ndjson: String = readings.iter().map(|reading| format!("{reading}\n")).collect();
    let row = |reading: &Value| {
        format!(
            "{},{},hall,{}\r\n",
            reading["timestamp"],
            reading["device_id"].as_str().unwrap(),
            reading["temperature_c"]
        )
    };
    let csv = format!(
        "timestamp,device_id,region,temperature_c\r\n{}",
        readings.iter().map(row).collect::<String>()
    );
    let record = |reading: &Value| {
        json!({"n": reading["device_id"], "v": reading["temperature_c"], "u": "Cel",
               "t": reading["timestamp"].as_i64().unwrap() / 1_000})
    };
    let senml = Value::Array(readings.iter().map(record).collect()).to_string();
    let senml_request = Request::post("/v1/readings?region=hall")
        .with(Header::ContentType, "application/senml+json");
    for _ in 0..2 {
        for (request, body) in [
            (of_type("application/json"), &json),
            (of_type("application/x-ndjson"), &ndjson),
            (of_type("application/jsonl"), &ndjson),
            (of_type("text/csv; charset=utf-8"), &csv),
            (senml_request.clone(), &senml),
        ] {
            assert_eq!(said(&node.deliver_bytes(&request, body.as_bytes()), 202)["accepted"], 50);
            let request = request.with(Header::ContentEncoding, "gzip");
            let answer = node.deliver_bytes(&request, &gzipped(body.as_bytes()));
            assert_eq!(said(&answer, 202)["accepted"], 50);
        }
    }
    let expected = json!({"count": 50, "conflicts": 0, "devices": 7, "time_assumed": 0});
    check_fields(&node.hall(), &expected);
}

#[test]
fn a_line_that_is_wrong_costs_itself_alone() {
    let mut node = Node::quiet(&[]);
    let good = |n: i64| json_reading("d", "hall", 1, NOW - n * MINUTE).to_string();
    let body = format!("{}\n{{\"t\": NaN}}\n\n{}\nnonsense\n{{", good(1), good(2));
    let answer = said(&node.deliver(&of_type("application/x-ndjson"), &body), 202);
    assert_eq!(answer["accepted"], 2);
    let rejected = answer["rejected"].as_array().unwrap();
    let places: Vec<(i64, &str)> = rejected
        .iter()
        .map(|r| (r["index"].as_i64().unwrap(), r["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(places, [(1, "malformed"), (3, "malformed"), (4, "malformed")]);
    for line in ["line 2", "line 5", "line 6"] {
        assert!(
            rejected.iter().any(|r| r["detail"].as_str().unwrap().contains(line)),
            "{rejected:?}"
        );
    }
}

#[test]
fn a_relative_time_of_senml_is_assumed_and_other_quantities_are_ignored() {
    let mut node = Node::quiet(&[]);
    let pack = json!([
        {"bn": "urn:dev:mac:0024befffe804ff1:", "bu": "Cel", "v": 21.3},
        {"t": -60, "v": 21.1}, {"n": "h", "u": "%RH", "v": 40}, {"n": "k", "u": "K", "v": 293.15},
    ]);
    let request = Request::post("/v1/readings?region=hall")
        .with(Header::ContentType, "application/senml+json");
    let answer = said(&node.deliver(&request, &pack.to_string()), 202);
    check_fields(&answer, &json!({"accepted": 3, "time_assumed": 3}));
    let arrival = node.now.get();
    let expected = json!({"count": 3, "max_c": 21.3, "min_c": 20.0, "time_assumed": 3,
        "newest": instant(arrival), "oldest": instant(arrival - 60_000)});
    check_fields(&node.hall(), &expected);
    // Without a region it is refused, unless the table of the source senml has it.
    let bare = of_type("application/senml+json");
    assert_eq!(
        said(&node.deliver(&bare, &pack.to_string()), 400)["type"],
        "urn:isotherm:problem:bad-parameter"
    );
    node.source(
        "senml",
        &json!({"body": "json", "take": [{"value": "v", "unit": "C"}],
        "device": ["@n"], "time": {"missing": "received"}}),
    );
    let table = "id,device,region\nurn:dev:mac:*,mac,yard\n";
    assert_eq!(node.change(http::Method::PUT, "/v1/sources/senml/devices", table).status, 204);
    let one = json!([{"n": "urn:dev:mac:1", "u": "Cel", "v": 3, "t": NOW / 1_000}, {"n": "x", "u": "Cel", "v": 3}]);
    let answer = said(&node.deliver(&bare, &one.to_string()), 202);
    assert_eq!(answer["rejected"][0]["reason"], "unknown_device");
    assert_eq!(node.read("/v1/regions/yard")["count"], 1);
    let none = json!([{"n": "x", "u": "%RH", "v": 3}]);
    assert_eq!(node.deliver(&request, &none.to_string()).status, 422);
}

#[test]
fn a_compressed_body_is_bounded_after_inflating() {
    let mut node = Node::quiet(&[("max_body_bytes", "100000")]);
    let request = of_type("application/json").with(Header::ContentEncoding, "gzip");
    let bomb = gzipped(&vec![b' '; 50_000_000]);
    assert!(bomb.len() < 60_000, "{}", bomb.len());
    let answer = said(&node.deliver_bytes(&request, &bomb), 413);
    assert!(answer["detail"].as_str().unwrap().contains("100000"), "{answer}");
    let whole = gzipped(json_reading("d", "hall", 1, NOW).to_string().as_bytes());
    for end in 0..whole.len() {
        let answer = node.deliver_bytes(&request, &whole[..end]);
        assert_eq!(said(&answer, 400)["type"], "urn:isotherm:problem:unreadable", "{end}");
    }
    for at in 10..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        assert_ne!(node.deliver_bytes(&request, &damaged).status, 202, "{at}");
    }
    assert_eq!(node.read("/v1/regions")["regions"], json!([]), "nothing of it was kept");
    assert_eq!(said(&node.deliver_bytes(&request, &whole), 202)["accepted"], 1);
    for encoding in ["br", "gzip, gzip", "deflate", "gzip, br"] {
        let request = of_type("application/json").with(Header::ContentEncoding, encoding);
        assert_eq!(node.deliver_bytes(&request, &whole).status, 415, "{encoding}");
    }
}

#[test]
fn a_parameter_that_is_not_looked_at_is_refused() {
    let mut node = Node::quiet(&[]);
    let body = json_reading("d", "hall", 1, NOW).to_string();
    for query in ["token=wrong", "region=hall", "precision=s", "x"] {
        let request = Request::post(&format!("/v1/readings?{query}"));
        let isotherm::api::readings::Begun::Done(handled) =
            readings::begin(&node.host, &request, node.now)
        else {
            panic!("{query} is let in");
        };
        let answer = said(&handled.response, 400);
        assert_eq!(answer["type"], "urn:isotherm:problem:bad-parameter", "{query}");
        assert!(!answer.to_string().contains("wrong"), "{answer}");
    }
    assert_eq!(node.deliver(&Request::post("/v1/readings"), &body).status, 202);
}

#[test]
fn a_time_in_the_wrong_unit_is_named() {
    let mut node = Node::quiet(&[]);
    for (timestamp, word) in
        [(NOW / 1_000, "seconds"), (NOW * 1_000, "microseconds"), (NOW * 1_000_000, "nanoseconds")]
    {
        let answer = node.reject(&json_reading("d", "hall", 1, timestamp));
        let detail = answer["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{timestamp}: {detail}");
    }
}
