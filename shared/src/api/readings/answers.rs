//! The responses to a sender of readings.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use super::batch::Batch;
use crate::api::denial::lacks;
use crate::http::{ItemError, Kind, Problem, Response, is_zero};
use crate::ledger::Outcome;
use crate::limits;
use crate::wire::item::Unreadable;

pub(crate) fn unreadable(unreadable: Unreadable) -> Problem {
    match unreadable {
        Unreadable::Empty => Problem::new(
            Kind::Unreadable,
            "the body is empty; it must be a reading or an array of readings; nothing was stored",
        ),
        Unreadable::Syntax(place) => Problem::new(
            Kind::Unreadable,
            format!("the request is not valid {place}; nothing was stored"),
        ),
        Unreadable::CutShort(bytes) => Problem::new(
            Kind::Unreadable,
            format!(
                "the body ends too early, after {bytes} bytes: it was cut off, or a quote or a \
                 bracket is not closed; nothing was stored"
            ),
        ),
        Unreadable::Shape => Problem::new(
            Kind::Unreadable,
            "the body must be a reading or an array of readings; nothing was stored",
        ),
        Unreadable::Refused(why) => {
            Problem::new(Kind::Unreadable, format!("{why}; nothing was stored"))
        }
        Unreadable::TooMany => Problem::new(
            Kind::TooLarge,
            format!(
                "more than {} readings in one request; nothing was stored, send smaller batches",
                limits::READINGS_PER_REQUEST_MAX
            ),
        ),
    }
}

pub(super) fn nothing_valid(batch: &Batch<'_>) -> Problem {
    let (named, omitted) = batch.named();
    let detail = match batch.items {
        0 => Cow::Borrowed(
            "the array is empty; it must have at least one reading: an object with device_id, \
             region, temperature_c and timestamp",
        ),
        1 => Cow::Borrowed("the reading was rejected: see errors, correct it, and send it again"),
        n => Cow::Owned(format!(
            "all {n} readings were rejected: see errors, correct them, and send them again"
        )),
    };
    Problem::new(Kind::NothingValid, detail).with_errors(named, omitted)
}

/// The answer where the token allows none of the readings.
pub(super) fn nothing_allowed(batch: &Batch<'_>) -> Problem {
    let (named, omitted) = batch.named();
    lacks("write:<device>@<region>").with_errors(named, omitted)
}

#[derive(Serialize)]
struct JournaledBody<'a> {
    ack: &'static str,
    accepted: usize,
    /// The accepted readings that are ahead of the node's clock, and wait for it to be
    /// set.
    #[serde(skip_serializing_if = "is_zero")]
    waiting_for_clock: usize,
    /// The accepted readings with the time of their arrival, as their sender gave none.
    #[serde(skip_serializing_if = "is_zero")]
    time_assumed: usize,
    rejected: Vec<ItemError>,
    #[serde(skip_serializing_if = "is_zero")]
    rejected_omitted: usize,
    /// Fields that were not looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ignored_fields: &'a [&'a str],
}

pub(crate) fn journaled(batch: &Batch<'_>) -> Response {
    let (rejected, rejected_omitted) = batch.named();
    // Readings that are ahead are rejected, or accepted without being in `readings`.
    let accepted = batch.counts().accepted;
    let waiting_for_clock = accepted - batch.readings.len();
    let body = JournaledBody {
        ack: "journaled",
        accepted,
        waiting_for_clock,
        time_assumed: batch.assumed(),
        rejected,
        rejected_omitted,
        ignored_fields: &batch.ignored,
    };
    Response::json(StatusCode::ACCEPTED, &body)
}

#[derive(Serialize)]
struct FoldedBody<'a> {
    ack: &'static str,
    stored: usize,
    duplicates: usize,
    conflicts: usize,
    #[serde(skip_serializing_if = "is_zero")]
    time_assumed: usize,
    /// The outcome of every item, in the order of the request.
    outcomes: Vec<&'static str>,
    rejected: Vec<ItemError>,
    #[serde(skip_serializing_if = "is_zero")]
    rejected_omitted: usize,
    /// Fields that were not looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ignored_fields: &'a [&'a str],
}

pub(super) fn folded(batch: &mut Batch<'_>, outcomes: &[Outcome]) -> Response {
    let time_assumed = batch.assumed();
    let mut named = vec!["rejected"; batch.items];
    for (index, outcome) in batch.positions.iter().zip(outcomes) {
        let name = match outcome {
            Outcome::Stored => "stored",
            Outcome::Duplicate => "duplicate",
            Outcome::Conflict => "conflict",
            Outcome::TooOld => continue,
        };
        if let Some(place) = named.get_mut(*index) {
            *place = name;
        }
    }
    batch.reject_too_old(outcomes);
    let count = |outcome| outcomes.iter().filter(|&&o| o == outcome).count();
    let (rejected, rejected_omitted) = batch.named();
    let body = FoldedBody {
        ack: "folded",
        stored: count(Outcome::Stored),
        duplicates: count(Outcome::Duplicate),
        conflicts: count(Outcome::Conflict),
        time_assumed,
        outcomes: named,
        rejected,
        rejected_omitted,
        ignored_fields: &batch.ignored,
    };
    Response::json(StatusCode::OK, &body)
}
