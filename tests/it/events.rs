//! Server-sent events, over a bare connection: what is written, and when.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use http::Method;
use isotherm::api::events::Step;
use isotherm::api::router;
use isotherm::host::Host;
use isotherm::http::{Header, Request};
use isotherm::limits;
use isotherm_it::{Service, now_ms};

use crate::support::assert::{check_problem, check_retryable};
use crate::support::node::Node;
use crate::support::readings::{NOW, at, in_hall};
use crate::support::service::{Expect as _, until};

/// The lines of a stream of events. None may be longer in coming than this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

fn listen(service: &Service) -> impl Iterator<Item = String> {
    let address = service.address();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    BufReader::new(stream).lines().map(Result::unwrap)
}

fn count(lines: &mut impl Iterator<Item = String>) -> String {
    lines.find(|line| line == "event: readings").unwrap();
    lines.find_map(|line| line.strip_prefix("data: ").map(ToOwned::to_owned)).unwrap()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn a_listener_is_told_at_once_and_then_of_every_change() {
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
        service.accept(&in_hall(&format!("d{expected}"), now_ms()));
        assert_eq!(count(&mut lines), expected);
    }
    // What was folded without waiting in the journal is announced as soon.
    let asked = std::time::Instant::now();
    service.accept_and_wait(&in_hall("d3", now_ms()));
    assert_eq!(count(&mut lines), "3");
    assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
    // A listener that goes away harms no other.
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
fn the_number_of_streams_is_limited_and_the_next_is_told_to_ask_instead() {
    let service = Service::start(&[]).unwrap();
    let open: Vec<_> = (0..limits::EVENT_STREAMS_MAX)
        .map(|_| {
            let mut lines = listen(&service);
            assert_eq!(count(&mut lines), "0");
            lines
        })
        .collect();
    check_retryable(&service.get("/v1/events").unwrap(), 429, "too-many-streams");
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
fn requests_that_overtake_each_other_open_no_more_streams_than_the_limit() {
    let node = Node::new(&[]);
    let opened = |ms: i64| {
        let request = Request::get("/v1/events").with(Header::Accept, "text/event-stream");
        router::events(&node.host.inner, &request, at(NOW + ms)).unwrap().0.stream.is_some()
    };
    let open = (0..40).filter(|_| opened(0)).count();
    assert_eq!(open, limits::EVENT_STREAMS_MAX);
    let later = [-1, 0, 5, -2, 1].into_iter().filter(|ms| opened(*ms)).count();
    assert_eq!(later, 0);
}

#[test]
fn a_stream_with_nothing_to_tell_opens_the_database_only_when_it_is_due() {
    let Node { host, now, .. } = &Node::quiet(&[]);
    let request = Request::get("/v1/events");
    let mut stream = router::events(host, &request, *now).unwrap().0.stream.unwrap();
    let mut told = 0;
    loop {
        let Step { text, goes_on } = stream.step(*now);
        told += usize::from(text.contains("event: readings"));
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
    service.fail("sqlite", "fail");
    assert_eq!(count(&mut lines), "null");
    // Another look or two.
    assert!(lines.any(|line| line == ":"));
    assert!(lines.any(|line| line == ":"));
    let log = service.log();
    let told = log.lines().filter(|line| line.contains("events: ")).count();
    assert_eq!(told, 1, "{log}");
}
