//! The devices of a region, one device, and its readings.

use isotherm_it::{Service, now_ms};
use serde_json::json;

use crate::support::assert::{check_fields, check_problem};
use crate::support::readings::{HOUR, MINUTE, instant, json_reading};
use crate::support::service::Expect as _;

/// d0 to d6 in the hall, each with five readings a minute apart, sent newest
/// first; d0 then moved to the yard.
fn service(start: i64) -> Service {
    let service = Service::start(&[]).unwrap();
    for n in (0..5).rev() {
        let one = |d: i64| {
            json_reading(&format!("d{d}"), "hall", n as f64 + 0.25, start + n * MINUTE + d)
        };
        service.accept(&(0..7).map(one).collect());
        service.settled();
    }
    service.accept(&json_reading("d0", "yard", -7.5, start + 10 * MINUTE));
    service.settled();
    service
}

#[test]
fn the_devices_of_a_region_come_with_their_latest_reading_in_pages_by_name() {
    let start = now_ms() - HOUR;
    let service = service(start);
    let mut names = Vec::new();
    for page in service.pages("/v1/regions/hall/devices?limit=3") {
        assert_eq!(page["region"], "hall");
        for device in page["devices"].as_array().unwrap() {
            let d = i64::try_from(names.len()).unwrap();
            names.push(device["device_id"].as_str().unwrap().to_owned());
            // The temperature is that of the newest, not of the last to come.
            let expected = json!({
                "count": 5, "average_c": 2.25, "first_seen": instant(start + d),
                "newest": instant(start + 4 * MINUTE + d), "temperature_c": 4.25,
            });
            check_fields(device, &expected);
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
fn a_device_is_answered_with_its_regions() {
    let start = now_ms() - HOUR;
    let service = service(start);
    let device = service.read("/v1/devices/d0");
    let expected = json!({
        "device_id": "d0", "count": 6, "region": "yard", "temperature_c": -7.5,
        "first_seen": instant(start), "newest": instant(start + 10 * MINUTE),
    });
    check_fields(&device, &expected);
    let regions = device["regions"].as_array().unwrap();
    let regions: Vec<_> = regions.iter().map(|r| (&r["region"], &r["count"])).collect();
    assert_eq!(regions, [(&json!("yard"), &json!(1)), (&json!("hall"), &json!(5))]);
    for path in ["/v1/devices/unknown", "/v1/devices/a%2Fb", "/v1/devices/"] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
}

#[test]
fn the_readings_of_a_device_come_in_pages_and_by_half_open_ranges() {
    let start = now_ms() - HOUR;
    let service = service(start);
    let mut readings = Vec::new();
    for page in service.pages("/v1/devices/d0/readings?limit=4") {
        check_fields(&page, &json!({"device_id": "d0", "kept_from": null}));
        readings.extend(page["readings"].as_array().unwrap().clone());
    }
    let one = |ms: i64, region: &str, celsius: f64| json!({"timestamp": instant(ms), "region": region, "temperature_c": celsius});
    let in_hall = (0..5).map(|n| one(start + n * MINUTE, "hall", n as f64 + 0.25));
    let moved = one(start + 10 * MINUTE, "yard", -7.5);
    assert_eq!(readings, in_hall.chain([moved]).collect::<Vec<_>>());

    // Half-open, to the millisecond.
    let count = |from: i64, to: i64| {
        let body = service.read(&format!("/v1/devices/d0/readings?from={from}&to={to}"));
        check_fields(&body, &json!({"from": instant(from), "to": instant(to)}));
        body["readings"].as_array().unwrap().len()
    };
    assert_eq!([count(start, start + MINUTE), count(start + 1, start + MINUTE + 1)], [1, 1]);
    assert_eq!([count(start, start + MINUTE + 1), count(start + 1, start + MINUTE)], [2, 0]);

    check_problem(&service.get("/v1/devices/unknown/readings").unwrap(), 404, "not-found");
    for bad in ["from=2&to=1", "from=0", "after=1", "limit=1001"] {
        let answer = service.get(&format!("/v1/devices/d0/readings?{bad}")).unwrap();
        check_problem(&answer, 400, "bad-parameter");
    }
}
