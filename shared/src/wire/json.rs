//! Readings in JSON: one object, or an array of them.
//!
//! Each item is judged on its own, so one bad reading does not reject the good ones
//! beside it. Fields that can't change what the number means are ignored, and named in the
//! answer; others (`"unit": "F"`, say) reject the item.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::rejection::{Reason, Rejection};
use crate::limits;
use crate::wire::item::{self, Parsed, Unreadable};
use crate::wire::json_fields::RawFields;
use crate::wire::json_items;
use crate::wire::json_place::{self, Place};
use crate::wire::json_plain::{self, Rest};

/// Splits a body into its items, in order.
#[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
pub(crate) fn parse(body: &[u8]) -> Result<Parsed<'_>, Unreadable> {
    parse_text(item::text(body)?).map_err(|e| match e {
        Unreadable::CutShort(_) => Unreadable::CutShort(body.len()),
        other => other,
    })
}

fn parse_text(body: &str) -> Result<Parsed<'_>, Unreadable> {
    match body.trim_ascii_start().as_bytes().first() {
        Some(b'[') => array(body),
        Some(b'{') => single(body),
        None => Err(Unreadable::Empty),
        _ => Err(match serde_json::from_str::<IgnoredAny>(body) {
            Ok(_) => Unreadable::Shape,
            Err(error) => syntax(body, &error),
        }),
    }
}

/// Why `body` is not JSON as a whole, by the parser's error.
pub(super) fn syntax(body: &str, error: &serde_json::Error) -> Unreadable {
    // The parser may have stopped at an item that is not JSON, long before the end: but a
    // bracket that closes what is not open leaves another one without its end.
    let is_wrong_bracket = || Place::of(body, error).is_wrong_bracket();
    if error.is_eof() || json_items::is_cut_short(body) && !is_wrong_bracket() {
        return Unreadable::CutShort(body.len());
    }
    Unreadable::Syntax(json_place::not_json_at(body, error))
}

fn single(body: &str) -> Result<Parsed<'_>, Unreadable> {
    match json_plain::only(body) {
        Some(reading) => Ok(Parsed { items: vec![Ok(reading)], ignored: Vec::new() }),
        None => careful_single(body),
    }
}

fn careful_single(body: &str) -> Result<Parsed<'_>, Unreadable> {
    match serde_json::from_str::<RawFields<'_>>(body) {
        Ok(fields) => Ok(parsed([Ok(fields)])),
        Err(error) => one_by_one(body, &error),
    }
}

fn array(body: &str) -> Result<Parsed<'_>, Unreadable> {
    plain_array(body).map_or_else(|| careful_array(body), Ok)
}

/// An array of readable items: those that are plain are read the short way. `None` if the body
/// is anything else.
fn plain_array(body: &str) -> Option<Parsed<'_>> {
    let mut rest = Rest::of(body);
    rest.take(b'[')?;
    let items = body.len() / BYTES_PER_ITEM;
    let items = items.min(limits::READINGS_PER_REQUEST_MAX);
    let mut parsed = Parsed { items: Vec::with_capacity(items), ignored: Vec::new() };
    loop {
        if parsed.items.len() == limits::READINGS_PER_REQUEST_MAX {
            return None;
        }
        let before = rest;
        match rest.reading() {
            Some(reading) => parsed.items.push(Ok(reading)),
            None => {
                rest = before;
                let mut items = serde_json::Deserializer::from_str(rest.text()?).into_iter();
                parsed.push(Ok(items.next()?.ok()?));
                rest.skip(items.byte_offset())?;
            }
        }
        if rest.take(b',').is_none() {
            rest.take(b']')?;
            return rest.is_at_end().then_some(parsed);
        }
    }
}

/// The bytes of an item, roughly: less than most have.
const BYTES_PER_ITEM: usize = 64;

/// In one pass if every item is an object of readable fields; otherwise one by one.
fn careful_array(body: &str) -> Result<Parsed<'_>, Unreadable> {
    match serde_json::from_str::<Items<'_>>(body) {
        Ok(items) if items.overflow => Err(Unreadable::TooMany),
        Ok(items) => Ok(parsed(items.list.into_iter().map(Ok))),
        Err(error) => one_by_one(body, &error),
    }
}

/// Parses each item on its own: `1e999`, a lone surrogate or a bare `NaN` stops the
/// parser, but rejects only its own item. `error` is the parser's error for the whole
/// body.
fn one_by_one<'a>(body: &'a str, error: &serde_json::Error) -> Result<Parsed<'a>, Unreadable> {
    let items = json_items::cut(body).ok_or_else(|| syntax(body, error))?;
    if items.len() > limits::READINGS_PER_REQUEST_MAX {
        return Err(Unreadable::TooMany);
    }
    Ok(parsed(items.into_iter().map(alone)))
}

/// The items as readings, and the fields that were ignored in them.
pub(super) fn parsed<'a>(
    items: impl IntoIterator<Item = Result<RawFields<'a>, Rejection>>,
) -> Parsed<'a> {
    let items = items.into_iter();
    let mut parsed = Parsed { items: Vec::with_capacity(items.size_hint().0), ignored: Vec::new() };
    items.for_each(|item| parsed.push(item));
    parsed
}

/// One item by itself. What is not JSON, or no object, is `Reason::Malformed`.
pub(super) fn alone(item: &str) -> Result<RawFields<'_>, Rejection> {
    let error = match serde_json::from_str::<RawFields<'_>>(item) {
        Ok(fields) => return Ok(fields),
        Err(error) => error,
    };
    let detail = match serde_json::from_str::<&RawValue>(item) {
        Ok(_) if item.starts_with('{') => {
            "the item has a string that is not valid Unicode".to_owned()
        }
        Ok(_) => "the item is not an object".to_owned(),
        Err(_) => not_json(item, &error),
    };
    let field = |name| json_items::field(item, name);
    Err(Rejection::new(Reason::Malformed, detail).sent_as(field("device_id"), field("region")))
}

/// Says where an item is not JSON.
fn not_json(item: &str, error: &serde_json::Error) -> String {
    let place = Place::of(item, error);
    let advice = if place.is_value() { ": leave the reading out, or send a number" } else { "" };
    let (at, found) = (place.at, place.found_there());
    format!("the item is not valid JSON at its character {at}{found}{advice}")
}

/// An array of at most the permitted number of items.
struct Items<'a> {
    list: Vec<RawFields<'a>>,
    overflow: bool,
}

impl<'a> Deserialize<'a> for Items<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'a> Visitor<'a> for V {
            type Value = Items<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of readings")
            }

            fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while list.len() < limits::READINGS_PER_REQUEST_MAX {
                    match seq.next_element()? {
                        Some(item) => list.push(item),
                        None => return Ok(Items { list, overflow: false }),
                    }
                }
                let mut overflow = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    overflow = true;
                }
                Ok(Items { list, overflow })
            }
        }
        deserializer.deserialize_seq(V)
    }
}

/// The outcome by the careful parser alone.
#[cfg(test)]
pub(super) fn parse_carefully(body: &str) -> Result<Parsed<'_>, Unreadable> {
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    match body.trim_ascii_start().as_bytes().first() {
        Some(b'[') => careful_array(body),
        Some(b'{') => careful_single(body),
        _ => parse_text(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::item::Item;

    /// Compares what becomes of each item of a body, one line per item.
    fn check(body: &str, expected: &str) {
        let actual = match parse(body.as_bytes()) {
            Ok(parsed) => parsed.items.iter().map(line).collect::<Vec<_>>().join("\n"),
            Err(unreadable) => format!("{unreadable:?}"),
        };
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        assert_eq!(actual, expected.join("\n"), "{body}");
    }

    fn line(item: &Item<'_>) -> String {
        match item {
            Ok(r) => format!(
                "{} {} {} {}",
                r.device_id.as_str(),
                r.region.as_str(),
                r.temperature.get(),
                r.timestamp
            ),
            Err(rejection) => rejection.reason.code().to_owned(),
        }
    }

    /// A body of one item, with `value` for `field`.
    fn with(field: &str, value: &str) -> String {
        let pairs = [
            ("device_id", "\"d1\""),
            ("region", "\"hall\""),
            ("temperature_c", "21.5"),
            ("timestamp", "1700000000000"),
        ];
        let pair = |(name, good): (&str, &str)| {
            format!("\"{name}\":{}", if name == field { value } else { good })
        };
        format!("{{{}}}", pairs.map(pair).join(","))
    }

    #[test]
    fn one_reading_or_an_array_of_them() {
        let one = with("", "");
        check(&one, "d1 hall 21500 2023-11-14T22:13:20.000Z");
        check(
            &format!(" [ {one} , {one} ] "),
            "d1 hall 21500 2023-11-14T22:13:20.000Z
             d1 hall 21500 2023-11-14T22:13:20.000Z",
        );
        check("[]", "");
    }

    #[test]
    fn fields_may_come_in_any_order_and_with_escapes() {
        check(
            r#"{"timestamp":"2026-11-22T10:00:00+01:00","temperature_c":-0.5e1,"\u0072egion":"h\u0061ll","device_id":"d"}"#,
            "d hall -5000 2026-11-22T09:00:00.000Z",
        );
    }

    #[test]
    fn every_field_has_its_type_and_range() {
        for (field, value, expected) in [
            ("device_id", "7", "wrong_type"),
            ("device_id", "null", "wrong_type"),
            ("device_id", "\"\"", "invalid_device_id"),
            ("device_id", "\"a/b\"", "invalid_device_id"),
            ("device_id", "\"a\\u0000\"", "invalid_device_id"),
            ("device_id", "\"a\\\"b\"", "invalid_device_id"),
            ("device_id", "\"\\ud800\"", "wrong_type"),
            ("region", "\"zürich\"", "invalid_region"),
            ("region", "[\"hall\"]", "wrong_type"),
            ("temperature_c", "\"21.5\"", "wrong_type"),
            ("temperature_c", "\"NaN\"", "wrong_type"),
            ("temperature_c", "\"Infinity\"", "wrong_type"),
            ("temperature_c", "null", "wrong_type"),
            ("temperature_c", "true", "wrong_type"),
            ("temperature_c", "-273.151", "temperature_out_of_range"),
            ("temperature_c", "1000.001", "temperature_out_of_range"),
            ("temperature_c", "1e400", "temperature_out_of_range"),
            ("timestamp", "1700000000", "timestamp_in_seconds"),
            ("timestamp", "1000000000", "timestamp_in_seconds"),
            ("timestamp", "99999999999", "timestamp_in_seconds"),
            ("timestamp", "0", "invalid_timestamp"),
            ("timestamp", "12345", "invalid_timestamp"),
            ("device_id", "\".\"", "invalid_device_id"),
            ("region", "\"..\"", "invalid_region"),
            ("timestamp", "-1700000000000", "invalid_timestamp"),
            ("timestamp", "1e300", "invalid_timestamp"),
            ("timestamp", "\"2026-11-22\"", "invalid_timestamp"),
            ("timestamp", "\"1700000000000\"", "invalid_timestamp"),
            ("timestamp", "{}", "wrong_type"),
        ] {
            check(&with(field, value), expected);
        }
    }

    #[test]
    fn numbers_of_400_digits_are_judged_by_their_value() {
        let long = "9".repeat(400);
        check(&with("temperature_c", &long), "temperature_out_of_range");
        check(&with("timestamp", &long), "invalid_timestamp");
        check(
            &with("temperature_c", &format!("20.{long}")),
            "d1 hall 21000 2023-11-14T22:13:20.000Z",
        );
    }

    #[test]
    fn missing_unknown_and_repeated_fields_are_named() {
        check("{}", "missing_field");
        check(r#"{"device_id":"d","region":"r","temperature_c":1}"#, "missing_field");
        check(&with("region", "\"hall\",\"unit\":\"F\""), "unknown_field");
        check(&with("region", "\"hall\",\"region\":\"hall\""), "duplicate_field");
    }

    #[test]
    fn all_that_is_missing_and_both_names_that_are_bad_are_named() {
        let rejected = |body: &str| {
            let mut parsed = parse(body.as_bytes()).unwrap();
            parsed.items.pop().unwrap().unwrap_err()
        };
        let said = |body: &str| rejected(body).detail.into_owned();
        assert_eq!(
            said("{\"region\":\"r\",\"temperature_c\":1,\"timestamp\":1}"),
            "device_id is missing"
        );
        assert_eq!(said("{\"region\":\"r\"}"), "device_id, temperature_c, timestamp are missing");
        let names = |device_id: &str, region: &str| {
            let names = format!("\"device_id\":{device_id},\"region\":{region}");
            rejected(&format!("{{{names},\"temperature_c\":1,\"timestamp\":1}}"))
        };
        let both = names("\"a b\"", "\"c d\"");
        assert_eq!(both.reason, Reason::InvalidDeviceId);
        assert!(both.detail.starts_with("device_id and region: names are 1 to 64 "));
        let both = names("7", "\"c d\"");
        assert_eq!(both.reason, Reason::WrongType);
        assert!(
            both.detail
                .starts_with("device_id must be a string of valid Unicode; region: names are ")
        );
        assert!(names("\"a\"", "\"c d\"").detail.starts_with("names are "));
    }

    #[test]
    fn what_can_not_change_the_number_is_ignored_and_named_once() {
        let with_extras = with("region", "\"hall\",\"rssi\":-60,\"battery_v\":{\"a\":[1]}");
        for body in [with_extras.clone(), format!("[{with_extras},{with_extras},{{\"x\":nan}}]")] {
            let parsed = parse(body.as_bytes()).unwrap();
            assert!(parsed.items[0].is_ok(), "{:?}", parsed.items);
            assert_eq!(parsed.ignored, ["battery_v", "rssi"]);
        }
        let many: String = (0..30).map(|n| format!("\"voltage_{n:02}\":1,")).collect();
        let body = with("region", &format!("\"hall\",{many}\"lux\":2"));
        let parsed = parse(body.as_bytes()).unwrap();
        assert!(parsed.items[0].is_ok());
        assert_eq!(parsed.ignored.len(), limits::FIELDS_NAMED_MAX);
    }

    #[test]
    fn unknown_fields_are_named_or_counted() {
        let body = with("region", "\"hall\",\"unit\":\"F\",\"rssi\":1,\"offset\":2");
        let rejection = parse(body.as_bytes()).unwrap().items.pop().unwrap().unwrap_err();
        let said = "unknown fields: \"unit\", \"offset\". A reading has ";
        assert!(rejection.detail.starts_with(said), "{}", rejection.detail);
        for (count, end) in [(20, "\"x19\". A reading "), (25, "\"x19\" and 5 more. A reading ")] {
            let many: String = (0..count).map(|n| format!("\"x{n}\":1,")).collect();
            let body = with("region", &format!("\"hall\",{many}\"lux\":2"));
            let rejection = parse(body.as_bytes()).unwrap().items.pop().unwrap().unwrap_err();
            assert!(rejection.detail.contains(end), "{}", rejection.detail);
        }
    }

    #[test]
    fn a_bad_item_does_not_hurt_its_neighbours() {
        let good = with("", "");
        let line = "d1 hall 21500 2023-11-14T22:13:20.000Z";
        for bad in ["7", "1e999", "null", "\"x\"", "[]", "[[]]", "{\"\\ud800\":1}", "true"] {
            check(&format!("[{good},{bad},{good}]"), &format!("{line}\nmalformed\n{line}"));
        }
        check("{\"\\ud800\":1}", "malformed");
        // Numbers that some programs write but JSON does not have.
        for token in [
            "NaN",
            "Infinity",
            "-Infinity",
            "nan",
            "inf",
            "unavailable",
            ".5",
            "+1",
            "01",
            "1.",
            "",
        ] {
            let bad = with("temperature_c", token);
            check(&format!("[{good},{bad},{good}]"), &format!("{line}\nmalformed\n{line}"));
            check(&bad, "malformed");
        }
        check(&with("region", "\"NaN\""), "d1 NaN 21500 2023-11-14T22:13:20.000Z");
        check(&format!("\u{feff}[{good}]"), line);
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let detail = |body: &str| match parse(body.as_bytes()).unwrap().items.pop().unwrap() {
            Err(rejection) => rejection.detail.into_owned(),
            Ok(reading) => panic!("{reading:?}"),
        };
        let of = |token: &str| detail(&format!("[{}]", with("temperature_c", token)));
        for token in ["NaN", "-Infinity", "nan", "inf", "unavailable", "+1", ".5"] {
            let said = of(token);
            let begin = format!("the item is not valid JSON at its character 51 (near `{token}`)");
            assert!(said.starts_with(&begin), "{said}");
        }
        let said = detail("[{\"region\": \"zürich\", \"device_id\": nan}]");
        assert!(said.contains("character 35 (near `nan`)"), "{said}");
        let said = detail("[{\n\"device_id\":\n nan}]");
        assert!(said.contains("character 17 (near `nan`)"), "{said}");
        assert_eq!(
            detail("[{\"a\" 1}]"),
            "the item is not valid JSON at its character 6 (near `1`): expected : before it"
        );
        let said = detail("[{\"temperature_c\":4,5}]");
        assert!(said.ends_with("(near `4,5`): write decimals with a point, not a comma"), "{said}");
        let said = detail(
            "[{\"temperature_c\":\"4,5\",\"region\":\"r\",\"device_id\":\"d\",\"timestamp\":1}]",
        );
        assert!(said.ends_with("with a point, like 4.5, and without quotes"), "{said}");
        assert!(detail("[{\"a\":1 \"b\":2}]").ends_with(": expected , or } but found \""));
        for (value, hint) in [
            ("\"1795597745284\"", "without them"),
            ("\"1795597745\"", "without them"),
            ("12345", "device's start"),
            ("1795597745", "looks like seconds"),
        ] {
            let said = detail(&with("timestamp", value));
            assert!(said.contains(hint), "{value}: {said}");
        }
    }

    #[test]
    fn what_is_not_json_is_unreadable_as_a_whole() {
        for bad in ["nope", "[{},]", "{} {}", "[{}]]", "[{\"a\":NaN},,{\"b\":1}]"] {
            assert!(matches!(parse(bad.as_bytes()), Err(Unreadable::Syntax(_))), "{bad}");
        }
        assert!(matches!(parse(b"\"\xff\""), Err(Unreadable::Syntax(_))));
        let said = |body: &str| parse(body.as_bytes()).unwrap_err();
        let of_a_word = Unreadable::Syntax(
            "JSON at character 5 (near `nope`): expected , or ] before it".to_owned(),
        );
        assert_eq!(said("[{} nope]"), of_a_word);
        let place = "JSON at character 5: expected , or ] but found {";
        assert_eq!(said("[{} {}]"), Unreadable::Syntax(place.to_owned()));
        let place = "JSON at character 8: expected , or } but found ]";
        assert_eq!(said("[{\"a\":1]"), Unreadable::Syntax(place.to_owned()));
        for empty in ["", " \r\n", "\u{feff}"] {
            assert_eq!(said(empty), Unreadable::Empty, "{empty:?}");
        }
        for other in ["7", "\"text\"", "null", "true"] {
            assert_eq!(parse(other.as_bytes()), Err(Unreadable::Shape), "{other}");
        }
    }

    #[test]
    fn a_body_that_ends_too_early_is_told_from_one_that_is_wrong() {
        let whole =
            format!("\u{feff}[{},{{\"temperature_c\":NaN}},{{\"a\":\"ü]\"}}]", with("", ""));
        assert!(parse(whole.as_bytes()).is_ok());
        // Wherever it is cut, also within a letter: but not where the rest is space.
        for bytes in "\u{feff}[".len()..whole.len() {
            let found = parse(&whole.as_bytes()[..bytes]);
            assert_eq!(found, Err(Unreadable::CutShort(bytes)));
        }
        for cut in ["{", " [ ", "[1,2", "[{},", "[\"a", "[{\"a\":NaN},{\"b\"", "{\"a\":\"\\", "nul"]
        {
            assert_eq!(parse(cut.as_bytes()), Err(Unreadable::CutShort(cut.len())), "{cut}");
        }
    }

    #[test]
    fn ten_thousand_items_are_taken_and_one_more_is_too_many() {
        let body = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        assert_eq!(parse(body(10_000).as_bytes()).unwrap().items.len(), 10_000);
        assert_eq!(parse(body(10_001).as_bytes()), Err(Unreadable::TooMany));
        let careful = format!("[1,{}", &body(10_000)[1..]);
        assert_eq!(parse(careful.as_bytes()), Err(Unreadable::TooMany));
    }

    #[test]
    fn nesting_without_end_is_no_trouble() {
        let deep = "[".repeat(200_000);
        assert_eq!(parse(deep.as_bytes()), Err(Unreadable::CutShort(200_000)));
        let closed = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        check(&closed, "malformed");
    }
}
