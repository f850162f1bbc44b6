//! After their readings are deleted, excursions are those that were there before, to the
//! minute: random histories of several sensors that send equally often.

use serde_json::{Value, json};

use super::histories::Chance;
use super::stories::prune_before;
use super::{START, histories::json_of, independent::Raw};
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, instant};

/// What minutes tell of an excursion: side, begin, end, extreme.
type Outline = (String, i64, Option<i64>, Value);

fn outline(excursion: &Value) -> Outline {
    let minute = |at: &Value| {
        let at = at.as_str().map(|text| isotherm::UnixMillis::parse_rfc3339(text).unwrap().get());
        at.map(|ms| ms / MINUTE)
    };
    let kind = excursion["kind"].as_str().unwrap().to_owned();
    let begin = minute(&excursion["begin"]).unwrap();
    (kind, begin, minute(&excursion["end"]), excursion["extreme_c"].clone())
}

fn excursions(node: &mut Node) -> Vec<Value> {
    let (from, to) = (START - HOUR, START + 2 * DAY);
    let answer = node.read(&format!("/v1/regions/cold/excursions?from={from}&to={to}"));
    answer["excursions"].as_array().unwrap().clone()
}

/// Several sensors that send every `interval`, each at its own time of it. By turns they are
/// inside together, and some of them outside, on one side, for a while of their own; then
/// readings are missing, never two in a row.
fn history(chance: &mut Chance, interval: i64) -> Vec<Raw> {
    let devices = 2 + chance.below(4);
    let mut all = Vec::new();
    let steps = 12 * HOUR / interval;
    let mut values = vec![vec![Some(-20_000); usize::try_from(steps).unwrap()]; 5];
    let mut step = 5 + chance.below(10);
    while step + 40 < steps {
        let length = 4 + chance.below(20);
        let outside = 1 + chance.below(u64::try_from(devices).unwrap());
        let (side, first) = (if chance.one_in(3) { -1 } else { 1 }, chance.below(5));
        for number in 0..outside {
            let own = &mut values[usize::try_from((first + number) % devices).unwrap()];
            // All are outside in the middle.
            let (begin, end) = (chance.below(2), length - chance.below(2));
            let mut was_missing = true;
            for at in step + begin..step + end {
                let is_missing = !was_missing && at + 1 < step + end && chance.one_in(4);
                let depth = 1_000 + chance.below(9) * 100;
                let value = if side > 0 { -18_000 + depth } else { -25_000 - depth };
                own[usize::try_from(at).unwrap()] = (!is_missing).then_some(value);
                was_missing = is_missing;
            }
        }
        // Longer than a gap.
        step += length + 6 + chance.below(12);
    }
    for (number, values) in (0..devices).zip(values) {
        let offset = chance.below(u64::try_from(interval).unwrap());
        for (step, value) in (0..).zip(values) {
            let at = START + step * interval + offset;
            let one = |milli| (format!("d{number}"), "cold".to_owned(), at, milli);
            all.extend(value.map(one));
        }
    }
    all
}

#[test]
fn what_was_found_in_readings_is_found_in_minutes_when_they_are_deleted() {
    let (mut found, mut cut) = (0, 0);
    for seed in 100..124 {
        let mut chance = Chance(seed);
        let interval = [MINUTE, 2 * MINUTE, 5 * MINUTE][usize::try_from(seed % 3).unwrap()];
        let raw = history(&mut chance, interval);
        let mut node = Node::quiet(&[("retention", "0")]).with_files();
        // In their order, so that what is usual is learned.
        let mut sorted = raw.clone();
        sorted.sort_by_key(|(_, _, at, _)| *at);
        for batch in sorted.chunks(500) {
            node.accept(&batch.iter().map(json_of).collect());
        }
        node.limit("cold", &json!({"low_c": -25, "high_c": -18}));
        let before: Vec<Outline> = excursions(&mut node).iter().map(outline).collect();
        for kept_from in [START + 3 * HOUR, START + 6 * HOUR + 17 * MINUTE, START + DAY] {
            prune_before(&mut node, kept_from);
            let after = excursions(&mut node);
            let outlines: Vec<Outline> = after.iter().map(outline).collect();
            assert_eq!(outlines, before, "seed {seed}, kept from {}", instant(kept_from));
            let minutes = after.iter().filter(|one| one["resolution"] == "minute").count();
            cut += usize::from(minutes > 0 && minutes < after.len());
        }
        found += before.len();
    }
    assert!(found > 200 && cut > 20, "{found} excursions, {cut} nodes with both");
}
