//! What a fold makes of the journal: ledger and windows on a real SQLite, each reading
//! once.

use isotherm::host::KeyValue;
use isotherm::internals::domain::reading::Reading;
use isotherm::internals::ledger::Outcome;

use crate::support::node::Node;
use crate::support::readings::{MINUTE, START, reading};
use crate::support::tables::{Tier, Window};

fn node() -> Node {
    Node::new(&[("retention", "0")])
}

#[test]
fn a_fold_empties_the_journal_into_ledger_and_windows() {
    let node = node();
    node.journal(&[reading("a", "hall", 21_500, START), reading("b", "hall", 22_500, START + 1)]);
    node.journal(&[reading("a", "attic", -5_000, START + 2)]);
    assert_eq!(node.fold(), 0);
    assert_eq!(node.keys("journal/"), 0);
    assert_eq!(node.stored(), 3);
    let hall = node.all_time("hall");
    assert_eq!((hall.readings, hall.sum), (2, 44_000));
    assert_eq!((hall.min, hall.max), (21_500, 22_500));
    assert_eq!((hall.oldest, hall.newest), (START, START + 1));
    let attic = node.all_time("attic");
    assert_eq!((attic.readings, attic.sum), (1, -5_000));
    assert_eq!((attic.min, attic.max), (-5_000, -5_000));
    assert_eq!((attic.oldest, attic.newest), (START + 2, START + 2));
    assert_eq!(node.windows_of(Tier::AllTime).len(), 2);
}

#[test]
fn the_first_of_one_identity_is_stored_and_the_others_are_named() {
    let node = node();
    let (same, hotter, elsewhere) = (
        reading("a", "hall", 21_500, START),
        reading("a", "hall", 21_501, START),
        reading("a", "attic", 21_500, START),
    );
    use Outcome::{Conflict, Duplicate, Stored};
    let batch = [same.clone(), same.clone(), hotter.clone(), elsewhere.clone()];
    assert_eq!(node.post_now(&batch), [Stored, Duplicate, Conflict, Conflict]);
    assert_eq!(node.post_now(&[hotter, elsewhere, same]), [Conflict, Conflict, Duplicate]);
    assert_eq!(node.counted(Tier::AllTime), 1);
    assert_eq!(node.conflicts_kept(), 2);
    let tallies = [("conflicts", 4), ("duplicates", 2), ("entry_readings", 7), ("folds", 2)];
    assert_eq!(node.tallies(), tallies.map(|(name, count)| (name.to_owned(), count)).into());
}

/// Some thousand readings over some hours, in an order that a multiplier modulo a prime
/// shuffles.
fn shuffled_hours() -> Vec<Reading<'static>> {
    let (count, prime) = (3_000, 3_001);
    let nth = |i: i64| {
        let k = i * 1_237 % prime;
        let device = k % 17;
        let region = ["north", "south", "west"][usize::try_from(device % 3).unwrap()];
        let millicelsius = (k * 7_919) % 1_273_151 - 273_150;
        reading(format!("device-{device}"), region, millicelsius, START + k * 7_001)
    };
    (1..=count).map(nth).collect()
}

/// Asserts that the window has the figures of the readings that are in it.
fn check_window(window: &Window, readings: &[Reading<'_>]) {
    let inside = readings.iter().filter(|r| {
        r.region.as_str() == window.region && window.range().contains(&r.timestamp.get())
    });
    let millis: Vec<i64> = inside.map(|r| i64::from(r.temperature.get())).collect();
    assert_eq!(window.readings, i64::try_from(millis.len()).unwrap());
    assert_eq!(window.sum, millis.iter().sum::<i64>());
    let square = |m: &i64| i128::from(*m) * i128::from(*m);
    assert_eq!(window.squares, millis.iter().map(square).sum::<i128>());
    assert_eq!(Some(window.min), millis.iter().min().copied());
    assert_eq!(Some(window.max), millis.iter().max().copied());
}

#[test]
fn windows_of_every_span_equal_what_is_computed_at_once() {
    let node = node();
    let readings = shuffled_hours();
    for batch in readings.chunks(37) {
        node.journal(batch);
    }
    node.fold();
    for window in node.windows() {
        check_window(&window, &readings);
    }
    for span in Tier::ALL {
        assert_eq!(node.counted(span), 3_000, "every reading is in a window of {span:?}");
    }
}

#[test]
fn folding_entries_again_changes_nothing() {
    let node = node();
    let batch = [reading("a", "hall", 21_500, START), reading("b", "hall", 22_500, START)];
    node.journal(&batch);
    node.fold();
    let timeless = |window| Window { duplicates: 0, ..window };
    let windows = || node.windows().into_iter().map(timeless).collect::<Vec<_>>();
    let (before, rows) = (windows(), node.rows());
    for _ in 0..3 {
        node.journal(&batch);
        node.journal(&batch[..1]);
        node.fold();
    }
    assert_eq!((windows(), node.rows()), (before, rows));
}

#[test]
fn folds_at_once_over_the_same_journal_count_every_reading_once() {
    let node = node();
    for minute in 0..50 {
        let one = |i: i64| reading(format!("d{i}"), "hall", minute, START + minute * MINUTE);
        node.journal(&(0..100).map(one).collect::<Vec<_>>());
    }
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| node.fold());
        }
    });
    node.fold();
    assert_eq!(node.keys("journal/"), 0);
    assert_eq!(node.stored(), 5_000);
    for span in Tier::ALL {
        assert_eq!(node.counted(span), 5_000, "{span:?}");
    }
}

#[test]
fn an_entry_that_can_not_be_read_is_set_aside_and_the_rest_goes_on() {
    let node = node();
    let damaged = node.journal(&[reading("a", "hall", 1, START)]);
    node.journal(&[reading("b", "hall", 2, START)]);
    let (key, value) = damaged.as_pair();
    let mut flipped = value.to_vec();
    flipped[3] ^= 1;
    node.put(&key, &flipped);

    assert_eq!(node.fold(), 0);
    assert_eq!((node.keys("journal/"), node.keys("quarantine/1/")), (0, 1));
    assert_eq!(node.stored(), 1);
    let log = node.host.inner.logged();
    assert_eq!(log.len(), 1);
    assert!(log[0].contains("checksum"), "{log:?}");
    let aside = key.replace("journal/3", "quarantine/1/unreadable");
    let kept = KeyValue::get(&node.key_value(), &aside).unwrap();
    assert_eq!(kept, Some(flipped), "byte by byte as it was");
}
