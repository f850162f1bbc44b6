//! Threads that send messages to the node. The messages of a topic are in one lane, so that
//! they stay in their order; those of other topics do not wait for them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use anyhow::Result;
use rumqttc::Publish;
use tokio::sync::mpsc::UnboundedSender;

use crate::gate::Gate;
use crate::pauses::Pauses;
use crate::post::{Poster, Verdict};
use crate::report::{Report, Source};

/// A failure is told once so many attempts at a message have failed. The first may be a node
/// that is restarted.
const TOLD_AFTER: usize = 2;

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its number among those of QoS 1 (`Arrivals`); none for QoS 0.
    pub(crate) number: Option<u64>,
    /// What the broker sent.
    pub(crate) publish: Publish,
}

/// What became of a message. There is one for each.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its number among those of QoS 1.
    pub(crate) number: Option<u64>,
    /// How many bytes it had.
    pub(crate) bytes: usize,
    /// Whether it may be acknowledged: the node has it, or will never take it.
    pub(crate) is_settled: bool,
}

/// What all lanes share.
pub(crate) struct Shared {
    /// Sends to the node.
    pub(crate) poster: Poster,
    /// Whether a message is still wanted.
    pub(crate) gate: Arc<Gate>,
    /// Counts, and prints.
    pub(crate) report: Arc<Report>,
}

/// The lanes. When they are dropped, each of them ends after what it is doing.
pub(crate) struct Lanes {
    inboxes: Vec<Sender<Message>>,
    hash: RandomState,
}

impl Lanes {
    /// Starts `count` of them, which tell their outcomes to `outcomes`.
    pub(crate) fn start(
        count: usize,
        shared: &Arc<Shared>,
        outcomes: &UnboundedSender<Outcome>,
    ) -> Result<Self> {
        let mut inboxes = Vec::new();
        for number in 0..count {
            let (sender, inbox) = mpsc::channel();
            let lane = Lane { number, shared: shared.clone(), outcomes: outcomes.clone() };
            let name = format!("lane-{number}");
            std::thread::Builder::new().name(name).spawn(move || lane.work(&inbox))?;
            inboxes.push(sender);
        }
        Ok(Self { inboxes, hash: RandomState::new() })
    }

    /// No lane, which takes no message.
    pub(crate) fn none() -> Self {
        Self { inboxes: Vec::new(), hash: RandomState::new() }
    }

    /// Gives a message to the lane of its topic. Returns whether there is one.
    pub(crate) fn send(&self, message: Message) -> bool {
        let hash = self.hash.hash_one(&message.publish.topic);
        let count = u64::try_from(self.inboxes.len()).unwrap_or(u64::MAX);
        let lane = hash.checked_rem(count).and_then(|lane| usize::try_from(lane).ok());
        let inbox = lane.and_then(|lane| self.inboxes.get(lane));
        inbox.is_some_and(|inbox| inbox.send(message).is_ok())
    }
}

struct Lane {
    number: usize,
    shared: Arc<Shared>,
    outcomes: UnboundedSender<Outcome>,
}

impl Lane {
    fn work(&self, inbox: &Receiver<Message>) {
        while let Ok(message) = inbox.recv() {
            let is_settled = self.deliver(&message);
            let bytes = message.publish.payload.len();
            let outcome = Outcome { number: message.number, bytes, is_settled };
            if self.outcomes.send(outcome).is_err() {
                // The program has ended without waiting.
                return;
            }
        }
    }

    /// Sends a message until it is settled, or not wanted any more. Returns whether it is
    /// settled.
    fn deliver(&self, message: &Message) -> bool {
        let Shared { poster, gate, report } = &*self.shared;
        let topic = &message.publish.topic;
        let mut pauses = Pauses::default();
        let mut failures = 0;
        while gate.wants(message.number) {
            let (why, asked) = match poster.post(topic, &message.publish.payload) {
                Verdict::Taken(rejected) => {
                    report.taken();
                    if let Some(said) = rejected {
                        report.rejected_in_part(topic, &said);
                    }
                    report.goes_on(Source::Lane(self.number));
                    return true;
                }
                Verdict::Refused(said) => {
                    report.refused(topic, &said);
                    report.goes_on(Source::Lane(self.number));
                    return true;
                }
                Verdict::Later(why, asked) => (why, asked),
            };
            failures += 1;
            if failures >= TOLD_AFTER {
                report.waits(Source::Lane(self.number), &why);
            }
            gate.wait(pauses.next_after(asked), message.number);
        }
        report.gave_up(Source::Lane(self.number));
        false
    }
}
