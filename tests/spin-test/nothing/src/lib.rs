//! `ingest` without any store.

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
fn nothing_is_accepted() {
    let (status, body) = send(Method::Post, "/v1/readings", &reading());
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("urn:isotherm:problem:store-unavailable"), "{body}");
}

#[spin_test]
fn it_is_not_ready() {
    let answer = send(Method::Get, "/readyz/ingest", "");
    assert_eq!(answer, (503, r#"{"status":"unavailable"}"#.to_owned()));
}
