//! Where a text stops being JSON, in words.

use crate::limits;

/// `JSON at character 152`: where `body` stops being it.
pub(super) fn not_json_at(body: &str, error: &serde_json::Error) -> String {
    let (at, word) = place(body, error);
    match word.as_str() {
        "" => format!("JSON at character {at}"),
        word => format!("JSON at character {at} (near `{word}`)"),
    }
}

/// Where `text` stops being JSON, in characters from 1, and the word there, cut to
/// `limits::ECHO_CHARS_MAX`.
pub(super) fn place(text: &str, error: &serde_json::Error) -> (usize, String) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let column = error.column().saturating_sub(1);
    let unexpected = lines.map(str::len).sum::<usize>().saturating_add(column);
    // The unexpected byte that the parser names may be within a word.
    let before = text.get(..unexpected).unwrap_or(text);
    let begin = before.trim_end_matches(is_word).len();
    let rest = text.get(begin..).unwrap_or_default();
    let word = rest.chars().take_while(|c| is_word(*c)).take(limits::ECHO_CHARS_MAX).collect();
    (text.get(..begin).unwrap_or_default().chars().count() + 1, word)
}
