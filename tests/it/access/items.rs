//! What a credential sends: each item of a batch is judged by its device and its region.

use http::Method;
use isotherm::UnixMillis;
use isotherm::api::readings::{self, Begun};
use isotherm::http::{Header, Request};
use isotherm::internals::journal::keys;
use serde_json::{Value, json};

use super::{bearer, body, check_refused, tokens};
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{NOW, json_reading};

fn at_node(scopes: &str) -> (Node, String, String) {
    let ([device, root], lines) = tokens([("device", scopes), ("root", "admin")]);
    (Node::quiet(&[("auth", "on"), ("tokens", &lines)]), device, root)
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis::new(ms).unwrap()
}

fn one(device: &str, region: &str) -> Value {
    json_reading(device, region, 20.0, NOW)
}

fn reasons(answer: &Value, list: &str) -> Vec<(i64, String)> {
    let items = answer[list].as_array().unwrap().iter();
    let pair = |item: &Value| {
        (item["index"].as_i64().unwrap(), item["reason"].as_str().unwrap().to_owned())
    };
    items.map(pair).collect()
}

#[test]
fn what_is_outside_is_forbidden_and_the_rest_is_counted() {
    let (mut node, device, root) = at_node("write:d1@hall write:s-*@yard.*");
    let batch = json!([
        one("d1", "hall"),
        one("d1", "attic"),
        one("d2", "hall"),
        one("s-1", "yard.north"),
        one("s-1", "yard"),
        one("s", "yard.north"),
        {"unit": "F"},
        one("d11", "hall"),
        one("d1", "hall2"),
    ]);
    let answer = node.change_by(&device, Method::POST, "/v1/readings", &batch);
    let told = body(&answer);
    assert_eq!(answer.status, 202, "{told}");
    assert_eq!(told["accepted"], 2, "{told}");
    let expected = [1, 2, 4, 5, 6, 7, 8]
        .map(|index| (index, if index == 6 { "unknown_field" } else { "forbidden" }.to_owned()));
    assert_eq!(reasons(&told, "rejected"), expected);
    let regions = node.read_by(&root, "/v1/regions");
    let names: Vec<&Value> =
        regions["regions"].as_array().unwrap().iter().map(|r| &r["region"]).collect();
    assert_eq!(names, ["hall", "yard.north"]);
    for region in ["hall", "yard.north"] {
        let found = node.read_by(&root, &format!("/v1/regions/{region}"));
        check_fields(&found, &json!({"count": 1, "devices": 1}));
    }
    let metrics = String::from_utf8(node.get_by(&root, "/metrics").body).unwrap();
    let line = "isotherm_readings_rejected_total{reason=\"forbidden\"} 6";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}

#[test]
fn a_sender_that_waits_hears_the_same() {
    let (mut node, device, _) = at_node("write:*@hall");
    let request = Request::post("/v1/readings")
        .with(Header::Authorization, bearer(&device))
        .with(Header::ContentType, "application/json")
        .with(Header::Prefer, "wait");
    let batch = json!([one("a", "attic"), one("a", "hall"), one("b", "hall")]);
    let answer = node.asked(&request, &batch.to_string());
    let told = body(&answer);
    assert_eq!(answer.status, 200, "{told}");
    assert_eq!(told["outcomes"], json!(["rejected", "stored", "stored"]));
    assert_eq!(reasons(&told, "rejected"), [(0, "forbidden".to_owned())]);
}

#[test]
fn a_request_of_which_nothing_is_allowed_is_forbidden() {
    let (mut node, device, root) = at_node("write:d1@hall");
    for batch in
        [one("d1", "attic"), json!([one("d2", "hall")]), json!([one("d2", "hall"), one("d3", "x")])]
    {
        let answer = node.change_by(&device, Method::POST, "/v1/readings", &batch);
        check_refused(&answer, 403, "forbidden");
    }
    // The sender keeps the one that is only forbidden, whatever is wrong with another.
    let mixed = json!([one("d2", "hall"), {"unit": "F"}]);
    let answer = node.change_by(&device, Method::POST, "/v1/readings", &mixed);
    check_refused(&answer, 403, "forbidden");
    assert_eq!(node.read_by(&root, "/v1/regions")["regions"], json!([]));
}

#[test]
fn a_token_for_everything_is_asked_about_nothing() {
    for scopes in ["write:*@*", "admin", "read:* write:d*@* write:*@h* write:*@*"] {
        let (mut node, device, root) = at_node(scopes);
        let answer = node.change_by(&device, Method::POST, "/v1/readings", &one("x", "attic"));
        assert_eq!(answer.status, 202, "{}", body(&answer));
        assert_eq!(node.read_by(&root, "/v1/regions/attic")["count"], 1);
    }
    let (mut node, device, _) = at_node("read:* metrics");
    let answer = node.change_by(&device, Method::POST, "/v1/readings", &one("x", "attic"));
    check_refused(&answer, 403, "forbidden");
}

#[test]
fn the_door_that_was_read_with_a_token_is_read_again_if_the_body_came_late() {
    let ([kept, root], lines) = tokens([("kept", "write:*@*"), ("root", "admin")]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines), ("regions_max", "1")]);
    let wanted = json!({"id": "stored", "scopes": ["write:*@*"]});
    let made = body(&node.change_by(&root, Method::POST, "/v1/tokens", &wanted));
    let stored = made["token"].as_str().unwrap();
    let is_full = "pruned=0 published=0 newest=0 told=1 regions=1";
    for token in [kept.as_str(), stored] {
        // The body came at once, and later: until then it became known that there are as
        // many regions as may be.
        for (ms, status) in [(50, 202), (101, 422), (-101, 422)] {
            node.remove(keys::DOOR);
            let request = Request::post("/v1/readings").with(Header::Authorization, bearer(token));
            let now = at(NOW);
            let Begun::WantsBody(admitted) = readings::begin(&node.host, &request, now) else {
                panic!("{token} is not let in");
            };
            node.put(keys::DOOR, is_full.as_bytes());
            let reading = one("d", "new").to_string();
            let later = at(NOW + ms);
            let handled =
                readings::answer(&node.host, &request, &admitted, reading.as_bytes(), later);
            assert_eq!(handled.response.status, status, "{ms}: {}", body(&handled.response));
        }
    }
}
