//! `ingest` without any store.

use client::{get, post, reading};
use spin_test_sdk::spin_test;

#[spin_test]
fn nothing_is_accepted() {
    let (status, body) = post(&reading("d1", 0));
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("urn:isotherm:problem:store-unavailable"), "{body}");
}

#[spin_test]
fn it_is_not_ready() {
    let answer = get("/readyz/ingest");
    assert_eq!(answer, (503, r#"{"status":"unavailable"}"#.to_owned()));
}
