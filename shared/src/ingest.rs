//! `POST /v1/readings`: from a body to an acknowledgement.
//!
//! The promise: a 2xx is sent after the readings are on disk, never before.

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::error::Error;
use crate::fold::{Backlog, Budget, Fold};
use crate::host::Host;
use crate::http::{ItemError, Kind, Problem, Refusal, Request, Response, is_zero};
use crate::journal::{self, Entry};
use crate::json::{self, Unreadable};
use crate::ledger::Outcome;
use crate::limits;
use crate::reading::{Reading, UnixMillis};
use crate::rejection::{Reason, Rejection};
use crate::settings::Horizon;

/// The route that `ingest` owns.
pub const READINGS_PATH: &str = "/v1/readings";

/// A response, and whether to look at the journal's length after it is sent.
#[derive(Clone, Debug)]
pub struct Handled {
    /// What to answer.
    pub response: Response,
    /// Whether to call `fold::after_answer` then.
    pub fold_after: bool,
}

impl From<Response> for Handled {
    fn from(response: Response) -> Self {
        Self { response, fold_after: false }
    }
}

/// Judges a request by its head, before its body is read.
pub fn check_head(request: &Request) -> Result<(), Problem> {
    if request.path != READINGS_PATH {
        return Err(Problem::new(Kind::NotFound, "readings are sent to /v1/readings"));
    }
    request.allow(&[Method::POST])?;
    if let Some(encoding) = request.content_encoding.as_deref()
        && !encoding.eq_ignore_ascii_case("identity")
    {
        let detail = "compressed bodies are not understood; send it as it is";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail)
            .with_header("accept-encoding", "identity"));
    }
    // A sensor that names no type sends JSON: there is nothing else yet.
    let media_type = request.content_type.as_deref().unwrap_or(JSON);
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(JSON) {
        let detail = "readings are application/json; set the header content-type to that";
        return Err(
            Problem::new(Kind::UnsupportedMediaType, detail).with_header("accept-post", JSON)
        );
    }
    Ok(())
}

const JSON: &str = "application/json";

/// Answers a request whose head was good. `now` is the node's clock.
pub fn post_readings(host: &impl Host, request: &Request, body: &[u8], now: UnixMillis) -> Handled {
    match accept(host, request, body, now) {
        Ok(handled) => handled,
        Err(refusal) => refusal.into_response(host).into(),
    }
}

fn accept(
    host: &impl Host,
    request: &Request,
    body: &[u8],
    now: UnixMillis,
) -> Result<Handled, Refusal> {
    let horizon = Horizon::from_variables(host)?;
    let mut batch = Batch::new(json::parse(body).map_err(unreadable)?, horizon, now);
    if batch.readings.is_empty() {
        return Err(nothing_valid(&batch).into());
    }
    if let Some(wait_ms) = wait_ms(request.prefer.as_deref()) {
        match fold_now(host, &batch.readings, wait_ms, horizon, now) {
            Ok(outcomes) => return Ok(folded(&mut batch, &outcomes).into()),
            // The journal takes it instead: durable, and counted later.
            Err(error) => host.log(&format!("Prefer: wait was not met: {error}")),
        }
    }
    let entry = Entry::encode(&batch.readings).ok_or(Error::Corrupt("batch"))?;
    let journal = host.key_value().map_err(Error::Journal)?;
    journal::append(&journal, &entry).map_err(Error::Journal)?;
    Ok(Handled { response: journaled(&batch), fold_after: is_turn_to_fold(&entry) })
}

/// A request's readings that may be counted, with their positions, and what is
/// wrong with the others.
struct Batch<'a> {
    items: usize,
    readings: Vec<Reading<'a>>,
    positions: Vec<usize>,
    rejected: Vec<ItemError>,
}

impl<'a> Batch<'a> {
    fn new(items: Vec<json::Item<'a>>, horizon: Horizon, now: UnixMillis) -> Self {
        let count = items.len();
        let mut batch = Self {
            items: count,
            readings: Vec::with_capacity(count),
            positions: Vec::with_capacity(count),
            rejected: Vec::new(),
        };
        for (index, item) in items.into_iter().enumerate() {
            match item.and_then(|r| horizon.admit(&r, now).map(|()| r)) {
                Ok(reading) => {
                    batch.readings.push(reading);
                    batch.positions.push(index);
                }
                Err(rejection) => batch.reject(index, rejection),
            }
        }
        batch
    }

    fn reject(&mut self, index: usize, rejection: Rejection) {
        let Rejection { reason, detail } = rejection;
        self.rejected.push(ItemError { index, reason: reason.code(), detail });
    }

    /// The rejections that an answer names, and how many it leaves out.
    fn named(&self) -> (&[ItemError], usize) {
        let named = self.rejected.len().min(limits::REJECTIONS_NAMED_MAX);
        (self.rejected.get(..named).unwrap_or_default(), self.rejected.len() - named)
    }
}

fn unreadable(unreadable: Unreadable) -> Problem {
    match unreadable {
        Unreadable::Syntax(place) => {
            Problem::new(Kind::Unreadable, format!("not JSON: {place}; nothing was kept"))
        }
        Unreadable::Shape => Problem::new(
            Kind::Unreadable,
            "the body must be a reading or an array of readings; nothing was kept",
        ),
        Unreadable::TooMany => Problem::new(
            Kind::TooLarge,
            format!(
                "more than {} readings in one request; nothing was kept, send smaller batches",
                limits::READINGS_PER_REQUEST_MAX
            ),
        ),
    }
}

fn nothing_valid(batch: &Batch<'_>) -> Problem {
    let (named, omitted) = batch.named();
    let detail = match batch.items {
        0 => Cow::Borrowed("the array is empty"),
        1 => Cow::Borrowed("the reading was rejected; correct it before sending it again"),
        n => Cow::Owned(format!("all {n} readings were rejected; correct them first")),
    };
    Problem::new(Kind::NothingValid, detail).with_errors(named.to_vec(), omitted)
}

#[derive(Serialize)]
struct Journaled<'a> {
    ack: &'static str,
    accepted: usize,
    rejected: &'a [ItemError],
    #[serde(skip_serializing_if = "is_zero")]
    rejected_omitted: usize,
}

fn journaled(batch: &Batch<'_>) -> Response {
    let (rejected, rejected_omitted) = batch.named();
    let accepted = batch.readings.len();
    let body = Journaled { ack: "journaled", accepted, rejected, rejected_omitted };
    Response::json(StatusCode::ACCEPTED, &body)
}

#[derive(Serialize)]
struct Folded<'a> {
    ack: &'static str,
    stored: usize,
    duplicate: usize,
    conflict: usize,
    /// Of every item of the request, in its order.
    outcomes: Vec<&'static str>,
    rejected: &'a [ItemError],
    #[serde(skip_serializing_if = "is_zero")]
    rejected_omitted: usize,
}

fn folded(batch: &mut Batch<'_>, outcomes: &[Outcome]) -> Response {
    let mut named = vec!["rejected"; batch.items];
    for (index, outcome) in std::mem::take(&mut batch.positions).into_iter().zip(outcomes) {
        let name = match outcome {
            Outcome::Stored => "stored",
            Outcome::Duplicate => "duplicate",
            Outcome::Conflict => "conflict",
            Outcome::TooOld => {
                let detail = "timestamp is older than what this node still tells apart";
                batch.reject(index, Rejection::new(Reason::TooOld, detail));
                "rejected"
            }
        };
        if let Some(place) = named.get_mut(index) {
            *place = name;
        }
    }
    batch.rejected.sort_by_key(|error| error.index);
    let count = |outcome| outcomes.iter().filter(|&&o| o == outcome).count();
    let (rejected, rejected_omitted) = batch.named();
    let body = Folded {
        ack: "folded",
        stored: count(Outcome::Stored),
        duplicate: count(Outcome::Duplicate),
        conflict: count(Outcome::Conflict),
        outcomes: named,
        rejected,
        rejected_omitted,
    };
    Response::json(StatusCode::OK, &body).with_header("preference-applied", "wait")
}

/// How long the sender wants to wait for the fold, in milliseconds: from
/// `Prefer: wait` or `Prefer: wait=10` (seconds, RFC 7240, section 4.3).
fn wait_ms(prefer: Option<&str>) -> Option<u64> {
    prefer?.split(',').find_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = match preference.split_once('=') {
            Some((name, value)) => (name, Some(value.trim().trim_matches('"'))),
            None => (preference, None),
        };
        if !name.trim().eq_ignore_ascii_case("wait") {
            return None;
        }
        let asked_ms = value.and_then(|s| s.parse::<u64>().ok()).map(|s| s.saturating_mul(1_000));
        Some(asked_ms.unwrap_or(limits::WAIT_MS_DEFAULT).min(limits::WAIT_MS_MAX))
    })
}

/// Posts the readings at once, behind what is already in the journal: what was
/// acknowledged first stands in a conflict.
fn fold_now<H: Host>(
    host: &H,
    readings: &[Reading<'_>],
    wait_ms: u64,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<Vec<Outcome>, Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let backlog = Backlog::list(&journal)?;
    let sql = host.sql().map_err(Error::Regions)?;
    let fold = Fold::new(host, &journal, &sql, Budget::waiting(wait_ms))?;
    fold.run(&backlog, horizon, now)?;
    fold.post(readings)
}

/// Whether this request is one of those that look at the journal's length.
///
/// Looking costs a listing of the store, so of single readings one in 64 does,
/// and the larger a batch is the likelier it does. The entry's digest is the
/// dice: nobody has to keep count.
fn is_turn_to_fold(entry: &Entry) -> bool {
    let weight = 1 + entry.name().readings() * 64 / limits::FOLD_DUE_READINGS;
    usize::from(entry.name().dice()) < weight.saturating_mul(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_to_wait_is_found_among_others() {
        for (prefer, expected) in [
            (None, None),
            (Some(""), None),
            (Some("respond-async"), None),
            (Some("waiting"), None),
            (Some("wait"), Some(2_000)),
            (Some("Wait"), Some(2_000)),
            (Some("respond-async, wait=1"), Some(1_000)),
            (Some("wait=\"3\"; x=y"), Some(3_000)),
            (Some("wait=0"), Some(0)),
            (Some("wait=soon"), Some(2_000)),
            (Some("wait=99999999999999999"), Some(10_000)),
        ] {
            assert_eq!(wait_ms(prefer), expected, "{prefer:?}");
        }
    }
}
