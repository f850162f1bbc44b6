//! A row of the ledger that can't be read, at the node that sends.

use super::linked::Linked;
use super::stories::accept;
use crate::support::readings::MINUTE;

#[test]
fn a_row_that_can_not_be_read_is_not_sent_and_the_log_says_so_and_the_rest_is_sent() {
    let mut linked = Linked::new(&[]);
    accept(&mut linked, "d1", (0..10).map(|age| age * MINUTE));
    linked.gateway.fold();
    let damaged = "(SELECT minute FROM ledger ORDER BY minute LIMIT 1 OFFSET 4)";
    linked.gateway.execute(&format!(
        "UPDATE ledger SET run = substr(run, 1, length(run) - 1) WHERE minute = {damaged}"
    ));
    for _ in 0..3 {
        linked.beat();
    }
    linked.hub.fold();
    assert_eq!(linked.hub.counted_as().len(), 9);
    let logged = linked.gateway.host.inner.logged();
    let said = logged.iter().filter(|line| line.contains("is not sent to peer"));
    let said: Vec<&String> = said.collect();
    assert!(matches!(said[..], [one] if one.contains("ledger minute=")), "{logged:#?}");
}
