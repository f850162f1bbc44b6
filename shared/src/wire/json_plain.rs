//! The short way through JSON: readings as most senders write them.
//!
//! A *plain* item is an object of the four fields of a reading, each once, in any order,
//! without escapes, and valid. It is read in one pass, without a parser's events. Any other
//! item is given to the careful parser (`json.rs`), by itself; and a body that is not an array
//! of items that both can read is given to it as a whole. So what is plain decides how fast a
//! reading is read, and nothing else: the outcome is that of the careful parser for every body.
//! (The tests compare both. `PROPTEST_CASES=100000000 cargo test --release --package isotherm
//! every_body` does so for about an hour.)

use crate::domain::decimal::Short;
use crate::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
use crate::wire::item;

/// The fields of a reading, as bits of a set.
const DEVICE_ID: u8 = 1;
const REGION: u8 = 2;
const TEMPERATURE: u8 = 4;
const TIMESTAMP: u8 = 8;
const ALL_FIELDS: u8 = DEVICE_ID | REGION | TEMPERATURE | TIMESTAMP;

/// The reading that `text` is, if it is a plain item and nothing else but space.
pub(super) fn only(text: &str) -> Option<Reading<'_>> {
    let mut rest = Rest::of(text);
    let reading = rest.reading()?;
    rest.is_at_end().then_some(reading)
}

/// What is left of a JSON text. Its bytes are what is looked at; text is made of those that are
/// kept.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a> {
    whole: &'a str,
    left: &'a [u8],
}

impl<'a> Rest<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { whole: text, left: text.as_bytes() }
    }

    /// What is left, as text. `None` if it begins within a letter.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.whole.get(self.whole.len() - self.left.len()..)
    }

    /// Goes on behind the first `bytes` of what is left.
    pub(super) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.get(bytes..)?;
        Some(())
    }

    /// Takes `wanted`, with the space before it.
    pub(super) fn take(&mut self, wanted: u8) -> Option<()> {
        // Nearly always there is no space.
        if let Some((first, rest)) = self.left.split_first()
            && *first == wanted
        {
            self.left = rest;
            return Some(());
        }
        self.space();
        let (_, rest) = self.left.split_first().filter(|(first, _)| **first == wanted)?;
        self.left = rest;
        Some(())
    }

    /// Whether nothing but space is left.
    pub(super) fn is_at_end(mut self) -> bool {
        self.space();
        self.left.is_empty()
    }

    /// Skips what RFC 8259 calls whitespace (section 2).
    #[inline]
    fn space(&mut self) {
        // Nearly always there is none.
        if self.left.first().is_some_and(|first| *first > b' ') {
            return;
        }
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.left {
            self.left = rest;
        }
    }

    /// Takes a plain item. If there is none, `None`, and what is left is of no use.
    pub(super) fn reading(&mut self) -> Option<Reading<'a>> {
        let (mut device_id, mut region, mut temperature, mut timestamp) = (None, None, None, None);
        let mut fields = 0;
        self.take(b'{')?;
        loop {
            self.take(b'"')?;
            let field = self.field()?;
            if fields & field != 0 {
                return None;
            }
            fields |= field;
            self.take(b':')?;
            self.space();
            match field {
                DEVICE_ID => device_id = Some(self.name(DeviceId::leading)?),
                REGION => region = Some(self.name(Region::leading)?),
                TEMPERATURE => temperature = Some(self.temperature()?),
                _ => timestamp = Some(self.timestamp()?),
            }
            self.space();
            match self.left {
                [b',', rest @ ..] => self.left = rest,
                [b'}', rest @ ..] if fields == ALL_FIELDS => {
                    self.left = rest;
                    break;
                }
                _ => return None,
            }
        }
        Some(Reading::new(device_id?, region?, temperature?, timestamp?))
    }

    /// Takes the name of a field, whose quote was taken, with the quote behind it.
    fn field(&mut self) -> Option<u8> {
        let (field, rest) = match self.left {
            [b'd', b'e', b'v', b'i', b'c', b'e', b'_', b'i', b'd', b'"', rest @ ..] => {
                (DEVICE_ID, rest)
            }
            [b'r', b'e', b'g', b'i', b'o', b'n', b'"', rest @ ..] => (REGION, rest),
            [b't', rest @ ..] if rest.starts_with(b"emperature_c\"") => {
                (TEMPERATURE, rest.get(b"emperature_c\"".len()..)?)
            }
            [b't', rest @ ..] if rest.starts_with(b"imestamp\"") => {
                (TIMESTAMP, rest.get(b"imestamp\"".len()..)?)
            }
            _ => return None,
        };
        self.left = rest;
        Some(field)
    }

    /// Takes a string that is a valid name.
    fn name<T>(&mut self, leading: impl FnOnce(&'a str) -> Option<(T, &'a str)>) -> Option<T> {
        self.take(b'"')?;
        let (name, rest) = leading(self.text()?)?;
        self.left = rest.as_bytes().strip_prefix(b"\"")?;
        Some(name)
    }

    fn temperature(&mut self) -> Option<MilliCelsius> {
        if let Some((number, rest)) = Short::leading(self.left)
            && let Some(millicelsius) = number.scaled(3)
        {
            self.left = rest;
            return MilliCelsius::new(millicelsius);
        }
        item::temperature(self.number()?).ok()
    }

    /// Takes a time: a number or a string without escapes.
    fn timestamp(&mut self) -> Option<UnixMillis> {
        if let Some((number, rest)) = Short::leading(self.left)
            && let Some(instant) = number.scaled(0).and_then(item::plain_timestamp)
        {
            self.left = rest;
            return Some(instant);
        }
        let Some(quoted) = self.left.strip_prefix(b"\"") else {
            return item::timestamp_of_number(self.number()?).ok();
        };
        // A time has fewer letters than that, and no escape.
        let window = quoted.get(..64).unwrap_or(quoted);
        let (text, rest) = quoted.split_at(window.iter().position(|byte| *byte == b'"')?);
        self.left = rest.strip_prefix(b"\"")?;
        item::timestamp_of_text(std::str::from_utf8(text).ok()?).ok()
    }

    /// Takes what may be a number.
    fn number(&mut self) -> Option<&'a str> {
        let is_of_number =
            |byte: &&u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
        let length = self.left.iter().take_while(is_of_number).count();
        let (number, rest) = self.left.split_at_checked(length)?;
        self.left = rest;
        std::str::from_utf8(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::wire::item::{Parsed, Unreadable};
    use crate::wire::json::{parse, parse_carefully};

    /// The outcomes of both parsers.
    fn both(body: &str) -> [Result<Parsed<'_>, Unreadable>; 2] {
        let whole = |e| match e {
            Unreadable::CutShort(_) => Unreadable::CutShort(body.len()),
            other => other,
        };
        [parse(body.as_bytes()), parse_carefully(body).map_err(whole)]
    }

    /// Space of JSON, and what only looks like it.
    fn space() -> impl Strategy<Value = String> {
        prop_oneof![8 => Just(String::new()), 1 => "[ \n\r\t]{1,3}", 1 => "[\u{b}\u{c}\u{a0}]"]
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => "\"[A-Za-z0-9._:-]{1,20}\"",
            1 => "\"[.a-z_-]{0,3}\"",
            1 => "\"[a-z]{62,66}\"",
            1 => "\"[a-zä /%\u{0}\u{1f}]{0,9}\"",
            1 => r#""[a-z]{0,3}\\(u00[46][0-9a-f]|ud800|n|"|x|\\)[a-z]{0,3}""#,
            1 => select(vec!["7", "null", "[]", "{\"a\":\"}\"}", "\"", "true"]).prop_map(str::to_owned),
        ]
    }

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "-?[0-9]{1,3}\\.[0-9]{1,3}",
            2 => "-?[0-9]{0,17}(\\.[0-9]{0,9})?",
            1 => "[-+]?[0-9]{1,4}(\\.[0-9]{1,4})?[eE][-+]?[0-9]{1,4}",
            1 => "\"[0-9]{1,4}(,|\\.)?[0-9]\"",
            1 => select(vec!["NaN", "null", "-", "1.", ".5", "01", "-0", "1e999"]).prop_map(str::to_owned),
        ]
    }

    fn time() -> impl Strategy<Value = String> {
        prop_oneof![
            5 => (1_600_000_000_000_i64..2_000_000_000_000).prop_map(|at| at.to_string()),
            1 => "[0-9]{7,19}",
            1 => (0_i64..4_000_000_000).prop_map(|s| s.to_string()),
            1 => "\"20[0-9]{2}-0[1-9]-[0-3][0-9][Tt ][01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|z|[-+]0[0-9]:00)\"",
            1 => "\"[0-9TZ:-]{0,70}\"",
            1 => number(),
        ]
    }

    /// A field of an item, with its space.
    fn field() -> impl Strategy<Value = String> {
        let known = select(vec![0_u8, 1, 2, 3]).prop_flat_map(|field| match field {
            0 => name().prop_map(|name| ("\"device_id\"", name)).boxed(),
            1 => name().prop_map(|name| ("\"region\"", name)).boxed(),
            2 => number().prop_map(|number| ("\"temperature_c\"", number)).boxed(),
            _ => time().prop_map(|time| ("\"timestamp\"", time)).boxed(),
        });
        let other =
            select(vec!["\"humidity\"", "\"unit\"", "\"\\u0072egion\"", "\"\"", "7", "\"t\""])
                .prop_flat_map(|field| number().prop_map(move |number| (field, number)));
        let field = prop_oneof![12 => known, 1 => other];
        (space(), field, space(), space(), space())
            .prop_map(|(a, (name, value), b, c, d)| format!("{a}{name}{b}:{c}{value}{d}"))
    }

    /// An item: most of them are readings, with a field more or less.
    fn item() -> impl Strategy<Value = String> {
        let good = (
            "\"[a-z0-9-]{1,12}\"",
            "\"[a-z]{1,6}\"",
            "-?[1-9][0-9]{0,2}\\.[0-9]{1,4}",
            1_600_000_000_000_i64..1_900_000_000_000,
            (any::<Index>(), option::weighted(0.2, field())),
        );
        let good = good.prop_map(|(device, region, temperature, at, (turn, more))| {
            let mut fields = vec![
                format!("\"device_id\":{device}"),
                format!("\"region\":{region}"),
                format!("\"temperature_c\":{temperature}"),
                format!("\"timestamp\":{at}"),
            ];
            fields.extend(more);
            let turns = turn.index(fields.len());
            fields.rotate_left(turns);
            format!("{{{}}}", fields.join(","))
        });
        let any_fields = vec(field(), 0..6).prop_map(|fields| format!("{{{}}}", fields.join(",")));
        let other = select(vec!["7", "null", "[]", "[[{}]]", "\"text\"", "{", "NaN"]);
        prop_oneof![6 => good, 4 => any_fields, 1 => other.prop_map(str::to_owned)]
    }

    /// A body, damaged here and there.
    fn body() -> impl Strategy<Value = String> {
        let items = vec((space(), item(), space()), 0..5).prop_map(|items| {
            let items: Vec<String> = items.into_iter().map(|(a, b, c)| a + &b + &c).collect();
            items.join(",")
        });
        let ends = select(vec![
            ("[", "]"),
            ("[", "]"),
            ("[", "]"),
            ("", ""),
            ("[", ""),
            ("\u{feff}[", "]"),
            ("[", "] x"),
        ]);
        let change = prop_oneof![
            4 => Just(None),
            1 => (any::<Index>(), select(vec!["", ",", "}", "]", "\"", "{", " ", "0", "\\", "é", ":"])).prop_map(Some),
        ];
        (space(), ends, items, space(), change).prop_map(|(a, (begin, end), items, b, change)| {
            let mut body = format!("{a}{begin}{items}{end}{b}");
            if let Some((at, put)) = change
                && !body.is_empty()
            {
                let at = at.index(body.len());
                if let Some(letter) = body.get(at..).and_then(|rest| rest.chars().next()) {
                    body.replace_range(at..at + letter.len_utf8(), put);
                }
            }
            body
        })
    }

    proptest! {
        #[test]
        fn every_body_has_the_outcome_of_the_careful_parser(body in body()) {
            let [short, careful] = both(&body);
            prop_assert_eq!(short, careful);
        }
    }

    #[test]
    fn a_plain_reading_goes_the_short_way_in_any_order_and_with_space() {
        for plain in [
            r#"{"device_id":"d-1","region":"hall","temperature_c":21.5,"timestamp":1700000000000}"#,
            r#" { "timestamp" : "2026-11-22T10:00:00Z" ,
                 "temperature_c" : -3 , "region" : "a:b" , "device_id" : "X_1" } "#,
            r#"{"temperature_c":21.43751,"device_id":"d","timestamp":1.7e12,"region":"r"}"#,
        ] {
            let mut rest = Rest::of(plain);
            assert!(rest.reading().is_some() && rest.is_at_end(), "{plain}");
        }
        for other in [
            "",
            "{}",
            r#"{"device_id":"d","region":"r","temperature_c":21.5}"#,
            r#"{"device_id":"d","region":"r","temperature_c":1001,"timestamp":1700000000000}"#,
            r#"{"device_id":"..","region":"r","temperature_c":1,"timestamp":1700000000000}"#,
            r#"{"device_id":"d","region":"r","temperature_c":1,"timestamp":1700000000}"#,
            r#"{"device_id":"d","region":"r","temperature_c":1,"timestamp":1700000000000,}"#,
            r#"{"device_id":"d","region":"r","region":"r","temperature_c":1,"timestamp":1700000000000}"#,
        ] {
            assert!(Rest::of(other).reading().is_none(), "{other}");
        }
    }
}
