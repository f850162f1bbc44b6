//! What takes long or needs the machine for itself: kills, outages and many
//! connections under load. One after the other, as times are measured.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "the tests share the service's clock")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use isotherm_host::random;
use isotherm_host::stores::KeyValueFile;
use isotherm_it::Service;
use isotherm_load::sender::Sender;
use serde_json::{Value, json};

/// One test at a time, even if another one failed.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Sensors on several connections. Each sends batches of its own, one after the
/// other, until they are acknowledged, and old ones again in between.
struct Fleet {
    start_ms: i64,
    /// To the service that is up at the moment.
    sender: RwLock<Arc<Sender>>,
    /// How many batches each connection got acknowledged.
    delivered: Vec<AtomicUsize>,
    /// Readings that may have arrived, and those that were acknowledged.
    sent: AtomicU64,
    acknowledged: AtomicU64,
    pause: Duration,
    done: AtomicBool,
}

impl Fleet {
    fn new(service: &Service, connections: usize, pause: Duration) -> Self {
        Self {
            start_ms: now_ms() - 3_600_000,
            sender: RwLock::new(Arc::new(Sender::new(service.sender().url(), Duration::ZERO))),
            delivered: (0..connections).map(|_| AtomicUsize::new(0)).collect(),
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            pause,
            done: AtomicBool::new(false),
        }
    }

    /// Sends to this service from now on.
    fn turn_to(&self, service: &Service) {
        let sender = Sender::new(service.sender().url(), Duration::ZERO);
        *self.sender.write().unwrap() = Arc::new(sender);
    }

    fn sender(&self) -> Arc<Sender> {
        self.sender.read().unwrap().clone()
    }

    /// The `n`-th batch of a connection: the same whenever it is asked for.
    fn batch(&self, connection: usize, n: usize) -> Vec<(String, i64, i64)> {
        let one = |i: usize| {
            let region = format!("r{}", (connection + i) % 5);
            let millicelsius = i64::try_from((connection * 31 + n * 17 + i * 7) % 60_000).unwrap();
            let slot = i64::try_from(n * 40 + i).unwrap();
            (region, millicelsius - 20_000, self.start_ms + slot)
        };
        (0..1 + n * 7 % 40).map(one).collect()
    }

    fn body(&self, connection: usize, n: usize) -> String {
        let one = |(region, millicelsius, timestamp)| {
            json!({
                "device_id": format!("d{connection}"), "region": region,
                "temperature_c": millicelsius as f64 / 1_000.0, "timestamp": timestamp,
            })
        };
        self.batch(connection, n).into_iter().map(one).collect::<Value>().to_string()
    }

    /// The life of one connection.
    fn run(&self, connection: usize) {
        for n in 0.. {
            if self.done.load(Ordering::SeqCst) {
                break;
            }
            let readings = self.batch(connection, n).len() as u64;
            self.sent.fetch_add(readings, Ordering::SeqCst);
            self.deliver(&self.body(connection, n), n % 5 == 0);
            self.acknowledged.fetch_add(readings, Ordering::SeqCst);
            self.delivered[connection].fetch_add(1, Ordering::SeqCst);
            if n % 6 == 5 {
                self.deliver(&self.body(connection, n / 2), n % 4 == 1);
            }
            if n % 11 == 10 {
                // What comes back is not this sensor's business.
                drop(self.sender().get("/v1/regions"));
            }
            std::thread::sleep(self.pause);
        }
    }

    fn deliver(&self, body: &str, waits: bool) {
        let headers: &[(&str, &str)] = if waits { &[("prefer", "wait")] } else { &[] };
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(120) {
            match self.sender().post(body.as_bytes(), headers) {
                Ok(answer) if matches!(answer.status, 200 | 202) => return,
                Ok(answer) if answer.status == 503 => {}
                Ok(answer) => panic!("{}: {}", answer.status, answer.body),
                // The service is dead, or died before it answered.
                Err(_) => {}
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("not acknowledged in two minutes");
    }

    /// Per region: count, sum, min and max of everything that was delivered.
    fn expected(&self) -> BTreeMap<String, (usize, i64, i64, i64)> {
        let mut expected = BTreeMap::new();
        for (connection, delivered) in self.delivered.iter().enumerate() {
            for n in 0..delivered.load(Ordering::SeqCst) {
                for (region, millicelsius, _) in self.batch(connection, n) {
                    let region = expected.entry(region).or_insert((0, 0, i64::MAX, i64::MIN));
                    let (count, sum, min, max): (usize, i64, i64, i64) = *region;
                    *region = (
                        count + 1,
                        sum + millicelsius,
                        min.min(millicelsius),
                        max.max(millicelsius),
                    );
                }
            }
        }
        expected
    }

    /// Asserts that the service counts exactly what was delivered.
    fn check(&self, service: &Service) {
        let body = settled(service);
        assert_eq!(body["quarantined_readings"], 0);
        let mut regions = BTreeMap::new();
        for region in body["regions"].as_array().unwrap() {
            let millicelsius =
                |field: &str| format!("{:.0}", region[field].as_f64().unwrap() * 1_000.0);
            let figures = (
                usize::try_from(region["count"].as_u64().unwrap()).unwrap(),
                region["sum_millicelsius"].as_i64().unwrap(),
                millicelsius("min_c").parse::<i64>().unwrap(),
                millicelsius("max_c").parse::<i64>().unwrap(),
            );
            regions.insert(region["region"].as_str().unwrap().to_owned(), figures);
        }
        assert_eq!(regions, self.expected());
    }
}

/// Ends the sensors with the test, even if it fails: who waits for them would
/// wait for ever.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What `/v1/regions` says once it is fresh and counts every entry.
fn settled(service: &Service) -> Value {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        let body = service.get("/v1/regions").unwrap().json().unwrap();
        if body["unfolded_entries"] == 0 && body["stale"] == false {
            return body;
        }
    }
    panic!("the journal does not become empty");
}

fn count(body: &Value) -> u64 {
    let regions = body["regions"].as_array().unwrap();
    regions.iter().map(|region| region["count"].as_u64().unwrap()).sum()
}

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
        let _ends = Ends(&fleet.done);
        for connection in 0..8 {
            let fleet = &fleet;
            scope.spawn(move || fleet.run(connection));
        }
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
        let _ends = Ends(&fleet.done);
        for connection in 0..8 {
            let fleet = &fleet;
            scope.spawn(move || fleet.run(connection));
        }
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

#[test]
fn sixty_four_waiting_connections_are_all_served_within_a_second() {
    let _turn = alone();
    let service = Service::start(&[]).unwrap();
    let (connections, rounds) = (64, 10);
    let (together, start_ms) = (Barrier::new(connections), now_ms() - 3_600_000);
    let latencies = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let (service, together, latencies) = (&service, &together, &latencies);
            scope.spawn(move || {
                together.wait();
                for round in 0..rounds {
                    let body = json!({
                        "device_id": format!("d{connection}"), "region": "hall",
                        "temperature_c": 20, "timestamp": start_ms + round,
                    });
                    let started = Instant::now();
                    let body = body.to_string();
                    let answer =
                        service.sender().post(body.as_bytes(), &[("prefer", "wait")]).unwrap();
                    latencies.lock().unwrap().push(started.elapsed());
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            });
        }
    });
    let mut latencies = latencies.into_inner().unwrap();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap();
    println!("p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), latencies.last().unwrap());
    assert_eq!(count(&settled(&service)), 640);
    assert!(at(99) < Duration::from_secs(1), "p99 {:?}", at(99));
}

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
                    let body = json!({
                        "device_id": "ahead", "region": "r", "temperature_c": 1,
                        "timestamp": now_ms() + 86_400_000,
                    });
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
                let body = json!({
                    "device_id": "honest", "region": "hall", "temperature_c": 4,
                    "timestamp": now_ms() - i64::from(posts),
                });
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
        let journal = KeyValueFile::open(&service.journal_file(), "default").unwrap();
        let entries = journal.keys().unwrap().into_iter().filter(|key| key.starts_with("journal/"));
        assert!(entries.count() <= posts as usize, "rejections take room in the journal");
    }
}

/// A request whose body stops half-way.
fn half_sent(address: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nonblocking(false).unwrap();
    let half = "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[{\"device";
    socket.write_all(half.as_bytes()).unwrap();
    socket
}

/// For 60 seconds where `ISOTHERM_STALL_SECONDS` says so; a few by default.
#[test]
fn four_hundred_half_sent_bodies_keep_nobody_else_from_an_answer() {
    let _turn = alone();
    let seconds = std::env::var("ISOTHERM_STALL_SECONDS").ok().and_then(|s| s.parse().ok());
    let service = Service::start(&[]).unwrap();
    let address = service.sender().url().strip_prefix("http://").unwrap();
    let sockets: Vec<TcpStream> = (0..400).map(|_| half_sent(address)).collect();
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    let mut count = 0;
    while started.elapsed() < Duration::from_secs(seconds.unwrap_or(14)) {
        let asked = Instant::now();
        let body = json!({
            "device_id": "d", "region": "hall", "temperature_c": 4, "timestamp": now_ms() - count,
        });
        assert_eq!(service.post(&body.to_string()).unwrap().status, 202);
        assert_eq!(service.get("/v1/regions/hall").unwrap().status, 200);
        longest = longest.max(asked.elapsed());
        count += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{count} pairs of requests, the longest {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    // By now each was told.
    for mut socket in sockets {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}
