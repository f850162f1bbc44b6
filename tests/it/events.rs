//! Server-sent events, over a bare connection: what is written, and when.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use http::Method;
use isotherm::api::events::{self, Step};
use isotherm::domain::reading::UnixMillis;
use isotherm::host::Host;
use isotherm::http::{Header, Request};
use isotherm::limits;
use isotherm_host::native::NativeHost;
use isotherm_it::Service;
use serde_json::json;

use crate::contract::{check_problem, now_ms, reading};
use crate::exactly_once::until;
use crate::faulty::{FaultyHost, Plan, scratch};

/// The lines of a stream of events. None may be longer in coming than this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

fn listen(service: &Service) -> impl Iterator<Item = String> {
    let address = service.sender().url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    BufReader::new(stream).lines().map(Result::unwrap)
}

fn count(lines: &mut impl Iterator<Item = String>) -> String {
    lines.find_map(|line| line.strip_prefix("data: ").map(ToOwned::to_owned)).unwrap()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn who_listens_is_told_at_once_and_then_of_every_change() {
    let service = Service::start(&[]).unwrap();
    let mut lines = listen(&service);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert_eq!(head.first().map(String::as_str), Some("HTTP/1.1 200 OK"));
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        // nginx would hold the events back.
        "x-accel-buffering: no",
    ] {
        assert!(head.iter().any(|line| line == header), "{head:?}");
    }
    assert_eq!(count(&mut lines), "0");
    for expected in ["1", "2"] {
        let at = now_ms();
        let body = reading(&format!("d{expected}"), "hall", 20.0, at).to_string();
        assert_eq!(service.post(&body).unwrap().status, 202);
        assert_eq!(count(&mut lines), expected);
    }
    // What was folded without waiting in the journal is told as soon.
    let body = reading("d3", "hall", 20.0, now_ms()).to_string();
    let asked = std::time::Instant::now();
    assert_eq!(service.sender().post(body.as_bytes(), &[("prefer", "wait")]).unwrap().status, 200);
    assert_eq!(count(&mut lines), "3");
    assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
    // Who goes away harms nobody.
    drop(lines);
    assert_eq!(count(&mut listen(&service)), "3");
}

#[test]
fn events_are_refused_like_any_other_answer() {
    let service = Service::start(&[]).unwrap();
    check_problem(&service.get("/v1/events?x=1").unwrap(), 400, "bad-parameter");
    let with = |method: &Method, headers: &[(&str, &str)]| {
        service.sender().send_with(method, "/v1/events", headers).unwrap()
    };
    check_problem(&with(&Method::DELETE, &[]), 405, "method-not-allowed");
    check_problem(&with(&Method::GET, &[("accept", "text/csv")]), 406, "not-acceptable");
    let head = with(&Method::HEAD, &[]);
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
}

#[test]
fn there_are_only_so_many_streams_and_the_next_is_told_to_ask_instead() {
    let service = Service::start(&[]).unwrap();
    let open: Vec<_> = (0..limits::EVENT_STREAMS_MAX)
        .map(|_| {
            let mut lines = listen(&service);
            assert_eq!(count(&mut lines), "0");
            lines
        })
        .collect();
    let refused = service.get("/v1/events").unwrap();
    check_problem(&refused, 429, "too-many-streams");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    // Other answers go on.
    assert_eq!(service.get("/v1/regions").unwrap().status, 200);
    // A stream that its client ends gives its place back with the next word.
    drop(open);
    until("a place is free", || {
        let mut lines = listen(&service);
        (lines.next().as_deref() == Some("HTTP/1.1 200 OK")).then_some(())
    });
}

#[test]
fn streams_of_requests_that_overtake_each_other_are_no_more_than_there_may_be() {
    let directory = scratch();
    let host = NativeHost::new(directory.path(), &[]).unwrap();
    let opened = |ms: i64| {
        let request = Request::get("/v1/events").with(Header::Accept, "text/event-stream");
        let now = UnixMillis::new(1_900_000_000_000 + ms).unwrap();
        events::open(&host, &request, now).stream.is_some()
    };
    let open = (0..40).filter(|_| opened(0)).count();
    assert_eq!(open, limits::EVENT_STREAMS_MAX);
    let later = [-1, 0, 5, -2, 1].into_iter().filter(|ms| opened(*ms)).count();
    assert_eq!(later, 0);
}

#[test]
fn a_stream_with_nothing_to_tell_opens_the_database_only_when_it_is_due() {
    let directory = scratch();
    let inner = NativeHost::new(directory.path(), &[]).unwrap().simulated(1, 3);
    let host = FaultyHost { inner, plan: Plan::new(0, false, false) };
    let now = UnixMillis::new(1_900_000_000_000).unwrap();
    let request = Request::get("/v1/events");
    let mut stream = events::open(&host, &request, now).stream.unwrap();
    let mut told = 0;
    loop {
        let Step { text, goes_on } = stream.step(now);
        told += usize::from(text.contains("event:"));
        if !goes_on {
            break;
        }
        host.sleep_ms(limits::EVENTS_EVERY_MS);
    }
    assert_eq!(told, 1);
    // Also a client that reads none of it has its instance for no longer.
    let lasted = host.monotonic_ms();
    let most = limits::EVENTS_MS_MAX + 2 * limits::EVENTS_EVERY_MS;
    assert!((limits::EVENTS_MS_MAX..most).contains(&lasted), "{lasted} ms");
    // The looks that are due, and one connection for all others.
    let due = usize::try_from(limits::EVENTS_MS_MAX / limits::EVENTS_LOOK_MS).unwrap() + 1;
    let opened = host.plan.sqlite_calls();
    assert!((2..=due + 1).contains(&opened), "opened {opened} times");
}

#[test]
fn a_store_that_is_away_is_logged_once_by_a_stream_and_not_every_second() {
    let service = Service::start_faulty(&[]).unwrap();
    let mut lines = listen(&service);
    assert_eq!(count(&mut lines), "0");
    service.set_faults(&json!([{"store": "sqlite", "effect": "fail"}])).unwrap();
    assert_eq!(count(&mut lines), "null");
    // Another look or two.
    assert!(lines.any(|line| line == ":"));
    assert!(lines.any(|line| line == ":"));
    let log = service.log();
    let told = log.lines().filter(|line| line.contains("events: ")).count();
    assert_eq!(told, 1, "{log}");
}
