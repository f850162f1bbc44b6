//! What the metrics count: readings that were accepted, folded and rejected.

use isotherm_it::{Service, now_ms};
use serde_json::json;

use crate::support::readings::{HOUR, json_reading};
use crate::support::service::{Expect as _, until};

#[test]
fn metrics_count_what_was_accepted_and_what_was_rejected() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let good = json_reading("d", "hall", 20.0, now - HOUR);
    let other = json_reading("d2", "hall", 1.0, now);
    let hot = json_reading("d", "hall", 5_000.0, now);
    service.accept(&json!([good, hot, other]));
    // Rejections are counted after the answer. Of concurrent ones, those may be lost that come
    // before there is a count (`journal::noted::note`).
    let first = "isotherm_readings_rejected_total{reason=\"temperature_out_of_range\"} 1";
    until("the first rejection is counted", || {
        // `/metrics` folds nothing, and what the answer left to do may have met the lock.
        service.settled();
        let metrics = service.get("/metrics").unwrap().body;
        metrics.lines().any(|line| line == first).then_some(())
    });
    service.accept(&json!([good, hot]));
    assert_eq!(service.send(&hot, &[]).status, 422);
    let contradicting = json_reading("d", "hall", 7, now - HOUR);
    service.settled();
    service.accept_and_wait(&json!([contradicting, hot]));
    let expected = [
        "isotherm_readings_accepted_total 4",
        "isotherm_readings_folded_total{outcome=\"stored\"} 2",
        "isotherm_readings_folded_total{outcome=\"duplicate\"} 1",
        "isotherm_readings_folded_total{outcome=\"conflict\"} 1",
        "isotherm_readings_rejected_total{reason=\"temperature_out_of_range\"} 4",
        "isotherm_journal_entries 0",
    ];
    // The rejections of a request without a valid reading are noted after its
    // answer.
    let metrics = until("every rejection is counted", || {
        service.settled();
        let metrics = service.get("/metrics").unwrap();
        let content_type = metrics.header("content-type");
        assert_eq!(content_type, Some("text/plain; version=0.0.4; charset=utf-8"));
        let all = expected.iter().all(|line| metrics.body.lines().any(|l| l == *line));
        all.then_some(metrics.body)
    });
    assert!(metrics.ends_with('\n'));
}
