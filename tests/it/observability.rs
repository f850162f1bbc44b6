//! Rules, dashboard and collector: by promtool, and by a Prometheus that scrapes a
//! running service.
//!
//! `cargo xtask tools` unpacks both, and `cargo xtask test` says in
//! `ISOTHERM_PROMETHEUS` where they are; without them, these tests are skipped by name.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use isotherm_it::{Service, root};
use isotherm_load::sender::Sender;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::{now_ms, reading};
use crate::exactly_once::{settled, until};
use crate::tools::{check, variable};

/// What the collector makes of Spin's spans, which the embedded runtime does not send.
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

/// A Prometheus that scrapes `target` five times a second and evaluates the rules every
/// second. It is killed when it is dropped.
struct Prometheus {
    _directory: TempDir,
    process: Child,
    sender: Sender,
}

impl Prometheus {
    fn start(target: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let rules = file("rules.yml").replace("interval: 30s", "interval: 1s");
        std::fs::write(directory.path().join("rules.yml"), rules).unwrap();
        let config = json!({
            "rule_files": ["rules.yml"],
            "scrape_configs": [{
                "job_name": "isotherm", "scrape_interval": "200ms", "scrape_timeout": "200ms",
                "static_configs": [{"targets": [target.trim_start_matches("http://")]}],
            }],
        });
        // JSON is YAML.
        let config_file = directory.path().join("prometheus.yml");
        std::fs::write(&config_file, config.to_string()).unwrap();
        // Whoever takes the port in between makes the test fail, and not pass.
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

#[test]
fn every_query_has_data_from_a_running_service() {
    let service = Service::start(&[]).unwrap();
    let prometheus = Prometheus::start(service.sender().url());
    until("it is scraped", || (prometheus.series("up == 1") == 1).then_some(()));
    let scraped = "isotherm_readings_accepted_total == 0";
    // A rate needs what was there before.
    until("the counters begin at nothing", || (prometheus.series(scraped) == 1).then_some(()));

    let now = now_ms();
    let first: Vec<Value> = (0..500)
        .map(|i| reading(&format!("d{}", i % 10), &format!("r{}", i % 5), 20.0, now - i * 100))
        .collect();
    let wrong = json!([{"device_id": "d1"}, reading("d1", "r1", 999_999.0, now)]);
    let contradiction = reading("d0", "r0", 21.0, now);
    for body in [json!(first), json!(first), wrong, contradiction] {
        service.post(&body.to_string()).unwrap();
    }
    settled(service.sender());

    for (panel, query) in queries_of_the_dashboard() {
        if metrics_in(&query).iter().all(|name| OF_SPANS.contains(name))
            && query.contains("isotherm_")
        {
            continue;
        }
        let query = query.replace("$__rate_interval", "1m");
        until(&format!("{panel}: {query} has data"), || {
            (prometheus.series(&query) > 0).then_some(())
        });
    }
    for rule in prometheus.rules() {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        let names = metrics_in(query);
        let of_spans = |name: &&str| OF_SPANS.contains(name) || name.contains(":isotherm_http_");
        if names.iter().any(of_spans) {
            assert!(names.iter().all(of_spans), "{name}: {query}");
            continue;
        }
        // Alerts are silent, so it is their metrics that have to be there.
        for metric in names {
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
