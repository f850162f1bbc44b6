//! What the application relies on in a host (`hosts/conformance`): natively, in the
//! runtime, and over a host that has less than SQLite.

use std::io::{Read, Write};
use std::net::TcpListener;

use isotherm::api::readings;
use isotherm::api::router;
use isotherm::api::routes::Route;
use isotherm::host::Host;
use isotherm::http::{Header, Request, Response};
use isotherm_it::Service;
use isotherm_stores::native::NativeHost;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::node::scratch;
use crate::support::readings::{DAY, NOW, at, json_reading};
use crate::support::service::Expect as _;
use crate::support::strict::StrictHost;

fn assert_conforms(outcomes: &[(&'static str, isotherm_conformance::Outcome)]) {
    assert!(outcomes.len() > 20, "{} checks", outcomes.len());
    let wrong: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_native_host_conforms() {
    let directory = scratch();
    let host = NativeHost::new(directory.path(), &[("defined", "a value")]).unwrap();
    assert_conforms(&isotherm_conformance::run(&host));
}

#[test]
fn a_host_that_has_less_than_sqlite_conforms() {
    let directory = scratch();
    let host = NativeHost::new(directory.path(), &[("defined", "a value")]).unwrap();
    let host = StrictHost::over(host);
    assert_conforms(&isotherm_conformance::run(&host));
    assert_useful(&host);
}

/// A host with which single readings are pruned after a week.
fn native_in(directory: &TempDir) -> NativeHost {
    let retention = [("retention", "7d")];
    NativeHost::new(directory.path(), &retention).unwrap().simulated(0, 1)
}

/// What a host answers to every route, before and after pruning and a retry.
fn answers<H: Host>(host: &H) -> Vec<(String, u16, String)> {
    let mut answers = Vec::new();
    for day in [0, 1, 30, 31] {
        let now = at(NOW + day * DAY);
        let one = |n: i64| json_reading(&format!("d{}", n % 7), "hall", n as f64, now.get() - n);
        let body = Value::Array((0..300).chain(0..3).map(one).collect()).to_string();
        for prefer in ["", "wait"] {
            let request = Request::post("/v1/readings").with(Header::Prefer, prefer);
            let handled = readings::post(host, &request, body.as_bytes(), now);
            handled.after_answer.run(host, now).unwrap();
        }
        for route in Route::<H>::QUERY.into_iter().chain(Route::INSPECT) {
            let path = route.pattern.replace("{region}", "hall").replace("{device_id}", "d1");
            let path = path.replace("{name}", "none");
            let request = Request { method: route.methods[0].clone(), ..Request::get(&path) };
            let answered = router::answer(host, &request, now);
            answered.after_answer.run(host, now).unwrap();
            let Response { status, body, .. } = answered.response;
            answers.push((path, status.as_u16(), String::from_utf8(body).unwrap()));
        }
    }
    answers
}

#[test]
fn the_application_answers_the_same_over_a_host_that_has_less_than_sqlite() {
    let (one, other) = (scratch(), scratch());
    let native = native_in(&one);
    let strict = StrictHost::over(native_in(&other));
    let (expected, found) = (answers(&native), answers(&strict));
    assert!(expected.iter().filter(|(_, status, _)| *status == 200).count() > 40);
    for (expected, found) in expected.iter().zip(&found) {
        // The size of a file and its modes are only known where there is one.
        match expected.0.as_str() {
            "/v1/status" => {}
            "/readyz" => {
                let unknown = expected.2.replace("\"wal\"", "null").replace("\"full\"", "null");
                assert_ne!(unknown, expected.2);
                assert_eq!((found.1, &found.2), (expected.1, &unknown));
            }
            _ => assert_eq!(found, expected),
        }
    }
    assert_useful(&strict);
}

/// But for what makes a file of SQLite quick, and tells its size and its mode, no statement was of
/// no use.
fn assert_useful(host: &StrictHost) {
    let mut refused = host.refused();
    refused.sort();
    refused.dedup();
    let tell = ["PRAGMA page_size", "PRAGMA journal_mode", "PRAGMA synchronous"];
    refused.retain(|one| !tell.contains(&one.as_str()));
    assert_eq!(refused, ["PRAGMA busy_timeout = 0", "PRAGMA journal_mode = WAL"]);
}

#[test]
fn the_runtime_conforms() {
    let mut service = match std::env::var("ISOTHERM_RUNTIME").as_deref() {
        Ok("spin") => {
            let manifest = "hosts/conformance/outbound.toml";
            Service::prepare(manifest, &[("echo", &echo())], &[]).unwrap()
        }
        // The embedded runtime lets no request out, and says so.
        _ => Service::prepare("hosts/conformance/spin.toml", &[], &[]).unwrap(),
    };
    service.run().unwrap();
    check_conforming(&service);
}

/// Runs all checks in the service's runtime.
pub(crate) fn check_conforming(service: &Service) {
    let found = service.read("/");
    let found = found.as_object().unwrap();
    assert_eq!(found.len(), isotherm_conformance::checks::<NativeHost>().len());
    let wrong: Vec<_> = found.iter().filter(|(_, wrong)| !wrong.is_null()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The URL of a server that answers each connection's one request with 10,000 bytes, as
/// many as it is sent, and one to `/silent` never. It lasts as long as the process.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut received = Vec::new();
            let is_silent = |received: &[u8]| received.windows(7).any(|w| w == b"/silent");
            let bytes_of_body = |received: &[u8]| received.iter().filter(|b| **b == b'x').count();
            while !is_silent(&received) && bytes_of_body(&received) < 10_000 {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).unwrap();
                received.extend(&buffer[..count]);
            }
            match is_silent(&received) {
                true => silent.push(stream),
                false => stream.write_all(&answer()).unwrap(),
            }
        }
    });
    url
}

fn answer() -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10000\r\n\
                connection: close\r\n\r\n";
    [head.as_bytes(), &[b'x'; 10_000]].concat()
}
