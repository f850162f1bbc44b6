//! Measures how long answers take with a day's data, and with a year's: one generated
//! reading per minute for each of many regions.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::sender::Sender;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// How often each path is requested; the median is reported.
const ROUNDS: usize = 51;
/// Folding a day takes a while on a slow machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);

/// What is generated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Regions, each with one device.
    pub regions: u32,
    /// Days, up to now.
    pub days: u16,
    /// Readings in a request.
    pub batch: usize,
    /// Connections that send.
    pub connections: usize,
}

/// One path, and how long its answer took with little and with much data.
#[derive(Debug)]
pub struct Growth {
    /// The path.
    pub path: String,
    /// Median with a day's data.
    pub day: Duration,
    /// Median with all of it.
    pub all: Duration,
}

#[derive(Clone, Serialize)]
struct Reading {
    device_id: String,
    region: String,
    temperature_c: f64,
    timestamp: i64,
}

/// Sends `plan` to an empty service, and measures after the first day and at the end.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub fn measure(sender: &Sender, plan: Plan) -> Result<Vec<Growth>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let today = i64::try_from(now.as_millis())? / DAY_MS * DAY_MS;
    let first = today - i64::from(plan.days) * DAY_MS;
    let series = |from: i64, to: i64, step| {
        format!("/v1/regions/region-0/windows?from={from}&to={to}&step={step}")
    };
    let paths = [
        "/v1/regions".to_owned(),
        "/v1/regions/region-0".to_owned(),
        "/metrics".to_owned(),
        series(first, today, "1d"),
        series(first, first + DAY_MS, "1h"),
    ];
    send_days(sender, plan, first, 0..1)?;
    let day = paths.iter().map(|path| median(sender, path)).collect::<Result<Vec<_>>>()?;
    send_days(sender, plan, first, 1..plan.days)?;
    let all = paths.iter().map(|path| median(sender, path)).collect::<Result<Vec<_>>>()?;
    let growth = paths.into_iter().zip(day).zip(all);
    Ok(growth.map(|((path, day), all)| Growth { path, day, all }).collect())
}

/// Sends the days, and waits until they are counted.
fn send_days(sender: &Sender, plan: Plan, first: i64, days: std::ops::Range<u16>) -> Result<()> {
    for day in days {
        let start = first + i64::from(day) * DAY_MS;
        let readings: Vec<Reading> = (0..24 * 60)
            .flat_map(|minute| (0..plan.regions).map(move |region| (minute, region)))
            .map(|(minute, region)| reading(start + minute * MINUTE_MS, region))
            .collect();
        let batches: Vec<_> = readings.chunks(plan.batch).map(<[_]>::to_vec).collect();
        sender.deliver_all(&batches, plan.connections)?;
        settle(sender)?;
    }
    Ok(())
}

/// A daily and a yearly wave around the region's own temperature.
fn reading(timestamp: i64, region: u32) -> Reading {
    let turns = timestamp as f64 / DAY_MS as f64;
    let wave = |period: f64| (turns / period * std::f64::consts::TAU).sin();
    let celsius = 10.0 + f64::from(region) / 10.0 + 8.0 * wave(365.0) + 4.0 * wave(1.0);
    Reading {
        device_id: format!("device-{region}"),
        region: format!("region-{region}"),
        temperature_c: (celsius * 100.0).round() / 100.0,
        timestamp,
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn settle(sender: &Sender) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < SETTLED_WITHIN {
        let body = sender.get("/v1/regions?limit=1")?.json()?;
        if body.get("unfolded_entries").and_then(serde_json::Value::as_u64) == Some(0) {
            return Ok(());
        }
    }
    bail!("not all readings were counted within {SETTLED_WITHIN:?}")
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn median(sender: &Sender, path: &str) -> Result<Duration> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let answer = sender.get(path)?;
        times.push(started.elapsed());
        if answer.status != 200 {
            bail!("{path}: {} {}", answer.status, answer.body);
        }
    }
    times.sort_unstable();
    times.get(ROUNDS / 2).copied().context("no round")
}
