//! `ingest` without its journal: the manifest gives it the database alone.

use std::time::{SystemTime, UNIX_EPOCH};

use spin_test_sdk::bindings::wasi::http::types::{Headers, Method, OutgoingRequest};
use spin_test_sdk::{perform_request, spin_test};

fn send(method: Method, path: &str, body: &str) -> (u16, String) {
    let fields = Headers::new();
    fields.append(&"content-type".to_owned(), &b"application/json".to_vec()).unwrap();
    let request = OutgoingRequest::new(fields);
    request.set_method(&method).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    request.body().unwrap().write_bytes(body.as_bytes());
    let response = perform_request(request);
    (response.status(), response.body_as_string().unwrap())
}

fn reading() -> String {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() * 1_000;
    format!(r#"{{"device_id":"d1","region":"hall","temperature_c":20.5,"timestamp":{at}}}"#)
}

#[spin_test]
fn readings_are_folded_at_once() {
    let (status, body) = send(Method::Post, "/v1/readings", &reading());
    assert_eq!(status, 200, "{body}");
    assert!(body.starts_with(r#"{"ack":"folded","stored":1,"duplicate":0,"conflict":0"#), "{body}");
}

#[spin_test]
fn it_is_degraded() {
    let answer = send(Method::Get, "/readyz/ingest", "");
    assert_eq!(answer, (200, r#"{"status":"degraded"}"#.to_owned()));
}
