//! What an operator may live to see: an outage that is longer than `retention`, an outbox
//! that is full, a hub that rejects readings, a narrow link, a restored gateway, and a silent
//! one.

use serde_json::{Value, json};

use super::linked::{Linked, Quality, Tried};
use crate::support::assert::check_fields;
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, instant, json_reading};

/// Readings of a device, so old by the gateway's clock, in milliseconds.
pub(super) fn readings_of(
    linked: &Linked,
    device: &str,
    region: &str,
    ages: impl Iterator<Item = i64>,
) -> Value {
    ages.map(|age| json_reading(device, region, age % 30, linked.now - age)).collect()
}

/// The gateway gets readings of the hall, so old.
pub(super) fn accept(linked: &mut Linked, device: &str, ages: impl Iterator<Item = i64>) {
    let body = readings_of(linked, device, "hall", ages);
    linked.gateway.accept(&body);
}

/// The first millisecond of a minute.
fn minute_of(ms: i64) -> i64 {
    ms - ms % MINUTE
}

pub(super) fn peer(linked: &Linked) -> Value {
    linked.state()["peers"][0].clone()
}

/// Beats until nothing waits, some times at most. Then the hub has all that the gateway has.
#[track_caller]
pub(super) fn settle(linked: &mut Linked, beats_max: usize) {
    for _ in 0..beats_max {
        linked.beat();
        let peer = peer(linked);
        if peer["behind_readings"] == 0 && peer["aside"] == json!([]) {
            break;
        }
    }
    check_same(linked);
}

/// The hub has all that the gateway has, and nothing waits.
#[track_caller]
fn check_same(linked: &Linked) {
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as(), linked.gateway.counted_as());
    let peer = peer(linked);
    let expected =
        json!({"behind_readings": 0, "behind_minutes": 0, "batches_under_way": 0, "aside": []});
    check_fields(&peer, &expected);
}

/// For so many hours the gateway measures each minute for ten minutes. Returns how many
/// readings it took.
fn measure_for(linked: &mut Linked, hours: i64) -> usize {
    for _ in 0..hours {
        accept(linked, "d1", (0..10).map(|age| age * MINUTE));
        linked.beat();
        linked.pass(HOUR - MINUTE);
    }
    usize::try_from(hours).unwrap() * 10
}

#[test]
fn what_an_unreachable_peer_does_not_have_outlives_its_retention_and_is_deleted_later() {
    let mut linked = Linked::with(&[], &[("retention", "2h")]);
    linked.set_link(Quality::Cut);
    let total = measure_for(&mut linked, 12);
    linked.beat();
    let kept = linked.gateway.counted_as();
    assert_eq!(kept.len(), total);
    check_fields(&peer(&linked), &json!({"behind_readings": total, "behind_minutes": total}));

    linked.set_link(Quality::Good);
    linked.beat();
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as(), kept);
    for _ in 0..4 {
        linked.beat();
    }
    // Two of twelve hours show that the one before them is over (`check_room`).
    let left = linked.gateway.counted_as();
    assert!(left.len() <= total / 2, "{} of {total} are left", left.len());
    assert!(left.keys().next().is_some_and(|oldest| oldest.at > NOW + 4 * HOUR));
    assert_eq!(linked.hub.counted_as(), kept);
    assert_eq!(linked.gateway.hall()["count"], total);
    check_fields(&linked.state(), &json!({"dropped_readings": 0, "dropped_from": null}));
}

/// Of what is older than `retention`, as much is kept as there is room for. Pruning leaves
/// ten minutes more at most.
#[track_caller]
fn check_room(linked: &Linked, bytes_max: i64) {
    // Two of twelve hours show that the one before them is over.
    let expired_before = NOW - NOW % HOUR + 9 * HOUR - 2 * HOUR - 10 * MINUTE;
    let runs = linked.gateway.runs();
    let largest = runs.iter().map(|run| run.bytes).max().unwrap();
    let expired = runs.iter().filter(|run| run.minute < expired_before);
    let bytes: i64 = expired.map(|run| run.bytes).sum();
    let allowed = bytes_max - largest..=bytes_max + 10 * largest;
    assert!(allowed.contains(&bytes), "{bytes} bytes, of at most {largest} a run");
}

#[test]
fn what_a_full_outbox_lets_go_is_the_oldest_and_is_counted_and_named() {
    let of_gateway = [("retention", "2h"), ("outbox_max_bytes", "600")];
    let mut linked = Linked::with(&[], &of_gateway);
    linked.set_link(Quality::Cut);
    let total = measure_for(&mut linked, 12);
    for _ in 0..3 {
        linked.beat();
    }
    let kept = linked.gateway.counted_as();
    let dropped = total - kept.len();
    assert!(dropped >= 10 && kept.len() > 50, "{dropped} of {total}");
    check_room(&linked, 600);
    // Ten minutes of each hour were measured: the oldest hours are gone, the newest there.
    let sent = (0..12).flat_map(|hour| (0..10).map(move |age| NOW + hour * HOUR - age * MINUTE));
    let mut sent: Vec<i64> = sent.collect();
    sent.sort_unstable();
    assert_eq!(kept.keys().map(|one| one.at).collect::<Vec<_>>(), &sent[dropped..]);
    let said = json!({
        "dropped_readings": dropped,
        "dropped_from": instant(minute_of(sent[0])),
        "dropped_to": instant(minute_of(sent[dropped - 1])),
    });
    check_fields(&linked.state(), &said);
    let counted = linked.gateway.metric("isotherm_outbox_dropped_readings_total");
    assert_eq!(counted, i64::try_from(dropped).unwrap());

    linked.pass(0);
    linked.set_link(Quality::Good);
    linked.beat();
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as(), kept);
    // What the hub has is deleted, and is not counted among what was dropped.
    for _ in 0..4 {
        linked.beat();
    }
    assert!(linked.gateway.counted_as().len() < kept.len());
    check_fields(&linked.state(), &said);
    assert_eq!(linked.hub.counted_as(), kept);
}

/// What is put aside, by the gateway, as so many readings of so many minutes.
fn aside(reason: &str, readings: usize, minutes: usize, oldest: i64) -> Value {
    let oldest = instant(minute_of(oldest));
    json!([{"reason": reason, "readings": readings, "minutes": minutes, "oldest": oldest}])
}

#[test]
fn what_is_too_old_for_the_hub_goes_when_its_retention_is_raised() {
    let mut linked = Linked::with(&[("retention", "1h")], &[("retention", "0")]);
    accept(&mut linked, "d1", (0..30).map(|age| age * MINUTE));
    accept(&mut linked, "d1", (0..40).map(|age| 2 * HOUR + age * 15_000));
    accept(&mut linked, "d1", (0..5).map(|age| 20 * HOUR + age * HOUR));
    linked.beat();
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as().len(), 30);
    // Forty are in eleven minutes, as no minute begins at `NOW`, and five in their own.
    let oldest = NOW - 24 * HOUR;
    assert_eq!(peer(&linked)["aside"], aside("too_old", 45, 16, oldest));
    assert_eq!(peer(&linked)["behind_readings"], 0);
    // More of that time is not even sent, as the hub has said what it takes.
    linked.take_tried();
    accept(&mut linked, "d2", (0..3).map(|age| 25 * HOUR + age * HOUR));
    linked.beat();
    assert!(linked.take_tried().iter().all(|one| one.readings == 0));
    let oldest = NOW + MINUTE - 27 * HOUR;
    assert_eq!(peer(&linked)["aside"], aside("too_old", 48, 19, oldest));
    let name = "isotherm_outbox_aside_readings{peer=\"http://hub\",reason=\"too_old\"}";
    assert_eq!(linked.gateway.metric(name), 48);

    linked.restart_hub(&[("retention", "6h")]);
    linked.pass(0);
    linked.beat();
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as().len(), 70);
    assert_eq!(peer(&linked)["aside"], aside("too_old", 8, 8, oldest));
    linked.restart_hub(&[("retention", "0")]);
    linked.pass(0);
    settle(&mut linked, 2);
    assert_eq!(linked.state()["dropped_readings"], 0);
}

#[test]
fn what_the_hub_rejected_is_deleted_after_the_retention_and_does_not_count_as_dropped() {
    let mut linked = Linked::with(&[("retention", "1h")], &[("retention", "2h")]);
    accept(&mut linked, "d1", (0..10).map(|age| 100 * MINUTE + age * MINUTE));
    linked.beat();
    assert_eq!(peer(&linked)["aside"], aside("too_old", 10, 10, NOW - 109 * MINUTE));
    measure_for(&mut linked, 12);
    assert_eq!(peer(&linked)["aside"], json!([]));
    assert!(linked.gateway.counted_as().keys().all(|one| one.at > NOW));
    check_fields(&linked.state(), &json!({"dropped_readings": 0, "dropped_from": null}));
}

#[test]
fn what_is_ahead_of_the_hubs_clock_is_put_aside_until_its_time_has_come() {
    let mut linked = Linked::new(&[]);
    linked.set_hub_behind(HOUR);
    // Ten are ahead, each in a minute of its own, and ten are not.
    accept(&mut linked, "d1", (0..10).map(|age| age * MINUTE));
    accept(&mut linked, "d1", (0..10).map(|age| 2 * HOUR + age * MINUTE));
    for _ in 0..3 {
        linked.beat();
        linked.hub.fold();
        assert_eq!(linked.hub.counted_as().len(), 10);
        assert_eq!(peer(&linked)["aside"], aside("in_future", 10, 10, NOW - 9 * MINUTE));
    }
    // The hub is ten minutes behind `NOW`, and takes what is five minutes ahead.
    linked.pass(47 * MINUTE);
    linked.beat();
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as().len(), 15);
    assert_eq!(peer(&linked)["aside"], aside("in_future", 5, 5, NOW - 4 * MINUTE));
    linked.pass(10 * MINUTE);
    settle(&mut linked, 2);
}

#[test]
fn what_has_too_many_names_for_the_hub_goes_a_day_after_it_takes_more() {
    let mut linked = Linked::new(&[("regions_max", "2")]);
    for (device, region) in [("d0", "attic"), ("d1", "hall")] {
        let body = readings_of(&linked, device, region, 0..5);
        linked.gateway.accept(&body);
    }
    settle(&mut linked, 2);
    // Some of the same minute are of a region that it knows.
    let body = readings_of(&linked, "d2", "yard", 10..17);
    linked.gateway.accept(&body);
    let body = readings_of(&linked, "d3", "hall", 20..23);
    linked.gateway.accept(&body);
    let oldest = linked.now - 22;
    linked.beat();
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as().len(), 13);
    assert_eq!(peer(&linked)["aside"], aside("too_many_names", 7, 1, oldest));
    assert_eq!(peer(&linked)["behind_readings"], 0);

    linked.restart_hub(&[("regions_max", "10")]);
    linked.pass(0);
    linked.take_tried();
    for hours in [1, 22] {
        linked.pass(hours * HOUR);
        linked.beat();
        assert!(linked.take_tried().iter().all(|one| one.readings == 0));
        assert_eq!(peer(&linked)["aside"], aside("too_many_names", 7, 1, oldest));
    }
    linked.pass(DAY - 23 * HOUR);
    settle(&mut linked, 2);
    assert_eq!(linked.hub.counted_as().len(), 20);
}

/// A thousand readings at the gateway.
fn accept_a_thousand(linked: &mut Linked) {
    accept(linked, "d1", (0..1_000).map(|age| age * 1_013));
}

/// After each request that was not taken comes one with at most half as many readings.
#[track_caller]
fn check_halved(tried: &[Tried]) {
    let failed = tried.iter().filter(|one| !one.was_taken).count();
    assert!(failed >= 2, "{failed} of {tried:?}");
    for pair in tried.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        let most = if before.was_taken { before.readings.max(1) * 2 } else { before.readings / 2 };
        assert!(after.readings <= most.max(1) || before.readings == 0, "{before:?}, {after:?}");
    }
}

#[test]
fn a_body_that_is_too_large_is_halved_until_it_fits() {
    const MOST: usize = 1_500;
    let mut linked = Linked::new(&[]);
    accept_a_thousand(&mut linked);
    linked.set_link(Quality::Narrow(MOST));
    linked.beat();
    let tried = linked.take_tried();
    check_halved(&tried);
    assert_eq!(tried[0].readings, 1_000);
    assert!(tried.iter().all(|one| one.was_taken == (one.bytes <= MOST)), "{tried:?}");
    check_same(&linked);
    assert_eq!(peer(&linked)["error"], Value::Null);
}

#[test]
fn a_link_that_takes_no_batch_at_all_ends_a_beat_and_says_why() {
    let mut linked = Linked::new(&[]);
    accept_a_thousand(&mut linked);
    linked.set_link(Quality::Narrow(1));
    linked.beat();
    let tried = linked.take_tried();
    // Ten times it is halved, and six times in a minute one reading is tried.
    assert!(tried.len() <= 17, "{} requests", tried.len());
    assert_eq!(tried.last().unwrap().readings, 1);
    let peer = peer(&linked);
    check_fields(&peer, &json!({"reachable": false, "behind_readings": 1_000}));
    assert!(peer["error"].as_str().unwrap().contains("413"), "{peer:#}");
    linked.set_link(Quality::Good);
    settle(&mut linked, 2);
}

#[test]
fn a_body_that_takes_too_long_is_halved_until_it_gets_through() {
    const MOST: usize = 1_500;
    let mut linked = Linked::new(&[]);
    accept_a_thousand(&mut linked);
    linked.set_link(Quality::Slow(MOST));
    settle(&mut linked, 10);
    let tried = linked.take_tried();
    check_halved(&tried);
    assert_eq!(tried[0].readings, 1_000);
    assert!(tried.iter().all(|one| one.was_taken == (one.bytes <= MOST)), "{tried:?}");
}

#[test]
fn a_hub_that_says_when_to_come_back_is_not_asked_before() {
    let mut linked = Linked::new(&[]);
    accept(&mut linked, "d1", 0..3);
    linked.set_link(Quality::Busy(120));
    linked.beat();
    let [first] = linked.take_tried()[..] else { panic!("it asked again") };
    let next = peer(&linked)["next_try"].clone();
    linked.set_link(Quality::Good);
    linked.beat();
    assert_eq!(linked.take_tried(), []);
    assert_eq!(peer(&linked)["next_try"], next);
    settle(&mut linked, 1);
    let waited = linked.take_tried()[0].at - first.at;
    assert!((120_000..=131_000).contains(&waited), "{waited} ms");
}
