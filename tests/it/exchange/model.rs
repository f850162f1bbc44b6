//! Random histories of two to five nodes: readings, corrections and folds; batches and
//! answers that are lost, doubled and late; crashes between a fold's commit and the removal
//! of its entries; either store restored by itself, or lost; cloned cards. At rest each node
//! has all that its senders have, and its windows are those of what it has.

use std::collections::BTreeMap;

use isotherm::internals::exchange::push::{Prepared, Told};
use isotherm::internals::wire::batch::MEDIA_TYPE;
use serde_json::{Value, json};

use super::member::{Chance, DATABASE, JOURNAL, Member, READINGS, correction, reading};
use crate::corrections_model::figures;
use crate::support::node::Node;
use crate::support::readings::{NOW, celsius, instant};
use crate::support::tables::Window;

/// What is on its way.
enum Packet {
    Question { from: usize, to: usize, prepared: Prepared },
    Answer { to: usize, told: Told, body: Vec<u8> },
}

/// Plays a history; returns what is wrong at its end.
fn history(seed: u64) -> Option<String> {
    let mut chance = Chance(seed);
    let count = 2 + chance.below(3);
    let mut members: Vec<Member> = (0..count)
        .map(|name| {
            let peers: Vec<usize> =
                (0..count).filter(|peer| *peer != name && chance.percent(60)).collect();
            Member::new(name, &peers)
        })
        .collect();
    let mut wire: Vec<Packet> = Vec::new();
    let mut now = NOW;
    for _ in 0..30 + chance.below(130) {
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
            460..800 if !member.peers.is_empty() => {
                let to = member.peers[chance.below(member.peers.len())];
                let prepared = member.prepare(to, now);
                wire.push(Packet::Question { from: own, to, prepared });
            }
            800..860 => member.backup(&mut chance),
            860..900 if !member.backups.is_empty() => member.restore(&mut chance),
            900..905 => member.lose(&DATABASE),
            905..910 => member.lose(&JOURNAL),
            910..920 if members.len() < 6 => {
                let clone = members[own].cloned();
                members.push(clone);
            }
            _ => {}
        }
        if !wire.is_empty() && chance.percent(60) {
            let index = chance.below(wire.len());
            let (lost, stays) = (chance.percent(20), chance.percent(15));
            if !lost {
                let answer = deliver(&members, &wire[index], now);
                wire.extend(answer);
            }
            if !stays {
                wire.remove(index);
            }
        }
    }
    settle(&mut members, &mut now);
    members.iter().find_map(|member| what_is_wrong(&members, member))
}

/// Delivers a packet, and returns the answer to it.
fn deliver(members: &[Member], packet: &Packet, now: i64) -> Option<Packet> {
    match packet {
        Packet::Question { from, to, prepared } => {
            let Prepared { body, told } = prepared;
            let body = members[*to].post(MEDIA_TYPE, body, now);
            Some(Packet::Answer { to: *from, told: told.clone(), body })
        }
        Packet::Answer { to, told, body } => {
            members[*to].hear(told, body, now);
            None
        }
    }
}

/// Nothing is lost any more: folds and beats until nothing moves.
fn settle(members: &mut [Member], now: &mut i64) {
    for _ in 0..100 {
        *now += 150_000;
        for own in 0..members.len() {
            for peer in members[own].peers.clone() {
                let prepared = members[own].prepare(peer, *now);
                let question = Packet::Question { from: own, to: peer, prepared };
                let answer = deliver(members, &question, *now).unwrap();
                deliver(members, &answer, *now);
            }
        }
        for member in members.iter() {
            member.node().fold();
        }
        if members.iter().all(Member::is_at_rest) {
            break;
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

/// The windows of a node that gets what this one has, in one request each.
fn recount(member: &Member) -> Vec<Window> {
    let mut other = Node::quiet(&[("retention", "0"), ("late_after", "3d")]);
    let (mut in_time, mut late) = (Vec::new(), Vec::new());
    for (stored, is_late) in member.node().counted_as() {
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

#[test]
fn at_rest_each_node_has_what_its_senders_have() {
    let histories: u64 = std::env::var("ISOTHERM_HISTORIES")
        .map_or(100, |count| count.parse().expect("ISOTHERM_HISTORIES is a number"));
    let wrong: Vec<(u64, String)> =
        (0..histories).filter_map(|seed| Some((seed, history(seed)?))).collect();
    assert!(wrong.is_empty(), "{} of {histories} are wrong: {wrong:?}", wrong.len());
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
