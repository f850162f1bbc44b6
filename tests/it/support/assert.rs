//! What must be true of an answer.

use isotherm::http::Response;
use isotherm_load::sender::Answer;
use serde_json::Value;

/// Asserts that `answer` is a problem of this status and kind, fit for a caller's eyes.
#[track_caller]
pub(crate) fn check_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let problem = answer.json().unwrap();
    assert_eq!(problem["type"], format!("urn:isotherm:problem:{kind}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}

/// The same, and that the answer says when to come again.
#[track_caller]
pub(crate) fn check_retryable(answer: &Answer, status: u16, kind: &str) {
    check_problem(answer, status, kind);
    let seconds = answer.header("retry-after").map(|text| text.parse::<u32>().unwrap());
    assert!(seconds.is_some_and(|seconds| seconds >= 1), "{seconds:?}");
}

/// Asserts that these fields of `answer` have these values; others may have any. A field
/// that is not there counts as `null`.
#[track_caller]
pub(crate) fn check_fields(answer: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[field], value, "{field} of {answer}");
    }
}

/// Asserts that each of these is a line of `text`.
#[track_caller]
pub(crate) fn check_lines(text: &str, lines: &[&str]) {
    for wanted in lines {
        assert!(text.lines().any(|line| line == *wanted), "no line {wanted} in\n{text}");
    }
}

/// The value of a metric in `text`, by its name and labels.
#[track_caller]
pub(crate) fn metric(text: &str, name: &str) -> i64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// The value of a header, if it is there.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_str())
}
