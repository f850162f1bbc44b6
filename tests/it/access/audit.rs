//! What is kept of who asked: the log, the counter of refusals, corrections, the last use.

use http::Method;
use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use super::{bearer, body, token, tokens};
use crate::support::assert::{check_fields, metric};
use crate::support::bare::ask;
use crate::support::node::Node;
use crate::support::readings::{in_hall, json_reading};
use crate::support::service::{Expect as _, until};

#[test]
fn what_a_token_does_not_allow_is_counted_and_logged_with_its_id() {
    let ([reader, device, root], lines) =
        tokens([("reader", "read:hall"), ("device", "write:d1@hall"), ("root", "admin")]);
    let service = Service::start(&[("auth", "on"), ("tokens", &lines)]).unwrap();
    let elsewhere = json_reading("d1", "attic", 1, now_ms()).to_string();
    for (method, path, token, sent) in [
        // By the scope of the route, by a region, and by each item of a batch.
        ("GET", "/v1/tokens", &reader, ""),
        ("GET", "/v1/regions/attic", &reader, ""),
        ("POST", "/v1/readings", &device, elsewhere.as_str()),
        ("GET", "/v1/events", &device, ""),
    ] {
        let headers = [("authorization", bearer(token))];
        assert_eq!(ask(&service, method, path, &headers, sent).status, 403, "{method} {path}");
    }
    for line in [
        "\"route\":\"GET /v1/tokens\",\"who\":\"reader\",\"status\":403",
        "\"route\":\"GET /v1/regions/{region}\",\"who\":\"reader\",\"status\":403",
        "\"route\":\"POST /v1/readings\",\"who\":\"device\",\"status\":403",
        "\"route\":\"GET /v1/events\",\"who\":\"device\",\"status\":403",
    ] {
        service.wait_for_log(line).unwrap();
    }
    // Of many in a moment, some are counted for the others.
    let headers = [("authorization", bearer(&root))];
    until("it is counted", || {
        let metrics = ask(&service, "GET", "/metrics", &headers, "").body;
        (metric(&metrics, "isotherm_auth_total{outcome=\"forbidden\"}") > 0).then_some(())
    });
}

#[test]
fn that_it_is_off_is_logged_with_the_first_readings_and_not_with_later_ones() {
    const LINE: &str = "\"message\":\"Access control is off: anyone who reaches the port can";
    let service = Service::start(&[]).unwrap();
    // Some of them fold after their answer.
    until("it is logged", || {
        service.accept(&in_hall("d1", now_ms()));
        service.log().contains(LINE).then_some(())
    });
    // Requests that meet at an empty store may each be the first.
    service.settled();
    let lines = service.log().matches(LINE).count();
    for _ in 0..20 {
        service.accept(&in_hall("d1", now_ms()));
    }
    service.settled();
    assert_eq!(service.log().matches(LINE).count(), lines, "{}", service.log());
    let ([root], lines) = tokens([("root", "read:* write:*@*")]);
    let service = Service::start(&[("auth", "on"), ("tokens", &lines)]).unwrap();
    let headers = [("authorization", bearer(&root)), ("prefer", "wait".to_owned())];
    let sent = in_hall("d1", now_ms()).to_string();
    assert_eq!(ask(&service, "POST", "/v1/readings", &headers, &sent).status, 200);
    assert_eq!(ask(&service, "GET", "/v1/regions", &headers, "").status, 200);
    service.wait_for_log("GET /v1/regions").unwrap();
    assert!(!service.log().contains("Access control is off"), "{}", service.log());
}

#[test]
fn each_way_to_be_forbidden_is_counted() {
    for (path, scope) in [
        ("/v1/tokens", "read:hall"),
        ("/v1/regions/attic", "read:hall"),
        ("/v1/regions", "metrics"),
    ] {
        let ([sent, root], lines) = tokens([("some", scope), ("root", "admin")]);
        let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines)]);
        assert_eq!(node.get_by(&sent, path).status, 403);
        let metrics = String::from_utf8(node.get_by(&root, "/metrics").body).unwrap();
        let count = metric(&metrics, "isotherm_auth_total{outcome=\"forbidden\"}");
        assert!(count > 0, "{path}: {count}");
    }
}

#[test]
fn a_correction_and_a_renaming_are_kept_with_the_token_that_made_them() {
    let (root, line) = token("root", &["admin"]);
    let service = Service::start(&[("auth", "on"), ("tokens", &line)]).unwrap();
    let headers = [("authorization", bearer(&root))];
    let at = now_ms();
    let send = |path: &str, sent: &Value| {
        ask(&service, Method::POST.as_str(), path, &headers, &sent.to_string())
    };
    assert_eq!(send("/v1/readings", &in_hall("d1", at)).status, 202);
    let correction = json!({"device_id": "d1", "timestamp": at, "expect_c": in_hall("d1", at)["temperature_c"],
                            "temperature_c": null, "reason": "a test"});
    let answer = send("/v1/corrections", &correction);
    assert_eq!(answer.status, 200, "{}", answer.body);
    check_fields(&answer.json().unwrap(), &json!({"state": "applied", "by": "root"}));
    let renaming = json!({"device_id": "d1", "rename": "d2", "reason": "labelled"});
    assert_eq!(send("/v1/corrections", &renaming).status, 200);
    let list = ask(&service, "GET", "/v1/corrections", &headers, "").json().unwrap();
    check_fields(&list["renamings"][0], &json!({"device_id": "d1", "into": "d2", "by": "root"}));
    check_fields(&list["corrections"][0], &json!({"device_id": "d2", "by": "root"}));
}

#[test]
fn a_node_that_lets_nobody_in_is_not_ready() {
    let mut node = Node::quiet(&[("auth", "on")]);
    for path in ["/readyz", "/readyz/ingest"] {
        let response = match path {
            "/readyz" => node.ask(path),
            _ => node.ask_ingest(&isotherm::http::Request::get(path)),
        };
        assert_eq!(response.status, 503, "{path}");
        let said = body(&response).to_string();
        assert!(said.contains("the variable auth has an invalid value"), "{path} {said}");
    }
    // A stranger is told the same, and no request lists the keys of the store.
    assert_eq!(node.ask("/v1/regions").status, 503);
    let (_, line) = token("root", &["admin"]);
    node.restart(&[("auth", "on"), ("tokens", &line)]);
    assert_eq!(node.ask("/readyz").status, 200);
    assert_eq!(node.ask("/v1/regions").status, 401);
}

#[test]
fn a_token_of_a_revoked_id_was_not_used_yet() {
    let (root, line) = token("root", &["admin"]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &line)]);
    let make = |node: &mut Node| {
        let wanted = json!({"id": "gw", "scopes": ["read:*"]});
        let answer = node.change_by(&root, Method::POST, "/v1/tokens", &wanted);
        body(&answer)["token"].as_str().unwrap().to_owned()
    };
    let first = make(&mut node);
    node.read_by(&first, "/v1/regions");
    let last_used = |node: &mut Node| {
        let list = node.read_by(&root, "/v1/tokens");
        let all = list["tokens"].as_array().unwrap();
        all.iter().find(|one| one["id"] == "gw").unwrap()["last_used"].clone()
    };
    assert!(last_used(&mut node).is_string());
    node.change_by(&root, Method::DELETE, "/v1/tokens/gw", &Value::Null);
    make(&mut node);
    assert_eq!(last_used(&mut node), Value::Null);
}
