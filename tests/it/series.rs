//! A region's figures step by step: `GET /v1/regions/{region}/windows`.

use isotherm_it::{Service, next_page, now_ms};
use serde_json::{Value, json};

use crate::support::assert::{check_fields, check_problem};
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, celsius, in_hall, instant, json_reading};
use crate::support::service::Expect as _;

/// A whole hour.
const START: i64 = 1_699_999_200_000;

/// When it was measured, in Unix milliseconds, and millidegrees.
type Measured = (i64, i64);

/// Two days, a reading every seven minutes or so, none from 20:00 to 23:00.
fn two_days() -> Vec<Measured> {
    (0..410)
        .map(|i| (START + i * 7 * MINUTE + i * 131 % MINUTE, i * 7_919 % 40_000 - 5_000))
        .filter(|(at, _)| !(20..23).contains(&((at - START) / HOUR)))
        .collect()
}

/// What a step has to say of these readings, from its start to its end.
fn expected(readings: &[Measured], from: i64, to: i64) -> Value {
    let inside = readings.iter().filter(|(at, _)| (from..to).contains(at));
    let millis: Vec<i64> = inside.map(|(_, millicelsius)| *millicelsius).collect();
    let sum = (!millis.is_empty()).then(|| millis.iter().sum::<i64>());
    json!({
        "from": instant(from), "to": instant(to), "count": millis.len(), "sum_millicelsius": sum,
        "min_c": millis.iter().min().map(|min| celsius(*min)),
        "max_c": millis.iter().max().map(|max| celsius(*max)),
    })
}

#[test]
fn steps_of_any_length_at_any_minute_equal_what_is_computed_from_the_readings() {
    let mut node = Node::new(&[("retention", "0")]).with_clock_at(START + 3 * DAY);
    let readings = two_days();
    let json =
        |(at, millicelsius): &Measured| json_reading("d", "hall", celsius(*millicelsius), *at);
    node.accept(&readings.iter().map(json).collect());
    node.set_clock(START + 400 * DAY);
    let mut checked = 0;
    for (from, to) in [(0, 2_880), (0, 60), (17, 1_000), (60, 2_820), (1_199, 1_381), (59, 61)] {
        for step in [1, 7, 30, 60, 61, 90, 120, 1_440, 5_000] {
            let query =
                format!("from={}&to={}&step={step}m", START + from * MINUTE, START + to * MINUTE);
            let body = node.look_at(&format!("/v1/regions/hall/windows?{query}"));
            let mut start = from;
            for window in body["windows"].as_array().unwrap() {
                let end = (start + step).min(to);
                let (first, after) = (START + start * MINUTE, START + end * MINUTE);
                check_fields(window, &expected(&readings, first, after));
                checked += 1;
                start = end;
            }
            assert_eq!(start, to, "{query}: the steps cover the range");
        }
    }
    assert!(checked > 8_000, "{checked}");
}

#[test]
fn an_empty_step_is_empty_and_not_zero_and_the_answer_names_its_defaults() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    service.accept(&json_reading("d", "hall", 21.5, now));
    let body = service.read("/v1/regions/hall/windows");
    let windows = body["windows"].as_array().unwrap();
    let defaults =
        json!({"region": "hall", "step_ms": HOUR, "stale": false, "unfolded_entries": 0});
    check_fields(&body, &defaults);
    // 24 hours that end at the end of this minute.
    assert!((24..=25).contains(&windows.len()), "{}", windows.len());
    assert_eq!((&body["from"], &body["to"]), (&windows[0]["from"], &windows.last().unwrap()["to"]));
    let empty = json!({
        "count": 0, "average_c": null, "min_c": null, "max_c": null,
        "standard_deviation_c": null, "sum_millicelsius": null, "revision": null,
    });
    for window in &windows[..windows.len() - 2] {
        check_fields(window, &empty);
    }
    let counts: i64 = windows.iter().map(|window| window["count"].as_i64().unwrap()).sum();
    assert_eq!(counts, 1);
}

#[test]
fn a_long_series_comes_in_pages() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let at = |minute: i64| START + minute * MINUTE;
    let minutes = [0, 9_999, 10_000, 24_999];
    service.accept(&minutes.iter().map(|minute| in_hall("d", at(*minute))).collect());
    service.settled();
    let mut path = format!("/v1/regions/hall/windows?from={}&to={}&step=1m", at(0), at(25_000));
    let (mut sizes, mut found) = (Vec::new(), Vec::new());
    loop {
        let answer = service.get(&path).unwrap();
        let body = answer.json().unwrap();
        let windows = body["windows"].as_array().unwrap();
        sizes.push(windows.len());
        found.extend(windows.iter().filter(|w| w["count"] == 1).map(|w| w["from"].clone()));
        let Some(next) = body["next"].as_str() else {
            assert_eq!(answer.header("link"), None);
            break;
        };
        assert_eq!(answer.header("link"), Some(format!("<{next}>; rel=\"next\"").as_str()));
        path = next_page(&path, next);
    }
    assert_eq!(sizes, [10_000, 10_000, 5_000]);
    assert_eq!(found, minutes.map(|minute| instant(at(minute))));
}

#[test]
fn an_invalid_series_is_refused() {
    let service = Service::start(&[]).unwrap();
    service.accept(&in_hall("d", now_ms()));
    for bad in [
        "step=0",
        "step=30s",
        "step=90s",
        "step=60",
        "step=367d",
        "step=x",
        "step=-1m",
        "step=99999999999999999999d",
        "from=2&to=1",
        "from=x",
        "limit=5",
        "step=1m&step=1m",
        "from=1700000000000&to=1700000000000",
    ] {
        let answer = service.get(&format!("/v1/regions/hall/windows?{bad}")).unwrap();
        check_problem(&answer, 400, "bad-parameter");
    }
    // Centuries are many pages, and not an error.
    let body = service.read("/v1/regions/hall/windows?from=0&to=9999-12-31T00:00:00Z&step=1m");
    assert_eq!(body["windows"].as_array().unwrap().len(), 10_000);
    for path in ["/v1/regions/none/windows", "/v1/regions//windows", "/v1/regions/hall/windows/x"] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
    let post = service.sender().send(&http::Method::DELETE, "/v1/regions/hall/windows").unwrap();
    check_problem(&post, 405, "method-not-allowed");
}
