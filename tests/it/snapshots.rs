//! When the last good averages are kept.

use isotherm::internals::journal::inventory::Inventory;

use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{HOUR, START, in_hall, json_reading};

/// How many calls to a store an answer costs, and whether it left another
/// snapshot.
fn read(node: &mut Node) -> (usize, bool) {
    let snapshots = |node: &Node| {
        Inventory::list(&node.host.inner, &node.key_value()).unwrap().snapshots().to_vec()
    };
    let before = snapshots(node);
    // Which counts from here.
    node.set_plan(Plan::none());
    node.read("/v1/regions");
    let after = snapshots(node);
    assert_eq!(after.len(), 1, "one, but for a moment");
    (node.host.plan.calls(), after != before)
}

#[test]
fn a_snapshot_is_kept_every_ten_seconds_at_most_and_only_if_something_has_changed() {
    let mut node = Node::new(&[]).simulated(1, 1);
    node.accept(&in_hall("d", START));
    assert!(read(&mut node).1);

    // The node's clock goes on by a second with every request, and nothing new
    // comes: however long somebody looks on, nothing is written.
    let answers: Vec<(usize, bool)> = (0..40).map(|_| read(&mut node)).collect();
    assert_eq!(answers.iter().filter(|(_, kept)| *kept).count(), 0);
    let most = answers.iter().map(|(calls, _)| *calls).max().unwrap();
    assert!(most <= 18, "{most} calls for an answer that leaves no snapshot");

    // With every reading there is something new, and it is kept every ten seconds.
    let mut kept = 0;
    for second in 0..20 {
        node.accept(&in_hall("d", START + 1 + second));
        kept += usize::from(read(&mut node).1);
    }
    // Twenty requests of each kind are forty seconds.
    assert!((3..=5).contains(&kept), "{kept} snapshots in forty seconds");

    // A clock that was set back does not keep the old one for ever.
    node.now = node.now.saturating_sub(HOUR);
    node.accept_and_wait(&json_reading("d", "hall", 2, START - 2 * HOUR));
    assert!(read(&mut node).1);
}
