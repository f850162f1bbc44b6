//! Local days, weeks and months of a device, in zones that are whole and parts of hours off.

use isotherm::internals::settings::Horizon;
use serde_json::{Value, json};

use super::{about_every_seven_minutes, expected, ms, send, windows};
use crate::support::assert::check_fields;
use crate::support::node::{FOR_EVER, Node};
use crate::support::readings::{DAY, HOUR, json_reading, reading};

/// A zone, a step, and the local dates from which to which, with the instants at which its
/// steps begin, and at which the last one ends.
const DAYS: [(&str, &str, [&str; 2], &[&str]); 9] = [
    (
        "Asia/Kolkata",
        "1d",
        ["2026-11-24", "2026-11-27"],
        &["2026-11-23T18:30Z", "2026-11-24T18:30Z", "2026-11-25T18:30Z", "2026-11-26T18:30Z"],
    ),
    (
        "Asia/Kolkata",
        "1w",
        ["2026-11-02", "2026-11-16"],
        &["2026-11-01T18:30Z", "2026-11-08T18:30Z", "2026-11-15T18:30Z"],
    ),
    (
        "Asia/Kolkata",
        "1mo",
        ["2026-10-01", "2026-12-01"],
        &["2026-09-30T18:30Z", "2026-10-31T18:30Z", "2026-11-30T18:30Z"],
    ),
    (
        "Asia/Kathmandu",
        "1d",
        ["2026-11-24", "2026-11-26"],
        &["2026-11-23T18:15Z", "2026-11-24T18:15Z", "2026-11-25T18:15Z"],
    ),
    (
        "America/St_Johns",
        "1d",
        ["2026-10-31", "2026-11-03"],
        &["2026-10-31T02:30Z", "2026-11-01T02:30Z", "2026-11-02T03:30Z", "2026-11-03T03:30Z"],
    ),
    (
        "Australia/Lord_Howe",
        "1d",
        ["2026-04-04", "2026-04-07"],
        &["2026-04-03T13:00Z", "2026-04-04T13:00Z", "2026-04-05T13:30Z", "2026-04-06T13:30Z"],
    ),
    (
        "Australia/Lord_Howe",
        "1d",
        ["2026-10-03", "2026-10-06"],
        &["2026-10-02T13:30Z", "2026-10-03T13:30Z", "2026-10-04T13:00Z", "2026-10-05T13:00Z"],
    ),
    (
        "Europe/Berlin",
        "1d",
        ["2026-10-24", "2026-10-27"],
        &["2026-10-23T22:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z", "2026-10-26T23:00Z"],
    ),
    (
        "Europe/Berlin",
        "1mo",
        ["2026-10-01", "2026-12-01"],
        &["2026-09-30T22:00Z", "2026-10-31T23:00Z", "2026-11-30T23:00Z"],
    ),
];

#[test]
fn local_days_weeks_and_months_of_a_device_are_exact_before_and_after_its_readings_go() {
    let mut node = Node::quiet(&[("retention", "0")]).with_files();
    let end = ms("2027-01-01T00:00:00Z");
    node.set_clock(end);
    // Those of a case begin the day before, and end the day after.
    let edges = |edges: &[&str]| -> Vec<i64> {
        edges.iter().map(|edge| ms(&edge.replace('Z', ":00Z"))).collect()
    };
    let mut cases = Vec::new();
    for (number, (zone, step, [from, to], edges_of)) in DAYS.iter().enumerate() {
        let edges = edges(edges_of);
        let (first, last) = (edges[0] - DAY, edges[edges.len() - 1] + DAY);
        let readings = about_every_seven_minutes(first, last);
        let device = format!("d{number}");
        send(&mut node, &device, &readings);
        cases.push((device, format!("from={from}&to={to}&step={step}&tz={zone}"), edges, readings));
    }
    let check = |node: &Node| {
        for (device, query, edges, readings) in &cases {
            let (found, _) = windows(node, device, query);
            let steps: Vec<Value> =
                edges.windows(2).map(|step| expected(readings, step[0], step[1])).collect();
            assert_eq!(found, steps, "{query}");
            let body = node.look_at(&format!("/v1/regions/hall/windows?{query}"));
            let begins = |windows: &[Value]| -> Vec<Value> {
                windows.iter().map(|window| window["from"].clone()).collect()
            };
            assert_eq!(begins(&found), begins(body["windows"].as_array().unwrap()), "{query}");
        }
    };
    check(&node);
    // These say that the others are past.
    let later: Vec<_> =
        (0..600).map(|hour| reading("later", "hall", 1, end - hour * HOUR)).collect();
    node.journal(&later);
    node.fold_at(Horizon { retention_ms: Some(HOUR), ..FOR_EVER }, end);
    let kept = node.look_at(&format!("/v1/devices/d0/windows?{}", cases[0].1));
    assert!(ms(kept["kept_from"].as_str().unwrap()) > ms("2026-12-02T00:00:00Z"), "{kept}");
    assert!(node.runs().iter().all(|run| run.minute > ms("2026-12-02T00:00:00Z")));
    check(&node);
}

#[test]
fn a_local_day_of_a_device_begins_where_that_of_its_region_does() {
    let mut node = Node::quiet(&[("retention", "0")]).with_files();
    node.accept_and_wait(&json!([
        json_reading("k", "hall", 30, "2026-11-24T18:15:00Z"),
        json_reading("k", "hall", -20, "2026-11-25T10:00:00Z"),
    ]));
    let query = "windows?from=2026-11-25&to=2026-11-26&step=1d&tz=Asia/Kolkata";
    for path in ["/v1/regions/hall", "/v1/devices/k"] {
        let body = node.look_at(&format!("{path}/{query}"));
        let days = body["windows"].as_array().unwrap();
        assert_eq!(days.len(), 1, "{path}: {body}");
        let day = json!({
            "from": "2026-11-24T18:30:00.000Z", "to": "2026-11-25T18:30:00.000Z",
            "count": 1, "min_c": -20.0, "max_c": -20.0,
        });
        check_fields(&days[0], &day);
    }
}
