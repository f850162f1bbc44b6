//! What an operator reads: JSON, a line for each request.

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::readings::{in_hall, json_reading};
use crate::support::service::{Expect as _, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The line with this trace and this field, once it is there.
fn line(service: &Service, trace_id: &str, field: &str) -> Value {
    let (trace, field) = (format!("\"trace_id\":\"{trace_id}\""), format!("\"{field}\":"));
    service.wait_for_log(&trace).unwrap();
    service.wait_for_log(&field).unwrap();
    let log = service.log();
    let found = log.lines().find(|line| line.contains(&trace) && line.contains(&field));
    let found = found.unwrap_or_else(|| panic!("no line with {trace} and {field}:\n{log}"));
    // Spin writes the component's name before what a component writes.
    let object = found.find('{').unwrap();
    serde_json::from_str(&found[object..]).unwrap()
}

#[test]
fn a_request_has_one_line_with_its_trace_and_no_names() {
    let service = Service::start(&[]).unwrap();
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let batch =
        json!([json_reading("secret-device", "secret-region", 1.0, now_ms()), {"unit": "F"}]);
    let headers = [("traceparent", parent.as_str()), ("authorization", "Bearer secret-token")];
    let answer = service.send(&batch, &headers);
    assert_eq!(answer.status, 202, "{}", answer.body);
    let mut found = line(&service, TRACE, "duration_ms");
    let object = found.as_object_mut().unwrap();
    assert!(object.remove("duration_ms").unwrap().as_u64().is_some_and(|ms| ms < 60_000));
    assert!((now_ms() - object.remove("at").unwrap().as_i64().unwrap()).abs() < 60_000);
    assert_eq!(
        found,
        json!({
            "component": "ingest", "trace_id": TRACE, "route": "POST /v1/readings", "status": 202,
            "who": "anyone",
            "outcome": "journaled", "accepted": 1, "rejected": 1, "reason": "unknown_field",
        })
    );

    let other = TRACE.replace('4', "5");
    let parent = format!("00-{other}-00f067aa0ba902b7-00");
    let path = "/v1/regions/secret-region?unknown=secret-query";
    let headers = [("traceparent", parent.as_str())];
    let answer = service.get_with(path, &headers);
    assert_eq!(answer.status, 400, "{}", answer.body);
    let found = line(&service, &other, "duration_ms");
    check_fields(&found, &json!({"route": "GET /v1/regions/{region}", "outcome": "refused"}));
    assert_eq!(found.get("accepted"), None);

    let log = service.log();
    // By chance it also folds, and then says more.
    let requests = log.lines().filter(|line| line.contains(TRACE) && line.contains("duration_ms"));
    assert_eq!(requests.count(), 1, "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn what_is_wrong_with_the_node_is_logged_in_the_trace_of_the_request_that_found_it() {
    let service = Service::start_unchecked(&[("retention", "soon")]).unwrap();
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let answer = service.send(&in_hall("d", now_ms()), &[("traceparent", &parent)]);
    assert_eq!(answer.status, 503, "{}", answer.body);
    let found = line(&service, TRACE, "message");
    assert!(found["message"].as_str().unwrap().contains("retention"), "{found}");
    assert_eq!(line(&service, TRACE, "duration_ms")["outcome"], "failed");
}

#[test]
fn a_log_that_can_not_be_written_stops_nothing() {
    let service = Service::start_without_log().unwrap();
    service.accept(&in_hall("d", now_ms()));
    // What was rejected is noted after the answer, and after its line.
    assert_eq!(service.post("[{}]").unwrap().status, 422);
    until("what comes after the answer is done", || {
        assert_eq!(service.read("/v1/regions/hall")["count"], 1);
        let metrics = service.get("/metrics").unwrap().body;
        metrics.contains("{reason=\"missing_field\"} 1\n").then_some(())
    });
}
