//! Cuts CSV into rows and fields (RFC 4180).

use std::borrow::Cow;

/// Why a row can't be cut into fields, or is none.
pub(super) enum Bad {
    /// A quote in it is never closed.
    Open,
    /// Something else, which costs no other row.
    Row(String),
}

/// The rows that are left of a body.
pub(super) struct Rows<'a> {
    rest: &'a [u8],
    /// The number of the line that `rest` begins in.
    line: usize,
    is_in_row: bool,
}

impl<'a> Rows<'a> {
    /// All rows of `body`.
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self { rest: body, line: 1, is_in_row: false }
    }

    /// The number of the line that the row begins in, from 1, if none of its fields was taken.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Goes on to the next row with a character in it. `false` if there is none. What is left
    /// of a row that was not read to its end is skipped, up to the end of its line.
    pub(super) fn begin(&mut self) -> bool {
        if self.is_in_row {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            self.take(end.unwrap_or(self.rest.len()));
        }
        while let Some(length) = line_end(self.rest).filter(|_| !self.rest.is_empty()) {
            self.end(length);
        }
        self.is_in_row = !self.rest.is_empty();
        self.is_in_row
    }

    /// The row's next field; `None` behind the last one. A row has at least one.
    pub(super) fn field(&mut self) -> Option<Result<Field<'a>, Bad>> {
        let quoted = self.rest.strip_prefix(b"\"");
        self.is_in_row.then(|| match quoted {
            Some(behind) => self.quoted(behind),
            None => self.plain(),
        })
    }

    fn plain(&mut self) -> Result<Field<'a>, Bad> {
        let stop = self.rest.iter().position(|byte| matches!(byte, b',' | b'\n' | b'"'));
        let text = self.take(stop.unwrap_or(self.rest.len()));
        match self.rest.first() {
            Some(b',') => {
                self.take(1);
                Ok(Field { raw: text, has_doubled: false })
            }
            Some(b'"') => {
                let what = "a quote stands within a field; put the whole field into quotes, and \
                            each quote in it twice";
                Err(Bad::Row(what.to_owned()))
            }
            _ => {
                self.end(1);
                Ok(Field { raw: text.strip_suffix(b"\r").unwrap_or(text), has_doubled: false })
            }
        }
    }

    /// A field in quotes, with what is behind the first of them.
    fn quoted(&mut self, behind: &'a [u8]) -> Result<Field<'a>, Bad> {
        self.rest = behind;
        let (mut length, mut has_doubled) = (0, false);
        let mut left = behind.iter();
        loop {
            length += left.position(|byte| *byte == b'"').ok_or(Bad::Open)?;
            if left.clone().next() != Some(&b'"') {
                break;
            }
            left.next();
            (length, has_doubled) = (length + 2, true);
        }
        let raw = self.take(length);
        self.line += raw.iter().filter(|byte| **byte == b'\n').count();
        self.take(1);
        match line_end(self.rest) {
            Some(length) => self.end(length),
            None if self.rest.starts_with(b",") => {
                self.take(1);
            }
            None => return Err(Bad::Row("something follows a closing quote".to_owned())),
        }
        Ok(Field { raw, has_doubled })
    }

    /// Takes the end of a line, of so many bytes: none where the body ends without one.
    fn end(&mut self, length: usize) {
        self.line += usize::from(!self.take(length).is_empty());
        self.is_in_row = false;
    }

    /// Takes so many bytes, or as many as are left.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

/// How many bytes of a line's end `rest` begins with; 0 if it is empty, `None` if the line goes
/// on.
fn line_end(rest: &[u8]) -> Option<usize> {
    match rest {
        [] => Some(0),
        [b'\n', ..] | [b'\r'] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// A field, without the quotes around it.
#[derive(Clone, Copy, Default)]
pub(super) struct Field<'a> {
    raw: &'a [u8],
    has_doubled: bool,
}

impl<'a> Field<'a> {
    /// Its text, borrowed unless it has doubled quotes; `None` if it is not UTF-8.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        let text = std::str::from_utf8(self.raw).ok()?;
        let is_borrowed = !self.has_doubled;
        Some(if is_borrowed { text.into() } else { text.replace("\"\"", "\"").into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rows, each with its line; `?` in the place of what can't be cut.
    fn rows(body: &str) -> Vec<(usize, Vec<String>)> {
        let mut rows = Rows::of(body.as_bytes());
        let mut found = Vec::new();
        while rows.begin() {
            let line = rows.line();
            let mut fields = Vec::new();
            while let Some(field) = rows.field() {
                match field {
                    Ok(field) => fields.push(field.text().unwrap().into_owned()),
                    Err(Bad::Row(_)) => {
                        fields.push("?".to_owned());
                        break;
                    }
                    Err(Bad::Open) => {
                        fields.push("open".to_owned());
                        found.push((line, fields));
                        return found;
                    }
                }
            }
            found.push((line, fields));
        }
        found
    }

    #[test]
    fn rows_are_cut_by_rfc_4180() {
        let check = |body: &str, expected: &[(usize, &[&str])]| {
            let found = rows(body);
            let found: Vec<(usize, Vec<&str>)> = found
                .iter()
                .map(|(line, fields)| (*line, fields.iter().map(String::as_str).collect()))
                .collect();
            let expected: Vec<(usize, Vec<&str>)> =
                expected.iter().map(|(line, fields)| (*line, fields.to_vec())).collect();
            assert_eq!(found, expected, "{body:?}");
        };
        check("", &[]);
        check("\n\r\n\r", &[]);
        check("a", &[(1, &["a"])]);
        check("a,b\nc,d\n", &[(1, &["a", "b"]), (2, &["c", "d"])]);
        check("a,b\r\nc,d\r\n", &[(1, &["a", "b"]), (2, &["c", "d"])]);
        check("a\r", &[(1, &["a"])]);
        check("\"a\"\r", &[(1, &["a"])]);
        check(",\n,", &[(1, &["", ""]), (2, &["", ""])]);
        check("a,\r\n\"b\",", &[(1, &["a", ""]), (2, &["b", ""])]);
        check("\n\na\n\n\nb", &[(3, &["a"]), (6, &["b"])]);
        check(
            "\"a,\"\"b\"\"\r\nc\",d\r\n\"\"\n\"\"\"\"",
            &[(1, &["a,\"b\"\r\nc", "d"]), (3, &[""]), (4, &["\""])],
        );
        check("a\rb,c", &[(1, &["a\rb", "c"])]);
        check(" \"a\",b\nc", &[(1, &["?"]), (2, &["c"])]);
        check("\"a\" ,b\nc", &[(1, &["?"]), (2, &["c"])]);
        check("\"a\n\"x,b\nc", &[(1, &["?"]), (3, &["c"])]);
        check("a,5\",b\nc", &[(1, &["a", "?"]), (2, &["c"])]);
        check("a\n\"b,c\nd", &[(1, &["a"]), (2, &["open"])]);
        check("a,\"", &[(1, &["a", "open"])]);
        check("\"\"\"", &[(1, &["open"])]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            table in prop::collection::vec(prop::collection::vec("[ab\",\r\n]{0,4}", 2..5), 0..6),
            is_crlf: bool,
        ) {
            let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let row = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
            let body = table.iter().map(row).collect::<Vec<_>>();
            let body = body.join(if is_crlf { "\r\n" } else { "\n" });
            let found: Vec<_> = rows(&body).into_iter().map(|(_, fields)| fields).collect();
            prop_assert_eq!(found, table);
        }

        #[test]
        fn any_text_is_cut(body in "[ab\",\r\nü]{0,40}") {
            let lines = body.matches('\n').count() + 1;
            prop_assert!(rows(&body).iter().all(|(line, _)| *line <= lines));
        }
    }
}
