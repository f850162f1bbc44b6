//! Requests over a bare connection: any method, any header as often as a test wants, and an
//! answer that need not end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use isotherm_it::Service;
use isotherm_load::sender::Answer;

use crate::support::service::Expect as _;

/// How long an answer may be in coming.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Sends one request with these lines in its head, and a JSON body if it is not empty. Of a
/// stream of events, reads only the head.
#[track_caller]
pub(crate) fn ask<V: AsRef<str>>(
    service: &Service,
    method: &str,
    path: &str,
    headers: &[(&str, V)],
    body: &str,
) -> Answer {
    let mut lines = String::new();
    for (name, value) in headers {
        lines.push_str(&format!("{name}: {}\r\n", value.as_ref()));
    }
    if !body.is_empty() {
        let length = body.len();
        lines.push_str(&format!("content-type: application/json\r\ncontent-length: {length}\r\n"));
    }
    exchange(service, &format!("{method} {path} HTTP/1.1\r\n{lines}"), body)
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// Sends a head without its last line, and what follows. Fails if the connection ends without
/// an answer.
pub(crate) fn exchange(service: &Service, head: &str, body: &str) -> std::io::Result<Answer> {
    exchange_with(service.address(), head, body.as_bytes())
}

/// The same with any server, and any bytes.
pub(crate) fn exchange_with(address: &str, head: &str, body: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LONGEST_WAIT))?;
    let head = format!("{head}host: {address}\r\nconnection: close\r\n\r\n");
    // A server may answer, and close, before it has read everything.
    let sent = stream.write_all(&[head.as_bytes(), body].concat());
    match read(stream) {
        Ok(answer) => Ok(answer),
        Err(error) => sent.and(Err(error)),
    }
}

fn read(stream: TcpStream) -> std::io::Result<Answer> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("{line:?} is no answer")))?;
    let mut answer = Answer { status, headers: Vec::new(), body: String::new() };
    loop {
        line.clear();
        lines.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        answer.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    if answer.header("content-type") == Some("text/event-stream") {
        return Ok(answer);
    }
    let mut bytes = Vec::new();
    // A server may wait for the rest of a request before it closes.
    let length = answer.header("content-length").and_then(|text| text.parse().ok());
    match lines.take(length.unwrap_or(u64::MAX)).read_to_end(&mut bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    answer.body = match answer.header("transfer-encoding") {
        Some("chunked") => unchunked(&text),
        _ => text,
    };
    Ok(answer)
}

/// The text of chunks (RFC 9112, 7.1).
fn unchunked(mut text: &str) -> String {
    let mut all = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        all.push_str(rest.get(..size).unwrap_or(rest));
        text = rest.get(size + 2..).unwrap_or_default();
    }
    all
}
