//! Names of devices and regions: as many as may be, and those that an older release took.

use http::Method;
use isotherm::internals::journal::{EntryName, keys};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::assert::check_fields;
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{NOW, json_reading};

/// A node with the two regions and the three devices that it may have, which knows it.
fn full() -> Node {
    let mut node = Node::quiet(&[("regions_max", "2"), ("devices_max", "3")]);
    let batch = |region: &str| -> Value {
        (0..5_000).map(|i| json_reading(&format!("d{}", i % 3), region, 1, NOW - i)).collect()
    };
    for round in 0..100 {
        node.accept(&batch(if round % 2 == 0 { "hall" } else { "attic" }));
        if node.text_at(keys::DOOR).contains(" regions=2 devices=3") {
            return node;
        }
    }
    panic!("the door never learned of it");
}

#[test]
fn new_names_are_rejected_where_there_are_as_many_as_may_be_and_known_ones_go_on() {
    let mut node = full();
    let body = node.accept(&json!([
        json_reading("d1", "hall", 1, NOW + 1),
        json_reading("d1", "cellar", 1, NOW + 2),
        json_reading("new", "hall", 1, NOW + 3),
    ]));
    assert_eq!(body["accepted"], 1, "{body}");
    for (position, index, variable) in [(0, 1, "regions_max"), (1, 2, "devices_max")] {
        let rejected = &body["rejected"][position];
        check_fields(rejected, &json!({"index": index, "reason": "too_many_names"}));
        assert!(rejected["detail"].as_str().unwrap().contains(variable), "{rejected}");
    }
    assert_eq!(node.status_of("/v1/regions/cellar"), 404);
    // While nobody can say which names are known, nobody is kept from sending.
    node.set_plan(Plan::sqlite_away());
    node.accept(&json_reading("new", "hall", 1, NOW + 4));
}

#[test]
fn a_correction_makes_no_name_where_there_are_as_many_as_may_be() {
    let mut node = full();
    let withdraw = |node: &mut Node, device: &str, region: &str| {
        let body = json!({"device_id": device, "timestamp": NOW, "expect_region": region,
                          "expect_c": 1, "temperature_c": null, "reason": "a test"});
        let answer = node.change(Method::POST, "/v1/corrections", &body.to_string());
        let text: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status.as_u16(), text["detail"].as_str().unwrap_or_default().to_owned())
    };
    for (device, region, variable) in
        [("d0", "cellar", "regions_max"), ("new", "attic", "devices_max")]
    {
        let (status, detail) = withdraw(&mut node, device, region);
        assert!(status == 422 && detail.contains(variable), "{status}: {detail}");
    }
    assert_eq!(withdraw(&mut node, "d0", "attic").0, 200);
    // While nobody can say which names are known, a correction is kept all the same.
    node.set_plan(Plan::sqlite_away());
    assert_eq!(withdraw(&mut node, "new", "attic").0, 202);
}

#[test]
fn a_raised_limit_of_names_holds_at_once() {
    let mut node = full();
    node.reject(&json_reading("d1", "cellar", 1, NOW + 2));
    node.restart(&[("regions_max", "9"), ("devices_max", "9")]);
    node.accept(&json_reading("d1", "cellar", 1, NOW + 5));
}

#[test]
fn names_that_no_client_can_ask_for_do_no_harm_where_an_older_release_took_them() {
    let mut node = Node::quiet(&[("retention", "0")]);
    // As an older release journaled it: version 2, one reading of device ".." in ".".
    let value = b"\x02\x01\x05\x01\x01.\x02..\x00\x02\x00\x00\x00".to_vec();
    let digest: String = Sha256::digest(&value).iter().map(|b| format!("{b:02x}")).collect();
    let key = format!("journal/2/{:012x}-00000001-{:08x}-{digest}", 5, value.len());
    node.put(&key, &value);
    let list = node.read("/v1/regions");
    check_fields(&list["regions"][0], &json!({"region": ".", "count": 1}));
    assert_eq!(list["quarantined_readings"], 0);
    // A new one is rejected at the door.
    node.reject(&json_reading("a", "..", 1, NOW));
    assert!(EntryName::from_key(&key).is_some());
}
