//! What a sensor and a client see while stores fail, over a real socket. These
//! need the embedded runtime, whose stores fail on demand.

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use crate::support::assert::check_retryable;
use crate::support::readings::{HOUR, SUM_MILLICELSIUS, json_reading, shuffled, ten_thousand};
use crate::support::service::{Expect as _, until};

mod damaged;
mod database_away;
mod journal_away;

/// A reading of its own for every `index`, a while ago.
fn nth(index: i64) -> Value {
    json_reading("d", "hall", 20.0, now_ms() - HOUR + index)
}

fn hall(service: &Service) -> Value {
    service.get("/v1/regions/hall").unwrap().json().unwrap()
}

/// A service that has counted the first reading.
fn service_of_one() -> Service {
    let service = Service::start_faulty(&[]).unwrap();
    service.accept(&nth(0));
    assert_eq!(hall(&service)["count"], 1);
    service
}

/// Waits until the last good averages are kept for when the database is away.
fn wait_for_snapshot(service: &Service) {
    until("a snapshot is kept", || service.keys("snapshot/").pop());
}

/// Waits until the hall's answer is fresh and counts this many readings.
fn wait_for_count(service: &Service, count: i64) -> Value {
    until("the database answers again", || {
        Some(hall(service)).filter(|body| body["stale"] == false && body["count"] == count)
    })
}

#[test]
fn without_the_flag_nobody_can_make_the_stores_fail() {
    let service = Service::start(&[]).unwrap();
    assert!(service.set_faults(&json!([])).is_err());
}

#[test]
fn faults_at_random_lose_nothing_and_count_nothing_twice() {
    let service = Service::start_faulty(&[]).unwrap();
    let rules = json!([
        {"store": "key_value", "effect": "lost", "probability": 0.05},
        {"store": "key_value", "effect": "fail", "probability": 0.1},
        {"store": "key_value", "effect": "stall", "ms": 5, "probability": 0.1},
        {"store": "sqlite", "effect": "locked", "probability": 0.1},
        {"store": "sqlite", "effect": "lost", "probability": 0.02},
        {"store": "sqlite", "effect": "full", "probability": 0.05},
    ]);
    service.set_faults(&rules).unwrap();
    let readings = ten_thousand();
    let batches = |seed| -> Vec<Vec<Value>> {
        let mine = shuffled(&readings, seed);
        mine.chunks(100).map(<[Value]>::to_vec).collect()
    };
    std::thread::scope(|scope| {
        for seed in [1, 2] {
            let (service, batches) = (&service, batches(seed));
            scope.spawn(move || service.sender().deliver_all(&batches, 4).unwrap());
        }
        // Reading meanwhile makes it fold.
        for _ in 0..50 {
            assert!(matches!(service.get("/v1/regions").unwrap().status, 200 | 503));
        }
    });
    service.heal();
    assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
    assert_eq!(service.keys("quarantine/"), Vec::<String>::new());
}

/// Files of the service can't grow beyond this any more, or again.
fn limit_files(service: &Service, bytes: &str) {
    let pid = service.process_id().unwrap().to_string();
    let size = format!("--fsize={bytes}:unlimited");
    let done = std::process::Command::new("prlimit").args(["--pid", &pid, &size]).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_disk_without_space_refuses_and_goes_on_when_there_is_space_again() {
    let service = Service::start_limited().unwrap();
    // More than the initial memory of an instance, which the runtime keeps in a file, too.
    limit_files(&service, "100000");
    let readings = ten_thousand();
    let mut refused = Vec::new();
    let mut acknowledged = 0;
    for round in 0..4 {
        for batch in readings.chunks(200).skip(round).step_by(4) {
            let answer = service.send(&json!(batch), &[]);
            match answer.status {
                200 | 202 => acknowledged += 1,
                _ => {
                    check_retryable(&answer, 503, "store-unavailable");
                    refused.push(batch);
                }
            }
        }
    }
    assert!(refused.len() > 5 && acknowledged > 5, "{acknowledged}, {} refused", refused.len());

    limit_files(&service, "unlimited");
    for batch in refused {
        service.sender().deliver(batch).unwrap();
    }
    assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
    assert_eq!(service.keys("quarantine/"), Vec::<String>::new());
}
