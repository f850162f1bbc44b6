//! Readings that contradict a counted one: `GET /v1/conflicts`.

use isotherm::domain::reading::UnixMillis;
use isotherm_it::Service;
use serde_json::{Value, json};

use crate::contract::{check_problem, now_ms, reading};
use crate::exactly_once::settled;

fn list(service: &Service, query: &str) -> Value {
    let answer = service.get(&format!("/v1/conflicts{query}")).unwrap();
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.json().unwrap()
}

fn send(service: &Service, readings: &[Value]) {
    let answer = service.post(&Value::from(readings.to_vec()).to_string()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    settled(service.sender());
}

#[test]
fn a_contradiction_is_listed_beside_what_stands() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let at = |ms| UnixMillis::new(ms).unwrap().to_string();
    let empty = list(&service, "");
    assert_eq!((&empty["conflicts"], &empty["seen"]), (&json!([]), &json!(0)));

    send(&service, &[reading("d1", "hall", 21.5, now), reading("d2", "hall", -3.25, now - 1)]);
    send(&service, &[reading("d1", "hall", 30.0, now), reading("d2", "attic", -3.25, now - 1)]);
    // The same again is the same, and is seen again.
    send(&service, &[reading("d1", "hall", 30.0, now), reading("d1", "hall", 21.5, now)]);
    let body = list(&service, "");
    let mut conflicts = body["conflicts"].as_array().unwrap().clone();
    conflicts.sort_by_key(|conflict| conflict["device_id"].to_string());
    assert_eq!(
        conflicts,
        [
            json!({"device_id": "d1", "timestamp": at(now), "region": "hall",
                   "temperature_c": 30.0, "standing_region": "hall", "standing_temperature_c": 21.5}),
            json!({"device_id": "d2", "timestamp": at(now - 1), "region": "attic",
                   "temperature_c": -3.25, "standing_region": "hall", "standing_temperature_c": -3.25}),
        ]
    );
    assert_eq!((&body["seen"], &body["unfolded_entries"]), (&json!(3), &json!(0)));
    assert_eq!((&body["from"], &body["to"]), (&Value::Null, &Value::Null));

    // A range is half-open, to the millisecond.
    let count = |from: i64, to: i64| {
        let body = list(&service, &format!("?from={from}&to={to}"));
        assert_eq!((&body["from"], &body["to"]), (&json!(at(from)), &json!(at(to))));
        body["conflicts"].as_array().unwrap().len()
    };
    assert_eq!([count(now, now + 1), count(now - 1, now), count(now - 1, now + 1)], [1, 1, 2]);
    assert_eq!([count(now + 1, now + 5_000), count(0, now - 1)], [0, 0]);
}

#[test]
fn conflicts_come_in_pages_and_each_once() {
    let service = Service::start(&[]).unwrap();
    let start = now_ms() - 3_600_000;
    let batch = |temperature: f64| -> Vec<Value> {
        (0..25)
            .map(|i| reading(&format!("d{}", i % 3), "r", temperature, start + i * 7_000))
            .collect()
    };
    send(&service, &batch(1.0));
    send(&service, &batch(2.0));
    let (mut path, mut seen) = ("?limit=10".to_owned(), Vec::new());
    loop {
        let page = list(&service, &path);
        let conflicts = page["conflicts"].as_array().unwrap();
        assert!(conflicts.len() <= 10);
        seen.extend(conflicts.iter().map(|c| c["timestamp"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    let minutes: Vec<&str> = seen.iter().map(|timestamp| &timestamp[..16]).collect();
    assert!(minutes.is_sorted(), "{minutes:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 25);
    for bad in ["?after=x", "?after=1.2", "?limit=0", "?from=2&to=1", "?device=d", "?from=x"] {
        check_problem(&service.get(&format!("/v1/conflicts{bad}")).unwrap(), 400, "bad-parameter");
    }
}
