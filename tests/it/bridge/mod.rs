//! `isotherm-bridge`: what a broker of MQTT has acknowledged is counted once at the node,
//! whoever is killed or away meanwhile.
//!
//! `cargo xtask tools` unpacks mosquitto and its clients, and `cargo xtask test` says in
//! `ISOTHERM_MOSQUITTO` and `ISOTHERM_MOSQUITTO_CLIENTS` where they are; without them, these
//! tests are skipped by name.

mod started;

use isotherm::UnixMillis;
use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::started::{Bridge, Broker, SESSION};
use crate::sources::socket::{make_source, put_devices};
use crate::support::readings::json_reading;
use crate::support::relay::Relay;
use crate::support::service::{Expect as _, until};

/// Readings of `numbers`, an eighth of a degree each, on five topics.
fn publish_numbers(broker: &Broker, numbers: std::ops::Range<i64>) {
    let start = now_ms() - 3_600_000;
    for device in 0..5 {
        let of_device = numbers.clone().filter(|number| number % 5 == device);
        let one = |n: i64| json_reading(&format!("d{device}"), "hall", n as f64 / 8.0, start + n);
        let readings: Vec<Value> = of_device.map(one).collect();
        broker.publish(&format!("sensors/{device}"), &readings);
    }
}

/// The count and the sum of the first `count` numbers, as `Service::totals` has them.
fn totals(count: i64) -> (i64, i64) {
    (count, 125 * count * (count - 1) / 2)
}

#[track_caller]
fn wait_for_count(service: &Service, count: i64) {
    until("all of them are counted", || (service.totals().0 >= count).then_some(()));
    assert_eq!(service.totals(), totals(count));
}

#[test]
fn what_the_broker_took_is_counted_once_though_bridge_and_node_are_killed() {
    let broker = Broker::start("");
    let mut service = Service::start(&[]).unwrap();
    let link = Relay::to(&service.url());
    // Half a second for each message and topic: the bridge is killed in the middle.
    link.heal(10_000);
    let bridge = Bridge::subscribed(&broker, &link.url(), &[]);
    publish_numbers(&broker, 0..50);
    until("some were sent", || (link.sent() > 4_000).then_some(()));
    bridge.kill();
    let (counted, _) = service.totals();
    assert!((1..50).contains(&counted), "{counted} of 50 were counted: it was not in the middle");

    publish_numbers(&broker, 50..100);
    service.kill();
    link.heal(0);
    // It has messages in its hands when it is killed.
    let bridge = Bridge::start(&broker, &link.url(), &[]);
    bridge.wait_for("waiting: ");
    publish_numbers(&broker, 100..150);
    bridge.kill();

    service.run().unwrap();
    link.lead_to(&service.url());
    let bridge = Bridge::start(&broker, &link.url(), &[]);
    publish_numbers(&broker, 150..200);
    wait_for_count(&service, 200);
    let said = bridge.stop();
    assert!(said.contains(" refused 0, not settled 0\n"), "{said}");
    broker.check_nothing_is_left("sensors/0");
    assert_eq!(service.totals(), totals(200));
}

#[test]
fn what_the_node_never_takes_does_not_block_and_is_told_without_its_payload() {
    let broker = Broker::start("");
    let service = Service::start(&[]).unwrap();
    let bridge = Bridge::subscribed(&broker, &service.url(), &[]);
    let bad = json!({"device_id": "swordfish", "region": "swordfish", "swordfish": "swordfish"});
    let good = json_reading("d1", "hall", 1, now_ms());
    broker.publish("sensors/bad", &[bad, good]);
    until("the good one is counted", || (service.totals() == (1, 1_000)).then_some(()));
    let said = bridge.stop();
    assert!(said.contains("isotherm-bridge: refused, and not sent again: sensors/bad: 422 "));
    assert!(said.contains("isotherm-bridge: taken 1, refused 1, not settled 0\n"), "{said}");
    assert!(!said.contains("swordfish"), "{said}");
    broker.check_nothing_is_left("sensors/bad");
}

#[test]
fn with_a_wrong_token_messages_wait_for_the_right_one() {
    let now = UnixMillis::new(now_ms()).unwrap();
    let token = |seed| isotherm::new_token("gw", &[seed; 32], &["write:*@*", "read:*"], None, now);
    let ((right, line), (wrong, _)) = (token(1).unwrap(), token(2).unwrap());
    let service = Service::start(&[("auth", "on"), ("tokens", &line)]).unwrap();
    let broker = Broker::start("");
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{wrong}\n")).unwrap();
    let further = ["--token-file", file.to_str().unwrap()];
    let bridge = Bridge::subscribed(&broker, &service.url(), &further);
    publish_numbers(&broker, 0..50);
    bridge.wait_for("waiting: 401 unauthenticated");
    let header = [("authorization", format!("Bearer {right}"))];
    let header = header.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(service.get_with("/v1/regions/hall", &header).status, 404);

    std::fs::write(&file, format!("{right}\n")).unwrap();
    until("all of them are counted", || {
        let hall = service.get_with("/v1/regions/hall", &header).json().unwrap();
        (hall["count"] == 50 && hall["sum_millicelsius"] == totals(50).1).then_some(())
    });
    bridge.wait_for("going on");
    let said = bridge.stop();
    assert!(said.contains("taken 50, refused 0, not settled 0\n"), "{said}");
    assert!(![&right, &wrong].iter().any(|token| said.contains(*token)), "{said}");
    broker.check_nothing_is_left("sensors/0");
}

#[test]
fn while_the_broker_is_away_the_bridge_waits_and_then_goes_on() {
    let mut broker = Broker::prepare("");
    let mut service = Service::start(&[]).unwrap();
    let link = Relay::to(&service.url());
    let bridge = Bridge::start(&broker, &link.url(), &[]);
    bridge.wait_for("waiting: broker: ");
    broker.run();
    bridge.wait_for("subscribed at");
    publish_numbers(&broker, 0..10);
    wait_for_count(&service, 10);
    broker.stop();
    until("it waits again", || (bridge.count("waiting: broker: ") >= 2).then_some(()));
    broker.run();
    publish_numbers(&broker, 10..20);
    wait_for_count(&service, 20);
    assert_eq!(bridge.count("has no session"), 1, "the broker forgot it: {}", bridge.said());

    // What waits when it is ended stays with the broker, also when that one is ended.
    service.kill();
    publish_numbers(&broker, 20..30);
    bridge.wait_for("waiting: ");
    bridge.stop();
    broker.stop();
    broker.run();
    service.run().unwrap();
    link.lead_to(&service.url());
    let bridge = Bridge::start(&broker, &link.url(), &[]);
    wait_for_count(&service, 30);
    bridge.stop();
    broker.check_nothing_is_left("sensors/0");
}

#[test]
fn retained_messages_are_taken_only_if_asked_for() {
    let broker = Broker::start("");
    let service = Service::start(&[]).unwrap();
    let old = json_reading("d1", "hall", 1, now_ms()).to_string();
    broker.client("mosquitto_pub", &["-t", "sensors/1", "-r", "-s"], &old);
    let bridge = Bridge::subscribed(&broker, &service.url(), &[]);
    broker.publish("sensors/1", &[json_reading("d2", "hall", 2, now_ms())]);
    until("the new one is counted", || (service.totals() == (1, 2_000)).then_some(()));
    let said = bridge.stop();
    assert!(said.contains("taken 1, refused 0, retained and skipped 1, not"), "{said}");
    let bridge = Bridge::start(&broker, &service.url(), &["--retained"]);
    until("the old one is counted", || (service.totals() == (2, 3_000)).then_some(()));
    bridge.stop();
    broker.check_nothing_is_left("sensors/2");
}

/// A message of a source has a form of its own, and says its device by its topic alone.
#[test]
fn a_message_for_a_source_is_of_the_device_that_its_topic_names() {
    let broker = Broker::start("");
    let service = Service::start(&[]).unwrap();
    let mapping = json!({"body": "json", "take": [{"value": "temperature", "unit": "C"}],
        "device": ["#x-mqtt-topic"], "time": {"at": "ts", "as": "unix-ms"}});
    make_source(&service, "broker", &mapping);
    let table = "id,device,region\nsensors/1/up,door,hall\nsensors/Kühlraum/up,shelf,store\n";
    put_devices(&service, "broker", table);
    let bridge = Bridge::posting_to(&broker, &format!("{}/v1/in/broker", service.url()), &[]);
    bridge.wait_for("subscribed at");
    let sent = [("1", json!(4.5)), ("Kühlraum", json!(-18.25)), ("stray", json!(1.5))];
    for (place, temperature) in &sent {
        let message = json!({"temperature": temperature, "ts": now_ms()});
        broker.publish(&format!("sensors/{place}/up"), &[message]);
    }
    until("the known ones are counted", || (service.totals() == (2, -13_750)).then_some(()));
    for (region, sum) in [("hall", 4_500), ("store", -18_250)] {
        let figures = service.read(&format!("/v1/regions/{region}"));
        assert_eq!((&figures["count"], &figures["sum_millicelsius"]), (&json!(1), &json!(sum)));
    }
    // What is refused is written after its answer.
    let unknown = until("the other one is listed", || {
        let devices = service.read("/v1/sources/broker/unknown")["devices"].take();
        devices.as_array().is_some_and(|devices| !devices.is_empty()).then_some(devices)
    });
    assert_eq!(unknown.as_array().unwrap().len(), 1, "{unknown}");
    assert_eq!(unknown[0]["id"], "sensors/stray/up");
    assert_eq!((&unknown[0]["readings"], &unknown[0]["temperature_c"]), (&json!(1), &json!(1.5)));
    let said = bridge.stop();
    assert!(said.contains("taken 3, refused 0, not settled 0\n"), "{said}");
    broker.check_nothing_is_left("sensors/1/up");
}

/// More than the bridge holds, from a broker that sends all it has at once.
#[test]
fn a_broker_without_a_window_is_asked_again_for_what_was_too_much() {
    let broker = Broker::start("max_inflight_messages 0\n");
    let service = Service::start(&[]).unwrap();
    Bridge::subscribed(&broker, &service.url(), &[]).stop();
    publish_numbers(&broker, 0..1_500);
    let connections = || broker.log().matches(&format!(" as {SESSION} ")).count();
    let before = connections();
    let bridge = Bridge::start(&broker, &service.url(), &[]);
    wait_for_count(&service, 1_500);
    let said = bridge.stop();
    assert!(said.contains("taken 1500, refused 0, not settled 0\n"), "{said}");
    assert_eq!((connections() - before, said.matches("waiting").count()), (2, 0), "{said}");
    broker.check_nothing_is_left("sensors/0");
}
