//! What a hub says of the nodes that send to it, story by story.

use http::Method;
use serde_json::{Value, json};

use super::linked::{Linked, Quality, Tried};
use super::member::{DATABASE, JOURNAL, copy};
use super::stories::{accept, peer, readings_of, settle};
use crate::support::assert::{check_fields, metric};
use crate::support::node::scratch;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, instant};

/// What the hub says of the only node that sends to it.
#[track_caller]
fn sender(linked: &mut Linked) -> Value {
    let answer = linked.hub.read("/v1/senders");
    assert_eq!(answer["nodes"].as_array().unwrap().len(), 1, "{answer:#}");
    linked.pass(0);
    answer["nodes"][0].clone()
}

#[test]
fn a_gateway_that_was_restored_is_one_fork_and_each_reading_counts_once() {
    let mut linked = Linked::new(&[]);
    let hour_of = |hour: i64| (0..10).map(move |age| hour * HOUR + age * MINUTE);
    accept(&mut linked, "d1", hour_of(3));
    settle(&mut linked, 2);
    let backup = scratch();
    let files = [DATABASE, JOURNAL].concat();
    linked.with_gateway_stopped(|stores| copy(stores, backup.path(), &files));
    let afterwards = readings_of(&linked, "d1", "hall", hour_of(2).chain(hour_of(1)));
    linked.gateway.accept(&afterwards);
    settle(&mut linked, 2);
    let lost = linked.hub.counted_as();
    assert_eq!((lost.len(), &sender(&mut linked)["forks"]), (30, &json!(0)));

    linked.with_gateway_stopped(|stores| copy(backup.path(), stores, &files));
    linked.pass(10 * MINUTE);
    assert_eq!(linked.gateway.counted_as().len(), 10);
    let restored = linked.now;
    accept(&mut linked, "d1", hour_of(0));
    for _ in 0..3 {
        linked.beat();
    }
    let mut all = linked.gateway.counted_as();
    all.extend(lost);
    assert_eq!((all.len(), &linked.hub.counted_as()), (40, &all));
    assert_eq!(linked.hub.hall()["count"], 40);
    linked.pass(0);
    let sender = sender(&mut linked);
    assert_eq!(sender["forks"], 1);
    check_second(&sender["forked"], restored);
    check_fields(&peer(&linked), &json!({"behind_readings": 0, "sent_again": 0}));
    // Its sensors send again what it has lost.
    linked.gateway.accept(&afterwards);
    settle(&mut linked, 2);
    assert_eq!((linked.hub.counted_as(), &linked.hub.hall()["count"]), (all, &json!(40)));
}

/// That an instant is in this second: in which order a fold takes entries is not known.
#[track_caller]
fn check_second(said: &Value, ms: i64) {
    let second = |instant: &Value| instant.as_str().unwrap()[..19].to_owned();
    assert_eq!(second(said), second(&instant(ms)));
}

/// What of the coverage of an answer is about nodes that send.
fn covered(linked: &mut Linked) -> [Value; 3] {
    let answer = linked.hub.read("/v1/regions");
    linked.pass(0);
    ["senders", "silent_senders", "missing_readings"].map(|name| answer[name].clone())
}

fn forget(linked: &mut Linked, node: &str) -> u16 {
    let path = format!("/v1/senders/{node}");
    let status = linked.hub.change(Method::DELETE, &path, "").status.as_u16();
    linked.pass(0);
    status
}

#[test]
fn a_sender_that_was_forgotten_is_a_new_one_and_each_reading_counts_once() {
    let mut linked = Linked::new(&[]);
    accept(&mut linked, "d1", (0..10).map(|age| age * MINUTE));
    settle(&mut linked, 2);
    let known = sender(&mut linked);
    assert_eq!(covered(&mut linked), [json!(1), json!(0), json!(0)]);
    // It will be silent, and is forgotten then.
    linked.pass(DAY);
    let silent = covered(&mut linked);
    assert_eq!(silent[..2], [json!(1), json!(1)]);
    assert!(silent[2].as_i64().unwrap() >= 200, "{silent:?}");
    let node = known["node"].as_str().unwrap();
    assert_eq!((forget(&mut linked, node), forget(&mut linked, node)), (200, 404));
    assert_eq!(covered(&mut linked), [json!(0), json!(0), json!(0)]);
    assert_eq!(linked.hub.read("/v1/senders")["nodes"], json!([]));
    assert!(!linked.hub.metrics().contains("isotherm_sender_silent"));
    assert_eq!(linked.hub.hall()["count"], 10);

    linked.pass(0);
    let back = linked.now;
    accept(&mut linked, "d1", (0..7).map(|age| age * MINUTE));
    settle(&mut linked, 3);
    let new = sender(&mut linked);
    check_fields(&new, &json!({"node": node, "forks": 0, "forked": null}));
    check_second(&known["first_contact"], NOW);
    check_second(&new["first_contact"], back);
    assert_eq!(peer(&linked)["sent_again"], 1);
    assert_eq!(linked.hub.hall()["count"], 17);
    assert_eq!(covered(&mut linked), [json!(1), json!(0), json!(0)]);
}

/// A gateway of forty readings, of which the hub gets some before the link breaks. Returns
/// what arrived.
fn break_in_the_middle(linked: &mut Linked) -> Tried {
    accept(linked, "d1", (1..41).map(|age| age * MINUTE));
    // Each attempt has half as many readings as the one before.
    linked.set_link(Quality::Answers(408));
    linked.beat();
    linked.take_tried();
    linked.set_link(Quality::Breaks(1));
    linked.beat();
    let taken: Vec<Tried> = linked.take_tried().into_iter().filter(|one| one.was_taken).collect();
    let [taken] = taken[..] else { panic!("{taken:?}") };
    assert!(taken.readings > 0 && taken.behind > 0, "{taken:?}");
    taken
}

/// What the hub says in CSV and in its metrics at this time of its clock.
#[track_caller]
fn check_said(linked: &mut Linked, at: i64, taken: &Tried, (silent, missing): (i64, i64)) {
    // Each request takes a second.
    linked.hub.set_clock(at - 1_000);
    let coverage = linked.hub.coverage_of_csv();
    let (silent_senders, as_of) = (format!("silent_senders={silent}"), instant(taken.at));
    let missing_readings = format!("missing_readings={missing}");
    let said: Vec<&str> = coverage.split(", ").collect();
    assert_eq!(said.contains(&"silent_nodes=\"gw-1\""), silent == 1, "{coverage}");
    let as_of = format!("senders_as_of={as_of}");
    for wanted in ["senders=1", &silent_senders, &missing_readings, &as_of] {
        assert!(said.contains(&wanted), "no {wanted} in {coverage}");
    }
    linked.hub.set_clock(at - 1_000);
    let (node, metrics) = (linked.state()["node"].clone(), linked.hub.metrics());
    let behind = i64::try_from(taken.behind).unwrap();
    for (name, value) in [
        ("silent", silent),
        ("missing_readings", missing),
        ("behind_readings", behind),
        ("as_of_timestamp_seconds", taken.at / 1_000),
        ("forks_total", 0),
    ] {
        let name = format!("isotherm_sender_{name}{{node={node},name=\"gw-1\"}}");
        assert_eq!(metric(&metrics, &name), value, "{name}");
    }
}

#[test]
fn csv_and_metrics_say_how_much_of_a_silent_sender_is_missing_and_later_nothing() {
    let mut linked = Linked::new(&[("sender_silent_after", "10m")]);
    let taken = break_in_the_middle(&mut linked);
    // That beat began a minute ago.
    let contact = linked.now - MINUTE;
    let behind = 40 - i64::try_from(taken.readings).unwrap();
    assert_eq!(u64::try_from(behind), Ok(taken.behind));
    check_said(&mut linked, contact + 10 * MINUTE, &taken, (0, behind));
    // Forty in the 42 minutes for which it has readings: 57 an hour, and as many since.
    check_said(&mut linked, contact + 10 * MINUTE + 1_000, &taken, (1, behind + 9));
    check_said(&mut linked, contact + 30 * MINUTE, &taken, (1, behind + 28));
    check_said(&mut linked, contact + 90 * MINUTE, &taken, (1, behind + 85));

    linked.pass(90 * MINUTE);
    linked.set_link(Quality::Good);
    linked.beat();
    let back = linked.take_tried();
    let now = linked.now;
    check_said(&mut linked, now, back.last().unwrap(), (0, 0));
    assert_eq!(linked.hub.hall()["count"], 40);
}
