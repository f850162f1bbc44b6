//! Several servers over two others: the journal in Redis, the regions on a server of libSQL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isotherm_it::Service;
use tempfile::TempDir;

use crate::support::hrana::Hrana;
use crate::support::readings::{SUM_MILLICELSIUS, ten_thousand};
use crate::support::redis::Redis;
use crate::support::service::{Expect as _, prepare_over, send_shuffled, start_over, until};

/// How many entries Redis has that are not folded.
fn unfolded(service: &Service) -> u64 {
    let body = service.get("/v1/regions").unwrap().json().unwrap();
    body["unfolded_entries"].as_u64().unwrap_or(0)
}

#[test]
fn two_servers_over_redis_and_libsql_count_every_reading_once_through_lost_answers() {
    let (redis, directory) = (Redis::start(), TempDir::new().unwrap());
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    libsql.lose_commits(3);
    // One that is lost within a transaction keeps the lock until another takes it away.
    libsql.rules().lock_ms.store(500, Ordering::SeqCst);
    libsql.lose_answers(150);
    let config = redis.config() + &libsql.config();
    let (one, other) = (start_over(&config, &[]), start_over(&config, &[]));
    let readings = ten_thousand();
    std::thread::scope(|scope| {
        scope.spawn(|| send_shuffled(&one, &readings, 1));
        scope.spawn(|| send_shuffled(&other, &readings, 2));
        for _ in 0..40 {
            unfolded(&one);
        }
    });
    libsql.lose_commits(0);
    libsql.lose_answers(0);
    assert_eq!(one.totals(), (10_000, SUM_MILLICELSIUS));
    assert_eq!(other.totals(), (10_000, SUM_MILLICELSIUS));
    let metrics = one.get("/metrics").unwrap().body;
    assert!(metrics.contains("\nisotherm_readings_folded_total{outcome=\"conflict\"} 0\n"));
    assert!(metrics.contains("\nisotherm_quarantined_entries{reason=\"unreadable\"} 0\n"));
}

#[test]
fn whichever_of_four_processes_is_killed_every_reading_is_counted_once() {
    let (mut redis, directory) = (Redis::start(), TempDir::new().unwrap());
    let mut libsql = Hrana::start(&directory.path().join("regions.db"));
    let config = redis.config() + &libsql.config();
    let (mut one, other) = (start_over(&config, &[]), start_over(&config, &[]));
    let mut third = prepare_over(&config, &[]);
    let (readings, is_sent) = (ten_thousand(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            send_shuffled(&other, &readings, 2);
            is_sent.store(true, Ordering::SeqCst);
        });
        let mut round = 0;
        while !is_sent.load(Ordering::SeqCst) || round < 6 {
            // Folds go on when one of these ends.
            std::thread::sleep(Duration::from_millis(100));
            unfolded(&one);
            match round % 3 {
                0 => {
                    libsql.kill();
                    libsql.run();
                }
                1 => {
                    redis.kill();
                    redis.run();
                }
                _ => one.run().unwrap(),
            }
            round += 1;
        }
    });
    third.run().unwrap();
    send_shuffled(&third, &readings, 3);
    for service in [&one, &other, &third] {
        assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
    }
}

#[test]
fn a_fold_whose_transaction_is_taken_away_again_and_again_gets_done() {
    let (redis, directory) = (Redis::start(), TempDir::new().unwrap());
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    let config = redis.config() + &libsql.config();
    let (one, other) = (start_over(&config, &[]), start_over(&config, &[]));
    let readings = ten_thousand();
    // So that the schema is there.
    unfolded(&one);
    libsql.rules().lock_ms.store(10, Ordering::SeqCst);
    libsql.rules().pause_ms.store(2, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| send_shuffled(&one, &readings, 1));
        scope.spawn(|| send_shuffled(&other, &readings, 2));
        until("transactions were taken away", || {
            unfolded(&one);
            (libsql.taken() >= 3).then_some(())
        });
    });
    libsql.rules().lock_ms.store(5_000, Ordering::SeqCst);
    libsql.rules().pause_ms.store(0, Ordering::SeqCst);
    assert_eq!(one.totals(), (10_000, SUM_MILLICELSIUS));
    assert_eq!(other.totals(), (10_000, SUM_MILLICELSIUS));
}
