//! What the door (`isotherm::internals::journal::door`) knows, and answers without the database: how
//! far was pruned, that the journal is full, how many readings were rejected.

use isotherm::api::readings;
use isotherm::host::KeyValue;
use isotherm::http::Request;
use isotherm::internals::journal::door::Door;
use isotherm::internals::journal::keys;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, NOW, at, in_hall};

fn node() -> Node {
    Node::quiet(&[("retention", "0")])
}

#[test]
fn a_new_key_value_store_learns_from_the_database_how_far_was_pruned() {
    let mut node = node();
    node.accept_and_wait(&in_hall("a", NOW));
    node.set_pruned_before(NOW - DAY);
    node.remove(keys::DOOR);
    // From the first on, what is accepted is counted, and the rest is rejected.
    node.reject(&in_hall("b", NOW - 2 * DAY));
    node.accept(&in_hall("c", NOW - HOUR));
    node.reject(&in_hall("d", NOW - 3 * DAY));
    check_fields(&node.hall(), &json!({"count": 2, "quarantined_readings": 0}));
}

#[test]
fn the_door_learns_from_a_fold_before_an_answer_too() {
    let mut node = node();
    node.accept(&in_hall("a", NOW));
    assert_eq!(node.hall()["count"], 1);
    node.set_pruned_before(NOW - DAY);
    node.accept(&in_hall("b", NOW));
    assert_eq!(node.hall()["count"], 2);
    node.reject(&in_hall("c", NOW - 2 * DAY));
}

#[test]
fn a_new_database_behind_an_old_door_takes_history_again() {
    let mut node = node();
    let text = format!("pruned={} published=5 newest=0 told=1", NOW - DAY);
    node.put(keys::DOOR, text.as_bytes());
    node.reject(&in_hall("a", NOW - 2 * DAY));
    let batch: Value = (0..10_000).map(|i| in_hall("b", NOW - i)).collect();
    for _ in 0..60 {
        node.accept(&batch);
        if node.post(&in_hall("a", NOW - 2 * DAY)).status == 202 {
            return;
        }
    }
    panic!("the door keeps what the database does not have");
}

#[test]
fn rejected_readings_are_counted_without_an_entry_and_rarely_written() {
    let mut node = Node::quiet(&[("retention", "7d")]);
    let bad = json!({"device_id": "a"});
    let (mut writes, mut before) = (0, None);
    // The node's clock goes on by a second with every request.
    for _ in 0..600 {
        node.reject(&bad);
        let noted = KeyValue::get(&node.key_value(), keys::REJECTED).unwrap();
        writes += usize::from(noted != before);
        before = noted;
    }
    assert!((20..100).contains(&writes), "{writes} writes for 600 requests in ten minutes");
    let counted = node.metric("isotherm_readings_rejected_total{reason=\"missing_field\"}");
    assert!((400..800).contains(&counted), "{counted} of 600");
    assert_eq!(node.keys("journal/"), 0);
}

#[test]
fn a_full_journal_is_known_without_listing_it_whenever_the_request_began() {
    let node = Node::quiet(&[("retention", "7d")]);
    node.put(keys::DOOR, format!("full={}", NOW + 500).as_bytes());
    for behind in [0, 100, 5_000] {
        let before = node.host.plan.calls();
        let request = Request::post("/v1/readings");
        let body = in_hall("a", NOW - behind).to_string();
        let answer = readings::post(&node.host, &request, body.as_bytes(), at(NOW - behind));
        assert_eq!(answer.response.status, 503);
        let calls = node.host.plan.calls() - before;
        assert_eq!(calls, 2, "to open the store and to look at what the door knows");
    }
}

#[test]
fn a_mark_that_was_set_after_a_request_began_is_not_taken_away_by_what_it_listed() {
    let node = Node::quiet(&[("retention", "7d")]);
    for (set, stays) in [(NOW + 500, true), (NOW - 500, false)] {
        let body = in_hall("a", set).to_string();
        let request = Request::post("/v1/readings");
        let handled = readings::post(&node.host, &request, body.as_bytes(), at(NOW));
        assert_eq!(handled.response.status, 202);
        node.put(keys::DOOR, format!("full={set}").as_bytes());
        // Folds, and finds room.
        handled.after_answer.run(&node.host, at(NOW)).unwrap();
        assert_eq!(node.keys("journal/"), 0);
        assert_eq!(node.text_at(keys::DOOR).contains("full="), stays, "{set}");
        node.remove(keys::DOOR);
    }
}

#[test]
fn a_door_that_nobody_has_written_lets_everything_in() {
    let door = Door::default();
    assert_eq!((door.pruned_before.get(), door.full_since), (0, None));
    assert_eq!((door.regions, door.devices, door.is_told), (0, 0, false));
}
