//! Readings in JSON, one object a line (NDJSON, JSON Lines).
//!
//! Each line is judged by itself, as an item of an array of `json` is: whatever is wrong with
//! it, it costs no other line. So a body that was cut off loses its last reading alone.

use crate::domain::rejection::{Reason, Rejection};
use crate::limits;
use crate::wire::item::{self, Parsed, Unreadable};
use crate::wire::json;
use crate::wire::json_plain;

/// The readings of a body, one a line, which ends in LF or CR LF. A byte order mark before the
/// first line is skipped, and so are lines of nothing but space, which are no items. A line
/// that is not UTF-8, no JSON or no object is `Reason::Malformed`, and says its number.
///
/// Fails with `Unreadable::Empty` if there is no item, and with `Unreadable::TooMany` if there
/// are more than `limits::READINGS_PER_REQUEST_MAX`.
pub(crate) fn parse(body: &[u8]) -> Result<Parsed<'_>, Unreadable> {
    let lines = item::without_mark(body).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut parsed = Parsed::default();
    for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        if parsed.items.len() == limits::READINGS_PER_REQUEST_MAX {
            return Err(Unreadable::TooMany);
        }
        let text = text(line);
        if let Some(reading) = text.as_ref().ok().and_then(|text| json_plain::only(text)) {
            parsed.items.push(Ok(reading));
            continue;
        }
        let item = text.and_then(json::alone);
        parsed.push(item.map_err(|rejection| item::at_line(rejection, index + 1)));
    }
    if parsed.items.is_empty() { Err(Unreadable::Empty) } else { Ok(parsed) }
}

fn text(line: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(line).map_err(|error| {
        let detail = format!("it is not UTF-8 at its byte {}", error.valid_up_to() + 1);
        Rejection::new(Reason::Malformed, detail)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::item::Item;

    const GOOD: &str =
        r#"{"device_id":"d1","region":"hall","temperature_c":21.5,"timestamp":1700000000000}"#;

    /// What becomes of each item: a device and a temperature, or a reason.
    fn outcomes(body: &[u8]) -> Vec<String> {
        parse(body).unwrap().items.iter().map(outcome).collect()
    }

    fn outcome(item: &Item<'_>) -> String {
        match item {
            Ok(reading) => format!("{} {}", reading.device_id.as_str(), reading.temperature.get()),
            Err(rejection) => format!("{} {}", rejection.reason.code(), rejection.detail),
        }
    }

    #[test]
    fn a_line_is_a_reading_and_lines_of_space_are_none() {
        let good = "d1 21500";
        for body in [
            GOOD.to_owned(),
            format!("{GOOD}\n"),
            format!("{GOOD}\r\n"),
            format!("\u{feff}{GOOD}"),
            format!("\u{feff}\n\r\n \t\n  {GOOD}  \n\n"),
        ] {
            assert_eq!(outcomes(body.as_bytes()), [good], "{body:?}");
        }
        let two = format!("{GOOD}\r\n\r\n{GOOD}");
        assert_eq!(outcomes(two.as_bytes()), [good, good]);
        for empty in ["", "\n", " \r\n\n", "\u{feff}"] {
            assert_eq!(parse(empty.as_bytes()), Err(Unreadable::Empty), "{empty:?}");
        }
    }

    #[test]
    fn a_bad_line_costs_only_itself_and_says_its_number() {
        for bad in [
            "nonsense".as_bytes(),
            b"7",
            b"[]",
            b"null",
            b"[{}]",
            b"{\"device_id\":\"d1\",\"region\":\"ha",
            b"{\"device_id\":\"d1\",\"temperature_c\":NaN}",
            b"{\"device_id\":\"d\xff\"}",
            b"{} {}",
            b"{},",
            b"{\"\\ud800\":1}",
            b"\xef\xbb\xbf{}",
        ] {
            let body = [GOOD.as_bytes(), b"\n\n", bad, b"\n", GOOD.as_bytes()].concat();
            let found = outcomes(&body);
            let [first, between, last] = &found[..] else { panic!("{found:?}") };
            assert_eq!([first, last], ["d1 21500", "d1 21500"]);
            assert!(between.starts_with("malformed line 3: "), "{between}");
        }
        let (named, other) = (r#"{"device_id":"d7","t":NaN}"#, r#"{"region":"hall"}"#);
        let body = format!("{named}\n{other}");
        let parsed = parse(body.as_bytes()).unwrap().items;
        let sent = parsed[0].as_ref().unwrap_err().sent.clone().unwrap();
        assert_eq!(sent.device_id.as_deref(), Some("d7"));
        let rejection = parsed[1].as_ref().unwrap_err();
        assert_eq!(rejection.detail, "device_id, temperature_c, timestamp are missing");
    }

    #[test]
    fn fields_are_ignored_as_in_an_array() {
        let line = GOOD.replace("\"region\"", "\"rssi\":-60,\"region\"");
        let body = format!("{line}\n{line}");
        let parsed = parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.ignored, ["rssi"]);
        assert!(parsed.items.iter().all(Result::is_ok));
    }

    #[test]
    fn ten_thousand_lines_are_taken_and_one_more_is_too_many() {
        let body = |n: usize| "{}\n".repeat(n);
        assert_eq!(parse(body(10_000).as_bytes()).unwrap().items.len(), 10_000);
        assert_eq!(parse(body(10_001).as_bytes()), Err(Unreadable::TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_give_items_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(parsed) = parse(&body) {
                let lines = body.split(|byte| *byte == b'\n').count();
                prop_assert!((1..=lines).contains(&parsed.items.len()));
            }
        }

        #[test]
        fn lines_are_the_items_of_an_array(
            items in prop::collection::vec(crate::wire::samples::json_item(), 1..20),
        ) {
            let array = format!("[{}]", items.join(","));
            let lines = items.join("\r\n");
            let of_array = json::parse(array.as_bytes()).unwrap();
            let of_lines = parse(lines.as_bytes()).unwrap();
            prop_assert_eq!(of_lines.ignored, of_array.ignored);
            let of_array: Vec<Item<'_>> = (1..)
                .zip(of_array.items)
                .map(|(line, item)| item.map_err(|rejection| item::at_line(rejection, line)))
                .collect();
            prop_assert_eq!(of_lines.items, of_array);
        }

        #[test]
        fn damage_within_a_line_costs_that_line_alone(
            count in 1_usize..20, which: prop::sample::Index, at: prop::sample::Index, byte: u8,
        ) {
            prop_assume!(byte != b'\n');
            let mut lines = vec![GOOD.as_bytes().to_vec(); count];
            let damaged = which.index(count);
            lines[damaged][at.index(GOOD.len())] = byte;
            let body = lines.join(&b'\n');
            let parsed = parse(&body).unwrap();
            // A line of which only space is left would be none: not by one byte.
            prop_assert_eq!(parsed.items.len(), count);
            for (index, item) in parsed.items.iter().enumerate() {
                prop_assert!(item.is_ok() || index == damaged);
            }
        }
    }
}
