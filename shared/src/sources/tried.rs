//! What the tests of sources share: a message tried against a mapping, and the outcome as text.

use std::borrow::Cow;

use crate::domain::reading::UnixMillis;
use crate::domain::rejection::Rejection;
use crate::sources::line::Scalar;
use crate::sources::line::TakeLine;
use crate::sources::line::line_node;
use crate::sources::mapping::Mapping;
use crate::sources::read::Message;
use crate::sources::read::Read;
use crate::sources::read::read;
use crate::sources::taken::Measured;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;

/// When messages arrive: 2026-11-25T22:52:03.456Z.
pub(crate) const NOW: i64 = 1_795_647_123_456;

/// A message of a test.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sent<'t> {
    pub(crate) query: &'t str,
    pub(crate) body: &'t str,
    pub(crate) headers: &'t [(&'t str, &'t str)],
}

/// Reads a message by a mapping.
pub(crate) fn tried(mapping: &Mapping, sent: Sent<'_>) -> Result<Read, Unread> {
    let header = |name: &str| {
        let found = sent.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let (query, body) = (sent.query, sent.body.as_bytes());
    let message = Message { query, body, header: &header, lines: &plain_lines };
    read(mapping, &message, UnixMillis::new(NOW).unwrap())
}

/// The mapping of this text, which is valid.
pub(crate) fn mapping(text: &str) -> Mapping {
    Mapping::parse("test", text).unwrap()
}

/// The outcome, a line for each value: `pointer id temperature time`, where the time has a `=`
/// before it if it is the sender's own, and a `~` if it is assumed; or `pointer !reason`. Then
/// `void n` and `ignored n`. Times are milliseconds after `NOW`.
pub(crate) fn outcome(read: Result<Read, Unread>) -> Vec<String> {
    let read = match read {
        Ok(read) => read,
        Err(unread) => return vec![format!("{unread:?}")],
    };
    let mut lines: Vec<String> = Vec::new();
    for taken in read.taken {
        let result = match taken.result {
            Ok(measured) => measured_text(&measured),
            Err(Rejection { reason, .. }) => format!("!{}", reason.code()),
        };
        lines.push(format!("{} {result}", taken.pointer));
    }
    for (what, count) in [("void", read.void), ("ignored", read.ignored)] {
        lines.extend((count > 0).then(|| format!("{what} {count}")));
    }
    lines
}

fn measured_text(measured: &Measured) -> String {
    let kind = if measured.is_assumed { '~' } else { '=' };
    let after = measured.timestamp.get() - NOW;
    let number = measured.number.map(|number| format!("#{number}")).unwrap_or_default();
    let region = measured.region.as_ref().map(|region| format!("@{}", region.as_str()));
    let (id, milli) = (&measured.id, measured.temperature.get());
    format!("{id}{} {milli} {kind}{after}{number}", region.unwrap_or_default())
}

/// Reads lines of InfluxDB's line protocol without escapes, whose texts have no space.
fn plain_lines<'a>(body: &'a str, take: &mut TakeLine<'_, 'a>) -> Result<(), Unread> {
    let wrong = || Err(Unread::Syntax("not a plain line".to_owned()));
    body.lines().try_for_each(|line| take(plain_line(line).unwrap_or_else(wrong)))
}

fn plain_line(line: &str) -> Option<Result<Node<'_>, Unread>> {
    let mut parts = line.split(' ');
    let mut keys = parts.next()?.split(',');
    let measurement = Cow::Borrowed(keys.next()?);
    let tags: Option<Vec<_>> = keys
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((Cow::Borrowed(key), Scalar::Text(Cow::Borrowed(value))))
        })
        .collect();
    let field = |pair| -> Option<(Cow<'_, str>, Scalar<'_>)> {
        let (key, value): (&str, &str) = str::split_once(pair, '=')?;
        let value = match value.strip_prefix('"') {
            Some(text) => Scalar::Text(Cow::Borrowed(text.strip_suffix('"')?)),
            None => Scalar::Number(value.trim_end_matches(['i', 'u'])),
        };
        Some((Cow::Borrowed(key), value))
    };
    let fields: Option<Vec<_>> = parts.next()?.split(',').map(field).collect();
    Some(line_node(measurement, &tags?, &fields?, parts.next().map(Scalar::Number)))
}
