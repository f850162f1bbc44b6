//! `GET /v1/readings` over HTTP: what is refused, and the largest pages.

use std::collections::BTreeSet;

use http::Method;
use isotherm::limits;
use isotherm_it::{Service, now_ms};
use serde_json::Value;

use crate::support::assert::check_problem;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, START, json_reading};
use crate::support::service::Expect as _;

const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

#[test]
fn requests_that_can_not_be_answered_say_why() {
    let service = Service::start(&[]).unwrap();
    let path = "/v1/readings";
    // By default the last 24 hours.
    let now = now_ms();
    let sent = [("now", now), ("recent", now - 23 * HOUR), ("old", now - 25 * HOUR)];
    service.accept(
        &sent.map(|(device, ms)| json_reading(device, "hall", 1, ms)).into_iter().collect(),
    );
    let page = service.read(path);
    let names: BTreeSet<&str> = page["readings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reading| reading["device_id"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["now", "recent"].into());

    for bad in
        ["from=2&to=1", "limit=0", "limit=100001", "after=1.2", "after=x", "step=1h", "to=soon"]
    {
        let answer = service.get(&format!("{path}?{bad}")).unwrap();
        check_problem(&answer, 400, "bad-parameter");
    }
    for name in ["region=a%20b", "device_id=.."] {
        check_problem(&service.get(&format!("{path}?{name}")).unwrap(), 400, "bad-parameter");
    }
    for unknown in ["region=nowhere", "device_id=nobody"] {
        check_problem(&service.get(&format!("{path}?{unknown}")).unwrap(), 404, "not-found");
    }
    for method in [Method::DELETE, Method::PUT, Method::PATCH] {
        let answer = service.sender().send(&method, path).unwrap();
        check_problem(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    }
    let only_get = service.sender().send(&Method::POST, "/readyz/ingest").unwrap();
    assert_eq!(only_get.header("allow"), Some("GET, HEAD"));
    let answer = service.get_with(path, &[("accept", "text/html")]);
    check_problem(&answer, 406, "not-acceptable");

    let (get, head) =
        (service.get(path).unwrap(), service.sender().send(&Method::HEAD, path).unwrap());
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
}

/// What an instance may have on a gateway (`deploy/systemd`), in bytes.
const INSTANCE_BYTES: &str = "33554432";

#[test]
fn the_largest_pages_fit_into_the_memory_of_a_gateway() {
    let limit = ["--max-instance-memory", INSTANCE_BYTES];
    let service = Service::start_with(&[("retention", "0")], &limit).unwrap();
    let longest = "x".repeat(limits::NAME_BYTES_MAX - 3);
    for batch in 0..12 {
        let one = |n: i64| {
            let (minute, device) = (batch * 250 + n / 40, n % 40);
            let (name, region) = (format!("sensor-{device:02}"), format!("room-{}", n % 9));
            json_reading(&name, &region, (n % 400) as f64 / 8.0, START + minute * MINUTE + device)
        };
        service.accept(&(0..10_000).map(one).collect());
        let (region, at) = (format!("{longest}-r"), START + DAY * 10 + batch * MINUTE);
        let long =
            |n: i64| json_reading(&format!("{longest}-{}", n % 90), &region, -100.125, at + n / 90);
        service.accept(&(0..8_000).map(long).collect());
    }
    service.settled();
    let full = format!("/v1/readings?from={START}&to={}&limit=100000", START + DAY * 9);
    let long = format!("/v1/readings?from={}&to={NOW}&limit=100000", START + DAY * 9);
    for accept in [CSV, NDJSON, "application/json"] {
        let headers = [("accept", accept)];
        let page = service.get_with(&full, &headers);
        assert_eq!(page.status, 200, "{accept}: {}", page.body);
        assert_eq!(page.body.matches("sensor-").count(), 100_000, "{accept}");
        assert!(page.header("link").is_some(), "{accept}");
        let page = service.get_with(&long, &headers);
        assert_eq!(page.status, 200, "{accept}: {}", page.body);
        assert!(page.body.len() < limits::READINGS_PAGE_BYTES_MAX + 1_024, "{accept}");
        assert!(page.body.len() > limits::READINGS_PAGE_BYTES_MAX - 1_024, "{accept}");
        assert!(page.header("link").is_some(), "{accept}");
    }
    let pages = service.pages(&long);
    let count = |page: &Value| page["readings"].as_array().unwrap().len();
    assert_eq!(pages.iter().map(count).sum::<usize>(), 12 * 8_000);
    // A client that does not read what it asked for is no trouble.
    let head = service.sender().send(&Method::HEAD, &full).unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(!service.log().contains("sent completely"), "{}", service.log());
}
