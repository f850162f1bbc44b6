//! A Prometheus that scrapes a running service, and what stands in for the collector.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use isotherm_load::sender::Sender;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{file, program};
use crate::support::service::until;
use isotherm_it::programs::check;

/// The place of the collector: counters with the names and labels that its configuration
/// makes, which grow with every scrape. It ends when it is dropped.
pub(super) struct Collector {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Collector {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let serve = move || {
            for (count, stream) in listener.incoming().enumerate() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                // A scrape that is broken off is no event here.
                drop(stream.and_then(|stream| answer(stream, count)));
            }
        };
        Self { address, is_over, server: Some(std::thread::spawn(serve)) }
    }
}

/// Answers one scrape, whatever it asks for.
fn answer(mut stream: TcpStream, count: usize) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _bytes = stream.read(&mut request)?;
    let mut text = String::new();
    for (route, status) in
        [("/v1/readings", 202), ("/v1/readings", 422), ("/v1/readings", 503), ("/...", 200)]
    {
        let labels = format!(
            "service_name=\"isotherm\",http_route=\"{route}\",http_response_status_code=\"{status}\""
        );
        text += &format!("isotherm_http_calls_total{{{labels}}} {count}\n");
        for le in ["0.005", "+Inf"] {
            text +=
                &format!("isotherm_http_duration_seconds_bucket{{{labels},le=\"{le}\"}} {count}\n");
        }
    }
    let length = text.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{text}").as_bytes())
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // So that it looks.
        drop(TcpStream::connect(self.address));
        drop(self.server.take().map(JoinHandle::join));
    }
}

/// A Prometheus that scrapes `target` and the collector's place five times a second and
/// evaluates the rules every second. It is killed when it is dropped.
pub(super) struct Prometheus {
    _directory: TempDir,
    process: Child,
    sender: Sender,
}

impl Prometheus {
    pub(super) fn start(target: &str, collector: &Collector) -> Self {
        let directory = TempDir::new().unwrap();
        let rules = file("rules.yml").replace("interval: 30s", "interval: 1s");
        std::fs::write(directory.path().join("rules.yml"), rules).unwrap();
        let job = |name: &str, target: &str| json!({"job_name": name, "static_configs": [{"targets": [target]}]});
        let config = json!({
            "rule_files": ["rules.yml"],
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
            "scrape_configs": [
                job("isotherm", target.trim_start_matches("http://")),
                job("otel-collector", &collector.address.to_string()),
            ],
        });
        // JSON is YAML.
        Self::run(directory, &config.to_string())
    }

    /// The one of `deploy/observability/prometheus.yml`, with this target and token.
    pub(super) fn deployed(target: &str, token: &str) -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("rules.yml"), file("rules.yml")).unwrap();
        let token_file = directory.path().join("token");
        // A file that was written with an editor ends with a line feed.
        std::fs::write(&token_file, format!("{token}\n")).unwrap();
        let mut config = file("prometheus.yml");
        for (from, to) in [
            ("/etc/prometheus/isotherm-token", token_file.to_str().unwrap()),
            ("localhost:3000", target.trim_start_matches("http://")),
            ("scrape_interval: 15s", "scrape_interval: 200ms\n    scrape_timeout: 200ms"),
        ] {
            assert!(config.contains(from), "{from}");
            config = config.replace(from, to);
        }
        Self::run(directory, &config)
    }

    fn run(directory: TempDir, config: &str) -> Self {
        let config_file = directory.path().join("prometheus.yml");
        std::fs::write(&config_file, config).unwrap();
        let checked = Command::new(program("promtool"))
            .args(["check", "config"])
            .arg(&config_file)
            .output()
            .unwrap();
        check(&checked);
        // A program that takes the port in between makes the test fail, and not pass.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let sender = Sender::new(&format!("http://{address}"), Duration::from_secs(60));
        let prometheus = Self { _directory: directory, process, sender };
        until("Prometheus is ready", || {
            let ready = prometheus.sender.get("/-/ready").ok()?;
            (ready.status == 200).then_some(())
        });
        prometheus
    }

    /// How many series the query has at the moment, with a value that is a number.
    pub(super) fn series(&self, query: &str) -> usize {
        let is_number = |series: &&Value| series["value"][1] != "NaN";
        self.ask(query).iter().filter(is_number).count()
    }

    /// The series that the query has at the moment.
    pub(super) fn ask(&self, query: &str) -> Vec<Value> {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.sender.get(&format!("/api/v1/query?query={query}")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json().unwrap()["data"]["result"].as_array().unwrap().clone()
    }

    /// The rules and what they are: name, query, kind, and whether they can be evaluated.
    pub(super) fn rules(&self) -> Vec<Value> {
        let answer = self.sender.get("/api/v1/rules").unwrap().json().unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap().clone();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
