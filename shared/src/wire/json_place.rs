//! Where a text stops being JSON, and what is there instead, in words.

use crate::domain::decimal::Decimal;
use crate::limits;

/// `JSON at character 152: expected , or } but found ]`: where `body` stops being it.
pub(super) fn not_json_at(body: &str, error: &serde_json::Error) -> String {
    let place = Place::of(body, error);
    format!("JSON at character {}{}", place.at, place.found_there())
}

/// Where a text stops being JSON.
pub(super) struct Place<'a> {
    /// In characters, from 1.
    pub(super) at: usize,
    /// What there should be, where one thing can be named.
    expected: Option<&'static str>,
    /// The word there, or a number with a comma in it, cut to `limits::ECHO_CHARS_MAX`.
    word: String,
    /// The character there.
    found: Option<char>,
    /// The text before the place.
    before: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn of(text: &'a str, error: &serde_json::Error) -> Self {
        let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let column = error.column().saturating_sub(1);
        let unexpected = lines.map(str::len).sum::<usize>().saturating_add(column);
        let before = text.get(..unexpected).unwrap_or(text);
        // The byte that the parser names may be within a word, or right behind one, like `1.`.
        let begin = before.trim_end_matches(is_of_word).len();
        let there = text.get(unexpected..).unwrap_or_default();
        let is_behind_value =
            !there.starts_with(is_of_word) && text.get(begin..unexpected).is_some_and(is_scalar);
        let begin = if is_behind_value { unexpected } else { begin };
        // For a control character in a string, the parser names the byte before it.
        let behind = text.get(begin..).unwrap_or_default().trim_start_matches(is_of_word);
        let is_control = behind.starts_with(char::is_control)
            && text.get(..begin).is_some_and(|before| expected(before).is_none());
        let begin = if is_control { text.len() - behind.len() } else { begin };
        let (before, rest) = text.split_at_checked(begin).unwrap_or((text, ""));
        let word: String =
            rest.chars().take_while(|c| is_of_word(*c)).take(limits::ECHO_CHARS_MAX).collect();
        Self {
            at: before.chars().count() + 1,
            expected: expected(before),
            word,
            found: rest.chars().next(),
            before,
        }
    }

    /// Whether a value is there that is none of JSON, like `NaN`.
    pub(super) fn is_value(&self) -> bool {
        !self.word.is_empty() && self.expected.is_none_or(|expected| expected == VALUE)
    }

    /// Whether a bracket is there that does not close what is open.
    pub(super) fn is_wrong_bracket(&self) -> bool {
        matches!(self.found, Some(']' | '}')) && self.expected.is_some()
    }

    /// What is there, to be put behind the place. A word of the body stands in "(near `…`)"
    /// alone, and is left out where it must not be kept.
    pub(super) fn found_there(&self) -> String {
        if let Some(whole) = self.whole_of_decimal() {
            let word = &self.word;
            return format!(" (near `{whole},{word}`): write decimals with a point, not a comma");
        }
        match (self.expected, self.found) {
            _ if self.is_value() => format!(" (near `{}`)", self.word),
            (Some(expected), _) if !self.word.is_empty() => {
                format!(" (near `{}`): expected {expected} before it", self.word)
            }
            (_, Some(found)) if found.is_control() => {
                ": a line break or another control character in a string must be escaped".to_owned()
            }
            (Some(expected), Some(found)) => format!(": expected {expected} but found {found}"),
            _ => String::new(),
        }
    }

    /// `4`, where there is a `5` behind a comma, and a name should be: of `"t": 4,5`.
    fn whole_of_decimal(&self) -> Option<&str> {
        let is_fraction = self.word.starts_with(|c: char| c.is_ascii_digit());
        let before = self.before.strip_suffix(',').filter(|_| is_fraction)?;
        let begin = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').len();
        let whole = before.get(begin..)?;
        (self.expected == Some(NAME) && (1..=4).contains(&whole.len())).then_some(whole)
    }
}

const VALUE: &str = "a value";
const NAME: &str = "a name in double quotes";

/// What must follow this begin of a JSON text; `None` within a string. (The parser has it in
/// its messages, but all of them together are 10 KB of a component.)
fn expected(before: &str) -> Option<&'static str> {
    let mut open = Vec::new();
    let (mut is_in_string, mut is_escaped, mut has_name, mut last) = (false, false, false, 0);
    for byte in before.bytes() {
        if is_in_string {
            is_in_string = is_escaped || byte != b'"';
            is_escaped = byte == b'\\' && !is_escaped;
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'"' => is_in_string = true,
            b'{' | b'[' => {
                open.push(byte);
                has_name = false;
            }
            b'}' | b']' => {
                open.pop();
                has_name = true;
            }
            b':' => has_name = true,
            b',' => has_name = false,
            _ => {}
        }
        last = byte;
    }
    match (open.last(), last) {
        _ if is_in_string => None,
        (None, 0) | (Some(_), b':') | (Some(b'['), b'[' | b',') => Some(VALUE),
        (None, _) => Some("nothing more"),
        (Some(b'['), _) => Some(", or ]"),
        (Some(_), b'{' | b',') => Some(NAME),
        (Some(_), _) if has_name => Some(", or }"),
        (Some(_), _) => Some(":"),
    }
}

/// Whether the word is a whole value, and not the begin of one.
fn is_scalar(word: &str) -> bool {
    matches!(word, "true" | "false" | "null") || Decimal::parse(word).is_some()
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn the_place_and_what_is_there_instead_are_named() {
        for (text, said) in [
            ("[{\"a\":1]", "8: expected , or } but found ]"),
            ("[1}", "3: expected , or ] but found }"),
            ("[1 \"b\"]", "4: expected , or ] but found \""),
            ("{\"a\":1 \"b\":2}", "8: expected , or } but found \""),
            ("{\"a\",1}", "5: expected : but found ,"),
            ("[1,,2]", "4: expected a value but found ,"),
            ("[1,]", "4: expected a value but found ]"),
            ("{\"a\":1,}", "8: expected a name in double quotes but found }"),
            ("{'a':1}", "2: expected a name in double quotes but found '"),
            ("{} {}", "4: expected nothing more but found {"),
            ("{\"ü\":1]", "7: expected , or } but found ]"),
            ("{\n\"a\":1\n]", "9: expected , or } but found ]"),
            ("{\"a\":NaN}", "6 (near `NaN`)"),
            ("{\"a\" 1}", "6 (near `1`): expected : before it"),
            ("{a:1}", "2 (near `a`): expected a name in double quotes before it"),
            ("{\"a\":4,5}", "8 (near `4,5`): write decimals with a point, not a comma"),
            ("{\"a\":-18,25}", "10 (near `-18,25`): write decimals with a point, not a comma"),
            (
                "[\"a\nb\"]",
                "4: a line break or another control character in a string must be escaped",
            ),
        ] {
            let error = serde_json::from_str::<&RawValue>(text).unwrap_err();
            assert_eq!(not_json_at(text, &error), format!("JSON at character {said}"), "{text}");
        }
    }
}
