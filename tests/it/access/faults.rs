//! Stores that fail: a door that can't be looked up stays closed, and what is refused for that
//! is to be sent again.

use http::Method;
use isotherm::http::{Header, Request, Response};
use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use super::{SESSION_KEY, bearer, body, check_refused, get, token};
use crate::support::assert::{check_problem, check_retryable, header};
use crate::support::bare::ask;
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{NOW, in_hall, instant};
use crate::support::service::Expect as _;

/// A node with tokens in key-value: of all states, and beside them one of the variable.
struct Story {
    node: Node,
    root: String,
    reader: String,
    expired: String,
    revoked: String,
    inactive: String,
    /// The cookies of a session by the token of the variable, and by one of key-value.
    sessions: [String; 2],
}

fn story() -> Story {
    let (root, line) = token("root", &["admin"]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &line), ("session_key", SESSION_KEY)]);
    let mut make = |id: &str, expires: Value| {
        let wanted = json!({"id": id, "scopes": ["admin"], "expires": expires});
        let answer = node.change_by(&root, Method::POST, "/v1/tokens", &wanted);
        assert_eq!(answer.status, 201, "{}", body(&answer));
        body(&answer)["token"].as_str().unwrap().to_owned()
    };
    let reader = make("reader", Value::Null);
    let expired = make("expired", instant(NOW + 60_000));
    let (revoked, inactive) = (make("revoked", Value::Null), make("inactive", Value::Null));
    node.change_by(&root, Method::DELETE, "/v1/tokens/revoked", &Value::Null);
    node.change_by(&root, Method::PUT, "/v1/tokens/inactive", &json!({"state": "inactive"}));
    node.set_clock(NOW + 100_000);
    let sessions = [&root, &reader].map(|token| {
        let begin = Request::post("/v1/session").with(Header::Authorization, bearer(token));
        let answer = node.asked(&begin, "");
        header(&answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned()
    });
    Story { node, root, reader, expired, revoked, inactive, sessions }
}

impl Story {
    fn bad(&self) -> Vec<(&'static str, Option<String>)> {
        let wrong = self.root.replace("isotherm_root_", "isotherm_reader_");
        let unknown = self.root.replace("isotherm_root_", "isotherm_nobody_");
        vec![
            ("none", None),
            ("garbage", Some("garbage".to_owned())),
            ("wrong", Some(wrong)),
            ("unknown", Some(unknown)),
            ("expired", Some(self.expired.clone())),
            ("revoked", Some(self.revoked.clone())),
            ("inactive", Some(self.inactive.clone())),
        ]
    }

    /// One request, as the entry point makes it, with a body if it is a POST.
    fn asked(&mut self, method: &Method, path: &str, token: Option<&str>) -> Response {
        let mut request = Request::with_method(method.clone(), path)
            .with(Header::ContentType, "application/json");
        if let Some(token) = token {
            request = request.with(Header::Authorization, bearer(token));
        }
        let sent = match path {
            "/v1/tokens" if *method == Method::POST => {
                json!({"id": "new", "scopes": ["read:*"]}).to_string()
            }
            _ => in_hall("d", NOW).to_string(),
        };
        self.node.asked(&request, if *method == Method::POST { &sent } else { "" })
    }
}

const REQUESTS: [(Method, &str); 5] = [
    (Method::GET, "/v1/regions"),
    (Method::GET, "/v1/readings"),
    (Method::POST, "/v1/readings"),
    (Method::GET, "/v1/tokens"),
    (Method::GET, "/metrics"),
];

/// How a call fails: which, for how long, and whether its answer alone gets lost.
fn plans(call: usize) -> [Plan; 4] {
    let plan = || Plan::fail(call);
    [plan(), plan().for_ever(), plan().after_its_work(), plan().for_ever().after_its_work()]
}

/// How many calls a request makes, if nothing fails.
fn calls(story: &mut Story, method: &Method, path: &str, token: Option<&str>) -> usize {
    story.node.set_plan(Plan::none());
    story.asked(method, path, token);
    story.node.host.plan.calls()
}

#[test]
fn whatever_call_fails_a_bad_credential_is_let_in_by_none() {
    let mut story = story();
    for (name, token) in story.bad() {
        for (method, path) in &REQUESTS {
            let most = calls(&mut story, method, path, token.as_deref());
            for call in 1..=most {
                for plan in plans(call) {
                    story.node.set_plan(plan);
                    let status = story.asked(method, path, token.as_deref()).status;
                    assert!(
                        matches!(status.as_u16(), 401 | 503),
                        "{name} {method} {path}: {status}"
                    );
                }
            }
        }
    }
    story.node.set_plan(Plan::none());
    let root = story.root.clone();
    assert_eq!(story.node.read_by(&root, "/v1/regions")["regions"], json!([]));
}

#[test]
fn whatever_call_fails_a_good_credential_is_never_called_a_bad_one() {
    let mut story = story();
    for token in [story.root.clone(), story.reader.clone()] {
        for (method, path) in &REQUESTS {
            let most = calls(&mut story, method, path, Some(&token));
            assert!(most > 0);
            for call in 1..=most {
                for plan in plans(call) {
                    story.node.set_plan(plan);
                    let answer = story.asked(method, path, Some(&token));
                    let is_well = answer.status.is_success() || answer.status == 503;
                    assert!(is_well, "{method} {path}, call {call} of {most}: {}", answer.status);
                    assert!(answer.status != 503 || header(&answer, "retry-after").is_some());
                }
            }
        }
    }
}

#[test]
fn whatever_call_fails_a_token_that_is_said_to_be_revoked_is() {
    let mut story = story();
    let (root, path) = (story.root.clone(), "/v1/tokens/victim");
    for call in 1.. {
        let mut is_through = true;
        for plan in plans(call) {
            let wanted = json!({"id": "victim", "scopes": ["read:*"]});
            let made = story.node.change_by(&root, Method::POST, "/v1/tokens", &wanted);
            let victim = body(&made)["token"].as_str().unwrap().to_owned();
            story.node.set_plan(plan);
            let answer = story.node.change_by(&root, Method::DELETE, path, &Value::Null);
            let failed = answer.status == 503;
            is_through &= story.node.host.plan.calls() < call;
            story.node.set_plan(Plan::none());
            let after = story.node.get_by(&victim, "/v1/regions").status;
            assert!(failed || answer.status == 200, "{}", body(&answer));
            assert!(failed || after == 401, "call {call}: {after}");
            story.node.change_by(&root, Method::DELETE, path, &Value::Null);
        }
        if is_through {
            assert!(call > 2, "{call} calls are hardly all");
            return;
        }
    }
}

#[test]
fn while_key_value_is_away_tokens_of_the_variable_work_and_others_are_to_wait() {
    let mut story = story();
    story.node.set_plan(Plan::key_value_away());
    let (root, reader) = (story.root.clone(), story.reader.clone());
    let [by_root, by_reader] = story.sessions.clone();
    // The averages need no key-value to be let in for.
    assert_ne!(story.node.get_by(&root, "/v1/regions").status, 401);
    let posted = story.asked(&Method::POST, "/v1/readings", Some(&root));
    assert!(posted.status.is_success(), "{}", body(&posted));
    let wrong = root.replace("isotherm_root_", "isotherm_nobody_");
    for token in [&reader, &wrong, &story.revoked.clone()] {
        for (method, path) in &REQUESTS {
            let answer = story.asked(method, path, Some(token));
            assert_eq!(answer.status, 503, "{method} {path}: {}", body(&answer));
            assert!(header(&answer, "retry-after").is_some());
        }
    }
    let mut look = |cookie: &str| {
        let request = Request::get("/v1/session").with(Header::Cookie, cookie);
        story.node.asked(&request, "").status.as_u16()
    };
    assert_eq!([look(&by_root), look(&by_reader)], [200, 503]);
    check_refused(&story.asked(&Method::GET, "/v1/regions", None), 401, "unauthenticated");
    // A wrong secret of an id that the variable has is known to be wrong.
    let last = if root.ends_with('A') { "B" } else { "A" };
    let off = format!("{}{last}", &root[..root.len() - 1]);
    check_refused(&story.node.asked(&get("/v1/regions", &off), ""), 401, "unauthenticated");
}

#[test]
fn without_a_key_in_the_variables_a_store_that_is_away_is_503_for_all() {
    let mut node = Node::quiet(&[("auth", "on")]);
    for plan in [Plan::key_value_away(), Plan::fail(1).for_ever(), Plan::none()] {
        node.set_plan(plan);
        for request in [Request::get("/v1/regions"), get("/v1/regions", "x")] {
            assert_eq!(node.asked(&request, "").status, 503);
        }
    }
}

#[test]
fn over_a_socket_stores_that_fail_open_nothing_either() {
    let (root, line) = token("root", &["admin"]);
    let service = Service::start_faulty(&[("auth", "on"), ("tokens", &line)]).unwrap();
    let by = |token: &str| [("authorization", bearer(token))];
    let wanted = json!({"id": "gw", "scopes": ["write:*@*", "read:*"]}).to_string();
    let made = ask(&service, "POST", "/v1/tokens", &by(&root), &wanted);
    let gateway = made.json().unwrap()["token"].as_str().unwrap().to_owned();
    let reading = in_hall("d", now_ms()).to_string();
    for effect in ["fail", "lost", "locked"] {
        service.fail("key_value", effect);
        let answer = ask(&service, "POST", "/v1/readings", &by(&gateway), &reading);
        check_retryable(&answer, 503, "store-unavailable");
        let unknown = gateway.replace("isotherm_gw_", "isotherm_no_");
        let answer = ask(&service, "GET", "/v1/regions", &by(&unknown), "");
        check_retryable(&answer, 503, "store-unavailable");
        let answer = ask(&service, "POST", "/v1/readings", &by(&root), &reading);
        assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
        service.heal();
        assert_eq!(ask(&service, "POST", "/v1/readings", &by(&gateway), &reading).status, 202);
        let answer = ask(&service, "GET", "/v1/regions", &by(&unknown), "");
        check_problem(&answer, 401, "unauthenticated");
    }
}
