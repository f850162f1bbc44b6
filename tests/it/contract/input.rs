//! What a client may send: bad readings are named and the good beside them kept, and what
//! can't be read at all is refused.

use isotherm_it::{Service, now_ms};
use serde_json::json;

use crate::support::assert::{check_fields, check_problem};
use crate::support::readings::{DAY, json_reading};
use crate::support::service::Expect as _;

/// What is wrong with a reading, each beside the reason that the answer gives.
fn bad_readings(now: i64) -> Vec<(String, &'static str)> {
    let long = "9".repeat(400);
    vec![
        (r#"{"device_id":"d","region":"r","temperature_c":1}"#.to_owned(), "missing_field"),
        (json!({"device_id": "d", "region": "r", "temperature_c": 1, "timestamp": now, "unit": "F"}).to_string(), "unknown_field"),
        (format!(r#"{{"device_id":"d","device_id":"d","region":"r","temperature_c":1,"timestamp":{now}}}"#), "duplicate_field"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":"NaN","timestamp":{now}}}"#), "wrong_type"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":"-Infinity","timestamp":{now}}}"#), "wrong_type"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":{long},"timestamp":{now}}}"#), "temperature_out_of_range"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":1,"timestamp":{long}}}"#), "invalid_timestamp"),
        (json_reading("a/b", "r", 1.0, now).to_string(), "invalid_device_id"),
        (json_reading("a\"b", "r", 1.0, now).to_string(), "invalid_device_id"),
        (json_reading("a\u{1}b", "r", 1.0, now).to_string(), "invalid_device_id"),
        (json_reading("d", "zürich", 1.0, now).to_string(), "invalid_region"),
        (json_reading("d", "", 1.0, now).to_string(), "invalid_region"),
        (json_reading("d", "r", -273.16, now).to_string(), "temperature_out_of_range"),
        (json_reading("d", "r", 1.0, now / 1_000).to_string(), "timestamp_in_seconds"),
        (json_reading(".", "r", 1.0, now).to_string(), "invalid_device_id"),
        (json_reading("d", "..", 1.0, now).to_string(), "invalid_region"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":NaN,"timestamp":{now}}}"#), "malformed"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":unavailable,"timestamp":{now}}}"#), "malformed"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":1,"timestamp":"{now}"}}"#), "invalid_timestamp"),
        (json_reading("d", "r", 1.0, 12_345).to_string(), "invalid_timestamp"),
        (json_reading("d", "r", 1.0, now + DAY).to_string(), "in_future"),
        (json_reading("d", "r", 1.0, now - 401 * DAY).to_string(), "too_old"),
        ("1e999".to_owned(), "malformed"),
        ("null".to_owned(), "malformed"),
    ]
}

#[test]
fn a_bad_reading_alone_is_refused_and_named() {
    let service = Service::start(&[]).unwrap();
    for (bad, reason) in bad_readings(now_ms()) {
        let alone = service.post(&bad).unwrap();
        if bad.starts_with('{') {
            check_problem(&alone, 422, "nothing-valid");
            let error = &alone.json().unwrap()["errors"][0];
            check_fields(error, &json!({"index": 0, "reason": reason}));
        } else {
            check_problem(&alone, 400, "unreadable");
        }
    }
    assert_eq!(service.get("/v1/regions/r").unwrap().status, 404);
}

#[test]
fn a_bad_reading_is_named_and_the_good_beside_it_is_kept() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let good = json_reading("good", "mixed", 1.0, now);
    let cases = bad_readings(now);
    for (index, (bad, reason)) in cases.iter().enumerate() {
        let neighbour = json_reading("good", "mixed", 1.0, now - i64::try_from(index).unwrap());
        let beside = service.post(&format!("[{neighbour},{bad},{good}]")).unwrap();
        assert_eq!(beside.status, 202, "{bad}: {}", beside.body);
        let body = beside.json().unwrap();
        assert_eq!(body["accepted"], 2);
        let rejected = &body["rejected"][0];
        check_fields(rejected, &json!({"index": 1, "reason": reason}));
        assert!(rejected["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    assert_eq!(service.read("/v1/regions/mixed")["count"], cases.len());
    assert_eq!(service.get("/v1/regions/r").unwrap().status, 404);
}

#[test]
fn what_can_not_be_read_at_all_is_refused_as_a_whole() {
    let service = Service::start(&[]).unwrap();
    let good = json_reading("d", "r", 1.0, now_ms()).to_string();
    for bad in [
        "",
        "{",
        "nope",
        "7",
        "\"text\"",
        &format!("{good}{good}"),
        &format!("[{good},"),
        &format!("[{good}"),
    ] {
        check_problem(&service.post(bad).unwrap(), 400, "unreadable");
    }
    check_problem(&service.sender().post(b"[\"\xff\"]", &[]).unwrap(), 400, "unreadable");
    check_problem(&service.post("[]").unwrap(), 422, "nothing-valid");
    check_problem(&service.post("[NaN]").unwrap(), 422, "nothing-valid");
    let marked = [b"\xef\xbb\xbf", good.as_bytes()].concat();
    assert_eq!(service.sender().post(&marked, &[]).unwrap().status, 202, "a byte order mark");
    let many = format!("[{}]", vec![good.as_str(); 10_001].join(","));
    check_problem(&service.post(&many).unwrap(), 413, "too-large");
    let all = format!("[{}]", vec![good.as_str(); 10_000].join(","));
    assert_eq!(service.post(&all).unwrap().json().unwrap()["accepted"], 10_000);
}

#[test]
fn a_body_is_of_a_known_type_and_compressed_by_gzip_or_not() {
    let service = Service::start(&[]).unwrap();
    let good = json_reading("d", "r", 1.0, now_ms());
    for (headers, status) in [
        ([("content-type", "text/plain")], 415),
        ([("content-type", "application/x-www-form-urlencoded")], 415),
        ([("content-type", "application/jsonx")], 415),
        ([("content-encoding", "br")], 415),
        // It is none.
        ([("content-encoding", "gzip")], 400),
        ([("content-type", "Application/JSON; charset=utf-8")], 202),
        ([("content-encoding", "identity")], 202),
        ([("content-encoding", "")], 202),
        ([("content-type", "")], 202),
        ([("content-type", "application/json, application/json")], 202),
        ([("content-type", "application/json, text/plain")], 415),
    ] {
        let answer = service.send(&good, &headers);
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
        if status == 415 {
            check_problem(&answer, 415, "unsupported-media-type");
        }
    }
}

#[test]
fn other_quantities_of_a_device_are_ignored_and_named_and_what_may_change_it_is_refused() {
    let service = Service::start(&[]).unwrap();
    let mut item = json_reading("d1", "hall", 21.5, now_ms());
    item["humidity"] = json!(40);
    item["Battery_mV"] = json!({"now": [2900]});
    for (prefer, status) in [("wait", 200), ("", 202)] {
        let answer = service.sender().post(item.to_string().as_bytes(), &[("prefer", prefer)]);
        let answer = answer.unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
        let body = answer.json().unwrap();
        assert_eq!(body["ignored_fields"], json!(["Battery_mV", "humidity"]));
    }
    item["temperature_f"] = json!(70.7);
    item["unit"] = json!("F");
    let answer = service.post(&item.to_string()).unwrap();
    check_problem(&answer, 422, "nothing-valid");
    let detail = answer.json().unwrap()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("\"temperature_f\"") && detail.contains("\"unit\""), "{detail}");
    assert!(!detail.contains("Battery"), "{detail}");
}

#[test]
fn a_body_that_ends_too_early_is_said_to_and_one_that_is_wrong_has_its_place() {
    let service = Service::start(&[]).unwrap();
    let good = json_reading("d", "r", 1.0, now_ms()).to_string();
    let nan = good.replace("1.0", "NaN");
    let cut = format!("[{nan},{good},{}", &good[..20]);
    for (body, said) in [
        (&*cut, format!("the body ends too early, after {} bytes: ", cut.len())),
        ("", "the body is empty; it must be a reading or an array of readings; ".to_owned()),
        (
            "[{} {}]",
            "the request is not valid JSON at character 5: expected , or ] but found {; "
                .to_owned(),
        ),
    ] {
        let answer = service.post(body).unwrap();
        check_problem(&answer, 400, "unreadable");
        let problem = answer.json().unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&said), "{detail}");
        assert!(detail.ends_with("; nothing was stored"), "{detail}");
    }
    assert_eq!(service.get("/v1/regions/r").unwrap().status, 404);
}
