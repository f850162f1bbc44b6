//! Rules, dashboard and collector: by promtool, and by a Prometheus that scrapes a
//! running service.
//!
//! `cargo xtask tools` unpacks both, and `cargo xtask test` says in
//! `ISOTHERM_PROMETHEUS` where they are; without them, these tests are skipped by name.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use isotherm_it::{Service, now_ms, root};
use isotherm_load::sender::Sender;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};
use crate::tools::{check, variable};

/// What the collector makes of Spin's spans, which the embedded runtime does not send:
/// here they come from `Collector`.
const OF_SPANS: [&str; 2] = ["isotherm_http_calls_total", "isotherm_http_duration_seconds_bucket"];

fn directory() -> PathBuf {
    root().join("deploy/observability")
}

fn program(name: &str) -> PathBuf {
    PathBuf::from(variable("ISOTHERM_PROMETHEUS")).join(name)
}

fn file(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap()
}

/// Every query of the dashboard, with its panel.
fn queries_of_the_dashboard() -> Vec<(String, String)> {
    fn of(panels: &Value, found: &mut Vec<(String, String)>) {
        for panel in panels.as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let title = panel["title"].as_str().unwrap().to_owned();
                found.push((title, target["expr"].as_str().unwrap().to_owned()));
            }
            of(&panel["panels"], found);
        }
    }
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let mut found = Vec::new();
    of(&dashboard["panels"], &mut found);
    found
}

/// The names of metrics in a query: of Isotherm's, and of what the rules record.
fn metrics_in(query: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(|c| !is_part(c));
    words.filter(|word| word.starts_with("isotherm_") || word.contains(":isotherm_")).collect()
}

/// The place of the collector: counters with the names and labels that its configuration
/// makes, which grow with every scrape. It ends when it is dropped.
struct Collector {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Collector {
    fn start() -> Self {
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
struct Prometheus {
    _directory: TempDir,
    process: Child,
    sender: Sender,
}

impl Prometheus {
    fn start(target: &str, collector: &Collector) -> Self {
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
        let config_file = directory.path().join("prometheus.yml");
        std::fs::write(&config_file, config.to_string()).unwrap();
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

    /// How many series the query has at the moment.
    fn series(&self, query: &str) -> usize {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.sender.get(&format!("/api/v1/query?query={query}")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json().unwrap()["data"]["result"].as_array().unwrap().len()
    }

    /// The rules and what they are: name, query, kind, and whether they can be evaluated.
    fn rules(&self) -> Vec<Value> {
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

#[test]
fn the_rules_do_what_their_tests_say() {
    for arguments in [["check", "rules", "rules.yml"], ["test", "rules", "rules.test.yml"]] {
        let output = Command::new(program("promtool"))
            .args(arguments)
            .current_dir(directory())
            .output()
            .unwrap();
        check(&output);
    }
    // Each alert has a test, which names it.
    let tests = file("rules.test.yml");
    for line in file("rules.yml").lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
        }
    }
}

/// What stands behind `key` in the lines of a text, in their order.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(key)).collect()
}

#[test]
fn the_readme_says_of_each_alert_what_it_means_and_what_to_do() {
    let (readme, rules) = (file("README.md"), file("rules.yml"));
    let meanings = readme.split("## What the alerts mean\n").nth(1).unwrap();
    let (meanings, actions) = meanings.split_once("## What to do\n").unwrap();
    let alerts = values(&rules, "- alert: ");
    let severities = values(&rules, "severity: ");
    assert_eq!(alerts.len(), severities.len());
    for (alert, severity) in alerts.iter().zip(severities) {
        let row = meanings.lines().find(|line| line.starts_with(&format!("| `{alert}` |")));
        let row = row.unwrap_or_else(|| panic!("{alert} is not in the table"));
        // That of one alert is made of its labels.
        let first = if severity.starts_with('\'') { "page" } else { severity };
        assert!(row.contains(&format!("| {first}")), "{alert} is no {first} in the table");
        let is_told = [".**", "**"].iter().any(|end| actions.contains(&format!("**{alert}{end}")));
        assert!(is_told, "what to do about {alert}?");
    }
    for named in values(&rules, "runbook: 'deploy/observability/README.md, ") {
        let name = named.trim_matches(['"', '\'']);
        assert!(alerts.contains(&name), "{named} is no paragraph");
    }
}

/// Readings that are stored, repeated, rejected and contradicting.
fn send_some_of_everything(service: &Service) {
    let now = now_ms();
    let one =
        |i: i64| json_reading(&format!("d{}", i % 10), &format!("r{}", i % 5), 20.0, now - i * 100);
    let first: Value = (0..500).map(one).collect();
    let wrong = json!([{"device_id": "d1"}, json_reading("d1", "r1", 999_999.0, now)]);
    let contradiction = json_reading("d0", "r0", 21.0, now);
    for body in [&first, &first, &wrong, &contradiction] {
        service.send(body, &[]);
    }
    service.settled();
}

#[test]
fn every_query_has_data_from_a_running_service() {
    let service = Service::start(&[]).unwrap();
    let collector = Collector::start();
    let prometheus = Prometheus::start(service.sender().url(), &collector);
    until("both are scraped", || (prometheus.series("up == 1") == 2).then_some(()));
    let scraped = "isotherm_readings_accepted_total == 0";
    // A rate needs what was there before.
    until("the counters begin at nothing", || (prometheus.series(scraped) == 1).then_some(()));

    send_some_of_everything(&service);
    for (panel, query) in queries_of_the_dashboard() {
        let query = query.replace("$__rate_interval", "1m");
        until(&format!("{panel}: {query} has data"), || {
            (prometheus.series(&query) > 0).then_some(())
        });
    }
    for rule in prometheus.rules() {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        // Alerts are silent, so it is their metrics that have to be there.
        for metric in metrics_in(query) {
            until(&format!("{name}: {metric} has data"), || {
                (prometheus.series(metric) > 0).then_some(())
            });
        }
        if rule["type"] == "recording" {
            until(&format!("{name} has data"), || (prometheus.series(name) > 0).then_some(()));
        }
    }
    let sick = |rule: &Value| rule["health"] == "err";
    assert_eq!(
        prometheus.rules().into_iter().filter(sick).collect::<Vec<_>>(),
        Vec::<Value>::new()
    );
}

#[test]
fn the_collector_makes_what_the_rules_take_from_it() {
    let collector = file("otel-collector.yaml");
    for line in [
        "namespace: isotherm.http\n",
        "- name: http.route\n",
        "- name: http.response.status_code\n",
        "job_name: isotherm\n",
        "translation_strategy: UnderscoreEscapingWithSuffixes\n",
    ] {
        assert!(collector.contains(line), "{line}");
    }
    let asked = [file("rules.yml"), file("dashboard.json")].concat();
    let of_spans = |name: &&str| name.starts_with("isotherm_http_");
    for name in metrics_in(&asked).into_iter().filter(of_spans) {
        assert!(OF_SPANS.contains(&name), "{name}");
    }
}
