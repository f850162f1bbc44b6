//! `POST /v1/readings`: from a body to an acknowledgement.
//!
//! The promise: a 2xx is sent after the readings are on disk, never before.

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::bound::{self, Room};
use crate::error::Error;
use crate::fold;
use crate::guard::Guard;
use crate::host::{Host, KeyValue};
use crate::http::{ItemError, Kind, Problem, Refusal, Request, Response, is_zero};
use crate::inventory::{FULL_KEY, Inventory};
use crate::journal::{self, Entry};
use crate::json::{self, Unreadable};
use crate::ledger::Outcome;
use crate::limits;
use crate::reading::{Reading, UnixMillis};
use crate::regions::{Budget, Regions};
use crate::rejection::{Reason, Rejection, Rejections};
use crate::settings::Horizon;

/// The route that `ingest` owns.
pub const READINGS_PATH: &str = "/v1/readings";

/// Where `ingest` says whether it is ready: it may be served without `query`.
pub const READINESS_PATH: &str = "/readyz/ingest";

/// A response, and what to do after it is sent.
#[derive(Debug)]
pub struct Handled {
    /// What to answer.
    pub response: Response,
    /// What to call `after_answer` with then.
    pub follow_up: FollowUp,
    /// For the log.
    pub counts: Counts,
}

/// The readings of a request: those that are durable now, and those that can't be
/// counted. Of a request that failed as a whole, none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged.
    pub accepted: usize,
    /// Rejected.
    pub rejected: usize,
}

/// Work that no sender waits for.
#[derive(Debug, Default)]
pub struct FollowUp {
    /// Rejections to count, of a request that left no entry.
    note: Option<Entry>,
    /// Whether to look after the journal.
    folds: bool,
}

impl From<Response> for Handled {
    fn from(response: Response) -> Self {
        Self { response, follow_up: FollowUp::default(), counts: Counts::default() }
    }
}

/// `GET /readyz/ingest`: ready is who can make a reading durable, in the journal or, if
/// that fails, in the regions database. A full journal is ready: it says by itself when
/// to come again.
pub fn readiness(host: &impl Host, request: &Request) -> Response {
    match ready(host, request) {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(host),
    }
}

fn ready(host: &impl Host, request: &Request) -> Result<Response, Refusal> {
    // A probe may put anything into its query.
    request.allow(&[Method::GET, Method::HEAD])?;
    let journal = host.key_value().and_then(|journal| journal.get(FULL_KEY));
    let (code, status) = match journal {
        Ok(_) => (StatusCode::OK, "ready"),
        Err(error) => {
            host.log(&Error::Journal(error).to_string());
            // It is opened for writing only when there is something to write.
            match Regions::open(host, AFTER_ANSWER) {
                Ok(_) => (StatusCode::OK, "degraded"),
                Err(error) => {
                    host.log(&error.to_string());
                    (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
                }
            }
        }
    };
    Ok(Response::json(code, &Readiness { status }))
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
}

/// Judges a request by its head, before its body is read.
pub fn check_head(request: &Request) -> Result<(), Problem> {
    if request.path != READINGS_PATH {
        return Err(Problem::new(Kind::NotFound, "readings are sent to /v1/readings"));
    }
    request.allow(&[Method::POST])?;
    // A header that is there twice and says the same, or nothing, is as one, or none.
    let all = |values: &Option<String>, is_good: fn(&str) -> bool| {
        let values = values.as_deref().unwrap_or_default().split(',').map(str::trim);
        values.filter(|value| !value.is_empty()).all(is_good)
    };
    if !all(&request.content_encoding, |encoding| encoding.eq_ignore_ascii_case("identity")) {
        let detail = "compressed bodies are not understood; send it as it is";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail)
            .with_header("accept-encoding", "identity"));
    }
    // A sensor that names no type sends JSON: there is nothing else yet.
    let is_json = |media_type: &str| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case(JSON)
    };
    if !all(&request.content_type, is_json) {
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
        let note = (batch.items > 0).then(|| Entry::note(&batch.rejections(), host.random()));
        let follow_up = FollowUp { note, folds: is_turn_to_fold(host, 1) };
        let (response, counts) = (nothing_valid(&batch).into(), batch.counts());
        return Ok(Handled { response, follow_up, counts });
    }
    let folds = is_turn_to_fold(host, batch.readings.len());
    let follow_up = FollowUp { note: None, folds };
    if let Some(wait_ms) = wait_ms(request.prefer.as_deref()) {
        match fold_now(host, &batch, wait_ms, now) {
            Ok(outcomes) => {
                let response = folded(&mut batch, &outcomes);
                let response = response.with_header("preference-applied", "wait");
                return Ok(Handled { response, follow_up, counts: batch.counts() });
            }
            // The journal takes it instead: durable, and counted later.
            Err(error) => host.log(&format!("Prefer: wait was not met: {error}")),
        }
    }
    match journal_them(host, &batch, now) {
        Ok(Room::Free) => {
            Ok(Handled { response: journaled(&batch), follow_up, counts: batch.counts() })
        }
        Ok(Room::None { is_turn_to_fold }) => {
            // The log has it once, from when the mark was set.
            let response = Problem::from(&Error::JournalFull).into();
            let folds = is_turn_to_fold || follow_up.folds;
            let follow_up = FollowUp { note: None, folds };
            Ok(Handled { response, follow_up, counts: Counts::default() })
        }
        Err(Error::Journal(error)) => {
            host.log(&format!("the journal failed, so the readings are folded at once: {error}"));
            let regions = Regions::open(host, Budget::waiting(limits::WAIT_MS_DEFAULT))?;
            let outcomes = fold::post(&regions, &batch.readings, &batch.rejections())?;
            let response = folded(&mut batch, &outcomes);
            let (follow_up, counts) = (FollowUp::default(), batch.counts());
            Ok(Handled { response, follow_up, counts })
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the readings durable, if there is room: one look, one entry.
fn journal_them<H: Host>(host: &H, batch: &Batch<'_>, now: UnixMillis) -> Result<Room, Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let room = bound::check(host, &journal, now)?;
    if room == Room::Free {
        let entry = Entry::encode(&batch.readings, &batch.rejections());
        journal::append(host, &journal, &entry).map_err(Error::Journal)?;
    }
    Ok(room)
}

/// Counts what the answer left to count, and folds, if it is this request's
/// turn.
pub fn after_answer<H: Host>(host: &H, follow_up: FollowUp, now: UnixMillis) -> Result<(), Error> {
    if follow_up.note.is_none() && !follow_up.folds {
        return Ok(());
    }
    let journal = host.key_value().map_err(Error::Journal)?;
    if let Some(note) = &follow_up.note
        && journal.get(FULL_KEY).map_err(Error::Journal)?.is_none()
    {
        journal::append(host, &journal, note).map_err(Error::Journal)?;
    }
    if !follow_up.folds {
        return Ok(());
    }
    let horizon = Horizon::from_variables(host)?;
    let inventory = Inventory::list(host, &journal)?;
    let folded = Guard::new(host, &journal, inventory.has_breaker).call(now, || {
        let regions = Regions::open(host, AFTER_ANSWER)?;
        let left = fold::run(&regions, &journal, &inventory)?;
        if left == 0 {
            fold::prune(&regions, horizon, now)?;
        }
        Ok(left)
    });
    let left = folded.as_ref().map_or_else(|_| inventory.unfolded(), |&left| left);
    bound::update(host, &journal, &inventory, left, now)?;
    match folded {
        Err(error) if !error.is_busy() && !matches!(error, Error::Spared { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Nobody waits for it, and who finds the lock taken leaves it to who has it.
const AFTER_ANSWER: Budget = Budget { lock_ms: 0, total_ms: limits::AFTER_ANSWER_FOLD_MS_MAX };

/// A request's readings that may be counted, with their positions, and what is
/// wrong with the others.
struct Batch<'a> {
    items: usize,
    readings: Vec<Reading<'a>>,
    positions: Vec<usize>,
    rejected: Vec<(Reason, ItemError)>,
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
            match item.and_then(|reading| horizon.admit(reading, now)) {
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
        self.rejected.push((reason, ItemError { index, reason: reason.code(), detail }));
    }

    fn counts(&self) -> Counts {
        let rejected = self.rejected.len();
        Counts { accepted: self.items - rejected, rejected }
    }

    /// How many readings were rejected, by reason.
    fn rejections(&self) -> Rejections {
        let mut rejections = Rejections::default();
        for (reason, _) in &self.rejected {
            rejections.add(*reason, 1);
        }
        rejections
    }

    /// The rejections that an answer names, and how many it leaves out.
    fn named(&self) -> (Vec<ItemError>, usize) {
        let named = self.rejected.iter().take(limits::REJECTIONS_NAMED_MAX);
        let named: Vec<ItemError> = named.map(|(_, error)| error.clone()).collect();
        let omitted = self.rejected.len() - named.len();
        (named, omitted)
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
    Problem::new(Kind::NothingValid, detail).with_errors(named, omitted)
}

#[derive(Serialize)]
struct Journaled {
    ack: &'static str,
    accepted: usize,
    rejected: Vec<ItemError>,
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
struct Folded {
    ack: &'static str,
    stored: usize,
    duplicate: usize,
    conflict: usize,
    /// Of every item of the request, in its order.
    outcomes: Vec<&'static str>,
    rejected: Vec<ItemError>,
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
    Response::json(StatusCode::OK, &body)
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

/// Posts the batch at once, behind what is already in the journal: what was
/// acknowledged first stands in a conflict.
fn fold_now<H: Host>(
    host: &H,
    batch: &Batch<'_>,
    wait_ms: u64,
    now: UnixMillis,
) -> Result<Vec<Outcome>, Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &journal)?;
    Guard::new(host, &journal, inventory.has_breaker).call(now, || {
        let regions = Regions::open(host, Budget::waiting(wait_ms))?;
        match fold::run(&regions, &journal, &inventory)? {
            0 => fold::post(&regions, &batch.readings, &batch.rejections()),
            _ => Err(Error::TooSlow),
        }
    })
}

/// Whether a request with so many readings looks after the journal.
///
/// Looking costs a listing of the store and a fold, so of single readings one
/// in 256 does, and the larger a batch is the likelier it does. Chance needs no
/// count that requests would have to share.
fn is_turn_to_fold(host: &impl Host, readings: usize) -> bool {
    const CERTAIN: usize = limits::BATCH_FOLDS_FOR_CERTAIN;
    let weight = (CERTAIN / limits::SINGLES_PER_FOLD).saturating_add(readings);
    let dice = usize::try_from(host.random() % CERTAIN as u64).unwrap_or(0);
    dice < weight
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
