//! What the suites send to the component under test.

use std::time::{SystemTime, UNIX_EPOCH};

use spin_test_sdk::bindings::wasi::http::types::{Headers, Method, OutgoingRequest};
use spin_test_sdk::perform_request;

/// Sends a request; returns the status and the body of the answer.
pub fn send(method: Method, path: &str, content_type: &str, body: &str) -> (u16, String) {
    let fields = Headers::new();
    fields.append(&"content-type".to_owned(), &content_type.as_bytes().to_vec()).unwrap();
    let request = OutgoingRequest::new(fields);
    request.set_method(&method).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    request.body().unwrap().write_bytes(body.as_bytes());
    let response = perform_request(request);
    (response.status(), response.body_as_string().unwrap())
}

/// Sends readings.
pub fn post(body: &str) -> (u16, String) {
    send(Method::Post, "/v1/readings", "application/json", body)
}

/// Asks for a resource.
pub fn get(path: &str) -> (u16, String) {
    send(Method::Get, path, "application/json", "")
}

/// Unix milliseconds.
pub fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

/// A valid reading of `device`, so long ago.
pub fn reading(device: &str, seconds_ago: u128) -> String {
    let at = now_ms() - seconds_ago * 1_000;
    format!(r#"{{"device_id":"{device}","region":"hall","temperature_c":20.5,"timestamp":{at}}}"#)
}
