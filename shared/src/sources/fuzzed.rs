//! Mappings and messages that nobody thought of: whatever is put together, it is read or
//! refused, within the steps that a message of its size may take.

use proptest::prelude::*;

use crate::limits;
use crate::sources::mapping::Mapping;
use crate::sources::tree::Unread;
use crate::sources::tried::{Sent, tried};

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(texts).prop_map(str::to_owned)
}

/// A text of JSON.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn pointer() -> impl Strategy<Value = String> {
    one_of(&["", "t", "a/t", "/a/t", "/0/t", "/*", "fields/t", "tags/id", "n", "v", "/a/b/c/d/e"])
}

fn list(of: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    let list = proptest::collection::vec(of, 1..=most);
    list.prop_map(|texts| {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        format!("[{}]", texts.join(","))
    })
}

fn tests() -> impl Strategy<Value = String> {
    let globs = list(one_of(&["*", "!*", "a*", "*a*b*", "!a", "1", "*******", ""]), 8);
    (one_of(&["t", "/a", "?q", "#x-sensor", "$0", "tags/id"]), globs)
        .prop_map(|(subject, globs)| format!("{{\"{subject}\":{globs}}}"))
}

fn take() -> impl Strategy<Value = String> {
    (pointer(), proptest::option::of(tests())).prop_map(|(value, tests)| {
        let tests = tests.map(|tests| format!(",\"where\":{tests}")).unwrap_or_default();
        format!("{{\"value\":\"{value}\"{tests}}}")
    })
}

/// The text of a mapping. Most can be used.
fn mapping() -> impl Strategy<Value = String> {
    (
        one_of(&["json", "ndjson", "form", "query", "line", "csv", "senml"]),
        proptest::option::of(one_of(&["/*", "/*/*", "/a/*", "/t:*", "/*/*/*/*", "/a"])),
        proptest::collection::vec(take(), 1..=32),
        list(one_of(&["@id", "@/a", "$0", "?q", "#x-sensor", ".", "x", "@n", "@tags/id"]), 32),
        one_of(&["\"C\"", "\"F\"", "{\"at\":\"u\",\"C\":\"C\",\"Cel\":\"C\"}"]),
        one_of(&[
            "{\"missing\":\"received\"}",
            "{\"at\":\"at\",\"as\":\"unix\",\"missing\":\"received\",\"slot_ms\":1000}",
            "{\"at\":\"at\",\"as\":[\"rfc3339\",\"%Y-%m-%d %H:%M:%S\"],\"zone\":\"CET-1CEST,M3.5.0,M10.5.0/3\"}",
        ]),
        proptest::option::of(tests()),
    )
        .prop_map(|(body, each, take, device, unit, time, only)| {
            let each = each.map(|each| format!("\"each\":\"{each}\",")).unwrap_or_default();
            let only = only.map(|only| format!("\"only\":{only},")).unwrap_or_default();
            format!(
                "{{\"body\":\"{body}\",{each}{only}\"take\":[{}],\"device\":{device},\
                 \"unit\":{unit},\"time\":{time},\"void\":[\"85\",\"-127\"],\"id\":\"c\"}}",
                take.join(",")
            )
        })
}

/// A message in some format, or in none.
fn message() -> impl Strategy<Value = String> {
    let piece = one_of(&[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "t",
        "a",
        "id",
        "1",
        "-",
        ".",
        "e9",
        "85",
        "=",
        "&",
        " ",
        "\n",
        ";",
        "null",
        "true",
        "\"t\":",
        "\"a\":",
        "\"id\":\"x\"",
        "\"at\":1795647000",
        "{\"t\":1}",
        "{\"n\":\"a\",\"v\":1,\"u\":\"Cel\"}",
        "m,id=x t=1 1795647000\n",
        "id,t,at\n",
        "t=1&id=x",
        "\\u00e9",
        "é",
        "\u{0}",
    ]);
    let pieces = proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat());
    let deep = (1..40_usize).prop_map(|depth| "[".repeat(depth) + "1" + &"]".repeat(depth));
    let wide = (1..400_usize).prop_map(|count| {
        let items: Vec<String> =
            (0..count).map(|n| format!("{{\"id\":\"{n}\",\"t\":{n}}}")).collect();
        format!("[{}]", items.join(","))
    });
    prop_oneof![6 => pieces, 1 => deep, 2 => wide]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_message_by_any_mapping_takes_no_more_steps_than_its_size_allows(
        text in mapping(), body in message(), query in message(),
    ) {
        let Ok(mapping) = Mapping::parse("any", &text) else { return Ok(()) };
        let bytes = u64::try_from(body.len() + query.len()).unwrap();
        let sent = Sent { query: &query, body: &body, headers: &[("x-sensor", "BME280")] };
        match tried(&mapping, sent) {
            Ok(read) => {
                let most = limits::SOURCE_STEPS_FREE + bytes * limits::SOURCE_STEPS_PER_BYTE;
                prop_assert!(read.steps <= most, "{} of {most}", read.steps);
                prop_assert!(read.taken.len() <= limits::READINGS_PER_REQUEST_MAX);
                let ids = read.taken.iter().filter_map(|taken| taken.result.as_ref().ok());
                for measured in ids {
                    prop_assert!(measured.id.chars().count() <= limits::SOURCE_ID_CHARS_MAX);
                }
            }
            Err(Unread::Syntax(detail)) => prop_assert!(detail.len() < 400, "{detail}"),
            Err(_) => {}
        }
    }
}
