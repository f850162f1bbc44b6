//! How large a body may be, and how long it may take.

use std::io::{Read, Write};
use std::net::TcpStream;

use isotherm_it::{Service, now_ms};

use crate::support::assert::check_problem;
use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};

#[test]
fn a_body_may_have_eight_mebibytes_unless_the_operator_says_otherwise() {
    let padded = |bytes: usize| {
        let reading = json_reading("d", "r", 1.0, now_ms()).to_string();
        format!("{reading}{}", " ".repeat(bytes - reading.len()))
    };
    let service = Service::start(&[]).unwrap();
    let limit = 8 * 1024 * 1024;
    assert_eq!(service.post(&padded(limit)).unwrap().status, 202);
    check_problem(&service.post(&padded(limit + 1)).unwrap(), 413, "too-large");

    let small = Service::start(&[("max_body_bytes", "1000")]).unwrap();
    assert_eq!(small.post(&padded(1_000)).unwrap().status, 202);
    check_problem(&small.post(&padded(1_001)).unwrap(), 413, "too-large");
}

/// Sends `request` over a bare connection. Returns it, and what is answered before it is
/// closed or nothing comes for a while.
fn raw(service: &Service, request: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(service.address()).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 4_096];
    let count = socket.read(&mut answer).unwrap();
    (socket, String::from_utf8_lossy(&answer[..count]).into_owned())
}

#[test]
fn a_body_that_says_that_it_is_too_large_is_refused_before_it_is_sent() {
    let service = Service::start(&[("max_body_bytes", "1000")]).unwrap();
    let head = "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n";
    for further in ["", "expect: 100-continue\r\n"] {
        let (_socket, answer) = raw(&service, &format!("{head}{further}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    let fits = "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n";
    let (_socket, answer) = raw(&service, fits);
    assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let service = Service::start(&[]).unwrap();
    let half =
        "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[{\"device_id\":";
    let (_socket, answer) = raw(&service, half);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("urn:isotherm:problem:body-timeout"), "{answer}");
    until("it is listed", || {
        let listed = service.read("/v1/rejections");
        (listed["rejections"][0]["reason"] == "body-timeout").then_some(())
    });
}
