//! When the journal fails or is full, and when both stores fail.

use isotherm_it::Service;
use serde_json::json;

use super::{hall, nth, wait_for_count};
use crate::support::assert::{check_fields, check_lines, check_problem, check_retryable};
use crate::support::service::{Expect as _, WAIT};

#[test]
fn when_the_journal_fails_readings_are_counted_straight_away() {
    for effect in ["fail", "full", "locked"] {
        let service = Service::start_faulty(&[]).unwrap();
        let first = nth(0);
        service.accept(&first);
        service.fail("key_value", effect);
        let answer = service.send(&json!([first, nth(1)]), &[]);
        assert_eq!(answer.status, 200, "{effect}: {}", answer.body);
        check_fields(&answer.json().unwrap(), &json!({"ack": "folded", "stored": 2}));
        check_fields(&hall(&service), &json!({"count": 2, "unfolded_entries": null}));

        // What the journal still holds of it is not counted again.
        service.heal();
        check_fields(&hall(&service), &json!({"count": 2, "unfolded_entries": 0}));
    }
}

#[test]
fn when_both_stores_fail_nothing_is_kept_and_the_sender_is_told_when_to_come_again() {
    let service = Service::start_faulty(&[]).unwrap();
    for effect in ["fail", "full", "damaged"] {
        let rules = json!([
            {"store": "key_value", "effect": effect}, {"store": "sqlite", "effect": effect}]);
        service.set_faults(&rules).unwrap();
        for headers in [&[], WAIT] {
            check_retryable(&service.send(&nth(0), headers), 503, "store-unavailable");
        }
        for path in ["/readyz", "/readyz/ingest"] {
            let readiness = service.get(path).unwrap();
            assert_eq!(readiness.status, 503, "{path}");
            assert_eq!(readiness.json().unwrap()["status"], "unavailable");
        }
        assert_eq!(service.get("/healthz").unwrap().status, 200);
        assert_eq!(service.get("/metrics").unwrap().status, 200);
        check_problem(&service.get("/v1/regions").unwrap(), 503, "store-unavailable");
        service.heal();
        assert_eq!(service.settled()["regions"], json!([]));
    }
}

#[test]
fn a_full_journal_refuses_and_takes_readings_again_once_it_is_folded() {
    let service = Service::start_faulty(&[("journal_max_entries", "50")]).unwrap();
    service.fail("sqlite", "fail");
    let mut accepted = 0;
    let refused = loop {
        let answer = service.send(&nth(accepted), &[]);
        if answer.status == 503 {
            break answer;
        }
        assert_eq!(answer.status, 202);
        accepted += 1;
        assert!(accepted < 5_000, "a journal bounded to 50 entries");
    };
    check_retryable(&refused, 503, "store-unavailable");
    assert!(refused.body.contains("full"), "{}", refused.body);
    assert!(accepted >= 50, "refused at {accepted}");
    let entries = service.keys("journal/").len();
    assert_eq!(i64::try_from(entries).unwrap(), accepted, "refused and yet kept");
    check_lines(&service.get("/metrics").unwrap().body, &["isotherm_journal_full 1"]);

    service.heal();
    service.sender().deliver(&[nth(accepted)]).unwrap();
    wait_for_count(&service, accepted + 1);
    assert_eq!(service.log().matches("reached its bound").count(), 1);
}
