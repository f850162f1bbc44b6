//! What is noted of what a source sent and was not counted.

use crate::domain::reading::UnixMillis;
use crate::domain::rejection::Rejections;
use crate::journal::sources::{RefusedBody, SourceNote, Unknown};
use crate::limits;

/// Collects what a request had that was not counted.
pub(crate) struct Leftover(SourceNote);

impl Leftover {
    /// Nothing yet, of this source.
    pub(crate) fn of(source: &str) -> Self {
        Self(SourceNote { name: source.to_owned(), ..SourceNote::default() })
    }

    pub(super) fn count(&mut self, name: &'static str, count: usize) {
        if count > 0 {
            self.0.counts.push((name, u64::try_from(count).unwrap_or(u64::MAX)));
        }
    }

    pub(super) fn count_rejections(&mut self, rejections: &Rejections) {
        self.0.counts.extend(rejections.iter().map(|(reason, count)| (reason.code(), count)));
    }

    /// Notes a device that is not in the table.
    pub(crate) fn unknown(&mut self, id: &str, millicelsius: i64, at: UnixMillis) {
        if let Some(known) = self.0.unknown.iter_mut().find(|known| known.id == id) {
            known.readings += 1;
            (known.millicelsius, known.at) = (millicelsius, at);
        } else if self.0.unknown.len() < limits::UNKNOWN_DEVICES_MAX {
            let id = id.to_owned();
            self.0.unknown.push(Unknown { id, millicelsius, at, readings: 1 });
        }
    }

    /// Keeps the body of which something could not be used, for `pointer` and this reason.
    pub(super) fn refused(&mut self, refused: RefusedBody) {
        self.0.refused.get_or_insert(refused);
    }

    /// The note; `None` if there is nothing to note.
    pub(crate) fn noted(self) -> Option<Box<SourceNote>> {
        let is_empty = self.0.counts.is_empty() && self.0.refused.is_none();
        (!is_empty || !self.0.unknown.is_empty()).then(|| Box::new(self.0))
    }
}

/// A message, its query and its body, of which something could not be used: `why` is the code
/// of the reason, the JSON pointer of what it was, and a sentence.
pub(super) fn body(
    (query, sent): (&str, &[u8]),
    at: UnixMillis,
    (reason, pointer, detail): (&str, &str, &str),
) -> RefusedBody {
    let cut = |text: &str| start(text, limits::REFUSED_BODY_BYTES_MAX).to_owned();
    let text = String::from_utf8_lossy(sent.get(..KEPT_AT_FIRST).unwrap_or(sent));
    RefusedBody {
        at,
        reason: cut(reason),
        pointer: cut(pointer),
        detail: cut(detail),
        query: cut(&query_without_secrets(start(query, KEPT_AT_FIRST))),
        body: cut(&without_secrets(&text)),
    }
}

/// How much of a body is looked at: more than is kept, as what is cut out becomes shorter.
const KEPT_AT_FIRST: usize = 2 * limits::REFUSED_BODY_BYTES_MAX;

/// The beginning of a text, of at most so many bytes.
fn start(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// Names of what is secret in messages of devices, in lower case.
const SECRETS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "pin",
    "token",
    "secret",
    "authorization",
    "apikey",
    "api_key",
];

/// A query without what looks like a credential. `p` is InfluxDB's password, and `key` is ours.
fn query_without_secrets(query: &str) -> String {
    let shown = query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let lower = name.to_ascii_lowercase();
        match !value.is_empty() && (matches!(&*lower, "p" | "key") || SECRETS.contains(&&*lower)) {
            true => format!("{name}=…"),
            false => without_secrets(pair),
        }
    });
    shown.collect::<Vec<_>>().join("&")
}

/// A text without what looks like a credential: our own tokens wherever they are, and what
/// stands behind a name that says that it is one.
fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, length)) = first_secret(rest) {
        shown.push_str(rest.get(..at).unwrap_or_default());
        shown.push('…');
        rest = rest.get(at + length..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

/// Where the first credential begins, and how long it is.
fn first_secret(text: &str) -> Option<(usize, usize)> {
    let ours = ["isokey_", "isotherm_"].iter().filter_map(|prefix| {
        let at = text.find(prefix)?;
        Some((at, until(text.get(at..)?, &['&', '"', '\'', ' ', ',', '/', '\n', '\r'])))
    });
    let lower = text.to_ascii_lowercase();
    let named = SECRETS.iter().filter_map(|name| named(text, &lower, name));
    ours.chain(named).min_by_key(|(at, _)| *at)
}

/// The value of the first key of this name: in a form, or in JSON.
fn named(text: &str, lower: &str, name: &str) -> Option<(usize, usize)> {
    lower.match_indices(name).find_map(|(at, name)| {
        let begin = at + name.len();
        let rest = text.get(begin..)?;
        let value = rest.trim_start_matches(['"', '\'', ' ', ':', '=']);
        let gap = rest.get(..rest.len() - value.len())?;
        let length = match gap.chars().next_back() {
            _ if value.is_empty() || value.starts_with('…') || !gap.contains(['=', ':']) => 0,
            // A value in quotes ends with them, whatever is in it.
            Some(quote @ ('"' | '\'')) => until(value, &[quote]),
            _ if gap.contains('=') => until(value, &['&', '\n', '\r']),
            _ => until(value, &['}', '\n', '\r']),
        };
        (length > 0).then_some((begin + gap.len(), length))
    })
}

/// How many bytes come before one of these characters, or the end.
fn until(text: &str, ends: &[char]) -> usize {
    text.find(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_cut_out_of_a_body() {
        for (sent, shown) in [
            ("ID=x&PASSWORD=hunter2&tempf=70.5", "ID=x&PASSWORD=…&tempf=70.5"),
            (r#"{"token": "abc", "temperature":1}"#, r#"{"token": "…", "temperature":1}"#),
            // Of what is no text, all to the end of the object.
            (r#"{"token":17,"t":1}"#, r#"{"token":…}"#),
            (r#"{"t":1,"token":["abc","def"]}"#, r#"{"t":1,"token":…}"#),
            ("PASSWORD=hun/t er,2\"&tempf=x", "PASSWORD=…&tempf=x"),
            ("password=,abc", "password=…"),
            (r#"{"authorization":"Bearer s3/cr=et","t":1}"#, r#"{"authorization":"…","t":1}"#),
            ("api_key=1&pwd=2&pass=3&PIN=4&t=5", "api_key=…&pwd=…&pass=…&PIN=…&t=5"),
            ("PASSKEY=0A1B&tempf=1", "PASSKEY=0A1B&tempf=1"),
            ("key=isokey_a_b-c_d&x=1", "key=…&x=1"),
            ("password=&t=1", "password=&t=1"),
            ("the token is lost", "the token is lost"),
            ("token=a&token=b", "token=…&token=…"),
            ("isotherm_x_y isokey_z", "… …"),
            ("password=", "password="),
            ("", ""),
            ("ünïcode=°C", "ünïcode=°C"),
        ] {
            assert_eq!(without_secrets(sent), shown);
        }
    }

    #[test]
    fn what_is_secret_is_cut_out_of_a_query() {
        for (sent, shown) in [
            ("db=air&u=me&p=hunter2&precision=s", "db=air&u=me&p=…&precision=s"),
            ("key=abc&t=1&KEY=x&p=", "key=…&t=1&KEY=…&p="),
            ("x=isokey_a_b&temp=21", "x=…&temp=21"),
            ("PASSWORD=a%26b&token=t&p", "PASSWORD=…&token=…&p"),
            ("", ""),
        ] {
            assert_eq!(query_without_secrets(sent), shown);
        }
    }

    #[test]
    fn a_body_is_cut_at_a_character() {
        let long = "°".repeat(limits::REFUSED_BODY_BYTES_MAX);
        let kept = body(("", long.as_bytes()), UnixMillis::MIN, ("r", "/p", "d"));
        assert_eq!(kept.body, "°".repeat(limits::REFUSED_BODY_BYTES_MAX / 2));
        assert_eq!((kept.reason.as_str(), kept.pointer.as_str()), ("r", "/p"));
        let query = "?".repeat(3 * limits::REFUSED_BODY_BYTES_MAX);
        let kept = body((&query, b"\xff\xfe"), UnixMillis::MIN, ("", "", ""));
        assert_eq!(
            (kept.query.len(), kept.body.is_empty()),
            (limits::REFUSED_BODY_BYTES_MAX, false)
        );
    }
}
