//! What grows: bytes on disk, regions beyond 16 bits, sums of squares beyond 64 bits, and
//! more conflicts than are kept.

use std::collections::BTreeMap;

use isotherm::host::{Host, Sql, Value};
use isotherm::internals::domain::reading::{MilliCelsius, Reading};
use isotherm::internals::domain::stats::Stats;
use isotherm::internals::ledger::Outcome;
use isotherm::limits;
use serde_json::json;

use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{MINUTE, START, at, reading};

fn node() -> Node {
    Node::new(&[("retention", "0")])
}

#[test]
fn of_more_conflicts_than_there_is_room_for_the_newest_are_kept_and_all_are_counted() {
    let node = node();
    // A whole minute, as the rounds are minutes.
    let minute = |round: i64| START / MINUTE * MINUTE + round * MINUTE;
    for round in 0..12 {
        node.post_now(&[reading("a", "hall", 0, minute(round))]);
        let one = |i: i64| reading("a", "hall", i + 1, minute(round));
        node.post_now(&(0..1_000).map(one).collect::<Vec<_>>());
    }
    assert_eq!(node.conflicts_kept(), limits::CONFLICTS_KEPT_MAX);
    assert_eq!(node.tallies()["conflicts"], 12_000);
    let newest: BTreeMap<i64, i64> = (2..12).map(|round| (minute(round), 1_000)).collect();
    assert_eq!(node.conflicts_by_minute(), newest);
}

#[test]
fn regions_beyond_65536_have_devices_of_their_own() {
    let node = node();
    node.fold();
    // As many regions as 16 bits can number, in one statement.
    node.execute(
        "INSERT INTO regions (name) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65536) \
         SELECT 'r' || i FROM n",
    );
    // The device sends to regions 1 and 65,537, and back.
    node.post_now(&[
        reading("d", "r1", 1_000, START),
        reading("d", "r65537", 2_000, START + 1),
        reading("d", "r1", 3_000, START + 2),
    ]);
    for (region, count, average) in [("r1", 2, 2.0), ("r65537", 1, 2.0)] {
        let body = node.look_at(&format!("/v1/regions/{region}/devices"));
        check_fields(&body["devices"][0], &json!({"count": count, "average_c": average}));
        let body = node.look_at(&format!("/v1/regions/{region}"));
        check_fields(&body, &json!({"count": count, "devices": 1}));
    }
    // Two ordinary readings of far regions, and answers go on.
    node.post_now(&[reading("e", "r5001", 0, START), reading("f", "r65537", 0, START + 3)]);
    node.look_at("/v1/regions/r5001");
}

/// A reading of each of 1,000 devices in 20 regions within ten seconds.
fn round(number: i64) -> Vec<Reading<'static>> {
    let one = |i: i64| {
        let (device, region) = (format!("sensor-{i:06}"), format!("region-{}", i % 20));
        let ms = START + number * 10_000 + i * 7 % 10_000;
        reading(device, region, i * 37 % 40_000, ms)
    };
    (0..1_000).map(one).collect()
}

#[test]
fn a_folded_reading_takes_at_most_30_bytes_on_disk() {
    let node = node();
    let rounds = 100;
    for number in 0..rounds {
        node.journal(&round(number));
        node.fold();
    }
    node.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let bytes = std::fs::metadata(node.directory().join("regions.db")).unwrap().len();
    let readings = u64::try_from(rounds).unwrap() * 1_000;
    println!("{} bytes a reading", bytes as f64 / readings as f64);
    assert!(bytes <= 30 * readings, "{bytes} bytes for {readings} readings");
}

#[test]
fn statistics_survive_sums_of_squares_beyond_64_bits() {
    let node = node();
    node.post_now(&[reading("a", "hall", 1_000_000, START)]);
    // As if 40 million readings of 1,000 °C had been folded before.
    let sql = node.host.inner.sql().unwrap();
    let many = 40_000_000_i64;
    let high = 953_674 * many;
    let low = (1_000_000_000_000 - 953_674 * 1_048_576) * many;
    Sql::execute(
        &sql,
        "UPDATE windows SET readings = readings + ?1, sum = sum + ?1 * 1000000, \
         squares_high = squares_high + ?2, squares_low = squares_low + ?3",
        &[Value::Integer(many), Value::Integer(high), Value::Integer(low)],
    )
    .unwrap();
    assert_eq!(node.post_now(&[reading("b", "hall", 0, START)]), [Outcome::Stored]);
    let squares = node.all_time("hall").squares;
    assert_eq!(squares, 1_000_000_000_000 * i128::from(many + 1));
    assert!(squares > i128::from(i64::MAX));
    let one = Stats::of(MilliCelsius::MAX, at(START));
    assert_eq!(one.average(), 1_000.0);
}
