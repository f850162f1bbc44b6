//! Random histories of nodes that also prune: what a peer does not have stays, and nothing that
//! was counted is lost or counted again. At rest the windows of each node, whose readings are
//! partly gone, are those of all that it ever had.
//!
//! No node is restored here: what a peer had counted, and lost with a restored backup, its
//! sender may have pruned since. `rules` and `stories` have those.

use std::collections::{BTreeMap, BTreeSet};

use isotherm::internals::journal::keys;
use isotherm::internals::settings::Horizon;
use serde_json::{Value, json};

use super::member::{Chance, Member, READINGS};
use super::model::with_readings;
use super::traffic::{Packet, deliver_one, settle};
use crate::support::node::FOR_EVER;
use crate::support::readings::{DAY, HOUR, NOW, celsius};
use crate::support::tables::{Stored, Window};

/// The reading of this number: ten in each of forty hours.
fn reading(number: usize) -> Value {
    let (hour, within) = (number / 10, number % 10);
    let [hour, within] = [hour, within].map(|part| i64::try_from(part).unwrap());
    json!({
        "device_id": format!("d-{}", number % 7),
        "region": format!("r-{}", number % 3),
        "temperature_c": celsius(i64::try_from(number * 37 % 50).unwrap() * 1_000 - 20_500),
        "timestamp": NOW - 2 * DAY + hour * HOUR + 330_997 * within,
    })
}

/// What was seen of a node.
#[derive(Default)]
struct Seen {
    /// Time and device of each reading that it acknowledged.
    accepted: BTreeSet<(i64, String)>,
    /// What it had counted before it pruned.
    ever: BTreeMap<Stored, bool>,
}

/// Readings from before this time a node does not take any more: it is published before they are
/// deleted.
fn pruned_before(member: &Member) -> i64 {
    let door = member.node().text_at(keys::DOOR);
    let pruned = door.split(' ').find_map(|part| part.strip_prefix("pruned="));
    pruned.map_or(0, |before| before.parse().unwrap())
}

/// All that a node has, or had.
fn all(member: &Member, seen: &Seen) -> BTreeMap<Stored, bool> {
    let mut all = seen.ever.clone();
    all.extend(member.node().counted_as());
    all
}

fn accept(member: &Member, seen: &mut Seen, chance: &mut Chance, now: i64) {
    let count = 1 + chance.below(6);
    let body: Vec<Value> = (0..count).map(|_| reading(chance.below(READINGS))).collect();
    let sent = Value::from(body.clone()).to_string();
    let Some(answer) = member.offer("application/json", sent.as_bytes(), now) else { return };
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let rejected = answer["rejected"].as_array().unwrap().iter();
    let rejected: BTreeSet<u64> = rejected.map(|one| one["index"].as_u64().unwrap()).collect();
    for (item, index) in body.iter().zip(0..) {
        if !rejected.contains(&index) {
            let device = item["device_id"].as_str().unwrap().to_owned();
            seen.accepted.insert((item["timestamp"].as_i64().unwrap(), device));
        }
    }
}

/// Folds all, and prunes. Returns what it should not have deleted.
fn prune(
    members: &[Member],
    seen: &mut [Seen],
    own: usize,
    hours: i64,
    now: i64,
) -> Option<String> {
    let member = &members[own];
    member.node().fold();
    let before = member.node().counted_as();
    let horizon = Horizon { retention_ms: Some(hours * HOUR), ..FOR_EVER };
    member.node().fold_at(horizon, now);
    let after = member.node().counted_as();
    seen[own].ever.extend(before.clone());
    let gone = before.into_keys().filter(|stored| !after.contains_key(stored));
    for stored in gone {
        for peer in &member.peers {
            let is_there = all(&members[*peer], &seen[*peer]).contains_key(&stored);
            if !is_there && stored.at >= pruned_before(&members[*peer]) {
                return Some(format!("{own} deleted {stored:?}, which {peer} does not have"));
            }
        }
    }
    None
}

/// Plays a history; returns what is wrong, and how many readings were deleted.
fn history(seed: u64) -> (Option<String>, usize) {
    let mut chance = Chance(70_000 + seed);
    let count = 2 + chance.below(3);
    let mut members: Vec<Member> = (0..count)
        .map(|name| {
            let others = (0..count).filter(|peer| *peer != name);
            let peers: Vec<usize> = others.filter(|_| chance.percent(70)).collect();
            Member::new(name, &peers)
        })
        .collect();
    let mut seen: Vec<Seen> = members.iter().map(|_| Seen::default()).collect();
    let mut wire: Vec<Packet> = Vec::new();
    let mut now = NOW;
    for _ in 0..60 + chance.below(100) {
        now += 1_000;
        let own = chance.below(members.len());
        match chance.below(100) {
            0..35 => accept(&members[own], &mut seen[own], &mut chance, now),
            35..55 => members[own].fold(&mut chance),
            55..85 if !members[own].peers.is_empty() => {
                let to = members[own].peers[chance.below(members[own].peers.len())];
                let prepared = members[own].prepare(to, now);
                wire.push(Packet::Question { from: own, to, prepared });
            }
            85..95 => {
                // The oldest reading is two days old, the newest eight hours.
                let hours = 8 + i64::try_from(chance.below(40)).unwrap();
                let wrong = prune(&members, &mut seen, own, hours, now);
                if wrong.is_some() {
                    return (wrong, 0);
                }
            }
            _ => {}
        }
        if !wire.is_empty() && chance.percent(60) {
            deliver_one(&members, &mut wire, (20, 15), &mut chance, now);
        }
    }
    settle(&mut members, &mut now);
    let sets: Vec<_> = members.iter().zip(&seen).map(|(member, seen)| all(member, seen)).collect();
    let left: usize = members.iter().map(|member| member.node().counted_as().len()).sum();
    let deleted = sets.iter().map(BTreeMap::len).sum::<usize>() - left;
    let wrong =
        members.iter().zip(&seen).find_map(|(member, seen)| wrong(&members, &sets, member, seen));
    (wrong, deleted)
}

fn wrong(
    members: &[Member],
    sets: &[BTreeMap<Stored, bool>],
    member: &Member,
    seen: &Seen,
) -> Option<String> {
    let own = &sets[member.name];
    let counted: BTreeSet<(i64, &str)> =
        own.keys().map(|one| (one.at, one.device.as_str())).collect();
    let lost = seen.accepted.iter().find(|(at, device)| !counted.contains(&(*at, device.as_str())));
    if let Some(lost) = lost {
        return Some(format!("{} has lost {lost:?}", member.name));
    }
    for peer in &member.peers {
        let from = pruned_before(&members[*peer]);
        let lacks = own.keys().find(|one| one.at >= from && !sets[*peer].contains_key(one));
        if let Some(lacks) = lacks {
            return Some(format!("{peer} lacks {lacks:?} of {}", member.name));
        }
    }
    let windows = statistics(member.node().windows());
    let expected = statistics(with_readings(own.clone()).windows());
    (windows != expected).then(|| format!("the windows of {} are not its readings'", member.name))
}

/// What windows have of readings that are deleted, too. (Devices and histograms of parts of hours
/// are gone with them.)
fn statistics(windows: Vec<Window>) -> Vec<Window> {
    let plain = |window: Window| Window {
        revision: 0,
        duplicates: 0,
        conflicts: 0,
        devices: None,
        averages: None,
        histogram: None,
        ..window
    };
    windows.into_iter().filter(|window| window.readings > 0).map(plain).collect()
}

#[test]
fn pruning_lets_go_of_nothing_that_a_peer_does_not_have_and_counts_nothing_again() {
    let histories: u64 =
        std::env::var("ISOTHERM_HISTORIES").map_or(60, |count| count.parse().unwrap());
    let mut deleted = 0;
    for seed in 0..histories {
        let (wrong, gone) = history(seed);
        assert_eq!(wrong, None, "history {seed}");
        deleted += gone;
    }
    assert!(deleted > 3 * usize::try_from(histories).unwrap(), "{deleted} readings were deleted");
}
