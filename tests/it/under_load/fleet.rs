//! Sensors on several connections, and what must be counted of what they sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::Scope;
use std::time::{Duration, Instant};

use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Sender;
use serde_json::{Value, json};

use crate::settled;

/// Sensors on several connections. Each sends batches of its own, one after the
/// other, until they are acknowledged, and old ones again in between.
pub(crate) struct Fleet {
    start_ms: i64,
    /// To the service that is up at the moment.
    sender: RwLock<Arc<Sender>>,
    /// How many batches each connection got acknowledged.
    pub(crate) delivered: Vec<AtomicUsize>,
    /// Readings that may have arrived, and those that were acknowledged.
    pub(crate) sent: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pause: Duration,
    done: AtomicBool,
}

impl Fleet {
    pub(crate) fn new(service: &Service, connections: usize, pause: Duration) -> Self {
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
    pub(crate) fn turn_to(&self, service: &Service) {
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

    /// All its connections, until what is returned is dropped.
    pub(crate) fn start<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Ends<'env> {
        for connection in 0..self.delivered.len() {
            scope.spawn(move || self.run(connection));
        }
        Ends(&self.done)
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
    pub(crate) fn check(&self, service: &Service) {
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

/// Ends the sensors with the test, even if it fails: waiting for them
/// would last for ever.
pub(crate) struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
