//! Who may send by a source: tokens, and ingest keys, which may stand in a URL.

use http::Method;
use isotherm::http::{Header, Request};
use serde_json::json;

use crate::access::{body, check_refused, token, tokens};
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{HOUR, NOW};

fn mapping() -> serde_json::Value {
    json!({
        "body": "json", "take": [{"value": "t", "unit": "C"}], "device": ["@id"],
        "region": ["hall"], "time": {"at": "at", "as": "unix-ms"},
    })
}

const SOURCES: &str = r#"{"probe": {"body":"json","take":[{"value":"t","unit":"C"}],"device":["@id"],"region":["hall"],"time":{"at":"at","as":"unix-ms"}}, "other": "preset:shelly-gen1", "wunderground": "preset:wunderground"}"#;

fn message(at: i64) -> String {
    json!({"id": "d1", "t": 20, "at": at}).to_string()
}

fn node() -> (Node, [String; 4]) {
    let ([admin, key, writer, reader], variable) = tokens([
        ("admin", "admin"),
        ("key", "source:probe"),
        ("writer", "write:d1@hall"),
        ("reader", "read:*"),
    ]);
    let node = Node::quiet(&[("auth", "on"), ("tokens", &variable), ("sources", SOURCES)]);
    (node, [admin, key, writer, reader])
}

fn by(token: &str, path: &str) -> Request {
    Request::post(path).with(Header::Authorization, format!("Bearer {token}"))
}

#[test]
fn a_key_sends_by_its_source_and_does_nothing_else() {
    let (mut node, [_, key, ..]) = node();
    assert!(key.starts_with("isokey_key_"), "{key}");
    for request in [
        Request::post(&format!("/v1/in/probe/{key}")),
        by(&key, "/v1/in/probe"),
        by(&key, "/v1/in/probe/anything"),
    ] {
        assert_eq!(node.deliver(&request, &message(NOW)).status, 204, "{}", request.path);
    }
    for request in [
        Request::post(&format!("/v1/in/other/{key}")),
        by(&key, "/v1/in/other"),
        by(&key, "/v1/readings"),
        Request::get("/v1/regions").with(Header::Authorization, format!("Bearer {key}")),
        Request::get("/v1/sources").with(Header::Authorization, format!("Bearer {key}")),
        Request::get("/metrics").with(Header::Authorization, format!("Bearer {key}")),
    ] {
        let answer = match request.path.starts_with("/v1/in") || request.method == Method::POST {
            true => node.deliver(&request, &message(NOW)),
            false => isotherm::api::router::answer(&node.host, &request, node.now).response,
        };
        check_refused(&answer, 403, "forbidden");
    }
}

#[test]
fn an_ordinary_token_is_taken_from_a_header_alone() {
    let (mut node, [admin, _, writer, reader]) = node();
    for token in [&admin, &writer] {
        let in_url = Request::post(&format!("/v1/in/probe/{token}"));
        check_refused(&node.deliver(&in_url, &message(NOW)), 401, "unauthenticated");
        assert_eq!(node.deliver(&by(token, "/v1/in/probe"), &message(NOW)).status, 204);
    }
    check_refused(&node.deliver(&by(&reader, "/v1/in/probe"), &message(NOW)), 403, "forbidden");
    check_refused(
        &node.deliver(&Request::post("/v1/in/probe"), &message(NOW)),
        401,
        "unauthenticated",
    );
    // What the token does not allow is refused item by item, and seen.
    let other = json!({"id": "d2", "t": 20, "at": NOW}).to_string();
    assert_eq!(node.deliver(&by(&writer, "/v1/in/probe"), &other).status, 204);
    let request =
        Request::get("/v1/sources").with(Header::Authorization, format!("Bearer {admin}"));
    let seen = body(&isotherm::api::router::answer(&node.host, &request, node.now).response);
    let probe =
        seen["sources"].as_array().unwrap().iter().find(|s| s["source"] == "probe").unwrap();
    check_fields(probe, &json!({"refused": {"forbidden": 1}, "kept_in": "variable"}));
}

#[test]
fn a_revoked_key_is_refused_by_the_next_request() {
    let (mut node, [admin, ..]) = node();
    let wanted = json!({"id": "door", "scopes": ["source:probe"]}).to_string();
    let request = by(&admin, "/v1/tokens");
    let made =
        isotherm::api::router::answer_with(&node.host, &request, wanted.as_bytes(), node.now);
    let key = body(&made.response)["token"].as_str().unwrap().to_owned();
    let path = format!("/v1/in/probe/{key}");
    assert_eq!(node.deliver(&Request::post(&path), &message(NOW)).status, 204);
    let revoke = Request::with_method(Method::DELETE, "/v1/tokens/door")
        .with(Header::Authorization, format!("Bearer {admin}"));
    let revoked = isotherm::api::router::answer(&node.host, &revoke, node.now);
    assert!(revoked.response.status.is_success());
    check_refused(&node.deliver(&Request::post(&path), &message(NOW)), 401, "unauthenticated");
}

#[test]
fn a_key_that_is_used_too_often_waits_for_the_next_minute() {
    let (mut node, [_, key, writer, _]) = node();
    let path = format!("/v1/in/probe/{key}");
    let mut refused = 0;
    for n in 0..2_000 {
        let answer = node.deliver(&Request::post(&path), &message(NOW - n * 1_000));
        match answer.status.as_u16() {
            204 => {}
            429 => {
                check_refused(&answer, 429, "too-often");
                refused += 1;
            }
            other => panic!("{other}"),
        }
        // The clock goes on by a millisecond each, so all of them are in one minute.
    }
    assert!((400..1_200).contains(&refused), "{refused} of 2,000");
    // Others are not held up by it.
    assert_eq!(node.deliver(&by(&writer, "/v1/in/probe"), &message(NOW)).status, 204);
    node.set_clock(NOW + HOUR);
    assert_eq!(node.deliver(&Request::post(&path), &message(NOW)).status, 204);
}

#[test]
fn a_station_has_its_key_where_its_firmware_puts_a_password() {
    let ([key], variable) = tokens([("wu", "source:wunderground")]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &variable), ("sources", SOURCES)]);
    let query = |password: &str, tempf: &str| {
        format!(
            "/weatherstation/updateweatherstation.php?ID=KX1&PASSWORD={password}&\
             dateutc=2030-03-17+17:46:00&tempf={tempf}&action=updateraw"
        )
    };
    let answer = node.deliver(&Request::get(&query(&key, "70.5")), "");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert!(String::from_utf8_lossy(&answer.body).contains("success"));
    assert_eq!(node.deliver(&Request::get(&query("secret", "70.5")), "").status, 401);
    assert_eq!(node.deliver(&Request::get(&query(&key, "warm")), "").status, 200);
    let (admin, line) = token("root", &["admin"]);
    node.restart(&[
        ("auth", "on"),
        ("tokens", &format!("{variable}\n{line}")),
        ("sources", SOURCES),
    ]);
    // The query that can't be read is kept, and the key is cut out.
    let request = Request::get("/v1/sources/wunderground/refused")
        .with(Header::Authorization, format!("Bearer {admin}"));
    let kept = body(&isotherm::api::router::answer(&node.host, &request, node.now).response);
    let text = kept["refused"][0]["query"].as_str().unwrap();
    assert!(text.contains("tempf=warm") && !text.contains("isokey_"), "{text}");
    assert_eq!(kept["refused"][0]["reason"], "not_a_number");
}

#[test]
fn without_access_control_no_key_is_needed_and_none_is_looked_at() {
    let mut node = Node::quiet(&[]);
    node.source("probe", &mapping());
    for path in ["/v1/in/probe", "/v1/in/probe/whatever"] {
        assert_eq!(node.deliver(&Request::post(path), &message(NOW)).status, 204);
    }
}
