//! A server of InfluxDB 1.x.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use isotherm_it::programs::variable;
use isotherm_load::sender::Answer;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bare::exchange_with;
use crate::support::node::scratch;
use crate::support::service::until;

/// An empty server with the database `x`. It is killed when it is dropped.
pub(super) struct Influxd {
    directory: TempDir,
    address: String,
    process: Child,
}

/// A point with a field `temperature_c`.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) device: String,
    pub(super) region: String,
    /// In Unix nanoseconds.
    pub(super) ns: i64,
    pub(super) celsius: f64,
}

/// Loopback addresses that were free a moment ago. A program that takes one in between makes
/// the test fail, and not pass.
fn free_addresses<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}

impl Influxd {
    pub(super) fn start() -> Self {
        let (directory, [address, backup]) = (scratch(), free_addresses());
        let place = directory.path().display();
        let config = format!(
            "reporting-disabled = true\nbind-address = \"{backup}\"\n\
             [meta]\ndir = \"{place}/meta\"\n\
             [data]\ndir = \"{place}/data\"\nwal-dir = \"{place}/wal\"\n\
             query-log-enabled = false\n\
             [http]\nbind-address = \"{address}\"\nauth-enabled = false\nlog-enabled = false\n\
             [monitor]\nstore-enabled = false\n[subscriber]\nenabled = false\n"
        );
        let file = directory.path().join("influxdb.conf");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(variable("ISOTHERM_INFLUXD"))
            .arg("-config")
            .arg(&file)
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { directory, address, process };
        until("InfluxDB answers", || server.send("GET", "/ping", "", &[]).ok());
        assert!(server.directory.path().join("meta").exists(), "it has another configuration");
        server.ask("CREATE DATABASE x");
        server
    }

    /// One request. In HTTP/1.0 an answer comes in one piece.
    fn send(&self, method: &str, path: &str, lines: &str, body: &[u8]) -> std::io::Result<Answer> {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\ncontent-length: {length}\r\n{lines}");
        exchange_with(&self.address, &head, body)
    }

    /// Writes lines, with this query behind the name of the database.
    pub(super) fn write(&self, query: &str, body: &[u8], is_gzip: bool) -> Answer {
        let lines = if is_gzip { "content-encoding: gzip\r\n" } else { "" };
        self.post(&format!("/write?db=x{query}"), body, lines)
    }

    /// A POST with these lines in its head.
    pub(super) fn post(&self, target: &str, body: &[u8], lines: &str) -> Answer {
        self.send("POST", target, lines, body).unwrap()
    }

    fn ask(&self, question: &str) -> Value {
        let path = format!("/query?db=x&epoch=ns&q={}", question.replace(' ', "+"));
        let answer = self.post(&path, &[], "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json().unwrap()
    }

    /// All points of all measurements. One without a tag for its device or its region is of the
    /// device that its tag `device` names, and of no region.
    pub(super) fn points(&self) -> Vec<Point> {
        let columns = "temperature_c, device_id, region, device";
        let all = self.ask(&format!("SELECT {columns} FROM /.*/"));
        let series = all["results"][0]["series"].as_array().unwrap();
        let rows = series.iter().flat_map(|series| series["values"].as_array().unwrap());
        let point = |row: &Value| Point {
            device: row[2].as_str().or(row[4].as_str()).unwrap().to_owned(),
            region: row[3].as_str().unwrap_or_default().to_owned(),
            ns: row[0].as_i64().unwrap(),
            celsius: row[1].as_f64().unwrap(),
        };
        rows.filter(|row| row[1].is_number()).map(point).collect()
    }
}

impl Drop for Influxd {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
