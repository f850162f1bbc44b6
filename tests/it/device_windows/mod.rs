//! A device's figures step by step, `GET /v1/devices/{device_id}/windows`, against plain
//! arithmetic over its readings: steps of any minutes, local days, and what is left of both
//! when the readings are deleted.

mod local_days;

use std::collections::BTreeSet;

use isotherm::internals::settings::Horizon;
use isotherm::limits;
use isotherm_it::next_page;
use isotherm_stores::random::mix;
use serde_json::{Value, json};

use crate::corrections::{correct, correction};
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{
    DAY, HOUR, MINUTE, NOW, celsius, instant, json_reading, reading, shuffled,
};

/// When it was measured, in Unix milliseconds, and millidegrees.
type Measured = (i64, i64);

/// The Unix milliseconds of an instant.
fn ms(text: &str) -> i64 {
    isotherm::UnixMillis::parse_rfc3339(text).unwrap().get()
}

/// What a step has to say of these readings, from its start to its end.
fn expected(readings: &[Measured], from: i64, to: i64) -> Value {
    let inside = readings.iter().filter(|(at, _)| (from..to).contains(at));
    let millis: Vec<i64> = inside.map(|(_, millicelsius)| *millicelsius).collect();
    let sum = millis.iter().sum::<i64>() as f64;
    let average = (!millis.is_empty()).then(|| sum / (millis.len() as f64 * 1_000.0));
    json!({
        "from": instant(from), "to": instant(to), "count": millis.len(), "average_c": average,
        "min_c": millis.iter().min().map(|min| celsius(*min)),
        "max_c": millis.iter().max().map(|max| celsius(*max)),
    })
}

/// The windows of a device on all pages, and how many pages these are.
fn windows(node: &Node, device: &str, query: &str) -> (Vec<Value>, usize) {
    let mut path = format!("/v1/devices/{device}/windows?{query}");
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let body = node.look_at(&path);
        let page = body["windows"].as_array().unwrap();
        assert!((1..=limits::WINDOWS_PER_PAGE_MAX).contains(&page.len()), "{path}");
        all.extend(page.clone());
        pages += 1;
        match body["next"].as_str() {
            Some(next) => path = next_page(&path, next),
            None => return (all, pages),
        }
    }
}

/// A reading about every seven minutes, at no whole minute, the temperatures in no order.
fn about_every_seven_minutes(from: i64, to: i64) -> Vec<Measured> {
    let one = |number: i64| {
        let random = i64::try_from(mix(number.unsigned_abs()) % 40_000).unwrap();
        (from + number * 7 * MINUTE + random % (5 * MINUTE), random - 5_000)
    };
    (0..(to - from) / (7 * MINUTE)).map(one).collect()
}

/// Sends them, by turns in two regions, among those of other devices.
fn send(node: &mut Node, device: &str, readings: &[Measured]) {
    let place = |number: usize| ["hall", "yard"][number % 2];
    let own = readings.iter().enumerate().flat_map(|(number, (at, millicelsius))| {
        let other = format!("other{}", number % 3);
        [
            json_reading(device, place(number), celsius(*millicelsius), *at),
            json_reading(&other, place(number), 99, *at),
        ]
    });
    let all: Vec<Value> = own.collect();
    for batch in all.chunks(limits::READINGS_PER_REQUEST_MAX) {
        node.accept(&batch.into());
        assert_eq!(node.fold(), 0);
    }
}

#[test]
fn steps_of_any_length_at_any_minute_equal_what_is_computed_from_the_readings_that_stand() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let start = NOW - NOW % DAY - 3 * DAY;
    let mut readings = about_every_seven_minutes(start, start + 2 * DAY);
    readings.retain(|(at, _)| !(20..23).contains(&((at - start) / HOUR)));
    send(&mut node, "d", &shuffled(&readings, 5));
    // One in thirty is withdrawn, one is replaced, and one moved to another region.
    let changed: Vec<usize> = (0..readings.len()).step_by(10).collect();
    for (number, index) in changed.iter().enumerate() {
        let (at, millicelsius) = readings[*index];
        let (expects, becomes) = (json!(celsius(millicelsius)), json!(celsius(70_000)));
        let body = match number % 3 {
            0 => correction("d", at, expects, Value::Null),
            1 => correction("d", at, expects, becomes),
            _ => {
                let mut moved = correction("d", at, expects.clone(), expects);
                moved["region"] = json!("cellar");
                moved
            }
        };
        assert_eq!(correct(&node, &body)["state"], "applied");
    }
    for (number, index) in changed.iter().enumerate().rev() {
        match number % 3 {
            0 => drop(readings.remove(*index)),
            1 => readings[*index].1 = 70_000,
            _ => {}
        }
    }
    let mut checked = 0;
    for (from, to) in [(0, 2_880), (0, 60), (17, 1_000), (60, 2_820), (1_199, 1_381), (59, 61)] {
        for step in [1, 5, 7, 15, 30, 60, 61, 90, 120, 1_440, 5_000] {
            let (first, after) = (start + from * MINUTE, start + to * MINUTE);
            let query = format!("from={first}&to={after}&step={step}m");
            let (found, _) = windows(&node, "d", &query);
            let mut begin = first;
            for window in &found {
                let end = (begin + step * MINUTE).min(after);
                assert_eq!(*window, expected(&readings, begin, end), "{query}");
                checked += 1;
                begin = end;
            }
            assert_eq!(begin, after, "{query}: the steps cover the range");
        }
    }
    assert!(checked > 8_000, "{checked}");
    // The ends of the range are widened to whole minutes, as those of regions are.
    let body = node.look_at(&format!("/v1/devices/d/windows?from={}&to={}", NOW - 1, NOW));
    let minute = NOW - NOW % MINUTE;
    check_fields(&body, &json!({"from": instant(minute), "to": instant(minute + MINUTE)}));
}

/// A node with a device's readings of two days, of which those before `kept_from` are deleted.
fn pruned(kept_from: i64, start: i64, readings: &[Measured]) -> Node {
    const LATER: usize = 90;
    let mut node = Node::quiet(&[("retention", "0")]);
    send(&mut node, "d", readings);
    let at = |hour: usize| start + 3 * DAY + i64::try_from(hour).unwrap() * HOUR;
    let later: Vec<_> = (0..LATER).map(|hour| reading("later", "hall", 1, at(hour))).collect();
    node.journal(&later);
    // The retention begins where a tenth of the hours with readings is newer.
    let hours: BTreeSet<i64> = readings.iter().map(|(at, _)| at / HOUR).collect();
    let newer = (hours.len() + LATER).div_ceil(limits::HOURS_PER_WITNESS);
    let retention_ms = Some(at(LATER - 1 - newer) - kept_from - limits::PRUNE_SLACK_MS);
    node.fold_at(Horizon { retention_ms, max_skew_ms: 0, late_after_ms: 0 }, start + 8 * DAY);
    node
}

#[test]
fn of_deleted_readings_quarter_hours_stay_and_what_is_not_known_is_null() {
    let start = NOW - NOW % DAY - 10 * DAY;
    let mut readings = about_every_seven_minutes(start, start + 2 * DAY);
    readings.retain(|(at, _)| !(20..23).contains(&((at - start) / HOUR)));
    // In the middle of a quarter of an hour.
    let kept_from = start + 30 * HOUR + 37 * MINUTE;
    let node = pruned(kept_from, start, &readings);
    let body = node.look_at(&format!("/v1/devices/d/windows?from={start}&to={}", start + DAY));
    assert_eq!(body["kept_from"], instant(kept_from));
    let mut unknown = 0;
    for step in [1, 5, 15, 20, 30, 45, 60, 75, 90, 1_440] {
        for shift in [0, 15, 30, 7] {
            let (from, to) = (start + shift * MINUTE, start + 2 * DAY);
            let query = format!("from={from}&to={to}&step={step}m");
            for window in windows(&node, "d", &query).0 {
                let [begin, end] = ["from", "to"].map(|edge| ms(window[edge].as_str().unwrap()));
                let plain = expected(&readings, begin, end);
                // An edge within a quarter of an hour that has lost a reading.
                let is_cut = |edge: i64| {
                    let quarter = edge - edge % (15 * MINUTE);
                    let lost = quarter..(quarter + 15 * MINUTE).min(kept_from);
                    edge != quarter && readings.iter().any(|(at, _)| lost.contains(at))
                };
                if is_cut(begin) || is_cut(end) {
                    let none = json!({
                        "count": null, "average_c": null, "min_c": null, "max_c": null,
                    });
                    check_fields(&window, &none);
                    unknown += 1;
                } else {
                    assert_eq!(window, plain, "{query}");
                }
            }
        }
    }
    assert!(unknown > 1_000, "{unknown}");
    let csv = node.ask(&format!("/v1/devices/d/windows?from={start}&to={}&step=1m", start + HOUR));
    assert_eq!(csv.status, 200);
}

#[test]
fn what_an_older_release_deleted_is_in_whole_hours_alone() {
    let start = NOW - NOW % DAY - 10 * DAY;
    let readings = about_every_seven_minutes(start, start + 2 * DAY);
    let node = pruned(start + 30 * HOUR + 37 * MINUTE, start, &readings);
    // It did not keep quarter hours. Those of one hour are still there.
    let gone = (start + 30 * HOUR) / MINUTE;
    node.execute(&format!("DELETE FROM device_windows WHERE span = 15 AND start < {gone}"));
    for (step, shift, is_known) in [(30, 0, false), (60, 0, true), (60, 30, false)] {
        let from = start + shift * MINUTE;
        let query = format!("from={from}&to={}&step={step}m", start + 30 * HOUR);
        for window in windows(&node, "d", &query).0 {
            let [begin, end] = ["from", "to"].map(|edge| ms(window[edge].as_str().unwrap()));
            match is_known {
                true => assert_eq!(window, expected(&readings, begin, end)),
                false => check_fields(&window, &json!({"count": null, "max_c": null})),
            }
        }
    }
    let (from, to) = (start + 30 * HOUR, start + 31 * HOUR);
    for window in windows(&node, "d", &format!("from={from}&to={to}&step=15m")).0 {
        let [begin, end] = ["from", "to"].map(|edge| ms(window[edge].as_str().unwrap()));
        // The quarter that pruning stopped in is in both, the readings and what is left of them.
        assert_eq!(window, expected(&readings, begin, end));
    }
}

#[test]
fn a_page_ends_before_it_takes_too_many_readings_and_the_next_one_goes_on() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let start = NOW - NOW % DAY - 3 * DAY;
    // Five a second for 20 hours, but for one in the middle.
    let one = |number: i64| (start + number * 200, number % 40_000);
    let readings: Vec<Measured> =
        (0..20 * 18_000).map(one).filter(|(at, _)| (at - start) / HOUR != 7).collect();
    let json =
        |(at, millicelsius): &Measured| json_reading("d", "hall", celsius(*millicelsius), *at);
    for batch in readings.chunks(limits::READINGS_PER_REQUEST_MAX) {
        node.accept(&batch.iter().map(json).collect());
    }
    assert_eq!(node.fold(), 0);
    // Steps that cut hours need single readings: of each hour, or of those they begin in.
    for (from, step, pages_min) in [(0, 30, 2), (0, 60, 1), (10, 60, 2), (25, 300, 1)] {
        let (first, last) = (start + from * MINUTE, start + DAY);
        let (found, pages) = windows(&node, "d", &format!("from={first}&to={last}&step={step}m"));
        let all = |(begin, window): (i64, &Value)| {
            let end = (begin + step * MINUTE).min(last);
            assert_eq!(*window, expected(&readings, begin, end));
            end
        };
        let end = found.iter().fold(first, |begin, window| all((begin, window)));
        assert_eq!(end, last);
        assert_eq!(pages, pages_min, "pages of {step}m");
    }
}
