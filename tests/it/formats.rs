//! What a client accepts (JSON, CSV, NDJSON; two formats of metrics), and what it
//! has already (entity tags), over HTTP.

use http::Method;
use isotherm_it::Service;
use isotherm_load::sender::Answer;
use serde_json::{Value, json};

use crate::contract::{check_problem, now_ms, reading};
use crate::exactly_once::settled;

fn service() -> Service {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let readings = json!([
        reading("d1", "hall", 21.5, now),
        reading("d2", "hall", 20.25, now - 5),
        reading("d1", "yard", -3.0, now - 9)
    ]);
    assert_eq!(service.post(&readings.to_string()).unwrap().status, 202);
    settled(service.sender());
    service
}

fn get(service: &Service, path: &str, headers: &[(&str, &str)]) -> Answer {
    service.sender().send_with(&Method::GET, path, headers).unwrap()
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
        let mut records = match list {
            Some(list) => body[list].as_array().unwrap().clone(),
            None => vec![body],
        };

        let lines = get(&service, path, &[("accept", "application/x-ndjson")]);
        assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
        let mut parsed: Vec<Value> =
            lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for record in records.iter_mut().chain(&mut parsed) {
            record.as_object_mut().unwrap().remove("newest_age_ms");
        }
        assert_eq!(parsed.len(), records.len(), "{path}");
        for (parsed, record) in parsed.iter().zip(&records) {
            for (field, value) in parsed.as_object().unwrap() {
                assert_eq!(&record[field], value, "{path}: {field}");
            }
        }
        let coverage = lines.header("isotherm-coverage").unwrap();
        assert!(coverage.contains("as_of=\"20"), "{coverage}");

        let table = get(&service, path, &[("accept", "text/csv, application/json;q=0.5")]);
        let content_type = table.header("content-type").unwrap();
        assert!(content_type.starts_with("text/csv;"), "{content_type}");
        let mut reader = csv::Reader::from_reader(table.body.as_bytes());
        let columns = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), records.len(), "{path}");
        for (row, record) in rows.iter().zip(&records) {
            for (column, cell) in columns.iter().zip(row) {
                let text = match &record[column] {
                    Value::Null if column == "newest_age_ms" => continue,
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(cell, text, "{path}: {column}");
            }
        }
        let refused = get(&service, path, &[("accept", "text/html")]);
        check_problem(&refused, 406, "not-acceptable");
    }
}

#[test]
fn who_has_the_answer_is_told_so_until_it_changes() {
    let service = service();
    for path in ["/v1/regions", "/v1/regions/hall", "/v1/regions/hall/windows?step=1d"] {
        let first = service.get(path).unwrap();
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!(first.header("cache-control"), Some("no-cache"));
        assert_eq!(first.header("vary"), Some("accept"));
        let again = get(&service, path, &[("if-none-match", &tag)]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        assert_eq!(again.header("content-length"), None);
        let csv = get(&service, path, &[("if-none-match", &tag), ("accept", "text/csv")]);
        assert_eq!(csv.status, 200, "another representation has another tag");

        let another = reading("d3", "hall", 30.0, now_ms());
        assert_eq!(service.post(&another.to_string()).unwrap().status, 202);
        let changed = get(&service, path, &[("if-none-match", &tag)]);
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
    let open = get(&service, "/metrics", &[("accept", accept)]);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.contains("# TYPE isotherm_readings_accepted counter\n"), "{}", open.body);
    assert!(open.body.contains("\nisotherm_readings_accepted_total 3\n"), "{}", open.body);
    assert!(open.body.ends_with("\n# EOF\n"));
    check_problem(&get(&service, "/metrics", &[("accept", "image/png")]), 406, "not-acceptable");
}
