//! What a client sees, answer by answer, over a real socket.

use std::io::{Read, Write};
use std::net::TcpStream;

use http::Method;
use isotherm::domain::reading::UnixMillis;
use isotherm_it::{Service, next_page};
use isotherm_load::sender::Answer;
use serde_json::{Value, json};

use crate::exactly_once::settled;

/// The real clock of this machine, which the service goes by.
#[expect(clippy::disallowed_methods, reason = "the tests share the service's clock")]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

pub(crate) fn reading(device: &str, region: &str, temperature: f64, timestamp: i64) -> Value {
    json!({"device_id": device, "region": region, "temperature_c": temperature, "timestamp": timestamp})
}

/// Asserts that `answer` is a problem of this status and kind, fit for a
/// caller's eyes.
#[track_caller]
pub(crate) fn check_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let problem = answer.json().unwrap();
    assert_eq!(problem["type"], format!("urn:isotherm:problem:{kind}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}

#[test]
fn a_reading_is_acknowledged_and_then_counted() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let readings = json!([reading("d1", "hall", 21.5, now), reading("d2", "hall", 20.25, now - 5)]);
    let answer = service.post(&readings.to_string()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json().unwrap(), json!({"ack": "journaled", "accepted": 2, "rejected": []}));

    let answer = service.get("/v1/regions/hall").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut body = answer.json().unwrap();
    let age = body["newest_age_ms"].take().as_i64().unwrap();
    assert!((0..60_000).contains(&age), "{age}");
    let as_of = body["as_of"].take();
    let instant = |ms| UnixMillis::new(ms).unwrap().to_string();
    assert!(as_of.as_str().unwrap() >= instant(now).as_str());
    assert_eq!(
        body,
        json!({
            "region": "hall", "count": 2, "average_c": 20.875, "min_c": 20.25, "max_c": 21.5,
            "standard_deviation_c": 0.625, "sum_millicelsius": 41_750,
            "p50_c": 20.25, "p95_c": 21.5, "p99_c": 21.5, "devices": 2, "device_average_c": 20.875,
            "late": 0, "duplicates": 0, "conflicts": 0,
            "oldest": instant(now - 5), "newest": instant(now), "newest_age_ms": null, "revision": 1,
            "from": null, "to": null, "as_of": null, "stale": false, "unfolded_entries": 0,
            "unfolded_readings": 0, "quarantined_readings": 0
        })
    );
}

#[test]
fn who_prefers_to_wait_learns_the_outcome_of_every_reading() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let waiting = |body: Value| {
        let headers = [("prefer", "wait")];
        service.sender().post(body.to_string().as_bytes(), &headers).unwrap()
    };
    let first = waiting(json!([
        reading("d1", "hall", 21.5, now),
        reading("d1", "hall", 21.5, now),
        reading("d1", "hall", 22.5, now),
        reading("bad name", "hall", 22.5, now),
        reading("d2", "hall", 22.5, now),
    ]));
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.header("preference-applied"), Some("wait"));
    let body = first.json().unwrap();
    assert_eq!(body["ack"], "folded");
    assert_eq!([&body["stored"], &body["duplicates"], &body["conflicts"]], [2, 1, 1]);
    assert_eq!(body["outcomes"], json!(["stored", "duplicate", "conflict", "rejected", "stored"]));
    assert_eq!(body["rejected"][0]["index"], 3);
    assert_eq!(body["rejected"][0]["reason"], "invalid_device_id");

    let again = waiting(json!([
        reading("d1", "hall", 21.5, now),
        reading("d1", "attic", 21.5, now),
        reading("d3", "hall", 0.0, now),
    ]));
    let outcomes = json!(["duplicate", "conflict", "stored"]);
    assert_eq!(again.json().unwrap()["outcomes"], outcomes);

    let hall = service.get("/v1/regions/hall").unwrap().json().unwrap();
    assert_eq!((&hall["count"], &hall["sum_millicelsius"]), (&json!(3), &json!(44_000)));
    // The region of a contradicting reading is known, but nothing counted.
    let attic = service.get("/v1/regions/attic").unwrap().json().unwrap();
    assert_eq!((&attic["count"], &attic["average_c"]), (&json!(0), &Value::Null));
}

#[test]
fn what_was_acknowledged_first_stands_when_a_waiting_reading_contradicts_it() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let journaled = service.post(&reading("d1", "hall", 21.5, now).to_string()).unwrap();
    assert_eq!(journaled.status, 202);
    let body = reading("d1", "hall", 30.0, now).to_string();
    let waiting = service.sender().post(body.as_bytes(), &[("prefer", "wait=5")]).unwrap();
    assert_eq!(waiting.json().unwrap()["outcomes"], json!(["conflict"]));
    let hall = service.get("/v1/regions/hall").unwrap().json().unwrap();
    assert_eq!(hall["average_c"], 21.5);
}

#[test]
fn head_and_body_of_an_answer_arrive_together() {
    let service = Service::start(&[]).unwrap();
    let address = service.sender().url().strip_prefix("http://").unwrap().to_owned();
    let mut socket = TcpStream::connect(&address).unwrap();
    for index in 0..20 {
        let body = reading("d", "hall", 1.0, now_ms() - index).to_string();
        let length = body.len();
        let head = format!("POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: {length}");
        socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        // In two segments, one read would rarely see both, and a client that
        // keeps its connection would wait 40 ms for the second.
        let mut answer = [0; 4_096];
        let count = socket.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        assert!(answer.ends_with("\"rejected\":[]}"), "{answer}");
    }
}

#[test]
fn bad_input_is_named_and_the_good_beside_it_is_kept() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let day = 24 * 60 * 60 * 1_000;
    let good = reading("good", "mixed", 1.0, now);
    let long = "9".repeat(400);
    let cases = [
        (r#"{"device_id":"d","region":"r","temperature_c":1}"#.to_owned(), "missing_field"),
        (json!({"device_id": "d", "region": "r", "temperature_c": 1, "timestamp": now, "unit": "F"}).to_string(), "unknown_field"),
        (format!(r#"{{"device_id":"d","device_id":"d","region":"r","temperature_c":1,"timestamp":{now}}}"#), "duplicate_field"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":"NaN","timestamp":{now}}}"#), "wrong_type"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":"-Infinity","timestamp":{now}}}"#), "wrong_type"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":{long},"timestamp":{now}}}"#), "temperature_out_of_range"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":1,"timestamp":{long}}}"#), "invalid_timestamp"),
        (reading("a/b", "r", 1.0, now).to_string(), "invalid_device_id"),
        (reading("a\"b", "r", 1.0, now).to_string(), "invalid_device_id"),
        (reading("a\u{1}b", "r", 1.0, now).to_string(), "invalid_device_id"),
        (reading("d", "zürich", 1.0, now).to_string(), "invalid_region"),
        (reading("d", "", 1.0, now).to_string(), "invalid_region"),
        (reading("d", "r", -273.16, now).to_string(), "temperature_out_of_range"),
        (reading("d", "r", 1.0, now / 1_000).to_string(), "timestamp_in_seconds"),
        (reading(".", "r", 1.0, now).to_string(), "invalid_device_id"),
        (reading("d", "..", 1.0, now).to_string(), "invalid_region"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":NaN,"timestamp":{now}}}"#), "malformed"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":unavailable,"timestamp":{now}}}"#), "malformed"),
        (format!(r#"{{"device_id":"d","region":"r","temperature_c":1,"timestamp":"{now}"}}"#), "invalid_timestamp"),
        (reading("d", "r", 1.0, 12_345).to_string(), "invalid_timestamp"),
        (reading("d", "r", 1.0, now + day).to_string(), "in_future"),
        (reading("d", "r", 1.0, now - 8 * day).to_string(), "too_old"),
        ("1e999".to_owned(), "malformed"),
        ("null".to_owned(), "malformed"),
    ];
    for (index, (bad, reason)) in cases.iter().enumerate() {
        let alone = service.post(bad).unwrap();
        if bad.starts_with('{') {
            check_problem(&alone, 422, "nothing-valid");
            let error = &alone.json().unwrap()["errors"][0];
            assert_eq!((&error["index"], &error["reason"]), (&json!(0), &json!(reason)), "{bad}");
        } else {
            check_problem(&alone, 400, "unreadable");
        }

        let neighbour = reading("good", "mixed", 1.0, now - i64::try_from(index).unwrap());
        let beside = service.post(&format!("[{neighbour},{bad},{good}]")).unwrap();
        assert_eq!(beside.status, 202, "{bad}: {}", beside.body);
        let body = beside.json().unwrap();
        assert_eq!(body["accepted"], 2);
        assert_eq!(body["rejected"][0]["index"], 1);
        assert_eq!(body["rejected"][0]["reason"], *reason, "{bad}");
        assert!(body["rejected"][0]["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    let mixed = service.get("/v1/regions/mixed").unwrap().json().unwrap();
    assert_eq!(mixed["count"], cases.len());
    assert_eq!(service.get("/v1/regions/r").unwrap().status, 404);
}

#[test]
fn what_can_not_be_read_at_all_is_refused_as_a_whole() {
    let service = Service::start(&[]).unwrap();
    let good = reading("d", "r", 1.0, now_ms()).to_string();
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

    let json = good.as_bytes();
    for (headers, status) in [
        ([("content-type", "text/plain")], 415),
        ([("content-type", "application/x-www-form-urlencoded")], 415),
        ([("content-type", "application/jsonx")], 415),
        ([("content-encoding", "gzip")], 415),
        ([("content-type", "Application/JSON; charset=utf-8")], 202),
        ([("content-encoding", "identity")], 202),
        ([("content-encoding", "")], 202),
        ([("content-type", "")], 202),
        ([("content-type", "application/json, application/json")], 202),
        ([("content-type", "application/json, text/plain")], 415),
    ] {
        let answer = service.sender().post(json, &headers).unwrap();
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
        if status == 415 {
            check_problem(&answer, 415, "unsupported-media-type");
        }
    }
}

#[test]
fn a_body_may_have_eight_mebibytes_unless_the_operator_says_otherwise() {
    let padded = |bytes: usize| {
        let reading = reading("d", "r", 1.0, now_ms()).to_string();
        format!("{reading}{}", " ".repeat(bytes - reading.len()))
    };
    let service = Service::start(&[]).unwrap();
    let limit = 8 * 1024 * 1024;
    assert_eq!(service.post(&padded(limit)).unwrap().status, 202);
    check_problem(&service.post(&padded(limit + 1)).unwrap(), 413, "too-large");

    let small = Service::start(&[("max_body_bytes", "1000")]).unwrap();
    assert_eq!(small.post(&padded(1_000)).unwrap().status, 202);
    check_problem(&small.post(&padded(1_001)).unwrap(), 413, "too-large");
}

#[test]
fn the_longest_readings_fit_into_one_request() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let name = |i: usize| format!("{i:0>64}");
    let one = |i: usize| reading(&name(i), &name(i % 2_000), 999.999, 1_700_000_000_000);
    let batch: Vec<Value> = (0..10_000).map(one).collect();
    let answer = service.post(&Value::from(batch).to_string()).unwrap();
    assert_eq!(answer.json().unwrap()["accepted"], 10_000);
    let regions = settled(service.sender());
    assert_eq!(regions["regions"].as_array().unwrap().len(), 1_000);
}

#[test]
fn resources_say_which_methods_they_answer_to() {
    let service = Service::start(&[]).unwrap();
    let head = service.sender().send(&Method::HEAD, "/v1/regions").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for (method, path, allow) in [
        (Method::GET, "/v1/readings", "POST"),
        (Method::DELETE, "/v1/readings", "POST"),
        (Method::DELETE, "/v1/regions", "GET, HEAD"),
        (Method::OPTIONS, "/v1/regions/hall", "GET, HEAD"),
        (Method::DELETE, "/healthz", "GET, HEAD"),
    ] {
        let answer = service.sender().send(&method, path).unwrap();
        check_problem(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    assert_eq!(service.get("/healthz").unwrap().json().unwrap(), json!({"status": "ok"}));
    for path in ["/v1", "/v1/region", "/v1/regions/", "/v1/regions/a/b", "/v1/readings/x"] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
}

#[test]
fn a_region_is_found_by_its_encoded_name_and_an_unknown_one_is_not() {
    let service = Service::start(&[]).unwrap();
    let name = "eu:de.be-1_a";
    assert_eq!(service.post(&reading("d", name, 1.0, now_ms()).to_string()).unwrap().status, 202);
    for path in ["/v1/regions/eu:de.be-1_a", "/v1/regions/eu%3Ade%2Ebe-1_a"] {
        assert_eq!(service.get(path).unwrap().json().unwrap()["region"], name);
    }
    for path in ["/v1/regions/none", "/v1/regions/a%2Fb", "/v1/regions/%ff", "/v1/regions/%"] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
}

#[test]
fn a_range_holds_its_start_and_not_its_end_and_nothing_is_not_zero() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let start = 1_700_000_040_000; // a whole minute
    let minute = 60_000;
    let batch: Vec<Value> = (0..150)
        .map(|i| reading("d", "hall", f64::from(i), start + i64::from(i) * minute + 59_999))
        .collect();
    assert_eq!(service.post(&Value::from(batch).to_string()).unwrap().status, 202);
    let hall = |query: &str| service.get(&format!("/v1/regions/hall?{query}")).unwrap();
    for (from, to) in [(0, 150), (0, 1), (1, 2), (7, 131), (100, 150), (149, 150), (-500, 500)] {
        let query = format!("from={}&to={}", start + from * minute, start + to * minute);
        let body = hall(&query).json().unwrap();
        let (first, last) = (from.max(0), to.min(150));
        let sum: i64 = (first..last).sum::<i64>() * 1_000;
        assert_eq!(body["count"], last - first, "{query}");
        assert_eq!(body["sum_millicelsius"], sum, "{query}");
        assert_eq!(
            (&body["min_c"], &body["max_c"]),
            (&json!(first as f64), &json!((last - 1) as f64))
        );
    }

    // An edge inside a minute takes the whole minute, and the answer says so.
    let body = hall("from=2023-11-14T22:14:30Z&to=2023-11-14T22:14:31Z").json().unwrap();
    assert_eq!(
        (&body["from"], &body["to"]),
        (&json!("2023-11-14T22:14:00.000Z"), &json!("2023-11-14T22:15:00.000Z"))
    );
    assert_eq!(body["count"], 1);

    let empty = hall(&format!("to={start}")).json().unwrap();
    assert_eq!((&empty["count"], &empty["from"]), (&json!(0), &Value::Null));
    let open = hall(&format!("from={start}")).json().unwrap();
    assert_eq!((&open["count"], &open["to"]), (&json!(150), &Value::Null));
    for field in
        ["average_c", "min_c", "max_c", "standard_deviation_c", "newest", "sum_millicelsius"]
    {
        assert_eq!(empty[field], Value::Null, "{field}");
    }
    let list = service.get(&format!("/v1/regions?to={start}")).unwrap().json().unwrap();
    assert_eq!(list["regions"][0]["average_c"], Value::Null);

    for bad in [
        "from=1700000000005&to=1700000000005",
        "from=1700000000006&to=1700000000005",
        "from=x",
        "from=",
        "to=-1",
        "since=5",
        "from=1700000000&to=1700003600",
        "from=1",
        "to=99999999999",
        "from=1&from=2",
        "to=99999999999999999999",
    ] {
        check_problem(&hall(bad), 400, "bad-parameter");
    }
    assert!(hall("from=1700000000").body.contains("milliseconds"));
    assert_eq!(hall("from=0").status, 200, "the beginning of time is where many begin");
    let plus = hall("from=2023-11-14T22:14:30+01:00");
    check_problem(&plus, 400, "bad-parameter");
    assert!(plus.body.contains("%2B"), "{}", plus.body);
    check_problem(&hall(&"x".repeat(5_000)), 400, "bad-parameter");
}

#[test]
fn regions_come_in_pages_in_the_order_of_their_names() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let names = ["b", "a", "d", "c", "e"];
    let batch: Vec<Value> = names.iter().map(|name| reading("d", name, 1.0, now)).collect();
    // One device can't be in two regions at one time.
    assert_eq!(service.post(&Value::from(batch).to_string()).unwrap().status, 202);
    let batch: Vec<Value> = names.iter().map(|name| reading(name, name, 1.0, now)).collect();
    assert_eq!(service.post(&Value::from(batch).to_string()).unwrap().status, 202);

    let mut path = "/v1/regions?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = service.get(&path).unwrap().json().unwrap();
        for region in page["regions"].as_array().unwrap() {
            seen.push(region["region"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => path = next_page(&path, next),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    for bad in ["limit=0", "limit=1001", "limit=x"] {
        check_problem(&service.get(&format!("/v1/regions?{bad}")).unwrap(), 400, "bad-parameter");
    }
}

#[test]
fn the_operator_decides_how_old_and_how_new_a_reading_may_be() {
    let service = Service::start(&[("retention", "1h"), ("max_skew", "10s")]).unwrap();
    let now = now_ms();
    let status = |offset: i64| {
        service.post(&reading("d", "r", 1.0, now + offset).to_string()).unwrap().status
    };
    assert_eq!([status(-3_500_000), status(5_000)], [202, 202]);
    assert_eq!([status(-3_700_000), status(60_000)], [422, 422]);
}

#[test]
fn a_node_that_is_configured_wrong_accepts_nothing_and_says_why_in_its_log() {
    let service = Service::start(&[("retention", "a week")]).unwrap();
    let answer = service.post(&reading("d", "r", 1.0, now_ms()).to_string()).unwrap();
    check_problem(&answer, 503, "misconfigured");
    assert!(answer.body.contains("retention"), "{}", answer.body);
    assert!(!answer.body.contains("a week"), "{}", answer.body);
    check_problem(&service.get("/v1/regions").unwrap(), 503, "misconfigured");
}

#[test]
fn a_node_with_a_variable_that_can_not_be_read_is_not_ready() {
    for (variable, paths) in [
        ("retention", &["/readyz", "/readyz/ingest"][..]),
        ("journal_max_entries", &["/readyz", "/readyz/ingest"]),
        ("devices_max", &["/readyz", "/readyz/ingest"]),
        ("max_body_bytes", &["/readyz", "/readyz/ingest"]),
    ] {
        let service = Service::start(&[(variable, "many")]).unwrap();
        for path in paths {
            let answer = service.get(path).unwrap();
            check_problem(&answer, 503, "misconfigured");
            assert!(answer.body.contains(variable), "{}", answer.body);
        }
        assert_eq!(service.get("/healthz").unwrap().status, 200, "a restart mends nothing");
    }
}

/// What is said to `request`, and what is heard before the socket closes or nothing
/// comes for a while.
fn raw(service: &Service, request: &str) -> (TcpStream, String) {
    let address = service.sender().url().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 4_096];
    let count = socket.read(&mut answer).unwrap();
    (socket, String::from_utf8_lossy(&answer[..count]).into_owned())
}

#[test]
fn a_body_that_says_that_it_is_too_large_is_refused_before_it_is_sent() {
    let service = Service::start(&[("max_body_bytes", "1000")]).unwrap();
    let head = "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n";
    for further in ["", "expect: 100-continue\r\n"] {
        let (_socket, answer) = raw(&service, &format!("{head}{further}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    let fits = "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n";
    let (_socket, answer) = raw(&service, fits);
    assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let service = Service::start(&[]).unwrap();
    let half =
        "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[{\"device_id\":";
    let (_socket, answer) = raw(&service, half);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("urn:isotherm:problem:body-timeout"), "{answer}");
}
