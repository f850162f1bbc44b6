//! What each rule of the exchange is for: the smallest story that ends wrong without it. A
//! gateway sends to a hub; at the end the hub has all that the gateway has.

use isotherm::internals::exchange::push::Prepared;
use isotherm::internals::wire::batch::MEDIA_TYPE;
use serde_json::Value;

use super::member::{DATABASE, JOURNAL, Member, reading};
use crate::support::readings::NOW;

const GATEWAY: usize = 0;
const HUB: usize = 1;

struct Pair {
    gateway: Member,
    hub: Member,
    now: i64,
}

impl Pair {
    fn new() -> Self {
        Self { gateway: Member::new(GATEWAY, &[HUB]), hub: Member::new(HUB, &[]), now: NOW }
    }

    /// The gateway counts the reading of this number.
    fn measure(&mut self, number: usize) {
        count(&self.gateway, number, self.now);
    }

    /// A batch, or a question if nothing waits.
    fn ask(&mut self) -> Prepared {
        self.now += 1_000;
        self.gateway.prepare(HUB, self.now)
    }

    /// The hub keeps the batch in its journal, and answers.
    fn keep(&self, asked: &Prepared) -> Vec<u8> {
        self.hub.post(MEDIA_TYPE, &asked.body, self.now)
    }

    fn hear(&self, asked: &Prepared, answer: &[u8]) {
        self.gateway.hear(&asked.told, answer, self.now);
    }

    /// Asks once; then the hub folds.
    fn beat(&mut self) {
        let asked = self.ask();
        let answer = self.keep(&asked);
        self.hear(&asked, &answer);
        self.hub.node().fold();
    }

    /// Measures, sends, and hears that it is counted.
    fn send(&mut self, number: usize) {
        self.measure(number);
        self.beat();
        self.beat();
        assert!(self.gateway.is_at_rest());
    }

    /// Beats, minutes apart, until nothing moves.
    #[track_caller]
    fn settle(mut self) {
        for _ in 0..20 {
            self.now += 150_000;
            self.beat();
        }
        assert!(self.gateway.is_at_rest());
        let (has, hub_has) = (self.gateway.node().counted_as(), self.hub.node().counted_as());
        let lacks: Vec<_> = has.keys().filter(|stored| !hub_has.contains_key(stored)).collect();
        assert!(lacks.is_empty(), "the hub lacks {lacks:?}");
    }
}

fn count(member: &Member, number: usize, now: i64) {
    let body = Value::from(vec![reading(number)]).to_string();
    member.post("application/json", body.as_bytes(), now);
    member.node().fold();
}

#[test]
fn by_the_anchor_the_gateway_sees_that_the_hub_was_restored() {
    let mut pair = Pair::new();
    pair.send(0);
    let copy = pair.hub.copied(&[DATABASE]);
    pair.send(1);
    pair.hub.bring_back(copy.path(), vec![DATABASE]);
    pair.settle();
}

#[test]
fn a_batch_that_is_asked_for_in_vain_is_sent_again() {
    let mut pair = Pair::new();
    pair.measure(0);
    let asked = pair.ask();
    let answer = pair.keep(&asked);
    pair.hear(&asked, &answer);
    // The hub's journal is lost before the fold.
    pair.hub.lose(&JOURNAL);
    pair.settle();
}

#[test]
fn what_the_hub_had_acknowledged_and_lost_is_missing_until_it_is_sent_again() {
    let mut pair = Pair::new();
    pair.send(0);
    let copy = pair.hub.copied(&[DATABASE]);
    pair.measure(1);
    pair.measure(2);
    pair.beat();
    // Restored to before it, the hub still knows the anchor, and says nothing of a restore.
    pair.hub.bring_back(copy.path(), vec![DATABASE]);
    pair.hub.lose(&JOURNAL);
    let waiting =
        |pair: &Pair| pair.hub.node().execute("SELECT waiting FROM senders")[0][0].clone();
    for missing in [0, 0, 2, 2] {
        pair.beat();
        assert_eq!(waiting(&pair), isotherm::host::Value::Integer(missing));
    }
    pair.settle();
}

#[test]
fn what_is_counted_while_a_batch_of_its_minute_is_under_way_is_not_struck_with_it() {
    let mut pair = Pair::new();
    pair.measure(0);
    pair.beat();
    // The answer that the batch is counted comes behind another reading of its minute.
    let asked = pair.ask();
    let answer = pair.keep(&asked);
    pair.measure(1);
    pair.hear(&asked, &answer);
    pair.settle();
}

#[test]
fn what_came_from_the_hub_itself_is_sent_back_to_it() {
    let mut pair = Pair { hub: Member::new(HUB, &[GATEWAY]), ..Pair::new() };
    let copy = pair.hub.copied(&[DATABASE]);
    count(&pair.hub, 0, pair.now);
    let sent = pair.hub.prepare(GATEWAY, pair.now);
    pair.gateway.post(MEDIA_TYPE, &sent.body, pair.now);
    pair.gateway.node().fold();
    pair.hub.bring_back(copy.path(), vec![DATABASE]);
    pair.settle();
}

#[test]
fn the_batch_that_was_counted_last_is_the_anchor() {
    let mut pair = Pair::new();
    pair.send(0);
    let copy = pair.hub.copied(&[DATABASE]);
    pair.send(1);
    pair.send(2);
    pair.hub.bring_back(copy.path(), vec![DATABASE]);
    pair.settle();
}

#[test]
fn an_answer_to_an_earlier_question_does_not_move_the_anchor_back() {
    let mut pair = Pair::new();
    pair.measure(0);
    pair.beat();
    // An answer that names the first batch as the last one that is counted.
    let asked = pair.ask();
    let late = pair.keep(&asked);
    pair.beat();
    let copy = pair.hub.copied(&[DATABASE]);
    pair.send(1);
    pair.hub.bring_back(copy.path(), vec![DATABASE]);
    pair.hear(&asked, &late);
    pair.settle();
}

#[test]
fn a_batch_that_a_restored_hub_counts_again_has_another_mark() {
    let mut pair = Pair::new();
    pair.send(0);
    let copy = pair.hub.copied(&[DATABASE]);
    pair.send(1);
    pair.measure(2);
    let asked = pair.ask();
    let answer = pair.keep(&asked);
    pair.hear(&asked, &answer);
    pair.hub.node().fold();
    pair.beat();
    pair.hub.bring_back(copy.path(), vec![DATABASE]);
    // The last batch comes once more, and without the one before it.
    pair.keep(&asked);
    pair.hub.node().fold();
    pair.settle();
}
