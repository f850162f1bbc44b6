//! Headers and variables that nobody sends or sets in good faith.

use isotherm::http::{Header, Headers, Request};
use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use super::credentials::{of_id, session_of, start};
use super::{SESSION_KEY, bearer, get, jwt, token};
use crate::support::assert::check_retryable;
use crate::support::bare::{ask, exchange};
use crate::support::node::Node;
use crate::support::readings::in_hall;

/// The status of a GET whose head has these lines; `None` where the runtime ends the
/// connection.
fn status(service: &Service, path: &str, lines: &[(&str, String)]) -> Option<u16> {
    let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = exchange(service, &format!("GET {path} HTTP/1.1\r\n{lines}"), "");
    answer.ok().map(|answer| answer.status)
}

#[test]
fn credentials_that_are_too_long_or_too_many_open_nothing_and_stop_nothing() {
    let service = start("on");
    let root = of_id("root");
    let session = session_of(&service, &root);
    let line = |name: &'static str, value: String| (name, value);
    let authorization = |value: String| line("authorization", value);
    let long_jwt = jwt::hs256(&{
        let mut claims = jwt::claims("admin");
        claims["sub"] = json!("x".repeat(5_000));
        claims
    });
    let jar = format!("{}; {session}", format!("a={};", "x".repeat(1_000)).repeat(64));
    for (what, lines) in [
        ("10 KB", vec![authorization(bearer(&format!("isotherm_root_{}", "x".repeat(10_000))))]),
        (
            "10 KB behind a token",
            vec![authorization(bearer(&format!("{root}{}", "x".repeat(10_000))))],
        ),
        ("10 KB of spaces", vec![authorization(format!("Bearer {} {root}", " ".repeat(10_000)))]),
        ("a JWT of 6 KB", vec![authorization(bearer(&long_jwt))]),
        (
            "1,000 tokens in a line",
            vec![authorization(bearer(&vec![root.clone(); 1_000].join(",")))],
        ),
        (
            "two tokens in a line",
            vec![authorization(format!("{}, {}", bearer(&root), bearer(&root)))],
        ),
        ("1,000 lines", vec![authorization(bearer(&root)); 1_000]),
        ("the same twice", vec![authorization(bearer(&root)); 2]),
        ("good, then bad", vec![authorization(bearer(&root)), authorization(bearer("x"))]),
        ("bad, then good", vec![authorization(bearer("x")), authorization(bearer(&root))]),
        ("good, then empty", vec![authorization(bearer(&root)), authorization(String::new())]),
        ("64 KB of cookies", vec![line("cookie", jar.clone())]),
        ("a session twice", vec![line("cookie", session.clone()), line("cookie", session.clone())]),
        ("bad beside a session", vec![authorization(bearer("x")), line("cookie", session.clone())]),
        ("not ASCII", vec![authorization("Bearer \u{e4}\u{f6}".to_owned())]),
        ("an address", vec![line("spin-client-addr", "127.0.0.1:1".to_owned())]),
        ("a proxy's word", vec![line("x-forwarded-user", "root".to_owned())]),
    ] {
        for path in ["/v1/regions", "/v1/readings", "/v1/tokens"] {
            let found = status(&service, path, &lines);
            // A runtime may refuse so many or so long headers by itself.
            let is_refused = matches!(found, None | Some(400 | 401 | 431));
            assert!(is_refused, "{what} at {path}: {found:?}");
            let reached = what.contains("two") || what.contains("good") || what.contains("twice");
            assert!(!reached || found == Some(401), "{what} at {path}: {found:?}");
        }
        assert_eq!(status(&service, "/v1/regions", &[authorization(bearer(&root))]), Some(200));
    }
}

/// In this process, so that no runtime is in between.
#[test]
fn lines_of_a_header_are_not_tried_one_after_the_other() {
    let (root, lines) = token("root", &["admin"]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines)]);
    let mut asked = |values: Vec<String>| {
        let headers = Headers::from_lines(|name| match name {
            "authorization" => values.clone(),
            _ => Vec::new(),
        });
        let request = Request { headers, ..Request::get("/v1/regions") };
        node.asked(&request, "").status.as_u16()
    };
    assert_eq!(asked(vec![bearer(&root)]), 200);
    for values in [
        vec![bearer(&root); 2],
        vec![bearer(&root); 1_000],
        vec![bearer(&root), bearer("x")],
        vec![bearer("x"), bearer(&root)],
        vec![bearer(&root), String::new()],
        vec![String::new(), bearer(&root)],
        vec![format!("Basic {}", jwt::base64(format!("u:{root}").as_bytes())), bearer(&root)],
        vec![bearer(&format!("{root},{root}"))],
        vec![bearer(&"x".repeat(10_000))],
    ] {
        assert_eq!(asked(values.clone()), 401, "{values:?}");
    }
}

#[test]
fn a_token_in_the_address_is_no_credential() {
    let (root, lines) = token("root", &["admin"]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines)]);
    for name in ["token", "access_token", "authorization", "key"] {
        let path = format!("/v1/regions?{name}={root}");
        assert_eq!(node.asked(&Request::get(&path), "").status, 401);
        // A parameter that is not known never looks as if it were checked.
        assert_eq!(node.asked(&get(&path, &root), "").status, 400);
    }
}

/// Variables with a word that must not be seen: `hush`.
fn misconfigured() -> Vec<(&'static str, &'static str, String)> {
    let digest = "0".repeat(64);
    let hmac = |kid: usize| json!({"kty": "oct", "kid": format!("hush{kid}"), "alg": "HS256", "k": "hush".repeat(16)});
    let set = |keys: Vec<Value>| json!({"keys": keys}).to_string();
    let private = json!({
        "kty": "OKP", "kid": "hush", "crv": "Ed25519", "x": jwt::PUBLIC, "d": "hush",
    });
    vec![
        ("tokens", "scope with **", format!("hush {digest} read:**")),
        ("tokens", "no scope", format!("hush {digest}")),
        (
            "tokens",
            "a token",
            "isotherm_hush_0123456789012345678901234567890123456789012 admin".to_owned(),
        ),
        ("tokens", "an id twice", format!("hush {digest} admin;hush {digest} read:*")),
        ("jwt_keys", "nine keys", set((0..9).map(hmac).collect())),
        ("jwt_keys", "a kid twice", set(vec![hmac(1), hmac(1)])),
        ("jwt_keys", "a private part", set(vec![private])),
        ("jwt_keys", "no JSON", "hush".to_owned()),
        ("jwt_keys", "another kind", set(vec![json!({"kty": "RSA", "kid": "hush", "n": "hush"})])),
        ("session_key", "a short one", "hush".to_owned()),
        ("auth", "a wrong word", "yes".to_owned()),
    ]
}

#[test]
fn a_variable_that_can_not_be_used_is_named_without_its_value_and_opens_nothing() {
    for (name, what, text) in misconfigured() {
        let (root, line) = token("root", &["admin"]);
        let mut variables = vec![("auth", "on"), ("jwt_issuer", "i"), ("jwt_audience", "a")];
        variables.retain(|(known, _)| *known != name);
        if name != "tokens" {
            variables.push(("tokens", &line));
        }
        variables.push((name, &text));
        let service = Service::start_unchecked(&variables).unwrap();
        let ready = service.get("/readyz").unwrap();
        assert_eq!(ready.status, 503, "{name}, {what}: {}", ready.body);
        // What needs the variable is 503; without a credential nothing is open.
        let jwt = jwt::hs256(&jwt::claims("admin"));
        let hush = "isotherm_hush_0123456789012345678901234567890123456789012";
        for header in [None, Some(bearer(&jwt)), Some(bearer(hush)), Some("x".to_owned())] {
            let headers: Vec<_> = header.iter().map(|value| ("authorization", value)).collect();
            let answer = ask(&service, "GET", "/v1/regions", &headers, "");
            assert!(matches!(answer.status, 401 | 503), "{name}, {what}: {}", answer.body);
            assert!(!answer.body.contains("hush"), "{}", answer.body);
            let reading = in_hall("d", now_ms()).to_string();
            let answer = ask(&service, "POST", "/v1/readings", &headers, &reading);
            assert!(matches!(answer.status, 401 | 503), "{name}, {what}: {}", answer.body);
        }
        let by_root = [("authorization", bearer(&root))];
        let session = ask(&service, "POST", "/v1/session", &by_root, "");
        let by_jwt = ask(&service, "GET", "/v1/regions", &[("authorization", bearer(&jwt))], "");
        match name {
            "session_key" => check_retryable(&session, 503, "misconfigured"),
            "jwt_keys" => check_retryable(&by_jwt, 503, "misconfigured"),
            "auth" => check_retryable(&service.get("/v1/regions").unwrap(), 503, "misconfigured"),
            _ => {}
        }
        service.wait_for_log(name).unwrap();
        let log = service.log();
        let is_told = log.lines().any(|line| line.contains(name) && line.contains("variable"));
        assert!(is_told && !log.contains("hush") && !ready.body.contains("hush"), "{log}");
    }
}

#[test]
fn on_without_any_key_is_the_nodes_fault_and_open_to_nobody() {
    for session_key in ["", SESSION_KEY] {
        let variables = [("auth", "on"), ("session_key", session_key)];
        let service = Service::start(&variables).unwrap();
        let reading = in_hall("d", now_ms()).to_string();
        for header in ["Bearer x", "Basic x", ""] {
            let headers = [("authorization", header)];
            let answer = ask(&service, "POST", "/v1/readings", &headers, &reading);
            check_retryable(&answer, 503, "misconfigured");
            let answer = ask(&service, "POST", "/v1/tokens", &headers, "{}");
            check_retryable(&answer, 503, "misconfigured");
        }
        check_retryable(&service.get("/v1/regions").unwrap(), 503, "misconfigured");
        service.wait_for_log("variable tokens").unwrap();
        assert_eq!(service.get("/healthz").unwrap().status, 200);
    }
}

#[test]
fn the_embedded_runtime_does_not_start_with_a_bad_variable_and_says_which() {
    for (name, what, text) in misconfigured() {
        let mut variables = vec![("jwt_issuer", "i"), ("jwt_audience", "a")];
        variables.push((name, &text));
        let Err(error) = Service::start(&variables) else { panic!("it starts: {name}, {what}") };
        let said = format!("{error:#}");
        assert!(said.contains(&format!("variable {name}")), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

/// A `Header` of every request is bounded by the runtime; what reaches the application is
/// judged at once.
#[test]
fn a_jar_of_cookies_is_looked_at_up_to_a_bound() {
    let (root, lines) = token("root", &["admin"]);
    let variables = [("auth", "on"), ("tokens", lines.as_str()), ("session_key", SESSION_KEY)];
    let mut node = Node::quiet(&variables);
    let begin = Request::post("/v1/session").with(Header::Authorization, bearer(&root));
    let answer = node.asked(&begin, "");
    let cookie = crate::support::assert::header(&answer, "set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    for (bytes, expected) in [(0, 200), (10_000, 200), (64 * 1_024, 401)] {
        let jar = format!("a={}; {cookie}", "x".repeat(bytes));
        let request = Request::get("/v1/regions").with(Header::Cookie, jar);
        assert_eq!(node.asked(&request, "").status, expected, "{bytes}");
    }
}
