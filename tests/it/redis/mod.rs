//! Several servers over one journal in Redis and one regions database, which is a file here.
//! `libsql` has it on a server, too.
//!
//! `cargo xtask test` looks for a server of Redis and says in `ISOTHERM_REDIS` where it
//! is; without one, these tests are skipped by name.

mod backup;
mod libsql;

use std::path::Path;

use isotherm_it::{Service, now_ms};
use serde_json::json;
use tempfile::TempDir;

use crate::conformance::check_conforming;
use crate::support::assert::check_fields;
use crate::support::readings::{SUM_MILLICELSIUS, in_hall, ten_thousand};
use crate::support::redis::Redis;
use crate::support::service::{Expect as _, prepare_over, send_shuffled, start_over, until};

/// A server whose journal is in `redis`, and the regions in the file `regions`.
fn start(redis: &Redis, regions: &Path) -> Service {
    let path = regions.display();
    let regions = format!("[sqlite_database.default]\ntype = \"spin\"\npath = \"{path}\"\n");
    start_over(&(redis.config() + &regions), &[])
}

#[test]
fn two_servers_over_one_redis_and_one_database_count_every_reading_once() {
    let redis = Redis::start();
    let regions = TempDir::new().unwrap();
    let file = regions.path().join("regions.db");
    let (one, other) = (start(&redis, &file), start(&redis, &file));
    let readings = ten_thousand();
    std::thread::scope(|scope| {
        scope.spawn(|| send_shuffled(&one, &readings, 1));
        scope.spawn(|| send_shuffled(&other, &readings, 2));
    });
    assert_eq!(one.totals(), (10_000, SUM_MILLICELSIUS));
    assert_eq!(other.totals(), (10_000, SUM_MILLICELSIUS));
    let metrics = one.get("/metrics").unwrap().body;
    assert!(metrics.contains("\nisotherm_readings_folded_total{outcome=\"conflict\"} 0\n"));
    assert!(metrics.contains("\nisotherm_quarantined_entries{reason=\"unreadable\"} 0\n"));
}

#[test]
fn a_redis_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    let mut redis = Redis::start();
    let regions = TempDir::new().unwrap();
    let file = regions.path().join("regions.db");
    let (one, other) = (start(&redis, &file), start(&redis, &file));
    let readings = ten_thousand();
    std::thread::scope(|scope| {
        scope.spawn(|| send_shuffled(&one, &readings, 1));
        scope.spawn(|| send_shuffled(&other, &readings, 2));
        until("something was counted", || {
            let counted = one.get("/v1/regions").unwrap().json().unwrap();
            counted["regions"].as_array().is_some_and(|regions| !regions.is_empty()).then_some(())
        });
        redis.kill();
        redis.run();
    });
    assert_eq!(one.totals(), (10_000, SUM_MILLICELSIUS));
    assert_eq!(other.totals(), (10_000, SUM_MILLICELSIUS));
}

#[test]
fn without_redis_nothing_is_accepted_that_is_not_durable() {
    let mut redis = Redis::start();
    let regions = TempDir::new().unwrap();
    let file = regions.path().join("regions.db");
    let service = start(&redis, &file);
    redis.kill();

    // The regions database is there: folded at once, and said so.
    let answer = service.send(&in_hall("d1", now_ms()), &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json().unwrap()["stored"], 1);
    service.wait_for_log("the journal failed, so the readings are folded at once").unwrap();
    check_fields(&service.read("/readyz"), &json!({"journal": "failing"}));

    // Neither is there: nothing is accepted.
    std::fs::remove_file(&file).unwrap();
    for suffix in ["-wal", "-shm"] {
        drop(std::fs::remove_file(regions.path().join(format!("regions.db{suffix}"))));
    }
    std::fs::create_dir(&file).unwrap();
    let answer = service.send(&in_hall("d1", now_ms()), &[]);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("urn:isotherm:problem:"), "{}", answer.body);
    let ready = service.get("/readyz").unwrap();
    assert_eq!((ready.status, &ready.json().unwrap()["status"]), (503, &"unavailable".into()));
    service.wait_for_log("regions database (SQLite):").unwrap();

    // Both are back.
    std::fs::remove_dir(&file).unwrap();
    redis.run();
    until("it is ready", || {
        let ready = service.get("/readyz").unwrap().json().unwrap();
        (ready["status"] == "ready").then_some(())
    });
    service.accept(&in_hall("d1", now_ms()));
}

#[test]
fn the_runtime_conforms_with_its_keys_in_redis() {
    let redis = Redis::start();
    let mut service = Service::prepare("hosts/conformance/spin.toml", &[], &[]).unwrap();
    service.configure(&redis.config()).unwrap();
    service.run().unwrap();
    check_conforming(&service);
}

#[test]
fn a_database_that_was_away_is_found_again_by_a_breaker_in_redis() {
    let redis = Redis::start();
    let regions = TempDir::new().unwrap();
    let path = regions.path().join("regions.db").display().to_string();
    let regions = format!("[sqlite_database.default]\ntype = \"spin\"\npath = \"{path}\"\n");
    let mut service = prepare_over(&(redis.config() + &regions), &[]);
    // What a process leaves behind that was killed while it probed.
    service.run().unwrap();
    redis.set("breaker/1/regions", &format!("half-open {} 1000", now_ms() + 500));
    service.accept(&in_hall("d1", now_ms()));
    assert_eq!(service.totals(), (1, 1_000));
    check_fields(&service.read("/readyz"), &json!({"breaker": "closed"}));
}
