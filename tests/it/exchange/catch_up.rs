//! A gateway that was cut off, and a link that comes back: how long it takes until the hub
//! has what people look at, and until it has all.

use std::time::{Duration, Instant};

use isotherm_it::{Service, now_ms};
use serde_json::Value;

use super::two::{beat, get};
use crate::support::readings::{HOUR, json_reading};
use crate::support::relay::Relay;

/// A site of a hundred sensors, each of which measures every ten seconds.
const SENSORS: i64 = 100;
const EVERY_MS: i64 = 10_000;

/// Fills a gateway with what such a site measured in so many hours, the oldest first.
fn fill(gateway: &Service, hours: i64, end: i64) -> i64 {
    let mut total = 0;
    let begin = end - hours * HOUR;
    let mut batch = Vec::new();
    for step in 0..hours * HOUR / EVERY_MS {
        for sensor in 0..SENSORS {
            let at = begin + step * EVERY_MS + sensor * 97;
            let celsius = f64::from(i32::try_from((step * 7 + sensor * 13) % 600).unwrap()) / 100.0;
            batch.push(json_reading(&format!("sensor-{sensor:03}"), "hall", 18.0 + celsius, at));
        }
        if batch.len() >= 10_000 || step + 1 == hours * HOUR / EVERY_MS {
            total += i64::try_from(batch.len()).unwrap();
            let body = Value::from(std::mem::take(&mut batch)).to_string();
            assert_eq!(gateway.post(&body).unwrap().status, 202);
        }
    }
    total
}

/// How many readings the hub has from `from` on.
fn count(hub: &Service, from: i64) -> i64 {
    let answer = hub.get(&format!("/v1/regions/hall?from={from}")).unwrap();
    let body = answer.json().ok();
    body.and_then(|body| body["count"].as_i64()).unwrap_or(0)
}

/// What was measured over a link.
struct CaughtUp {
    /// After how long the hub had the newest hour.
    newest: Duration,
    /// After how long it had all, if that was waited for.
    all: Option<Duration>,
    /// How many bytes had gone over the link for each reading that the hub had.
    bytes: f64,
}

/// Sends what was measured in so many hours over a link of so many bits per second, until the
/// hub has all of it, or its newest hour.
#[expect(clippy::disallowed_methods, reason = "what is measured is time")]
fn catch_up(hours: i64, rate: u64, is_all_awaited: bool) -> CaughtUp {
    let hub = Service::start(&[]).unwrap();
    let link = Relay::to(&hub.url());
    link.cut();
    let gateway = Service::start(&[("peer1", link.url().as_str()), ("node", "gw-1")]).unwrap();
    let end = now_ms();
    let total = fill(&gateway, hours, end);
    // So that its journal is folded.
    get(&gateway, "/v1/regions/hall");
    link.heal(rate);
    let begun = Instant::now();
    beat(&gateway);
    let newest_from = end - HOUR;
    let of_newest = HOUR / EVERY_MS * SENSORS;
    let (mut newest, mut last_beat) = (None, Instant::now());
    while begun.elapsed() < Duration::from_secs(600) {
        if newest.is_none() && count(&hub, newest_from) >= of_newest {
            newest = Some(begun.elapsed());
        }
        if let Some(newest) = newest {
            let there = count(&hub, end - hours * HOUR);
            let all = (there >= total).then(|| begun.elapsed());
            if all.is_some() || !is_all_awaited {
                let bytes = link.sent() as f64 / there as f64;
                return CaughtUp { newest, all, bytes };
            }
        }
        if last_beat.elapsed() > Duration::from_secs(1) {
            beat(&gateway);
            last_beat = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{} of {total} after ten minutes", count(&hub, end - hours * HOUR));
}

#[test]
fn the_newest_hour_comes_first_and_all_of_it_soon() {
    let hours = std::env::var("ISOTHERM_CATCH_UP_HOURS")
        .map_or(3, |hours| hours.parse().expect("ISOTHERM_CATCH_UP_HOURS is a number"));
    for (rate, newest_max) in [(10_000_000, 5), (64_000, 60)] {
        // Over a narrow link, all of it takes hours.
        let is_all_awaited = rate > 1_000_000;
        let CaughtUp { newest, all, bytes } = catch_up(hours, rate, is_all_awaited);
        println!(
            "{hours} hours at {rate} bit/s: newest hour {newest:?}, all {all:?}, {bytes:.2} bytes a reading"
        );
        assert!(newest.as_secs() < newest_max, "{rate} bit/s: the newest hour took {newest:?}");
        assert!(bytes <= 8.0, "{bytes} bytes a reading");
        if is_all_awaited {
            let all = all.expect("it was awaited");
            assert!(all.as_secs() < 60, "{rate} bit/s: {hours} hours took {all:?}");
        }
    }
}
