//! Corrections where pruning has stopped: an hour that is not wholly in the ledger stays as
//! it is, in every tier.

use isotherm::internals::settings::Horizon;
use serde_json::{Value, json};

use crate::corrections::{correct, correction, post};
use crate::corrections_model::figures;
use crate::corrections_of_all::in_steps;
use crate::support::assert::check_fields;
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, START, reading};
use crate::support::tables::Window;

/// A whole hour.
const FIRST: i64 = START - START % HOUR;
const END: i64 = FIRST + 3 * DAY + 9 * HOUR;

/// By the watermark, six hours after three days, the ledger begins at this minute.
fn up_to(minutes: i64) -> Horizon {
    let retention_ms = Some(3 * DAY + 6 * HOUR - (minutes + 10) * MINUTE);
    Horizon { retention_ms, max_skew_ms: 0, late_after_ms: 0 }
}

/// Two hours of two rooms in the past, the first ones of which are deleted, and what says
/// that they are. The name of the first room may be another one from a minute on.
fn pruned(first: &str, other: &str, from: i64) -> Node {
    let mut node = Node::new(&[("retention", "0")]);
    let room = |minute: i64| if minute < from { first } else { other };
    let cold = |minute: i64| {
        reading(format!("d{}", minute % 3), room(minute), minute % 50, FIRST + minute * MINUTE)
    };
    node.journal(&(0..120).map(cold).collect::<Vec<_>>());
    let dairy = |minute: i64| reading("e", "dairy", minute, FIRST + minute * MINUTE + 1);
    node.journal(&(0..120).step_by(7).map(dairy).collect::<Vec<_>>());
    let later = |hour: i64| reading("d1", room(9_999), 1, FIRST + 3 * DAY + hour * HOUR);
    node.journal(&(0..9).map(later).collect::<Vec<_>>());
    node.fold_at(up_to(37), END);
    assert_eq!(node.runs()[0].minute, FIRST + 37 * MINUTE);
    node.set_clock(END);
    node
}

/// Windows of all spans, and answers about the rooms and their devices, with other names of
/// regions.
fn told(node: &Node, names: &[(&str, &str)]) -> (Vec<Window>, Vec<Value>) {
    let name = |text: &str| {
        let found = names.iter().find(|(from, _)| *from == text);
        found.map_or(text, |(_, to)| *to).to_owned()
    };
    let mut windows: Vec<Window> = node.windows().into_iter().filter_map(figures).collect();
    for window in &mut windows {
        window.region = name(&window.region);
    }
    windows.sort();
    let mut answers = Vec::new();
    for region in windows.iter().map(|window| &window.region) {
        let own =
            names.iter().find(|(_, to)| to == region).map_or(region.as_str(), |(from, _)| from);
        let range = format!("from={FIRST}&to={}", FIRST + 3 * HOUR);
        for path in [format!("/windows?{range}&step=15m"), "/devices".to_owned()] {
            answers.push(node.look_at(&format!("/v1/regions/{own}{path}")));
        }
    }
    answers.dedup();
    for device in ["d0", "d1", "d2", "e"] {
        for path in ["", "/windows?step=1h", "/readings"] {
            let separator = if path.contains('?') { '&' } else { '?' };
            let range = format!("{separator}from={FIRST}&to={END}");
            let path = if path.is_empty() { String::new() } else { format!("{path}{range}") };
            answers.push(node.look_at(&format!("/v1/devices/{device}{path}")));
        }
    }
    answers.iter_mut().for_each(|answer| strip(answer, &name));
    (windows, answers)
}

/// Removes what tells how a figure came to be, and gives regions their other names.
fn strip(value: &mut Value, name: &impl Fn(&str) -> String) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| strip(item, name));
            // Those of a device are in the order of their ids.
            items.sort_by_key(|item| (item["region"].to_string(), item["timestamp"].to_string()));
        }
        Value::Object(fields) => {
            for field in
                ["revision", "corrected", "expected_interval_ms", "silent_after_ms", "next"]
            {
                fields.remove(field);
            }
            if let Some(Value::String(region)) = fields.get_mut("region") {
                *region = name(region);
            }
            fields.values_mut().for_each(|value| strip(value, name));
        }
        _ => {}
    }
}

#[test]
fn a_merge_begins_with_the_first_whole_hour_and_the_rest_keeps_its_figures() {
    // Merged, pruned again in the middle of an hour, and wholly.
    for then in [None, Some(up_to(52)), Some(up_to(95)), Some(up_to(3 * 1_440))] {
        let node = pruned("diary", "diary", 0);
        let plain = pruned("diary", "dairy", 60);
        let merge = json!({"region": "diary", "rename": "dairy", "reason": "a typo"});
        assert_eq!(in_steps(&node, merge).0, 69);
        if let Some(horizon) = then {
            for node in [&node, &plain] {
                node.fold_at(horizon, END);
            }
        }
        assert_eq!(node.stored(), plain.stored());
        assert_eq!(told(&node, &[("diary.old", "diary")]), told(&plain, &[]), "{then:?}");
    }
}

#[test]
fn a_device_that_is_merged_or_withdrawn_keeps_the_figures_of_an_hour_that_is_not_whole() {
    let node = pruned("cold", "cold", 0);
    let hour = format!("/v1/regions/cold/windows?from={FIRST}&to={}&step=1h", FIRST + HOUR);
    let device = format!("/v1/devices/d2/windows?from={FIRST}&to={}&step=1h", FIRST + HOUR);
    let before = (node.look_at(&hour), node.look_at(&device));
    in_steps(&node, json!({"device_id": "d2", "withdraw": true, "reason": "a test"}));
    assert_eq!((node.look_at(&hour), node.look_at(&device)), before);
    check_fields(&node.look_at("/v1/devices/d2"), &json!({"count": 20}));
    in_steps(&node, json!({"device_id": "d0", "rename": "d1", "reason": "one sensor"}));
    assert_eq!(node.look_at(&hour)["windows"], before.0["windows"]);
    check_fields(&node.look_at("/v1/devices/d0.old"), &json!({"count": 20}));
    // Those of the hours that are whole.
    check_fields(&node.look_at("/v1/devices/d1"), &json!({"count": 20 + 40 + 9}));
}

#[test]
fn a_reading_of_an_hour_that_is_not_whole_can_not_be_corrected() {
    let node = pruned("cold", "cold", 0);
    let before = told(&node, &[]);
    for minute in [3, 36, 37, 38, 59] {
        let at = FIRST + minute * MINUTE;
        let one = correction(
            &format!("d{}", minute % 3),
            at,
            json!(0.001 * (minute % 50) as f64),
            Value::Null,
        );
        let (status, problem) = post(&node, &one);
        assert_eq!(status, 422, "{minute} {problem}");
        assert_eq!(problem["type"], "urn:isotherm:problem:not-correctable");
    }
    assert_eq!(told(&node, &[]), before);
    let at = FIRST + 60 * MINUTE;
    let answer = correct(&node, &correction("d0", at, json!(0.010), Value::Null));
    assert_eq!(answer["state"], "applied");
    // When a device was seen first is not known from the rows that are left.
    let seen = |node: &Node| node.look_at("/v1/devices/d0")["first_seen"].clone();
    assert_eq!(seen(&node), seen(&pruned("cold", "cold", 0)));
    check_fields(&node.look_at("/v1/devices/d0"), &json!({"count": 39}));
}

#[test]
fn a_correction_that_was_accepted_before_its_hour_was_pruned_is_too_old() {
    let mut node = pruned("cold", "cold", 0);
    let plain = pruned("cold", "cold", 0);
    let at = FIRST + 61 * MINUTE;
    node.set_plan(Plan::sqlite_away());
    let (status, answer) = post(&node, &correction("d1", at, json!(0.011), json!(85)));
    assert_eq!((status, &answer["ack"]), (202, &json!("journaled")));
    node.set_plan(Plan::none());
    // Other components prune without folding it.
    node.set_pruned_before(FIRST + 60 * MINUTE + MINUTE);
    plain.set_pruned_before(FIRST + 60 * MINUTE + MINUTE);
    assert_eq!(told(&node, &[]), told(&plain, &[]));
    let list = node.look_at("/v1/corrections");
    check_fields(&list["corrections"][0], &json!({"id": answer["id"], "state": "too_old"}));
    assert_eq!(node.keys("correction/1/"), 0);
    for node in [&node, &plain] {
        node.fold_at(up_to(3 * 1_440), END);
    }
    assert_eq!(told(&node, &[]), told(&plain, &[]));
}
