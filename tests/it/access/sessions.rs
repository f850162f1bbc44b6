//! Sessions of the page: a cookie that reads what its credential may read, for as long as that
//! is valid.

use http::Method;
use isotherm::http::{Header, Request, Response};
use serde_json::{Value, json};

use super::jwt::{self, claims};
use super::{SESSION_KEY, bearer, body, check_refused, tokens};
use crate::support::assert::header;
use crate::support::node::Node;
use crate::support::readings::{HOUR, NOW, in_hall, instant};

fn node() -> (Node, [String; 2]) {
    let (tokens, lines) = tokens([("root", "admin"), ("writer", "write:*@*")]);
    let mut variables = vec![("auth", "on"), ("tokens", &lines), ("session_key", SESSION_KEY)];
    let jwt = jwt::variables();
    variables.extend(jwt.iter().map(|(name, value)| (*name, value.as_str())));
    (Node::quiet(&variables), tokens)
}

fn begin(node: &mut Node, credential: &str, origin: Option<&str>) -> Response {
    let mut request = Request::post("/v1/session").with(Header::Authorization, bearer(credential));
    if let Some(origin) = origin {
        request = request.with(Header::Origin, origin);
    }
    node.asked(&request, "")
}

/// The pair of name and value of a new session's cookie.
#[track_caller]
fn cookie(node: &mut Node, credential: &str) -> String {
    let answer = begin(node, credential, None);
    assert_eq!(answer.status, 200, "{}", body(&answer));
    header(&answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn with(node: &mut Node, cookie: &str, method: Method, path: &str, sent: &str) -> Response {
    let request = Request::with_method(method, path)
        .with(Header::Cookie, cookie)
        .with(Header::ContentType, "application/json");
    node.asked(&request, sent)
}

fn look(node: &mut Node, cookie: &str) -> Response {
    with(node, cookie, Method::GET, "/v1/regions", "")
}

fn make(node: &mut Node, root: &str, id: &str) -> String {
    let wanted = json!({"id": id, "scopes": ["read:*"]});
    let answer = node.change_by(root, Method::POST, "/v1/tokens", &wanted);
    assert_eq!(answer.status, 201, "{}", body(&answer));
    body(&answer)["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_cookie_is_kept_from_scripts_other_sites_and_plain_connections() {
    let (mut node, [root, _]) = node();
    for origin in [None, Some("https://plant.example"), Some("http://plant.example")] {
        let answer = begin(&mut node, &root, origin);
        let cookie = header(&answer, "set-cookie").unwrap();
        let (pair, flags) = cookie.split_once("; ").unwrap();
        assert!(pair.starts_with("__Host-isotherm="), "{cookie}");
        assert_eq!(flags, "Path=/; Max-Age=28800; HttpOnly; SameSite=Strict; Secure");
    }
    let answer = begin(&mut node, &root, Some("http://127.0.0.1:3000"));
    let cookie = header(&answer, "set-cookie").unwrap();
    assert!(cookie.starts_with("isotherm=") && !cookie.contains("Secure"), "{cookie}");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    assert_eq!(body(&answer)["scopes"], json!(["read:*", "metrics"]));
    let end = with(&mut node, "", Method::DELETE, "/v1/session", "");
    assert_eq!(end.status, 204);
    assert!(header(&end, "set-cookie").unwrap().contains("Max-Age=0"));
}

#[test]
fn a_session_reads_and_changes_nothing() {
    let (mut node, [root, writer]) = node();
    let session = cookie(&mut node, &root);
    assert_eq!(look(&mut node, &session).status, 200);
    let reading = in_hall("d", NOW).to_string();
    for (method, path, sent) in [
        (Method::POST, "/v1/readings", reading.as_str()),
        (Method::POST, "/v1/tokens", r#"{"id":"a","scopes":["admin"]}"#),
        (Method::DELETE, "/v1/tokens/a", ""),
        (Method::PUT, "/v1/devices/d", "{}"),
        (Method::POST, "/v1/corrections", "{}"),
        (Method::POST, "/v1/quarantine/retry", ""),
        (Method::POST, "/v1/session", ""),
        (Method::GET, "/v1/tokens", ""),
    ] {
        check_refused(&with(&mut node, &session, method, path, sent), 403, "forbidden");
    }
    assert_eq!(node.keys("token/1/"), 0);
    // One that may not read begins none.
    check_refused(&begin(&mut node, &writer, None), 403, "forbidden");
    // The header counts, and not the cookie beside it.
    let both = Request::get("/v1/regions").with(Header::Cookie, session.clone());
    let both = both.with(Header::Authorization, "Bearer x");
    check_refused(&node.asked(&both, ""), 401, "unauthenticated");
}

#[test]
fn a_session_ends_after_eight_hours_with_its_token_and_with_its_key() {
    let (mut node, [root, _]) = node();
    let reader = make(&mut node, &root, "reader");
    let session = cookie(&mut node, &reader);
    let begun = node.now.get();
    node.set_clock(begun + 8 * HOUR - 2_000);
    assert_eq!(look(&mut node, &session).status, 200);
    node.set_clock(begun + 8 * HOUR);
    let answer = look(&mut node, &session);
    check_refused(&answer, 401, "unauthenticated");
    // A clock that is set back makes none longer.
    node.set_clock(begun - HOUR);
    check_refused(&look(&mut node, &session), 401, "unauthenticated");

    node.set_clock(begun);
    assert_eq!(look(&mut node, &session).status, 200);
    for state in ["inactive", "active"] {
        let change = json!({"state": state});
        node.change_by(&root, Method::PUT, "/v1/tokens/reader", &change);
        let expected = if state == "active" { 200 } else { 401 };
        assert_eq!(look(&mut node, &session).status, expected);
    }
    node.change_by(&root, Method::DELETE, "/v1/tokens/reader", &Value::Null);
    check_refused(&look(&mut node, &session), 401, "unauthenticated");

    let session = cookie(&mut node, &root);
    let (_, lines) = tokens([("root", "admin")]);
    for (key, expected) in [(SESSION_KEY, 200), ("another-key-0123456789-0123456789", 401)] {
        let now = node.now;
        node.restart(&[("auth", "on"), ("tokens", &lines), ("session_key", key)]);
        node.now = now;
        assert_eq!(look(&mut node, &session).status, expected, "{key}");
    }
}

#[test]
fn a_session_does_not_outlive_its_token_in_another_one_of_the_same_id() {
    let (mut node, [root, _]) = node();
    let leaked = make(&mut node, &root, "reader");
    let session = cookie(&mut node, &leaked);
    node.change_by(&root, Method::DELETE, "/v1/tokens/reader", &Value::Null);
    let new = make(&mut node, &root, "reader");
    assert_eq!(node.get_by(&new, "/v1/regions").status, 200);
    check_refused(&look(&mut node, &session), 401, "unauthenticated");
}

#[test]
fn a_session_by_jwt_ends_when_the_jwt_does() {
    let (mut node, _) = node();
    let mut claims = claims("read:hall admin");
    claims["exp"] = json!(NOW / 1_000 + 600);
    let answer = begin(&mut node, &jwt::hs256(&claims), None);
    let told = body(&answer);
    assert_eq!(told["until"], instant(NOW + 600_000));
    assert_eq!(told["scopes"], json!(["read:*", "metrics"]));
    let who = told["who"].as_str().unwrap().to_owned();
    assert!(who.starts_with("jwt:") && !who.contains("ada"), "{who}");
    let session = header(&answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(look(&mut node, &session).status, 200);
    let shown = body(&with(&mut node, &session, Method::GET, "/v1/session", ""));
    assert_eq!(shown["who"], who);
    assert!(!session.contains(&jwt::base64url(b"ada@example.org")), "{session}");
    node.set_clock(NOW + 600_000);
    check_refused(&look(&mut node, &session), 401, "unauthenticated");
}

#[test]
fn without_a_key_or_with_a_short_one_there_is_no_session() {
    for key in ["", "short"] {
        let ([root], lines) = tokens([("root", "admin")]);
        let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines), ("session_key", key)]);
        check_refused(&begin(&mut node, &root, None), 503, "misconfigured");
        let forged = look(&mut node, "isotherm=310a.00");
        assert!(matches!(forged.status.as_u16(), 401 | 503));
        // Tokens work on.
        assert_eq!(node.get_by(&root, "/v1/regions").status, 200);
    }
}
