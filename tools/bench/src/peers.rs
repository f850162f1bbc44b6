//! Compares Isotherm with other databases: each gets the same readings, over the same
//! number of connections, on the same disk, in turns.
//!
//! - `server`: the server of another system;
//! - `system`: the systems, and the operations on them;
//! - `report`: the table and its ratios.

mod report;
mod server;
mod system;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_export::progress::Progress;

use crate::fleet::Fleet;
use crate::measure::{Measured, now, repeat, syncs_per_s};
use crate::options::Options;
use crate::peers::report::{Report, Unit};
use crate::peers::system::{OTHERS, System};
use crate::process::Usage;
use crate::run::{MIB, thirty_days_ago_ms};

/// Work that is measured in each round.
struct Work {
    what: &'static str,
    /// Readings in a request.
    readings: u64,
    connections: usize,
}

const WORKS: [Work; 4] = [
    Work { what: "batches of 1,000", readings: 1_000, connections: 4 },
    Work { what: "batches of 10,000", readings: 10_000, connections: 2 },
    Work { what: "single readings", readings: 1, connections: 1 },
    Work { what: "single readings", readings: 1, connections: 16 },
];

/// How often each row is measured, if the options say nothing else.
const ROUNDS: u64 = 3;

/// A row of single readings sends one reading for this many of a row of batches.
const SINGLES_PART: u64 = 100;

/// How long the average of a region is requested, in each round.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// The systems are calm if they use less of a processor than this share.
const CALM: f64 = 0.05;
/// How long to wait until they are calm.
const CALM_WITHIN: Duration = Duration::from_secs(300);
/// How often to check.
const CALM_LOOK: Duration = Duration::from_secs(1);

/// How far averages of the same readings may differ, in degrees: the other systems sum
/// floating-point numbers.
const AVERAGE_TOLERANCE_C: f64 = 1e-6;

/// Measures Isotherm, and those of the other systems that are installed.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let mut comparison = Comparison::start(options, rounds)?;
    comparison.send_first()?;
    for round in 0..rounds {
        comparison.syncs()?;
        for work in &WORKS {
            comparison.in_turns(round, |own, system| own.work(system, work))?;
        }
    }
    comparison.check()?;
    for round in 0..rounds {
        comparison.in_turns(round, Comparison::average)?;
    }
    comparison.in_turns(0, Comparison::remains)?;
    Ok(comparison.report)
}

/// The systems, and what was measured so far.
struct Comparison<'a> {
    options: &'a Options,
    systems: Vec<System>,
    report: Report,
    progress: Progress,
}

impl<'a> Comparison<'a> {
    /// Starts all systems.
    fn start(options: &'a Options, rounds: u64) -> Result<Self> {
        let start_ms = thirty_days_ago_ms()?;
        let fleet = || Fleet::new(options.devices, options.regions, start_ms);
        let mut report = Report::new(rounds);
        let mut systems = vec![System::isotherm(fleet())?];
        let mut missing = Vec::new();
        for other in &OTHERS {
            match System::other(other, fleet())? {
                Some(system) => systems.push(system),
                None => missing.push(other),
            }
        }
        for system in &systems {
            report.column(system.name(), system.promise());
        }
        for other in missing {
            let why = format!("{} is not installed (cargo xtask tools)", other.program);
            report.skip(other.name, why);
        }
        // Each work and the average in each round, and once what remains.
        let turns = rounds * (WORKS.len() as u64 + 1) + 1;
        let total = turns * systems.len() as u64;
        let progress = Progress::new("bench", "measurements", Some(total));
        Ok(Self { options, systems, report, progress })
    }

    /// Measures the systems one after the other, beginning with another one in each
    /// round.
    fn in_turns(
        &mut self,
        round: u64,
        measure: impl Fn(&mut Self, &System) -> Result<()>,
    ) -> Result<()> {
        let systems = std::mem::take(&mut self.systems);
        let first = usize::try_from(round)? % systems.len();
        for system in systems.iter().cycle().skip(first).take(systems.len()) {
            wait_until_calm(&systems, CALM_LOOK)?;
            self.progress.step(system.name());
            measure(self, system).with_context(|| system.name())?;
            self.progress.add(1);
        }
        self.systems = systems;
        Ok(())
    }

    /// Sends a reading of each device, so that all devices are known. Not measured.
    fn send_first(&self) -> Result<()> {
        for system in &self.systems {
            let batch = self.options.devices.min(1_000);
            let requests = self.options.devices.div_ceil(batch);
            send(system, batch, 1, requests)?;
            system.make_countable()?;
        }
        Ok(())
    }

    /// Measures the disk's rate of syncs, beside the stores.
    fn syncs(&mut self) -> Result<()> {
        wait_until_calm(&self.systems, CALM_LOOK)?;
        self.report.fdatasyncs_per_s.push(syncs_per_s(&std::env::temp_dir())?);
        Ok(())
    }

    /// The clock stops when all readings are countable. What a server does for them
    /// later is part of the CPU time and the bytes.
    fn work(&mut self, system: &System, work: &Work) -> Result<()> {
        let of_row = match work.readings {
            1 => self.options.readings / SINGLES_PART,
            _ => self.options.readings,
        };
        let requests = (of_row / work.readings).max(work.connections as u64);
        let readings = (requests * work.readings) as f64;
        let before = system.usage()?;
        let begun = now();
        let done = send(system, work.readings, work.connections, requests)?;
        system.make_countable()?;
        let readings_per_s = readings / begun.elapsed().as_secs_f64();
        wait_until_calm(std::slice::from_ref(system), system.calm_for())?;
        let spent = Spent::between(&before, &system.usage()?, readings);
        self.add(system, work, readings_per_s, &done, &spent);
        Ok(())
    }

    fn add(&mut self, system: &System, work: &Work, per_s: f64, done: &Measured, spent: &Spent) {
        self.progress.print(&format!(
            "{}, {} on {}: {per_s:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            system.name(),
            work.what,
            work.connections,
            done.percentile_ms(50),
            done.percentile_ms(99)
        ));
        let mut row = |unit, value| {
            self.report.add(work.what, Some(work.connections), unit, system.name(), value);
        };
        row(Unit::ReadingsPerSecond, per_s);
        if work.readings == 1 {
            row(Unit::MedianMs, done.percentile_ms(50));
        } else {
            row(Unit::CpuSecondsPerMillion, spent.cpu_s_per_million);
            row(Unit::WrittenPerReading, spent.written_per_reading);
        }
    }

    /// Checks that each has counted what it was sent, and has the same average of a
    /// region.
    fn check(&mut self) -> Result<()> {
        let mut averages = Vec::new();
        for system in &self.systems {
            let (sent, counted) = (system.sent(), system.count()?);
            if sent != counted {
                bail!("{} counted {counted} of {sent} readings", system.name());
            }
            self.report.readings = sent;
            averages.push((system.sent(), system.average_c()?));
        }
        for pair in averages.windows(2) {
            if let [(sent, average), (other_sent, other)] = pair
                && (sent != other_sent || (average - other).abs() > AVERAGE_TOLERANCE_C)
            {
                bail!("not the same readings: {averages:?}");
            }
        }
        Ok(())
    }

    fn average(&mut self, system: &System) -> Result<()> {
        let path = system.average_path();
        let done = repeat(system.url(), 1, ASKED_FOR, |client, _| client.get(&path).map(|_| true))?;
        let what = "the average of a region over all of it";
        self.report.add(what, Some(1), Unit::MedianMs, system.name(), done.percentile_ms(50));
        Ok(())
    }

    /// Measures what each holds at the end.
    fn remains(&mut self, system: &System) -> Result<()> {
        let used = system.usage()?;
        let mut row = |what, unit, value| self.report.add(what, None, unit, system.name(), value);
        row("memory at the end", Unit::Mebibytes, used.resident_bytes as f64 / MIB);
        row("the most memory", Unit::Mebibytes, used.peak_bytes as f64 / MIB);
        let per_reading = system.disk_bytes() as f64 / system.sent() as f64;
        row("on disk at the end", Unit::BytesPerReading, per_reading);
        Ok(())
    }
}

/// The cost of work, per reading.
struct Spent {
    cpu_s_per_million: f64,
    written_per_reading: f64,
}

impl Spent {
    fn between(before: &Usage, after: &Usage, readings: f64) -> Self {
        let written = after.written_bytes.saturating_sub(before.written_bytes);
        Self {
            cpu_s_per_million: (after.cpu_s - before.cpu_s) / readings * 1e6,
            written_per_reading: written as f64 / readings,
        }
    }
}

/// Sends exactly `requests` requests.
fn send(system: &System, readings: u64, connections: usize, requests: u64) -> Result<Measured> {
    // Each connection starts with one.
    let left = AtomicU64::new(requests.saturating_sub(connections as u64));
    repeat(system.url(), connections, Duration::MAX, |client, body| {
        system.send(client, readings, body)?;
        let next = |left: u64| left.checked_sub(1);
        Ok(left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok())
    })
}

/// Waits until the systems have done nothing for `calm_for`.
fn wait_until_calm(systems: &[System], calm_for: Duration) -> Result<()> {
    let cpu_s = || -> Result<f64> {
        systems.iter().map(|system| Ok(system.usage()?.cpu_s)).sum::<Result<f64>>()
    };
    let (begun, mut calm_since, mut before) = (now(), now(), cpu_s()?);
    while calm_since.elapsed() < calm_for {
        if begun.elapsed() > CALM_WITHIN {
            bail!("a server is busy for more than {CALM_WITHIN:?}");
        }
        std::thread::sleep(CALM_LOOK);
        let after = cpu_s()?;
        if after - before > CALM * CALM_LOOK.as_secs_f64() {
            calm_since = now();
        }
        before = after;
    }
    Ok(())
}
