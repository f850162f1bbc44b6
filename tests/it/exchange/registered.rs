//! Peers that move or go, and readings that are gone before a peer has them.

use isotherm::host::Value;
use isotherm::internals::exchange::peers::{Configured, register_in};

use super::member::{Member, reading};
use crate::support::readings::{NOW, at};

const GATEWAY: usize = 0;
const HUB: usize = 1;

/// A gateway that has counted a reading.
fn gateway() -> Member {
    let gateway = Member::new(GATEWAY, &[HUB]);
    gateway.post("application/json", reading(1).to_string().as_bytes(), NOW);
    gateway.node().fold();
    gateway
}

fn register(gateway: &Member, peers: &[Configured]) {
    register_in(&gateway.database(), peers, at(NOW)).unwrap();
}

/// How many minutes wait.
fn waiting(gateway: &Member) -> Value {
    gateway.node().execute("SELECT count(*) FROM outbox")[0][0].clone()
}

#[test]
fn a_peer_that_moves_keeps_its_outbox_and_nothing_is_kept_for_one_that_goes() {
    let gateway = gateway();
    register(&gateway, &[Configured::new(1, "http://moved")]);
    assert_eq!(waiting(&gateway), Value::Integer(1));
    assert_eq!(
        gateway.node().execute("SELECT peer, origin FROM peers"),
        [[Value::Integer(1), Value::Text("http://moved".to_owned())]]
    );
    register(&gateway, &[]);
    assert_eq!(waiting(&gateway), Value::Integer(0));
    assert_eq!(gateway.node().execute("SELECT peer FROM peers"), Vec::<Vec<Value>>::new());
}

#[test]
fn a_minute_of_which_nothing_is_left_waits_no_more() {
    let gateway = gateway();
    // As if somebody had deleted the row by hand.
    gateway.node().execute("DELETE FROM ledger");
    assert_eq!(waiting(&gateway), Value::Integer(1));
    let asked = gateway.prepare(HUB, NOW + 1_000);
    assert_eq!(waiting(&gateway), Value::Integer(0));
    let batch = isotherm::internals::wire::batch::decode(&asked.body).unwrap();
    assert_eq!(batch.count(), 0);
}
