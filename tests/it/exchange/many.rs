//! A hub of very many gateways: each is known, and no answer takes longer for it than the rows
//! take to read.

use isotherm::api::readings;
use isotherm::http::{Header, Request};
use isotherm::internals::domain::exchange::{BatchId, Behind, NodeId, Sender};
use isotherm::internals::wire::batch::{Batch, MEDIA_TYPE};
use serde_json::Value;

use crate::support::node::Node;
use crate::support::readings::{DAY, NOW, at, instant, reading};

/// What a node sends that was made as the `number`th, under this name: one reading.
fn send(hub: &Node, number: u32, name: &str, now: i64) {
    send_again(hub, number, name, (1, now));
}

/// The same for what it has sent so often.
fn send_again(hub: &Node, number: u32, name: &str, (sends, now): (u64, i64)) {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let sender = Sender {
        node: NodeId(id),
        name,
        sends,
        as_of: at(now),
        behind: Behind { minutes: 1, readings: 3 },
        last_hour: 360,
    };
    let device = format!("d{number}");
    let readings = vec![reading(device.as_str(), "hall", 20_000, now)];
    let (asked, corrections) = (Vec::new(), Vec::new());
    id[8..].copy_from_slice(&sends.to_be_bytes());
    let batch = Batch { sender, id: BatchId(id), asked, anchor: None, readings, corrections };
    let request = Request::post("/v1/readings").with(Header::ContentType, MEDIA_TYPE);
    let handled = readings::post(&hub.host, &request, &batch.encode(), at(now));
    assert_eq!(handled.response.status, 202);
}

fn names(senders: &Value) -> Vec<&str> {
    let nodes = senders["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["name"].as_str().unwrap()).collect()
}

#[test]
fn a_thousand_gateways_are_known_and_none_makes_an_answer_take_another_call() {
    let mut hub = Node::quiet(&[("retention", "0")]);
    let calls_of_answer = |hub: &mut Node| {
        hub.fold();
        let before = hub.host.plan.calls();
        let answer = hub.read("/v1/regions");
        (answer, hub.host.plan.calls() - before)
    };
    send(&hub, 0, "gw-0", NOW);
    let (_, calls_with_one) = calls_of_answer(&mut hub);
    for number in 1..1_000 {
        send(&hub, number, &format!("gw-{number}"), NOW + i64::from(number));
    }
    let (answer, calls) = calls_of_answer(&mut hub);
    assert_eq!((&answer["senders"], &answer["silent_senders"]), (&1_000.into(), &0.into()));
    assert_eq!(answer["missing_readings"], 3_000);
    assert_eq!(answer["regions"][0]["count"], 1_000);
    assert!(calls <= calls_with_one + 1, "{calls} calls, {calls_with_one} with one sender");
    let senders = hub.read("/v1/senders");
    assert_eq!(names(&senders).len(), 1_000);
    // Half an hour later none of them has been heard of.
    hub.set_clock(NOW + 1_800_000);
    let answer = hub.read("/v1/regions");
    assert_eq!(answer["silent_senders"], 1_000);
    let missing = answer["missing_readings"].as_i64().unwrap();
    assert!((180_000..184_000).contains(&missing), "{missing}");
}

#[test]
fn a_hub_whose_clock_was_ahead_once_still_sees_who_is_silent() {
    let mut hub = Node::quiet(&[("retention", "0")]);
    let silent = |hub: &mut Node, ms: i64| {
        hub.set_clock(ms);
        hub.read("/v1/regions")["silent_senders"].clone()
    };
    send(&hub, 0, "gw", NOW + DAY);
    hub.fold();
    assert_eq!(silent(&mut hub, NOW + DAY), 0);
    // Then it was set.
    assert_eq!(silent(&mut hub, NOW), 1);
    send_again(&hub, 0, "gw", (2, NOW + 1_000));
    hub.fold();
    assert_eq!(silent(&mut hub, NOW + 2_000), 0);
    assert_eq!(silent(&mut hub, NOW + 600_000), 1);
}

#[test]
fn what_waited_long_in_the_journal_takes_nothing_back_of_what_came_later() {
    let mut hub = Node::quiet(&[("retention", "0")]);
    send_again(&hub, 0, "gw", (9, NOW + 3_600_000));
    hub.fold();
    send_again(&hub, 0, "gw", (2, NOW));
    hub.fold();
    hub.set_clock(NOW + 3_610_000);
    let sender = &hub.read("/v1/senders")["nodes"][0];
    assert_eq!(sender["contact"], instant(NOW + 3_600_000));
    assert_eq!((&sender["silent"], &sender["forks"]), (&false.into(), &0.into()));
    assert_eq!(sender["first_contact"], instant(NOW));
}

#[test]
fn of_one_name_the_last_sixteen_nodes_are_known_and_what_they_sent_stays() {
    let mut hub = Node::quiet(&[("retention", "0")]);
    send(&hub, 1_000, "other", NOW);
    for number in 0..40 {
        send(&hub, number, "gw", NOW + i64::from(number));
        hub.fold();
    }
    let senders = hub.read("/v1/senders");
    assert_eq!(names(&senders).iter().filter(|name| **name == "gw").count(), 16);
    assert_eq!(names(&senders).len(), 17);
    let newest = senders["nodes"].as_array().unwrap().iter().map(|node| &node["node"]);
    assert!(newest.into_iter().any(|node| node.as_str().unwrap().starts_with("00000027")));
    assert_eq!(hub.hall()["count"], 41);
    // A reading that comes again from one that was forgotten counts once.
    send(&hub, 0, "gw", NOW);
    hub.fold();
    assert_eq!(hub.hall()["count"], 41);
}
