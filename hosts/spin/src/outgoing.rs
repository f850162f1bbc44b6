//! Outgoing HTTP requests: `wasi:http/outgoing-handler`, with its three time limits.

use isotherm::error::best_effort;
use isotherm::host::{HttpAnswer, HttpCall, SendError, SendErrorKind, SendLimits};
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasi::io::streams::StreamError;

use crate::deadline::Deadline;

/// How much of an answer is read at once.
const CHUNK_BYTES: u64 = 64 * 1024;

/// How much of a body `blocking-write-and-flush` takes at once (WASI 0.2).
const WRITE_BYTES_MAX: usize = 4_096;

pub(crate) fn send(call: &HttpCall<'_>) -> Result<HttpAnswer, SendError> {
    let request = request(call)?;
    let body = request.body().map_err(|()| other("the request has no body"))?;
    let options = options(call.limits)?;
    let coming = outgoing_handler::handle(request, Some(options)).map_err(from_code)?;
    // The body of a refused or early answered request can't be written; the answer says
    // why.
    best_effort(write(body, call.body));
    let deadline = Deadline::after_ms(call.limits.connect_ms + call.limits.first_byte_ms);
    if !deadline.comes(&coming.subscribe(), u64::MAX) {
        return Err(SendError::new(SendErrorKind::TimedOut, "no answer in time"));
    }
    match coming.get() {
        Some(Ok(Ok(response))) => answer(&response, call),
        Some(Ok(Err(code))) => Err(from_code(code)),
        Some(Err(())) | None => Err(other("the answer was taken already")),
    }
}

fn request(call: &HttpCall<'_>) -> Result<OutgoingRequest, SendError> {
    let lines = call.headers.iter();
    let mut lines: Vec<(String, Vec<u8>)> =
        lines.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    // Else it goes out in chunks, which some proxies refuse.
    let length = call.body.len().to_string();
    lines.push(("content-length".to_owned(), length.into_bytes()));
    let fields = Fields::from_list(&lines).map_err(|error| other(error.to_string()))?;
    let request = OutgoingRequest::new(fields);
    let (scheme, rest) = call.url.split_once("://").ok_or_else(|| other("no URL"))?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let method = match call.method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    let set = request
        .set_method(&method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(if path.is_empty() { "/" } else { path })));
    set.map_err(|()| other("the URL can't be used"))?;
    Ok(request)
}

fn options(limits: SendLimits) -> Result<RequestOptions, SendError> {
    let ns = |ms: u64| Some(ms.saturating_mul(1_000_000));
    let options = RequestOptions::new();
    let set = options
        .set_connect_timeout(ns(limits.connect_ms))
        .and_then(|()| options.set_first_byte_timeout(ns(limits.first_byte_ms)))
        .and_then(|()| options.set_between_bytes_timeout(ns(limits.between_bytes_ms)));
    set.map_err(|()| other("the runtime takes no limits on time"))?;
    Ok(options)
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), SendError> {
    let stream = body.write().map_err(|()| other("the request's body can't be written"))?;
    for piece in bytes.chunks(WRITE_BYTES_MAX) {
        let written = stream.blocking_write_and_flush(piece);
        written.map_err(|_cause| other("the request was cut off"))?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(from_code)
}

fn answer(response: &IncomingResponse, call: &HttpCall<'_>) -> Result<HttpAnswer, SendError> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let lines = response.headers().entries().into_iter();
    let headers = lines.map(|(name, value)| (name.to_lowercase(), text(value))).collect();
    let body = response.consume().map_err(|()| other("the answer has no body"))?;
    let stream = body.stream().map_err(|()| other("the answer has no body"))?;
    let mut read = Vec::new();
    // Of all of it: a peer that sends a byte now and then must not hold an instance.
    let end = Deadline::after_ms(call.limits.rest_ms);
    loop {
        if !end.comes(&stream.subscribe(), call.limits.between_bytes_ms) {
            return Err(SendError::new(SendErrorKind::TimedOut, "the answer stopped"));
        }
        match stream.read(CHUNK_BYTES) {
            Ok(chunk) if read.len() + chunk.len() > call.answer_bytes_max => {
                return Err(SendError::new(SendErrorKind::TooLarge, "the answer is too large"));
            }
            Ok(chunk) => read.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => {
                return Err(other("the answer was cut off"));
            }
        }
    }
    Ok(HttpAnswer { status: response.status(), headers, body: read })
}

fn other(message: impl Into<String>) -> SendError {
    SendError::new(SendErrorKind::Other, message)
}

fn from_code(code: ErrorCode) -> SendError {
    let kind = match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => SendErrorKind::Denied,
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout
        | ErrorCode::DnsTimeout => SendErrorKind::TimedOut,
        _ => SendErrorKind::Other,
    };
    let message = match code {
        ErrorCode::ConnectionRefused => "nothing listens there".to_owned(),
        ErrorCode::DnsError(_) => "the name of the host can't be resolved".to_owned(),
        ErrorCode::ConnectionTerminated | ErrorCode::HttpProtocolError => {
            "the connection ended before an answer".to_owned()
        }
        ErrorCode::TlsCertificateError => "its certificate is not valid".to_owned(),
        ErrorCode::HttpRequestDenied => "the manifest does not allow this host".to_owned(),
        other => other.to_string(),
    };
    SendError::new(kind, message)
}
