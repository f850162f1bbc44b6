//! A region's figures step by step: `GET /v1/regions/{region}/windows`.

use isotherm::api::routes;
use isotherm::domain::reading::UnixMillis;
use isotherm::http::Request;
use isotherm_host::native::NativeHost;
use isotherm_it::{Service, next_page};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::{check_problem, now_ms, reading};
use crate::exactly_once::settled;
use crate::faulty::{FaultyHost, Node, Plan};

const MINUTE: i64 = 60_000;
/// A whole hour.
const START: i64 = 1_699_999_200_000;

fn get(host: &NativeHost, query: &str) -> Value {
    let request = Request::get(&format!("/v1/regions/hall/windows?{query}"));
    let now = UnixMillis::new(START + 400 * 86_400_000).unwrap();
    let answer = routes::answer(host, &request, now).response;
    let body = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 200, "{query}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn instant(ms: i64) -> Value {
    json!(UnixMillis::new(ms).unwrap().to_string())
}

#[test]
fn steps_of_any_length_at_any_minute_equal_what_is_computed_from_the_readings() {
    let directory = TempDir::new().unwrap();
    let host = NativeHost::new(directory.path(), &[("retention", "0")]).unwrap();
    let node = FaultyHost { inner: host.clone(), plan: Plan::new(0, false, false) };
    let mut node = Node { host: node, now: UnixMillis::new(START + 86_400_000).unwrap() };
    // Two days, a reading every seven minutes or so, none from 20:00 to 23:00.
    let readings: Vec<(i64, i64)> = (0..410)
        .map(|i| (START + i * 7 * MINUTE + i * 131 % 60_000, i * 7_919 % 40_000 - 5_000))
        .filter(|(at, _)| !(20..23).contains(&((at - START) / (60 * MINUTE))))
        .collect();
    let body: Value = readings
        .iter()
        .map(|(at, millicelsius)| {
            json!({"device_id": "d", "region": "hall", "temperature_c": *millicelsius as f64 / 1_000.0,
                   "timestamp": at})
        })
        .collect();
    node.now = UnixMillis::new(START + 3 * 86_400_000).unwrap();
    assert_eq!(node.post(&body, None).status, 202);

    let mut checked = 0;
    for (from, to) in [(0, 2_880), (0, 60), (17, 1_000), (60, 2_820), (1_199, 1_381), (59, 61)] {
        for step in [1, 7, 30, 60, 61, 90, 120, 1_440, 5_000] {
            let query =
                format!("from={}&to={}&step={step}m", START + from * MINUTE, START + to * MINUTE);
            let body = get(&host, &query);
            let windows = body["windows"].as_array().unwrap();
            let mut start = from;
            for window in windows {
                let end = (start + step).min(to);
                let (first, after) = (START + start * MINUTE, START + end * MINUTE);
                assert_eq!((&window["from"], &window["to"]), (&instant(first), &instant(after)));
                let inside = readings.iter().filter(|(at, _)| (first..after).contains(at));
                let millicelsius: Vec<i64> =
                    inside.map(|(_, millicelsius)| *millicelsius).collect();
                let expected = match millicelsius.len() {
                    0 => (json!(0), Value::Null, Value::Null, Value::Null),
                    n => {
                        let celsius = |millicelsius: &i64| json!(*millicelsius as f64 / 1_000.0);
                        let sum: i64 = millicelsius.iter().sum();
                        let (min, max) = (millicelsius.iter().min(), millicelsius.iter().max());
                        (json!(n), json!(sum), celsius(min.unwrap()), celsius(max.unwrap()))
                    }
                };
                let actual = ["count", "sum_millicelsius", "min_c", "max_c"].map(|f| &window[f]);
                let expected = [&expected.0, &expected.1, &expected.2, &expected.3];
                assert_eq!(actual, expected, "{query} at {start}");
                checked += 1;
                start = end;
            }
            assert_eq!(start, to, "{query}: the steps cover the range");
        }
    }
    assert!(checked > 8_000, "{checked}");
}

#[test]
fn an_empty_step_is_empty_and_not_zero_and_the_defaults_are_told() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    assert_eq!(service.post(&reading("d", "hall", 21.5, now).to_string()).unwrap().status, 202);
    let body = service.get("/v1/regions/hall/windows").unwrap().json().unwrap();
    let windows = body["windows"].as_array().unwrap();
    assert_eq!((&body["region"], &body["step_ms"]), (&json!("hall"), &json!(3_600_000)));
    // 24 hours that end at the end of this minute.
    assert!((24..=25).contains(&windows.len()), "{}", windows.len());
    assert_eq!((&body["from"], &body["to"]), (&windows[0]["from"], &windows.last().unwrap()["to"]));
    assert_eq!((&body["stale"], &body["unfolded_entries"]), (&json!(false), &json!(0)));
    for window in &windows[..windows.len() - 2] {
        assert_eq!(window["count"], 0);
        for field in
            ["average_c", "min_c", "max_c", "standard_deviation_c", "sum_millicelsius", "revision"]
        {
            assert_eq!(window[field], Value::Null, "{field}");
        }
    }
    let counts: i64 = windows.iter().map(|window| window["count"].as_i64().unwrap()).sum();
    assert_eq!(counts, 1);
}

#[test]
fn a_long_series_comes_in_pages() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let at = |minute: i64| START + minute * MINUTE;
    let batch: Value = [0, 9_999, 10_000, 24_999]
        .into_iter()
        .map(|minute| reading("d", "hall", 1.0, at(minute)))
        .collect();
    assert_eq!(service.post(&batch.to_string()).unwrap().status, 202);
    settled(service.sender());
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
    assert_eq!(found, [0, 9_999, 10_000, 24_999].map(|minute| instant(at(minute))));
}

#[test]
fn what_makes_no_series_is_refused() {
    let service = Service::start(&[]).unwrap();
    let hall = reading("d", "hall", 1.0, now_ms()).to_string();
    assert_eq!(service.post(&hall).unwrap().status, 202);
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
    let centuries = service.get("/v1/regions/hall/windows?from=0&to=9999-12-31T00:00:00Z&step=1m");
    let body = centuries.unwrap().json().unwrap();
    assert_eq!(body["windows"].as_array().unwrap().len(), 10_000);
    for path in ["/v1/regions/none/windows", "/v1/regions//windows", "/v1/regions/hall/windows/x"] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
    let post = service.sender().send(&http::Method::DELETE, "/v1/regions/hall/windows").unwrap();
    check_problem(&post, 405, "method-not-allowed");
}
