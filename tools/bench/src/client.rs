//! One keep-alive connection, as thin as possible: what the client costs is taken from
//! the service's share of the machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Nothing that is measured here takes longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The pause before readings are sent again to a full service. Shorter than the service
/// asks for: the bench waits for nothing else.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(100);

/// The most headers of an answer.
const HEADERS_MAX: usize = 32;

/// The end of a chunked body (RFC 9112, 7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A connection to a service.
pub(crate) struct Client {
    stream: TcpStream,
    host: String,
    /// The header with the token, and its end of line; empty without a token.
    authorization: String,
    request: Vec<u8>,
    answer: Vec<u8>,
    is_chunked: bool,
}

impl Client {
    /// Connects to `url`, which is `http://` and an address.
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").context("the URL is not http://")?;
        let host = host.trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host).with_context(|| format!("no answer at {url}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let (authorization, request, answer) = (String::new(), Vec::new(), Vec::new());
        Ok(Self { stream, host, authorization, request, answer, is_chunked: false })
    }

    /// The same with a token in each request.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.authorization = format!("authorization: Bearer {token}\r\n");
        self
    }

    /// One GET of `path`. Returns the body of a 200, still in its chunks.
    pub(crate) fn get(&mut self, path: &str) -> Result<&[u8]> {
        self.request.clear();
        let Self { host, authorization, .. } = self;
        write!(self.request, "GET {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}\r\n")?;
        let (status, body) = self.exchange()?;
        if status != 200 {
            bail!("{path}: {status} {}", String::from_utf8_lossy(body));
        }
        Ok(body)
    }

    /// One GET of `path`, answered with JSON.
    pub(crate) fn get_json(&mut self, path: &str) -> Result<Value> {
        let body = self.get(path)?.to_vec();
        let whole = if self.is_chunked { joined(&body)? } else { body };
        Ok(serde_json::from_slice(&whole)?)
    }

    /// POSTs readings, and again while the service has no room for them; that time is
    /// part of the latency. Fails unless all of them were acknowledged.
    pub(crate) fn post(&mut self, readings: &[u8]) -> Result<()> {
        self.prepare_post("/v1/readings", "application/json", readings)?;
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

    /// POSTs `text` to `path`, once. Fails unless the answer has the expected status.
    pub(crate) fn post_text(&mut self, path: &str, text: &[u8], expected: u16) -> Result<()> {
        self.prepare_post(path, "text/plain", text)?;
        let (status, body) = self.exchange()?;
        if status != expected {
            bail!("{path}: {status} {}", String::from_utf8_lossy(body));
        }
        Ok(())
    }

    /// POSTs JSON to `path`, once. Returns the body of a 201, which is JSON, too.
    pub(crate) fn create(&mut self, path: &str, json: &Value) -> Result<Value> {
        self.prepare_post(path, "application/json", json.to_string().as_bytes())?;
        let (status, body) = self.exchange()?;
        if status != 201 {
            bail!("{path}: {status} {}", String::from_utf8_lossy(body));
        }
        Ok(serde_json::from_slice(body)?)
    }

    fn prepare_post(&mut self, path: &str, content_type: &str, body: &[u8]) -> Result<()> {
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\n{}\r\n",
            self.host,
            body.len(),
            self.authorization
        )?;
        self.request.extend_from_slice(body);
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
                    self.is_chunked = length.is_none();
                    return Ok((status, self.answer.get(from..).unwrap_or_default()));
                }
            }
        }
    }
}

/// Status, where the body begins, and its length.
type Head = (u16, usize, Option<usize>);

/// The head; `None` if it is not complete yet. A body without a length is chunked, like
/// the hello's; after a 204 there is none.
fn head(answer: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(from) = response.parse(answer)? else { return Ok(None) };
    let status = response.code.context("an answer without a status")?;
    let length = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(length) => Some(std::str::from_utf8(length.value)?.trim().parse()?),
        None if status == 204 => Some(0),
        None => None,
    };
    Ok(Some((status, from, length)))
}

/// The content of a chunked body.
fn joined(mut body: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    while let httparse::Status::Complete((from, size)) =
        httparse::parse_chunk_size(body).ok().context("no size of a chunk")?
    {
        if size == 0 {
            return Ok(whole);
        }
        let to = from + usize::try_from(size)?;
        whole.extend_from_slice(body.get(from..to).context("a chunk that ends early")?);
        body = body.get(to + 2..).unwrap_or_default();
    }
    bail!("a body without a last chunk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        assert_eq!(joined(b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n").unwrap(), b"abcd");
        assert!(joined(b"3\r\nab").is_err());
        assert!(joined(b"3\r\nabc\r\n").is_err());
        assert!(joined(b"no size").is_err());
    }

    #[test]
    fn a_204_has_no_body() {
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(head(answer).unwrap(), Some((204, answer.len(), Some(0))));
    }
}
