//! SQL of files without what only people read. Comments and indentation are half of them, and
//! each component would have them, and each database whose tables they describe.

/// The SQL of `schema/<name>.sql` without comments, indentation and empty lines.
///
/// Text between quotation marks must not have `--`, two spaces, or a new line in it. This is not
/// checked.
macro_rules! sql {
    ($name:literal) => {{
        const FILE: &str = include_str!(concat!("../../schema/", $name, ".sql"));
        const LENGTH: usize = $crate::ledger::plain::Plain::<{ FILE.len() }>::of(FILE).length;
        const TEXT: [u8; LENGTH] = $crate::ledger::plain::Plain::<LENGTH>::of(FILE).bytes;
        match str::from_utf8(&TEXT) {
            Ok(text) => text,
            Err(_) => panic!("what is left of the file is not UTF-8"),
        }
    }};
}
pub(crate) use sql;

/// What is left of a text, in the first of `N` bytes.
pub(crate) struct Plain<const N: usize> {
    pub(crate) bytes: [u8; N],
    pub(crate) length: usize,
    is_begin_of_line: bool,
}

impl<const N: usize> Plain<N> {
    pub(crate) const fn of(text: &str) -> Self {
        let mut plain = Self { bytes: [0; N], length: 0, is_begin_of_line: true };
        let mut rest = text.as_bytes();
        let mut is_spaced = false;
        loop {
            rest = match rest {
                [] => return plain,
                [b'-', b'-', ..] => without_line(rest),
                [b' ', after @ ..] => {
                    is_spaced = true;
                    after
                }
                [byte, after @ ..] => {
                    let is_end_of_line = *byte == b'\n';
                    if is_spaced && !is_end_of_line && !plain.is_begin_of_line {
                        plain.push(b' ');
                    }
                    if !is_end_of_line || !plain.is_begin_of_line {
                        plain.push(*byte);
                    }
                    plain.is_begin_of_line = is_end_of_line;
                    is_spaced = false;
                    after
                }
            };
        }
    }

    #[expect(clippy::indexing_slicing, reason = "in a constant: a mistake fails the build")]
    const fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}

/// What follows from the end of the line on.
const fn without_line(mut text: &[u8]) -> &[u8] {
    while let [byte, rest @ ..] = text {
        if *byte == b'\n' {
            return text;
        }
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_indentation_and_empty_lines_are_left_out() {
        let text =
            "-- what\n\nCREATE  TABLE a ( -- 20 °C\n    -- more\n    b TEXT   -- c\n);\n\n-- end";
        let Plain { bytes, length, .. } = Plain::<100>::of(text);
        assert_eq!(
            str::from_utf8(bytes.get(..length).unwrap()),
            Ok("CREATE TABLE a (\nb TEXT\n);\n")
        );
    }
}
