//! Several servers over one journal in Redis and one regions database.
//!
//! `cargo xtask test` looks for a server of Redis and says in `ISOTHERM_REDIS` where it
//! is; without one, these tests are skipped by name.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::assert::check_fields;
use crate::support::readings::{SUM_MILLICELSIUS, in_hall, shuffled, ten_thousand};
use crate::support::service::{Expect as _, until};
use isotherm_it::programs::variable;

/// A server of Redis that has on disk what it has acknowledged. It is killed when it is
/// dropped.
struct Redis {
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    fn start() -> Self {
        // A program that takes the port in between makes the test fail, and not pass.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        let mut redis = Self { directory: TempDir::new().unwrap(), port, process: None };
        drop(free);
        redis.run();
        redis
    }

    fn run(&mut self) {
        let process = Command::new(variable("ISOTHERM_REDIS"))
            // Debian's checker is the server under another name.
            .arg0("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let ping = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
            stream.write_all(b"PING\r\n").ok()?;
            let mut pong = [0; 5];
            stream.read_exact(&mut pong).ok()?;
            (&pong == b"+PONG").then_some(())
        };
        until("Redis answers", ping);
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// A runtime configuration with this journal and the regions in `regions`.
    fn config(&self, regions: &Path) -> String {
        let mut config = String::new();
        writeln!(config, "[key_value_store.default]\ntype = \"redis\"").unwrap();
        writeln!(config, "url = \"redis://127.0.0.1:{}/1\"", self.port).unwrap();
        writeln!(config, "[sqlite_database.default]\ntype = \"spin\"").unwrap();
        writeln!(config, "path = \"{}\"", regions.display()).unwrap();
        let path = self.directory.path().join("runtime-config.toml");
        std::fs::write(&path, config).unwrap();
        path.display().to_string()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start(config: &str) -> Service {
    Service::start_with(&[], &["--runtime-config-file", config]).unwrap()
}

/// Sends all readings to `service` in an order of its own, on four connections.
fn send(service: &Service, readings: &[Value], seed: u64) {
    let mine = shuffled(readings, seed);
    std::thread::scope(|scope| {
        for quarter in mine.chunks(mine.len().div_ceil(4)) {
            scope.spawn(|| {
                for batch in quarter.chunks(250) {
                    service.sender().deliver(batch).unwrap();
                }
            });
        }
    });
}

#[test]
fn two_servers_over_one_redis_and_one_database_count_every_reading_once() {
    let redis = Redis::start();
    let regions = TempDir::new().unwrap();
    let config = redis.config(&regions.path().join("regions.db"));
    let (one, other) = (start(&config), start(&config));
    let readings = ten_thousand();
    std::thread::scope(|scope| {
        scope.spawn(|| send(&one, &readings, 1));
        scope.spawn(|| send(&other, &readings, 2));
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
    let config = redis.config(&regions.path().join("regions.db"));
    let (one, other) = (start(&config), start(&config));
    let readings = ten_thousand();
    std::thread::scope(|scope| {
        scope.spawn(|| send(&one, &readings, 1));
        scope.spawn(|| send(&other, &readings, 2));
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
    let service = start(&redis.config(&file));
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
