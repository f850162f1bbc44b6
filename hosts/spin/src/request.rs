//! Requests: the head as the application sees it, and the body, bounded in bytes and
//! time.

use isotherm::http::{Headers, Problem, Request};
use isotherm::limits;
use spin_sdk::http::IncomingRequest;
use wasi::io::streams::StreamError;

use crate::deadline::Deadline;

/// The head of `request`, as the application sees it.
pub fn head(request: &IncomingRequest) -> Request {
    let target = request.path_with_query().unwrap_or_default();
    let lines = request.headers();
    let headers = Headers::from_lines(|name| {
        let values = lines.get(name);
        values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    });
    Request { method: method(&request.method()), headers, ..Request::get(&target) }
}

fn method(method: &spin_sdk::http::Method) -> http::Method {
    // An unknown method becomes one that no resource allows.
    http::Method::from_bytes(method.to_string().as_bytes()).unwrap_or(http::Method::TRACE)
}

/// Reads the body of `request`, and keeps at most `limit` bytes of it.
///
/// More than that is read and dropped, up to `limits::BODY_BYTES_DROPPED_MAX`: a client
/// that is still sending does not read the answer. A body that does not come in time is
/// given up, because it occupies an instance.
pub fn read_body(request: IncomingRequest, limit: usize) -> Result<Vec<u8>, Problem> {
    const CHUNK_BYTES: u64 = 256 * 1024;
    let deadline = Deadline::after_ms(limits::BODY_MS_MAX);
    let mut dropped = 0;
    let body = request.consume().map_err(|()| Problem::body_cut_off())?;
    let stream = body.stream().map_err(|()| Problem::body_cut_off())?;
    let mut read = Vec::new();
    loop {
        if !deadline.comes(&stream.subscribe(), limits::BODY_GAP_MS_MAX) {
            return Err(Problem::body_too_slow());
        }
        match stream.read(CHUNK_BYTES) {
            Ok(_) if dropped > limits::BODY_BYTES_DROPPED_MAX => break,
            Ok(chunk) if dropped > 0 || read.len() + chunk.len() > limit => {
                dropped += chunk.len();
                read = Vec::new();
            }
            Ok(chunk) if read.is_empty() => read = chunk,
            Ok(chunk) => read.extend_from_slice(&chunk),
            Err(StreamError::Closed) if dropped == 0 => return Ok(read),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(Problem::body_cut_off()),
        }
    }
    Err(Problem::body_too_large(limit))
}

/// Reads and drops the body of a request that was answered without it, within bounds of
/// time and bytes: most clients read the answer only after they have sent everything.
pub fn drop_body(request: IncomingRequest) {
    const CHUNK_BYTES: u64 = 256 * 1024;
    let deadline = Deadline::after_ms(limits::BODY_GAP_MS_MAX);
    let Ok(body) = request.consume() else { return };
    let Ok(stream) = body.stream() else { return };
    let mut dropped = 0;
    while dropped <= limits::BODY_BYTES_DROPPED_MAX
        && deadline.comes(&stream.subscribe(), limits::BODY_GAP_MS_MAX)
    {
        match stream.read(CHUNK_BYTES) {
            Ok(chunk) => dropped += chunk.len(),
            Err(_ended) => return,
        }
    }
}
