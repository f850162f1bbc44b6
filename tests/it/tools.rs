//! What the programs of others say of the service: a browser, and the parser of
//! Prometheus' client.
//!
//! `cargo xtask test` installs them and says in variables where they are; where
//! they can't be had, it skips these tests by name.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use http::Method;
use isotherm_it::{Service, binary, root};
use serde_json::{Value, json};

use crate::contract::{now_ms, reading};
use crate::exactly_once::settled;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("no {name}: run the tests with cargo xtask test"))
}

fn check(output: &Output) {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).join("\n");
    assert!(output.status.success(), "{text}");
}

#[test]
fn the_page_in_a_browser() {
    let service = Service::start_with(&[("retention", "0")], &["--faults"]).unwrap();
    let empty = Service::start(&[]).unwrap();
    let replayed = Command::new(binary("isotherm-load").unwrap())
        .current_dir(root())
        .args(["replay", "tests/data/seattle-hourly-2010.csv", "--timestamp", "date"])
        .args(["--temperature", "temperature", "--device", "kbfi", "--region", "seattle"])
        .args(["--url", service.sender().url()])
        .output();
    check(&replayed.unwrap());
    let screenshots = root().join("target/screenshots");
    std::fs::create_dir_all(&screenshots).unwrap();
    let tested = Command::new("node")
        .args(["--test", "--test-timeout=180000", "page.test.mjs"])
        .current_dir(root().join("tests/browser"))
        .env("ISOTHERM_CHROMIUM", variable("ISOTHERM_CHROMIUM"))
        .env("ISOTHERM_URL", service.sender().url())
        .env("ISOTHERM_EMPTY_URL", empty.sender().url())
        .env("ISOTHERM_SCREENSHOTS", screenshots)
        .output();
    check(&tested.unwrap());
}

/// The metrics as the parser sees them.
fn parsed(service: &Service, accept: &str, format: &str) -> Value {
    let headers = [("accept", accept)];
    let answer = service.sender().send_with(&Method::GET, "/metrics", &headers).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut parser = Command::new(variable("ISOTHERM_PYTHON"))
        .arg(root().join("tests/python/parse_metrics.py"))
        .arg(format)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    parser.stdin.take().unwrap().write_all(answer.body.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    check(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn metrics_by_the_parsers_of_prometheus() {
    let service = Service::start(&[]).unwrap();
    let batch = json!([reading("d1", "hall", 1.0, now_ms()), {"device_id": "d1"}]);
    assert_eq!(service.post(&batch.to_string()).unwrap().status, 202);
    settled(service.sender());
    for (accept, format) in
        [("application/openmetrics-text;version=1.0.0", "openmetrics"), ("text/plain", "text")]
    {
        let families = parsed(&service, accept, format);
        let accepted = &families["isotherm_readings_accepted"];
        assert_eq!(accepted[0], "counter");
        assert_eq!(accepted[1]["isotherm_readings_accepted_total[]"].as_f64(), Some(1.0));
        let rejected = &families["isotherm_readings_rejected"];
        let by_reason = &rejected[1]["isotherm_readings_rejected_total['missing_field']"];
        assert_eq!(by_reason.as_f64(), Some(1.0));
        let up = &families["isotherm_store_up"];
        assert_eq!(up[0], "gauge");
        assert_eq!(up[1]["isotherm_store_up['regions']"].as_f64(), Some(1.0));
        assert!(families.as_object().unwrap().len() >= 8, "{families}");
    }
}
