//! How long a fold works, and for whose lock it waits.

use isotherm::domain::rejection::Rejections;
use isotherm::fold;
use isotherm::host::{Host, Sql};
use isotherm::journal::inventory::Inventory;
use isotherm::ledger::database::{Budget, Database};
use isotherm::limits;
use isotherm_host::native::NativeHost;
use tempfile::TempDir;

use crate::faulty::{FaultyHost, Plan};
use crate::folding::{Node, START, at, reading};

fn five_entries_of_10_000(node: &Node) {
    for chunk in 0..5 {
        let at = |i: i64| reading("x", "hall", 1, START + i + chunk * 10_000);
        node.journal(&(0..10_000).map(at).collect::<Vec<_>>());
    }
}

#[test]
fn a_fold_stops_when_its_time_is_up_and_says_what_is_left() {
    let node = Node::new();
    five_entries_of_10_000(&node);
    // Every look at the clock costs 100 ms, so one step is all there is time
    // for: four entries reach the bound of readings.
    let host = node.host.clone().simulated(100, 1);
    let journal = host.key_value().unwrap();
    let inventory = Inventory::list(&host, &journal).unwrap();
    let regions = Database::open(&host, Budget::waiting(500)).unwrap();
    assert_eq!(fold::run(&regions, &journal, &inventory).unwrap().left_entries, 1);
    assert_eq!(node.number("SELECT readings FROM windows WHERE span = 0"), 40_000);
    assert_eq!(node.keys("journal/"), 1);
    assert_eq!(node.fold(), 0);
    assert_eq!(node.number("SELECT readings FROM windows WHERE span = 0"), 50_000);
}

#[test]
fn a_fold_ends_where_the_clock_stands_still() {
    let node = Node::new();
    five_entries_of_10_000(&node);
    // As in a runtime whose clock moves only between awaits.
    let host = node.host.clone().simulated(0, 1);
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
    let directory = TempDir::new().unwrap();
    let inner = NativeHost::new(directory.path(), &[]).unwrap().simulated(1, 3);
    let host = FaultyHost { inner, plan: Plan::new(0, false, false) };
    let mut node = crate::faulty::Node { host, now: at(START) };
    let journaled = |node: &crate::faulty::Node| {
        let journal = node.host.inner.key_value().unwrap();
        Inventory::list(&node.host.inner, &journal).unwrap().unfolded()
    };
    let mut longest = 0;
    for index in 0..6_000 {
        let reading = serde_json::json!({
            "device_id": "d", "region": "hall", "temperature_c": 1, "timestamp": START - index,
        });
        assert_eq!(node.post(&reading, None).status, http::StatusCode::ACCEPTED);
        longest = longest.max(journaled(&node));
    }
    let most = 10 * limits::SINGLES_PER_FOLD;
    assert!((2..most).contains(&longest), "{longest} entries of 6,000 waited at once");
}

#[test]
fn who_does_not_wait_for_the_lock_leaves_the_entries_to_who_has_it() {
    let node = Node::new();
    node.fold();
    node.journal(&[reading("b", "hall", 1, START)]);
    let busy = node.host.sql().unwrap();
    Sql::execute(&busy, "BEGIN IMMEDIATE", &[]).unwrap();
    let journal = node.host.key_value().unwrap();
    let inventory = Inventory::list(&node.host, &journal).unwrap();
    let regions = Database::open(&node.host, Budget { lock_ms: 0, total_ms: 1_000 }).unwrap();
    assert_eq!(fold::run(&regions, &journal, &inventory).unwrap().left_entries, 1);
    let regions = Database::open(&node.host, Budget::waiting(50)).unwrap();
    let refused =
        fold::post_now(&regions, &[reading("c", "hall", 1, START)], &Rejections::default());
    assert!(refused.unwrap_err().is_busy());
    Sql::execute(&busy, "COMMIT", &[]).unwrap();
    assert_eq!(node.fold(), 0);
    assert_eq!(node.number("SELECT sum(readings) FROM windows WHERE span = 0"), 1);
}
