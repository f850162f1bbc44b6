//! Nothing lost, nothing twice: many connections, resends, kills.

use std::sync::Barrier;

use isotherm_it::Service;
use serde_json::{Value, json};

use crate::support::readings::{SUM_MILLICELSIUS, shuffled, ten_thousand};
use crate::support::service::Expect as _;

#[test]
fn sixteen_connections_with_the_same_ten_thousand_readings_leave_ten_thousand() {
    let service = Service::start(&[]).unwrap();
    let readings = ten_thousand();
    let together = Barrier::new(16);
    std::thread::scope(|scope| {
        for connection in 0..16_u64 {
            let (service, readings, together) = (&service, &readings, &together);
            scope.spawn(move || {
                let mine = shuffled(readings, connection + 1);
                let size = 200 + 50 * usize::try_from(connection).unwrap();
                together.wait();
                for batch in mine.chunks(size) {
                    service.sender().deliver(batch).unwrap();
                }
            });
        }
    });
    assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
}

#[test]
fn a_query_sees_what_was_acknowledged_before_it_while_others_go_on_sending() {
    let service = Service::start(&[]).unwrap();
    let readings = ten_thousand();
    std::thread::scope(|scope| {
        for region in ["r0", "r1", "r2", "r3"] {
            let (service, readings) = (&service, &readings);
            scope.spawn(move || {
                let mine = readings.iter().filter(|reading| reading["region"] == region);
                let mine: Vec<&Value> = mine.collect();
                for (index, batch) in mine.chunks(125).enumerate() {
                    service.sender().deliver(batch).unwrap();
                    let body = service.read(&format!("/v1/regions/{region}"));
                    let (count, sent) = (body["count"].as_u64().unwrap(), 125 * (index + 1));
                    let unfolded = body["unfolded_entries"].as_u64().unwrap();
                    assert!(count == sent as u64 || unfolded > 0, "{region}: {count} of {sent}");
                }
            });
        }
    });
    assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
}

#[test]
fn waiting_and_journaling_senders_at_once_count_every_reading_once() {
    let service = Service::start(&[]).unwrap();
    let readings = ten_thousand();
    std::thread::scope(|scope| {
        for connection in 0..8_u64 {
            let (service, readings) = (&service, &readings);
            scope.spawn(move || {
                let headers: &[(&str, &str)] =
                    if connection % 2 == 0 { &[("prefer", "wait=10")] } else { &[] };
                for batch in shuffled(readings, connection + 1).chunks(500) {
                    let answer = service.send(&json!(batch), headers);
                    assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
                }
            });
        }
    });
    assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
}

#[test]
fn a_kill_in_the_middle_loses_nothing_acknowledged_and_sending_again_counts_nothing_twice() {
    let mut service = Service::start(&[]).unwrap();
    let readings = ten_thousand();
    let mut acknowledged = 0;
    for (index, batch) in readings.chunks(100).enumerate() {
        service.sender().deliver(batch).unwrap();
        acknowledged += batch.len();
        if index % 25 == 24 {
            if index == 49 {
                service.get("/v1/regions").unwrap();
            }
            service.kill();
            service.run().unwrap();
            let (count, _) = service.totals();
            assert_eq!(usize::try_from(count).unwrap(), acknowledged);
        }
    }
    for batch in shuffled(&readings, 7).chunks(999) {
        service.sender().deliver(batch).unwrap();
    }
    assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
}
