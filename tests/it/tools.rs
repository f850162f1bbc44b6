//! What the programs of others say of the service: the parsers of Prometheus' client, and
//! schemathesis, which makes requests of a description.
//!
//! `cargo xtask test` installs them and says in variables where they are; where
//! they can't be had, it skips these tests by name.

use std::io::Write;
use std::process::{Command, Stdio};

use isotherm_it::programs::{check, variable};
use isotherm_it::{Service, now_ms, root};
use serde_json::{Value, json};

use crate::support::readings::json_reading;
use crate::support::service::Expect as _;

/// The metrics as the parser sees them.
fn parsed(service: &Service, accept: &str, format: &str) -> Value {
    let answer = service.get_with("/metrics", &[("accept", accept)]);
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
    service.accept(&json!([json_reading("d1", "hall", 1.0, now_ms()), {"device_id": "d1"}]));
    service.settled();
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

#[test]
fn the_interface_is_as_described() {
    const CASES_MIN: u32 = 2_000;
    let service = Service::start(&[("retention", "0")]).unwrap();
    let now = now_ms();
    service.accept(&json!([
        json_reading("d1", "hall", 21.5, now),
        json_reading("d2", "hall", 20.0, now),
        json_reading("d1", "yard", 21.5, now)
    ]));
    service.settled();
    let limits = service.sender().put("/v1/regions/hall/limits", br#"{"low_c":2,"high_c":8}"#);
    assert_eq!(limits.unwrap().status, 200);
    let scratch = tempfile::tempdir().unwrap();
    let url = service.sender().url();
    let output = Command::new(variable("ISOTHERM_PYTHON"))
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(root().join("tests/python/schemathesis.toml"))
        .args(["run", &format!("{url}/openapi.json"), "--url", url])
        // A stream takes its time: tests/it/events.rs.
        .args([
            "--exclude-path=/v1/events",
            "--max-examples=120",
            "--seed=1",
            "--continue-on-failure",
            "--no-color",
        ])
        .env("PYTHONPATH", root().join("tests/python"))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .current_dir(scratch.path())
        .output()
        .unwrap();
    check(&output);
    // At least this many, and of every operation.
    let report = String::from_utf8(output.stdout).unwrap();
    // A warning about generated data may come before.
    let counted = |line: &str| line.trim().split_once(" generated")?.0.parse::<u32>().ok();
    let cases = report.lines().find_map(counted).unwrap();
    assert!(cases >= CASES_MIN, "{report}");
    let description = service.get("/openapi.json").unwrap().json().unwrap();
    let paths = description["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    // The description does not test itself.
    assert!(report.contains(&format!("Tested: {}\n", operations - 2)), "{report}");
}
