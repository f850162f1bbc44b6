//! Random histories: what is answered is what the independent program finds.

use isotherm_stores::random;
use serde_json::{Value, json};

use super::START;
use super::independent::{HIGH, Interval, LOW, Raw, independent};
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{DAY, HOUR, MINUTE, celsius, instant, json_reading, shuffled};

pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: u64) -> i64 {
        i64::try_from(random::next(&mut self.0) % end).unwrap()
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Readings of several devices over half a day: temperatures that wander around the limits,
/// missed readings, and long pauses.
fn history(chance: &mut Chance) -> Vec<Raw> {
    let mut all = Vec::new();
    for device in 0..2 + chance.below(4) {
        let usual = [20_000, 60_000, 300_000][usize::try_from(chance.below(3)).unwrap()];
        let mut now = START + chance.below(3 * 3_600_000);
        let end = now + HOUR + chance.below(9 * 3_600_000);
        let mut milli = -21_500;
        // Now and then it stands in another room.
        let mut region = "cold";
        while now < end {
            // Far above and below the limits, and often on them.
            milli += (chance.below(9) - 4) * 500;
            milli = milli.clamp(LOW - 2_500, HIGH + 2_500);
            if chance.one_in(40) {
                region = if region == "cold" { "hall" } else { "cold" };
            }
            all.push((format!("d{device}"), region.to_owned(), now, milli));
            now += match chance.below(60) {
                0 => usual * (8 + chance.below(20)),
                1..4 => usual * 2,
                _ => usual - usual / 50 + chance.below(u64::try_from(usual / 25).unwrap()),
            };
        }
    }
    all
}

/// Readings of several devices over nine days: some send often for a while, some rarely, and
/// they pause for up to four days, inside or outside.
fn history_of_days(chance: &mut Chance) -> Vec<Raw> {
    let mut all = Vec::new();
    let minutes = |chance: &mut Chance, least: u64, most: u64| {
        (i64::try_from(least).unwrap() + chance.below(most - least)) * MINUTE + chance.below(60_000)
    };
    for device in 0..1 + chance.below(4) {
        let most = [40, 400, 2_000][usize::try_from(chance.below(3)).unwrap()];
        let mut now = START - 5 * DAY + minutes(chance, 0, 1_440);
        let mut milli = -21_500;
        let mut region = "cold";
        while now < START + 4 * DAY {
            // It stays where it is for a while.
            if chance.one_in(3) {
                milli = [LOW - 1_000, -21_500, HIGH, HIGH + 1_000, HIGH + 2_500]
                    [usize::try_from(chance.below(5)).unwrap()];
            }
            if chance.one_in(40) {
                region = if region == "cold" { "hall" } else { "cold" };
            }
            all.push((format!("d{device}"), region.to_owned(), now, milli));
            now += match chance.below(40) {
                0 => minutes(chance, 1_400, 5_800),
                1..4 => minutes(chance, 300, 1_500),
                _ => minutes(chance, 1, most),
            };
        }
    }
    all
}

fn as_answered(interval: &Interval) -> Value {
    let (depth, at, device) = &interval.worst;
    let extreme = if interval.kind == "high" { HIGH + depth } else { LOW - depth };
    let gaps = &interval.gaps;
    json!({
        "region": "cold", "kind": interval.kind,
        "begin": instant(interval.begin),
        "end": (!interval.open).then(|| instant(interval.until)),
        "duration_ms": interval.until - interval.begin, "open": interval.open,
        "begins_before": false,
        "extreme_c": celsius(extreme), "extreme_at": instant(*at), "extreme_device": device,
        "readings": interval.readings,
        "devices": interval.devices.len(), "device_ids": interval.devices,
        "gaps": gaps.len(), "longest_gap_ms": gaps.iter().max(),
        "resolution": "reading", "low_c": -25.0, "high_c": -18.0,
    })
}

#[track_caller]
fn check(answer: &Value, expected: &[Interval]) {
    let found = answer["excursions"].as_array().unwrap();
    for (found, expected) in found.iter().zip(expected) {
        check_fields(found, &as_answered(expected));
        assert!(found["revision"].as_i64().unwrap() > 0);
    }
    assert_eq!(found.len(), expected.len());
}

pub(super) fn json_of((device, region, at, milli): &Raw) -> Value {
    json_reading(device, region, celsius(*milli), *at)
}

/// A node that got these readings in batches in any order, some twice, some contradicted
/// later; with limits for the region `cold`.
fn node_with(raw: &[Raw], seed: u64, for_text: &str) -> Node {
    let mut node = Node::quiet(&[]);
    let sent = shuffled(raw, seed);
    for batch in sent.chunks(700) {
        node.accept(&batch.iter().map(json_of).collect());
    }
    node.read("/v1/regions");
    let again: Vec<Value> = sent.iter().step_by(7).map(json_of).collect();
    let contradicting = sent.iter().step_by(11).map(|(device, region, at, milli)| {
        json_reading(device, region, celsius(milli + 20_000), *at)
    });
    node.accept(&again.into_iter().chain(contradicting).collect());
    node.limit("cold", &json!({"low_c": -25, "high_c": -18, "for": for_text}));
    node
}

#[test]
fn the_excursions_of_random_histories_are_those_of_an_independent_program() {
    let (mut found, mut open, mut with_gaps, mut united) = (0, 0, 0, 0);
    for seed in 0..20 {
        let mut chance = Chance(seed);
        let raw = history(&mut chance);
        let for_minutes = [0, 0, 5, 20][usize::try_from(seed % 4).unwrap()];
        let gap = [3, 1, 10][usize::try_from(seed % 3).unwrap()] * MINUTE;
        let mut node = node_with(&raw, seed, &format!("{for_minutes}m"));
        let whole = (START - HOUR, START + DAY);
        let part = (START + 3 * HOUR + 17 * MINUTE, START + 6 * HOUR + 41 * MINUTE);
        for (from, to) in [whole, part] {
            let path = format!("/v1/regions/cold/excursions?from={from}&to={to}&gap={gap}ms");
            let answer = node.read(&path);
            let expected = independent(&raw, "cold", (from, to), for_minutes * MINUTE, gap);
            check(&answer, &expected);
            let csv = node.get_as(&path, "text/csv");
            assert_eq!(csv.body.split(|byte| *byte == b'\n').count(), expected.len() + 2);
            found += expected.len();
            open += expected.iter().filter(|i| i.open).count();
            with_gaps += expected.iter().filter(|i| !i.gaps.is_empty()).count();
            united += expected.iter().filter(|i| i.devices.len() > 1).count();
            check_of_devices(&mut node, &raw, (from, to), for_minutes * MINUTE, gap);
        }
        let everything = node.read(&format!("/v1/regions/cold?from={}&to={}", whole.0, whole.1));
        let answer =
            node.read(&format!("/v1/regions/cold/excursions?from={}&to={}", whole.0, whole.1));
        let same = [
            "count",
            "late",
            "time_assumed",
            "duplicates",
            "conflicts",
            "corrected",
            "devices",
            "revision",
        ];
        for field in same {
            assert_eq!(answer[field], everything[field], "{field}");
        }
        check_fields(&answer, &json!({"low_c": -25.0, "high_c": -18.0, "kept_from": null}));
        check_fields(&answer, &json!({"for_ms": for_minutes * MINUTE, "unfolded_entries": 0}));
    }
    // The histories have what is to be shown.
    let seen = [found, open, with_gaps, united];
    assert!(found > 500 && open > 5 && with_gaps > 50 && united > 100, "{seen:?}");
}

#[test]
fn an_excursion_is_the_same_from_every_range_that_touches_it() {
    let (mut cut, mut old, mut united) = (0, 0, 0);
    for seed in 200..230 {
        let mut chance = Chance(seed);
        let raw = history_of_days(&mut chance);
        let mut node = node_with(&raw, seed, "0");
        let gap = [MINUTE, HOUR, 30 * HOUR][usize::try_from(seed % 3).unwrap()];
        let (begin, end) = (START - 6 * DAY, START + 9 * DAY / 2);
        let of = |node: &mut Node, path: &str, from: i64, to: i64| -> Value {
            node.read(&format!("/v1/{path}/excursions?from={from}&to={to}&gap={gap}ms"))
        };
        let whole = |node: &mut Node, path: &str| -> Vec<Value> {
            of(node, path, begin, end)["excursions"].as_array().unwrap().clone()
        };
        let of_region = whole(&mut node, "regions/cold");
        let of_device = whole(&mut node, "devices/d0");
        for _ in 0..8 {
            let from = START - 5 * DAY + chance.below(9 * 1_440) * MINUTE;
            let to = from + (1 + chance.below(4 * 1_440)) * MINUTE;
            let answer = of(&mut node, "regions/cold", from, to);
            check(&answer, &independent(&raw, "cold", (from, to), 0, gap));
            // Up to the end they are those of the whole, with their revisions.
            for (path, whole) in [("regions/cold", &of_region), ("devices/d0", &of_device)] {
                let answer = of(&mut node, path, from, end);
                let found = answer["excursions"].as_array().unwrap();
                let own = raw.iter().filter(|(name, ..)| path == "regions/cold" || name == "d0");
                let own: Vec<Raw> = own.cloned().collect();
                check(&answer, &independent(&own, "cold", (from, end), 0, gap));
                let missing = |one: &&Value| !whole.contains(one);
                assert_eq!(found.iter().find(missing), None, "seed {seed}, {path}, {from}");
                let before = |hours: i64| {
                    let limit = instant(from - hours * HOUR);
                    let is_before = |e: &&Value| e["begin"].as_str() < limit.as_str();
                    found.iter().filter(is_before).count()
                };
                cut += before(0);
                old += before(24);
                united += found.iter().filter(|e| e["devices"].as_u64() > Some(1)).count();
            }
        }
    }
    let seen = [cut, old, united];
    assert!(cut > 100 && old > 30 && united > 100, "{seen:?}");
}

/// Those of a device are its own runs.
fn check_of_devices(node: &mut Node, raw: &[Raw], (from, to): (i64, i64), for_ms: i64, gap: i64) {
    for device in ["d0", "d1"] {
        let own: Vec<Raw> = raw.iter().filter(|(name, ..)| name == device).cloned().collect();
        let answer =
            node.read(&format!("/v1/devices/{device}/excursions?from={from}&to={to}&gap={gap}ms"));
        check(&answer, &independent(&own, "cold", (from, to), for_ms, gap));
        let count = own.iter().filter(|(_, _, at, _)| (from..to).contains(at)).count();
        check_fields(&answer, &json!({"device_id": device, "count": count}));
    }
}
