//! What the ledger forgets, and what becomes of readings that are older.

use isotherm::internals::fold;
use isotherm::internals::journal::keys;
use isotherm::internals::ledger::Outcome;
use isotherm::internals::ledger::database::Database;
use isotherm::internals::settings::Horizon;
use isotherm::limits;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::faulty::Plan;
use crate::support::node::{Node, PATIENT, fold_and_prune};
use crate::support::readings::{DAY, HOUR, MINUTE, NOW, START, at, in_hall, reading};
use crate::support::tables::Tier;

/// Readings are kept for this long, and none is late or ahead.
fn keeping(ms: i64) -> Horizon {
    Horizon { retention_ms: Some(ms), max_skew_ms: 0, late_after_ms: 0 }
}

fn node() -> Node {
    Node::new(&[("retention", "0")])
}

#[test]
fn expired_rows_are_pruned_windows_stay_and_older_readings_are_set_aside() {
    let node = node();
    let old = reading("a", "hall", 21_500, START);
    node.journal(std::slice::from_ref(&old));
    node.fold_at(keeping(DAY), START);
    assert_eq!(node.stored(), 1);

    // Just past the horizon the row is still there, so a duplicate is still known.
    node.journal(&[reading("b", "hall", 1_000, START + DAY)]);
    node.fold_at(keeping(DAY), START + DAY + MINUTE);
    assert_eq!(node.post_now(std::slice::from_ref(&old)), [Outcome::Duplicate]);
    // A contradiction goes with what stands beside it.
    assert_eq!(node.post_now(&[reading("a", "hall", 1, START)]), [Outcome::Conflict]);

    // Two hours say that it is past.
    for hours in [29, 30] {
        node.journal(&[reading("c", "hall", 2_000, START + hours * HOUR)]);
    }
    node.fold_at(keeping(DAY), START + 30 * HOUR);
    assert_eq!(node.stored(), 3, "the old row is gone");
    assert_eq!(node.conflicts_kept(), 0);
    let windows = node.windows();
    assert_eq!(node.counted(Tier::AllTime), 4);

    assert_eq!(node.post_now(std::slice::from_ref(&old)), [Outcome::TooOld]);
    let entry = node.journal(&[old, reading("d", "hall", 3_000, START + 30 * HOUR)]);
    node.fold_at(keeping(DAY), START + 30 * HOUR);
    assert_eq!((node.keys("journal/"), node.keys("quarantine/1/")), (0, 1));
    assert_ne!(node.windows(), windows, "the good reading beside it is counted");
    assert_eq!(node.counted(Tier::AllTime), 5);
    assert_eq!(entry.name().readings(), 2);
}

#[test]
fn a_clock_that_runs_ahead_for_a_while_forgets_nothing_recent() {
    let node = node();
    let recent = reading("a", "hall", 1, START);
    node.journal(std::slice::from_ref(&recent));
    node.fold_at(keeping(HOUR), START + 365 * DAY);
    assert_eq!(node.post_now(&[recent]), [Outcome::Duplicate]);
    assert_eq!(node.post_now(&[reading("a", "hall", 1, START - HOUR)]), [Outcome::Stored]);
}

#[test]
fn a_reading_from_the_future_drags_no_pruning_behind_it() {
    let node = node();
    for hour in 0..48 {
        node.journal(&[reading("a", "hall", hour, START + hour * HOUR)]);
    }
    // For an hour, clock and device are a month ahead.
    for minute in 0..60 {
        node.journal(&[reading("b", "hall", 1, START + 30 * DAY + minute * MINUTE)]);
    }
    node.fold_at(keeping(7 * DAY), START + 30 * DAY + HOUR);
    assert_eq!(node.stored(), 108, "nothing is forgotten");
    assert_eq!(node.post_now(&[reading("a", "hall", 5, START + 5 * HOUR)]), [Outcome::Duplicate]);
}

#[test]
fn how_far_is_pruned_is_published_a_minute_before_it_goes() {
    let node = node();
    let now = START + 3 * DAY;
    node.journal(&[reading("a", "hall", 1, START)]);
    node.journal(&[reading("a", "hall", 2, now - HOUR), reading("a", "hall", 3, now)]);
    node.fold();
    let regions = Database::open(&node.host.inner, PATIENT).unwrap();
    let journal = node.key_value();
    let prune = |now| fold::prune(&regions, &journal, keeping(DAY), at(now)).unwrap();
    assert_eq!(node.text_at(keys::DOOR), "");
    prune(now);
    let published = node.text_at(keys::DOOR);
    assert!(published.starts_with("pruned="), "{published}");
    for early in [0, limits::PRUNE_PUBLISHED_MS_MIN - 1] {
        prune(now + early);
        assert_eq!(node.stored(), 3, "after {early} ms");
    }
    prune(now + limits::PRUNE_PUBLISHED_MS_MIN);
    assert_eq!(node.stored(), 2);
}

/// Two hours of the hall in the past, and what says that they are.
fn two_hours_past() -> Node {
    let node = node();
    // A whole hour.
    let first = START - START % HOUR;
    let one =
        |minute: i64| reading(format!("d{}", minute % 3), "hall", minute, first + minute * MINUTE);
    node.journal(&(0..120).map(one).collect::<Vec<_>>());
    let later = |hour: i64| reading("d", "hall", 1, first + 3 * DAY + hour * HOUR);
    node.journal(&(0..9).map(later).collect::<Vec<_>>());
    node.fold();
    node
}

/// By the watermark, six hours after three days: 37 minutes of the two hours are past.
const UP_TO_37_MINUTES: Horizon = Horizon {
    retention_ms: Some(3 * DAY + 6 * HOUR - 47 * MINUTE),
    max_skew_ms: 0,
    late_after_ms: 0,
};

/// The figures of the quarter hours of `two_hours_past`, all but the counts.
fn quarters(node: &Node) -> Value {
    let from = START - START % HOUR;
    let to = from + 2 * HOUR;
    let body = node.look_at(&format!("/v1/regions/hall/windows?from={from}&to={to}&step=15m"));
    assert_eq!(body["windows"][3]["devices"], 3);
    body["windows"].clone()
}

#[test]
fn a_pruning_that_fails_anywhere_keeps_each_reading_once() {
    let (mut failed, end) = (0, START + 3 * DAY + 9 * HOUR);
    for plan in [Plan::fail, |first| Plan::fail(first).after_its_work()] {
        for first in 1.. {
            let mut node = two_hours_past();
            let expected = quarters(&node);
            // A part of a quarter hour is deleted at first.
            node.fold_at(UP_TO_37_MINUTES, end);
            assert_eq!(node.stored(), 129 - 37);
            node.set_plan(plan(first));
            let done = fold_and_prune(&node.host, keeping(DAY), end);
            let calls = node.host.plan.calls();
            node.set_plan(Plan::none());
            fold_and_prune(&node.host, keeping(DAY), end + HOUR).unwrap();
            assert_eq!(node.stored(), 9, "call {first}");
            assert_eq!(quarters(&node), expected, "call {first}");
            if calls < first {
                break;
            }
            failed += usize::from(done.is_err());
        }
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn a_quarter_hour_that_can_not_be_read_keeps_no_reading_in_the_ledger() {
    let node = two_hours_past();
    let end = START + 3 * DAY + 9 * HOUR;
    node.fold_at(UP_TO_37_MINUTES, end);
    let cut = "UPDATE histograms SET bins = substr(bins, 1, length(bins) - 1) WHERE span = 15";
    node.execute(cut);
    node.fold_at(keeping(DAY), end);
    assert_eq!(node.stored(), 9);
    let logged = node.host.inner.logged();
    assert!(logged.iter().any(|line| line.contains("span=15")), "{logged:?}");
    // Whole hours have their own.
    let from = START - START % HOUR;
    let hour = node.look_at(&format!("/v1/regions/hall?from={from}&to={}", from + HOUR));
    check_fields(&hour, &json!({"count": 60, "devices": 3}));
}

fn has_pruned_two_days(node: &Node) -> bool {
    node.runs().iter().all(|run| run.minute / MINUTE >= (NOW - 2 * DAY) / MINUTE)
}

/// Sends until requests have pruned, after their answers, what is older than the retention.
fn send_until_pruned(node: &mut Node) {
    let before = node.runs().len();
    for step in 0..400 {
        node.now = node.now.saturating_add(limits::PRUNE_PUBLISHED_MS_MIN);
        // As large as makes a request fold after its answer now and then.
        let one = |i: i64| in_hall(&format!("e{i}"), node.now.get() - step);
        let batch: Value = (0..3_000).map(one).collect();
        node.accept(&batch);
        let has_changed = node.runs().len() != before && node.status_of("/v1/regions") == 200;
        if has_changed && node.keys(keys::DOOR) > 0 && has_pruned_two_days(node) {
            return;
        }
    }
    panic!("nothing was pruned");
}

#[test]
fn after_retention_was_made_longer_a_reading_is_counted_or_rejected() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let hours: Vec<Value> = (0..60).map(|hour| in_hall("d", NOW - hour * HOUR)).collect();
    for batch in hours.chunks(4) {
        node.accept_and_wait(&json!(batch));
    }
    // A day is kept now, and what is older is pruned by and by.
    node.restart(&[("retention", "1d")]);
    node.set_clock(NOW);
    send_until_pruned(&mut node);

    // And for ever again: a duplicate of what was pruned can't be known any more.
    node.restart(&[("retention", "0")]);
    let count = node.hall()["count"].as_i64().unwrap();
    let refused = node.reject(&in_hall("late", NOW - 3 * DAY));
    assert_eq!(refused["errors"][0]["reason"], "too_old");
    // What was not, is.
    node.accept(&in_hall("late", NOW - HOUR));
    check_fields(&node.hall(), &json!({"count": count + 1, "quarantined_readings": 0}));
}
