//! The metrics of the exchange with other nodes. A node without peers and senders has none
//! of them.

use crate::api::exposition_text::Text;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::exchange::peers::{self, Peer};
use crate::host::Sql;
use crate::ledger::aside;
use crate::ledger::outbox::{self, DROPPED, Left};
use crate::ledger::received::{self, KnownSender};
use crate::ledger::tally;
use crate::read::senders::is_silent;

/// A peer, what it is not known to have counted, and what is aside for it, by reason.
type KnownPeer = (Peer, Left, Vec<(String, Left)>);

/// What is known of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nodes {
    peers: Vec<KnownPeer>,
    dropped: i64,
    senders: Vec<KnownSender>,
    silent_ms: i64,
    now: UnixMillis,
}

impl Nodes {
    pub(crate) fn load(sql: &impl Sql, silent_ms: i64, now: UnixMillis) -> Result<Self, Error> {
        let mut known = Vec::new();
        for peer in peers::all(sql)? {
            let (left, aside) = (outbox::left(sql, peer.peer)?, aside::of_peer(sql, peer.peer)?);
            known.push((peer, left, aside));
        }
        let (dropped, senders) = (tally(sql, DROPPED)?, received::senders(sql)?);
        Ok(Self { peers: known, dropped, senders, silent_ms, now })
    }

    /// No exchange, or none that the caller may see.
    pub(crate) fn none() -> Self {
        let (peers, senders, now) = (Vec::new(), Vec::new(), UnixMillis::MIN);
        Self { peers, dropped: 0, senders, silent_ms: 0, now }
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(at: UnixMillis) -> i64 {
    at.get().div_euclid(1_000)
}

impl Text {
    pub(super) fn nodes(&mut self, nodes: &Nodes) {
        if !nodes.peers.is_empty() || nodes.dropped > 0 {
            self.peers(nodes);
        }
        if !nodes.senders.is_empty() {
            self.senders(nodes);
        }
    }

    fn peers(&mut self, nodes: &Nodes) {
        type Value = fn(&Peer, &Left) -> i64;
        let gauges: [(&str, &str, Value); 4] = [
            (
                "isotherm_outbox_minutes",
                "Minutes of which a peer may not have all readings.",
                |_, left| number(left.minutes),
            ),
            (
                "isotherm_outbox_readings",
                "Readings that a peer is not known to have counted.",
                |_, left| number(left.readings),
            ),
            ("isotherm_peer_up", "Whether a peer took what was sent to it last.", |peer, _| {
                i64::from(peer.answered.is_some() && peer.failures == 0)
            }),
            (
                "isotherm_peer_answered_timestamp_seconds",
                "When a peer last took what was sent to it, Unix time; 0 if it never did.",
                |peer, _| peer.answered.map_or(0, seconds),
            ),
        ];
        for (name, help, value) in gauges {
            self.family(name, "gauge", help);
            for (peer, left, _) in &nodes.peers {
                // An origin has no character that has to be escaped in a label.
                self.sample(name, &[("peer", &peer.origin)], value(peer, left));
            }
        }
        let name = "isotherm_outbox_aside_readings";
        self.family(name, "gauge", "Readings that a peer rejects at the moment, by its reason.");
        for (peer, _, aside) in &nodes.peers {
            for (reason, left) in aside {
                let labels = [("peer", peer.origin.as_str()), ("reason", reason)];
                self.sample(name, &labels, number(left.readings));
            }
        }
        let name = "isotherm_outbox_dropped_readings_total";
        self.family(name, "counter", "Readings that were deleted before a peer had them.");
        self.sample(name, &[], nodes.dropped);
        let name = "isotherm_peer_resent_total";
        self.family(name, "counter", "How often everything was to be sent to a peer again.");
        for (peer, ..) in &nodes.peers {
            self.sample(name, &[("peer", &peer.origin)], peer.again);
        }
    }

    fn senders(&mut self, nodes: &Nodes) {
        type Value = fn(&KnownSender, &Nodes) -> i64;
        let gauges: [(&str, &str, Value); 5] = [
            (
                "isotherm_sender_contact_timestamp_seconds",
                "When a node last sent to this one, Unix time.",
                |sender, _| seconds(sender.contact),
            ),
            (
                "isotherm_sender_as_of_timestamp_seconds",
                "The clock of a node that sends to this one when it last did, Unix time.",
                |sender, _| seconds(sender.as_of),
            ),
            (
                "isotherm_sender_behind_readings",
                "Readings that a node still had to send when it last did.",
                |sender, _| sender.waiting,
            ),
            (
                "isotherm_sender_missing_readings",
                "The same, and an estimate of what it has measured since it is silent.",
                |sender, nodes| sender.missing(nodes.silent_ms, nodes.now),
            ),
            (
                "isotherm_sender_silent",
                "Whether a node has not sent for longer than sender_silent_after.",
                |sender, nodes| i64::from(is_silent(sender, nodes.silent_ms, nodes.now)),
            ),
        ];
        for (name, help, value) in gauges {
            self.family(name, "gauge", help);
            for sender in &nodes.senders {
                let node = sender.node.to_string();
                let labels = [("node", node.as_str()), ("name", &sender.name)];
                self.sample(name, &labels, value(sender, nodes));
            }
        }
        let name = "isotherm_sender_forks_total";
        self.family(name, "counter", "How often a node went on from an earlier state.");
        for sender in &nodes.senders {
            let node = sender.node.to_string();
            let labels = [("node", node.as_str()), ("name", &sender.name)];
            self.sample(name, &labels, sender.forks);
        }
    }
}
