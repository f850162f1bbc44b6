//! Clients of InfluxDB: their requests as their code writes them, with access control and
//! without. `reactions` has what they do with our answers.

mod reactions;

use isotherm::http::{Header, Request};
use isotherm::limits;
use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Answer;
use serde_json::json;

use crate::access::tokens;
use crate::support::bare::exchange_with;
use crate::support::gzip::gzipped;
use crate::support::node::Node;
use crate::support::readings::NOW;
use crate::support::service::Expect as _;

/// One request, with these headers and no others but the necessary ones.
#[track_caller]
fn send(
    service: &Service,
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = match method {
        "GET" => String::new(),
        _ => format!("content-length: {}\r\n", body.len()),
    };
    let head = format!("{method} {target} HTTP/1.1\r\n{lines}{length}");
    exchange_with(service.address(), &head, body).unwrap()
}

fn write(service: &Service, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    send(service, ("POST", target), headers, body.as_bytes())
}

/// A line of this device, of now.
fn line(device: &str) -> String {
    format!("t,device_id={device},region=hall temperature_c=21.5 {}\n", now_ms())
}

fn basic(user: &str, password: &str) -> String {
    let pair = format!("{user}:{password}");
    format!("Basic {}", crate::access::base64(pair.as_bytes()))
}

/// A service with access control: a key for lines, a key for another source, and a token that
/// may send everything.
fn guarded(arguments: &[(&str, &str)]) -> (Service, [String; 4]) {
    let (made, lines) = tokens([
        ("lines", "source:influx"),
        ("other", "source:attic"),
        ("gateway", "write:*@*"),
        ("root", "admin"),
    ]);
    let mut variables = vec![("auth", "on"), ("tokens", lines.as_str())];
    variables.extend(arguments);
    (Service::start(&variables).unwrap(), made)
}

#[test]
fn clients_find_what_they_ask_for_before_they_write() {
    let (guarded, [key, ..]) = guarded(&[]);
    for service in [&Service::start(&[]).unwrap(), &guarded] {
        let get = |target: &str| send(service, ("GET", target), &[("accept", "*/*")], b"");
        assert_eq!((get("/ping").status, get("/ping").body.as_str()), (204, ""));
        assert_eq!(send(service, ("HEAD", "/ping"), &[], b"").status, 204);
        let verbose = get("/ping?verbose=true&u=me&p=x");
        assert_eq!(verbose.status, 200);
        assert!(verbose.json().unwrap()["version"].is_string());
        let health = get("/health");
        assert_eq!((health.status, &health.json().unwrap()["status"]), (200, &json!("pass")));
        // Telegraf asks by a form in the body, others by the query.
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let authorization = format!("Token {key}");
        let by_token = [form[0], ("authorization", authorization.as_str())];
        let asked = write(service, "/query", &by_token, "q=CREATE+DATABASE+%22x%22");
        assert_eq!(asked.status, 200, "{}", asked.body);
        assert_eq!(asked.json().unwrap(), json!({"results": [{"statement_id": 0}]}));
        let target = format!("/query?q=create%20database%20x&u=me&p={key}");
        assert_eq!(write(service, &target, &[], "").status, 200);
        let other = write(service, "/query", &by_token, "q=SELECT+*+FROM+t");
        assert_eq!(other.status, 400);
        assert!(other.json().unwrap()["error"].as_str().unwrap().contains("CREATE DATABASE"));
    }
    let asked = write(&guarded, "/query", &[], "q=CREATE+DATABASE+x");
    assert_eq!(asked.status, 401, "{}", asked.body);
}

#[test]
fn no_content_type_and_no_way_to_send_a_key_is_in_the_way() {
    let (guarded, [key, ..]) = guarded(&[]);
    let open = Service::start(&[]).unwrap();
    let (token, bearer) = (format!("Token {key}"), format!("Bearer {key}"));
    let user = basic("any", &key);
    let parameter = format!("/write?db=influx&u=any&p={key}");
    let ways = [
        ("/write?db=influx&precision=ms", Some(&token)),
        ("/write?db=influx&rp=autogen&consistency=all", Some(&bearer)),
        ("/write?db=influx&precision=ms", Some(&user)),
        ("/api/v2/write?org=o&bucket=a%20bucket", Some(&token)),
        ("/api/v3/write_lp?db=influx&precision=auto", Some(&bearer)),
        (parameter.as_str(), None),
    ];
    let types = [None, Some("text/plain; charset=utf-8"), Some("application/octet-stream")];
    let types = types.into_iter().chain([Some("application/x-www-form-urlencoded"), Some("")]);
    for (number, kind) in types.enumerate() {
        for (way, (target, authorization)) in ways.iter().enumerate() {
            let mut headers: Vec<(&str, &str)> = Vec::new();
            headers.extend(kind.map(|kind| ("content-type", kind)));
            headers.extend(authorization.map(|value| ("authorization", value.as_str())));
            for service in [&open, &guarded] {
                let sent = line(&format!("d-{number}-{way}"));
                let answer = write(service, target, &headers, &sent);
                assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{target} {kind:?}");
                headers.push(("content-encoding", "gzip"));
                let sent = gzipped(line(&format!("z-{number}-{way}")).as_bytes());
                let answer = send(service, ("POST", target), &headers, &sent);
                assert_eq!(answer.status, 204, "{target} {kind:?}: {}", answer.body);
                headers.pop();
            }
        }
    }
    assert_eq!(open.totals().0, 60);
    assert!(!guarded.log().contains(&key), "the log has a key");
}

#[test]
fn a_key_is_for_its_source_alone_and_a_token_is_not_for_a_url() {
    let attic = r#"{"attic":"preset:tasmota-influx"}"#;
    let (service, [key, other, token, root]) = guarded(&[("sources", attic)]);
    let status = |target: &str, headers: &[(&str, &str)]| {
        let answer = write(&service, target, headers, &line("d1"));
        let said = answer.json().unwrap_or_default();
        assert!(answer.status == 204 || said["error"] == said["message"], "{}", answer.body);
        answer.status
    };
    let of = |token: &str| format!("Token {token}");
    assert_eq!(status("/write?db=influx", &[]), 401);
    assert_eq!(status("/write?db=influx", &[("authorization", &of("garbage"))]), 401);
    assert_eq!(status("/write?db=influx&p=garbage", &[]), 401);
    // For another source.
    assert_eq!(status("/write?db=influx", &[("authorization", &of(&other))]), 403);
    assert_eq!(status(&format!("/write?db=influx&p={other}"), &[]), 403);
    assert_eq!(status("/write?db=attic", &[("authorization", &of(&key))]), 403);
    assert_eq!(status(&format!("/write?db=attic&p={key}"), &[]), 403);
    // What may more than send by one source belongs into a header.
    for token in [&token, &root] {
        assert_eq!(status(&format!("/write?db=influx&p={token}"), &[]), 401);
        assert_eq!(status("/write?db=influx", &[("authorization", &of(token))]), 204);
    }
    for target in ["/v1/in/attic", "/weatherstation/updateweatherstation.php?PASSWORD="] {
        let (before, between) = if target.ends_with('=') { (target, "") } else { (target, "/") };
        let by = |token: &str| format!("{before}{between}{token}");
        assert_eq!(write(&service, &by(&token), &[], "{}").status, 401, "{target}");
        assert_eq!(write(&service, &by(&key), &[], "{}").status, 403, "{target}");
    }
    let telemetry = |token: &str| format!("/api/v1/{token}/telemetry");
    assert_eq!(write(&service, &telemetry(&token), &[], "{}").status, 401);
    assert_eq!(write(&service, &telemetry(&key), &[], "{}").status, 403);
    let celsius = "temperature,device=x,sensor=ds18b20-1 value=1";
    for target in [format!("/v1/in/attic/{other}"), format!("/write?db=attic&p={other}")] {
        let answer = write(&service, &target, &[], celsius);
        // The device is not in the table, which `/write` tells and other paths do not.
        let status = if target.starts_with("/v1") { 204 } else { 400 };
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
    }
    // It reads nothing, and sends no readings.
    let bearer = [("authorization", format!("Bearer {key}"))];
    let bearer = [(bearer[0].0, bearer[0].1.as_str())];
    for path in ["/v1/regions", "/v1/readings", "/v1/devices", "/metrics", "/v1/sources"] {
        assert_eq!(send(&service, ("GET", path), &bearer, b"").status, 403, "{path}");
    }
    let json = [bearer[0], ("content-type", "application/json")];
    assert_eq!(write(&service, "/v1/readings", &json, "[]").status, 403);
    for secret in [&key, &other, &token, &root] {
        assert!(!service.log().contains(secret.as_str()), "the log has a credential");
    }
}

#[test]
fn a_database_that_is_no_source_is_for_the_key_of_lines() {
    // What such a request names is the source `influx`: clients have a database in them.
    let (service, [key, other, ..]) = guarded(&[]);
    for target in ["/write?db=telegraf", "/write", "/api/v2/write?org=o&bucket=telegraf"] {
        let by = |key: &str| {
            let token = format!("Token {key}");
            write(&service, target, &[("authorization", &token)], &line("d1")).status
        };
        assert_eq!((by(&key), by(&other)), (204, 403), "{target}");
    }
}

#[test]
fn a_key_is_used_so_often_in_a_minute() {
    let (made, lines) = tokens([("lines", "source:influx"), ("gateway", "write:*@*")]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines)]);
    let minute = NOW - NOW % 60_000 + 60_000;
    let request = |token: &str| {
        Request::post("/write?db=influx").with(Header::Authorization, format!("Token {token}"))
    };
    let body = format!("t,device_id=d,region=hall temperature_c=1 {minute}");
    node.set_clock(minute);
    let most = usize::try_from(limits::KEY_USES_PER_MINUTE_MAX).unwrap();
    let taken = (0..3 * most).take_while(|_| {
        node.set_clock(minute);
        node.deliver(&request(&made[0]), &body).status == 204
    });
    let taken = taken.count();
    // It is counted by chance.
    assert!((most / 2..most * 3 / 2).contains(&taken), "{taken}");
    let refused = node.deliver(&request(&made[0]), &body);
    assert_eq!(refused.status, 429);
    assert!(refused.headers.iter().any(|(name, _)| *name == "retry-after"));
    assert_eq!(node.deliver(&request(&made[1]), &body).status, 204, "a token has no such bound");
    node.set_clock(minute + 60_000);
    assert_eq!(node.deliver(&request(&made[0]), &body).status, 204);
}
