//! Measures rates and answers as the ledger grows, and by the number of devices.

use std::time::Duration;

use anyhow::Result;
use isotherm_export::progress::Progress;
use serde::Serialize;

use crate::fleet::Fleet;
use crate::measure::{now, repeat};
use crate::options::Options;
use crate::process;
use crate::run::{fresh_service, settle, thirty_days_ago_ms};

/// Readings in a batch, and connections that send them.
const BATCH: u64 = 10_000;
const CONNECTIONS: usize = 2;

/// After this many readings, waits until all of them are counted.
const SETTLED_EVERY: u64 = 2_000_000;

/// How long each path is requested.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// Sizes of the ledger at which to measure, in readings.
const READINGS: [u64; 3] = [1_000_000, 10_000_000, 100_000_000];

/// Numbers of devices that share a ledger of `READINGS_OF_DEVICES`.
const DEVICES: [u64; 3] = [100, 10_000, 1_000_000];
const READINGS_OF_DEVICES: u64 = 4_000_000;

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Size {
    devices: u64,
    readings: u64,
    /// Acknowledged and folded per second, since the line before.
    readings_per_s: f64,
    disk_per_reading: f64,
    region_p50_ms: f64,
    regions_p50_ms: f64,
    day_p50_ms: f64,
}

/// Measures ledgers of up to `readings_max`, and fleets of several sizes.
pub(crate) fn run(options: &Options, readings_max: u64) -> Result<Vec<Size>> {
    let sizes: Vec<u64> = READINGS.into_iter().filter(|size| *size <= readings_max).collect();
    let mut found = measure(options, options.devices, &sizes)?;
    for devices in DEVICES {
        found.append(&mut measure(options, devices, &[READINGS_OF_DEVICES])?);
    }
    Ok(found)
}

fn measure(options: &Options, devices: u64, sizes: &[u64]) -> Result<Vec<Size>> {
    let service = fresh_service(&[])?;
    let url = service.sender().url();
    let start_ms = thirty_days_ago_ms()?;
    let fleet = Fleet::new(devices, options.regions, start_ms);
    let progress =
        Progress::new(&format!("bench, {devices} devices"), "readings", sizes.last().copied());
    let (mut found, mut sent) = (Vec::new(), 0);
    for size in sizes {
        let (begun, before) = (now(), sent);
        progress.step("sending");
        while sent < *size {
            let until = (sent + SETTLED_EVERY).min(*size);
            repeat(url, CONNECTIONS, Duration::MAX, |client, body| {
                fleet.write(BATCH, body)?;
                client.post(body)?;
                progress.add(BATCH);
                Ok(fleet.made() < until)
            })?;
            settle(url)?;
            sent = fleet.made();
        }
        let readings_per_s = (sent - before) as f64 / begun.elapsed().as_secs_f64();
        progress.step("asking");
        let p50_ms = |path: &str| -> Result<f64> {
            let done = repeat(url, 1, ASKED_FOR, |client, _| client.get(path).map(|_| true))?;
            Ok(done.percentile_ms(50))
        };
        // A day that has all of its readings, if that many were sent.
        let day = format!(
            "/v1/regions/region-00/windows?from={start_ms}&to={}&step=1h",
            start_ms + 86_400_000
        );
        let line = Size {
            devices,
            readings: sent,
            readings_per_s,
            disk_per_reading: process::size(&service.regions_file()) as f64 / sent as f64,
            region_p50_ms: p50_ms("/v1/regions/region-00")?,
            regions_p50_ms: p50_ms("/v1/regions")?,
            day_p50_ms: p50_ms(&day)?,
        };
        progress.print(&format!("{line:?}"));
        found.push(line);
    }
    Ok(found)
}

/// The lines as Markdown.
pub(crate) fn table(sizes: &[Size]) -> String {
    let mut text = String::from(
        "| devices | readings | acknowledged and folded/s | disk B | a region, ms | \
         all regions, ms | a day by the hour, ms |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for size in sizes {
        text += &format!(
            "| {} | {} | {:.0} | {:.1} | {:.2} | {:.2} | {:.2} |\n",
            size.devices,
            size.readings,
            size.readings_per_s,
            size.disk_per_reading,
            size.region_p50_ms,
            size.regions_p50_ms,
            size.day_p50_ms
        );
    }
    text
}
