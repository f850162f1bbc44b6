//! Corrections on their way: merges, more of them than a batch may have, those that are refused.

use std::path::Path;

use isotherm::api::readings;
use isotherm::http::{Header, Request};
use isotherm::internals::domain::correction::Correction;
use isotherm::internals::domain::exchange::{BatchId, Behind, NodeId, Sender, SentCorrection};
use isotherm::internals::domain::reading::{DeviceId, Region};
use isotherm::internals::journal::keys;
use isotherm::internals::wire::batch::{Batch, MEDIA_TYPE};
use serde_json::{Value, json};

use super::linked::Linked;
use super::member::{DATABASE, JOURNAL, copy};
use crate::corrections_model::figures;
use crate::corrections_of_all::in_steps;
use crate::support::node::Node;
use crate::support::readings::{DAY, NOW, at, json_reading};
use crate::support::tables::Window;

/// A reading of this device, by its number.
fn nth(device: &str, region: &str, number: i64) -> Value {
    json_reading(device, region, number % 40 - 20, NOW - 5_000 - number * 20_000)
}

fn accept(linked: &mut Linked, device: &str, region: &str, numbers: std::ops::Range<i64>) {
    let readings: Value = numbers.map(|number| nth(device, region, number)).collect();
    linked.gateway.accept_and_wait(&readings);
}

fn windows(node: &Node) -> Vec<Window> {
    node.windows().into_iter().filter_map(figures).collect()
}

/// Beats until nothing waits; then the hub stands as the gateway does.
fn check(linked: &mut Linked) {
    for _ in 0..40 {
        linked.beat();
        linked.hub.fold();
        if linked.state()["peers"][0]["behind_minutes"] == 0 {
            break;
        }
    }
    let state = linked.state();
    let peer = &state["peers"][0];
    assert_eq!((&peer["behind_minutes"], &peer["error"]), (&json!(0), &json!(null)), "{state:#}");
    assert_eq!(peer["aside"], json!([]), "{state:#}");
    assert_eq!(windows(&linked.hub), windows(&linked.gateway));
    assert_eq!(linked.hub.counted_as().len(), linked.gateway.counted_as().len());
}

#[test]
fn what_was_merged_is_sent_under_the_name_that_it_had() {
    for body in [
        json!({"region": "diary", "rename": "dairy", "reason": "a typo"}),
        json!({"device_id": "b", "rename": "a", "reason": "one sensor"}),
    ] {
        let mut linked = Linked::new(&[]);
        accept(&mut linked, "a", "dairy", 0..50);
        accept(&mut linked, "b", "diary", 100..150);
        check(&mut linked);
        // Some of it the hub does not have yet.
        accept(&mut linked, "b", "diary", 200..250);
        in_steps(&linked.gateway, body.clone());
        check(&mut linked);
        // The old name stands for the other one now.
        accept(&mut linked, "b", "diary", 300..350);
        check(&mut linked);
        // A hub that lost everything gets it all.
        for files in [DATABASE, JOURNAL] {
            copy(Path::new("/nowhere"), linked.hub.directory(), &files);
        }
        linked.restart_hub(&[]);
        linked.beat();
        check(&mut linked);
        assert_eq!(linked.state()["peers"][0]["sent_again"], 1);
    }
}

#[test]
fn more_corrections_than_a_batch_may_have_go_in_several() {
    let mut linked = Linked::new(&[]);
    accept(&mut linked, "a", "hall", 0..2_600);
    accept(&mut linked, "b", "hall", 0..40);
    check(&mut linked);
    let body = json!({"device_id": "a", "withdraw": true, "reason": "it was in the sun"});
    assert_eq!(in_steps(&linked.gateway, body).0, 2_600);
    accept(&mut linked, "b", "hall", 40..80);
    check(&mut linked);
    assert_eq!(linked.hub.corrections().len(), 2_600);
    assert_eq!(linked.hub.read("/v1/regions/hall")["count"], 80);
}

#[test]
fn a_sensor_that_comes_late_among_many_is_sent_although_its_minutes_are_full() {
    let mut linked = Linked::new(&[]);
    for device in 0..30 {
        accept(&mut linked, &format!("d{device}"), "hall", 0..600);
    }
    check(&mut linked);
    accept(&mut linked, "late", "hall", 0..600);
    check(&mut linked);
}

#[test]
fn what_keeps_a_node_from_sending_is_told_by_it() {
    let mut linked = Linked::new(&[]);
    accept(&mut linked, "a", "hall", 0..3);
    linked.gateway.execute("UPDATE regions SET name = 'no name'");
    linked.beat();
    let peer = &linked.state()["peers"][0];
    assert_eq!(peer["reachable"], false, "{peer:#}");
    assert!(peer["error"].as_str().unwrap().starts_with("this node: "), "{peer:#}");
    assert!(peer["tried"].is_string(), "{peer:#}");
    linked.gateway.execute("UPDATE regions SET name = 'hall'");
    check(&mut linked);
}

fn sent(device: &'static str, region: &'static str, ms: i64, hash: u16) -> SentCorrection<'static> {
    let correction = Correction {
        device_id: DeviceId::new(device).unwrap(),
        timestamp: at(ms),
        expected: None,
        expected_region: Region::new(region),
        temperature: None,
        region: Region::new(region),
        reason: "a test".into(),
    };
    let [high, low] = hash.to_be_bytes();
    let hash = std::array::from_fn(|index| if index == 0 { high } else { low });
    SentCorrection { correction, hash, made: at(NOW), by: None }
}

/// What a node of this name sends that has corrections alone.
fn post(node: &Node, number: u8, corrections: Vec<SentCorrection<'_>>) -> Value {
    let sender = Sender {
        node: NodeId([1; 16]),
        name: "gw",
        sends: number.into(),
        as_of: at(NOW),
        behind: Behind::default(),
        last_hour: 0,
    };
    let (id, asked, readings) = (BatchId([number; 16]), Vec::new(), Vec::new());
    let body = Batch { sender, id, asked, anchor: None, readings, corrections }.encode();
    let request = Request::post("/v1/readings").with(Header::ContentType, MEDIA_TYPE);
    let answer = readings::post(&node.host, &request, &body, node.now).response;
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_reading_with_more_corrections_than_a_batch_may_have_keeps_nothing_back() {
    let mut linked = Linked::new(&[]);
    accept(&mut linked, "a", "hall", 0..3);
    let at = |number: i64| NOW - 5_000 - number * 20_000;
    for number in 0..2_u8 {
        let hashes = u16::from(number) * 600..u16::from(number + 1) * 600;
        let all = hashes.map(|hash| sent("a", "hall", at(0), hash)).collect();
        assert_eq!(post(&linked.gateway, number, all)["rejected_corrections"], json!([]));
    }
    let other = vec![sent("a", "hall", at(2), 5_000)];
    post(&linked.gateway, 2, other);
    linked.gateway.fold();
    check(&mut linked);
    let all = linked.hub.execute("SELECT hash FROM corrections");
    assert_eq!(all.len(), 1_001);
}

#[test]
fn corrections_of_a_node_are_judged_as_those_of_a_person() {
    let mut hub = Node::quiet(&[("retention", "30d"), ("devices_max", "2"), ("regions_max", "1")]);
    hub.accept_and_wait(&json!([nth("a", "hall", 1), nth("b", "hall", 2)]));
    hub.put(keys::DOOR, b"regions=1 devices=2");
    let corrections = vec![
        sent("a", "hall", NOW - 40_000, 1),
        sent("new", "hall", NOW - 40_000, 2),
        sent("a", "attic", NOW - 40_000, 3),
        sent("a", "hall", NOW - 31 * DAY, 4),
    ];
    let answer = post(&hub, 1, corrections);
    assert_eq!(answer["rejected_corrections"], json!([1, 2, 3]), "{answer:#}");
    hub.fold();
    assert_eq!(hub.corrections().len(), 1);
    assert_eq!(hub.read("/v1/devices")["devices"].as_array().unwrap().len(), 2);
}
