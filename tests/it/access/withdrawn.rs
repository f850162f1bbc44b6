//! Tokens that are made, withdrawn, changed for others under load, and when they were last
//! used.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Sender;
use serde_json::{Value, json};

use super::{bearer, body, check_refused, get, token, tokens};
use crate::support::assert::{check_fields, check_problem};
use crate::support::bare::ask;
use crate::support::node::Node;
use crate::support::readings::{HOUR, NOW, in_hall, instant, secret_of};
use crate::support::service::until;

/// A service, and the token of its administrator.
fn service() -> (Service, String) {
    let (root, line) = token("root", &["admin"]);
    (Service::start(&[("auth", "on"), ("tokens", &line)]).unwrap(), root)
}

/// Makes a token by `POST /v1/tokens`.
#[track_caller]
fn made(service: &Service, root: &str, id: &str, scopes: &[&str]) -> String {
    let headers = [("authorization", bearer(root))];
    let wanted = json!({"id": id, "scopes": scopes}).to_string();
    let answer = ask(service, "POST", "/v1/tokens", &headers, &wanted);
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json().unwrap()["token"].as_str().unwrap().to_owned()
}

fn status(sender: &Sender, token: &str) -> u16 {
    let headers = [("authorization", bearer(token))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    sender.send_with(&Method::GET, "/v1/regions", &headers).unwrap().status
}

#[test]
fn a_revoked_token_is_refused_by_the_next_request_on_any_connection() {
    let (service, root) = service();
    let other = Sender::new(service.sender().url(), std::time::Duration::from_secs(10));
    let device = made(&service, &root, "reader", &["read:*"]);
    for sender in [service.sender(), &other] {
        assert_eq!(status(sender, &device), 200);
    }
    let change = |method: &str, sent: &str| {
        let headers = [("authorization", bearer(&root))];
        ask(&service, method, "/v1/tokens/reader", &headers, sent).status
    };
    assert_eq!(change("PUT", r#"{"state":"inactive"}"#), 200);
    assert_eq!([status(service.sender(), &device), status(&other, &device)], [401, 401]);
    assert_eq!(change("PUT", r#"{"state":"active"}"#), 200);
    assert_eq!([status(service.sender(), &device), status(&other, &device)], [200, 200]);
    assert_eq!(change("DELETE", ""), 200);
    assert_eq!([status(service.sender(), &device), status(&other, &device)], [401, 401]);
    // Its secret was right, so the log may say whose request it was.
    service.wait_for_log("\"who\":\"reader\",\"status\":401").unwrap();
    // It can't be undone.
    assert_eq!(change("PUT", r#"{"state":"active"}"#), 409);
    assert_eq!(status(&other, &device), 401);
    // Another one of the same id is another one.
    let again = made(&service, &root, "reader", &["read:*"]);
    assert_ne!(again, device);
    assert_eq!([status(&other, &again), status(&other, &device)], [200, 401]);
}

#[test]
fn no_change_at_the_same_time_undoes_a_revocation() {
    let (service, root) = service();
    let headers = [("authorization", bearer(&root))];
    for round in 0..40 {
        let id = format!("t{round}");
        let token = made(&service, &root, &id, &["read:*"]);
        let path = format!("/v1/tokens/{id}");
        let change = |method: &str, sent: &str| ask(&service, method, &path, &headers, sent).status;
        let revoked = std::thread::scope(|scope| {
            let other = scope.spawn(|| change("PUT", r#"{"state":"active"}"#));
            let revoked = change("DELETE", "");
            assert!(matches!(other.join().unwrap(), 200 | 409));
            revoked
        });
        assert_eq!(revoked, 200, "{id}");
        assert_eq!(status(service.sender(), &token), 401, "{id}");
        assert_eq!(change("PUT", r#"{"state":"active"}"#), 409, "{id}");
    }
}

#[test]
fn of_two_tokens_of_one_id_made_at_the_same_time_one_is_shown_and_works() {
    let (service, root) = service();
    let headers = [("authorization", bearer(&root))];
    // The first token ever is made before: then the key is there that requests compete for.
    made(&service, &root, "first", &["read:*"]);
    for round in 0..40 {
        let wanted = json!({"id": format!("t{round}"), "scopes": ["read:*"]}).to_string();
        let make = || ask(&service, "POST", "/v1/tokens", &headers, &wanted);
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(make);
            [make(), other.join().unwrap()]
        });
        let mut statuses = both.each_ref().map(|answer| answer.status);
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", both[0].body, both[1].body);
        let shown = both.iter().find(|answer| answer.status == 201).unwrap().json().unwrap();
        assert_eq!(status(service.sender(), shown["token"].as_str().unwrap()), 200);
    }
}

#[test]
fn a_token_that_a_killed_request_has_claimed_can_be_made_a_little_later() {
    let (root, line) = token("root", &["admin"]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &line)]);
    let wanted = json!({"id": "gw", "scopes": ["read:*"]});
    assert_eq!(node.change_by(&root, Method::POST, "/v1/tokens", &wanted).status, 201);
    // As if the process had ended between the claim and the storing.
    node.remove("token/1/gw");
    check_refused(
        &node.change_by(&root, Method::POST, "/v1/tokens", &wanted),
        409,
        "contradicting",
    );
    node.set_clock(NOW + 60_000);
    assert_eq!(node.change_by(&root, Method::POST, "/v1/tokens", &wanted).status, 201);
    // A revoked one can be made again at once.
    node.change_by(&root, Method::DELETE, "/v1/tokens/gw", &Value::Null);
    assert_eq!(node.change_by(&root, Method::POST, "/v1/tokens", &wanted).status, 201);
}

#[test]
fn a_rotation_under_load_refuses_nobody() {
    let (service, root) = service();
    let old = made(&service, &root, "gw-1", &["write:*@hall"]);
    let (has_new, stops) = (std::sync::OnceLock::new(), AtomicBool::new(false));
    let (by_old, by_new, next) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let sender = Sender::new(service.sender().url(), std::time::Duration::from_secs(10));
        while !stops.load(Ordering::SeqCst) {
            let new: Option<&String> = has_new.get();
            let number = next.fetch_add(1, Ordering::SeqCst);
            let reading = in_hall(&format!("d{number}"), now_ms()).to_string();
            let authorization = bearer(new.unwrap_or(&old));
            let headers = [("authorization", authorization.as_str())];
            let answer = sender.post(reading.as_bytes(), &headers).unwrap();
            assert_eq!(answer.status, 202, "{}", answer.body);
            if new.is_some() { &by_new } else { &by_old }.fetch_add(1, Ordering::SeqCst);
        }
    };
    let after = |counter: &AtomicUsize, more: usize| {
        let wanted = counter.load(Ordering::SeqCst) + more;
        until("more are sent", || (counter.load(Ordering::SeqCst) >= wanted).then_some(()));
    };
    std::thread::scope(|scope| {
        // The scope waits for them, also if this thread panics.
        let ends = Ends(&stops);
        let senders = [scope.spawn(work), scope.spawn(work), scope.spawn(work)];
        let is_well = || assert!(!senders.iter().any(|one| one.is_finished()), "one was refused");
        after(&by_old, 20);
        let new = made(&service, &root, "gw-1b", &["write:*@hall"]);
        after(&by_old, 20);
        has_new.set(new).unwrap();
        // Each has at most one request on its way with the old one.
        after(&by_new, 20);
        is_well();
        let headers = [("authorization", bearer(&root))];
        assert_eq!(ask(&service, "DELETE", "/v1/tokens/gw-1", &headers, "").status, 200);
        after(&by_new, 40);
        is_well();
        drop(ends);
    });
    let sent = by_old.load(Ordering::SeqCst) + by_new.load(Ordering::SeqCst);
    let headers = [("authorization", bearer(&root))];
    let count = until("all are counted", || {
        let hall = ask(&service, "GET", "/v1/regions/hall", &headers, "").json().unwrap();
        (hall["unfolded_entries"] == 0).then(|| hall["count"].clone())
    });
    assert_eq!(count, sent);
    let reading = in_hall("d", now_ms()).to_string();
    let answer =
        ask(&service, "POST", "/v1/readings", &[("authorization", bearer(&old))], &reading);
    check_problem(&answer, 401, "unauthenticated");
}

/// Ends the senders when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn node() -> (Node, String) {
    let ([root], line) = tokens([("root", "admin")]);
    (Node::quiet(&[("auth", "on"), ("tokens", &line)]), root)
}

#[track_caller]
fn made_at(node: &mut Node, root: &str, wanted: &Value) -> String {
    let answer = node.change_by(root, Method::POST, "/v1/tokens", wanted);
    assert_eq!(answer.status, 201, "{}", body(&answer));
    body(&answer)["token"].as_str().unwrap().to_owned()
}

/// What the list has of a token.
#[track_caller]
fn listed(node: &mut Node, root: &str, id: &str) -> Value {
    let list = node.read_by(root, "/v1/tokens");
    let rows = list["tokens"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == id).unwrap().clone()
}

#[test]
fn the_last_use_is_told_to_the_hour_and_written_once_an_hour() {
    let (mut node, root) = node();
    let hour = NOW - NOW % HOUR;
    let reader = made_at(&mut node, &root, &json!({"id": "reader", "scopes": ["read:*"]}));
    assert_eq!(listed(&mut node, &root, "reader")["last_used"], Value::Null);
    node.read_by(&reader, "/v1/regions");
    assert_eq!(listed(&mut node, &root, "reader")["last_used"], instant(hour));
    // The same hour, written in another way: a write would be seen.
    let other = format!("+{hour}");
    node.put("token-use/1/reader", other.as_bytes());
    for _ in 0..20 {
        node.read_by(&reader, "/v1/regions");
    }
    assert_eq!(node.text_at("token-use/1/reader"), other);
    node.set_clock(hour + HOUR);
    node.read_by(&reader, "/v1/regions");
    assert_eq!(node.text_at("token-use/1/reader"), (hour + HOUR).to_string());
    assert_eq!(listed(&mut node, &root, "reader")["last_used"], instant(hour + HOUR));
    // Of a token in the variable, too; and a refused request is no use.
    assert_eq!(listed(&mut node, &root, "root")["last_used"], instant(hour + HOUR));
    node.set_clock(hour + 2 * HOUR);
    let wrong = format!("{}A", &reader[..reader.len() - 1]);
    let wrong = if wrong == reader { format!("{}B", &reader[..reader.len() - 1]) } else { wrong };
    check_refused(&node.get_by(&wrong, "/v1/regions"), 401, "unauthenticated");
    assert_eq!(listed(&mut node, &root, "reader")["last_used"], instant(hour + HOUR));
}

#[test]
fn a_token_ends_when_it_expires_and_the_list_shows_no_secret() {
    let (mut node, root) = node();
    let wanted = json!({"id": "guest", "scopes": ["read:*"], "expires": instant(NOW + HOUR)});
    let guest = made_at(&mut node, &root, &wanted);
    node.read_by(&guest, "/v1/regions");
    let found = listed(&mut node, &root, "guest");
    let expected = json!({
        "scopes": ["read:*"], "state": "active", "expires": instant(NOW + HOUR), "origin": "stored",
    });
    check_fields(&found, &expected);
    let list = String::from_utf8(node.get_by(&root, "/v1/tokens").body).unwrap();
    for secret in [&guest, &root] {
        let digest = token("root", &["admin"]).1;
        assert!(!list.contains(secret_of(secret)), "{list}");
        assert!(!list.contains(digest.split(' ').nth(1).unwrap()), "{list}");
    }
    node.set_clock(NOW + HOUR);
    let answer = node.get_by(&guest, "/v1/regions");
    check_refused(&answer, 401, "unauthenticated");
    assert!(body(&answer)["detail"].as_str().unwrap().contains("expired"));
}

#[test]
fn what_is_no_token_is_not_made() {
    let (mut node, root) = node();
    for wanted in [
        json!({}),
        json!({"id": "a"}),
        json!({"id": "a", "scopes": []}),
        json!({"id": "a", "scopes": ["read:**"]}),
        json!({"id": "a", "scopes": ["read:a", "read:*b"]}),
        json!({"id": "a", "scopes": ["read:a write:a@b"]}),
        json!({"id": "a", "scopes": ["root"]}),
        json!({"id": "a", "scopes": "admin"}),
        json!({"id": "a", "scopes": vec!["metrics"; 33]}),
        json!({"id": "a_b", "scopes": ["admin"]}),
        json!({"id": "a b", "scopes": ["admin"]}),
        json!({"id": "a\nb", "scopes": ["admin"]}),
        json!({"id": "a".repeat(33), "scopes": ["admin"]}),
        json!({"id": "", "scopes": ["admin"]}),
        json!({"id": "a", "scopes": ["admin"], "expires": "soon"}),
        json!({"id": "a", "scopes": ["admin"], "expires": instant(NOW - 1)}),
        json!({"id": "a", "scopes": ["admin"], "token": "isotherm_a_x"}),
        json!({"id": "a", "scopes": ["admin"], "state": "active"}),
    ] {
        let answer = node.change_by(&root, Method::POST, "/v1/tokens", &wanted);
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{wanted}: {}", body(&answer));
    }
    assert_eq!(node.keys("token/1/"), 0);
    made_at(&mut node, &root, &json!({"id": "a", "scopes": ["read:*"]}));
    for id in ["a", "root"] {
        let wanted = json!({"id": id, "scopes": ["admin"]});
        let answer = node.change_by(&root, Method::POST, "/v1/tokens", &wanted);
        check_refused(&answer, 409, "contradicting");
    }
    // What is in the variable is changed there.
    let answer = node.change_by(&root, Method::DELETE, "/v1/tokens/root", &Value::Null);
    check_refused(&answer, 409, "contradicting");
    assert_eq!(node.asked(&get("/v1/tokens", &root), "").status, 200);
}
