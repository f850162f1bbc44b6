//! Journals 64 batches of 1,000 readings of 10,000 devices and folds them, without
//! WebAssembly and without chance: what a profiler counts is the same in every run.
//! `docs/performance.md` says how to run it.

use std::time::{Duration, Instant};

use anyhow::Context;
use isotherm::UnixMillis;
use isotherm::api::{readings, router};
use isotherm::http::{Header, Request};
use isotherm_host::native::NativeHost;
use tempfile::TempDir;

const BATCHES: i64 = 64;
const READINGS: i64 = 1_000;
const DEVICES: i64 = 10_000;
const REGIONS: i64 = 50;
/// Between two readings, in ms.
const STEP: i64 = 10;
const NOW: i64 = 1_700_000_000_000;

fn batch(number: i64) -> String {
    let reading = |i: i64| {
        let (device, millicelsius) = (i % DEVICES, i * 37 % 60_000 - 20_000);
        let (sign, whole, thousandths) = (
            if millicelsius < 0 { "-" } else { "" },
            millicelsius.abs() / 1_000,
            millicelsius.abs() % 1_000,
        );
        format!(
            r#"{{"device_id":"device-{device:06}","region":"region-{:02}","temperature_c":{sign}{whole}.{thousandths:03},"timestamp":{}}}"#,
            device % REGIONS,
            NOW - (BATCHES * READINGS - i) * STEP
        )
    };
    let readings: Vec<String> = (number * READINGS..(number + 1) * READINGS).map(reading).collect();
    format!("[{}]", readings.join(","))
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

#[expect(clippy::print_stdout, reason = "a program for a terminal")]
fn main() -> anyhow::Result<()> {
    // In memory where the machine has such a place: it is not the disk that is profiled.
    let directory = TempDir::new_in("/dev/shm").or_else(|_absent| TempDir::new())?;
    let host = NativeHost::new(directory.path(), &[("retention", "0")])?.simulated(0, 1);
    let now = UnixMillis::new(NOW).context("a time within the range")?;
    let head = Request::post("/v1/readings").with(Header::ContentType, "application/json");
    let bodies: Vec<String> = (0..BATCHES).map(batch).collect();

    let (statuses, journaled) = timed(|| {
        let post = |body: &String| readings::post(&host, &head, body.as_bytes(), now);
        bodies.iter().map(|body| post(body).response.status).collect::<Vec<_>>()
    });
    anyhow::ensure!(statuses.iter().all(|status| *status == 202), "{statuses:?}");
    let (answer, folded) =
        timed(|| router::answer(&host, &Request::get("/v1/regions/region-00"), now));
    let answer = String::from_utf8_lossy(&answer.response.body).into_owned();
    anyhow::ensure!(answer.contains(r#""count":1280"#), "not all was folded: {answer}");
    println!("journaled in {} ms, folded in {} ms", journaled.as_millis(), folded.as_millis());
    Ok(())
}
