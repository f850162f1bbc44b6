//! Runs work on many connections at once, and times it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::client::Client;

/// The times of some work.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From the first request to the last answer, in seconds.
    pub(crate) elapsed_s: f64,
    /// The latency of each request, the shortest first.
    latencies: Vec<Duration>,
}

impl Measured {
    pub(crate) fn requests(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn requests_per_s(&self) -> f64 {
        self.requests() as f64 / self.elapsed_s
    }

    /// The latency that `percent` per cent of the requests did not exceed, in
    /// milliseconds (nearest rank).
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        let latency = self.latencies.get(rank.saturating_sub(1));
        latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// The clock of the measurements.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Repeats `work` on each of `connections` connections to `url`, for `duration`, or
/// until it says that it is done. The first failure ends it.
pub(crate) fn repeat(
    url: &str,
    connections: usize,
    duration: Duration,
    work: impl Fn(&mut Client, &mut Vec<u8>) -> Result<bool> + Sync,
) -> Result<Measured> {
    let start = now();
    let worker = || -> Result<Vec<Duration>> {
        let mut client = Client::connect(url)?;
        let (mut scratch, mut latencies) = (Vec::new(), Vec::new());
        let mut goes_on = true;
        while goes_on && start.elapsed() < duration {
            let begun = now();
            goes_on = work(&mut client, &mut scratch)?;
            latencies.push(begun.elapsed());
        }
        Ok(latencies)
    };
    let mut latencies = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(done) => all.append(&mut done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    let elapsed_s = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    latencies.first().context("no request was made")?;
    Ok(Measured { elapsed_s, latencies })
}

/// How long to count syncs.
const SYNCS_FOR: Duration = Duration::from_secs(2);

/// How often 4 KiB can be synced in a second, in a file of `directory`.
pub(crate) fn syncs_per_s(directory: &Path) -> Result<f64> {
    let path = directory.join("syncs");
    let mut file = File::create(&path)?;
    let (begun, mut syncs) = (now(), 0_u32);
    while begun.elapsed() < SYNCS_FOR {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
