//! `ingest` without its journal: the manifest gives it the database alone.

use client::{get, post, reading};
use spin_test_sdk::spin_test;

#[spin_test]
fn readings_are_folded_at_once() {
    let (status, body) = post(&reading("d1", 0));
    assert_eq!(status, 200, "{body}");
    assert!(body.starts_with(r#"{"ack":"folded","stored":1,"duplicates":0,"conflicts":0"#), "{body}");
}

#[spin_test]
fn it_is_degraded() {
    let answer = get("/readyz/ingest");
    assert_eq!(answer, (200, r#"{"status":"degraded"}"#.to_owned()));
}
