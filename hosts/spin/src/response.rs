//! Sends responses: whole ones, and streams of events.

use isotherm::api::events::{Step, Stream};
use isotherm::error::best_effort;
use isotherm::host::Host;
use isotherm::http::{Request, Response};
use isotherm::limits;
use spin_sdk::http::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasi::io::streams::OutputStream;

use crate::deadline::Deadline;
use crate::{Spin, now};

/// Sends `response` to `request`.
///
/// What the host accepts of the body without waiting (a megabyte) is written before the
/// response is handed over, so that head and body leave in one TCP segment: with two, a
/// keep-alive client waits 40 ms for the second.
pub fn send(host: &Spin, request: &Request, response: Response, out: ResponseOutparam) {
    let sent = try_send(response, out);
    // The answer to HEAD is that to GET, and the runtime takes no more of it than it needs.
    if let Err(what) = sent
        && request.method != http::Method::HEAD
    {
        host.log(&format!("the response was not sent completely: {what}"));
    }
}

/// Returns which part failed. Only the connection can fail here, and the texts of its
/// error enumerations would be a tenth of the component.
fn try_send(response: Response, out: ResponseOutparam) -> Result<(), &'static str> {
    // A 304 has no content, but its representation is not empty; a 204 must have no length (RFC
    // 9110, 8.6).
    let has_none = [http::StatusCode::NOT_MODIFIED, http::StatusCode::NO_CONTENT];
    let length = (!has_none.contains(&response.status))
        .then(|| ("content-length", response.body.len().to_string()));
    let outgoing = head_of(response.status, response.headers, length)?;
    let body = outgoing.body().map_err(|()| "body")?;
    let stream = body.write().map_err(|()| "stream")?;

    let rest = write_ready(&stream, &response.body)?;
    if rest.is_empty() {
        drop(stream);
        OutgoingBody::finish(body, None).map_err(|_cause| "end")?;
        out.set(outgoing);
        return Ok(());
    }
    out.set(outgoing);
    write_rest(&stream, rest)?;
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|_cause| "end")
}

fn head_of(
    status: http::StatusCode,
    headers: Vec<(&'static str, String)>,
    further: Option<(&'static str, String)>,
) -> Result<OutgoingResponse, &'static str> {
    let headers = headers.into_iter().chain(further);
    let headers: Vec<(String, Vec<u8>)> =
        headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    let fields = Fields::from_list(&headers).map_err(|_cause| "headers")?;
    let outgoing = OutgoingResponse::new(fields);
    outgoing.set_status_code(status.as_u16()).map_err(|()| "status")?;
    Ok(outgoing)
}

/// Sends the head of `response`, then what the stream gives, step by step, until it
/// ends or the client is gone.
pub fn stream(host: &Spin, response: Response, out: ResponseOutparam, events: Stream<'_, Spin>) {
    if let Err(what) = try_stream(host, response, out, events) {
        host.log(&format!("the events were not sent: {what}"));
    }
}

fn try_stream(
    host: &Spin,
    response: Response,
    out: ResponseOutparam,
    mut events: Stream<'_, Spin>,
) -> Result<(), &'static str> {
    let outgoing = head_of(response.status, response.headers, None)?;
    let body = outgoing.body().map_err(|()| "body")?;
    let stream = body.write().map_err(|()| "stream")?;
    out.set(outgoing);
    loop {
        let Step { text, goes_on } = events.step(now());
        if !text.is_empty() && !is_taken(&stream, &text) {
            events.leave();
            break;
        }
        if !goes_on {
            break;
        }
        host.sleep_ms(limits::EVENTS_EVERY_MS);
    }
    drop(stream);
    // A client that disconnects is no error.
    best_effort(OutgoingBody::finish(body, None));
    Ok(())
}

/// Writes the text; returns whether the client took it.
fn is_taken(stream: &OutputStream, text: &str) -> bool {
    let written = write_rest(stream, text.as_bytes());
    written.is_ok() && stream.flush().is_ok() && write_rest(stream, b"").is_ok()
}

/// Writes bytes as the client takes them. Gives up on a client that takes none for a
/// while, because it occupies an instance.
fn write_rest(stream: &OutputStream, mut rest: &[u8]) -> Result<(), &'static str> {
    let client = Deadline::after_ms(limits::ANSWER_MS_MAX);
    loop {
        if !client.comes(&stream.subscribe(), limits::ANSWER_GAP_MS_MAX) {
            return Err("the client reads nothing");
        }
        rest = write_ready(stream, rest)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// Writes as much as the stream takes at once, and returns the rest.
fn write_ready<'a>(stream: &OutputStream, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let ready = stream.check_write().map_err(|_cause| "connection")?;
    let ready = usize::try_from(ready).unwrap_or(usize::MAX).min(bytes.len());
    let (now, later) = bytes.split_at(ready);
    stream.write(now).map_err(|_cause| "connection")?;
    Ok(later)
}
