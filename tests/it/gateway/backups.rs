//! Backups by the gateway's timer.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isotherm_it::now_ms;
use serde_json::Value;
use tempfile::TempDir;

use super::{Gateway, command, ended, run};
use crate::support::readings::json_reading;
use crate::support::service::until;

/// How many readings a batch has.
const BATCH: usize = 10;

/// The n-th batch, of times of its own.
fn batch(start: i64, n: usize) -> Vec<Value> {
    let reading = |i: usize| {
        let at = start + i64::try_from(i).unwrap() * 20;
        json_reading("d", "hall", 1.0, at)
    };
    (n * BATCH..(n + 1) * BATCH).map(reading).collect()
}

/// The backups in a directory, the oldest first.
fn backups(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let is_one = |name: &str| name.ends_with('Z');
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| is_one(entry.file_name().to_str().unwrap()))
        .map(|entry| entry.path())
        .collect();
    found.sort_unstable();
    found
}

fn count(gateway: &Gateway) -> usize {
    let answer = gateway.sender().get("/v1/regions/hall").unwrap();
    if answer.status != 200 {
        return 0;
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    usize::try_from(body["count"].as_u64().unwrap()).unwrap()
}

#[test]
fn under_load_it_makes_one_each_second_and_each_has_what_was_acknowledged_before_it() {
    let directory = TempDir::new().unwrap();
    let to = directory.path().join("copies");
    std::fs::create_dir(&to).unwrap();
    let lines = "[backup]\nto = \"copies\"\nevery = \"1s\"\nkeep = 2\n";
    let gateway = Gateway::start(directory.path(), lines);
    let start = now_ms() - 6 * 3_600_000;
    let (sent, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let acknowledged = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let n = sent.load(Ordering::SeqCst);
                gateway.sender().deliver(&batch(start, n)).unwrap();
                sent.store(n + 1, Ordering::SeqCst);
            }
        });
        until("three were made", || {
            (gateway.metric("isotherm_gateway_backups_total{outcome=\"made\"}") >= 3).then_some(())
        });
        let before = sent.load(Ordering::SeqCst);
        // The one after the next began after this.
        let made = gateway.metric("isotherm_gateway_backups_total{outcome=\"made\"}");
        until("two more were made", || {
            let now = gateway.metric("isotherm_gateway_backups_total{outcome=\"made\"}");
            (now >= made + 2).then_some(())
        });
        is_over.store(true, Ordering::SeqCst);
        before
    });
    let at = gateway.metric("isotherm_gateway_backup_timestamp_seconds");
    assert!(at.abs_diff(u64::try_from(now_ms() / 1_000).unwrap()) < 60, "{at}");
    let all = sent.load(Ordering::SeqCst);
    assert!(acknowledged > 0 && all > acknowledged, "{acknowledged} of {all}");
    drop(gateway);
    let kept = backups(&to);
    assert!(kept.len() == 2 || kept.len() == 3, "{kept:?}");

    // With the last one another node has all from before it, and takes the rest once.
    let data = directory.path().join("other");
    std::fs::create_dir(&data).unwrap();
    let (last, data) = (kept.last().unwrap().to_str().unwrap(), data.to_str().unwrap());
    let restored = run(&["restore", last, "--config", "/dev/null", "--data", data]);
    assert!(restored.status.success(), "{restored:?}");
    let other = Gateway::with(command(&[
        "--config",
        "/dev/null",
        "--data",
        data,
        "--listen",
        "127.0.0.1:0",
    ]));
    until("what waited is counted", || (count(&other) >= acknowledged * BATCH).then_some(()));
    for n in acknowledged..all {
        other.sender().deliver(&batch(start, n)).unwrap();
    }
    until("all is counted", || (count(&other) == all * BATCH).then_some(()));
}

#[test]
fn a_node_that_is_started_again_makes_none_before_the_latest_is_old_enough() {
    let directory = TempDir::new().unwrap();
    std::fs::create_dir(directory.path().join("copies")).unwrap();
    let lines = "[backup]\nto = \"copies\"\nevery = \"1h\"\n";
    let made =
        |gateway: &Gateway| gateway.metric("isotherm_gateway_backups_total{outcome=\"made\"}");
    let gateway = Gateway::start(directory.path(), lines);
    // It has nothing to copy before the first request, which is no failure.
    count(&gateway);
    until("the first is made", || (made(&gateway) == 1).then_some(()));
    drop(gateway);
    let gateway = Gateway::start(directory.path(), lines);
    let at = gateway.metric("isotherm_gateway_backup_timestamp_seconds");
    assert!(at > 0);
    assert_eq!((made(&gateway), failed(&gateway)), (0, 0));
    assert_eq!(backups(&directory.path().join("copies")).len(), 1);
}

/// Of a clock that was ahead, or of now where the clock is behind.
#[test]
fn a_backup_of_a_later_date_keeps_no_other_from_being_made() {
    let directory = TempDir::new().unwrap();
    let to = directory.path().join("copies");
    std::fs::create_dir_all(to.join("29991231T000000Z")).unwrap();
    let gateway =
        Gateway::start(directory.path(), "[backup]\nto = \"copies\"\nevery = \"2s\"\nkeep = 9\n");
    count(&gateway);
    until("one is made", || (backups(&to).len() > 1).then_some(()));
    assert_eq!(failed(&gateway), 0);
}

fn failed(gateway: &Gateway) -> u64 {
    gateway.metric("isotherm_gateway_backups_total{outcome=\"failed\"}")
}

#[test]
fn one_that_can_not_be_made_is_counted_and_the_node_serves_on() {
    let directory = TempDir::new().unwrap();
    let to = directory.path().join("copies");
    std::fs::create_dir(&to).unwrap();
    // Where a run would make its lock.
    std::fs::create_dir(to.join(".lock")).unwrap();
    let lines = "[backup]\nto = \"copies\"\nevery = \"1s\"\n";
    let gateway = Gateway::start(directory.path(), lines);
    until("two have failed", || (failed(&gateway) >= 2).then_some(()));
    gateway.sender().deliver(&batch(now_ms() - 60_000, 0)).unwrap();
    until("it counts", || (count(&gateway) == BATCH).then_some(()));
    std::fs::remove_dir(to.join(".lock")).unwrap();
    until("one is made", || (!backups(&to).is_empty()).then_some(()));
}

#[test]
fn where_backups_can_not_go_it_does_not_start() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let missing = directory.path().join("missing");
    let mut start = command(&["--config", "/dev/null", "--listen", "127.0.0.1:0", "--data"]);
    start.arg(&data).arg("--backup").arg(&missing);
    let output = ended(start);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("directory for backups"), "{said}");
}
