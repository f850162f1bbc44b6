//! The readings of a request, each accepted or rejected.

use crate::api::names;
use crate::base::sort;
use crate::domain::reading::{Reading, UnixMillis};
use crate::domain::rejection::{AsSent, Reason, Rejection, Rejections};
use crate::http::ItemError;
use crate::journal::door::Door;
use crate::ledger::Outcome;
use crate::limits;
use crate::log::Counts;
use crate::settings::{Horizon, OLDER_THAN_LEDGER};
use crate::wire::item::Item;

/// The readings of a request that may be counted, with their positions, and the
/// rejections of the others.
pub(crate) struct Batch<'a> {
    pub(crate) items: usize,
    pub(crate) readings: Vec<Reading<'a>>,
    pub(crate) positions: Vec<usize>,
    /// Readings that are ahead of the node's clock. They are rejected, unless the clock
    /// is known to be behind.
    pub(crate) ahead: Vec<(usize, Reading<'a>)>,
    pub(crate) rejected: Vec<RejectedItem>,
    /// Fields that were ignored, each once.
    pub(crate) ignored: Vec<&'a str>,
}

/// An item that was rejected.
pub(crate) struct RejectedItem {
    pub(crate) reason: Reason,
    /// What the answer says.
    pub(crate) error: ItemError,
    /// The names in it.
    pub(crate) sent: Option<Box<AsSent>>,
}

impl RejectedItem {
    /// Whether the other one differs in nothing but its place, and in how far its time is off.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let is_of_time = matches!(self.reason, Reason::InFuture | Reason::TooOld);
        (self.reason, &self.sent) == (other.reason, &other.sent)
            && (is_of_time || self.error.detail == other.error.detail)
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        items: Vec<Item<'a>>,
        horizon: Horizon,
        door: &Door,
        now: UnixMillis,
    ) -> Self {
        let count = items.len();
        let mut batch = Self {
            items: count,
            readings: Vec::with_capacity(count),
            positions: Vec::with_capacity(count),
            ahead: Vec::new(),
            rejected: Vec::new(),
            ignored: Vec::new(),
        };
        let latest = horizon.latest(now);
        for (index, item) in items.into_iter().enumerate() {
            if let Some(reading) = item.as_ref().ok().filter(|reading| reading.timestamp > latest) {
                batch.ahead.push((index, reading.clone()));
            }
            match item.and_then(|reading| horizon.admit(reading, now, door.pruned_before)) {
                Ok(reading) => {
                    batch.readings.push(reading);
                    batch.positions.push(index);
                }
                Err(rejection) => batch.reject(index, rejection),
            }
        }
        batch
    }

    /// The same for readings of another node, which knows whether they came late. Those
    /// ahead of the clock are rejected.
    pub(crate) fn of_node(
        items: Vec<Item<'a>>,
        horizon: Horizon,
        door: &Door,
        now: UnixMillis,
    ) -> Self {
        let late = |item: &Item<'_>| item.as_ref().is_ok_and(Reading::is_late);
        let late: Vec<bool> = items.iter().map(late).collect();
        let mut batch = Self::new(items, horizon, door, now);
        batch.ahead.clear();
        for (reading, position) in batch.readings.iter_mut().zip(&batch.positions) {
            let is_late = late.get(*position).copied().unwrap_or(false);
            *reading = reading.clone().arrived(is_late);
        }
        batch
    }

    pub(crate) fn reject(&mut self, index: usize, rejection: Rejection) {
        let Rejection { reason, detail, sent } = rejection;
        let error = ItemError { index, reason: reason.code(), detail };
        self.rejected.push(RejectedItem { reason, error, sent });
    }

    /// Rejects the readings that the ledger found too old. Takes them all out.
    pub(crate) fn reject_too_old(&mut self, outcomes: &[Outcome]) {
        let positions = std::mem::take(&mut self.positions);
        let readings = std::mem::take(&mut self.readings);
        for ((index, reading), outcome) in positions.into_iter().zip(readings).zip(outcomes) {
            if *outcome == Outcome::TooOld {
                self.reject(index, Rejection::new(Reason::TooOld, OLDER_THAN_LEDGER).of(&reading));
            }
        }
    }

    /// Takes the readings that are ahead of the clock out of the rejected ones.
    pub(crate) fn keep_those_ahead(&mut self) {
        self.rejected.retain(|item| item.reason != Reason::InFuture);
    }

    /// Keeps the readings whose name is in `table`, and rejects the others. `known`
    /// says which these are, in the order of the readings.
    pub(crate) fn keep(&mut self, known: &[bool], table: &str) {
        let positions = std::mem::take(&mut self.positions);
        let readings = std::mem::take(&mut self.readings);
        for ((position, reading), is_known) in positions.into_iter().zip(readings).zip(known) {
            if *is_known {
                self.positions.push(position);
                self.readings.push(reading);
                continue;
            }
            let rejection = Rejection::new(Reason::TooManyNames, names::refusal(table));
            self.reject(position, rejection.of(&reading));
        }
        sort::sort_by_key(&mut self.rejected, |item| item.error.index as u128);
    }

    /// Whether some item was rejected for this reason.
    pub(crate) fn has(&self, reason: Reason) -> bool {
        self.rejected.iter().any(|item| item.reason == reason)
    }

    /// How many of the readings have the time of their arrival.
    pub(crate) fn assumed(&self) -> usize {
        self.readings.iter().filter(|reading| reading.is_time_assumed()).count()
    }

    pub(crate) fn counts(&self) -> Counts {
        let rejected = self.rejected.len();
        let reason = self.rejected.first().map(|item| item.reason.code());
        Counts { accepted: self.items - rejected, rejected, reason }
    }

    /// How many readings were rejected, by reason.
    pub(crate) fn rejections(&self) -> Rejections {
        let mut rejections = Rejections::default();
        for item in &self.rejected {
            rejections.add(item.reason, 1);
        }
        rejections
    }

    /// The rejections that an answer names, and how many it leaves out.
    pub(crate) fn named(&self) -> (Vec<ItemError>, usize) {
        let named = self.rejected.iter().take(limits::REJECTIONS_NAMED_MAX);
        let named: Vec<ItemError> = named.map(|item| item.error.clone()).collect();
        let omitted = self.rejected.len() - named.len();
        (named, omitted)
    }
}
