//! Requests of which nothing is accepted, beside those of an honest sensor.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Sender;
use isotherm_stores::{KeyValueFile, to_stderr};
use serde_json::json;

use crate::{alone, in_hall};

/// Senders that only send what is rejected, on 16 connections, until they have sent
/// this many requests.
fn send_rubbish(service: &Service, requests: usize) {
    let left = AtomicUsize::new(requests);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            let (left, sender) =
                (&left, Sender::new(service.sender().url(), Duration::from_secs(60)));
            scope.spawn(move || {
                let take = |n: usize| n.checked_sub(1);
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                    let body = in_hall("ahead", now_ms() + 86_400_000);
                    let answer = sender.post(body.to_string().as_bytes(), &[]).unwrap();
                    assert_eq!(answer.status, 422, "{}", answer.body);
                }
            });
        }
    });
}

#[test]
fn ten_thousand_rejected_requests_make_no_honest_sensor_wait() {
    let _turn = alone();
    let slow = json!({"store": "key_value", "effect": "slow_sync", "ms": 20});
    let away = json!({"store": "sqlite", "effect": "fail"});
    for (rules, variables) in [
        (json!([slow.clone()]), &[][..]),
        (json!([slow, away]), &[("journal_max_entries", "1000")]),
    ] {
        let service = Service::start_faulty(variables).unwrap();
        service.set_faults(&rules).unwrap();
        let done = AtomicBool::new(false);
        let (mut posts, mut longest) = (0_u32, Duration::ZERO);
        std::thread::scope(|scope| {
            let (service, done) = (&service, &done);
            scope.spawn(move || {
                send_rubbish(service, 10_000);
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                let body = in_hall("honest", now_ms() - i64::from(posts));
                let started = Instant::now();
                let answer = service.sender().post(body.to_string().as_bytes(), &[]).unwrap();
                assert_eq!(answer.status, 202, "{}", answer.body);
                longest = longest.max(started.elapsed());
                posts += 1;
                // A sensor that has something to say ten times a second.
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        println!("{posts} posts, the longest {longest:?}");
        assert!(posts > 10 && longest < Duration::from_secs(2), "{posts}, {longest:?}");
        let journal = KeyValueFile::open(&service.journal_file(), "default", to_stderr).unwrap();
        let entries = journal.keys().unwrap().into_iter().filter(|key| key.starts_with("journal/"));
        assert!(entries.count() <= posts as usize, "rejections take room in the journal");
    }
}
