//! A server that is away, answers late, or refuses the token.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use isotherm_it::{Service, now_ms};
use serde_json::json;
use tempfile::TempDir;

use crate::support::assert::{check_fields, check_retryable};
use crate::support::hrana::Hrana;
use crate::support::readings::in_hall;
use crate::support::service::{Expect as _, start_over};

/// A service over a server of libSQL, which has counted a reading.
fn counted() -> (TempDir, Hrana, Service) {
    let directory = TempDir::new().unwrap();
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    let service = start_over(&libsql.config(), &[]);
    service.accept(&in_hall("d1", now_ms()));
    assert_eq!(service.totals(), (1, 1_000));
    (directory, libsql, service)
}

#[test]
fn without_the_server_readings_are_accepted_and_counted_when_it_is_back() {
    let (_directory, mut libsql, service) = counted();
    libsql.kill();
    service.accept(&in_hall("d2", now_ms()));
    check_fields(&service.read("/readyz"), &json!({"status": "degraded", "regions": "failing"}));
    service.wait_for_log("regions database (SQLite): ").unwrap();
    libsql.run();
    assert_eq!(service.totals(), (2, 2_000));
}

#[test]
fn a_token_that_the_server_refuses_is_named_in_the_log() {
    let directory = TempDir::new().unwrap();
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    let mut service = start_over(&libsql.config_with("one-that-has-expired"), &[]);
    service.accept(&in_hall("d1", now_ms()));
    check_retryable(&service.get("/v1/regions").unwrap(), 503, "store-unavailable");
    check_fields(&service.read("/readyz"), &json!({"status": "degraded", "regions": "failing"}));
    service.wait_for_log("Authentication failed: The JWT is invalid").unwrap();
    service.configure(&libsql.config()).unwrap();
    service.run().unwrap();
    assert_eq!(service.totals(), (1, 1_000));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a client waits is what is tested")]
fn a_server_that_answers_late_keeps_no_sender_waiting_and_is_left_alone() {
    let (_directory, libsql, service) = counted();
    libsql.rules().pause_ms.store(2_500, Ordering::SeqCst);
    let started = Instant::now();
    for device in 2..12 {
        service.accept(&in_hall(&format!("d{device}"), now_ms()));
    }
    assert!(started.elapsed() < Duration::from_millis(2_500), "{:?}", started.elapsed());
    for _ in 0..3 {
        service.get("/v1/regions").unwrap();
    }
    let started = Instant::now();
    for _ in 0..20 {
        service.get("/v1/regions").unwrap();
        check_fields(&service.read("/readyz"), &json!({"status": "degraded"}));
    }
    // Twenty answers, and a probe or two.
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    assert!(service.log().contains("ms to be opened"), "{}", service.log());
    libsql.rules().pause_ms.store(0, Ordering::SeqCst);
    assert_eq!(service.totals(), (11, 11_000));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a client waits is what is tested")]
fn a_server_that_answers_after_twenty_seconds_keeps_one_reader_and_no_sender() {
    let (_directory, libsql, service) = counted();
    libsql.rules().pause_ms.store(20_000, Ordering::SeqCst);
    let take = |devices: std::ops::Range<u32>| {
        let started = Instant::now();
        for device in devices {
            service.accept(&in_hall(&format!("d{device}"), now_ms()));
            check_fields(&service.read("/readyz/ingest"), &json!({"status": "ready"}));
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    };
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| service.get("/v1/regions").unwrap());
        take(2..12);
        // It waits for one answer of the server, and no more.
        let started = Instant::now();
        drop(reader.join().unwrap());
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    });
    take(12..22);
    libsql.rules().pause_ms.store(0, Ordering::SeqCst);
    assert_eq!(service.totals(), (21, 21_000));
}

#[test]
fn a_server_that_does_not_sync_its_commits_is_no_ready_one() {
    let directory = TempDir::new().unwrap();
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    libsql.rules().is_relaxed.store(true, Ordering::SeqCst);
    let service = start_over(&libsql.config(), &[]);
    let relaxed = json!({"status": "degraded", "regions": "ok", "synchronous": "normal"});
    check_fields(&service.read("/readyz"), &relaxed);
    libsql.rules().is_relaxed.store(false, Ordering::SeqCst);
    let strong = json!({"status": "ready", "regions": "ok", "synchronous": "full"});
    check_fields(&service.read("/readyz"), &strong);
}
