//! The limits of regions over HTTP, and the temperatures that are never counted.

use http::Method;
use isotherm::http::{Header, Request};
use isotherm_it::Service;
use serde_json::{Value, json};

use crate::support::assert::{check_fields, check_lines, check_problem, header};
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{MINUTE, NOW, in_hall, json_reading};

const PATH: &str = "/v1/regions/hall/limits";

fn hall(celsius: f64, minute: i64) -> Value {
    json_reading("d", "hall", celsius, NOW - minute * MINUTE)
}

/// A quiet node whose hall has a reading.
fn node() -> Node {
    let mut node = Node::quiet(&[]);
    node.accept(&json!([hall(5.0, 100)]));
    node.read("/v1/regions");
    node
}

#[test]
fn limits_are_set_read_and_taken_away() {
    let mut node = node();
    let none = json!({
        "region": "hall", "low_c": null, "high_c": null, "for": null,
        "plausible_low_c": null, "plausible_high_c": null, "changed": null, "revision": 0,
    });
    check_fields(&node.read(PATH), &none);
    let wanted = json!({
        "low_c": -25, "high_c": -18, "for": "1200s", "plausible_low_c": -60.0, "plausible_high_c": 60,
    });
    let set = json!({
        "region": "hall", "low_c": -25.0, "high_c": -18.0, "for": "20m",
        "plausible_low_c": -60.0, "plausible_high_c": 60.0, "revision": 1,
    });
    let answer = node.limit("hall", &wanted);
    check_fields(&answer, &set);
    assert!(answer["changed"].as_str().is_some_and(|at| at.starts_with("2030-03-17T17:4")));
    let csv = String::from_utf8(node.get_as(PATH, "text/csv").body).unwrap();
    assert!(csv.starts_with("region,low_c,high_c,for,plausible_low_c,"), "{csv}");
    assert!(csv.contains("\r\nhall,-25.0,-18.0,20m,-60.0,60.0,2030-"), "{csv}");
    // The same again is no change.
    let again = node.limit("hall", &wanted);
    assert_eq!((&again["revision"], &again["changed"]), (&json!(1), &answer["changed"]));
    check_fields(&node.read(PATH), &set);
    // What is not said is no limit.
    let one = node.limit("hall", &json!({"high_c": 8}));
    check_fields(&one, &json!({"low_c": null, "high_c": 8.0, "for": "0", "revision": 2}));
    let answer = node.change(Method::DELETE, PATH, "");
    assert_eq!(answer.status, 200);
    let gone = serde_json::from_slice::<Value>(&answer.body).unwrap();
    check_fields(&gone, &json!({"low_c": null, "high_c": null, "for": null, "revision": 3}));
    assert_eq!(node.status_of("/v1/regions/hall/excursions"), 404);
}

#[test]
fn bad_limits_are_refused_with_what_is_wrong_and_change_nothing() {
    let mut node = node();
    node.limit("hall", &json!({"high_c": 8}));
    for (body, detail) in [
        ("", "the body is empty"),
        ("[]", "the body must be an object with the fields low_c, high_c, for"),
        (r#"{"low":1}"#, "unknown field \\\"low\\\"; supported: low_c, high_c, for, plausible"),
        (r#"{"low_c":1,"low_c":1}"#, "field \\\"low_c\\\" is given twice"),
        (r#"{"low_c":9,"high_c":8}"#, "low_c must be below high_c"),
        (r#"{"high_c":1001}"#, "high_c must be a number from -273.15 to 1000, or null"),
        (r#"{"high_c":"8"}"#, "high_c must be a number"),
        (r#"{"high_c":8,"for":"8d"}"#, "for must be 0 or a number with ms, s, m, h or d"),
    ] {
        let answer = node.change(Method::PUT, PATH, body);
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 400, "{text}");
        assert!(text.contains("urn:isotherm:problem:invalid-body"), "{text}");
        assert!(text.contains(detail), "{text}");
    }
    let unknown = node.change(Method::PUT, "/v1/regions/attic/limits", "{}");
    assert_eq!(unknown.status, 404, "a region exists from its first reading on");
    check_fields(&node.read(PATH), &json!({"high_c": 8.0, "revision": 1}));
}

#[test]
fn a_body_is_bounded_and_its_type_is_checked_before_it_is_read() {
    use isotherm::api::router;
    use isotherm::api::routes::Route;
    let fresh = Node::new(&[]);
    let begin = |request: &Request| {
        let begun = router::begin(&Route::INSPECT, &fresh.host, request, fresh.now);
        begun.map(|admitted| admitted.body_limit).map_err(|answered| answered.response)
    };
    let put = || Request::with_method(Method::PUT, PATH);
    assert_eq!(begin(&put()), Ok(16 * 1024));
    assert_eq!(
        begin(&put().with(Header::ContentType, "application/json; charset=utf-8")),
        Ok(16_384)
    );
    // What takes no body has none read.
    for method in [Method::GET, Method::DELETE] {
        let taken = begin(&Request::with_method(method.clone(), PATH));
        assert_eq!(taken, Ok(0), "{method}");
    }
    assert_eq!(begin(&Request::with_method(Method::POST, PATH)).unwrap_err().status, 405);
    for (header_name, value, status) in [
        (Header::ContentType, "text/csv", 415),
        (Header::ContentEncoding, "gzip", 415),
        (Header::ContentLength, "16385", 413),
    ] {
        let refused = begin(&put().with(header_name, value)).unwrap_err();
        assert_eq!(refused.status.as_u16(), status, "{value}");
    }
    let mut node = node();
    let refused = node.change(Method::POST, PATH, "{}");
    assert_eq!(refused.status, 405);
    assert_eq!(header(&refused, "allow"), Some("GET, HEAD, PUT, DELETE"));
}

#[test]
fn a_component_reads_the_body_and_refuses_a_large_one() {
    let service = Service::start(&[]).unwrap();
    let sender = service.sender();
    service.post(&in_hall("d", isotherm_it::now_ms()).to_string()).unwrap();
    service.get("/v1/regions").unwrap();
    let put = |body: &str| sender.put(PATH, body.as_bytes()).unwrap();
    let answer = put(r#"{"low_c":2,"high_c":8,"for":"20m"}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let large = format!("{{\"low_c\":2{}}}", " ".repeat(20_000));
    check_problem(&put(&large), 413, "too-large");
    check_problem(&put("{\"low_c\":}"), 400, "invalid-body");
    let set = service.get(PATH).unwrap().json().unwrap();
    check_fields(&set, &json!({"low_c": 2.0, "high_c": 8.0, "for": "20m"}));
    let gone = sender.send(&Method::DELETE, PATH).unwrap();
    assert_eq!(gone.json().unwrap()["high_c"], Value::Null);
}

#[test]
fn void_values_are_rejected_to_the_thousandth_and_counted() {
    let mut node = Node::quiet(&[("void_values", " 85, -127,")]);
    let batch = json!([hall(85.0, 1), hall(85.001, 2), hall(-127.0, 3), hall(84.999, 4)]);
    let answer = node.accept(&batch);
    assert_eq!(answer["accepted"], 2);
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 2);
    for (item, index) in rejected.iter().zip([0, 2]) {
        check_fields(item, &json!({"index": index, "reason": "void_value"}));
        assert!(item["detail"].as_str().unwrap().contains("void_values"));
    }
    node.reject(&json!([hall(85.0, 5)]));
    let hall = node.read("/v1/regions/hall");
    check_fields(&hall, &json!({"count": 2, "max_c": 85.001, "min_c": 84.999}));
    let metrics = node.metrics();
    check_lines(&metrics, &["isotherm_readings_rejected_total{reason=\"void_value\"} 3"]);

    // Without the variable they count, as they always did.
    node.restart(&[]);
    node.accept(&json!([hall_again()]));
    assert_eq!(node.read("/v1/regions/hall")["max_c"], 85.001);
    for wrong in ["85;-127", "x", "1001", &vec!["1"; 21].join(",")] {
        node.restart(&[("void_values", wrong)]);
        assert_eq!(node.status_of("/readyz"), 503, "{wrong}");
    }
}

fn hall_again() -> Value {
    hall(85.0, 5)
}

#[test]
fn what_is_not_plausible_for_its_region_is_rejected_and_other_regions_are_not_asked() {
    let mut node = node();
    let old = hall(85.0, 50);
    node.accept(&json!([old]));
    node.limit("hall", &json!({"plausible_low_c": -60, "plausible_high_c": 60}));
    assert!(node.text_at("door/1").contains(" plausible=1"), "{}", node.text_at("door/1"));
    let attic = json_reading("d", "attic", 85.0, NOW - 7 * MINUTE);
    let answer = node.accept(&json!([hall(60.001, 1), hall(60.0, 2), hall(-60.5, 3), attic]));
    assert_eq!(answer["accepted"], 2);
    let details: Vec<&str> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["detail"].as_str().unwrap())
        .collect();
    assert_eq!(details.len(), 2);
    assert!(details[0].contains("not plausible for its region, which has from -60 to 60"));
    // A reading that was counted before stays, and sent again is rejected.
    node.reject(&json!([old]));
    assert_eq!(node.read("/v1/regions/hall")["max_c"], 85.0);
    let metrics = node.metrics();
    check_lines(&metrics, &["isotherm_readings_rejected_total{reason=\"implausible\"} 3"]);
    // Taken away, it counts again.
    node.change(Method::DELETE, PATH, "");
    assert!(!node.text_at("door/1").contains("plausible"), "{}", node.text_at("door/1"));
    assert_eq!(node.accept(&json!([hall(99.0, 1)]))["accepted"], 1);
}

#[test]
fn a_node_without_plausible_limits_reads_no_further_key() {
    // Single readings of a quiet node, which don't fold.
    let reads = |node: &mut Node| {
        node.set_plan(Plan::none());
        node.accept(&json!([hall(5.0, 1)]));
        node.host.plan.calls()
    };
    let mut node = node();
    let without = reads(&mut node);
    node.limit("hall", &json!({"plausible_high_c": 60}));
    assert_eq!(reads(&mut node), without + 1);
}

#[test]
fn a_new_key_value_store_learns_what_is_plausible_from_the_database() {
    let mut node = node();
    node.limit("hall", &json!({"plausible_high_c": 60}));
    node.remove("door/1");
    node.remove("plausible/1");
    node.accept(&json!([hall(5.0, 3)]));
    node.read("/v1/regions");
    node.reject(&json!([hall(61.0, 2)]));
    // An older release drops from the door what it does not know.
    let door = node.text_at("door/1").replace(" plausible=1", "");
    node.put("door/1", door.as_bytes());
    node.accept(&json!([hall(62.0, 4)]));
    node.read("/v1/regions");
    node.reject(&json!([hall(63.0, 5)]));
}
