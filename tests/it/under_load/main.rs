//! What takes long or needs the machine for itself: kills, outages and many connections under
//! load, and the page in a browser. One after the other, as times are measured.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isotherm_it::Service;
use serde_json::{Value, json};

mod connections;
mod fleet;
mod in_a_browser;
mod outages;
mod rejected;

/// One test at a time, even if another one failed.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A reading in the hall.
fn in_hall(device: &str, timestamp: i64) -> Value {
    json!({"device_id": device, "region": "hall", "temperature_c": 4, "timestamp": timestamp})
}
