//! Kills, and a minute without the database, while a fleet goes on sending.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use isotherm_it::{Service, now_ms};
use isotherm_stores::random;
use serde_json::json;

use crate::fleet::Fleet;
use crate::{alone, count, settled};

/// A number from the environment, for the same test at another length.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn crashes_at_random_moments_lose_nothing_and_count_nothing_twice() {
    let _turn = alone();
    let kills = number("ISOTHERM_KILLS", 20);
    let mut dice = number("ISOTHERM_SEED", now_ms().unsigned_abs());
    println!("{kills} kills, ISOTHERM_SEED={dice}");
    let mut service = Service::start(&[]).unwrap();
    let fleet = Fleet::new(&service, 8, Duration::ZERO);
    std::thread::scope(|scope| {
        let _ends = fleet.start(scope);
        for kill in 1..=kills {
            std::thread::sleep(Duration::from_millis(random::next(&mut dice) % 500));
            service.kill();
            service.run().unwrap();
            fleet.turn_to(&service);
            let acknowledged = fleet.acknowledged.load(Ordering::SeqCst);
            let counted = count(&settled(&service));
            let sent = fleet.sent.load(Ordering::SeqCst);
            assert!(
                (acknowledged..=sent).contains(&counted),
                "after kill {kill}: {counted} counted of {acknowledged} acknowledged, {sent} sent"
            );
        }
    });
    fleet.check(&service);
    let batches: usize = fleet.delivered.iter().map(|n| n.load(Ordering::SeqCst)).sum();
    println!("{batches} batches, {} readings", fleet.acknowledged.load(Ordering::SeqCst));
    assert!(batches > 8 * 20, "{batches} batches are no load");
}

#[test]
fn a_minute_without_the_database_under_load_loses_nothing_and_ends_in_right_averages() {
    let _turn = alone();
    let service = Service::start_faulty(&[]).unwrap();
    let fleet = Fleet::new(&service, 8, Duration::from_millis(20));
    let outage = Duration::from_secs(60);
    std::thread::scope(|scope| {
        let _ends = fleet.start(scope);
        while count(&settled(&service)) < 1_000 {
            std::thread::sleep(Duration::from_millis(50));
        }
        service.set_faults(&json!([{"store": "sqlite", "effect": "fail"}])).unwrap();
        let (started, before) = (Instant::now(), fleet.acknowledged.load(Ordering::SeqCst));
        while started.elapsed() < outage {
            std::thread::sleep(Duration::from_millis(500));
            let body = service.get("/v1/regions").unwrap();
            assert!(matches!(body.status, 200 | 503), "{}", body.body);
        }
        let during = fleet.acknowledged.load(Ordering::SeqCst) - before;
        assert!(during > 10_000, "{during} readings were acknowledged without the database");
        service.set_faults(&json!([])).unwrap();

        // While they go on sending, a reader sees all that came before.
        let acknowledged = fleet.acknowledged.load(Ordering::SeqCst);
        assert!(count(&settled(&service)) >= acknowledged);
    });
    fleet.check(&service);
    service.wait_for_log(": half-open to closed").unwrap();
    let log = service.log();
    assert_eq!(log.matches(": closed to open").count(), 1, "{log}");
    assert_eq!(log.matches(": half-open to closed").count(), 1, "{log}");
}
