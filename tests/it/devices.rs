//! The devices of a region, one device, and its readings.

use isotherm::domain::reading::UnixMillis;
use isotherm_it::{Service, next_page};
use serde_json::{Value, json};

use crate::contract::{check_problem, now_ms, reading};
use crate::exactly_once::settled;

fn instant(ms: i64) -> Value {
    json!(UnixMillis::new(ms).unwrap().to_string())
}

fn get(service: &Service, path: &str) -> Value {
    let answer = service.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json().unwrap()
}

/// d0 to d6 in the hall, each with five readings a minute apart, sent newest
/// first; d0 then moved to the yard.
fn service(start: i64) -> Service {
    let service = Service::start(&[]).unwrap();
    for n in (0..5).rev() {
        let batch: Vec<Value> = (0..7)
            .map(|d| {
                reading(
                    &format!("d{d}"),
                    "hall",
                    f64::from(n) + 0.25,
                    start + i64::from(n) * 60_000 + d,
                )
            })
            .collect();
        assert_eq!(service.post(&Value::from(batch).to_string()).unwrap().status, 202);
        settled(service.sender());
    }
    let moved = reading("d0", "yard", -7.5, start + 600_000);
    assert_eq!(service.post(&moved.to_string()).unwrap().status, 202);
    settled(service.sender());
    service
}

#[test]
fn the_devices_of_a_region_come_with_their_latest_reading_in_pages_by_name() {
    let start = now_ms() - 3_600_000;
    let service = service(start);
    let mut path = "/v1/regions/hall/devices?limit=3".to_owned();
    let mut names = Vec::new();
    loop {
        let page = get(&service, &path);
        assert_eq!(page["region"], "hall");
        for device in page["devices"].as_array().unwrap() {
            let d = i64::try_from(names.len()).unwrap();
            names.push(device["device_id"].as_str().unwrap().to_owned());
            assert_eq!((&device["count"], &device["average_c"]), (&json!(5), &json!(2.25)));
            assert_eq!(device["first_seen"], instant(start + d));
            assert_eq!(device["newest"], instant(start + 240_000 + d));
            assert_eq!(device["temperature_c"], 4.25, "of the newest, not of the last to come");
        }
        match page["next"].as_str() {
            Some(next) => path = next_page(&path, next),
            None => break,
        }
    }
    assert_eq!(names, ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
    check_problem(&service.get("/v1/regions/nowhere/devices").unwrap(), 404, "not-found");
    for bad in ["limit=0", "from=1", "limit=x"] {
        let answer = service.get(&format!("/v1/regions/hall/devices?{bad}")).unwrap();
        check_problem(&answer, 400, "bad-parameter");
    }
}

#[test]
fn a_device_is_told_with_its_regions_and_its_readings() {
    let start = now_ms() - 3_600_000;
    let service = service(start);
    let device = get(&service, "/v1/devices/d0");
    assert_eq!((&device["device_id"], &device["count"]), (&json!("d0"), &json!(6)));
    assert_eq!((&device["region"], &device["temperature_c"]), (&json!("yard"), &json!(-7.5)));
    assert_eq!(device["first_seen"], instant(start));
    assert_eq!(device["newest"], instant(start + 600_000));
    let regions = device["regions"].as_array().unwrap();
    let regions: Vec<_> = regions.iter().map(|r| (&r["region"], &r["count"])).collect();
    assert_eq!(regions, [(&json!("yard"), &json!(1)), (&json!("hall"), &json!(5))]);

    let mut path = "/v1/devices/d0/readings?limit=4".to_owned();
    let mut readings = Vec::new();
    loop {
        let page = get(&service, &path);
        assert_eq!((&page["device_id"], &page["kept_from"]), (&json!("d0"), &Value::Null));
        readings.extend(page["readings"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => path = next_page(&path, next),
            None => break,
        }
    }
    let mut expected: Vec<Value> = (0..5)
        .map(|n| {
            json!({"timestamp": instant(start + n * 60_000), "region": "hall",
                   "temperature_c": n as f64 + 0.25})
        })
        .collect();
    expected.push(
        json!({"timestamp": instant(start + 600_000), "region": "yard", "temperature_c": -7.5}),
    );
    assert_eq!(readings, expected);

    // Half-open, to the millisecond.
    let count = |from: i64, to: i64| {
        let body = get(&service, &format!("/v1/devices/d0/readings?from={from}&to={to}"));
        assert_eq!((&body["from"], &body["to"]), (&instant(from), &instant(to)));
        body["readings"].as_array().unwrap().len()
    };
    assert_eq!([count(start, start + 60_000), count(start + 1, start + 60_001)], [1, 1]);
    assert_eq!([count(start, start + 60_001), count(start + 1, start + 60_000)], [2, 0]);

    for path in
        ["/v1/devices/unknown", "/v1/devices/unknown/readings", "/v1/devices/a%2Fb", "/v1/devices/"]
    {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
    for bad in ["from=2&to=1", "from=0", "after=1", "limit=1001"] {
        let answer = service.get(&format!("/v1/devices/d0/readings?{bad}")).unwrap();
        check_problem(&answer, 400, "bad-parameter");
    }
}
