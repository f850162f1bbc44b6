//! One keep-alive connection, as thin as it can be: what the client costs is
//! taken from the service's share of the machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Nothing that is measured here takes longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Before readings are sent again that found no room. Less than the service asks
/// for: the bench waits for nothing else.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(100);

/// Headers that an answer may have.
const HEADERS_MAX: usize = 32;

/// What ends a body that comes in chunks (RFC 9112, 7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A connection to a service.
pub(crate) struct Client {
    stream: TcpStream,
    host: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    /// Connects to `url`, which is `http://` and an address.
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").context("the URL is not http://")?;
        let host = host.trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host).with_context(|| format!("no answer at {url}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { stream, host, request: Vec::new(), answer: Vec::new() })
    }

    /// One GET of `path`. Returns the body of a 200.
    pub(crate) fn get(&mut self, path: &str) -> Result<&[u8]> {
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host)?;
        let (status, body) = self.exchange()?;
        if status != 200 {
            bail!("{path}: {status} {}", String::from_utf8_lossy(body));
        }
        Ok(body)
    }

    /// POSTs readings, and again while the service has no room for them: what that
    /// takes is part of the latency. Fails unless all of them were acknowledged.
    pub(crate) fn post(&mut self, readings: &[u8]) -> Result<()> {
        self.request.clear();
        write!(
            self.request,
            "POST /v1/readings HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.host,
            readings.len()
        )?;
        self.request.extend_from_slice(readings);
        let (mut status, mut body) = self.exchange()?;
        while status == 503 {
            std::thread::sleep(NO_ROOM_PAUSE);
            (status, body) = self.exchange()?;
        }
        let all = status == 202 && body.windows(13).any(|part| part == b"\"rejected\":[]");
        if !all {
            bail!("not acknowledged: {status} {}", String::from_utf8_lossy(body));
        }
        Ok(())
    }

    fn exchange(&mut self) -> Result<(u16, &[u8])> {
        self.stream.write_all(&self.request)?;
        self.answer.clear();
        let mut chunk = [0; 16 * 1024];
        loop {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                bail!("the service closed the connection");
            }
            self.answer.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if let Some((status, from, length)) = head(&self.answer)? {
                let body = self.answer.get(from..).unwrap_or_default();
                let is_whole = match length {
                    Some(length) => body.len() >= length,
                    None => body.ends_with(LAST_CHUNK),
                };
                if is_whole {
                    return Ok((status, self.answer.get(from..).unwrap_or_default()));
                }
            }
        }
    }
}

/// Status, where the body begins, and its length.
type Head = (u16, usize, Option<usize>);

/// The head; `None` if it is not complete yet. A body of no given length comes in
/// chunks, as the hello's does, whose content nobody looks at.
fn head(answer: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(from) = response.parse(answer)? else { return Ok(None) };
    let status = response.code.context("an answer without a status")?;
    let length = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(length) => Some(std::str::from_utf8(length.value)?.trim().parse()?),
        None => None,
    };
    Ok(Some((status, from, length)))
}
