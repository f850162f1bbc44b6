//! Random histories of two to five nodes: readings, corrections and folds; batches and
//! answers that are lost, doubled and late; crashes between a fold's commit and the removal
//! of its entries; either store restored by itself, or lost; cloned cards. At rest each node
//! has all that its senders have, and its windows are those of what it has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::member::{Chance, DATABASE, JOURNAL, Member, READINGS, correction, reading};
use super::traffic::{Packet, deliver, deliver_one, exchange, settle};
use crate::corrections_model::figures;
use crate::support::node::Node;
use crate::support::readings::{NOW, celsius, instant};
use crate::support::tables::{Stored, Window};

/// How often what happens.
struct Weather {
    nodes: std::ops::Range<usize>,
    /// Of a hundred other nodes, how many each sends to.
    peers: usize,
    steps: std::ops::Range<usize>,
    /// Of a thousand steps, those before which a batch is sent, a copy is made, and one is
    /// brought back.
    sent: usize,
    copied: usize,
    restored: usize,
    /// Of a hundred packets, how many are lost, and how many come once more.
    lost: usize,
    doubled: usize,
    /// Whether questions are answered at once, and copies of both come at the end, after a
    /// node was restored.
    is_prompt: bool,
}

/// All that can happen.
const ALL: Weather = Weather {
    nodes: 2..5,
    peers: 60,
    steps: 30..160,
    sent: 800,
    copied: 860,
    restored: 900,
    lost: 20,
    doubled: 15,
    is_prompt: false,
};

/// Two nodes that hear each other well, until one is restored and packets from before come once
/// more.
const RESTORED: Weather = Weather {
    nodes: 2..3,
    peers: 70,
    steps: 30..80,
    sent: 860,
    copied: 940,
    restored: 950,
    lost: 0,
    doubled: 0,
    is_prompt: true,
};

/// Plays a history; returns what is wrong at its end.
fn history(seed: u64, weather: &Weather) -> Option<String> {
    let mut chance = Chance(seed);
    let between = |chance: &mut Chance, range: &std::ops::Range<usize>| {
        range.start + chance.below(range.len())
    };
    let count = between(&mut chance, &weather.nodes);
    let mut members: Vec<Member> = (0..count)
        .map(|name| {
            let others = (0..count).filter(|peer| *peer != name);
            let peers: Vec<usize> = others.filter(|_| chance.percent(weather.peers)).collect();
            Member::new(name, &peers)
        })
        .collect();
    let mut wire: Vec<Packet> = Vec::new();
    let mut now = NOW;
    for _ in 0..between(&mut chance, &weather.steps) {
        now += 1_000;
        let own = chance.below(members.len());
        let member = &mut members[own];
        match chance.below(1_000) {
            0..250 => {
                let count = 1 + chance.below(4);
                let body: Vec<Value> =
                    (0..count).map(|_| reading(chance.below(READINGS))).collect();
                member.post("application/json", Value::from(body).to_string().as_bytes(), now);
            }
            250..280 => member.correct(chance.below(READINGS), now),
            280..460 => member.fold(&mut chance),
            step if (460..weather.sent).contains(&step) && !member.peers.is_empty() => {
                let to = member.peers[chance.below(member.peers.len())];
                let prepared = member.prepare(to, now);
                let question = Packet::Question { from: own, to, prepared };
                if weather.is_prompt {
                    exchange(&members, question, &mut wire, &mut chance, now);
                } else {
                    wire.push(question);
                }
            }
            step if (weather.sent..weather.copied).contains(&step) => member.backup(&mut chance),
            step if (weather.copied..weather.restored).contains(&step)
                && !member.backups.is_empty() =>
            {
                member.restore(&mut chance);
            }
            900..905 => member.lose(&DATABASE),
            905..910 => member.lose(&JOURNAL),
            910..920 if members.len() < 6 => {
                let clone = members[own].cloned();
                members.push(clone);
            }
            _ => {}
        }
        if !wire.is_empty() && !weather.is_prompt && chance.percent(60) {
            let fate = (weather.lost, weather.doubled);
            deliver_one(&members, &mut wire, fate, &mut chance, now);
        }
    }
    if weather.is_prompt {
        end_restored(&mut members, &mut wire, &mut chance, now);
    }
    settle(&mut members, &mut now);
    members.iter().find_map(|member| what_is_wrong(&members, member))
}

/// A node is restored, and some of what was on its way comes after that.
fn end_restored(members: &mut [Member], wire: &mut Vec<Packet>, chance: &mut Chance, now: i64) {
    let copied: Vec<usize> =
        (0..members.len()).filter(|own| !members[*own].backups.is_empty()).collect();
    if !copied.is_empty() {
        let own = copied[chance.below(copied.len())];
        members[own].restore(chance);
    }
    for _ in 0..chance.below(4) {
        // The last packets as often as all others.
        let last = wire.len().saturating_sub(2);
        let mut some = if chance.percent(50) { wire.split_off(last) } else { std::mem::take(wire) };
        if !some.is_empty() {
            deliver_one(members, &mut some, (0, 0), chance, now);
        }
        wire.append(&mut some);
        for member in members.iter() {
            member.node().fold();
        }
    }
}

fn what_is_wrong(members: &[Member], member: &Member) -> Option<String> {
    for peer in &member.peers {
        let theirs = members[*peer].node().counted_as();
        for (stored, is_late) in member.node().counted_as() {
            match theirs.get(&stored) {
                None => return Some(format!("{peer} lacks {stored:?} of {}", member.name)),
                Some(true) if !is_late => {
                    return Some(format!("{stored:?} is late at {peer}, not at {}", member.name));
                }
                Some(_) => {}
            }
        }
        let corrections = |of: &Member| of.node().corrections();
        let theirs = corrections(&members[*peer]);
        if let Some(lacks) = corrections(member).iter().find(|one| !theirs.contains(one)) {
            return Some(format!("{peer} lacks a correction of {}: {lacks:?}", member.name));
        }
    }
    let windows: Vec<Window> = member.node().windows().into_iter().filter_map(figures).collect();
    let expected = recount(member);
    (windows != expected).then(|| format!("the windows of {} are not its readings'", member.name))
}

/// A node that gets these readings, those that come late in a request of their own.
pub(super) fn with_readings(all: BTreeMap<Stored, bool>) -> Node {
    let mut other = Node::quiet(&[("retention", "0"), ("late_after", "3d")]);
    let (mut in_time, mut late) = (Vec::new(), Vec::new());
    for (stored, is_late) in all {
        let body = json!({
            "device_id": stored.device, "region": stored.region,
            "temperature_c": f64::from(i32::try_from(stored.millicelsius).unwrap()) / 1_000.0,
            "timestamp": stored.at,
        });
        if is_late { late.push(body) } else { in_time.push(body) }
    }
    if !in_time.is_empty() {
        other.accept(&Value::from(in_time));
    }
    other.restart(&[("retention", "0")]);
    if !late.is_empty() {
        other.accept(&Value::from(late));
    }
    other.fold();
    other
}

/// The windows of a node that gets what this one has.
fn recount(member: &Member) -> Vec<Window> {
    let mut other = with_readings(member.node().counted_as());
    for number in 0..READINGS {
        let made = member.node().corrections();
        let of = correction(number);
        let key = (of["device_id"].as_str().unwrap().to_owned(), of["timestamp"].as_i64().unwrap());
        if made.contains(&key) {
            let answer = other.change(http::Method::POST, "/v1/corrections", &of.to_string());
            assert_eq!(answer.status, 200);
        }
    }
    other.windows().into_iter().filter_map(figures).collect()
}

#[track_caller]
fn check_histories(weather: &Weather) {
    let histories: u64 =
        std::env::var("ISOTHERM_HISTORIES").map_or(100, |count| count.parse().unwrap());
    let wrong: Vec<(u64, String)> =
        (0..histories).filter_map(|seed| Some((seed, history(seed, weather)?))).collect();
    assert!(wrong.is_empty(), "{} of {histories} are wrong: {wrong:?}", wrong.len());
}

#[test]
fn at_rest_each_node_has_what_its_senders_have() {
    check_histories(&ALL);
}

#[test]
fn a_node_that_is_restored_at_the_end_has_what_its_sender_has() {
    check_histories(&RESTORED);
}

/// What stands of the readings that contradict each other, by their times.
fn torn(member: &Member) -> BTreeMap<i64, i64> {
    let counted = member.node().counted_as().into_keys();
    let torn = counted.filter(|stored| stored.region == "torn");
    torn.map(|stored| (stored.at, stored.millicelsius)).collect()
}

/// Where two nodes counted different readings of one time, each lists the other's.
fn check_contradictions(members: &[Member]) -> usize {
    let mut found = 0;
    for (one, other) in members.iter().flat_map(|a| members.iter().map(move |b| (a, b))) {
        let listed = one.node().look_at("/v1/conflicts");
        let theirs = torn(other);
        for (ms, standing) in torn(one) {
            let Some(contrary) = theirs.get(&ms).filter(|contrary| **contrary != standing) else {
                continue;
            };
            found += 1;
            let is_it = |entry: &Value| {
                entry["timestamp"] == instant(ms)
                    && entry["temperature_c"] == celsius(*contrary)
                    && entry["standing_temperature_c"] == celsius(standing)
            };
            let all = listed["conflicts"].as_array().unwrap();
            assert!(all.iter().any(is_it), "{} does not list {ms}: {listed}", one.name);
        }
    }
    found
}

#[test]
fn a_mesh_of_four_agrees_bit_by_bit_and_lists_what_contradicts() {
    let mut contradictions = 0;
    for seed in 0..3 {
        let mut chance = Chance(9_000 + seed);
        let mut members: Vec<Member> = (0..4)
            .map(|name| {
                let peers: Vec<usize> = (0..4).filter(|peer| *peer != name).collect();
                Member::new(name, &peers)
            })
            .collect();
        let mut now = NOW;
        for step in 0..120 {
            now += 1_000;
            let own = chance.below(4);
            let count = 1 + chance.below(30);
            let mut body: Vec<Value> =
                (0..count).map(|_| reading(chance.below(READINGS))).collect();
            if chance.percent(40) {
                // One time of one device, and another temperature at each node.
                let mut other = json!({"device_id": "torn", "region": "torn"});
                other["timestamp"] = reading(chance.below(15))["timestamp"].clone();
                other["temperature_c"] = json!(own);
                body.push(other);
            }
            members[own].post("application/json", Value::from(body).to_string().as_bytes(), now);
            if chance.percent(10) {
                members[own].correct(chance.below(READINGS), now);
            }
            members[own].fold(&mut chance);
            // Who can reach whom changes all the time.
            let peer = (own + 1 + chance.below(3)) % 4;
            if chance.percent(60) {
                let prepared = members[own].prepare(peer, now);
                let question = Packet::Question { from: own, to: peer, prepared };
                let answer = deliver(&members, &question, now);
                if let Some(answer) = answer.filter(|_| chance.percent(70)) {
                    deliver(&members, &answer, now);
                }
            }
            match step {
                40 => members[0].backup(&mut chance),
                80 if !members[0].backups.is_empty() => members[0].restore(&mut chance),
                _ => {}
            }
        }
        settle(&mut members, &mut now);
        let of = |member: &Member| -> Vec<Window> {
            let windows = member.node().windows().into_iter().filter_map(figures);
            windows.filter(|window| window.region != "torn").collect()
        };
        let first = of(&members[0]);
        assert!(first.len() > 100, "{} windows", first.len());
        for member in &members[1..] {
            assert_eq!(of(member), first, "seed {seed}: {} and 0 differ", member.name);
        }
        contradictions += check_contradictions(&members);
    }
    assert!(contradictions > 0, "no two nodes counted different readings");
}
