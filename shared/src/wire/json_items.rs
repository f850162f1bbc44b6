//! Cuts a body into its items without reading them, so an error within an item stays
//! there.

/// The items of the array, or the one object, in `body`. `None` if it is truncated or
/// something follows its end.
///
/// An item may be anything with balanced brackets: one with `NaN` in it is still an
/// item.
pub(crate) fn cut(body: &str) -> Option<Vec<&str>> {
    let body = body.trim_ascii();
    let Some(array) = body.strip_prefix('[') else {
        return Some(pieces(body)?).filter(|pieces| pieces.len() == 1);
    };
    let inner = array.strip_suffix(']')?;
    if inner.trim_ascii().is_empty() { Some(Vec::new()) } else { pieces(inner) }
}

/// The value of the field `name` in an item that may not be JSON, if it is a string without
/// escapes of quotes, or a number. (Of an item that is JSON, the parser has the field.)
pub(crate) fn field<'a>(item: &'a str, name: &str) -> Option<&'a str> {
    let quoted = format!("\"{name}\"");
    item.match_indices(&quoted).find_map(|(at, _)| {
        let before = item.get(..at)?.trim_ascii_end();
        let behind = item.get(at + quoted.len()..)?.trim_ascii_start();
        let value = behind.strip_prefix(':')?.trim_ascii_start();
        before.ends_with(['{', ',']).then_some(scalar(value)).flatten()
    })
}

/// The string or number that `text` begins with, without quotes.
fn scalar(text: &str) -> Option<&str> {
    if let Some(string) = text.strip_prefix('"') {
        return string.split('"').next();
    }
    let number = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).next();
    number.filter(|number| !number.is_empty())
}

/// Whether `body` ends within a string or within brackets.
pub(crate) fn is_cut_short(body: &str) -> bool {
    let mut piece = Piece::default();
    body.bytes().all(|byte| piece.take(byte).is_some()) && !piece.is_whole()
}

/// Splits at the commas outside strings and brackets.
fn pieces(text: &str) -> Option<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut piece = Piece::default();
    let mut begin = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte == b',' && piece.is_whole() {
            pieces.push(taken(text, begin, at)?);
            (begin, piece) = (at + 1, Piece::default());
        } else {
            piece.take(byte)?;
        }
    }
    pieces.push(taken(text, begin, text.len()).filter(|_| piece.is_whole())?);
    Some(pieces)
}

fn taken(text: &str, begin: usize, end: usize) -> Option<&str> {
    text.get(begin..end).map(str::trim_ascii).filter(|piece| !piece.is_empty())
}

/// The state of a scan within a piece.
#[derive(Default)]
struct Piece {
    /// Open brackets and braces. Whether each is closed by its own kind is left to the
    /// item's parser.
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    /// Whether its brackets have closed: only space may follow.
    has_ended: bool,
}

impl Piece {
    fn is_whole(&self) -> bool {
        self.depth == 0 && !self.is_in_string
    }

    /// Takes the next byte; `None` if it can't follow here.
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.is_in_string {
            self.is_in_string = self.is_escaped || byte != b'"';
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            return Some(());
        }
        if self.has_ended && !byte.is_ascii_whitespace() {
            return None;
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.checked_sub(1)?;
                self.has_ended = self.depth == 0;
            }
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_strings_and_brackets_cut_nothing() {
        for (body, expected) in [
            ("[]", &[][..]),
            (" [ ] ", &[]),
            ("[1]", &["1"]),
            ("[{\"a\":1,\"b\":[2,3]}, 4 ]", &["{\"a\":1,\"b\":[2,3]}", "4"]),
            (r#"["a,b\",]","c\\",NaN]"#, &[r#""a,b\",]""#, r#""c\\""#, "NaN"]),
            ("{\"t\":+.5,\"u\":inf}", &["{\"t\":+.5,\"u\":inf}"]),
            ("[{\"a\":[1}],2]", &["{\"a\":[1}]", "2"]),
        ] {
            assert_eq!(cut(body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn a_field_is_found_where_the_item_is_no_json() {
        for (item, expected) in [
            (r#"{"t": NaN, "device_id" : "d1"}"#, Some("d1")),
            (r#"{"device_id":7,"t":+1}"#, Some("7")),
            (r#"{"device_id":"d"#, Some("d")),
            (r#"{"device_id":{"secret":1},"t":NaN}"#, None),
            (r#"{"device_id":[1],"t":NaN}"#, None),
            (r#"{"device_id":"#, None),
            (r#"{"x":"\"device_id\":\"no\"","t":NaN}"#, None),
            (r#"{"x":"device_id","t":NaN}"#, None),
            ("nonsense", None),
        ] {
            assert_eq!(field(item, "device_id"), expected, "{item}");
        }
    }

    #[test]
    fn what_is_truncated_or_goes_on_behind_its_end_has_no_items() {
        for body in [
            "[",
            "{",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1,,2]",
            "[{\"a\":1},{\"b\":]",
            "[\"a]",
            "[1]]",
            "{}{}",
            "{} {}",
            "[{}{}]",
            "[[] 1]",
            "[1][2]",
            "{},{}",
            "[\"a\\\"]",
            "[1]x",
            "",
        ] {
            assert_eq!(cut(body), None, "{body}");
        }
    }
}
