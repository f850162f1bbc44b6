//! The format of batches: what is encoded comes back, and what nobody encoded is refused.

use std::borrow::Cow;

use isotherm::api::readings;
use isotherm::http::{Header, Request};
use isotherm::internals::domain::correction::Correction;
use isotherm::internals::domain::exchange::{
    Anchor, BatchId, Behind, Mark, NodeId, Sender, SentCorrection,
};
use isotherm::internals::domain::reading::Reading;
use isotherm::internals::wire::batch::{Batch, Fault, MEDIA_TYPE, decode};
use isotherm_it::root;
use twox_hash::XxHash64;

use super::member::Chance;
use crate::support::node::Node;
use crate::support::readings::{NOW, at, reading};

fn batch(readings: Vec<Reading<'_>>) -> Batch<'_> {
    let sender = Sender {
        node: NodeId([7; 16]),
        name: "gw-1",
        sends: 300,
        as_of: at(NOW),
        behind: Behind { minutes: 2, readings: 700 },
        last_hour: 36_000,
    };
    let anchor = Some(Anchor { batch: BatchId([1; 16]), mark: Mark([2; 8]) });
    let asked = vec![BatchId([3; 16]), BatchId([4; 16])];
    Batch { sender, id: BatchId([9; 16]), asked, anchor, readings, corrections: Vec::new() }
}

/// A correction, as a node sends it.
fn correction() -> SentCorrection<'static> {
    let of = reading("sensor-001", "hall", 21_000, NOW);
    let correction = Correction {
        device_id: of.device_id,
        timestamp: of.timestamp,
        expected: Some(of.temperature),
        expected_region: None,
        temperature: None,
        region: Some(of.region),
        reason: Cow::Borrowed("a test"),
    };
    let by = Some(Cow::Borrowed("admin"));
    SentCorrection { correction, hash: [5; 32], made: at(NOW), by }
}

/// What a site of a hundred sensors measures in so many minutes, every ten seconds.
fn site(minutes: i64) -> Vec<(String, i64, i64)> {
    let mut all = Vec::new();
    for device in 0..100_i64 {
        for step in 0..minutes * 6 {
            let jitter = (device * 31 + step * 17) % 40;
            let at = NOW + step * 10_000 + device * 97 + jitter;
            all.push((format!("sensor-{device:03}"), 21_000 + (step * 7 + device * 13) % 60, at));
        }
    }
    all
}

fn all_of(all: &[(String, i64, i64)]) -> Vec<Reading<'_>> {
    all.iter().map(|(device, milli, at)| reading(device.as_str(), "hall", *milli, *at)).collect()
}

#[test]
fn what_is_encoded_comes_back() {
    let all = site(10);
    let sent = batch(all_of(&all));
    let body = sent.encode();
    let decoded = decode(&body).unwrap();
    assert_eq!((&decoded.sender, decoded.id, decoded.anchor), (&sent.sender, sent.id, sent.anchor));
    assert_eq!(decoded.asked, sent.asked);
    let back: Vec<Reading<'_>> = decoded.readings().map(Result::unwrap).collect();
    assert_eq!(back, sent.readings);
}

#[test]
fn a_site_of_a_hundred_sensors_takes_few_bytes_a_reading() {
    for (minutes, most) in [(1, 8), (16, 6)] {
        let all = site(minutes);
        let bytes = batch(all_of(&all)).encode().len();
        println!("{minutes} minutes: {bytes} bytes, {} readings", all.len());
        assert!(bytes <= most * all.len(), "{minutes} minutes: {bytes} of {}", all.len());
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let all = site(1);
    let body = batch(all_of(&all[..30])).encode();
    for index in 0..body.len() {
        for bit in 0..8 {
            let mut damaged = body.clone();
            damaged[index] ^= 1 << bit;
            assert!(decode(&damaged).is_err(), "bit {bit} of byte {index}");
        }
        assert!(decode(&body[..index]).is_err(), "cut at {index}");
    }
}

#[test]
fn a_batch_of_a_newer_release_is_refused_and_nothing_of_it_is_kept() {
    let all = site(1);
    let mut newer = batch(all_of(&all)).encode();
    newer[0] = 2;
    assert_eq!(decode(&newer).unwrap_err(), Fault::Version(2));
    let node = Node::quiet(&[]);
    let request = Request::post("/v1/readings").with(Header::ContentType, MEDIA_TYPE);
    let answer = readings::post(&node.host, &request, &newer, node.now).response;
    let problem = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 415, "{problem}");
    assert!(problem.contains("has version 2, which this release does not know"), "{problem}");
    assert_eq!(node.keys("journal/"), 0);
}

/// A batch with the checksum of what is in it.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    if let Some((sum, rest)) = body.get_mut(1..).and_then(|rest| rest.split_first_chunk_mut()) {
        let hash = XxHash64::oneshot(0, rest).to_le_bytes();
        *sum = [hash[0], hash[1], hash[2], hash[3]];
    }
    body
}

/// Changes a body as nobody who encodes would.
fn damage(body: &mut Vec<u8>, chance: &mut Chance) {
    const HEAD: usize = 5;
    const EXTREMES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    if body.len() <= HEAD + 1 {
        return;
    }
    let begin = HEAD + chance.below(body.len() - HEAD);
    let end = (begin + 1 + chance.below(24)).min(body.len());
    match chance.below(6) {
        0 => body[begin] ^= 1 << chance.below(8),
        1 => body[begin] = EXTREMES[chance.below(EXTREMES.len())],
        // The largest number, as LEB128 has it.
        2 => drop(body.splice(begin..begin, [0xff; 9].into_iter().chain([1]))),
        3 => drop(body.drain(begin..end)),
        4 => {
            let part = body[begin..end].to_vec();
            drop(body.splice(begin..begin, part));
        }
        _ => drop(body.splice(begin..end, (0..chance.below(12)).map(|_| chance.byte()))),
    }
}

#[test]
fn whatever_comes_with_a_right_checksum_is_answered_and_what_is_taken_can_be_read() {
    let rounds: usize = std::env::var("ISOTHERM_FUZZ")
        .map_or(20_000, |count| count.parse().expect("ISOTHERM_FUZZ is a number"));
    let all = site(1);
    let mut with_correction = batch(all_of(&all[..40]));
    with_correction.corrections = vec![correction(), correction()];
    let seeds = [with_correction.encode(), documented(), batch(Vec::new()).encode()];
    let mut node = Node::quiet(&[("retention", "0")]);
    let mut chance = Chance(20);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..rounds {
        let mut body = seeds[chance.below(seeds.len())].clone();
        for _ in 0..1 + chance.below(4) {
            damage(&mut body, &mut chance);
        }
        let body = sealed(body);
        match decode(&body) {
            Ok(decoded) => {
                taken += 1;
                // A reading takes two bytes at least.
                assert!(decoded.count() * 2 <= body.len(), "round {round}");
                let names = decoded.readings().filter_map(Result::ok);
                assert!(names.map(|r| r.device_id.as_str().len()).all(|length| length <= 64));
            }
            Err(Fault::Content(_) | Fault::TooMany) => refused += 1,
            Err(fault) => panic!("round {round}: {fault:?}"),
        }
        // A node takes longer.
        if round % 40 == 0 {
            let request = Request::post("/v1/readings").with(Header::ContentType, MEDIA_TYPE);
            let status = readings::post(&node.host, &request, &body, node.now).response.status;
            assert!([202, 400, 413].contains(&status.as_u16()), "round {round}: {status}");
        }
    }
    assert!(taken * 20 > rounds && refused * 20 > rounds, "{taken} taken, {refused} refused");
    node.fold();
    for path in ["/v1/senders", "/v1/regions", "/v1/corrections", "/v1/conflicts", "/metrics"] {
        assert_eq!(node.status_of(path), 200, "{path}");
    }
}

/// The bytes of the example in `docs/formats.md`.
fn documented() -> Vec<u8> {
    let text = std::fs::read_to_string(root().join("docs/formats.md")).unwrap();
    let section = text.split("\n## Batch of a node\n").nth(1).unwrap();
    let dump = section.split("```text\n").nth(2).unwrap();
    let lines = dump.lines().take_while(|line| *line != "```");
    // Two spaces stand before the bytes, and two behind them.
    let bytes = lines.flat_map(|line| line.split("  ").nth(1).unwrap().split(' '));
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn the_documented_batch_is_what_it_is_said_to_be_and_does_not_change() {
    let bytes = documented();
    let decoded = decode(&bytes).unwrap();
    let readings: Vec<Reading<'_>> = decoded.readings().map(Result::unwrap).collect();
    let base = 1_795_600_800_000;
    let expected = [
        ("dock-s1", 4_500, base),
        ("dock-s1", 4_562, base + 10_000),
        ("dock-s2", 3_900, base + 250),
        ("dock-s2", 3_875, base + 10_250),
    ];
    let same = |(read, (id, milli, at)): (&Reading<'_>, (&str, i64, i64))| {
        let other = reading(id, "dock", milli, at);
        (read.device_id == other.device_id && read.region == other.region)
            && (read.temperature == other.temperature && read.timestamp == other.timestamp)
            && read.is_late()
    };
    assert_eq!(readings.len(), expected.len());
    assert!(readings.iter().zip(expected).all(same), "{readings:?}");
    assert_eq!((decoded.sender.name, decoded.sender.sends), ("gw-1", 3));
    assert_eq!(decoded.sender.behind, Behind::default());
    let again = Batch {
        sender: decoded.sender.clone(),
        id: decoded.id,
        asked: decoded.asked.clone(),
        anchor: decoded.anchor,
        readings,
        corrections: Vec::new(),
    };
    assert_eq!(again.encode(), bytes);
}
