//! `ingest` with both stores: what it answers, and what it writes to key-value.

use std::time::{SystemTime, UNIX_EPOCH};

use isotherm::inventory::FULL_KEY;
use isotherm::journal::EntryName;
use spin_test_sdk::bindings::fermyon::spin_test_virt::key_value::{Call, Store};
use spin_test_sdk::bindings::fermyon::spin_test_virt::variables;
use spin_test_sdk::bindings::wasi::http::types::{Headers, Method, OutgoingRequest};
use spin_test_sdk::{perform_request, spin_test};

fn send(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let fields = Headers::new();
    for (name, value) in headers {
        fields.append(&(*name).to_owned(), &value.as_bytes().to_vec()).unwrap();
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&method).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    request.body().unwrap().write_bytes(body.as_bytes());
    let response = perform_request(request);
    (response.status(), response.body_as_string().unwrap())
}

fn post(body: &str) -> (u16, String) {
    send(Method::Post, "/v1/readings", &[("content-type", "application/json")], body)
}

fn reading(device: &str, seconds_ago: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let at = (now - seconds_ago) * 1_000;
    format!(r#"{{"device_id":"{device}","region":"hall","temperature_c":20.5,"timestamp":{at}}}"#)
}

/// The entries that the component set, and nothing else.
fn entries() -> Vec<EntryName> {
    let calls = Store::open("default").calls();
    let set = calls.iter().filter_map(|call| match call {
        Call::Set((key, _)) => Some(EntryName::from_key(key).unwrap()),
        _ => None,
    });
    set.collect()
}

#[spin_test]
fn readings_are_one_entry_of_the_journal_before_the_answer() {
    let batch = format!("[{},{}]", reading("d1", 60), reading("d2", 59));
    let (status, body) = post(&batch);
    assert_eq!((status, body.as_str()), (202, r#"{"ack":"journaled","accepted":2,"rejected":[]}"#));
    let entries = entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].readings(), 2);
    // One look for the mark of a full journal, one entry.
    let calls = Store::open("default").calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], Call::Get(FULL_KEY.to_owned()));
}

#[spin_test]
fn the_same_readings_again_are_the_same_entry() {
    let body = reading("d1", 60);
    assert_eq!(post(&body).0, 202);
    assert_eq!(post(&body).0, 202);
    let entries = entries();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0], entries[1]);
}

#[spin_test]
fn what_is_wrong_is_refused_and_no_reading_is_kept() {
    let json = [("content-type", "application/json")];
    let path = "/v1/readings";
    for (answer, status, kind) in [
        (post("{"), 400, "unreadable"),
        (post("[]"), 422, "nothing-valid"),
        (post(&reading("d 1", 60)), 422, "nothing-valid"),
        (post(&reading("d1", 30 * 86_400)), 422, "nothing-valid"),
        (
            send(Method::Post, path, &[("content-type", "text/csv")], ""),
            415,
            "unsupported-media-type",
        ),
        (send(Method::Get, path, &json, ""), 405, "method-not-allowed"),
        (send(Method::Post, "/v1/reading", &json, ""), 404, "not-found"),
    ] {
        assert_eq!(answer.0, status, "{}", answer.1);
        assert!(answer.1.contains(&format!("urn:isotherm:problem:{kind}")), "{}", answer.1);
    }
    // What was rejected is noted, to be counted.
    assert!(entries().iter().all(|entry| entry.readings() == 0));
}

#[spin_test]
fn a_full_journal_takes_nothing_more() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Store::open("default").set(FULL_KEY, now.to_string().as_bytes());
    let (status, body) = post(&reading("d1", 60));
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("urn:isotherm:problem:"), "{body}");
    assert_eq!(entries(), []);
}

#[spin_test]
fn a_variable_that_means_nothing_is_the_operators_turn() {
    variables::set("retention", "soon");
    let (status, body) = post(&reading("d1", 60));
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("urn:isotherm:problem:misconfigured"), "{body}");
    assert_eq!(entries(), []);
}

#[spin_test]
fn it_is_ready() {
    let answer = send(Method::Get, "/readyz/ingest", &[], "");
    assert_eq!(answer, (200, r#"{"status":"ready"}"#.to_owned()));
}
