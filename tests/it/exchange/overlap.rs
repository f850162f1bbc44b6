//! Two beats of one node at once: a lease has run out while a request was under way, as on a machine
//! that was asleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use isotherm::api::{readings, sync};
use isotherm::host::{SendError, SendErrorKind};
use isotherm::http::Request;
use isotherm_stores::native::NativeHost;

use super::linked::{Linked, Quality};
use crate::support::faulty::FaultyHost;
use crate::support::readings::{NOW, at, json_reading};

const VARIABLES: [(&str, &str); 3] =
    [("peer1", "http://hub"), ("peer2", "http://away"), ("node", "gw-1")];

#[test]
fn a_batch_that_another_beat_took_back_does_not_strike_the_one_that_has_its_number_now() {
    let mut linked = Linked::with(&[], &VARIABLES[1..2]);
    linked.gateway.accept(&json_reading("d1", "hall", 20, NOW - 1_000));
    let directory = linked.gateway.directory().to_owned();
    let refused = || Err(SendError::new(SendErrorKind::Other, "connection refused"));
    let hub = linked.reached.clone();

    // The other beat: the hub takes its batch, and then the link breaks.
    let inner = NativeHost::new(&directory, &VARIABLES).unwrap().simulated(1, 7);
    let mut other = FaultyHost::over(inner);
    let reached = hub.clone();
    other.link = Some(Arc::new(move |call| match call.url.contains("//hub/") {
        true => reached.take(call),
        false => refused(),
    }));
    // It runs while a batch for the second peer is under way, which then fails.
    let has_run = AtomicBool::new(false);
    let second = json_reading("d2", "hall", 21, NOW - 2_000);
    linked.gateway.host.link = Some(Arc::new(move |call| {
        if call.url.contains("//hub/") {
            return hub.take(call);
        }
        if !has_run.swap(true, Ordering::SeqCst) {
            let body = second.to_string();
            drop(readings::post(&other, &Request::post("/v1/readings"), body.as_bytes(), at(NOW)));
            drop(sync::run(&other, at(NOW)));
        }
        refused()
    }));
    linked.set_link(Quality::Breaks(2));
    linked.beat();
    linked.set_link(Quality::Good);
    for _ in 0..12 {
        linked.beat();
        linked.hub.fold();
    }
    let state = linked.state();
    let peer = &state["peers"][0];
    assert_eq!(peer["behind_readings"], 0, "{state:#}");
    assert_eq!(linked.hub.counted_as().len(), 2);
}
