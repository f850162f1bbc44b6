//! Every route with every credential, over a socket: who is let in, who is not, and what the
//! answer says.

use std::collections::BTreeSet;

use isotherm::api::routes::{Route, Scope};
use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Answer;
use isotherm_stores::native::NativeHost;
use serde_json::{Value, json};

use super::bearer;
use super::credentials::{Worth, of_id, sent, sessions, start};
use crate::support::assert::{check_problem, metric};
use crate::support::bare::{ask, exchange};
use crate::support::readings::in_hall;

/// Each route, with a path of the hall and its one device, and what it needs.
const ROUTES: [(&str, &str, &str, Scope); 67] = [
    ("GET", "/v1/readings", "/v1/readings?region=hall", Scope::Read),
    ("POST", "/v1/readings", "/v1/readings", Scope::Write),
    ("GET", "/readyz/ingest", "/readyz/ingest", Scope::Open),
    ("GET", "/v1/regions", "/v1/regions", Scope::Read),
    ("GET", "/v1/regions/{region}", "/v1/regions/hall", Scope::Read),
    ("GET", "/v1/regions/{region}/windows", "/v1/regions/hall/windows", Scope::Read),
    ("GET", "/v1/events", "/v1/events", Scope::Read),
    ("GET", "/metrics", "/metrics", Scope::Metrics),
    ("GET", "/readyz", "/readyz", Scope::Open),
    ("GET", "/healthz", "/healthz", Scope::Open),
    ("GET", "/", "/", Scope::Open),
    ("GET", "/openapi.json", "/openapi.json", Scope::Open),
    ("GET", "/assets/{name}", "/assets/missing.js", Scope::Open),
    ("GET", "/v1/regions/{region}/devices", "/v1/regions/hall/devices", Scope::Read),
    ("GET", "/v1/devices", "/v1/devices", Scope::Read),
    ("GET", "/v1/devices/{device_id}", "/v1/devices/d1", Scope::Read),
    ("PUT", "/v1/devices/{device_id}", "/v1/devices/d1", Scope::Admin),
    ("GET", "/v1/devices/{device_id}/readings", "/v1/devices/d1/readings", Scope::Read),
    ("GET", "/v1/devices/{device_id}/windows", "/v1/devices/d1/windows", Scope::Read),
    ("GET", "/v1/devices/{device_id}/gaps", "/v1/devices/d1/gaps", Scope::Read),
    ("GET", "/v1/regions/{region}/limits", "/v1/regions/hall/limits", Scope::Read),
    ("PUT", "/v1/regions/{region}/limits", "/v1/regions/hall/limits", Scope::Admin),
    ("DELETE", "/v1/regions/{region}/limits", "/v1/regions/hall/limits", Scope::Admin),
    ("GET", "/v1/regions/{region}/excursions", "/v1/regions/hall/excursions", Scope::Read),
    ("GET", "/v1/devices/{device_id}/excursions", "/v1/devices/d1/excursions", Scope::Read),
    ("GET", "/v1/conflicts", "/v1/conflicts", Scope::Read),
    ("GET", "/v1/rejections", "/v1/rejections", Scope::Read),
    ("GET", "/v1/rejections/devices", "/v1/rejections/devices", Scope::Read),
    ("GET", "/v1/status", "/v1/status", Scope::Read),
    ("GET", "/v1/corrections", "/v1/corrections", Scope::ReadAll),
    ("POST", "/v1/corrections", "/v1/corrections", Scope::Admin),
    ("GET", "/v1/quarantine", "/v1/quarantine", Scope::ReadAll),
    ("POST", "/v1/quarantine/retry", "/v1/quarantine/retry", Scope::Admin),
    ("POST", "/v1/quarantine/{name}/retry", "/v1/quarantine/x/retry", Scope::Admin),
    ("GET", "/v1/tokens", "/v1/tokens", Scope::Admin),
    ("POST", "/v1/tokens", "/v1/tokens", Scope::Admin),
    ("PUT", "/v1/tokens/{id}", "/v1/tokens/x", Scope::Admin),
    ("DELETE", "/v1/tokens/{id}", "/v1/tokens/x", Scope::Admin),
    ("GET", "/v1/senders", "/v1/senders", Scope::ReadAll),
    ("DELETE", "/v1/senders/{node}", "/v1/senders/x", Scope::Admin),
    ("GET", "/v1/sync", "/v1/sync", Scope::ReadAll),
    ("POST", "/v1/sync", "/v1/sync", Scope::Sync),
    ("GET", "/v1/session", "/v1/session", Scope::Any),
    ("POST", "/v1/session", "/v1/session", Scope::Any),
    ("DELETE", "/v1/session", "/v1/session", Scope::Open),
    ("POST", "/v1/in/{source}", "/v1/in/probe", Scope::Source),
    ("POST", "/v1/in/{source}/{key}", "/v1/in/probe/x", Scope::Source),
    ("POST", "/write", "/write", Scope::Source),
    ("POST", "/api/v2/write", "/api/v2/write", Scope::Source),
    ("POST", "/api/v3/write_lp", "/api/v3/write_lp", Scope::Source),
    ("POST", "/query", "/query?q=CREATE+DATABASE+x", Scope::Source),
    ("POST", "/api/v1/{key}/telemetry", "/api/v1/x/telemetry", Scope::Source),
    (
        "POST",
        "/weatherstation/updateweatherstation.php",
        "/weatherstation/updateweatherstation.php",
        Scope::Source,
    ),
    ("POST", "/data/report", "/data/report", Scope::Source),
    ("POST", "/data/report/", "/data/report/", Scope::Source),
    ("GET", "/ping", "/ping", Scope::Open),
    ("GET", "/health", "/health", Scope::Open),
    ("GET", "/v1/sources", "/v1/sources", Scope::ReadAll),
    ("GET", "/v1/sources/{source}", "/v1/sources/probe", Scope::ReadAll),
    ("PUT", "/v1/sources/{source}", "/v1/sources/probe", Scope::Admin),
    ("DELETE", "/v1/sources/{source}", "/v1/sources/probe", Scope::Admin),
    ("GET", "/v1/sources/{source}/refused", "/v1/sources/probe/refused", Scope::Admin),
    ("POST", "/v1/sources/{source}/try", "/v1/sources/probe/try", Scope::Admin),
    ("GET", "/v1/sources/{source}/devices", "/v1/sources/probe/devices", Scope::ReadAll),
    ("PUT", "/v1/sources/{source}/devices", "/v1/sources/probe/devices", Scope::Admin),
    ("POST", "/v1/sources/{source}/devices", "/v1/sources/probe/devices", Scope::Admin),
    ("GET", "/v1/sources/{source}/unknown", "/v1/sources/probe/unknown", Scope::ReadAll),
];

#[test]
fn the_table_has_every_route() {
    let routes = Route::<NativeHost>::INGEST.into_iter();
    let routes = routes.chain(Route::QUERY).chain(Route::INSPECT).chain(Route::SYNC);
    let known: BTreeSet<String> =
        routes.map(|r| format!("{} {} {:?}", r.methods[0], r.pattern, r.scope)).collect();
    let rows = ROUTES.map(|(method, pattern, _, scope)| format!("{method} {pattern} {scope:?}"));
    assert_eq!(BTreeSet::from(rows), known);
}

/// What is to come of a request.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    LetIn,
    /// 401, with this challenge.
    Unknown(&'static str),
    /// 403, for want of this scope.
    Lacks(&'static str),
    /// 403: a session of this credential could do nothing.
    NoSession,
}

const BARE: &str = "Bearer realm=\"isotherm\"";
const INVALID: &str = "Bearer realm=\"isotherm\", error=\"invalid_token\"";
const EXPIRED: &str = "Bearer realm=\"isotherm\", error=\"invalid_token\", \
                       error_description=\"the token has expired\"";

fn expected((method, pattern, path, scope): (&str, &str, &str, Scope), worth: Worth) -> Expected {
    if scope == Scope::Open {
        return Expected::LetIn;
    }
    // `ingest` reads no JWT, so it knows nothing of one that has expired, either.
    let scopes: Vec<&str> = match worth {
        // What stands in the place of a key is none, and is looked at before a cookie.
        Worth::Missing | Worth::Session(_) if pattern.contains("{key}") => {
            return Expected::Unknown(INVALID);
        }
        Worth::Missing => return Expected::Unknown(BARE),
        Worth::Invalid => return Expected::Unknown(INVALID),
        Worth::Expired => return Expected::Unknown(EXPIRED),
        Worth::Jwt(_) if pattern == "/v1/readings" || scope == Scope::Source => {
            return Expected::Unknown(INVALID);
        }
        Worth::Token(scopes) | Worth::Jwt(scopes) | Worth::Session(scopes) => {
            scopes.split(' ').collect()
        }
    };
    let has =
        |wanted: &str| scopes.iter().any(|scope| scope.starts_with(wanted) || *scope == "admin");
    let names_hall = path.contains("hall") || path.contains("/d1");
    let reads_hall = has("read:h") || has("read:*");
    let (is_allowed, needed) = match scope {
        Scope::Open => (true, ""),
        Scope::Any if method == "POST" => {
            return match has("read:") || has("metrics") {
                true if !matches!(worth, Worth::Session(_)) => Expected::LetIn,
                _ => Expected::NoSession,
            };
        }
        Scope::Any => (true, ""),
        Scope::Read if !has("read:") => (false, "read:<region>"),
        Scope::Read if path.contains("/d1") => (reads_hall, "read:<region>"),
        Scope::Read if names_hall => (reads_hall, "read:hall"),
        Scope::Read => (true, ""),
        Scope::ReadAll => (has("read:*"), "read:*"),
        Scope::Write => (has("write:") || has("sync:"), "write:<device>@<region>"),
        Scope::Source => (has("write:") || has("source:"), "source:<source>"),
        Scope::Sync => (has("sync:"), "sync:<node>@<region>"),
        Scope::Metrics => (has("metrics"), "metrics"),
        Scope::Admin => (has("admin"), "admin"),
    };
    if is_allowed { Expected::LetIn } else { Expected::Lacks(needed) }
}

/// A problem; or, for clients of InfluxDB, an error in their words.
fn check_kind(answer: &Answer, status: u16, kind: &str) {
    let words = if status == 401 { "unauthorized" } else { "forbidden" };
    match answer.header("content-type") {
        Some("application/json") => {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!((answer.status, &body["code"]), (status, &Value::from(words)));
        }
        _ => check_problem(answer, status, kind),
    }
}

fn check(answer: &Answer, expected: &Expected) {
    let challenge = answer.header("www-authenticate");
    match expected {
        Expected::LetIn => {
            assert!(!matches!(answer.status, 401 | 403 | 500..), "{}", answer.body);
            assert_eq!(challenge, None);
        }
        Expected::Unknown(challenged) => {
            check_kind(answer, 401, "unauthenticated");
            assert_eq!(challenge, Some(*challenged));
        }
        Expected::Lacks(scope) => {
            check_kind(answer, 403, "forbidden");
            let insufficient = format!("{BARE}, error=\"insufficient_scope\", scope=\"{scope}\"");
            assert_eq!(challenge, Some(insufficient.as_str()));
        }
        Expected::NoSession => check_problem(answer, 403, "forbidden"),
    }
    let vary: Vec<&str> =
        answer.headers.iter().filter(|(name, _)| name == "vary").map(|(_, v)| v.as_str()).collect();
    assert!(vary.contains(&"authorization, cookie"), "{vary:?}");
}

fn body_of(method: &str, pattern: &str) -> &'static str {
    let takes_none = pattern.contains("quarantine") || pattern.contains("session");
    match method {
        "POST" | "PUT" if !takes_none => "{}",
        _ => "",
    }
}

fn service_with_a_reading() -> Service {
    let service = start("on");
    let headers = [("authorization", bearer(&of_id("d1")))];
    let reading = in_hall("d1", now_ms()).to_string();
    assert_eq!(ask(&service, "POST", "/v1/readings", &headers, &reading).status, 202);
    service
}

#[test]
fn each_route_lets_in_whom_its_scope_allows_and_nobody_else() {
    let service = service_with_a_reading();
    let mut credentials = sent();
    credentials.extend(sessions(&service));
    for row in ROUTES {
        let (method, pattern, path, _) = row;
        for credential in &credentials {
            let shown = Shown(format!("{method} {path} by {}", credential.name));
            let mut expected = expected(row, credential.worth);
            // `ingest` has no eye for the dates of a JWT.
            let takes_no_jwt = pattern == "/v1/readings" || row.3 == Scope::Source;
            if takes_no_jwt && credential.name == "a JWT, expired" {
                expected = Expected::Unknown(INVALID);
            }
            let asked =
                ask(&service, method, path, &credential.headers(), body_of(method, pattern));
            check(&asked, &expected);
            if method == "GET" {
                let head = ask(&service, "HEAD", path, &credential.headers(), "");
                assert_eq!(head.status, asked.status);
            }
            drop(shown);
        }
    }
}

/// What was asked, for whoever reads a failure.
struct Shown(String);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("asked: {}", self.0);
        }
    }
}

#[test]
fn while_it_is_off_no_credential_makes_a_difference() {
    let service = start("off");
    let reading = in_hall("d1", now_ms()).to_string();
    assert_eq!(ask::<&str>(&service, "POST", "/v1/readings", &[], &reading).status, 202);
    for (method, pattern, path, _) in ROUTES {
        let body = body_of(method, pattern);
        let without = ask::<&str>(&service, method, path, &[], body).status;
        assert!(!matches!(without, 401 | 403 | 500..), "{method} {path}: {without}");
        if pattern.starts_with("/v1/tokens") {
            assert_eq!(without, 409, "{method} {path}");
        }
        let kinds = ["root", "garbage", "revoked", "by Basic", "a JWT, alg none"];
        for credential in sent().iter().filter(|one| kinds.contains(&one.name)) {
            let with = ask(&service, method, path, &credential.headers(), body).status;
            // The beats of the first request are under way.
            let is_begun = *pattern == *"/v1/sync" && (with, without) == (200, 202);
            assert!(is_begun || with == without, "{method} {path} by {}: {with}", credential.name);
        }
    }
    let ready = service.get("/readyz").unwrap().json().unwrap();
    assert_eq!(ready["auth"], "off");
    let session = service.get("/v1/session").unwrap().json().unwrap();
    assert_eq!((&session["auth"], &session["who"]), (&json!("off"), &json!(null)));
}

#[test]
fn what_is_refused_by_its_head_is_not_read_and_not_counted() {
    let service = service_with_a_reading();
    let reading = in_hall("d9", now_ms()).to_string();
    for credential in sent() {
        if !matches!(
            credential.worth,
            Worth::Token(
                "admin" | "write:d1@hall" | "read:attic write:d1@attic" | "sync:north@hall"
            )
        ) {
            let answer = ask(&service, "POST", "/v1/readings", &credential.headers(), &reading);
            assert!(matches!(answer.status, 401 | 403), "{}: {}", credential.name, answer.body);
            // An answer comes although none of the body that was announced does.
            let (name, value) = credential.header.clone().unwrap_or(("x", "x".to_owned()));
            let head = format!(
                "POST /v1/readings HTTP/1.1\r\n{name}: {value}\r\n\
                 content-type: application/json\r\ncontent-length: 100000\r\n"
            );
            let answer = exchange(&service, &head, "").unwrap();
            assert!(matches!(answer.status, 401 | 403), "{}: {}", credential.name, answer.body);
        }
    }
    let root = [("authorization", bearer(&of_id("root")))];
    let read = |path: &str| ask(&service, "GET", path, &root, "");
    let hall = read("/v1/regions/hall").json().unwrap();
    assert_eq!((&hall["count"], &hall["devices"]), (&json!(1), &json!(1)), "{hall}");
    assert_eq!(read("/v1/rejections").json().unwrap()["kept"], 0);
    assert_eq!(read("/v1/devices/d9").status, 404);
    let metrics = read("/metrics").body;
    let rejected =
        metrics.lines().filter(|line| line.starts_with("isotherm_readings_rejected_total"));
    assert!(rejected.into_iter().all(|line| line.ends_with(" 0")), "{metrics}");
    // Of many in a row not all are counted, but the first are.
    assert!(metric(&metrics, "isotherm_auth_total{outcome=\"missing\"}") > 0, "{metrics}");
}
