//! Local time: days, weeks and months of a zone, and the dates in a query, against
//! programs with the tz database (tests/python).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use isotherm::http::Request;
use isotherm::internals::domain::zone::Zone;
use isotherm::internals::settings::Horizon;
use isotherm_it::{next_page, root};
use isotherm_stores::random::mix;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::{FOR_EVER, Node};
use crate::support::python::python;
use crate::support::readings::{DAY, HOUR, MINUTE, at, celsius, in_hall, json_reading};

const READING: i64 = 30 * MINUTE;

/// The Unix milliseconds of an instant in an answer.
fn ms(text: &str) -> i64 {
    isotherm::UnixMillis::parse_rfc3339(text).unwrap().get()
}

/// The text with what has a meaning in a query escaped.
fn escaped(text: &str) -> String {
    text.replace('+', "%2B").replace('<', "%3C").replace('>', "%3E")
}

/// A node with the zones' files, on 1 January 2027.
fn node(variables: &[(&str, &str)]) -> Node {
    Node::quiet(variables).with_files().with_clock_at(1_798_761_600_000)
}

/// The lines of a table, by their first three cells: zone, first date, first date after.
fn cases(table: &str) -> BTreeMap<[&str; 3], Vec<Vec<&str>>> {
    let mut cases: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        cases.entry([cells[0], cells[1], cells[2]]).or_default().push(cells);
    }
    cases
}

/// A reading every half hour from a day before to a day after, as
/// `tests/python/local_days.py` counts them. `from` and `to` are where the case begins and
/// ends.
fn readings(region: &str, from: i64, to: i64) -> Vec<Value> {
    let start = (from - DAY).div_euclid(READING) * READING;
    let one = |number: i64| {
        let temperature = celsius(number * 7_919 % 40_000 - 5_000);
        json_reading(region, region, temperature, at(start + number * READING).to_string())
    };
    (0..(to + DAY - start) / READING).map(one).collect()
}

#[test]
fn local_days_weeks_and_months_count_what_a_program_with_the_tz_database_counts() {
    let path = root().join("tests/data/local-days.csv");
    let table = std::fs::read_to_string(path).unwrap();
    let cases = cases(&table);
    let mut node = node(&[("retention", "0")]);
    for (number, lines) in cases.values().enumerate() {
        let (from, to) = (lines[0][4], lines.last().unwrap()[5]);
        let readings = readings(&format!("r{number}"), ms(from), ms(to));
        node.accept(&readings.into());
    }
    assert_eq!(node.fold(), 0);
    let mut checked = 0;
    for (number, ([zone, first, after], lines)) in cases.iter().enumerate() {
        for lines in lines.chunk_by(|a, b| a[3] == b[3]) {
            let query =
                format!("from={first}&to={after}&step={}&tz={}", lines[0][3], escaped(zone));
            let body = node.look_at(&format!("/v1/regions/r{number}/windows?{query}"));
            let about = json!({"step": lines[0][3], "time_zone": zone});
            check_fields(&body, &about);
            let windows = body["windows"].as_array().unwrap();
            assert_eq!(windows.len(), lines.len(), "{query}");
            for (window, line) in windows.iter().zip(lines) {
                let [count, sum] = [6, 7].map(|cell: usize| line[cell].parse::<i64>().unwrap());
                check_fields(
                    window,
                    &json!({
                        "from": line[4], "to": line[5], "count": count, "sum_millicelsius": sum,
                        "oldest": line[8], "newest": line[9],
                    }),
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn days_have_as_many_hours_as_the_clock_shows_and_every_reading_is_in_one() {
    let mut node = node(&[("retention", "0")]);
    for (zone, from, to, hours) in [
        ("Europe/Berlin", "2026-03-28", "2026-03-31", vec![24.0, 23.0, 24.0]),
        ("Europe/Berlin", "2026-10-24", "2026-10-27", vec![24.0, 25.0, 24.0]),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-24", "2026-10-27", vec![24.0, 25.0, 24.0]),
        ("Australia/Lord_Howe", "2026-04-04", "2026-04-07", vec![24.0, 24.5, 24.0]),
        ("Australia/Lord_Howe", "2026-10-03", "2026-10-06", vec![24.0, 23.5, 24.0]),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-04-05", "2026-04-06", vec![24.5]),
        ("Asia/Kathmandu", "2026-10-24", "2026-10-27", vec![24.0, 24.0, 24.0]),
        ("Pacific/Apia", "2011-12-29", "2012-01-01", vec![24.0, 24.0]),
    ] {
        node.accept(&in_hall("d", ms("2026-03-28T12:00:00Z")));
        let query = format!("from={from}&to={to}&step=1d&tz={}", escaped(zone));
        let body = node.look_at(&format!("/v1/regions/hall/windows?{query}"));
        let length = |window: &Value| {
            let [from, to] = ["from", "to"].map(|edge| ms(window[edge].as_str().unwrap()));
            (to - from) as f64 / HOUR as f64
        };
        let found: Vec<f64> = body["windows"].as_array().unwrap().iter().map(length).collect();
        assert_eq!(found, hours, "{zone} {from}");
    }
}

#[test]
fn local_days_keep_devices_and_percentiles_when_the_readings_are_deleted() {
    let mut node = node(&[("retention", "0")]);
    let start = ms("2026-03-20T00:00:00Z");
    // Five devices for 24 days, of which the last hours say that the others are past.
    let one = |number: i64| {
        let device = format!("d{}", mix(number.unsigned_abs()) % 5);
        json_reading(&device, "hall", celsius(number * 7_919 % 40_000), start + number * 6 * MINUTE)
    };
    node.accept(&(0..24 * 240).map(one).collect());
    assert_eq!(node.fold(), 0);
    let zones = ["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"];
    let days = |zone: &str| {
        let query = format!("from=2026-03-21&to=2026-04-11&step=1d&tz={zone}");
        node.look_at(&format!("/v1/regions/hall/windows?{query}"))["windows"].clone()
    };
    let before = zones.map(days);
    let rows = node.stored();
    let horizon = Horizon { retention_ms: Some(HOUR), ..FOR_EVER };
    node.fold_at(horizon, start + 25 * DAY);
    let left = node.stored();
    assert!(left < rows / 5, "{left} of {rows}");
    assert_eq!(zones.map(days), before);
    for days in &before {
        for day in days.as_array().unwrap() {
            check_fields(day, &json!({"devices": 5}));
            assert!(day["p99_c"].is_number(), "{day}");
        }
    }
}

#[test]
fn words_and_dates_are_of_the_zone_that_is_asked_for_and_next_that_of_the_variable() {
    let mut node = node(&[("retention", "0"), ("time_zone", "Asia/Kathmandu")]);
    // 5:45 of 26 November there.
    node.set_clock(ms("2026-11-26T00:00:00Z"));
    node.accept(&in_hall("d", ms("2026-11-25T18:15:00Z")));
    node.accept(&in_hall("e", ms("2026-11-25T18:14:59Z")));
    let spans = |query: &str| {
        let body = node.look_at(&format!("/v1/regions/hall?{query}"));
        let [from, to] = ["from", "to"].map(|edge| body[edge].as_str().unwrap_or("-").to_owned());
        (from, to, body["count"].as_i64().unwrap())
    };
    for (query, from, to, count) in [
        ("from=today", "2026-11-25T18:15:00.000Z", "-", 1),
        ("from=yesterday&to=today", "2026-11-24T18:15:00.000Z", "2026-11-25T18:15:00.000Z", 1),
        (
            "from=2026-11-26&to=2026-11-27",
            "2026-11-25T18:15:00.000Z",
            "2026-11-26T18:15:00.000Z",
            1,
        ),
        (
            "from=today&to=tomorrow&tz=UTC",
            "2026-11-26T00:00:00.000Z",
            "2026-11-27T00:00:00.000Z",
            0,
        ),
        ("from=yesterday&tz=Pacific/Apia", "2026-11-24T11:00:00.000Z", "-", 2),
        ("from=-24h&to=now", "2026-11-25T00:00:00.000Z", "2026-11-26T00:01:00.000Z", 2),
    ] {
        assert_eq!(spans(query), (from.to_owned(), to.to_owned(), count), "{query}");
    }
    let body = node.look_at("/v1/regions/hall/windows?step=1d");
    let day = json!([{"from": "2026-11-25T18:15:00.000Z", "to": "2026-11-26T18:15:00.000Z"}]);
    check_fields(&body["windows"][0], &day[0]);
    check_fields(&body, &json!({"time_zone": "Asia/Kathmandu", "step": "1d", "step_ms": null}));
    for path in ["/v1/regions", "/v1/devices/d/readings", "/v1/conflicts"] {
        assert_eq!(node.look_at(&format!("{path}?from=today"))["from"], day[0]["from"], "{path}");
    }
    let fixed = node.look_at("/v1/regions/hall/windows?step=2h");
    check_fields(&fixed, &json!({"step": "2h", "step_ms": 2 * HOUR}));
    let utc = node.look_at("/v1/regions/hall/windows?step=1w&tz=UTC");
    check_fields(&utc, &json!({"step": "1w", "step_ms": 7 * DAY, "time_zone": "UTC"}));
}

#[test]
fn a_node_with_a_misspelt_zone_is_not_ready_and_says_which_variable() {
    for (zone, status) in [("Europe/Berln", 503), ("Europe/Berlin", 200)] {
        let mut node = node(&[("time_zone", zone)]);
        let of_ingest = node.ask_ingest(&Request::get("/readyz/ingest"));
        for ready in [node.get("/readyz"), of_ingest] {
            assert_eq!(ready.status.as_u16(), status, "{zone}");
            let said = String::from_utf8(ready.body).unwrap();
            assert_eq!(said.contains("the variable time_zone has"), status == 503, "{said}");
        }
    }
}

#[test]
fn pages_go_on_in_the_same_zone_and_with_what_the_words_meant() {
    let mut node = node(&[("retention", "0"), ("time_zone", "Europe/Berlin")]);
    let first = json_reading("e", "hall", 1, "1970-01-01T00:00:00Z");
    node.accept(&json!([first, in_hall("d", ms("2026-10-25T01:30:00Z"))]));
    let mut path = "/v1/regions/hall/windows?from=1970-01-01&to=2026-10-27&step=1d".to_owned();
    let mut windows = Vec::new();
    loop {
        let body = node.look_at(&path);
        windows.extend(body["windows"].as_array().unwrap().clone());
        let Some(next) = body["next"].as_str() else { break };
        path = next_page(&path, next);
        assert!(path.contains("tz=Europe%2FBerlin"), "{path}");
    }
    // Days from 1 January 1970 to 26 October 2026.
    assert_eq!(windows.len(), 20_753);
    assert!(windows.is_sorted_by(|a, b| a["to"] == b["from"]));
    let long = json!({"from": "2026-10-24T22:00:00.000Z", "to": "2026-10-25T23:00:00.000Z"});
    check_fields(&windows[20_751], &long);
    assert_eq!((&windows[20_751]["count"], &windows[0]["count"]), (&json!(1), &json!(1)));

    node.accept(&json_reading("d", "yard", 1, ms("2026-12-31T23:30:00Z")));
    let first = node.look_at("/v1/regions?from=yesterday&to=tomorrow&limit=1");
    let next = first["next"].as_str().unwrap();
    assert!(next.contains("from=2026-12-30T23%3A00%3A00.000Z"), "{next}");
    assert!(next.contains("to=2027-01-01T23%3A00%3A00.000Z"), "{next}");
}

#[test]
fn what_is_no_zone_and_no_time_is_refused_with_what_is() {
    let node = node(&[]);
    for (query, told) in [
        ("tz=Europe/Berlim", "Europe/Berlin"),
        ("tz=Etc/GMT+5", "%2B"),
        ("tz=", "POSIX"),
        ("tz=../zones/UTC", "POSIX"),
        ("tz=README.md", "POSIX"),
        ("tz=CET-1CEST", "M3.5.0"),
        ("from=soon", "yesterday"),
        ("from=2026-02-30", "a local date like"),
        ("tz=UTC&tz=UTC", "twice"),
        ("from=today&to=today", "before"),
    ] {
        let response = node.ask(&format!("/v1/regions?{query}"));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.status, 400, "{query}: {body}");
        assert!(body["detail"].as_str().unwrap().contains(told), "{query}: {body}");
    }
    for step in ["367d", "53w", "0mo", "121mo", "11y", "1M"] {
        let response = node.ask(&format!("/v1/regions/hall/windows?step={step}"));
        assert_eq!(response.status, 400, "{step}");
    }
    assert_eq!(node.ask("/healthz?tz=x").status, 200);
    assert_eq!(node.ask("/v1/quarantine?tz=UTC").status, 400, "it takes no dates");
}

/// Every zone at many times of 1970 to 2100, and at both sides of changes of the clock.
#[test]
fn python_has_the_same_offsets() {
    let files = root().join("query/assets/zones");
    let mut lines = String::new();
    let mut zones = 0;
    for entry in std::fs::read_dir(files).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "tzif") {
            continue;
        }
        zones += 1;
        let zone = Zone::from_file("x", &std::fs::read(&path).unwrap()).unwrap();
        let mut line = |second: i64| {
            writeln!(lines, "{} {second} {}", path.display(), zone.offset_s(second)).unwrap();
        };
        for number in 0..60 {
            let random = mix(zones * 1_000 + number) >> 2;
            let second = i64::try_from(random).unwrap() % (131 * 366 * 86_400);
            line(second);
            // The half year from there has a change, in a zone that sets its clock.
            let (mut low, mut high) = (second, second + 183 * 86_400);
            if zone.offset_s(low) == zone.offset_s(high) {
                continue;
            }
            while low + 1 < high {
                let middle = low.midpoint(high);
                match zone.offset_s(middle) == zone.offset_s(low) {
                    true => low = middle,
                    false => high = middle,
                }
            }
            line(low);
            line(high);
        }
    }
    assert!(zones > 500, "{zones}");
    let said = python("tests/python/zone_offsets.py", &lines);
    let checked: u32 = said.trim().parse().unwrap();
    assert!(checked > 40_000, "{checked}");
}
