//! `ingest` with both stores: what it answers, and what it writes to key-value.

use client::{get, now_ms, post, reading, send};
use isotherm::internals::journal::{EntryName, keys};
use spin_test_sdk::bindings::fermyon::spin_test_virt::key_value::{Call, Store};
use spin_test_sdk::bindings::fermyon::spin_test_virt::variables;
use spin_test_sdk::bindings::wasi::http::types::Method;
use spin_test_sdk::spin_test;

/// The entries that the component set, and nothing else.
fn entries() -> Vec<EntryName> {
    let calls = Store::open("default").calls();
    let set = calls.iter().filter_map(|call| match call {
        // Not the count of what was rejected.
        Call::Set((key, _)) if key == keys::REJECTED => None,
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
    // One look at what the door must know, one entry.
    let calls = Store::open("default").calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], Call::Get(keys::DOOR.to_owned()));
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
    let path = "/v1/readings";
    for (answer, status, kind) in [
        (post("{"), 400, "unreadable"),
        (post("[]"), 422, "nothing-valid"),
        (post(&reading("d 1", 60)), 422, "nothing-valid"),
        (post(&reading("d1", 30 * 86_400)), 422, "nothing-valid"),
        (send(Method::Post, path, "text/csv", ""), 415, "unsupported-media-type"),
        (get(path), 405, "method-not-allowed"),
        (send(Method::Post, "/v1/reading", "application/json", ""), 404, "not-found"),
    ] {
        assert_eq!(answer.0, status, "{}", answer.1);
        assert!(answer.1.contains(&format!("urn:isotherm:problem:{kind}")), "{}", answer.1);
    }
    assert_eq!(entries(), []);
}

#[spin_test]
fn a_full_journal_takes_nothing_more() {
    Store::open("default").set(keys::DOOR, format!("full={}", now_ms()).as_bytes());
    let (status, body) = post(&reading("d1", 60));
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("urn:isotherm:problem:"), "{body}");
    assert_eq!(entries(), []);
}

#[spin_test]
fn a_variable_that_means_nothing_is_the_operators_turn() {
    variables::set("retention", "soon");
    let (status, body) = post(&reading("d1", 60));
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("urn:isotherm:problem:misconfigured"), "{body}");
    assert_eq!(entries(), []);
}

#[spin_test]
fn it_is_ready() {
    let answer = get("/readyz/ingest");
    assert_eq!(answer, (200, r#"{"status":"ready"}"#.to_owned()));
}
