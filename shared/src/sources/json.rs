//! Messages in JSON (RFC 8259), and what firmware takes for it: numbers as `printf` writes
//! them, and `nan` or `inf` in the place of one, which are texts here. (`serde_json` reads
//! neither, drops a key that is given twice, and its numbers are binary or arbitrarily long.)

use std::borrow::Cow;

use crate::domain::decimal::Decimal;
use crate::limits;
use crate::sources::tree::Field;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;

/// Reads all of `text` as one value.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, Unread> {
    let mut reader = Reader { rest: text, whole: text, nodes: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    match reader.rest.is_empty() {
        true => Ok(value),
        false => Err(reader.expected("nothing more")),
    }
}

/// What is left of a text.
struct Reader<'a> {
    rest: &'a str,
    whole: &'a str,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Skips space, and takes this character if it is next.
    fn takes(&mut self, c: char) -> bool {
        self.skip_space();
        let behind = self.rest.strip_prefix(c);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn expected(&self, what: &str) -> Unread {
        let before = self.whole.len() - self.rest.len();
        let at = self.whole.get(..before).unwrap_or_default().chars().count() + 1;
        let mut detail = format!("no valid JSON at character {at}: expected {what}");
        match self.rest.chars().next() {
            Some(found) if !found.is_control() => detail.extend([" but found ", "`"]),
            Some(_) => detail.push_str(" but found a control character"),
            None => detail.push_str(" but the message ends"),
        }
        if let Some(found) = self.rest.chars().next().filter(|found| !found.is_control()) {
            detail.extend([found, '`']);
        }
        Unread::Syntax(detail)
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Unread> {
        self.nodes += 1;
        if self.nodes > limits::SOURCE_NODES_MAX {
            return Err(Unread::TooLarge);
        }
        self.skip_space();
        match self.rest.bytes().next() {
            Some(b'{' | b'[') if depth == limits::SOURCE_DEPTH_MAX => Err(Unread::TooDeep),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Node::Text(self.string()?)),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, Unread> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        self.takes('{');
        if self.takes('}') {
            return Ok(Node::Object(fields));
        }
        loop {
            self.skip_space();
            if !self.rest.starts_with('"') {
                return Err(self.expected("a name in double quotes"));
            }
            let name = self.string()?;
            if !self.takes(':') {
                return Err(self.expected("`:`"));
            }
            fields.push((name, self.value(depth)?));
            if self.takes('}') {
                return Node::object(fields);
            }
            if !self.takes(',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node<'a>, Unread> {
        let mut items = Vec::new();
        self.takes('[');
        if self.takes(']') {
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.takes(']') {
                return Ok(Node::Array(items));
            }
            if !self.takes(',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    /// A number, or a word in the place of a value.
    fn word(&mut self) -> Result<Node<'a>, Unread> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let rest = self.rest.trim_start_matches(is_part);
        let word = self.rest.get(..self.rest.len() - rest.len()).unwrap_or_default();
        let unsigned = word.trim_start_matches(['+', '-']);
        let is_none = ["nan", "inf", "infinity"].iter().any(|n| unsigned.eq_ignore_ascii_case(n));
        let node = match word {
            "null" => Node::Null,
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            _ if is_none => Node::text(word),
            _ if Decimal::parse_loose(word).is_some() => Node::Number(word),
            _ => return Err(self.expected("a value")),
        };
        self.rest = rest;
        Ok(node)
    }

    /// A string, at whose first quote the rest begins.
    fn string(&mut self) -> Result<Cow<'a, str>, Unread> {
        let inner = self.rest.strip_prefix('"').unwrap_or_default();
        let mut unescaped: Option<String> = None;
        let mut rest = inner;
        loop {
            let end = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ');
            let (piece, behind) =
                end.and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
            if let Some(text) = &mut unescaped {
                text.push_str(piece);
            }
            self.rest = behind;
            if let Some(behind) = behind.strip_prefix('"') {
                self.rest = behind;
                return Ok(unescaped.map_or(Cow::Borrowed(piece), Cow::Owned));
            }
            let Some(escape) = behind.strip_prefix('\\') else {
                return Err(self.expected("the end of a string"));
            };
            let Some((c, behind)) = unescape(escape) else {
                return Err(self.expected("an escape of JSON"));
            };
            unescaped.get_or_insert_with(|| piece.to_owned()).push(c);
            rest = behind;
        }
    }
}

/// The character of an escape without its backslash, and what is behind it.
fn unescape(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    let c = match chars.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(chars.as_str()),
        _ => return None,
    };
    Some((c, chars.as_str()))
}

/// The character of four hex digits, or of two such halves.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (first, rest) = hex4(text)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let (second, rest) = hex4(rest.strip_prefix("\\u")?)?;
    let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + low)?, rest))
}

fn hex4(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, Unread> {
        let mut out = String::new();
        parse(text)?.write_canonical(&mut out);
        Ok(out)
    }

    #[test]
    fn values_stay_as_they_were_written() {
        for (text, expected) in [
            (" { \"b\" : 1.50 , \"a\" : [ true , null ] } ", "{\"a\":[true,null],\"b\":1.50}"),
            ("[+5,.5,-.5,5.,007,1e5]", "[+5,.5,-.5,5.,007,1e5]"),
            ("{\"t\":nan,\"u\":-inf}", "{\"t\":\"nan\",\"u\":\"-inf\"}"),
            (r#""a\"\\\/\n\u00e9\ud83d\ude00""#, "\"a\\\"\\\\/\\u{a}é😀\""),
            ("[]", "[]"),
            ("{}", "{}"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(matches!(parse("\"plain\"").unwrap(), Node::Text(Cow::Borrowed("plain"))));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            ("", "no valid JSON at character 1: expected a value but the message ends"),
            ("{\"é\":1", "no valid JSON at character 7: expected `,` or `}` but the message ends"),
            ("[1,]", "no valid JSON at character 4: expected a value but found `]`"),
            (
                "{a:1}",
                "no valid JSON at character 2: expected a name in double quotes but found `a`",
            ),
            ("{} {}", "no valid JSON at character 4: expected nothing more but found `{`"),
            ("4,5", "no valid JSON at character 2: expected nothing more but found `,`"),
            ("[1.2.3]", "no valid JSON at character 2: expected a value but found `1`"),
            (
                "\"a\nb\"",
                "no valid JSON at character 3: expected the end of a string but found a control \
                 character",
            ),
            (
                "\"\\ud83d\"",
                "no valid JSON at character 2: expected an escape of JSON but found `\\`",
            ),
        ] {
            assert_eq!(parse(text), Err(Unread::Syntax(expected.to_owned())), "{text}");
        }
        assert_eq!(parse("[{\"a\":1,\"a\":1}]"), Err(Unread::KeyTwice("a".to_owned())));
        assert_eq!(parse(r#"{"a":1,"\u0061":1}"#), Err(Unread::KeyTwice("a".to_owned())));
    }

    #[test]
    fn depth_and_nodes_are_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(limits::SOURCE_DEPTH_MAX)).is_ok());
        assert_eq!(parse(&nested(limits::SOURCE_DEPTH_MAX + 1)), Err(Unread::TooDeep));
        assert_eq!(parse(&"[".repeat(1_000_000)), Err(Unread::TooDeep));
        let wide = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
        assert!(parse(&wide(limits::SOURCE_NODES_MAX - 1)).is_ok());
        assert_eq!(parse(&wide(limits::SOURCE_NODES_MAX)), Err(Unread::TooLarge));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_048))]

        #[test]
        fn what_serde_reads_is_read_the_same(text in prop_oneof![
            "[\\[\\]{}:,\"a0-9. ]{0,20}",
            "\\{(\"[a-c]\\\\?[nu\"]?[0-9a-f]{0,4}\":(-?[0-9]{1,3}|\"x\"|null|\\[1\\]),?){0,3}\\}",
        ]) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let ours = parse(&text);
            if let Ok(theirs) = theirs && !matches!(ours, Err(Unread::KeyTwice(_))) {
                let ours = ours.map_err(|e| TestCaseError::fail(format!("{text}: {e:?}")))?;
                same(&ours, &theirs)?;
            }
        }

        #[test]
        fn rubbish_is_an_error_and_no_panic(text in ".{0,40}") {
            if let Ok(node) = parse(&text) {
                node.write_canonical(&mut String::new());
            }
        }
    }

    fn same(ours: &Node<'_>, theirs: &serde_json::Value) -> Result<(), TestCaseError> {
        use serde_json::Value;
        match (ours, theirs) {
            (Node::Object(ours), Value::Object(theirs)) => {
                prop_assert_eq!(ours.len(), theirs.len());
                for (key, value) in ours {
                    same(value, &theirs[key.as_ref()])?;
                }
            }
            (Node::Array(ours), Value::Array(theirs)) => {
                prop_assert_eq!(ours.len(), theirs.len());
                for (ours, theirs) in ours.iter().zip(theirs) {
                    same(ours, theirs)?;
                }
            }
            (Node::Text(ours), Value::String(theirs)) => prop_assert_eq!(ours.as_ref(), theirs),
            (ours, theirs) => {
                let (a, b) = (ours.scalar().unwrap_or_default(), theirs.to_string());
                let is_same = a == b || a.parse::<f64>().ok() == b.parse::<f64>().ok();
                prop_assert!(is_same, "{} {}", a, b);
            }
        }
        Ok(())
    }
}
