//! Traces by OTLP, to a collector of the test's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use http::Method;
use tempfile::TempDir;

use super::{Gateway, command};

/// What a collector was sent.
struct Sent {
    head: String,
    body: Vec<u8>,
}

/// Takes what is sent to an address of its own, for as long as the test runs.
fn collector() -> (String, Receiver<Sent>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream);
            let (mut head, mut line) = (String::new(), String::new());
            while lines.read_line(&mut line).is_ok_and(|count| count > 2) {
                head += &line;
                line.clear();
            }
            let length = head.to_lowercase();
            let length = length.split_once("content-length: ").unwrap().1;
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            lines.get_mut().write_all(answer.as_bytes()).unwrap();
            if sender.send(Sent { head, body }).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

fn has(body: &[u8], wanted: &[u8]) -> bool {
    body.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn each_request_is_a_span_of_its_senders_trace_and_has_no_token_in_it() {
    let directory = TempDir::new().unwrap();
    let (address, sent) = collector();
    let mut start = command(&["--config", "/dev/null", "--listen", "127.0.0.1:0", "--data"]);
    start.arg(directory.path().join("data"));
    start.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
    start.env("OTEL_EXPORTER_OTLP_HEADERS", "x-collector=known");
    start.env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let gateway = Gateway::with(start);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let path = "/v1/regions/hush-hush?key=hush-hush";
    let headers = [("traceparent", parent.as_str())];
    gateway.sender().send_with(&Method::GET, path, &headers).unwrap();
    let first = sent.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(first.head.starts_with("POST /v1/traces "), "{}", first.head);
    assert!(first.head.to_lowercase().contains("x-collector: known"), "{}", first.head);
    let id: Vec<u8> = (0..16)
        .map(|byte| u8::from_str_radix(&trace[2 * byte..2 * byte + 2], 16).unwrap())
        .collect();
    let text = String::from_utf8_lossy(&first.body);
    assert!(has(&first.body, &id), "{text}");
    for wanted in ["isotherm-gateway", "GET /...", "query", "http.response.status_code"] {
        assert!(has(&first.body, wanted.as_bytes()), "{wanted} in {text}");
    }
    assert!(!has(&first.body, b"hush"), "{text}");

    // What was not sent yet is sent at the end, and a collector that is away keeps nobody.
    gateway.sender().get("/healthz").unwrap();
    assert!(gateway.stop().success());
    let last = sent.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(!has(&last.body, &id), "another trace");
}

#[test]
fn a_collector_that_is_away_or_none_changes_no_answer() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let start = |endpoint: &str| {
        let mut start = command(&["--config", "/dev/null", "--listen", "127.0.0.1:0", "--data"]);
        start.arg(&data).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        start
    };
    // The port of nobody.
    let gateway = Gateway::with(start("http://127.0.0.1:1"));
    for _ in 0..20 {
        assert_eq!(gateway.sender().get("/healthz").unwrap().status, 200);
    }
    assert!(gateway.stop().success());
    let output = super::ended(start("no endpoint"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("traces"), "{said}");
}
