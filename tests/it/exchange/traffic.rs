//! What is on its way between the nodes of the model: questions and answers, in any order.

use isotherm::internals::exchange::push::{Prepared, Told};
use isotherm::internals::wire::batch::MEDIA_TYPE;

use super::member::{Chance, Member};

/// What is on its way.
pub(super) enum Packet {
    Question { from: usize, to: usize, prepared: Prepared },
    Answer { to: usize, told: Told, body: Vec<u8> },
}

/// A question that is answered and heard at once, and counted. Some packets come once more,
/// later.
pub(super) fn exchange(
    members: &[Member],
    question: Packet,
    wire: &mut Vec<Packet>,
    chance: &mut Chance,
    now: i64,
) {
    let Packet::Question { to, .. } = &question else { return };
    let answer = deliver(members, &question, now);
    members[*to].node().fold();
    if let Some(answer) = answer {
        deliver(members, &answer, now);
        wire.extend(chance.percent(60).then_some(answer));
    }
    wire.extend(chance.percent(60).then_some(question));
}

/// Delivers any packet that is on its way, or loses it. Of a hundred, so many are lost, and so
/// many come once more.
pub(super) fn deliver_one(
    members: &[Member],
    wire: &mut Vec<Packet>,
    (lost, doubled): (usize, usize),
    chance: &mut Chance,
    now: i64,
) {
    let index = chance.below(wire.len());
    let (lost, stays) = (chance.percent(lost), chance.percent(doubled));
    if !lost {
        let answer = deliver(members, &wire[index], now);
        wire.extend(answer);
    }
    if !stays {
        wire.remove(index);
    }
}

/// Delivers a packet, and returns the answer to it.
pub(super) fn deliver(members: &[Member], packet: &Packet, now: i64) -> Option<Packet> {
    match packet {
        Packet::Question { from, to, prepared } => {
            let Prepared { body, told } = prepared;
            let body = members[*to].post(MEDIA_TYPE, body, now);
            Some(Packet::Answer { to: *from, told: told.clone(), body })
        }
        Packet::Answer { to, told, body } => {
            members[*to].hear(told, body, now);
            None
        }
    }
}

/// Nothing is lost any more: folds and beats until nothing moves.
pub(super) fn settle(members: &mut [Member], now: &mut i64) {
    for _ in 0..100 {
        *now += 150_000;
        for own in 0..members.len() {
            for peer in members[own].peers.clone() {
                let prepared = members[own].prepare(peer, *now);
                let question = Packet::Question { from: own, to: peer, prepared };
                let answer = deliver(members, &question, *now).unwrap();
                deliver(members, &answer, *now);
            }
        }
        for member in members.iter() {
            member.node().fold();
        }
        if members.iter().all(Member::is_at_rest) {
            break;
        }
    }
}
