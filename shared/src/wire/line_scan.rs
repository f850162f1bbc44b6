//! Cuts InfluxDB's line protocol into its pieces, as they are written, without a copy.
//!
//! The rules are those of InfluxDB 1.x (`models/points.go`), and stricter in four places, so
//! that a damaged line costs as few others as may be: a line break outside a string ends a
//! line, also behind a backslash or in a comment; a line that failed behind a line break in a
//! string is given up at its first line break; behind a string stands a comma, a space or
//! the end; a line may end in CR LF, where InfluxDB takes the CR for a part of the last number.

use std::borrow::Cow;

use crate::limits;

/// What is wrong with a line, in a sentence without its full stop.
pub(super) type Detail = Cow<'static, str>;

/// A place in a body. A line is taken by `begin`, `measurement`, `tag` while there is one,
/// `field` while there is one, and `end`; after an error of any of them by `give_up`.
pub(super) struct Scan<'a> {
    body: &'a str,
    at: usize,
    /// The number of the line that `at` is in.
    line: usize,
    /// Where the line begins that is taken, and the number of that line.
    begin: (usize, usize),
    /// The tags and fields that were taken of it.
    parts: usize,
    /// Whether another part of the same kind follows.
    has_more: bool,
    /// How many bytes may still be read again after errors. With a bound on that, the whole
    /// body takes a time that is linear in its size.
    again: usize,
}

/// Something `key=value`. A value of a field that is a string has its quotes.
pub(super) type Pair<'a> = (&'a str, &'a str);

impl<'a> Scan<'a> {
    /// The begin of `body`.
    pub(super) fn of(body: &'a str) -> Self {
        let begin = (0, 1);
        Self { body, at: 0, line: 1, begin, parts: 0, has_more: false, again: body.len() }
    }

    /// Goes on to the next line that is neither empty nor a comment. `None` if there is none;
    /// otherwise its number, from 1.
    pub(super) fn begin(&mut self) -> Option<usize> {
        loop {
            self.skip_space();
            if self.peek() == Some(b'#') {
                self.at = self.position(|byte| byte == b'\n');
            }
            if !self.is_at_end() {
                break;
            }
            if !self.take_end() {
                return None;
            }
        }
        (self.begin, self.parts) = ((self.at, self.line), 0);
        Some(self.line)
    }

    /// The name of the measurement, as it is written.
    pub(super) fn measurement(&mut self) -> Result<&'a str, Detail> {
        if self.peek() == Some(b',') {
            return Err("the measurement is missing".into());
        }
        let name = self.name(1, |byte| matches!(byte, b',' | b' '));
        self.has_more = self.take(b',');
        Ok(name)
    }

    /// The next tag; `None` behind the last one, where the fields begin.
    pub(super) fn tag(&mut self) -> Result<Option<Pair<'a>>, Detail> {
        if !self.has_more {
            self.skip_space();
            self.has_more = true;
            let is_bare = self.is_at_end();
            return if is_bare { Err("the line has no field".into()) } else { Ok(None) };
        }
        self.count()?;
        let key = self.name(0, |byte| matches!(byte, b',' | b' ' | b'='));
        if key.is_empty() || !self.take(b'=') {
            return Err("a tag needs a key, an = and a value".into());
        }
        if matches!(self.peek(), Some(b',' | b' ')) {
            return Err("a tag has no value".into());
        }
        let value = self.name(1, |byte| matches!(byte, b',' | b' ' | b'='));
        if value.is_empty() || self.peek() == Some(b'=') {
            return Err("a tag has no value, or an = in it without a backslash".into());
        }
        self.has_more = self.take(b',');
        Ok(Some((key, value)))
    }

    /// The next field; `None` behind the last one. There is at least one.
    pub(super) fn field(&mut self) -> Result<Option<Pair<'a>>, Detail> {
        if !self.has_more {
            return Ok(None);
        }
        self.count()?;
        let key = self.name(0, |byte| matches!(byte, b',' | b' ' | b'='));
        if key.is_empty() || !self.take(b'=') {
            return Err("a field needs a key, an = and a value".into());
        }
        let value = if self.peek() == Some(b'"') { self.string()? } else { self.token() };
        if value.is_empty() {
            return Err("a field has no value".into());
        }
        self.has_more = self.take(b',');
        if !self.has_more && self.peek() != Some(b' ') && !self.is_at_end() {
            return Err("something follows a string in quotes".into());
        }
        Ok(Some((key, value)))
    }

    /// The line's end, and the time before it, if there is one: digits, with a minus sign
    /// or not.
    pub(super) fn end(&mut self) -> Result<Option<&'a str>, Detail> {
        self.skip_space();
        let time = self.token();
        let digits = time.strip_prefix('-').unwrap_or(time).as_bytes();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        self.skip_space();
        if !time.is_empty() && !is_number {
            return Err("the timestamp is not a whole number".into());
        }
        if !self.is_at_end() {
            return Err("something follows the timestamp".into());
        }
        self.take_end();
        Ok(Some(time).filter(|_| is_number))
    }

    /// Leaves the line that is taken, after an error: at its first line break, though it may
    /// be in a string that is never closed, or closed by a quote of another line.
    pub(super) fn give_up(&mut self) {
        let failed_at = self.at;
        let (begin, line) = self.begin;
        self.at = begin;
        self.at = self.position(|byte| byte == b'\n');
        match failed_at.checked_sub(self.at) {
            Some(again) if again <= self.again => {
                (self.again, self.line) = (self.again - again, line)
            }
            Some(_) => {
                self.at = failed_at;
                self.at = self.position(|byte| byte == b'\n');
            }
            None => self.line = line,
        }
        self.take_end();
    }

    /// Takes up to the first byte that stops a name and has no backslash before it. The first
    /// `free` bytes stop none. A line break stops any.
    fn name(&mut self, free: usize, is_stop: impl Fn(u8) -> bool) -> &'a str {
        let (mut free, mut is_escaped) = (free, false);
        self.take_to(self.position(|byte| {
            let stops = byte == b'\n' || free == 0 && !is_escaped && is_stop(byte);
            (free, is_escaped) = (free.saturating_sub(1), byte == b'\\');
            stops
        }))
    }

    /// Takes up to a comma, a space or the line's end.
    fn token(&mut self) -> &'a str {
        let end = self.position(|byte| matches!(byte, b',' | b' ' | b'\n'));
        let is_line_end = !matches!(self.body.as_bytes().get(end), Some(b',' | b' '));
        let token = self.body.get(self.at..end).unwrap_or_default();
        self.take_to(if is_line_end && token.ends_with('\r') { end - 1 } else { end })
    }

    /// Takes a string with its quotes. It may have line breaks.
    fn string(&mut self) -> Result<&'a str, Detail> {
        let (mut is_first, mut is_escaped) = (true, false);
        let quote = self.position(|byte| {
            let is_quote = byte == b'"' && !is_escaped && !is_first;
            (is_first, is_escaped) = (false, byte == b'\\' && !is_escaped);
            is_quote
        });
        let is_closed = quote < self.body.len();
        let string = self.take_to(if is_closed { quote + 1 } else { quote });
        self.line += string.bytes().filter(|byte| *byte == b'\n').count();
        if is_closed { Ok(string) } else { Err("a quote is not closed".into()) }
    }

    fn skip_space(&mut self) {
        self.at = self.position(|byte| !matches!(byte, b' ' | b'\t' | 0));
    }

    /// The place of the next byte like this, or the body's end.
    fn position(&self, is_it: impl FnMut(u8) -> bool) -> usize {
        let mut left = self.body.as_bytes().get(self.at..).unwrap_or_default().iter().copied();
        left.position(is_it).map_or(self.body.len(), |distance| self.at + distance)
    }

    fn take_to(&mut self, end: usize) -> &'a str {
        let taken = self.body.get(self.at..end).unwrap_or_default();
        self.at = end;
        taken
    }

    /// Takes this byte, if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn peek(&self) -> Option<u8> {
        self.body.as_bytes().get(self.at).copied()
    }

    fn is_at_end(&self) -> bool {
        match self.body.as_bytes().get(self.at..) {
            Some([] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..]) | None => true,
            Some(_) => false,
        }
    }

    /// Takes the line's end, where the line is at it. `false` if that is the body's end.
    fn take_end(&mut self) -> bool {
        let has_return = self.take(b'\r');
        let has_break = self.take(b'\n');
        self.line += usize::from(has_break);
        has_return || has_break
    }

    /// Counts a tag or field.
    fn count(&mut self) -> Result<(), Detail> {
        self.parts += 1;
        match self.parts <= limits::LINE_PARTS_MAX {
            true => Ok(()),
            false => {
                let most = limits::LINE_PARTS_MAX;
                Err(format!("the line has more than {most} tags and fields").into())
            }
        }
    }
}
