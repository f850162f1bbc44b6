//! InfluxDB's line protocol, a line at a time:
//! `measurement,tag=value,… field=value,… timestamp`
//! (<https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/>).
//!
//! `line_scan` says how lines are cut. A body of readings alone has a shorter way in
//! `line_readings`.

use std::borrow::Cow;

use crate::domain::decimal::Decimal;
use crate::limits;
use crate::wire::item;
use crate::wire::line_scan::{Detail, Scan};

/// A line, with escapes resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line<'a> {
    /// The number of the line in the body that it begins in, from 1.
    pub(crate) number: usize,
    /// The name of the measurement.
    pub(crate) measurement: Cow<'a, str>,
    /// Keys and values, in their order. A key may be there twice.
    pub(crate) tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Keys and values, in their order, at least one; with the tags at most
    /// `limits::LINE_PARTS_MAX`. A key may be there twice.
    pub(crate) fields: Vec<(Cow<'a, str>, Field<'a>)>,
    /// Digits, at least one, perhaps with a minus sign before them. `line_time::instant`
    /// reads it.
    pub(crate) timestamp: Option<&'a str>,
}

/// The value of a field. Numbers are as they were written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// What `Decimal::parse_loose` takes.
    Float(&'a str),
    /// Digits, perhaps with a sign, without the `i` behind them.
    Integer(&'a str),
    /// Digits, without the `u` behind them.
    Unsigned(&'a str),
    /// A string, without its quotes.
    Text(Cow<'a, str>),
    /// `t`, `true` and so on.
    Bool(bool),
}

/// Why a line is none. Others of the body may be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// The number of the line in the body that it begins in, from 1.
    pub(crate) line_number: usize,
    /// What is wrong with it, in a sentence without its full stop.
    pub(crate) detail: Cow<'static, str>,
}

/// The text of a body: without a byte order mark, and with U+FFFD in the place of what is not
/// UTF-8. No valid name or number has one, so it spoils no more than what it stands in.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(item::without_mark(body))
}

/// The lines of a body, without empty ones and comments.
pub(crate) struct Lines<'a>(Scan<'a>);

impl<'a> Lines<'a> {
    /// All lines of `body`.
    pub(crate) fn of(body: &'a str) -> Self {
        Self(Scan::of(body))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let line_number = self.0.begin()?;
        Some(line(&mut self.0, line_number).map_err(|detail| {
            self.0.give_up();
            BadLine { line_number, detail }
        }))
    }
}

fn line<'a>(scan: &mut Scan<'a>, number: usize) -> Result<Line<'a>, Detail> {
    let measurement = unescaped(scan.measurement()?, b", ");
    let (mut tags, mut fields) = (Vec::new(), Vec::new());
    while let Some((key, value)) = scan.tag()? {
        tags.push((unescaped(key, KEY), unescaped(value, KEY)));
    }
    while let Some((key, raw)) = scan.field()? {
        let text = || string(raw).map(|inner| Field::Text(unescaped(inner, b"\"\\")));
        let value = text().or_else(|| scalar(raw)).ok_or_else(|| no_value(key))?;
        fields.push((unescaped(key, KEY), value));
    }
    Ok(Line { number, measurement, tags, fields, timestamp: scan.end()? })
}

/// What has a backslash before it in a tag, and in the key of a field.
const KEY: &[u8] = b", =";

/// The value of a tag, with its escapes resolved.
pub(super) fn tag_value(raw: &str) -> Cow<'_, str> {
    unescaped(raw, KEY)
}

/// `raw` without the backslashes before these bytes. Other backslashes mean themselves.
fn unescaped<'a>(raw: &'a str, escaped: &[u8]) -> Cow<'a, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let is_escaped = |next: &char| u8::try_from(*next).is_ok_and(|next| escaped.contains(&next));
    let mut text = String::with_capacity(raw.len());
    let mut left = raw.chars().peekable();
    while let Some(c) = left.next() {
        match left.next_if(|next| c == '\\' && is_escaped(next)) {
            Some(next) => text.push(next),
            None => text.push(c),
        }
    }
    Cow::Owned(text)
}

/// What is between the quotes, if it is a string.
fn string(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// The value of a field that is no string; `None` if it is nothing that a field can be, as
/// `NaN` or a word.
pub(super) fn scalar(raw: &str) -> Option<Field<'_>> {
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match raw {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(Field::Bool(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(Field::Bool(false)),
        _ => {}
    }
    if let Some(text) = raw.strip_suffix('i') {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        return is_whole(digits).then_some(Field::Integer(text));
    }
    if let Some(text) = raw.strip_suffix('u') {
        return is_whole(text).then_some(Field::Unsigned(text));
    }
    Decimal::parse_loose(raw).map(|_| Field::Float(raw))
}

/// Whether a field can have this value, as it is written.
pub(super) fn is_value(raw: &str) -> bool {
    raw.starts_with('"') || scalar(raw).is_some()
}

/// That the value of the field with this key, as it is written, is none.
pub(super) fn no_value(key: &str) -> Detail {
    let key: String = key.chars().take(limits::ECHO_CHARS_MAX).collect();
    format!("the value of the field {key:?} is no number, no string in quotes and no boolean")
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Line<'_> {
        let mut lines = Lines::of(text);
        let line = lines.next().unwrap().unwrap_or_else(|bad| panic!("{text:?}: {bad:?}"));
        assert_eq!(lines.next(), None, "{text:?}");
        line
    }

    /// A line as text: its parts between bars.
    fn shown(line: &Line<'_>) -> String {
        let tags: String = line.tags.iter().map(|(key, value)| format!("{key}:{value}|")).collect();
        let fields: String = line
            .fields
            .iter()
            .map(|(key, value)| match value {
                Field::Float(text) => format!("{key}:{text}|"),
                Field::Integer(text) => format!("{key}:{text} i|"),
                Field::Unsigned(text) => format!("{key}:{text} u|"),
                Field::Text(text) => format!("{key}:<{text}>|"),
                Field::Bool(value) => format!("{key}:{value}|"),
            })
            .collect();
        let time = line.timestamp.unwrap_or("-");
        format!("{}|{tags} {fields} {time}", line.measurement)
    }

    #[test]
    fn what_devices_write_is_read() {
        for (text, expected) in [
            ("m f=1", "m| f:1| -"),
            ("m,a=b f=1 1795647000", "m|a:b| f:1| 1795647000"),
            (
                "temperature,device=cellar,sensor=ds18b20-1,id=0000A1 value=13.3",
                "temperature|device:cellar|sensor:ds18b20-1|id:0000A1| value:13.3| -",
            ),
            (
                "feinstaub,node=esp8266-123 BME280_temperature=21.40,SDS_P1=7.1\n",
                "feinstaub|node:esp8266-123| BME280_temperature:21.40|SDS_P1:7.1| -",
            ),
            (
                "measurements,source=i1 temperature=68.2,temp_units=\"F\"\r\n",
                "measurements|source:i1| temperature:68.2|temp_units:<F>| -",
            ),
            (" \t m  \t f=1   -5  ", "m| f:1| -5"),
            (
                "m f=1i,g=-2i,h=3u,k=t,l=False,m=TRUE,n=true,o=f",
                "m| f:1 i|g:-2 i|h:3 u|k:true|l:false|m:true|n:true|o:false| -",
            ),
            (
                "m f=+5,g=.5,h=5.,i=1e5,j=-1.5E-3,k=007,l=+5i",
                "m| f:+5|g:.5|h:5.|i:1e5|j:-1.5E-3|k:007|l:+5 i| -",
            ),
            ("m f=1\r", "m| f:1| -"),
            ("m f=\"\" 1\r\n", "m| f:<>| 1"),
            ("m f=t\r\n", "m| f:true| -"),
            ("ü,ä=ö ß=\"é\"", "ü|ä:ö| ß:<é>| -"),
            ("\"m\",\"a\"=\"b\" \"f\"=1", "\"m\"|\"a\":\"b\"| \"f\":1| -"),
            ("m=n f=1", "m=n| f:1| -"),
        ] {
            assert_eq!(shown(&one(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn escapes_are_those_of_influxdb() {
        for (text, expected) in [
            (r"m\,\ \=\x f=1", r"m, \=\x| f:1| -"),
            (r"m,a\,b\ c\=d=e\,f\ g\=h\x f=1", r"m|a,b c=d:e,f g=h\x| f:1| -"),
            (r"m a\,b\ c\=d=1", r"m| a,b c=d:1| -"),
            (r#"m f="a\"b\\c\,d\ne, =#""#, "m| f:<a\"b\\c\\,d\\ne, =#>| -"),
            ("m f=\"a\nb\r\n\n# c\",g=1 5", "m| f:<a\nb\r\n\n# c>|g:1| 5"),
            (r#"m f="\\",g="\"""#, "m| f:<\\>|g:<\">| -"),
            // One backslash before another escapes nothing, but still what follows.
            (r"m,a=b\\,c f=1", r"m|a:b\,c| f:1| -"),
            // The first byte of a name or a value stops nothing.
            ("m,a==b f=1", "m|a:=b| f:1| -"),
        ] {
            assert_eq!(shown(&one(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_escaped_is_not_copied() {
        let line = one(r#"m\x,a=b\x f="c\x" 1"#);
        assert!(matches!(line.tags[..], [(Cow::Borrowed("a"), Cow::Owned(_))]));
        let line = one("m,a=b f=\"c\",g=1i 1");
        assert!(matches!(line.measurement, Cow::Borrowed("m")));
        assert!(matches!(line.tags[..], [(Cow::Borrowed("a"), Cow::Borrowed("b"))]));
        let (text, _) = (&line.fields[0].1, &line.fields[1]);
        assert!(matches!(text, Field::Text(Cow::Borrowed("c"))));
    }

    #[test]
    fn comments_and_empty_lines_are_none() {
        let numbers = |text: &str| -> Vec<usize> {
            Lines::of(text).map(|line| line.unwrap().number).collect()
        };
        assert!(numbers("").is_empty());
        assert!(numbers("\n \r\n\t\n\r").is_empty());
        assert_eq!(
            numbers("# a=\"b\nm f=1\n  #\n\n\r\n# c:\\\nm f=\"\n\"\n#\nm f=1\n# end"),
            [2, 7, 10]
        );
    }

    #[test]
    fn a_bad_line_is_told_and_costs_no_other() {
        for bad in [
            "m",
            "m ",
            ",a=b f=1",
            "m,",
            "m, f=1",
            "m,a f=1",
            "m,a= f=1",
            "m,a=b",
            "m,a=b,",
            "m,=b f=1",
            "m,a=b=c f=1",
            "m,a=b, f=1",
            "m,a b=c f=1",
            "m f",
            "m f=",
            "m f= 1",
            "m f=,g=1",
            "m =1",
            "m f=1,",
            "m f=1,g",
            "m f=1,=2",
            "m a,b=1",
            "m f=1 x",
            "m f=1 1x",
            "m f=1 -",
            "m f=1 1 2",
            "m f=1 1.5",
            "m f=1 1,g=2",
            "m f=NaN",
            "m f=inf",
            "m f=1.2.3",
            "m f=0x1",
            "m f=truE",
            "m f=word",
            "m f=i",
            "m f=u",
            "m f=-1u",
            "m f=1.5i",
            "m f=1e3i",
            "m f=+-1i",
            "m f=1,2",
            "m f=\"a\"b",
            "m f=\"a\"\"b\"",
            "m f='a'",
            "m f=\"a",
            "m f=\"a\\\"",
            "m f=1\tg=2",
            "m f=1\r2",
            "m,a=b\\",
            "m\\",
            "{\"a\":1}",
            "m,a=\"b c\" f=1",
        ] {
            let body = format!("g f=1 1\n{bad}\ng f=1 3\r\ng f=1 4");
            let found: Vec<_> = Lines::of(&body).collect();
            let numbers: Vec<_> = found
                .iter()
                .map(|line| line.as_ref().map(|l| l.number).map_err(|bad| bad.line_number))
                .collect();
            assert_eq!(numbers, [Ok(1), Err(2), Ok(3), Ok(4)], "{bad}");
        }
        let detail = |text: &str| Lines::of(text).next().unwrap().unwrap_err().detail;
        assert_eq!(detail("m"), "the line has no field");
        let said = "the value of the field \"ü\" is no number, no string in quotes and no boolean";
        assert_eq!(detail("m ü=nan"), said);
        assert_eq!(detail("m f=\"a"), "a quote is not closed");
    }

    #[test]
    fn a_string_that_another_line_closes_costs_what_it_took_apart_alone() {
        let numbers = |text: &str| -> Vec<Result<usize, usize>> {
            let number = |line: Result<Line<'_>, BadLine>| {
                line.map(|line| line.number).map_err(|bad| bad.line_number)
            };
            Lines::of(text).map(number).collect()
        };
        // The string of line 1 is closed by line 3's first quote.
        assert_eq!(numbers("m f=\"a\nm f=1\nm f=\"b\"\nm f=2"), [Err(1), Ok(2), Ok(3), Ok(4)]);
        assert_eq!(numbers("m f=\"a\nm f=1\n\" 5\nm f=2"), [Ok(1), Ok(4)]);
    }

    #[test]
    fn parts_are_bounded() {
        let of = |tags: usize, fields: usize| {
            let tags = ",t=1".repeat(tags);
            format!("m{tags} {}", vec!["f=1"; fields].join(","))
        };
        let most = limits::LINE_PARTS_MAX;
        assert_eq!(one(&of(most - 1, 1)).tags.len(), most - 1);
        assert_eq!(one(&of(0, most)).fields.len(), most);
        for (tags, fields) in [(most, 1), (1, most)] {
            let text = of(tags, fields);
            let bad = Lines::of(&text).next().unwrap().unwrap_err();
            assert_eq!(bad.detail, "the line has more than 512 tags and fields");
        }
    }

    #[test]
    fn bodies_that_are_made_to_take_long_do_not() {
        for line in
            ["m f=\"\n", "m f=\"\\\n", "\",a=b f=\"\n", "m f=\"\" \"\n", "#\"\n", "m f=\",g=\"\n"]
        {
            let body = line.repeat(200_000);
            let found = Lines::of(&body).count();
            assert!(found <= 200_000, "{line:?}: {found}");
        }
    }

    #[test]
    fn a_byte_that_is_not_utf_8_spoils_what_it_stands_in() {
        let body = text(b"\xef\xbb\xbfm,a=\xff f=1\nm f=\xfe\nm f=1");
        let found: Vec<_> = Lines::of(&body).collect();
        assert!(found[0].is_ok() && found[1].is_err() && found[2].is_ok(), "{found:?}");
    }

    /// A text without a backslash, whose escapes would mean something else behind it.
    fn name() -> impl Strategy<Value = String> {
        "[a-z,= \"ü]{0,3}[a-z]"
    }

    /// The text with a backslash before each of these.
    fn escaped(text: &str, which: &[char]) -> String {
        text.chars()
            .flat_map(|c| which.contains(&c).then_some('\\').into_iter().chain([c]))
            .collect()
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            measurement in name(),
            tags in prop::collection::vec((name(), name()), 0..4),
            texts in prop::collection::vec((name(), "[a-z,= \"\\\\\n\r#]{0,6}"), 1..4),
            time in prop::option::of(any::<i64>()),
        ) {
            let key = |text: &str| escaped(text, &[',', ' ', '=']);
            let mut body = escaped(&measurement, &[',', ' ']);
            for (name, value) in &tags {
                body += &format!(",{}={}", key(name), key(value));
            }
            let field = |(name, text): &(String, String)| {
                format!("{}=\"{}\"", key(name), escaped(text, &['"', '\\']))
            };
            body += &format!(" {}", texts.iter().map(field).collect::<Vec<_>>().join(","));
            let time = time.map(|time| time.to_string());
            if let Some(time) = &time {
                body += &format!(" {time}");
            }
            let found: Vec<_> = Lines::of(&body).collect();
            let [Ok(line)] = &found[..] else { panic!("{body:?}: {found:?}") };
            prop_assert_eq!(line.measurement.as_ref(), &measurement);
            let pairs = line.tags.iter().map(|(k, v)| (k.to_string(), v.to_string()));
            prop_assert_eq!(pairs.collect::<Vec<_>>(), tags);
            let expected = texts.iter().map(|(k, v)| (k.into(), Field::Text(v.into())));
            prop_assert_eq!(&line.fields, &expected.collect::<Vec<_>>());
            prop_assert_eq!(line.timestamp, time.as_deref());
        }

        #[test]
        fn any_bytes_give_lines_or_errors(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = text(&body);
            let lines = body.matches('\n').count() + 1;
            prop_assert!(Lines::of(&body).count() <= lines);
        }

        #[test]
        fn signs_of_lines_in_any_order_have_rising_numbers(body in "[m,= \"\\\\\n\r#1i]{0,60}") {
            let numbers: Vec<usize> = Lines::of(&body)
                .map(|line| line.map_or_else(|bad| bad.line_number, |line| line.number))
                .collect();
            prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
            let lines = body.matches('\n').count() + 1;
            prop_assert!(numbers.last().is_none_or(|last| *last <= lines));
        }
    }
}
