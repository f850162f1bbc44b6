//! The systems that are compared, with the same operations for each.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use isotherm_it::{Service, next_page};
use serde_json::Value;

use crate::client::Client;
use crate::fleet::Fleet;
use crate::peers::server::{Server, find};
use crate::process::{self, Usage};
use crate::run::{fresh_service, settle};

/// The path where both other systems take line protocol. VictoriaMetrics makes a label
/// of the database.
const WRITE_PATH: &str = "/write?db=bench&precision=ms";

/// A running system, and the readings that are sent to it.
pub(crate) struct System {
    name: &'static str,
    kind: Kind,
    fleet: Fleet,
}

enum Kind {
    Isotherm(Service),
    InfluxDb(Server),
    VictoriaMetrics(Server),
}

/// A system that Isotherm is compared with.
pub(crate) struct Other {
    pub(crate) name: &'static str,
    /// The program that runs it.
    pub(crate) program: &'static str,
    /// Its package in Debian.
    pub(crate) package: &'static str,
    start: fn(PathBuf) -> Result<Kind>,
}

/// All systems that Isotherm is compared with.
pub(crate) const OTHERS: [Other; 2] = [
    Other { name: "InfluxDB", program: "influxd", package: "influxdb", start: influxdb },
    Other {
        name: "VictoriaMetrics",
        program: "victoria-metrics",
        package: "victoria-metrics",
        start: victoria_metrics,
    },
];

impl System {
    /// Starts Isotherm with empty stores, in the runtime that is measured.
    pub(crate) fn isotherm(fleet: Fleet) -> Result<Self> {
        let mut service = fresh_service(&[])?;
        // The first start may take memory to compile what the runtime caches.
        service.run()?;
        Ok(Self { name: "Isotherm", kind: Kind::Isotherm(service), fleet })
    }

    /// Starts another system with empty stores and its default durability. Returns
    /// `None` if it is not installed.
    pub(crate) fn other(other: &Other, fleet: Fleet) -> Result<Option<Self>> {
        let Some(program) = find(other.program, other.package) else { return Ok(None) };
        let kind = (other.start)(program).context(other.name)?;
        Ok(Some(Self { name: other.name, kind, fleet }))
    }

    /// Its name in the table.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What it does before it acknowledges a reading.
    pub(crate) fn promise(&self) -> &'static str {
        match self.kind {
            Kind::Isotherm(_) => "synced journal",
            Kind::InfluxDb(_) => "synced WAL",
            Kind::VictoriaMetrics(_) => "in memory, synced seconds later",
        }
    }

    /// How long it may be idle while it has work left: VictoriaMetrics looks every five
    /// seconds for data that came more than five seconds before.
    pub(crate) fn calm_for(&self) -> Duration {
        match self.kind {
            Kind::Isotherm(_) | Kind::InfluxDb(_) => Duration::from_secs(1),
            Kind::VictoriaMetrics(_) => Duration::from_secs(11),
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        match &self.kind {
            Kind::Isotherm(service) => service.sender().url(),
            Kind::InfluxDb(server) | Kind::VictoriaMetrics(server) => server.url(),
        }
    }

    /// What its processes have used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        process::usage(match &self.kind {
            Kind::Isotherm(service) => service.process_id().context("it does not run")?,
            Kind::InfluxDb(server) | Kind::VictoriaMetrics(server) => server.process_id(),
        })
    }

    /// Sends the next `count` readings in one request.
    pub(crate) fn send(&self, client: &mut Client, count: u64, body: &mut Vec<u8>) -> Result<()> {
        if let Kind::Isotherm(_) = self.kind {
            self.fleet.write(count, body)?;
            return client.post(body);
        }
        self.fleet.write_lines(count, body)?;
        client.post_text(WRITE_PATH, body, 204)
    }

    /// How many readings were sent to it.
    pub(crate) fn sent(&self) -> u64 {
        self.fleet.made()
    }

    /// Waits until its answers contain all that it acknowledged. InfluxDB's always do.
    pub(crate) fn make_countable(&self) -> Result<()> {
        match &self.kind {
            Kind::Isotherm(_) => settle(self.url()),
            Kind::InfluxDb(_) => Ok(()),
            Kind::VictoriaMetrics(_) => self.client()?.get("/internal/force_flush").map(|_| ()),
        }
    }

    /// How many readings it has counted.
    pub(crate) fn count(&self) -> Result<u64> {
        let counted = match self.kind {
            Kind::Isotherm(_) => return self.count_regions(),
            Kind::InfluxDb(_) => "SELECT count(temperature_c) FROM readings",
            Kind::VictoriaMetrics(_) => "sum(count_over_time(readings_temperature_c[40d]))",
        };
        let count = self.number(&self.query_path(counted))?;
        format!("{count}").parse().with_context(|| format!("{count} is no count"))
    }

    fn count_regions(&self) -> Result<u64> {
        let (mut path, mut count) = (Some("/v1/regions".to_owned()), 0);
        while let Some(page) = path {
            let answer = self.client()?.get_json(&page)?;
            let regions = answer.get("regions").and_then(Value::as_array).context("no regions")?;
            let counts = regions.iter().filter_map(|region| region.get("count")?.as_u64());
            count += counts.sum::<u64>();
            let next = answer.get("next").and_then(Value::as_str);
            path = next.map(|next| next_page(&page, next));
        }
        Ok(count)
    }

    /// The path of the average of all readings of a region.
    pub(crate) fn average_path(&self) -> String {
        match self.kind {
            Kind::Isotherm(_) => "/v1/regions/region-00".to_owned(),
            Kind::InfluxDb(_) => self.query_path(
                "SELECT mean(temperature_c) FROM readings WHERE region = 'region-00'",
            ),
            // The average of the devices' averages would be another number.
            Kind::VictoriaMetrics(_) => self.query_path(
                r#"sum(sum_over_time(readings_temperature_c{region="region-00"}[40d])) / sum(count_over_time(readings_temperature_c{region="region-00"}[40d]))"#,
            ),
        }
    }

    /// That average, in degrees Celsius.
    pub(crate) fn average_c(&self) -> Result<f64> {
        self.number(&self.average_path())
    }

    /// The disk space of its stores with their write-ahead logs, in bytes.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let stores = match &self.kind {
            Kind::Isotherm(service) => {
                let files = [service.regions_file(), service.journal_file()];
                let with = |file: &PathBuf, suffix: &str| {
                    let mut name = file.clone().into_os_string();
                    name.push(suffix);
                    PathBuf::from(name)
                };
                files.iter().flat_map(|file| [file.clone(), with(file, "-wal")]).collect()
            }
            Kind::InfluxDb(server) => {
                vec![server.directory().join("data/bench"), server.directory().join("wal/bench")]
            }
            Kind::VictoriaMetrics(server) => vec![server.directory().join("data")],
        };
        stores.iter().map(|store| process::allocated(store)).sum()
    }

    fn client(&self) -> Result<Client> {
        Client::connect(self.url())
    }

    fn query_path(&self, query: &str) -> String {
        match self.kind {
            Kind::VictoriaMetrics(_) => format!("/api/v1/query?query={}", encoded(query)),
            _ => format!("/query?db=bench&q={}", encoded(query)),
        }
    }

    /// The only number in an answer.
    fn number(&self, path: &str) -> Result<f64> {
        let answer = self.client()?.get_json(path)?;
        let found = match self.kind {
            Kind::Isotherm(_) => answer.get("average_c"),
            Kind::InfluxDb(_) => answer.pointer("/results/0/series/0/values/0/1"),
            Kind::VictoriaMetrics(_) => answer.pointer("/data/result/0/value/1"),
        };
        let number = match found {
            Some(Value::String(text)) => text.parse().ok(),
            found => found.and_then(Value::as_f64),
        };
        number.with_context(|| format!("no number in {answer}"))
    }
}

/// A server with its defaults; Debian's file changes none that matters.
fn influxdb(program: PathBuf) -> Result<Kind> {
    let server = Server::start("/query?q=SHOW%20DATABASES", |directory, address| {
        let mut command = Command::new(program);
        command.args(["-config", "/dev/null"]);
        command.env("INFLUXDB_REPORTING_DISABLED", "true");
        command.env("INFLUXDB_META_DIR", directory.join("meta"));
        command.env("INFLUXDB_DATA_DIR", directory.join("data"));
        command.env("INFLUXDB_DATA_WAL_DIR", directory.join("wal"));
        command.env("INFLUXDB_HTTP_BIND_ADDRESS", address);
        // For backups; its number is not needed.
        command.env("INFLUXDB_BIND_ADDRESS", "127.0.0.1:0");
        command
    })?;
    let create = format!("/query?q={}", encoded("CREATE DATABASE bench"));
    Client::connect(server.url())?.post_text(&create, b"", 200)?;
    Ok(Kind::InfluxDb(server))
}

/// A server with its defaults, except that it keeps everything, as the others do, and
/// closes no connection that is in use.
fn victoria_metrics(program: PathBuf) -> Result<Kind> {
    let server = Server::start("/health", |directory, address| {
        let mut command = Command::new(program);
        command.arg(format!("-storageDataPath={}", directory.join("data").display()));
        command.arg(format!("-httpListenAddr={address}"));
        command.args(["-retentionPeriod=100y", "-http.connTimeout=24h"]);
        command
    })?;
    Ok(Kind::VictoriaMetrics(server))
}

/// Percent-encodes a value of a query (RFC 3986, 2.1).
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("count(a_b) FROM 'c'"), "count%28a_b%29%20FROM%20%27c%27");
    }
}
