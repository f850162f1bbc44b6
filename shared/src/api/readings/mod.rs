//! `POST /v1/readings`: from a body to an acknowledgement. (`GET` of it is in
//! `api/export.rs`, and only passes through `begin`.)
//!
//! The promise: a 2xx is sent after the readings are on disk, never before.
//!
//! `head` checks the request's head, `checks` its temperatures, and `batch` the times of its
//! readings; `doubt` asks the
//! database if the door does not know enough. `keep` makes the readings durable, and
//! `answers` writes the response, and `notes` says what is noted of what was rejected.

mod answers;
mod batch;
mod checks;
mod doubt;
mod head;
mod keep;
mod notes;

pub use self::head::MEDIA_TYPES;
pub(crate) use self::notes::UNREADABLE;

use self::batch::Batch;
use self::keep::Journaled;
use crate::api::answer::Answered;
use crate::api::router;
use crate::api::routes::{Handler, Route};
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::fold;
use crate::host::Host;
use crate::http::body::check_length;
use crate::http::{Kind, Problem, Purpose, Refusal, Request, Response};
use crate::journal::RegionCount;
use crate::journal::door::Door;
use crate::journal::rejected::{self, Note};
use crate::ledger::database::{Budget, Database};
use crate::limits;
use crate::log::Counts;
use crate::settings::{self, Horizon};
use crate::upkeep;
use crate::wire::item::{Item, Parsed};
use crate::wire::json;

/// A response, and the work to do after it is sent.
#[derive(Debug)]
pub struct Handled {
    /// The response.
    pub response: Response,
    /// The work to do after it.
    pub after_answer: AfterPost,
    /// For the log: how many readings; `None` for a route that takes none.
    pub counts: Option<Counts>,
    /// For the log: the route.
    pub route: &'static str,
}

/// Work that no sender waits for.
#[derive(Debug, Default)]
pub struct AfterPost {
    /// What was rejected, and the counts if the request left no entry.
    note: Option<Box<Note>>,
    /// Whether to fold the journal.
    should_fold: bool,
}

/// What follows the head of a request to `ingest`.
pub enum Begun {
    /// No body is read: this is the whole answer.
    Done(Handled),
    /// The body is read, at most this many bytes.
    WantsBody(usize),
}

const ROUTE: &str = "/v1/readings";

/// Checks the head of a request, so that an error in it is answered before any body is
/// read, or asked for. `now` is the node's clock.
pub fn begin<H: Host>(host: &H, request: &Request, now: UnixMillis) -> Begun {
    let routes = Route::<H>::INGEST;
    let Some((route, _)) = router::find(&routes, request) else {
        let problem =
            Problem::new(Kind::NotFound, "no such resource; POST readings to /v1/readings");
        return Begun::Done(Handled::of(Response::from(problem)));
    };
    let allowed = router::check_method(&routes, route, request).map_err(Refusal::from);
    if !matches!(route.handler, Handler::Readings) {
        let answered = allowed.and_then(|()| route.answer_plainly(host, request, now));
        let (response, should_fold) = match answered {
            Ok(Answered { response, after_answer, .. }) => (response, after_answer.should_fold),
            Err(refusal) => (refusal.into_response(host, request.purpose()), false),
        };
        let after_answer = AfterPost::folding(should_fold);
        let route = route.pattern;
        return Begun::Done(Handled { response, after_answer, counts: None, route });
    }
    match allowed.and_then(|()| body_limit(host, request)) {
        Ok(limit_bytes) => Begun::WantsBody(limit_bytes),
        Err(refusal) => Begun::Done(Handled::refused(host, request, refusal)),
    }
}

/// How many bytes the body may have, if the head is valid.
fn body_limit(host: &impl Host, request: &Request) -> Result<usize, Refusal> {
    head::check_type(request)?;
    let limit_bytes = settings::max_body_bytes(host)?;
    check_length(request, limit_bytes)?;
    Ok(limit_bytes)
}

/// Answers a request whose body could not be read.
pub fn refuse(host: &impl Host, request: &Request, problem: Problem) -> Handled {
    Handled::refused(host, request, problem.into())
}

/// Answers a request whose head was valid. `now` is the node's clock, read after the
/// body.
pub fn post(host: &impl Host, request: &Request, body: &[u8], now: UnixMillis) -> Handled {
    match accept(host, request, body, now) {
        Ok(handled) => handled,
        Err(refusal) => Handled::refused(host, request, refusal),
    }
}

impl Handled {
    /// A response if nothing was kept and nothing is left to do.
    fn of(response: Response) -> Self {
        let (after_answer, counts) = (AfterPost::default(), Some(Counts::default()));
        Self { response, after_answer, counts, route: ROUTE }
    }

    /// A request that was refused as a whole. What is wrong with its body is noted.
    fn refused(host: &impl Host, request: &Request, refusal: Refusal) -> Self {
        let mut after_answer = AfterPost::default();
        let mut counts = Counts::default();
        if let Refusal::Request(problem) = &refusal {
            let noted = notes::of_problem(problem, request);
            counts.reason = noted.as_ref().map(|_| problem.kind().code());
            if let Some(noted) = noted {
                after_answer.note.get_or_insert_default().rejected.push(noted);
            }
        }
        let response = refusal.into_response(host, Purpose::Writing);
        Self { after_answer, counts: Some(counts), ..Self::of(response) }
    }

    /// A response about a batch. What was rejected of it is noted.
    fn kept(
        response: Response,
        request: &Request,
        batch: &Batch<'_>,
        mut after_answer: AfterPost,
    ) -> Self {
        let rejected = notes::of_batch(batch, request);
        if !rejected.is_empty() {
            after_answer.note.get_or_insert_default().rejected = rejected;
        }
        Self { response, after_answer, counts: Some(batch.counts()), route: ROUTE }
    }
}

impl AfterPost {
    fn folding(should_fold: bool) -> Self {
        Self { should_fold, ..Self::default() }
    }

    /// Notes what was rejected, and folds if it is this request's turn.
    pub fn run<H: Host>(self, host: &H, now: UnixMillis) -> Result<(), Error> {
        let noted = match &self.note {
            None => Ok(()),
            Some(note) => {
                host.key_value().and_then(|store| rejected::note(host, &store, note, now))
            }
        };
        if self.should_fold {
            upkeep::run(host, now)?;
        }
        noted.map_err(Error::Journal)
    }
}

fn accept<H: Host>(
    host: &H,
    request: &Request,
    body: &[u8],
    now: UnixMillis,
) -> Result<Handled, Refusal> {
    let horizon = Horizon::from_variables(host)?;
    let Parsed { items, ignored } = json::parse(body).map_err(answers::unreadable)?;
    let journal = doubt::open(host, &items, horizon, now);
    let mut batch = judge(host, items, &journal, horizon, now)?;
    batch.ignored = ignored;
    if batch.readings.is_empty() {
        // There is no reading to fold.
        let mut after_answer = AfterPost::default();
        after_answer.note.get_or_insert_default().counted = batch.rejections();
        let response = Response::from(answers::nothing_valid(&batch));
        return Ok(Handled::kept(response, request, &batch, after_answer));
    }
    if let Some(wait_ms) = head::wait_ms(request).filter(|_| batch.ahead.is_empty()) {
        match keep::fold_now(host, &batch, wait_ms, now) {
            Ok(outcomes) => {
                let should_fold = should_fold(host, batch.readings.len(), RegionCount(1));
                let response = answers::folded(&mut batch, &outcomes);
                let response = response.with_header("preference-applied", "wait");
                let after_answer = AfterPost::folding(should_fold);
                return Ok(Handled::kept(response, request, &batch, after_answer));
            }
            // The journal takes the readings instead: durable now, counted later.
            Err(error) => host.log(&format!("Prefer: wait was not met: {error}")),
        }
    }
    match journal.and_then(|(store, door)| keep::journal(host, &store, &door, &batch, now)) {
        Err(Error::Journal(error)) if batch.ahead.is_empty() => {
            host.log(&format!("the journal failed, so the readings are folded at once: {error}"));
            Ok(fold_without_journal(host, request, &mut batch)?)
        }
        journaled => Ok(journaled_handled(host, request, &batch, journaled?)),
    }
}

/// Sorts the items into readings that may be counted and rejections.
fn judge<'a, H: Host>(
    host: &H,
    items: Vec<Item<'a>>,
    journal: &Result<(H::KeyValue, Door), Error>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<Batch<'a>, Error> {
    let journal = journal.as_ref().ok();
    let items = checks::reject(host, items, journal)?;
    // Without the journal, the ledger finds what is too old.
    let door = journal.map_or_else(Door::default, |(_, door)| *door);
    let mut batch = Batch::new(items, horizon, &door, now);
    let known = journal.map(|(_, door)| door);
    if !batch.ahead.is_empty() && !doubt::is_behind(host, known, horizon, now)? {
        batch.ahead.clear();
    }
    if let Some((store, _)) = journal {
        doubt::reject_new_names(host, store, &door, &mut batch, now)?;
    }
    if !batch.ahead.is_empty() {
        // A sender keeps a request that is refused. Readings that come with countable
        // ones are kept for it here, as it may not be able to tell them apart.
        if batch.readings.is_empty() || journal.is_none() {
            return Err(Error::ClockNotSet);
        }
        batch.keep_those_ahead();
    }
    Ok(batch)
}

fn journaled_handled(
    host: &impl Host,
    request: &Request,
    batch: &Batch<'_>,
    journaled: Journaled,
) -> Handled {
    match journaled {
        Journaled::Kept { regions, is_told } => {
            let folds = !is_told || should_fold(host, batch.readings.len(), regions);
            Handled::kept(answers::journaled(batch), request, batch, AfterPost::folding(folds))
        }
        Journaled::Refused { should_fold } => {
            // Logged once, when the journal was marked as full.
            let problem = Problem::of(&Error::JournalFull, Purpose::Writing);
            let after_answer = AfterPost::folding(should_fold);
            Handled { after_answer, ..Handled::of(Response::from(problem)) }
        }
    }
}

fn fold_without_journal(
    host: &impl Host,
    request: &Request,
    batch: &mut Batch<'_>,
) -> Result<Handled, Error> {
    let database = Database::open(host, Budget::waiting(limits::WAIT_MS_DEFAULT))?;
    let outcomes = fold::post_now(&database, &batch.readings, &batch.rejections())?;
    let response = answers::folded(batch, &outcomes);
    Ok(Handled::kept(response, request, batch, AfterPost::default()))
}

/// Whether a request with this many readings, of this many regions, folds the journal.
///
/// That costs a listing of the store and a fold, so on average one single-reading
/// request in 256 does it. Larger batches do it more often, and so do batches of more
/// regions, as some may be new. It is decided by chance, which needs no count that
/// requests share.
fn should_fold(host: &impl Host, readings: usize, RegionCount(regions): RegionCount) -> bool {
    const CERTAIN: usize = limits::FOLD_CERTAIN_AT_READINGS;
    let regions = regions.saturating_sub(1).saturating_mul(limits::READINGS_PER_REGION_TO_FOLD);
    let weight = (CERTAIN / limits::SINGLES_PER_FOLD).saturating_add(readings);
    let dice = usize::try_from(host.random() % CERTAIN as u64).unwrap_or(0);
    dice < weight.saturating_add(regions)
}
