//! What a token allows another node: to send as itself, and readings of its regions.

use http::Method;
use isotherm::http::{Header, Request, Response};
use isotherm::internals::exchange::peers::{Configured, register_in};
use isotherm::internals::exchange::push::prepare;
use isotherm::internals::ledger::database::Database;
use isotherm::internals::wire::batch::MEDIA_TYPE;
use serde_json::{Value, json};

use super::{bearer, body, tokens};
use crate::support::assert::check_fields;
use crate::support::node::{Node, PATIENT};
use crate::support::readings::{HOUR, NOW, at, json_reading};

/// The batch of a gateway that calls itself `name`: two readings of the hall, one of the attic,
/// and three corrections.
pub(super) fn batch(name: &str) -> Vec<u8> {
    let mut gateway = Node::quiet(&[]);
    let database = || Database::open(&gateway.host, PATIENT).unwrap();
    register_in(&database(), &[Configured::new(1, "http://hub")], at(NOW)).unwrap();
    let reading = |device, region, age| json_reading(device, region, 20.0, NOW - age);
    gateway.accept(&json!([
        reading("a", "hall", 3),
        reading("b", "attic", 2),
        reading("c", "hall", 1),
    ]));
    gateway.fold();
    let correction = |device: &str, age, region: Option<&str>| {
        json!({
            "device_id": device, "timestamp": NOW - age, "temperature_c": null, "reason": "a test",
            "expect_c": 20.0, "expect_region": region,
        })
    };
    for made in [
        correction("a", 3, Some("hall")),
        correction("b", 2, Some("attic")),
        // Of whatever region it is: for that a token must allow all.
        correction("c", 1, None),
    ] {
        let answer = gateway.change(Method::POST, "/v1/corrections", &made.to_string());
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
    let database = Database::open(&gateway.host, PATIENT).unwrap();
    prepare(&database, 1, name, at(NOW)).unwrap().unwrap().body
}

/// A hub, and the answer to this batch by a token with these scopes.
fn answered(scopes: &str, batch: &[u8]) -> (Node, String, Response) {
    let ([token, root], lines) = tokens([("gw", scopes), ("root", "admin")]);
    let mut hub = Node::quiet(&[("auth", "on"), ("tokens", &lines), ("retention", "0")]);
    let request = Request::post("/v1/readings")
        .with(Header::Authorization, bearer(&token))
        .with(Header::ContentType, MEDIA_TYPE);
    let answer = hub.deliver_bytes(&request, batch);
    (hub, root, answer)
}

#[test]
fn a_node_sends_as_itself_and_as_no_other() {
    let own = batch("gw-1");
    for (scopes, status) in [
        ("sync:gw-1@*", 202),
        ("sync:gw-*@hall", 202),
        ("sync:gw-2@* sync:gw-3@*", 403),
        ("sync:gw-12@*", 403),
        ("write:*@*", 403),
        ("read:*", 403),
        ("admin", 202),
    ] {
        let (mut hub, root, answer) = answered(scopes, &own);
        assert_eq!(answer.status, status, "{scopes}: {}", String::from_utf8_lossy(&answer.body));
        let senders = hub.read_by(&root, "/v1/senders");
        let known = senders["nodes"].as_array().unwrap().len();
        assert_eq!(known, usize::from(status == 202), "{scopes}: {senders}");
    }
    // The name is in the batch: another one is another node.
    let (_, _, answer) = answered("sync:gw-1@*", &batch("gw-2"));
    assert_eq!(answer.status, 403);
    assert_eq!(body(&answer)["type"], "urn:isotherm:problem:forbidden");
}

#[test]
fn of_a_batch_what_is_of_other_regions_is_forbidden_and_the_rest_is_counted() {
    let (mut hub, root, answer) = answered("sync:gw-1@hall", &batch("gw-1"));
    assert_eq!(answer.status, 202);
    let told = body(&answer);
    let forbidden = json!([{"reason": "forbidden", "indexes": [1]}]);
    check_fields(&told, &json!({"accepted": 2, "rejected": forbidden}));
    assert_eq!(told["rejected_corrections"], json!([1, 2]), "{told}");
    hub.fold();
    let regions = hub.read_by(&root, "/v1/regions");
    let names: Vec<&Value> =
        regions["regions"].as_array().unwrap().iter().map(|one| &one["region"]).collect();
    assert_eq!(names, ["hall"]);
    // One of the two was withdrawn by the correction that the token allows.
    check_fields(&hub.read_by(&root, "/v1/regions/hall"), &json!({"count": 1, "corrected": 1}));
    assert_eq!(hub.corrections().len(), 1);

    let (mut hub, root, answer) = answered("sync:gw-1@*", &batch("gw-1"));
    check_fields(&body(&answer), &json!({"accepted": 3, "rejected_corrections": []}));
    hub.fold();
    assert_eq!(hub.corrections().len(), 3);
    check_fields(&hub.read_by(&root, "/v1/regions/hall"), &json!({"count": 0}));
}

#[test]
fn which_node_a_region_lacks_readings_of_is_named_to_those_alone_that_read_everything() {
    let scopes = [("gw", "sync:gw-1@*"), ("all", "read:*"), ("hall", "read:hall")];
    let ([gateway, all, hall], lines) = tokens(scopes);
    let mut hub = Node::quiet(&[("auth", "on"), ("tokens", &lines), ("retention", "0")]);
    let request = Request::post("/v1/readings")
        .with(Header::Authorization, bearer(&gateway))
        .with(Header::ContentType, MEDIA_TYPE);
    assert_eq!(hub.deliver_bytes(&request, &batch("gw-1")).status, 202);
    hub.fold();
    let mut said = |token: &str| {
        let region = hub.read_by(token, "/v1/regions/hall");
        [region["behind_senders"].clone(), region["behind"].clone()]
    };
    assert_eq!([said(&all), said(&hall)], [[json!(0), json!([])], [json!(0), json!([])]]);
    hub.set_clock(NOW + HOUR);
    let mut said = |token: &str| {
        let region = hub.read_by(token, "/v1/regions/hall");
        [region["behind_senders"].clone(), region["behind"].clone()]
    };
    assert_eq!(said(&all), [json!(1), json!(["gw-1"])]);
    assert_eq!(said(&hall), [json!(1), json!(null)]);
}
