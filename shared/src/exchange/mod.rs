//! The exchange between nodes, on the side of the sender.
//!
//! The ledger is a set of readings, each with an identity of its own, and nothing is ever
//! taken out of it but by age. A node sends its readings to its peers, and each of them
//! counts those that it does not have. So neither order nor repetition matters, and a peer
//! may be lost, restored, or named by several nodes. All that is kept here is kept to save
//! bytes: what a peer may not have (`ledger::outbox`), and what is under way.
//!
//! One exchange is a batch and its answer: [`push::prepare`] takes what waits and makes the
//! batch, in one transaction; it is sent while no transaction is open; [`apply::apply`]
//! acts on the answer, in another transaction. Any number of them may be lost, doubled or
//! late. A *beat* ([`beat`]) makes exchanges with all peers in turn until nothing is left to send.
//!
//! Rules without which it would be wrong (decision 13 says how often):
//!
//! 1. An answer to a question with another anchor than the present one is ignored.
//! 2. A peer that does not know the anchor, or is another node, gets everything again.
//! 3. A batch is struck only if its own answer came, which says what was rejected, and the
//!    peer's database has it; and only what was in it (`outbox`).
//! 4. What was asked for several answers and is not counted is sent again.
//! 5. Everything goes to each peer, also what came from that peer.
//!
//! Imports everything below `api`.

pub mod apply;
pub(crate) mod beat;
mod outcome;
pub mod peers;
pub mod push;
mod selected;
