//! Readings that contradict a counted one: `GET /v1/conflicts`.

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use crate::support::assert::{check_fields, check_problem};
use crate::support::readings::{HOUR, instant, json_reading};
use crate::support::service::Expect as _;

fn list(service: &Service, query: &str) -> Value {
    service.read(&format!("/v1/conflicts{query}"))
}

fn send(service: &Service, readings: &[Value]) {
    service.accept(&json!(readings));
    service.settled();
}

#[test]
fn a_contradiction_is_listed_beside_what_stands() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    check_fields(&list(&service, ""), &json!({"conflicts": [], "seen": 0}));

    send(
        &service,
        &[json_reading("d1", "hall", 21.5, now), json_reading("d2", "hall", -3.25, now - 1)],
    );
    send(
        &service,
        &[json_reading("d1", "hall", 30.0, now), json_reading("d2", "attic", -3.25, now - 1)],
    );
    // The same again is the same, and is seen again.
    send(&service, &[json_reading("d1", "hall", 30.0, now), json_reading("d1", "hall", 21.5, now)]);
    let body = list(&service, "");
    let mut conflicts = body["conflicts"].as_array().unwrap().clone();
    conflicts.sort_by_key(|conflict| conflict["device_id"].to_string());
    assert_eq!(
        conflicts,
        [
            json!({"device_id": "d1", "timestamp": instant(now), "region": "hall",
                   "temperature_c": 30.0, "standing_region": "hall", "standing_temperature_c": 21.5}),
            json!({"device_id": "d2", "timestamp": instant(now - 1), "region": "attic",
                   "temperature_c": -3.25, "standing_region": "hall", "standing_temperature_c": -3.25}),
        ]
    );
    check_fields(&body, &json!({"seen": 3, "unfolded_entries": 0, "from": null, "to": null}));

    // A range is half-open, to the millisecond.
    let count = |from: i64, to: i64| {
        let body = list(&service, &format!("?from={from}&to={to}"));
        check_fields(&body, &json!({"from": instant(from), "to": instant(to)}));
        body["conflicts"].as_array().unwrap().len()
    };
    assert_eq!([count(now, now + 1), count(now - 1, now), count(now - 1, now + 1)], [1, 1, 2]);
    assert_eq!([count(now + 1, now + 5_000), count(0, now - 1)], [0, 0]);
}

#[test]
fn conflicts_come_in_pages_and_each_once() {
    let service = Service::start(&[]).unwrap();
    let start = now_ms() - HOUR;
    let batch = |temperature: f64| -> Vec<Value> {
        (0..25)
            .map(|i| json_reading(&format!("d{}", i % 3), "r", temperature, start + i * 7_000))
            .collect()
    };
    send(&service, &batch(1.0));
    send(&service, &batch(2.0));
    let mut seen = Vec::new();
    for page in service.pages("/v1/conflicts?limit=10") {
        let conflicts = page["conflicts"].as_array().unwrap();
        assert!(conflicts.len() <= 10);
        seen.extend(conflicts.iter().map(|c| c["timestamp"].as_str().unwrap().to_owned()));
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
