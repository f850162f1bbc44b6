//! What devices and gateways really send, byte for byte where their code is public: what is
//! counted of it, and what of messages that lie. `tests/data/sources/README.md` has the table.

use std::collections::BTreeSet;

use http::Method;
use isotherm::api::readings;
use isotherm::http::{Request, Response};
use serde_json::{Map, Value, json};

use super::golden_files::{Golden, directory, parsed, source_of};
use crate::support::node::Node;
use crate::support::readings::{DAY, MINUTE, at, instant, shuffled};

/// When the messages arrive: 2026-11-25T22:50:30Z. Those with a time were measured half a
/// minute before.
pub(super) const ARRIVAL: i64 = 1_795_647_030_000;

/// How many kinds of sources there are.
const KINDS: u32 = 35;

/// The lies that each message is told with, or says why it can't be.
const LIES: [&str; 5] = ["other-unit", "other-key", "no-time", "text-for-number", "key-twice"];

impl Node {
    fn with_golden(golden: &Golden) -> Self {
        let mut node = Self::quiet(&[("retention", "30d")]);
        node.set_up(golden);
        node.set_clock(ARRIVAL);
        node
    }

    /// Makes the source of a message, and its table of devices.
    fn set_up(&mut self, golden: &Golden) {
        let (request, _) = parsed(&golden.name, &golden.request, true);
        let source = source_of(&request);
        if let Some(mapping) = &golden.mapping {
            self.source(source.as_deref().unwrap(), mapping);
        }
        if let Some(devices) = &golden.devices {
            let path = format!("/v1/sources/{}/devices", source.unwrap());
            let response = self.change(Method::PUT, &path, devices);
            assert_eq!(response.status, 204, "{}", golden.name);
        }
    }

    /// Takes a request, and does what follows its answer.
    fn take(&mut self, (request, body): &(Request, Vec<u8>)) -> Response {
        let handled = readings::post(&self.host, request, body, self.now);
        drop(handled.after_answer.run(&self.host, self.now));
        handled.response
    }

    /// Every reading that is counted: `device region millicelsius time`.
    fn every_reading(&mut self) -> BTreeSet<String> {
        let (from, to) = (at(ARRIVAL - DAY), at(ARRIVAL + DAY));
        let request = Request::get(&format!("/v1/readings?from={from}&to={to}"));
        let response = self.ask_ingest(&request);
        let text = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, 200, "{text}");
        let page: Value = serde_json::from_str(&text).unwrap();
        let text = |reading: &Value, key: &str| reading[key].as_str().unwrap().to_owned();
        let line = |reading: &Value| {
            let millicelsius = (reading["temperature_c"].as_f64().unwrap() * 1_000.0).round();
            let [device, region, time] =
                ["device_id", "region", "timestamp"].map(|key| text(reading, key));
            format!("{device} {region} {millicelsius} {time}")
        };
        page["readings"].as_array().unwrap().iter().map(line).collect()
    }

    /// The sums over all regions: readings, millidegrees, conflicts, assumed times.
    fn totals(&mut self) -> [i64; 4] {
        let regions = self.read("/v1/regions")["regions"].as_array().unwrap().clone();
        let names = regions.iter().map(|region| region["region"].as_str().unwrap().to_owned());
        let mut totals = [0; 4];
        for name in names {
            let region = self.read(&format!("/v1/regions/{name}"));
            let fields = ["count", "sum_millicelsius", "conflicts", "time_assumed"];
            for (total, field) in totals.iter_mut().zip(fields) {
                *total += region[field].as_i64().unwrap_or(0);
            }
        }
        totals
    }
}

pub(super) fn list(expected: &Value) -> &[Value] {
    expected["readings"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether a reading has the time of its arrival, or one before it that is relative to it.
pub(super) fn is_assumed(reading: &Value) -> bool {
    reading["time"] == "arrival" || reading["assumed"] == true
}

/// A reading as `Node::every_reading` has it.
fn line(reading: &Value) -> String {
    let time = match reading["time"] == "arrival" {
        true => instant(ARRIVAL - ARRIVAL % reading["slot_ms"].as_i64().unwrap_or(1)),
        false => reading["time"].clone(),
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let [device, region] = ["device", "region"].map(|key| text(&reading[key]));
    format!("{device} {region} {} {}", reading["millicelsius"], text(&time))
}

/// How many were refused of a request in our own formats, by reason.
fn refused_in(response: &Response) -> Value {
    let said: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let mut counts = Map::new();
    for list in [&said["rejected"], &said["errors"]] {
        for refused in list.as_array().into_iter().flatten() {
            let reason = refused["reason"].as_str().unwrap();
            let count = counts.get(reason).and_then(Value::as_u64).unwrap_or(0);
            counts.insert(reason.to_owned(), json!(count + 1));
        }
    }
    counts.into()
}

/// What became of a message, in the words of `expected.json`; its readings as lines.
fn outcome(golden: &Golden, sent: &[u8], is_whole: bool) -> Value {
    let mut node = Node::with_golden(golden);
    let message = parsed(&golden.name, sent, is_whole);
    let response = node.take(&message);
    // Lines for no source with a mapping are those of one that is always there.
    let source = source_of(&message.0).map(|source| match golden.mapping {
        Some(_) => source,
        None => "influx".to_owned(),
    });
    let seen = source.map_or(Value::Null, |source| node.seen(&source));
    let refused = match seen.is_null() {
        true => refused_in(&response),
        false => seen["refused"].clone(),
    };
    let count = |key: &str| seen[key].as_u64().unwrap_or(0);
    json!({
        "status": response.status.as_u16(),
        "reply": String::from_utf8_lossy(&response.body),
        "readings": node.every_reading(),
        "ignored": count("ignored"), "void": count("void"), "refused": refused,
         "time_assumed": node.totals()[3],
    })
}

/// The same as it must be. A reply that is not expected is that of the outcome.
fn wanted(expected: &Value, outcome: &Value) -> Value {
    let reply = expected.get("reply").unwrap_or(&outcome["reply"]);
    let count = |key: &str| expected[key].as_u64().unwrap_or(0);
    let lines: BTreeSet<String> = list(expected).iter().map(line).collect();
    let refused = expected.get("refused").cloned().unwrap_or_else(|| json!({}));
    json!({
        "status": expected["status"], "reply": reply, "readings": lines,
        "ignored": count("ignored"), "void": count("void"), "refused": refused,
        "time_assumed": list(expected).iter().filter(|reading| is_assumed(reading)).count(),
    })
}

fn difference(name: &str, expected: &Value, outcome: &Value) -> Option<String> {
    let wanted = wanted(expected, outcome);
    let fields = wanted.as_object().unwrap().iter();
    let wrong: Vec<String> = fields
        .filter(|(field, value)| outcome[*field] != **value)
        .map(|(field, value)| format!("{field} {} instead of {value}", outcome[field]))
        .collect();
    let reply = outcome["reply"].as_str().unwrap();
    (!wrong.is_empty()).then(|| format!("{name}: {}\n    {reply}", wrong.join(", ")))
}

#[test]
fn each_message_has_the_right_outcome() {
    let wrong: Vec<String> = Golden::all()
        .iter()
        .filter_map(|golden| {
            let outcome = outcome(golden, &golden.request, true);
            difference(&golden.name, &golden.expected, &outcome)
        })
        .collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_message_that_lies_has_the_right_outcome() {
    let mut wrong = Vec::new();
    for golden in Golden::all() {
        for twin in golden.twins.iter().filter(|twin| twin.get("none").is_none()) {
            let outcome = outcome(&golden, &golden.twin(twin), false);
            let name = format!("{} {}", golden.name, twin["name"].as_str().unwrap());
            wrong.extend(difference(&name, &twin["expected"], &outcome));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn all_kinds_of_sources_are_here_and_each_lie_is_told_or_says_why_not() {
    let goldens = Golden::all();
    let numbers: BTreeSet<u32> = goldens.iter().map(Golden::number).collect();
    assert_eq!(numbers, (1..=KINDS).collect());
    let table = std::fs::read_to_string(directory().join("README.md")).unwrap();
    for Golden { name, twins, .. } in &goldens {
        assert!(table.contains(&format!("`{name}`")), "README.md does not name {name}");
        let names: Vec<&str> = twins.iter().map(|twin| twin["name"].as_str().unwrap()).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(distinct.len(), names.len(), "{name}: a twin is there twice");
        for lie in LIES {
            assert!(distinct.contains(lie), "{name} has no twin {lie}");
        }
    }
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let of_kinds =
        rows.filter(|row| row[1..].trim_start().starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(of_kinds.count(), KINDS as usize);
}

/// Whether all of a message has a time or a number of its own, so that a repeat is known.
fn is_known_again(golden: &Golden) -> bool {
    let has_own = |reading: &Value| !is_assumed(reading) || reading.get("number").is_some();
    !list(&golden.expected).is_empty() && list(&golden.expected).iter().all(has_own)
}

#[test]
fn what_has_a_time_or_a_number_counts_once_however_often_and_in_whatever_order_it_comes() {
    let mut goldens = Golden::all();
    goldens.retain(is_known_again);
    assert!(goldens.len() >= 25, "{}", goldens.len());
    let readings: Vec<&Value> = goldens.iter().flat_map(|golden| list(&golden.expected)).collect();
    let sum: i64 = readings.iter().map(|r| r["millicelsius"].as_i64().unwrap()).sum();
    let assumed = readings.iter().filter(|reading| is_assumed(reading)).count();
    let devices: BTreeSet<&str> = readings.iter().filter_map(|r| r["device"].as_str()).collect();
    assert!(devices.len() > 30, "{devices:?}");
    let messages: Vec<(Request, Vec<u8>)> =
        goldens.iter().map(|golden| parsed(&golden.name, &golden.request, true)).collect();
    let count = |count: usize| i64::try_from(count).unwrap();
    for seed in 1..=3 {
        let mut node = Node::quiet(&[("retention", "30d")]);
        node.set_clock(ARRIVAL);
        goldens.iter().for_each(|golden| node.set_up(golden));
        let order: Vec<usize> = (0..3).flat_map(|_| 0..messages.len()).collect();
        for (minutes, message) in shuffled(&order, seed).into_iter().enumerate() {
            node.set_clock(ARRIVAL + count(minutes) * MINUTE);
            let response = node.take(&messages[message]);
            assert!(response.status.is_success(), "{}", goldens[message].name);
        }
        let expected = [count(readings.len()), sum, 0, count(assumed)];
        assert_eq!(node.totals(), expected, "{:?}", node.every_reading());
    }
}
