//! A reading is acknowledged, counted and answered; or a client waits for its outcome.

use std::io::{Read, Write};
use std::net::TcpStream;

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::readings::{in_hall, instant, json_reading};
use crate::support::service::{Expect as _, WAIT};

#[test]
fn a_reading_is_acknowledged_and_then_counted() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let readings =
        json!([json_reading("d1", "hall", 21.5, now), json_reading("d2", "hall", 20.25, now - 5)]);
    let answer = service.send(&readings, &[]);
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json().unwrap(), json!({"ack": "journaled", "accepted": 2, "rejected": []}));

    let mut body = service.read("/v1/regions/hall");
    let age = body["newest_age_ms"].take().as_i64().unwrap();
    assert!((0..60_000).contains(&age), "{age}");
    let as_of = body["as_of"].take();
    assert!(as_of.as_str().unwrap() >= instant(now).as_str().unwrap());
    // No node sends to this one.
    let fields = body.as_object_mut().unwrap();
    let of_senders =
        ["senders", "silent_senders", "silent_nodes", "senders_as_of", "missing_readings"];
    let of_senders = of_senders.map(|name| fields.remove(name).unwrap());
    assert_eq!(of_senders, [json!(0), json!(0), json!(null), json!(null), json!(0)]);
    let of_region = ["behind_senders", "behind"].map(|name| fields.remove(name).unwrap());
    assert_eq!(of_region, [json!(0), json!([])]);
    // Two folds may meet: what both had adds to it (docs/api.md).
    assert!([0, 2].contains(&body["duplicates"].take().as_u64().unwrap()));
    assert_eq!(
        body,
        json!({
            "region": "hall", "count": 2, "average_c": 20.875, "min_c": 20.25, "max_c": 21.5,
            "standard_deviation_c": 0.625, "sum_millicelsius": 41_750,
            "p50_c": 20.25, "p95_c": 21.5, "p99_c": 21.5, "devices": 2, "device_average_c": 20.875,
            "late": 0, "time_assumed": 0, "duplicates": null, "conflicts": 0, "corrected": 0,
            "oldest": instant(now - 5), "newest": instant(now), "newest_age_ms": null, "revision": 1,
            "latest_average_c": 20.875, "latest_devices": 2,
            "warmest_device": "d1", "warmest_c": 21.5, "warmest_at": instant(now),
            "coldest_device": "d2", "coldest_c": 20.25, "coldest_at": instant(now - 5),
            "silent_devices": 0, "silent": [], "low_c": null, "high_c": null, "within_limits": null,
            "from": null, "to": null, "as_of": null, "stale": false, "unfolded_entries": 0,
            "unfolded_readings": 0, "quarantined_readings": 0
        })
    );
}

#[test]
fn a_client_that_prefers_to_wait_learns_the_outcome_of_every_reading() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    let readings = json!([
        json_reading("d1", "hall", 21.5, now),
        json_reading("d1", "hall", 21.5, now),
        json_reading("d1", "hall", 22.5, now),
        json_reading("bad name", "hall", 22.5, now),
        json_reading("d2", "hall", 22.5, now),
    ]);
    let first = service.send(&readings, WAIT);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.header("preference-applied"), Some("wait"));
    let body = first.json().unwrap();
    let expected = json!({
        "ack": "folded", "stored": 2, "duplicates": 1, "conflicts": 1,
        "outcomes": ["stored", "duplicate", "conflict", "rejected", "stored"],
    });
    check_fields(&body, &expected);
    check_fields(&body["rejected"][0], &json!({"index": 3, "reason": "invalid_device_id"}));

    let again = service.accept_and_wait(&json!([
        json_reading("d1", "hall", 21.5, now),
        json_reading("d1", "attic", 21.5, now),
        json_reading("d3", "hall", 0.0, now),
    ]));
    assert_eq!(again["outcomes"], json!(["duplicate", "conflict", "stored"]));

    let hall = service.read("/v1/regions/hall");
    check_fields(&hall, &json!({"count": 3, "sum_millicelsius": 44_000}));
    // The region of a contradicting reading is known, but nothing counted.
    let attic = service.read("/v1/regions/attic");
    check_fields(&attic, &json!({"count": 0, "average_c": null}));
}

#[test]
fn what_was_acknowledged_first_stands_although_a_waiting_reading_contradicts_it() {
    let service = Service::start(&[]).unwrap();
    let now = now_ms();
    service.accept(&json_reading("d1", "hall", 21.5, now));
    let waiting = service.send(&json_reading("d1", "hall", 30.0, now), &[("prefer", "wait=5")]);
    assert_eq!(waiting.json().unwrap()["outcomes"], json!(["conflict"]));
    assert_eq!(service.read("/v1/regions/hall")["average_c"], 21.5);
}

#[test]
fn head_and_body_of_an_answer_arrive_together() {
    let service = Service::start(&[]).unwrap();
    let mut socket = TcpStream::connect(service.address()).unwrap();
    for index in 0..20 {
        let body = in_hall("d", now_ms() - index).to_string();
        let length = body.len();
        let head = format!("POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-length: {length}");
        socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        // In two segments, one read would rarely see both, and a client that
        // keeps its connection would wait 40 ms for the second.
        let mut answer = [0; 4_096];
        let count = socket.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        assert!(answer.ends_with("\"rejected\":[]}"), "{answer}");
    }
}

#[test]
fn the_longest_readings_fit_into_one_request() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let name = |i: usize| format!("{i:0>64}");
    let one = |i: usize| json_reading(&name(i), &name(i % 2_000), 999.999, 1_700_000_000_000_i64);
    let batch: Value = (0..10_000).map(one).collect();
    assert_eq!(service.accept(&batch)["accepted"], 10_000);
    assert_eq!(service.settled()["regions"].as_array().unwrap().len(), 1_000);
}
