//! When the last good averages are kept.

use isotherm::domain::reading::UnixMillis;
use isotherm::host::Host;
use isotherm::journal::inventory::Inventory;
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
fn a_snapshot_is_kept_every_ten_seconds_at_most_and_only_if_something_has_changed() {
    let directory = TempDir::new().unwrap();
    let native = NativeHost::new(directory.path(), &[]).unwrap().simulated(1, 1);
    let host = FaultyHost { inner: native, plan: Plan::new(0, false, false) };
    let mut node = Node { host, now: UnixMillis::new(START).unwrap() };
    let reading =
        json!({"device_id": "d", "region": "hall", "temperature_c": 1, "timestamp": START});
    assert_eq!(node.post(&reading, None).status, 202);
    assert!(read(&mut node).1);

    // The node's clock goes on by a second with every request, and nothing new
    // comes: however long somebody looks on, nothing is written.
    let answers: Vec<(usize, bool)> = (0..40).map(|_| read(&mut node)).collect();
    assert_eq!(answers.iter().filter(|(_, kept)| *kept).count(), 0);
    let most = answers.iter().map(|(calls, _)| *calls).max().unwrap();
    assert!(most <= 7, "{most} calls for an answer that leaves no snapshot");

    // With every reading there is something new, and it is kept every ten seconds.
    let mut kept = 0;
    for second in 0..20 {
        let reading = json!({"device_id": "d", "region": "hall", "temperature_c": 1,
                             "timestamp": START + 1 + second});
        assert_eq!(node.post(&reading, None).status, 202);
        kept += usize::from(read(&mut node).1);
    }
    // Twenty requests of each kind are forty seconds.
    assert!((3..=5).contains(&kept), "{kept} snapshots in forty seconds");

    // A clock that was set back does not keep the old one for ever.
    node.now = node.now.saturating_sub(3_600_000);
    let reading = json!({"device_id": "d", "region": "hall", "temperature_c": 2, "timestamp": START - 7_200_000});
    assert_eq!(node.post(&reading, Some("wait")).status, 200);
    assert!(read(&mut node).1);
}
