//! One request to the node, and what its answer means.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::HeaderValue;

use crate::report::plain;

/// How long to wait for a whole answer. A node lets a body take 70 seconds, but one message is
/// small.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is read, in bytes: one that names 1,000 rejected readings has less.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// How many different reasons a line names.
const REASONS_MAX: usize = 5;

/// The longest title of a problem in a line, in characters.
const TITLE_CHARS_MAX: usize = 80;

/// Where the token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The node has no access control.
    None,
    /// The environment's variable has it.
    Given(String),
    /// This file has it. It is read for every request, so that a new token needs no restart.
    In(PathBuf),
}

impl Token {
    /// The header of the token. Fails if its file can't be read, or has no token in it.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>> {
        let token = match self {
            Self::None => return Ok(None),
            Self::Given(token) => token.clone(),
            Self::In(path) => std::fs::read_to_string(path)
                .with_context(|| format!("the token's file {} can't be read", path.display()))?,
        };
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the token is empty, or has a space or another character that no token has");
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

/// What is to become of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The node has it. If it rejected a part of it, what it said.
    Taken(Option<String>),
    /// The node will never take it, and what it said.
    Refused(String),
    /// Not now: what was said, and how long the node asks to wait.
    Later(String, Option<Duration>),
}

/// Sends messages to one URL.
pub(crate) struct Poster {
    agent: ureq::Agent,
    url: String,
    token: Token,
    content_type: HeaderValue,
}

impl Poster {
    /// Sends to `url` bodies of this type, with this token.
    pub(crate) fn new(url: &str, token: Token, content_type: HeaderValue) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            // A POST that is redirected becomes a GET, and its 200 would say nothing.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The node is on this machine, or on its network.
            .proxy(None);
        Self { agent: config.build().into(), url: url.to_owned(), token, content_type }
    }

    /// Sends one message.
    pub(crate) fn post(&self, topic: &str, payload: &[u8]) -> Verdict {
        let Ok(topic) = HeaderValue::from_bytes(topic.as_bytes()) else {
            return Verdict::Refused("its topic has characters that no header can have".to_owned());
        };
        match self.try_post(topic, payload) {
            Ok((status, body, asked)) => verdict(status, &body, asked),
            Err(error) => Verdict::Later(format!("{error:#}"), None),
        }
    }

    fn try_post(
        &self,
        topic: HeaderValue,
        payload: &[u8],
    ) -> Result<(u16, Vec<u8>, Option<Duration>)> {
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", self.content_type.clone())
            .header("x-mqtt-topic", topic);
        if let Some(token) = self.token.header()? {
            request = request.header("authorization", token);
        }
        let (head, body) = request.send(payload)?.into_parts();
        let asked = head.headers.get("retry-after").and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        // The status is what counts: readings are durable before it is sent.
        let body = body.into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok((head.status.as_u16(), body.unwrap_or_default(), asked))
    }
}

/// What this answer means for its message.
fn verdict(status: u16, body: &[u8], asked: Option<Duration>) -> Verdict {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match status {
        200..300 => Verdict::Taken(rejected(status, &body)),
        400 | 413 | 415 | 422 => Verdict::Refused(problem(status, &body)),
        _ => Verdict::Later(problem(status, &body), asked),
    }
}

/// What the answer says of readings that it rejected beside others that it took.
fn rejected(status: u16, body: &Value) -> Option<String> {
    let listed = body.get("rejected")?.as_array()?;
    let omitted = body.get("rejected_omitted").and_then(Value::as_u64).unwrap_or_default();
    let count = omitted.saturating_add(u64::try_from(listed.len()).unwrap_or(u64::MAX));
    (count > 0).then(|| format!("{status}, but {count} rejected{}", reasons(listed)))
}

/// A problem (RFC 9457) in a few words. Its `detail` may quote the payload, and is left out.
fn problem(status: u16, body: &Value) -> String {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(short);
    let kind = text("type").filter(|kind| kind != "about:blank");
    let code = kind.map(|kind| kind.rsplit(':').next().unwrap_or_default().to_owned());
    let code = text("code").or(code).map(|code| format!(" {code}")).unwrap_or_default();
    let title = text("title").map(|title| format!(": {title}")).unwrap_or_default();
    let errors = body.get("errors").and_then(Value::as_array);
    let reasons = errors.map(|errors| reasons(errors)).unwrap_or_default();
    format!("{status}{code}{title}{reasons}")
}

fn short(text: &str) -> String {
    plain(text, TITLE_CHARS_MAX)
}

/// The different reasons of rejected readings, in parentheses.
fn reasons(items: &[Value]) -> String {
    let mut found: Vec<String> = Vec::new();
    for reason in items.iter().filter_map(|item| item.get("reason")?.as_str()).map(short) {
        if found.len() < REASONS_MAX && !found.contains(&reason) {
            found.push(reason);
        }
    }
    match found.is_empty() {
        true => String::new(),
        false => format!(" ({})", found.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_given_up_only_where_no_other_attempt_can_help() {
        for status in [200, 202, 204] {
            assert_eq!(verdict(status, b"", None), Verdict::Taken(None), "{status}");
        }
        for status in [400, 413, 415, 422] {
            assert_eq!(verdict(status, b"", None), Verdict::Refused(status.to_string()));
        }
        let second = Some(Duration::from_secs(1));
        for status in [301, 303, 401, 403, 404, 405, 408, 409, 418, 429, 500, 502, 503, 504] {
            let later = Verdict::Later(status.to_string(), second);
            assert_eq!(verdict(status, b"", second), later);
        }
    }

    #[test]
    fn a_line_names_the_problem_and_nothing_of_the_payload() {
        let body = br#"{"type":"urn:isotherm:problem:nothing-accepted","title":"No\nreading",
            "status":422,"detail":"SECRET","errors":[{"index":0,"reason":"in_future",
            "detail":"SECRET"},{"index":1,"reason":"in_future","detail":"SECRET"}]}"#;
        let said = "422 nothing-accepted: No\\nreading (in_future)".to_owned();
        assert_eq!(verdict(422, body, None), Verdict::Refused(said));
        let coded = br#"{"code":"E7","type":"about:blank","title":"Bad"}"#;
        assert_eq!(verdict(400, coded, None), Verdict::Refused("400 E7: Bad".to_owned()));
    }

    #[test]
    fn readings_that_were_rejected_beside_others_are_named() {
        let body = br#"{"accepted":1,"rejected":[{"index":0,"reason":"too_old","detail":"S"}],
            "rejected_omitted":2}"#;
        let said = "202, but 3 rejected (too_old)".to_owned();
        assert_eq!(verdict(202, body, None), Verdict::Taken(Some(said)));
        assert_eq!(verdict(202, br#"{"rejected":[]}"#, None), Verdict::Taken(None));
    }

    #[test]
    fn a_token_is_one_word_and_is_read_again() {
        let header = |token: Token| token.header().map(|header| header.unwrap());
        assert_eq!(header(Token::Given("isotherm_a_b\n".into())).unwrap(), "Bearer isotherm_a_b");
        for bad in ["", " ", "a b", "a\nb", "ä"] {
            let error = header(Token::Given(bad.into())).unwrap_err().to_string();
            assert!(!error.contains(bad) || bad.trim().is_empty(), "{error}");
        }
        assert_eq!(Token::None.header().unwrap(), None);
        assert!(header(Token::In("/nonexistent/token".into())).is_err());
    }

    #[test]
    fn a_topic_that_no_header_can_have_is_refused_and_never_sent() {
        let json = HeaderValue::from_static("application/json");
        // Nothing listens there: a request would be tried again.
        let poster = Poster::new("http://127.0.0.1:1/", Token::None, json);
        let injected = poster.post("a\r\nauthorization: x", b"{}");
        assert!(matches!(injected, Verdict::Refused(_)), "{injected:?}");
        let topic_of_utf8 = poster.post("Kühlraum/1", b"{}");
        assert!(matches!(topic_of_utf8, Verdict::Later(..)), "{topic_of_utf8:?}");
    }
}
