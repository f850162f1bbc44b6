//! Rules, dashboards and collector: by promtool, by a Prometheus that scrapes a running
//! service, and by that service itself.
//!
//! `cargo xtask tools` unpacks both, and `cargo xtask test` says in
//! `ISOTHERM_PROMETHEUS` where they are; without them, these tests are skipped by name.

mod access;
mod alerts;
mod dashboards;
mod nodes;
mod scraper;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use isotherm_it::root;

use isotherm_it::programs::{check, variable};

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

/// The names of metrics in a query: of Isotherm's, and of what the rules record.
fn metrics_in(query: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(|c| !is_part(c));
    words.filter(|word| word.starts_with("isotherm_") || word.contains(":isotherm_")).collect()
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

#[test]
fn the_collector_makes_what_the_rules_take_from_it() {
    let collector = file("otel-collector.yaml");
    for line in [
        "namespace: isotherm.http\n",
        "- name: http.route\n",
        "- name: http.response.status_code\n",
        "job_name: isotherm\n",
        "translation_strategy: UnderscoreEscapingWithSuffixes\n",
        "credentials_file: ${env:ISOTHERM_TOKEN_FILE:-",
    ] {
        assert!(collector.contains(line), "{line}");
    }
    let asked = [file("rules.yml"), file("dashboard.json")].concat();
    let of_spans = |name: &&str| name.starts_with("isotherm_http_");
    for name in metrics_in(&asked).into_iter().filter(of_spans) {
        assert!(OF_SPANS.contains(&name), "{name}");
    }
}
