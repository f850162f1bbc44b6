//! While the database is away or slow, readings are taken and the last good averages
//! served; when it is back, all is counted.

use std::time::Duration;

use isotherm_it::Service;
use serde_json::json;

use super::{hall, nth, service_of_one, wait_for_count, wait_for_snapshot};
use crate::support::assert::{check_fields, check_lines, check_problem, check_retryable};
use crate::support::service::{Expect as _, WAIT};

fn calls(service: &Service, store: &str) -> i64 {
    let shown = service.read("/.well-known/isotherm-host/faults");
    shown[format!("{store}_calls")].as_i64().unwrap()
}

/// A service with two counted readings and a snapshot of them.
fn service_of_two() -> Service {
    let service = Service::start_faulty(&[]).unwrap();
    service.accept(&json!([nth(0), nth(1)]));
    assert_eq!(hall(&service)["count"], 2);
    wait_for_snapshot(&service);
    service
}

#[test]
fn while_the_database_is_away_readings_are_taken_and_the_last_good_averages_served() {
    let service = service_of_two();
    service.fail("sqlite", "fail");
    for index in 2..12 {
        let answer = service.send(&nth(index), WAIT);
        assert_eq!((answer.status, answer.header("preference-applied")), (202, None));
        let answer = service.get("/v1/regions/hall").unwrap();
        assert!(answer.header("age").unwrap().parse::<u32>().is_ok());
        let told = json!({"stale": true, "count": 2, "unfolded_entries": index - 1});
        check_fields(&answer.json().unwrap(), &told);
    }
    let list = service.read("/v1/regions");
    check_fields(&list, &json!({"stale": true, "complete": false}));
    assert_eq!(list["regions"][0]["region"], "hall");
    // It may be newer than the snapshot.
    check_problem(&service.get("/v1/regions/attic").unwrap(), 503, "store-unavailable");
    let range = service.get("/v1/regions/hall?from=0").unwrap();
    check_retryable(&range, 503, "store-unavailable");

    service.heal();
    let body = wait_for_count(&service, 12);
    assert_eq!(body["unfolded_entries"], 0);
}

#[test]
fn a_probe_finds_a_node_without_its_database_degraded_and_not_unready() {
    let service = service_of_two();
    for path in ["/readyz", "/readyz/ingest"] {
        assert_eq!(service.read(path)["status"], "ready");
    }
    // A probe may put anything into its query.
    for path in ["/readyz/ingest?probe=1", "/readyz?verbose", "/healthz?_=1"] {
        service.read(path);
    }

    service.fail("sqlite", "fail");
    for index in 2..12 {
        service.accept(&nth(index));
        hall(&service);
    }
    // It can make readings durable.
    let body = service.read("/readyz");
    check_fields(&body, &json!({"status": "degraded", "regions": "failing"}));
    assert_ne!(body["breaker"], "closed");
    let metrics = service.get("/metrics").unwrap().body;
    let expected = [
        "isotherm_store_up{store=\"regions\"} 0",
        "isotherm_store_up{store=\"journal\"} 1",
        "isotherm_breaker_state{state=\"closed\"} 0",
        "isotherm_journal_entries 10",
    ];
    check_lines(&metrics, &expected);
}

#[test]
fn a_database_that_is_away_is_asked_rarely_and_found_again() {
    let service = service_of_two();
    service.fail("sqlite", "fail");
    for _ in 0..10 {
        assert_eq!(hall(&service)["stale"], true);
    }
    // A hundred questions, and a few probes.
    let before = calls(&service, "sqlite");
    for _ in 0..100 {
        assert_eq!(hall(&service)["stale"], true);
    }
    let asked = calls(&service, "sqlite") - before;
    assert!(asked < 40, "{asked} calls to a database that is to be left alone");

    service.heal();
    wait_for_count(&service, 2);
    let metrics = service.get("/metrics").unwrap().body;
    check_lines(&metrics, &["isotherm_breaker_state{state=\"closed\"} 1"]);
    let log = service.log();
    assert_eq!(log.matches(": closed to open").count(), 1, "{log}");
    assert_eq!(log.matches(": half-open to closed").count(), 1, "{log}");
    let probes = log.matches(": open to half-open").count();
    assert_eq!(log.matches("breaker of the").count(), 2 * probes + 1, "each once: {log}");
    assert_eq!(probes, log.matches(": half-open to open").count() + 1, "{log}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a sender waits is what is tested")]
fn a_slow_database_keeps_no_sender_waiting() {
    let service = Service::start_faulty(&[]).unwrap();
    let stall_ms = 20_000;
    service.set_faults(&json!([{"store": "sqlite", "effect": "stall", "ms": stall_ms}])).unwrap();
    let started = std::time::Instant::now();
    for index in 0..100 {
        service.accept(&nth(index));
    }
    assert!(started.elapsed() < Duration::from_millis(stall_ms), "{:?}", started.elapsed());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a client waits is what is tested")]
fn a_slow_database_is_left_alone_like_one_that_is_away() {
    let service = service_of_one();
    wait_for_snapshot(&service);
    service.set_faults(&json!([{"store": "sqlite", "effect": "stall", "ms": 2_100}])).unwrap();
    for _ in 0..3 {
        assert_eq!(hall(&service)["stale"], true);
    }
    let started = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(hall(&service)["stale"], true);
    }
    // Twenty answers, and a probe or two.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(service.log().contains("ms to be opened"), "{}", service.log());
}
