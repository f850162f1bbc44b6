//! Nothing lost, nothing twice: many connections, resends, kills.

use std::sync::Barrier;
use std::time::Duration;

use isotherm_it::Service;
use isotherm_load::sender::Sender;
use serde_json::{Value, json};

use crate::contract::now_ms;

/// The sum of the temperatures of `ten_thousand`, in thousandths of a degree:
/// 25 times 0, 125, 250 … 49,875.
pub(crate) const SUM_MILLI: i64 = 25 * 125 * (399 * 400 / 2);

/// Ten thousand readings of a hundred devices in four regions.
pub(crate) fn ten_thousand() -> Vec<Value> {
    let start = now_ms() - 3_600_000;
    let one = |i: i64| {
        json!({
            "device_id": format!("d{}", i % 100),
            "region": format!("r{}", i % 4),
            "temperature_c": (i % 400) as f64 / 8.0,
            "timestamp": start + i / 100 * 1_000,
        })
    };
    (0..10_000).map(one).collect()
}

/// Asks again and again, for a minute at most, until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("in a minute it did not come to this: {what}");
}

/// What `/v1/regions` says once it is fresh and counts every acknowledged entry:
/// on a busy machine a fold may outlast the budget of the first query.
pub(crate) fn settled(sender: &Sender) -> Value {
    until("the journal is empty", || {
        let answer = sender.get("/v1/regions").unwrap();
        let body = answer.json().unwrap();
        (body["unfolded_entries"] == 0 && body["stale"] == false).then_some(body)
    })
}

/// The sum of the counts and of the sums of all regions.
pub(crate) fn totals(sender: &Sender) -> (i64, i64) {
    let body = settled(sender);
    let regions = body["regions"].as_array().unwrap().clone();
    let add = |field: &str| regions.iter().map(|region| region[field].as_i64().unwrap()).sum();
    (add("count"), add("sum_millicelsius"))
}

/// The same readings in an order of its own for every seed.
pub(crate) fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for last in (1..items.len()).rev() {
        // xorshift64* (Vigna, 2016)
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let random = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        items.swap(last, random as usize % (last + 1));
    }
    items
}

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
    assert_eq!(totals(service.sender()), (10_000, SUM_MILLI));
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
                    let path = format!("/v1/regions/{region}");
                    let body = service.get(&path).unwrap().json().unwrap();
                    let (count, sent) = (body["count"].as_u64().unwrap(), 125 * (index + 1));
                    let unfolded = body["unfolded_entries"].as_u64().unwrap();
                    assert!(count == sent as u64 || unfolded > 0, "{region}: {count} of {sent}");
                }
            });
        }
    });
    assert_eq!(totals(service.sender()), (10_000, SUM_MILLI));
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
                    let body = Value::from(batch.to_vec()).to_string();
                    let answer = service.sender().post(body.as_bytes(), headers).unwrap();
                    assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
                }
            });
        }
    });
    assert_eq!(totals(service.sender()), (10_000, SUM_MILLI));
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
            let (count, _) = totals(service.sender());
            assert_eq!(usize::try_from(count).unwrap(), acknowledged);
        }
    }
    for batch in shuffled(&readings, 7).chunks(999) {
        service.sender().deliver(batch).unwrap();
    }
    assert_eq!(totals(service.sender()), (10_000, SUM_MILLI));
}
