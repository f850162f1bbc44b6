//! When the last good averages are kept.

use isotherm::host::Host;
use isotherm::inventory::Inventory;
use isotherm::reading::UnixMillis;
use isotherm_host::native::NativeHost;
use serde_json::json;
use tempfile::TempDir;

use crate::faulty::{FaultyHost, Node, Plan};

const START: i64 = 1_700_000_000_000;

/// How many calls to a store an answer costs, and whether it left another
/// snapshot.
fn read(node: &mut Node) -> (usize, bool) {
    let snapshots = |node: &Node| {
        let store = node.host.inner.key_value().unwrap();
        Inventory::list(&node.host.inner, &store).unwrap().snapshots
    };
    let before = snapshots(node);
    node.host.plan = Plan::new(0, false, false);
    assert_eq!(node.get("/v1/regions").status, 200);
    let after = snapshots(node);
    assert_eq!(after.len(), 1, "one, but for a moment");
    (node.host.plan.calls(), after != before)
}

#[test]
fn a_snapshot_is_kept_every_ten_seconds_at_most_and_costs_the_other_answers_nothing() {
    let directory = TempDir::new().unwrap();
    let native = NativeHost::new(directory.path(), &[]).unwrap().simulated(1, 1);
    let host = FaultyHost { inner: native, plan: Plan::new(0, false, false) };
    let mut node = Node { host, now: UnixMillis::new(START).unwrap() };
    let reading =
        json!({"device_id": "d", "region": "hall", "temperature_c": 1, "timestamp": START});
    assert_eq!(node.post(&reading, None).status, 202);
    assert!(read(&mut node).1);

    // The node's clock goes on by a second with every request, and nothing new
    // comes.
    let answers: Vec<(usize, bool)> = (0..40).map(|_| read(&mut node)).collect();
    let kept = answers.iter().filter(|(_, kept)| *kept).count();
    assert_eq!(kept, 4);
    let most = answers.iter().filter(|(_, kept)| !kept).map(|(calls, _)| *calls).max().unwrap();
    assert!(most <= 6, "{most} calls for an answer that leaves no snapshot");

    // A clock that was set back does not keep the old one for ever.
    node.now = node.now.saturating_sub(3_600_000);
    assert!(read(&mut node).1);
}
