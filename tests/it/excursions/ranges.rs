//! Excursions that go on from long before the range.

use serde_json::{Value, json};

use super::START;
use super::stories::{excursions, minute, minutes, nth_of, prune_before};
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{MINUTE, instant};

/// One from a pause of more than a day, and one of a sensor that sends rarely.
#[test]
fn one_that_goes_on_from_long_before_the_range_begins_where_it_did() {
    const HOUR: i64 = 60;
    const DAY: i64 = 24 * HOUR;
    let mut node = Node::quiet(&[]);
    let paused = [(-40 * HOUR, 5), (-30 * HOUR, 9), (HOUR, 12), (HOUR + 10, 5)];
    let rare = [(-3 * DAY, 5), (-25 * HOUR, 5), (-2 * HOUR, 1), (HOUR, 5)];
    // Its pause ends inside, in the range.
    let returned = [(-9 * DAY, 5), (-8 * DAY, 9), (2 * HOUR, 5)];
    let of = |device, all: &[(i64, i64)]| -> Vec<Value> {
        all.iter().map(|(minute, celsius)| nth_of(device, *minute, *celsius)).collect()
    };
    node.accept(&[of("d", &paused), of("e", &rare)].concat().into());
    node.limit("cold", &json!({"low_c": 2, "high_c": 8, "for": "20m"}));
    let whole = excursions(&mut node, &minutes(-41 * HOUR, 2 * HOUR));
    assert_eq!(whole.len(), 2, "{whole:?}");
    check_fields(
        &whole[0],
        &json!({
            "begin": minute(-30 * HOUR), "end": minute(HOUR + 10), "gaps": 1, "readings": 2,
            "duration_ms": 1_870 * MINUTE, "begins_before": false,
        }),
    );
    let expected = json!({"begin": minute(-2 * HOUR), "kind": "low", "begins_before": false});
    check_fields(&whole[1], &expected);
    for from in [-30 * HOUR, -90, 0, 30, HOUR] {
        assert_eq!(excursions(&mut node, &minutes(from, 2 * HOUR)), whole, "{from}");
    }
    let long = excursions(&mut node, &format!("{}&for=12h", minutes(0, 2 * HOUR)));
    assert_eq!(long, whole[..1]);
    node.accept(&of("f", &returned).into());
    // It covers the other one on its side.
    let found = excursions(&mut node, &minutes(90, 4 * HOUR));
    assert_eq!(found.len(), 1, "{found:?}");
    check_fields(
        &found[0],
        &json!({
            "begin": minute(-8 * DAY), "end": minute(2 * HOUR), "devices": 2, "readings": 3,
            "begins_before": false,
        }),
    );
    assert_eq!(excursions(&mut node, &minutes(-9 * DAY, 4 * HOUR))[0], found[0]);
    // In minutes, which don't tell of sensors apart, so does that of a sensor alone.
    for (celsius, end) in [(12, HOUR + 10), (5, HOUR)] {
        let mut node = Node::quiet(&[]);
        let alone = [(-40 * HOUR, 5), (-30 * HOUR, 9), (HOUR, celsius), (HOUR + 10, 5)];
        node.accept(&of("d", &alone).into());
        node.limit("cold", &json!({"low_c": 2, "high_c": 8}));
        prune_before(&mut node, START + 4 * HOUR * MINUTE);
        let whole = excursions(&mut node, &minutes(-41 * HOUR, 2 * HOUR));
        let expected = [instant(START - 30 * HOUR * MINUTE), instant(START + end * MINUTE)];
        assert_eq!([&whole[0]["begin"], &whole[0]["end"]], expected.each_ref());
        check_fields(&whole[0], &json!({"resolution": "minute", "begins_before": false}));
        assert_eq!(excursions(&mut node, &minutes(0, 2 * HOUR)), whole);
    }
}

#[test]
fn one_whose_beginning_is_not_found_says_so() {
    const DAY: i64 = 24 * 60;
    let mut node = Node::quiet(&[]);
    // Outside for 40 days.
    let outside = (-38 * 4..8).map(|quarter| nth_of("d", quarter * DAY / 4, 9));
    node.accept(&outside.collect());
    node.accept(&json!([nth_of("d", -39 * DAY, 5), nth_of("d", 2 * DAY, 5)]));
    node.limit("cold", &json!({"high_c": 8}));
    let known = excursions(&mut node, &minutes(-8 * DAY, 3 * DAY));
    let expected = json!({"begin": minute(-38 * DAY), "begins_before": false, "readings": 160});
    check_fields(&known[0], &expected);
    // The last reading before the 31 days is in it.
    let unknown = excursions(&mut node, &minutes(DAY, 3 * DAY));
    check_fields(
        &unknown[0],
        &json!({
            "begin": minute(-30 * DAY - DAY / 4), "end": minute(2 * DAY), "begins_before": true,
        }),
    );
    // It is listed, however short what is known of it is.
    prune_before(&mut node, START + (2 * DAY - 400) * MINUTE);
    let rest = excursions(&mut node, &format!("{}&for=1d", minutes(2 * DAY - 100, 3 * DAY)));
    check_fields(
        &rest[0],
        &json!({
            "begin": minute(2 * DAY - 360), "end": minute(2 * DAY), "begins_before": true,
            "readings": 1,
        }),
    );
    assert_eq!(excursions(&mut node, &minutes(2 * DAY + 1, 3 * DAY)), Vec::<Value>::new());
}
