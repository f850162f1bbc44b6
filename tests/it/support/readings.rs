//! Readings and times: in the application's own terms, and as JSON that a client sends.

use std::borrow::Cow;

use isotherm::internals::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
use isotherm_it::now_ms;
use serde_json::{Value, json};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2023-11-14T22:13:20Z: no minute begins there.
pub(crate) const START: i64 = 1_700_000_000_000;
/// 2030-03-17T17:46:40Z: no minute begins there.
pub(crate) const NOW: i64 = 1_900_000_000_000;

pub(crate) fn at(ms: i64) -> UnixMillis {
    UnixMillis::new(ms).unwrap()
}

/// The same as answers have it.
pub(crate) fn instant(ms: i64) -> Value {
    json!(at(ms).to_string())
}

/// A reading as the application has it.
pub(crate) fn reading<'a>(
    device: impl Into<Cow<'a, str>>,
    region: impl Into<Cow<'a, str>>,
    millicelsius: i64,
    ms: i64,
) -> Reading<'a> {
    Reading::new(
        DeviceId::new(device).unwrap(),
        Region::new(region).unwrap(),
        MilliCelsius::new(millicelsius).unwrap(),
        at(ms),
    )
}

/// A reading as a client sends it.
pub(crate) fn json_reading(
    device: &str,
    region: &str,
    celsius: impl Into<Value>,
    timestamp: impl Into<Value>,
) -> Value {
    json!({
        "device_id": device, "region": region,
        "temperature_c": celsius.into(), "timestamp": timestamp.into(),
    })
}

/// One of 1 °C in the hall.
pub(crate) fn in_hall(device: &str, ms: i64) -> Value {
    json_reading(device, "hall", 1, ms)
}

/// Millidegrees as JSON has them.
pub(crate) fn celsius(millicelsius: i64) -> f64 {
    millicelsius as f64 / 1_000.0
}

/// The sum of the temperatures of `ten_thousand`, in thousandths of a degree:
/// 25 times 0, 125, 250 … 49,875.
pub(crate) const SUM_MILLICELSIUS: i64 = 25 * 125 * (399 * 400 / 2);

/// Ten thousand readings of a hundred devices in four regions.
pub(crate) fn ten_thousand() -> Vec<Value> {
    let start = now_ms() - HOUR;
    let one = |i: i64| {
        let (device, region) = (format!("d{}", i % 100), format!("r{}", i % 4));
        json_reading(&device, &region, (i % 400) as f64 / 8.0, start + i / 100 * 1_000)
    };
    (0..10_000).map(one).collect()
}

/// The same readings in an order of its own for every seed.
pub(crate) fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for last in (1..items.len()).rev() {
        // xorshift64* (Vigna, 2016)
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let random = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        items.swap(last, random as usize % (last + 1));
    }
    items
}

/// The secret part of a token. It may have `_` in it, so it is all behind the second one.
pub(crate) fn secret_of(token: &str) -> &str {
    token.splitn(3, '_').nth(2).unwrap()
}
