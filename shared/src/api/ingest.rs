//! `POST /v1/readings`: from a body to an acknowledgement.
//!
//! The promise: a 2xx is sent after the readings are on disk, never before.

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::base::order;
use crate::domain::reading::{Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejection, Rejections};
use crate::error::Error;
use crate::fold::{self, Folded};
use crate::host::Host;
use crate::http::{Header, ItemError, Kind, Problem, Purpose, Refusal, Request, Response, is_zero};
use crate::journal::bound::{self, Room};
use crate::journal::door::{self, Door};
use crate::journal::inventory::Inventory;
use crate::journal::rejected;
use crate::journal::{self, Aside, Entry, QuarantineReason, RegionCount};
use crate::ledger::Outcome;
use crate::ledger::names;
use crate::ledger::regions::{Budget, Regions};
use crate::limits;
use crate::log::Counts;
use crate::resilience::guard::Guard;
use crate::settings::{Horizon, NamesBound};
use crate::upkeep::{self, AFTER_ANSWER};
use crate::wire::json::{self, Unreadable};

/// The route that `ingest` owns.
pub const READINGS_PATH: &str = "/v1/readings";

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

/// Work that no sender waits for.
#[derive(Debug, Default)]
pub struct FollowUp {
    /// Rejections to count, of a request that left no entry.
    rejections: Rejections,
    /// Whether to look after the journal.
    folds: bool,
}

impl From<Response> for Handled {
    fn from(response: Response) -> Self {
        Self { response, follow_up: FollowUp::default(), counts: Counts::default() }
    }
}

/// Judges a request by its head, before its body is read.
pub fn check_head(request: &Request) -> Result<(), Problem> {
    if request.path != READINGS_PATH {
        return Err(Problem::new(Kind::NotFound, "readings are sent to /v1/readings"));
    }
    request.allow(&[Method::POST])?;
    // A header that is there twice and says the same, or nothing, is as one, or none.
    let all = |header: Header, is_good: fn(&str) -> bool| {
        members(request.headers.get(header).unwrap_or_default()).all(is_good)
    };
    if !all(Header::ContentEncoding, |encoding| encoding.eq_ignore_ascii_case("identity")) {
        let detail = "compressed bodies are not understood; send it as it is";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail)
            .with_header("accept-encoding", "identity"));
    }
    // A sensor that names no type sends JSON: there is nothing else yet.
    let is_json = |media_type: &str| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case(JSON)
    };
    if !all(Header::ContentType, is_json) {
        let detail = "readings are application/json; set the header content-type to that";
        return Err(
            Problem::new(Kind::UnsupportedMediaType, detail).with_header("accept-post", JSON)
        );
    }
    Ok(())
}

/// What a header lists that is not empty: a comma in quotes (RFC 9110, 5.6.4) parts
/// nothing.
fn members(values: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let parts = values.split(move |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    parts.map(str::trim).filter(|value| !value.is_empty())
}

/// Judges the length of a body by its head: one that is too large is not waited for, nor
/// asked for by 100 (Continue).
pub fn check_length(request: &Request, limit_bytes: usize) -> Result<(), Problem> {
    let is_within = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes <= limit_bytes);
    let length = request.headers.get(Header::ContentLength);
    match length.and_then(|bytes| bytes.parse().ok()) {
        Some(bytes) if !is_within(bytes) => Err(Problem::body_too_large(limit_bytes)),
        _ => Ok(()),
    }
}

const JSON: &str = "application/json";

/// Answers a request whose head was good. `now` is the node's clock.
pub fn post_readings(host: &impl Host, request: &Request, body: &[u8], now: UnixMillis) -> Handled {
    match accept(host, request, body, now) {
        Ok(handled) => handled,
        Err(refusal) => refusal.into_response(host, Purpose::Writing).into(),
    }
}

fn accept<H: Host>(
    host: &H,
    request: &Request,
    body: &[u8],
    now: UnixMillis,
) -> Result<Handled, Refusal> {
    let horizon = Horizon::from_variables(host)?;
    let items = json::parse(body).map_err(unreadable)?;
    let mut journal = opened(host);
    let is_in_doubt =
        |reading: &Reading<'_>| is_old(reading, now) || horizon.is_ahead(reading, now);
    if let Ok((journal, door)) = &mut journal
        && !door.is_told
        && items.iter().flatten().any(is_in_doubt)
    {
        ask_the_database(host, journal, door, horizon, now)?;
    }
    // Without the journal, the ledger itself says what is too old.
    let door = journal.as_ref().map_or_else(|_away| Door::default(), |(_, door)| *door);
    let mut batch = Batch::new(items, horizon, &door, now);
    let known = journal.as_ref().ok().map(|(_, door)| door);
    if !batch.ahead.is_empty() && !is_behind(host, known, horizon, now)? {
        batch.ahead.clear();
    }
    if let Ok((journal, _)) = &journal {
        reject_new_names(host, journal, &door, &mut batch, now)?;
    }
    if !batch.ahead.is_empty() {
        // A sender keeps what is refused. What comes with readings that can be counted
        // is kept for it, as it may not be told apart.
        if batch.readings.is_empty() || journal.is_err() {
            return Err(Error::ClockNotSet.into());
        }
        batch.keep_those_ahead();
    }
    if batch.readings.is_empty() {
        // Nothing came that would have to be folded.
        let follow_up = FollowUp { rejections: batch.rejections(), folds: false };
        let (response, counts) = (nothing_valid(&batch).into(), batch.counts());
        return Ok(Handled { response, follow_up, counts });
    }
    if let Some(wait_ms) =
        wait_ms(request.headers.get(Header::Prefer)).filter(|_| batch.ahead.is_empty())
    {
        match fold_now(host, &batch, wait_ms, now) {
            Ok(outcomes) => {
                let folds = should_fold(host, batch.readings.len(), RegionCount(1));
                let response = folded(&mut batch, &outcomes);
                let response = response.with_header("preference-applied", "wait");
                let follow_up = FollowUp { folds, ..FollowUp::default() };
                return Ok(Handled { response, follow_up, counts: batch.counts() });
            }
            // The journal takes it instead: durable, and counted later.
            Err(error) => host.log(&format!("Prefer: wait was not met: {error}")),
        }
    }
    match journal.and_then(|(journal, door)| journal_them(host, &journal, &door, &batch, now)) {
        Ok(Journaled::Kept(regions)) => {
            let folds = !door.is_told || should_fold(host, batch.readings.len(), regions);
            let follow_up = FollowUp { folds, ..FollowUp::default() };
            Ok(Handled { response: journaled(&batch), follow_up, counts: batch.counts() })
        }
        Ok(Journaled::Refused { folds }) => {
            // The log has it once, from when the mark was set.
            let response = Problem::of(&Error::JournalFull, Purpose::Writing).into();
            let follow_up = FollowUp { folds, ..FollowUp::default() };
            Ok(Handled { response, follow_up, counts: Counts::default() })
        }
        Err(Error::Journal(error)) if batch.ahead.is_empty() => {
            host.log(&format!("the journal failed, so the readings are folded at once: {error}"));
            let regions = Regions::open(host, Budget::waiting(limits::WAIT_MS_DEFAULT))?;
            let outcomes = fold::post_now(&regions, &batch.readings, &batch.rejections())?;
            let response = folded(&mut batch, &outcomes);
            let (follow_up, counts) = (FollowUp::default(), batch.counts());
            Ok(Handled { response, follow_up, counts })
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the node's clock is known to be behind: it is before this release was made, or
/// before readings that were counted. Without the journal, the database says which; it is
/// needed for such a request anyway.
fn is_behind<H: Host>(
    host: &H,
    door: Option<&Door>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<bool, Error> {
    let newest = match door {
        Some(door) => Some(door.newest),
        None => upkeep::newest_counted(&Regions::open(host, AFTER_ANSWER)?, horizon, now)?,
    };
    let is_before_what_was_counted = newest.is_some_and(|newest| horizon.latest(now) < newest);
    Ok(now.get() < limits::RELEASED_MS || is_before_what_was_counted)
}

/// Whether it must be known how far was pruned before this can be accepted.
fn is_old(reading: &Reading<'_>, now: UnixMillis) -> bool {
    reading.timestamp < now.saturating_sub(limits::OLD_READING_MS)
}

/// Has the door told of the database where it never was: the key-value store is new, and
/// the database may not be. While that is away, what is old is taken: if it is too old,
/// its turn will show; and a device that is ahead is told so.
fn ask_the_database<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &mut Door,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<(), Error> {
    let names = NamesBound::from_variables(host)?;
    let told = Guard::new(host, journal, true).call(now, || {
        let regions = Regions::open(host, AFTER_ANSWER)?;
        upkeep::tell_door(&regions, journal, horizon, names, now)
    });
    match told {
        Ok(_facts) => *door = door::load(host, journal).map_err(Error::Journal)?,
        Err(Error::Spared { .. }) => {}
        Err(error) => host.log(&format!("the door was not told of the database: {error}")),
    }
    Ok(())
}

/// The journal, and what the door knows.
fn opened<H: Host>(host: &H) -> Result<(H::KeyValue, Door), Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let door = door::load(host, &journal).map_err(Error::Journal)?;
    Ok((journal, door))
}

/// What became of readings at the journal.
enum Journaled {
    /// They are durable; of how many regions they are.
    Kept(RegionCount),
    /// There is no room.
    Refused { folds: bool },
}

/// Makes the readings durable, if there is room.
fn journal_them<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &Door,
    batch: &Batch<'_>,
    now: UnixMillis,
) -> Result<Journaled, Error> {
    if let Room::None { is_turn_to_fold } = bound::check(host, journal, door, now)? {
        return Ok(Journaled::Refused { folds: is_turn_to_fold });
    }
    let (entry, regions) = Entry::encode_and_count(&batch.readings, &batch.rejections());
    journal::append(host, journal, &entry).map_err(Error::Journal)?;
    // They wait for the clock to be set (`upkeep`).
    let ahead: Vec<Reading<'_>> = batch.ahead.iter().map(|(_, reading)| reading.clone()).collect();
    if let Some(aside) = Aside::of(&ahead, QuarantineReason::AheadOfClock) {
        journal::set_aside(host, journal, &aside).map_err(Error::Journal)?;
    }
    Ok(Journaled::Kept(regions))
}

/// Rejects readings of devices and regions that are new, where there are as many as
/// there may be. Only then is the database asked at the door; while it is away, all are
/// accepted, and the bound is exceeded by what comes meanwhile.
fn reject_new_names<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &Door,
    batch: &mut Batch<'_>,
    now: UnixMillis,
) -> Result<(), Error> {
    let bound = NamesBound::from_variables(host)?;
    let tables =
        [(door.regions >= bound.regions, "regions"), (door.devices >= bound.devices, "devices")];
    for (_, table) in tables.into_iter().filter(|(is_full, _)| *is_full) {
        let names = batch.readings.iter().map(|reading| match table {
            "regions" => reading.region.as_str(),
            _ => reading.device_id.as_str(),
        });
        let asked = Guard::new(host, journal, true).call(now, || {
            let regions = Regions::open(host, AFTER_ANSWER)?;
            regions.read(|sql| names::are_known(sql, table, names.clone()))
        });
        match asked {
            Ok(known) => batch.keep(&known, table),
            Err(Error::Spared { .. }) => {}
            Err(error) => host.log(&format!("names are accepted unseen: {error}")),
        }
    }
    Ok(())
}

/// Counts what the answer left to count, and folds, if it is this request's
/// turn.
pub fn after_answer<H: Host>(host: &H, follow_up: FollowUp, now: UnixMillis) -> Result<(), Error> {
    let FollowUp { rejections, folds } = follow_up;
    let noted = match rejections.reasons() {
        0 => Ok(()),
        _ => host.key_value().and_then(|store| rejected::note(host, &store, &rejections, now)),
    };
    if folds {
        upkeep::run(host, now)?;
    }
    noted.map_err(Error::Journal)
}

/// A request's readings that may be counted, with their positions, and what is
/// wrong with the others.
struct Batch<'a> {
    items: usize,
    readings: Vec<Reading<'a>>,
    positions: Vec<usize>,
    /// Readings that are ahead of the node's clock: rejected ones, until it is known
    /// that the clock is behind.
    ahead: Vec<(usize, Reading<'a>)>,
    rejected: Vec<(Reason, ItemError)>,
}

impl<'a> Batch<'a> {
    fn new(items: Vec<json::Item<'a>>, horizon: Horizon, door: &Door, now: UnixMillis) -> Self {
        let count = items.len();
        let mut batch = Self {
            items: count,
            readings: Vec::with_capacity(count),
            positions: Vec::with_capacity(count),
            ahead: Vec::new(),
            rejected: Vec::new(),
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

    fn reject(&mut self, index: usize, rejection: Rejection) {
        let Rejection { reason, detail } = rejection;
        self.rejected.push((reason, ItemError { index, reason: reason.code(), detail }));
    }

    /// Takes those that are ahead of the clock out of the rejected.
    fn keep_those_ahead(&mut self) {
        self.rejected.retain(|(reason, _)| *reason != Reason::InFuture);
    }

    /// Keeps the readings of which `known` says so, in their order; those of names that
    /// are not in `table` are rejected.
    fn keep(&mut self, known: &[bool], table: &str) {
        let positions = std::mem::take(&mut self.positions);
        let readings = std::mem::take(&mut self.readings);
        for ((position, reading), is_known) in positions.into_iter().zip(readings).zip(known) {
            if *is_known {
                self.positions.push(position);
                self.readings.push(reading);
                continue;
            }
            let detail = format!(
                "this node has as many {table} as it may have (variable {table}_max), and this \
                 one is new"
            );
            self.reject(position, Rejection::new(Reason::TooManyNames, detail));
        }
        order::sort_by_key(&mut self.rejected, |(_, error)| error.index as u128);
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
struct JournaledBody {
    ack: &'static str,
    accepted: usize,
    /// Of these, those that are ahead of the node's clock, and wait for it to be set.
    #[serde(skip_serializing_if = "is_zero")]
    waiting_for_clock: usize,
    rejected: Vec<ItemError>,
    #[serde(skip_serializing_if = "is_zero")]
    rejected_omitted: usize,
}

fn journaled(batch: &Batch<'_>) -> Response {
    let (rejected, rejected_omitted) = batch.named();
    // Those that are ahead are rejected, or kept with the others.
    let accepted = batch.counts().accepted;
    let waiting_for_clock = accepted - batch.readings.len();
    let body =
        JournaledBody { ack: "journaled", accepted, waiting_for_clock, rejected, rejected_omitted };
    Response::json(StatusCode::ACCEPTED, &body)
}

#[derive(Serialize)]
struct FoldedBody {
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
    let body = FoldedBody {
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
            Folded { left_entries: 0, .. } => {
                fold::post_now(&regions, &batch.readings, &batch.rejections())
            }
            _ => Err(Error::TooSlow),
        }
    })
}

/// Whether a request with this many readings, of this many regions, looks after the
/// journal.
///
/// Looking costs a listing of the store and a fold, so of single readings one
/// in 256 does, and the larger a batch is, the likelier it does; the more regions it is
/// of, the likelier, too, as some may be new. Chance needs no count that requests would
/// have to share.
fn should_fold(host: &impl Host, readings: usize, RegionCount(regions): RegionCount) -> bool {
    const CERTAIN: usize = limits::BATCH_FOLDS_FOR_CERTAIN;
    let regions = regions.saturating_sub(1).saturating_mul(limits::READINGS_PER_REGION_TO_FOLD);
    let weight = (CERTAIN / limits::SINGLES_PER_FOLD).saturating_add(readings);
    let dice = usize::try_from(host.random() % CERTAIN as u64).unwrap_or(0);
    dice < weight.saturating_add(regions)
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
