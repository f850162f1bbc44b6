//! Messages that are read by the mapping of a source.

use http::StatusCode;

use super::asked::{Asked, Way};
use super::config::{self, Source};
use super::left::{self, Leftover};
use super::placed::{self, NotPlaced, Placed};
use super::{Answer, lines, replies};
use crate::api::readings::answers;
use crate::api::readings::formats;
use crate::api::readings::take::{Kept, Sent, Taken, take};
use crate::api::router::Admitted;
use crate::domain::reading::UnixMillis;
use crate::domain::rejection::{Reason, Rejection};
use crate::error::Error;
use crate::host::Host;
use crate::http::{Header, Kind, Problem, Refusal, Request};
use crate::journal::Origin;
use crate::limits;
use crate::sources::line::{Pair, ReadLines, Scalar, TakeLine, line_node};
use crate::sources::mapping::Mapping;
use crate::sources::read::{Message, Read, read};
use crate::sources::steps::Steps;
use crate::sources::tree::{Node, Unread};
use crate::wire::line::{Field, Line, Lines};
use crate::wire::line_time::{self, Precision};

/// What a mapping calls the name of the ingest key that a message came by: of some devices it
/// is all that tells them apart.
const KEY: &str = "x-isotherm-key";

/// Takes a message of a source.
pub(super) fn take_message<H: Host>(
    host: &H,
    request: &Request,
    asked: &Asked,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Result<Answer, Refusal> {
    let source = config::find(host, &asked.source)?.ok_or_else(|| {
        let name = &asked.source;
        let detail = format!(
            "no such source; make one by PUT /v1/sources/{name}, or in the variable sources"
        );
        Problem::new(Kind::NotFound, detail)
    })?;
    // To others it is a parameter like any other.
    let precision = match source.mapping.reads_lines() {
        true => lines::precision(request)?,
        false => Precision::Auto,
    };
    let way = (asked.way, asked.open_key());
    let body = match formats::inflated(request, body, limits::SOURCE_BODY_BYTES_MAX) {
        Ok(body) => body,
        Err(problem) => return Ok(compressed(host, request, &source, asked.way, problem, now)),
    };
    let answer = judged(host, request, &source, admitted, (&body, precision), way, now)
        .unwrap_or_else(|refusal| super::refused(host, request, asked.way, refusal));
    let is_busy = answer.response.status == StatusCode::SERVICE_UNAVAILABLE;
    Ok(match is_busy && source.mapping.replies.is_busy_429 {
        true => Answer { response: replies::busy(answer.response), ..answer },
        false => answer,
    })
}

/// The answer to a message that can't be inflated. It is noted, and its bytes are not kept:
/// nobody could read them.
fn compressed<H: Host>(
    host: &H,
    request: &Request,
    source: &Source,
    way: Way,
    problem: Problem,
    now: UnixMillis,
) -> Answer {
    let mut left = Leftover::of(&source.name);
    left.count("unreadable", 1);
    let query = request.query.as_deref().unwrap_or_default();
    left.refused(left::body((query, b""), now, ("unreadable", "", problem.detail())));
    let refused = super::refused(host, request, way, problem.into());
    let after_answer = refused.after_answer.with_left(left.noted());
    Answer { after_answer, ..refused }
}

/// Takes lines for a source with a mapping.
pub(super) fn take_lines<H: Host>(
    host: &H,
    request: &Request,
    source: &Source,
    admitted: &Admitted,
    (text, precision): (&str, Precision),
    now: UnixMillis,
) -> Result<Answer, Refusal> {
    if !source.mapping.reads_lines() {
        let detail = format!(
            "the mapping of the source {} reads no line protocol; send its messages to /v1/in/{0}",
            source.name
        );
        return Err(Problem::new(Kind::UnsupportedMediaType, detail).into());
    }
    judged(host, request, source, admitted, (text.as_bytes(), precision), (Way::Lines, None), now)
}

/// A message read by the mapping of a source, which keeps nothing.
pub(super) fn tried(
    source: &Source,
    (request, key): (&Request, Option<&str>),
    (query, body): (&str, &[u8]),
    precision: Precision,
    now: UnixMillis,
) -> Result<Read, Unread> {
    let header = |name: &str| match name {
        KEY => key.map(str::to_owned),
        _ => {
            let known = [Header::XMqttTopic, Header::XSensor];
            let header = known.into_iter().find(|header| header.name() == name)?;
            request.headers.get(header).map(str::to_owned)
        }
    };
    let lines: &ReadLines<'_> = &|text, take| take_all(text, precision, take);
    read(&source.mapping, &Message { query, body, header: &header, lines }, now)
}

/// Gives the lines of a body to `take`, one after the other.
fn take_all<'a>(
    text: &'a str,
    precision: Precision,
    take: &mut TakeLine<'_, 'a>,
) -> Result<(), Unread> {
    Lines::of(text).try_for_each(|line| match line {
        Ok(line) => take(node(line, precision)),
        Err(bad) => take(Err(Unread::Syntax(bad.detail.into_owned()))),
    })
}

/// A line as the mapping sees it. Its time is in milliseconds, whatever the request's
/// precision is.
fn node(line: Line<'_>, precision: Precision) -> Result<Node<'_>, Unread> {
    let tags: Vec<Pair<'_>> =
        line.tags.into_iter().map(|(key, value)| (key, Scalar::Text(value))).collect();
    let scalar = |field| match field {
        Field::Float(text) | Field::Integer(text) | Field::Unsigned(text) => Scalar::Number(text),
        Field::Text(text) => Scalar::Text(text),
        Field::Bool(value) => Scalar::Bool(value),
    };
    let fields: Vec<Pair<'_>> =
        line.fields.into_iter().map(|(key, field)| (key, scalar(field))).collect();
    let time = line.timestamp.map(|text| time(text, precision)).transpose()?;
    line_node(line.measurement, &tags, &fields, time)
}

/// The time of a line in milliseconds. One that no precision makes a time of today is left to
/// the mapping, which may take it for missing: a device whose clock is not set sends such.
fn time(text: &str, precision: Precision) -> Result<Scalar<'_>, Unread> {
    match line_time::instant(text, precision) {
        Ok(time) => Ok(Scalar::Text(time.get().to_string().into())),
        Err(Rejection { reason: Reason::TimestampInSeconds, detail, .. }) => {
            Err(Unread::Time(Reason::TimestampInSeconds, detail.into_owned()))
        }
        Err(_) => Ok(Scalar::Number(text)),
    }
}

/// The readings of what was read of a message of so many bytes.
fn placed<H: Host>(
    host: &H,
    source: &Source,
    read: Read,
    bytes: usize,
    left: &mut Leftover,
) -> Result<Result<Placed, Unread>, Error> {
    left.count("ignored", usize::try_from(read.ignored).unwrap_or(usize::MAX));
    left.count("void", usize::try_from(read.void).unwrap_or(usize::MAX));
    match placed::place(host, source, read.taken, left, &mut Steps::of(bytes)) {
        Ok(placed) => Ok(Ok(placed)),
        Err(NotPlaced::TooCostly) => Ok(Err(Unread::TooCostly)),
        Err(NotPlaced::Node(error)) => Err(error),
    }
}

/// Takes what the mapping reads of a message.
fn judged<H: Host>(
    host: &H,
    request: &Request,
    source: &Source,
    admitted: &Admitted,
    (body, precision): (&[u8], Precision),
    (way, asked_key): (Way, Option<&str>),
    now: UnixMillis,
) -> Result<Answer, Refusal> {
    let query = request.query.as_deref().unwrap_or_default();
    let bytes = body.len().saturating_add(query.len());
    let mut left = Leftover::of(&source.name);
    let sent = (query, body);
    let key = admitted.grant.who().or(asked_key);
    let read = match tried(source, (request, key), (query, body), precision, now) {
        Ok(read) => placed(host, source, read, bytes, &mut left)?,
        Err(unread) => Err(unread),
    };
    let Placed { items, pointers } = match read {
        Ok(placed) => placed,
        Err(unread) => {
            let detail = unread.detail();
            left.count("unreadable", 1);
            left.refused(left::body(sent, now, ("unreadable", "", &detail)));
            // A sender may send less at once.
            let kind = match unread {
                Unread::TooMany | Unread::TooLarge => Kind::TooLarge,
                _ => Kind::Unreadable,
            };
            let problem = Problem::new(kind, format!("{detail}; nothing was stored"));
            let refused = super::refused(host, request, way, problem.into());
            let after_answer = refused.after_answer.with_left(left.noted());
            return Ok(Answer { after_answer, ..refused });
        }
    };
    let count = items.len();
    let allows_all = admitted.grant.scopes.may_send_by(&source.name);
    let origin = Origin { source: Some(source.of()), ..Origin::default() };
    let items = Sent { items, ignored: Vec::new(), origin, allows_all, wait_ms: None };
    let taken = take(host, items, &admitted.grant, admitted.door, now)?;
    // An unknown device is listed as such: its messages would drive all others out.
    let mut others = taken.batch.rejected.iter().filter(|one| one.reason != Reason::UnknownDevice);
    if let Some(first) = others.next() {
        let pointer = pointers.get(first.error.index).map_or("", String::as_str);
        let why = (first.reason.code(), pointer, &*first.error.detail);
        left.refused(left::body(sent, now, why));
    }
    match way {
        Way::Lines => Ok(lines::answered(request, taken, count, left)),
        _ => Ok(answered(request, source, taken, count, left)),
    }
}

/// The answer to a device: a 2xx if anything of its message was understood, as it would send
/// the same again or never. What was refused is seen at the node.
fn answered(
    request: &Request,
    source: &Source,
    taken: Taken<'_>,
    count: usize,
    left: Leftover,
) -> Answer {
    let Mapping { replies, is_strict, .. } = &source.mapping;
    super::answered(request, Way::Named, taken, left, |batch, kept| {
        let has_rejected = !batch.rejected.is_empty();
        match kept {
            Kept::Nothing if *is_strict && has_rejected => {
                let (named, omitted) = batch.named();
                let detail = format!("all {count} readings were rejected: see errors");
                Problem::new(Kind::NothingValid, detail).with_errors(named, omitted).into()
            }
            // As for a sender of readings: what was kept, and what was not.
            _ if *is_strict && has_rejected => answers::journaled(batch),
            Kept::Nothing => replies::of_source(replies.ignored.as_ref()),
            _ => replies::of_source(replies.kept.as_ref()),
        }
    })
}
