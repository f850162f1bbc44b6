//! Made-up sensors that send to a gateway every second.

use std::f64::consts::TAU;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client;

/// The regions of a gateway, with the temperature that they should have.
const REGIONS: [(&str, f64); 2] = [("cold-room", 4.0), ("freezer", -19.0)];

/// The sensors in each.
const SENSORS: u32 = 5;

/// How often each sends.
const EVERY_MS: i64 = 1_000;

/// How far back the first readings are, so that charts show a curve from the beginning. Not so
/// far that they would count as late (`late_after`).
const BEGIN_MS: i64 = 4 * 60 * 1_000;

/// The most readings that wait for a gateway: as many as a request may have. Then the oldest
/// are forgotten, as a sensor's memory has an end.
const WAITING_MAX: usize = 10_000;

/// The sensors of a gateway. Their thread ends with this process.
pub(super) struct Sensors {
    waiting: Arc<AtomicUsize>,
}

impl Sensors {
    pub(super) fn start(gateway: usize, address: SocketAddr) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let shown = waiting.clone();
        std::thread::spawn(move || {
            let mut batch: Vec<String> = Vec::new();
            let mut next_ms = now_ms() - BEGIN_MS;
            loop {
                let now_ms = now_ms();
                while next_ms <= now_ms {
                    batch.extend(readings(gateway, next_ms));
                    next_ms += EVERY_MS;
                }
                batch.drain(..batch.len().saturating_sub(WAITING_MAX));
                if is_taken(address, &batch) {
                    batch.clear();
                }
                shown.store(batch.len(), Ordering::Relaxed);
                let wait_ms = next_ms.saturating_sub(self::now_ms());
                std::thread::sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)));
            }
        });
        Self { waiting }
    }

    /// How many readings the gateway has not taken.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Whether the gateway has the readings. They are sent again if it is not certain: that is
/// always safe.
fn is_taken(gateway: SocketAddr, batch: &[String]) -> bool {
    let body = format!("[{}]", batch.join(","));
    let answer = client::send(gateway, "POST", "/v1/readings", None, &body);
    answer.is_ok_and(|answer| answer.is_success())
}

/// One reading of each sensor.
fn readings(gateway: usize, ms: i64) -> impl Iterator<Item = String> {
    REGIONS.into_iter().flat_map(move |(region, target)| {
        (1..=SENSORS).map(move |sensor| {
            let celsius = target + deviation(gateway, region, sensor, ms);
            format!(
                "{{\"device_id\":\"{region}-{gateway}-{sensor}\",\
                 \"region\":\"{region}-{gateway}\",\"temperature_c\":{celsius:.2},\
                 \"timestamp\":{ms}}}"
            )
        })
    })
}

/// How far a sensor is from what its region should have: the compressor's cycle, a slow wave
/// over the day's work, and where the sensor hangs.
fn deviation(gateway: usize, region: &str, sensor: u32, ms: i64) -> f64 {
    let minutes = Duration::from_millis(ms.unsigned_abs()).as_secs_f64() / 60.0;
    let room = f64::from(u32::try_from(gateway * 10 + region.len()).unwrap_or(0));
    let place = f64::from(sensor);
    let cycle = 0.4 * (TAU * minutes / (7.0 + room % 4.0) + place / 3.0).sin();
    let slow = 0.8 * (TAU * minutes / (47.0 + room)).sin();
    let flicker = 0.05 * (TAU * minutes * 5.3 + 2.0 * place).sin();
    cycle + slow + flicker + 0.15 * (place - 3.0)
}

#[expect(clippy::disallowed_methods, reason = "sensors have a clock")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_slow_and_stay_near_what_the_region_should_have() {
        for (region, _) in REGIONS {
            for sensor in 1..=SENSORS {
                let at = |second: i64| deviation(2, region, sensor, second * 1_000);
                for second in 0..10_000 {
                    let (now, next) = (at(second), at(second + 1));
                    assert!(now.abs() < 2.0 && (next - now).abs() < 0.1, "{now} {next}");
                }
            }
        }
        let all: Vec<String> = readings(1, 1_000).collect();
        assert_eq!(all.len(), 10);
        let parsed: serde_json::Value = serde_json::from_str(&all[9]).unwrap();
        assert_eq!(
            (&parsed["device_id"], &parsed["region"]),
            (&"freezer-1-5".into(), &"freezer-1".into())
        );
    }
}
