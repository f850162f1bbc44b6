//! How long a fold works, and for whose lock it waits.

use isotherm::host::{Host, Sql};
use isotherm::internals::domain::rejection::Rejections;
use isotherm::internals::fold;
use isotherm::internals::journal::Entry;
use isotherm::internals::journal::inventory::Inventory;
use isotherm::internals::ledger::database::{Budget, Database};
use isotherm::limits;
use serde_json::json;

use crate::support::node::Node;
use crate::support::readings::{START, in_hall, reading};
use crate::support::tables::Tier;

/// A node without any limit of age.
fn node() -> Node {
    Node::new(&[("retention", "0")])
}

/// One more than a step takes.
fn eight_entries_of_10_000(node: &Node) {
    for chunk in 0..8 {
        let at = |i: i64| reading("x", "hall", 1, START + i + chunk * 10_000);
        node.journal(&(0..10_000).map(at).collect::<Vec<_>>());
    }
}

/// Folds within this budget, on a host like the node's whose clock advances by `step_ms`
/// whenever it is looked at. Returns how many entries are left.
fn left_after(node: &Node, step_ms: u64, budget: Budget) -> usize {
    let host = node.host.inner.clone().simulated(step_ms, 1);
    let journal = host.key_value().unwrap();
    let inventory = Inventory::list(&host, &journal).unwrap();
    let regions = Database::open(&host, budget).unwrap();
    fold::run(&regions, &journal, &inventory).unwrap().left_entries
}

#[test]
fn a_fold_stops_when_its_time_is_up_and_says_what_is_left() {
    let node = node();
    eight_entries_of_10_000(&node);
    // Every look at the clock costs 100 ms, so one step is all there is time
    // for: seven entries reach the bound of readings.
    assert_eq!(left_after(&node, 100, Budget::waiting(500)), 1);
    assert_eq!(node.all_time("hall").readings, 70_000);
    assert_eq!(node.keys("journal/"), 1);
    assert_eq!(node.fold(), 0);
    assert_eq!(node.all_time("hall").readings, 80_000);
}

#[test]
fn a_step_takes_up_to_its_limit_of_entries() {
    let node = node();
    let entries: Vec<_> = (0..5_000)
        .map(|i| {
            let one = reading("x", "hall", 1_000, START + i);
            let entry = Entry::encode(&[one], &Rejections::default());
            let (key, value) = entry.as_pair();
            (key, value.to_vec())
        })
        .collect();
    node.key_value().set_many(&entries).unwrap();
    // Every look at the clock costs 100 ms: time for one step.
    let left = 5_000 - limits::ENTRIES_PER_FOLD_STEP_MAX;
    assert_eq!(left_after(&node, 100, Budget::waiting(500)), left);
    assert_eq!(node.keys("journal/"), left);
    assert_eq!(node.fold(), 0);
    assert_eq!(node.all_time("hall").readings, 5_000);
}

#[test]
fn a_fold_ends_where_the_clock_stands_still() {
    let node = node();
    eight_entries_of_10_000(&node);
    // As in a runtime whose clock moves only between awaits.
    let host = node.host.inner.clone().simulated(0, 1);
    let journal = host.key_value().unwrap();
    let inventory = Inventory::list(&host, &journal).unwrap();
    let left = |ms: u64| {
        let regions = Database::open(&host, Budget::waiting(ms)).unwrap();
        fold::run(&regions, &journal, &inventory).unwrap().left_entries
    };
    assert_eq!(left(limits::FOLD_STEP_MS_MIN - 1), 1);
    assert_eq!(left(limits::FOLD_STEP_MS_MIN), 0);
}

#[test]
fn senders_alone_keep_the_journal_short() {
    let mut node = Node::new(&[]).simulated(1, 3);
    let mut longest = 0;
    for index in 0..12_000 {
        node.accept(&in_hall("d", START - index));
        if index % 16 != 0 {
            continue;
        }
        let journal = node.key_value();
        let inventory = Inventory::list(&node.host.inner, &journal).unwrap();
        longest = longest.max(inventory.unfolded());
    }
    let most = 10 * limits::SINGLES_PER_FOLD;
    assert!((2..most).contains(&longest), "{longest} entries of 12,000 waited at once");
}

#[test]
fn senders_wait_ever_longer_before_they_are_refused_and_no_longer_than_needed() {
    let mut node = Node::new(&[("journal_max_entries", "3000")]).simulated(0, 3);
    let other = node.host.inner.sql().unwrap();
    node.fold();
    Sql::execute(&other, "BEGIN IMMEDIATE", &[]).unwrap();
    // The clock stands still, but for what a request waits. The more regions, the likelier a
    // request folds, and looks at the journal.
    let send = |node: &mut Node, index: i64| {
        let reading = |region: i64| {
            let (device, region) = (format!("d-{region}"), format!("region-{region}"));
            let at = START - index;
            json!({"device_id": device, "region": region, "temperature_c": 1, "timestamp": at})
        };
        let before = node.host.inner.monotonic_ms();
        let status = node.send(&(0..50).map(reading).collect(), false).status;
        (status, node.host.inner.monotonic_ms() - before)
    };
    let (mut sent, mut pauses) = (0, Vec::new());
    loop {
        let (status, waited_ms) = send(&mut node, sent);
        sent += 1;
        if status == 503 {
            break;
        }
        assert_eq!(status, 202);
        pauses.push(waited_ms);
        assert!(sent < 10_000, "never refused");
    }
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert!(pauses.iter().take(1_500).all(|ms| *ms == 0), "half of the bound is free");
    let mut levels = pauses.clone();
    levels.dedup();
    assert!(levels.len() >= 4, "too sudden: {levels:?}");
    assert_eq!(levels.last(), Some(&392));

    Sql::execute(&other, "COMMIT", &[]).unwrap();
    assert_eq!(node.get("/v1/regions").status, 200);
    let (_, waited_ms) = send(&mut node, sent);
    assert_eq!(waited_ms, 0, "all of it is folded");
}

#[test]
fn a_fold_that_does_not_wait_for_the_lock_leaves_the_entries_to_its_holder() {
    let node = node();
    node.fold();
    node.journal(&[reading("b", "hall", 1, START)]);
    let busy = node.host.inner.sql().unwrap();
    Sql::execute(&busy, "BEGIN IMMEDIATE", &[]).unwrap();
    let journal = node.key_value();
    let inventory = Inventory::list(&node.host.inner, &journal).unwrap();
    let at_once = Budget { lock_ms: 0, total_ms: 1_000 };
    let regions = Database::open(&node.host.inner, at_once).unwrap();
    assert_eq!(fold::run(&regions, &journal, &inventory).unwrap().left_entries, 1);
    let regions = Database::open(&node.host.inner, Budget::waiting(50)).unwrap();
    let refused =
        fold::post_now(&regions, &[reading("c", "hall", 1, START)], &Rejections::default());
    assert!(refused.unwrap_err().is_busy());
    Sql::execute(&busy, "COMMIT", &[]).unwrap();
    assert_eq!(node.fold(), 0);
    assert_eq!(node.counted(Tier::AllTime), 1);
}
