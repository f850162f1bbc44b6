//! Regions: their methods, names, pages and ranges.

use http::Method;
use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use crate::support::assert::{check_fields, check_problem};
use crate::support::readings::{MINUTE, json_reading};
use crate::support::service::Expect as _;

/// A whole minute.
const START: i64 = 1_700_000_040_000;

#[test]
fn a_wrong_method_is_refused_with_those_that_are_allowed() {
    let service = Service::start(&[]).unwrap();
    let head = service.sender().send(&Method::HEAD, "/v1/regions").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for (method, path, allow) in [
        (Method::DELETE, "/v1/readings", "GET, HEAD, POST"),
        (Method::DELETE, "/v1/regions", "GET, HEAD"),
        (Method::OPTIONS, "/v1/regions/hall", "GET, HEAD"),
        (Method::DELETE, "/healthz", "GET, HEAD"),
    ] {
        let answer = service.sender().send(&method, path).unwrap();
        check_problem(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    assert_eq!(service.read("/healthz"), json!({"status": "ok"}));
    for path in ["/v1", "/v1/region", "/v1/regions/", "/v1/regions/a/b", "/v1/readings/x"] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
}

#[test]
fn a_region_is_found_by_its_encoded_name_and_an_unknown_one_is_not() {
    let service = Service::start(&[]).unwrap();
    let name = "eu:de.be-1_a";
    service.accept(&json_reading("d", name, 1.0, now_ms()));
    for path in ["/v1/regions/eu:de.be-1_a", "/v1/regions/eu%3Ade%2Ebe-1_a"] {
        assert_eq!(service.read(path)["region"], name);
    }
    for path in ["/v1/regions/none", "/v1/regions/a%2Fb", "/v1/regions/%ff", "/v1/regions/%"] {
        check_problem(&service.get(path).unwrap(), 404, "not-found");
    }
}

/// A service with a reading of `i` °C at the end of each minute `i` of 150.
fn service_of_150_minutes() -> Service {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let one = |i: i64| json_reading("d", "hall", i as f64, START + i * MINUTE + 59_999);
    service.accept(&(0..150).map(one).collect());
    service
}

#[test]
fn a_range_holds_its_start_and_not_its_end() {
    let service = service_of_150_minutes();
    let hall = |query: &str| service.read(&format!("/v1/regions/hall?{query}"));
    for (from, to) in [(0, 150), (0, 1), (1, 2), (7, 131), (100, 150), (149, 150), (-500, 500)] {
        let body = hall(&format!("from={}&to={}", START + from * MINUTE, START + to * MINUTE));
        let (first, last): (i64, i64) = (from.max(0), to.min(150));
        let expected = json!({
            "count": last - first, "sum_millicelsius": (first..last).sum::<i64>() * 1_000,
            "min_c": first as f64, "max_c": (last - 1) as f64,
        });
        check_fields(&body, &expected);
    }
    // An edge inside a minute takes the whole minute, and the answer says so.
    let body = hall("from=2023-11-14T22:14:30Z&to=2023-11-14T22:14:31Z");
    let expected = json!({
        "count": 1, "from": "2023-11-14T22:14:00.000Z", "to": "2023-11-14T22:15:00.000Z",
    });
    check_fields(&body, &expected);
    check_fields(&hall(&format!("from={START}")), &json!({"count": 150, "to": null}));
    // The beginning of time is where many begin.
    hall("from=0");
}

#[test]
fn an_empty_range_is_empty_and_not_zero() {
    let service = service_of_150_minutes();
    let empty = service.read(&format!("/v1/regions/hall?to={START}"));
    let expected = json!({
        "count": 0, "from": null, "average_c": null, "min_c": null, "max_c": null,
        "standard_deviation_c": null, "newest": null, "sum_millicelsius": null,
    });
    check_fields(&empty, &expected);
    let list = service.read(&format!("/v1/regions?to={START}"));
    assert_eq!(list["regions"][0]["average_c"], Value::Null);
}

#[test]
fn an_invalid_range_is_refused_with_a_hint() {
    let service = service_of_150_minutes();
    let hall = |query: &str| service.get(&format!("/v1/regions/hall?{query}")).unwrap();
    for bad in [
        "from=1700000000005&to=1700000000005",
        "from=1700000000006&to=1700000000005",
        "from=x",
        "from=",
        "to=-1",
        "since=5",
        "from=1700000000&to=1700003600",
        "from=1",
        "to=99999999999",
        "from=1&from=2",
        "to=99999999999999999999",
    ] {
        check_problem(&hall(bad), 400, "bad-parameter");
    }
    assert!(hall("from=1700000000").body.contains("milliseconds"));
    let plus = hall("from=2023-11-14T22:14:30+01:00");
    check_problem(&plus, 400, "bad-parameter");
    assert!(plus.body.contains("%2B"), "{}", plus.body);
    check_problem(&hall(&"x".repeat(5_000)), 400, "bad-parameter");
}

#[test]
fn regions_come_in_pages_in_the_order_of_their_names() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let names = ["b", "a", "d", "c", "e"];
    // One device can't be in two regions at one time.
    service.accept(&names.iter().map(|name| json_reading("d", name, 1.0, now)).collect());
    service.accept(&names.iter().map(|name| json_reading(name, name, 1.0, now)).collect());

    let mut seen = Vec::new();
    for page in service.pages("/v1/regions?limit=2") {
        let regions = page["regions"].as_array().unwrap();
        assert!(regions.len() <= 2);
        seen.extend(regions.iter().map(|r| r["region"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    for bad in ["limit=0", "limit=1001", "limit=x"] {
        check_problem(&service.get(&format!("/v1/regions?{bad}")).unwrap(), 400, "bad-parameter");
    }
}
