//! What a client accepts (JSON, CSV, NDJSON; two formats of metrics), and what it
//! has already (entity tags), over HTTP.

use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Answer;
use serde_json::{Value, json};

use crate::support::assert::check_problem;
use crate::support::readings::json_reading;
use crate::support::service::Expect as _;

fn service() -> Service {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    service.accept(&json!([
        json_reading("d1", "hall", 21.5, now),
        json_reading("d2", "hall", 20.25, now - 5),
        json_reading("d1", "yard", -3.0, now - 9)
    ]));
    service.settled();
    service
}

/// The lines of NDJSON have the records' fields, but for the ages, which go on.
fn check_lines(answer: &Answer, records: &[Value], path: &str) {
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let parsed: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(parsed.len(), records.len(), "{path}");
    for (parsed, record) in parsed.iter().zip(records) {
        let fields = parsed.as_object().unwrap().iter();
        for (field, value) in fields.filter(|(field, _)| *field != "newest_age_ms") {
            assert_eq!(&record[field], value, "{path}: {field}");
        }
    }
    let coverage = answer.header("isotherm-coverage").unwrap();
    assert!(coverage.contains("as_of=\"20"), "{coverage}");
}

/// The rows of CSV have the records' fields, but for the ages, which go on.
fn check_table(answer: &Answer, records: &[Value], path: &str) {
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("text/csv;"), "{content_type}");
    let mut reader = csv::Reader::from_reader(answer.body.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), records.len(), "{path}");
    for (row, record) in rows.iter().zip(records) {
        for (column, cell) in columns.iter().zip(row) {
            let text = match &record[column] {
                _ if column == "newest_age_ms" => continue,
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Array(names) => {
                    let names: Vec<&str> =
                        names.iter().map(|name| name.as_str().unwrap()).collect();
                    names.join(" ")
                }
                other => other.to_string(),
            };
            assert_eq!(cell, text, "{path}: {column}");
        }
    }
}

#[test]
fn the_same_records_come_as_json_csv_and_ndjson() {
    let service = service();
    for (path, list) in [
        ("/v1/regions", Some("regions")),
        ("/v1/regions/hall", None),
        ("/v1/regions/hall/windows?step=15m", Some("windows")),
        ("/v1/conflicts", Some("conflicts")),
        ("/v1/quarantine", Some("entries")),
    ] {
        let answer = service.get(path).unwrap();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let body = answer.json().unwrap();
        let records = match list {
            Some(list) => body[list].as_array().unwrap().clone(),
            None => vec![body],
        };
        let lines = service.get_with(path, &[("accept", "application/x-ndjson")]);
        check_lines(&lines, &records, path);
        let accept = "text/csv, application/json;q=0.5";
        check_table(&service.get_with(path, &[("accept", accept)]), &records, path);
        let refused = service.get_with(path, &[("accept", "text/html")]);
        check_problem(&refused, 406, "not-acceptable");
    }
}

#[test]
fn a_client_that_has_the_answer_is_told_so_until_it_changes() {
    let service = service();
    for path in ["/v1/regions", "/v1/regions/hall", "/v1/regions/hall/windows?step=1d"] {
        let first = service.get(path).unwrap();
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!(first.header("cache-control"), Some("no-cache"));
        assert_eq!(first.header("vary"), Some("accept"));
        let again = service.get_with(path, &[("if-none-match", &tag)]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        assert_eq!(again.header("content-length"), None);
        let csv = service.get_with(path, &[("if-none-match", &tag), ("accept", "text/csv")]);
        assert_eq!(csv.status, 200, "another representation has another tag");

        service.accept(&json_reading("d3", "hall", 30.0, now_ms()));
        let changed = service.get_with(path, &[("if-none-match", &tag)]);
        assert_eq!(changed.status, 200, "{path}");
        assert_ne!(changed.header("etag"), Some(tag.as_str()));
    }
}

#[test]
fn metrics_come_as_prometheus_text_or_as_openmetrics() {
    let service = service();
    let text = service.get("/metrics").unwrap();
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.body.contains("# TYPE isotherm_readings_accepted_total counter\n"));
    assert!(!text.body.contains("# EOF"));
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = service.get_with("/metrics", &[("accept", accept)]);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.contains("# TYPE isotherm_readings_accepted counter\n"), "{}", open.body);
    assert!(open.body.contains("\nisotherm_readings_accepted_total 3\n"), "{}", open.body);
    assert!(open.body.ends_with("\n# EOF\n"));
    let refused = service.get_with("/metrics", &[("accept", "image/png")]);
    check_problem(&refused, 406, "not-acceptable");
}
