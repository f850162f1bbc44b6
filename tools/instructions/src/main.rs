//! Journals 64 batches of 1,000 readings of 10,000 devices and folds them, without
//! WebAssembly and without chance: what a profiler counts is the same in every run.
//! `cargo xtask bench --instructions` runs it.
//!
//! `--known`: all devices have sent before, by as many readings. `--peer`: all of it waits for another node, too. `--from-node`: the batches are those of
//! another node. `--lines`: they are in InfluxDB's line protocol.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use isotherm::UnixMillis;
use isotherm::api::{readings, router};
use isotherm::http::{Header, Request};
use isotherm::internals::domain::exchange::{BatchId, Behind, NodeId, Sender};
use isotherm::internals::domain::reading::{DeviceId, MilliCelsius, Reading, Region};
use isotherm::internals::exchange::peers::{Configured, register_in};
use isotherm::internals::ledger::database::{Budget, Database};
use isotherm::internals::wire::batch::{Batch, MEDIA_TYPE};
use isotherm_stores::native::NativeHost;
use tempfile::TempDir;

const BATCHES: i64 = 64;
const READINGS: i64 = 1_000;
const DEVICES: i64 = 10_000;
const REGIONS: i64 = 50;
/// Between two readings, in ms.
const STEP: i64 = 10;
const NOW: i64 = 1_700_000_000_000;

/// A reading's device, region, thousandths of a degree, and time.
fn measured(i: i64) -> (String, String, i64, i64) {
    let device = i.rem_euclid(DEVICES);
    let at = NOW - (BATCHES * READINGS - i) * STEP;
    let region = format!("region-{:02}", device % REGIONS);
    (format!("device-{device:06}"), region, (i * 37).rem_euclid(60_000) - 20_000, at)
}

fn numbers(batch: i64) -> std::ops::Range<i64> {
    batch * READINGS..(batch + 1) * READINGS
}

/// Thousandths of a degree as degrees.
fn degrees(millicelsius: i64) -> String {
    let sign = if millicelsius < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", millicelsius.abs() / 1_000, millicelsius.abs() % 1_000)
}

fn json(number: i64) -> Vec<u8> {
    let reading = |i: i64| {
        let (device, region, millicelsius, at) = measured(i);
        let degrees = degrees(millicelsius);
        format!(
            r#"{{"device_id":"{device}","region":"{region}","temperature_c":{degrees},"timestamp":{at}}}"#,
        )
    };
    let readings: Vec<String> = numbers(number).map(reading).collect();
    format!("[{}]", readings.join(",")).into_bytes()
}

fn lines(number: i64) -> Vec<u8> {
    let line = |i: i64| {
        let (device, region, millicelsius, at) = measured(i);
        let degrees = degrees(millicelsius);
        format!("t,device_id={device},region={region} temperature_c={degrees} {at}\n")
    };
    numbers(number).map(line).collect::<String>().into_bytes()
}

fn of_node(number: i64) -> Option<Vec<u8>> {
    let mut all: Vec<_> = numbers(number).map(measured).collect();
    all.sort();
    let reading = |(device, region, millicelsius, at): &(String, String, i64, i64)| {
        let (device, region) = (DeviceId::new(device.clone())?, Region::new(region.clone())?);
        let (temperature, at) = (MilliCelsius::new(*millicelsius)?, UnixMillis::new(*at)?);
        Some(Reading::new(device, region, temperature, at))
    };
    let sender = Sender {
        node: NodeId([1; 16]),
        name: "gw-1",
        sends: number.cast_unsigned() + 1,
        as_of: UnixMillis::new(NOW)?,
        behind: Behind::default(),
        last_hour: 0,
    };
    let readings = all.iter().map(reading).collect::<Option<_>>()?;
    let id = BatchId(i128::from(number).to_be_bytes());
    let (asked, corrections) = (Vec::new(), Vec::new());
    Some(Batch { sender, id, asked, anchor: None, readings, corrections }.encode())
}

/// What is sent, and where to.
struct Sent {
    head: Request,
    bodies: Vec<Vec<u8>>,
}

impl Sent {
    fn of(has: impl Fn(&str) -> bool) -> Result<Self> {
        let media_type = if has("--from-node") { MEDIA_TYPE } else { "application/json" };
        let path = if has("--lines") { "/write?precision=ms" } else { "/v1/readings" };
        let bodies: Option<Vec<Vec<u8>>> = match () {
            () if has("--from-node") => (0..BATCHES).map(of_node).collect(),
            () if has("--lines") => Some((0..BATCHES).map(lines).collect()),
            () => Some((0..BATCHES).map(json).collect()),
        };
        let bodies = bodies.context("readings within their ranges")?;
        Ok(Self { head: Request::post(path).with(Header::ContentType, media_type), bodies })
    }
}

/// Journals and folds as many readings of the same devices, from before those of the phases.
fn make_known(host: &NativeHost, sent: &Sent, now: UnixMillis) -> Result<()> {
    for number in -BATCHES..0 {
        let handled = readings::post(host, &sent.head, &json(number), now);
        ensure!(handled.response.status.as_u16() == 202, "{:?}", handled.response.status);
    }
    let answer = router::answer(host, &Request::get("/v1/regions"), now).response;
    ensure!(answer.status.as_u16() == 200, "{:?}", answer.status);
    Ok(())
}

/// A phase: a profile shows it by this name.
#[inline(never)]
fn journal(host: &NativeHost, sent: &Sent, now: UnixMillis) -> Vec<u16> {
    let post = |body: &Vec<u8>| readings::post(host, &sent.head, body, now);
    sent.bodies.iter().map(|body| post(body).response.status.as_u16()).collect()
}

/// The other phase.
#[inline(never)]
fn fold(host: &NativeHost, now: UnixMillis) -> Vec<u8> {
    router::answer(host, &Request::get("/v1/regions/region-00"), now).response.body
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

#[expect(clippy::print_stdout, reason = "a program for a terminal")]
fn main() -> Result<()> {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let sent = Sent::of(has)?;
    // In memory where the machine has such a place: it is not the disk that is profiled.
    let directory = TempDir::new_in("/dev/shm").or_else(|_absent| TempDir::new())?;
    let host = NativeHost::new(directory.path(), &[("retention", "0")])?.simulated(0, 1);
    let now = UnixMillis::new(NOW).context("a time within the range")?;
    if has("--peer") {
        let database = Database::open(&host, Budget { lock_ms: 5_000, total_ms: 60_000 })?;
        register_in(&database, &[Configured::new(1, "http://hub")], now)?;
    }
    if has("--known") {
        make_known(&host, &sent, now)?;
    }
    let (statuses, journaled) = timed(|| journal(&host, &sent, now));
    ensure!(statuses.iter().all(|status| matches!(status, 202 | 204)), "{statuses:?}");
    let (answer, folded) = timed(|| fold(&host, now));
    let answer = String::from_utf8_lossy(&answer);
    let count = if has("--known") { 2_560 } else { 1_280 };
    let expected = format!(r#""count":{count}"#);
    ensure!(answer.contains(&expected), "not all was folded: {answer}");
    println!("journaled in {} ms, folded in {} ms", journaled.as_millis(), folded.as_millis());
    Ok(())
}
