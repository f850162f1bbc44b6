//! Measures the rows of the table, one after the other.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_export::progress::Progress;
use isotherm_it::Service;
use rusqlite::Connection;

use crate::client::Client;
use crate::fleet::{Fleet, INTERVAL_MS};
use crate::measure::{Measured, now, repeat, syncs_per_s};
use crate::options::Options;
use crate::process::{self, Usage};
use crate::report::{Report, Row};

/// Connections that send single readings, or request the hello.
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Readings in a batch, and the connections that send such batches.
const BATCHES: [(u64, usize); 3] = [(100, 8), (1_000, 4), (10_000, 2)];
/// How often a fold is timed.
const FOLDS: usize = 11;
/// How long to wait until the rest of the journal is folded.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_DAYS: u64 = 365;
/// Bytes in a mebibyte.
pub(crate) const MIB: f64 = 1_048_576.0;

/// The path where the embedded runtime reports the memory of instances.
const MEMORY_PATH: &str = "/.well-known/isotherm-host/memory";

/// The service, the hello beside it, and what was measured so far.
pub(crate) struct Bench {
    options: Options,
    service: Service,
    hello: Service,
    fleet: Fleet,
    today_ms: u64,
    report: Report,
    progress: Progress,
}

impl Bench {
    /// Starts both services, and sends a year of one region.
    pub(crate) fn start(options: Options) -> Result<Self> {
        let mut report = Report {
            runtime: std::env::var("ISOTHERM_RUNTIME").unwrap_or_else(|_| "embedded".to_owned()),
            ..Report::default()
        };
        let progress = Progress::new("bench", "rows", None);
        progress.step("starting, and sending a year");
        let mut hello = Service::prepare("tools/hello/spin.toml", &[], &[])?;
        report.hello_start_ms = start(&mut hello)?;
        let mut service = fresh_service(&[])?;
        // The second start: the first one compiles what the runtime caches.
        report.start_ms = start(&mut service)?;
        let first_ms = thirty_days_ago_ms()?;
        let today_ms = first_ms + 30 * DAY_MS;
        let fleet = Fleet::new(options.devices, options.regions, first_ms);
        let bench = Self { options, service, hello, fleet, today_ms, report, progress };
        bench.send_a_year()?;
        Ok(bench)
    }

    /// Measures all rows that are wanted.
    pub(crate) fn run(mut self) -> Result<Report> {
        self.report.fdatasync_per_s = syncs_per_s(self.service.directory())?;
        self.instances()?;
        for connections in CONNECTIONS {
            self.hello(connections)?;
        }
        for connections in CONNECTIONS {
            self.singles(connections)?;
        }
        self.answers("GET /v1/regions/{region}", "/v1/regions/region-00", 1)?;
        self.answers("GET /v1/regions/{region}", "/v1/regions/region-00", 16)?;
        let (from, to) = (self.today_ms - YEAR_DAYS * DAY_MS, self.today_ms);
        let year = format!("/v1/regions/year/windows?from={from}&to={to}&step=1d");
        self.answers("GET a year's daily series", &year, 1)?;
        self.folds()?;
        for (readings, connections) in BATCHES {
            self.batches(readings, connections)?;
        }
        self.answers("GET /v1/regions/{region}, after them", "/v1/regions/region-00", 1)?;
        self.guests()?;
        Ok(self.report)
    }

    fn url(&self) -> &str {
        self.service.sender().url()
    }

    /// Whether a row is wanted; if so, it is what is measured from now on.
    fn begins(&self, name: &str) -> bool {
        let is_wanted = name.contains(&self.options.only);
        if is_wanted {
            self.progress.step(name);
        }
        is_wanted
    }

    fn usage(&self) -> Result<Usage> {
        process::usage(self.service.process_id().context("the service does not run")?)
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs(self.options.seconds)
    }

    /// Sends hourly readings of a year, and the first of the fleet, to be requested
    /// later.
    fn send_a_year(&self) -> Result<()> {
        let mut client = Client::connect(self.url())?;
        let first = self.today_ms - YEAR_DAYS * DAY_MS;
        let mut body = Vec::new();
        for hour in 0..YEAR_DAYS * 24 {
            body.push(if body.is_empty() { b'[' } else { b',' });
            let (celsius, timestamp) = (hour % 24, first + hour * HOUR_MS);
            write!(
                body,
                r#"{{"device_id":"year","region":"year","temperature_c":{celsius},"timestamp":{timestamp}}}"#
            )?;
        }
        body.push(b']');
        client.post(&body)?;
        self.fleet.write(1_000, &mut body)?;
        client.post(&body)?;
        settle(self.url())
    }

    /// Measures the answer of a fresh instance that touches no store.
    fn instances(&mut self) -> Result<()> {
        self.service.run()?;
        let mut client = Client::connect(self.url())?;
        let begun = now();
        client.get("/healthz")?;
        self.report.first_instance_ms = begun.elapsed().as_secs_f64() * 1e3;
        let later = repeat(self.url(), 1, Duration::from_secs(1), |client, _| {
            client.get("/healthz").map(|_| true)
        })?;
        self.report.later_instance_ms = later.percentile_ms(50);
        Ok(())
    }

    fn hello(&mut self, connections: usize) -> Result<()> {
        self.progress.step("hello");
        let url = self.hello.sender().url();
        let done =
            repeat(url, connections, self.seconds(), |client, _| client.get("/").map(|_| true))?;
        self.add(Row::of("hello", connections, &done));
        Ok(())
    }

    fn singles(&mut self, connections: usize) -> Result<()> {
        const NAME: &str = "single readings, acknowledged";
        if !self.begins(NAME) {
            return Ok(());
        }
        let before = self.usage()?;
        let done = repeat(self.url(), connections, self.seconds(), |client, body| {
            self.fleet.write(1, body)?;
            client.post(body)?;
            Ok(true)
        })?;
        let used = self.usage()?;
        let readings = done.requests() as f64;
        let mut row = Row::of(NAME, connections, &done);
        row.readings_per_s = Some(row.requests_per_s);
        row.spent(&before, &used, readings);
        row.written_per_reading = written(&before, &used, readings);
        self.add(row);
        settle(self.url())
    }

    /// Sends for a while, then waits until all is counted. The rate is over both.
    fn batches(&mut self, count: u64, connections: usize) -> Result<()> {
        let name = format!("batches of {count}, acknowledged and folded");
        if !self.begins(&name) {
            return Ok(());
        }
        let duration = Duration::from_secs(self.options.batch_seconds);
        let size_before = process::size(&self.service.regions_file());
        let before = self.usage()?;
        let begun = now();
        let done = repeat(self.url(), connections, duration, |client, body| {
            self.fleet.write(count, body)?;
            client.post(body)?;
            Ok(true)
        })?;
        settle(self.url())?;
        let readings = done.requests() as f64 * count as f64;
        let used = self.usage()?;
        let grown = process::size(&self.service.regions_file()).saturating_sub(size_before);
        let mut row = Row::of(&name, connections, &done);
        row.readings_per_s = Some(readings / begun.elapsed().as_secs_f64());
        row.spent(&before, &used, readings);
        row.written_per_reading = written(&before, &used, readings);
        row.disk_per_reading = Some(grown as f64 / readings);
        self.add(row);
        Ok(())
    }

    /// Fills a journal with 64 batches while the database is locked, then measures how
    /// long it takes to fold it.
    fn folds(&mut self) -> Result<()> {
        self.progress.step("folds of 64 batches");
        let mut times = Vec::new();
        for _ in 0..FOLDS {
            settle(self.url())?;
            let lock = Connection::open(self.service.regions_file())?;
            lock.execute_batch("BEGIN IMMEDIATE")?;
            let (mut client, mut body) = (Client::connect(self.url())?, Vec::new());
            for _ in 0..64 {
                self.fleet.write(1_000, &mut body)?;
                client.post(&body)?;
            }
            lock.execute_batch("ROLLBACK")?;
            drop(lock);
            let begun = now();
            settle(self.url())?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_unstable_by(f64::total_cmp);
        self.report.fold_ms = times.get(FOLDS / 2).copied().context("no fold")?;
        Ok(())
    }

    fn answers(&mut self, name: &str, path: &str, connections: usize) -> Result<()> {
        if !self.begins(name) {
            return Ok(());
        }
        settle(self.url())?;
        let before = self.usage()?;
        let done = repeat(self.url(), connections, self.seconds(), |client, _| {
            client.get(path).map(|_| true)
        })?;
        let mut row = Row::of(name, connections, &done);
        row.spent(&before, &self.usage()?, done.requests() as f64);
        self.add(row);
        Ok(())
    }

    /// Asks the embedded runtime how much memory its instances had.
    fn guests(&mut self) -> Result<()> {
        let answer = self.service.get(MEMORY_PATH)?;
        if answer.status == 200
            && let serde_json::Value::Object(peaks) = answer.json()?
        {
            let mib = |bytes: &serde_json::Value| bytes.as_f64().unwrap_or(f64::NAN) / MIB;
            self.report.guest_mib =
                peaks.iter().map(|(component, bytes)| (component.clone(), mib(bytes))).collect();
        }
        Ok(())
    }

    /// Adds the row, compared with the hello on as many connections.
    fn add(&mut self, mut row: Row) {
        let hello = |known: &&Row| known.name == "hello" && known.connections == row.connections;
        let hello = self.report.rows.iter().find(hello).map(|hello| hello.requests_per_s);
        row.of_hello = hello.map(|hello| row.requests_per_s / hello);
        self.progress.add(1);
        self.progress.print(&format!(
            "{} on {}: {:.0} requests/s, p50 {:.2} ms, p99 {:.2} ms",
            row.name, row.connections, row.requests_per_s, row.p50_ms, row.p99_ms
        ));
        self.report.rows.push(row);
    }
}

impl Row {
    fn of(name: &str, connections: usize, done: &Measured) -> Self {
        Self {
            name: name.to_owned(),
            connections,
            requests_per_s: done.requests_per_s(),
            p50_ms: done.percentile_ms(50),
            p99_ms: done.percentile_ms(99),
            ..Self::default()
        }
    }

    fn spent(&mut self, before: &Usage, after: &Usage, units: f64) {
        self.cpu_s_per_million = Some((after.cpu_s - before.cpu_s) / units * 1e6);
        self.host_mib = Some(after.peak_bytes as f64 / MIB);
    }
}

fn written(before: &Usage, after: &Usage, readings: f64) -> Option<f64> {
    let bytes = after.written_bytes.checked_sub(before.written_bytes)?;
    Some(bytes as f64 / readings)
}

/// A running service with these variables and empty stores, which are as `cargo xtask up`
/// makes them.
pub(crate) fn fresh_service(variables: &[(&str, &str)]) -> Result<Service> {
    let variables = [&[("retention", "0")], variables].concat();
    let mut service = Service::prepare("spin.toml", &variables, &[])?;
    let journal = Connection::open(service.journal_file())?;
    journal.pragma_update(None, "page_size", 1024)?;
    journal.pragma_update(None, "journal_mode", "WAL")?;
    drop(journal);
    start(&mut service)?;
    Ok(service)
}

/// Midnight thirty days ago, in Unix milliseconds. Readings are sent for a much shorter
/// time from then on.
#[expect(clippy::disallowed_methods, reason = "the readings are to be of these days")]
pub(crate) fn thirty_days_ago_ms() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_millis())? / DAY_MS * DAY_MS - 30 * DAY_MS)
}

/// Starts a service and returns the time to a first 200, in milliseconds.
fn start(service: &mut Service) -> Result<f64> {
    let begun = now();
    service.run()?;
    let answer = service.get("/healthz")?;
    if answer.status != 200 {
        bail!("not healthy: {} {}", answer.status, answer.body);
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// Waits until all acknowledged readings are counted.
pub(crate) fn settle(url: &str) -> Result<()> {
    settle_on(&mut Client::connect(url)?)
}

/// The same on a connection that is open.
pub(crate) fn settle_on(client: &mut Client) -> Result<()> {
    let begun = now();
    while begun.elapsed() < SETTLED_WITHIN {
        let body: serde_json::Value = serde_json::from_slice(client.get("/v1/regions?limit=1")?)?;
        if body.get("unfolded_entries").and_then(serde_json::Value::as_u64) == Some(0) {
            return Ok(());
        }
    }
    bail!("not everything was counted within {SETTLED_WITHIN:?}")
}

const _: () = assert!(INTERVAL_MS < HOUR_MS);
