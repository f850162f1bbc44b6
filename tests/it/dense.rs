//! Minutes with more readings than a run takes: what comes later finds its place among
//! many runs, whether it is little or much.

use isotherm::internals::domain::reading::Reading;
use isotherm::internals::ledger::{Outcome, Row};
use isotherm::limits;

use crate::support::node::Node;
use crate::support::readings::{MINUTE, reading as reading_of};
use crate::support::tables::Tier;

/// A whole minute.
const START: i64 = 1_700_000_040_000;
const DEVICES: i64 = 10_000;
const REGIONS: i64 = 4;

/// The reading of a device this many milliseconds into the minute, in the region that all
/// its readings are of.
fn reading(device: i64, ms: i64, millicelsius: i64) -> Reading<'static> {
    let region = format!("region-{}", device % REGIONS);
    reading_of(format!("sensor-{device:05}"), region, millicelsius, START + ms)
}

fn node() -> Node {
    Node::new(&[("retention", "0")])
}

/// A minute of this many devices, in an order of no use to anybody.
fn dense() -> Node {
    let node = node();
    let all: Vec<_> = (0..DEVICES).map(|i| i * 7_919 % DEVICES).map(|i| reading(i, 5, i)).collect();
    assert_eq!(node.post_now(&all), vec![Outcome::Stored; all.len()]);
    node
}

fn check(node: &Node, readings: i64) {
    let rows = node.rows();
    assert_eq!(i64::try_from(rows.len()).unwrap(), readings);
    let place = |row: &Row| (row.device(), row.timestamp());
    assert!(rows.is_sorted_by(|a, b| place(a) < place(b)), "no reading stands twice");
    assert_eq!(node.stored(), readings);
    for span in Tier::ALL {
        assert_eq!(node.counted(span), readings, "{span:?}");
    }
    for span in Tier::WITH_DEVICES {
        let told = node.windows_of(span).iter().map(|window| window.devices.unwrap()).sum::<i64>();
        assert_eq!(told, DEVICES, "{span:?}");
        assert_eq!(node.devices_kept(span), DEVICES, "{span:?}");
    }
}

#[test]
fn a_dense_minute_takes_many_runs_of_bounded_size() {
    let node = dense();
    check(&node, 10_000);
    let runs = node.runs();
    let longest = runs.iter().map(|run| run.bytes).max().unwrap();
    assert!(longest <= i64::try_from(limits::RUN_BYTES_MAX).unwrap(), "{longest}");
    assert!(runs.len() > 30, "{}", runs.len());
}

#[test]
fn few_late_readings_find_their_runs_among_many() {
    let node = dense();
    // Too few to read all runs of the minute for them, too many to look each up
    // without counting.
    let late: Vec<_> = (0..12)
        .flat_map(|i| {
            let device = i * 833;
            [reading(device, 5, device), reading(device, 5, 1), reading(device, 4, 7)]
        })
        .collect();
    let outcomes = node.post_now(&late);
    for (i, three) in outcomes.chunks(3).enumerate() {
        assert_eq!(three, [Outcome::Duplicate, Outcome::Conflict, Outcome::Stored], "{i}");
    }
    check(&node, 10_012);
    let minutes = node.windows_of(Tier::Minute);
    let repeats: Vec<_> = minutes.iter().map(|w| (w.duplicates, w.conflicts)).collect();
    assert_eq!(repeats, [(3, 3), (3, 3), (3, 3), (3, 3)]);
    let one = [reading(9_999, 5, 9_999), reading(9_999, 59_999, 1)];
    assert_eq!(node.post_now(&one), [Outcome::Duplicate, Outcome::Stored]);
    check(&node, 10_013);
}

#[test]
fn a_device_whose_minute_takes_many_runs_is_answered_whole() {
    let mut node = node();
    let all: Vec<_> = (0..3_000).map(|ms| reading(7, ms, ms)).collect();
    node.post_now(&all);
    assert!(node.runs().len() > 3);
    let contradicting = [3, 2_990, 2_991].map(|ms| reading(7, ms, 9));
    assert_eq!(node.post_now(&contradicting), [Outcome::Conflict; 3]);

    node.set_clock(START + MINUTE);
    let conflicts = node.look_at("/v1/conflicts");
    let conflicts = conflicts["conflicts"].as_array().unwrap();
    let standing: Vec<_> = conflicts.iter().map(|c| &c["standing_temperature_c"]).collect();
    assert_eq!(standing, [0.003, 2.99, 2.991]);
    let readings = node.look_at("/v1/devices/sensor-00007/readings?limit=1000");
    let readings = readings["readings"].as_array().unwrap();
    assert_eq!((readings.len(), &readings[999]["temperature_c"]), (1_000, &0.999.into()));
    let half = format!("from={}&to={}", START + 1_500, START + 1_503);
    let readings = node.look_at(&format!("/v1/devices/sensor-00007/readings?{half}"));
    assert_eq!(readings["readings"].as_array().unwrap().len(), 3);
}

#[test]
fn a_second_reading_of_every_device_is_merged_run_by_run() {
    let node = dense();
    let again: Vec<_> =
        (0..DEVICES).flat_map(|i| [reading(i, 5, i), reading(i, 30_000, i)]).collect();
    let outcomes = node.post_now(&again);
    let is_new = |outcome: &&Outcome| **outcome == Outcome::Stored;
    assert_eq!(outcomes.iter().filter(is_new).count(), 10_000);
    check(&node, 20_000);
    let sum: i64 = node.windows_of(Tier::AllTime).iter().map(|window| window.sum).sum();
    assert_eq!(sum, 99_990_000);
}
