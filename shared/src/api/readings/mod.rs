//! `POST /v1/readings`: from a body to an acknowledgement. (`GET` of it is in
//! `api/export.rs`, and only passes through `begin`.)
//!
//! The promise: a 2xx is sent after the readings are on disk, never before.
//!
//! `head` checks the request's head, `checks` its temperatures, and `batch` the times of its
//! readings; `doubt` asks the
//! database if the door does not know enough. `take` puts these together, `keep` makes the readings durable,
//! `answers` writes the response, and `notes` says what is noted of what was rejected.

pub(crate) mod answers;
pub(crate) mod batch;
mod begin;
mod checks;
mod doubt;
pub(crate) mod formats;
mod from_node;
mod head;
mod keep;
mod notes;
mod senml;
pub(crate) mod take;

pub use self::begin::begin;
pub use self::formats::MEDIA_TYPES;
pub(crate) use self::notes::UNREADABLE;

use self::batch::Batch;
use self::formats::Format;
use self::take::{Kept, Sent, Taken, take};
use crate::api::accessed::Accessed;
use crate::api::router::{self, Admitted};
use crate::api::routes::{Handler, Route};
use crate::api::sources::{self, Asked};
use crate::domain::reading::UnixMillis;
use crate::domain::rejection::Reason;
use crate::error::Error;
use crate::host::Host;
use crate::http::{Problem, Purpose, Refusal, Request, Response};
use crate::journal::Origin;
use crate::journal::keyrate;
use crate::journal::lags;
use crate::journal::rejected::{self, Note};
use crate::journal::sources::{self as noted_sources, SourceNote};
use crate::log::Counts;
use crate::upkeep;
use crate::wire::item::Parsed;

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
    /// Whose request it was.
    pub accessed: Accessed,
}

/// Work that no sender waits for.
#[derive(Debug, Default)]
pub struct AfterPost {
    /// What was rejected, and the counts if the request left no entry.
    note: Option<Box<Note>>,
    /// What a source sent that was not counted.
    left: Option<Box<SourceNote>>,
    /// Devices whose readings came late by whole quarter hours.
    lags: Vec<(String, i64)>,
    /// The ingest key that the request came by.
    key: Option<String>,
    /// Whether to fold the journal.
    should_fold: bool,
}

/// What follows the head of a request to `ingest`.
pub enum Begun {
    /// No body is read: this is the whole answer.
    Done(Handled),
    /// The body is read.
    WantsBody(Admitted),
}

const ROUTE: &str = "/v1/readings";

/// Answers a request whose body could not be read.
pub fn refuse(
    host: &impl Host,
    request: &Request,
    admitted: &Admitted,
    problem: Problem,
) -> Handled {
    let accessed = Accessed::by(&admitted.grant);
    Handled { accessed, ..Handled::refused(host, request, problem.into()) }
}

/// Answers a request whose head was valid. `now` is the node's clock, read after the
/// body.
pub fn answer(
    host: &impl Host,
    request: &Request,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Handled {
    let accept = if head::is_from_node(request) { from_node::accept } else { accept };
    let handled = match of_source(host, request, admitted, body, now) {
        Some(handled) => handled,
        None => accept(host, request, admitted, body, now)
            .unwrap_or_else(|refusal| Handled::refused(host, request, refusal)),
    };
    let accessed = Accessed::by(&admitted.grant).answered(handled.response.status);
    Handled { accessed, ..handled }
}

/// `begin` and `answer` in one, for a host that has the body already.
pub fn post(host: &impl Host, request: &Request, body: &[u8], now: UnixMillis) -> Handled {
    match begin(host, request, now) {
        Begun::WantsBody(admitted) => answer(host, request, &admitted, body, now),
        Begun::Done(handled) => handled,
    }
}

/// The answer to a request to a source; `None` if it is none.
fn of_source<H: Host>(
    host: &H,
    request: &Request,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Option<Handled> {
    let routes = Route::<H>::INGEST;
    let (route, argument) = router::find(&routes, request)?;
    let Handler::Source(way) = route.handler else { return None };
    let asked = Asked::of(way, request, argument).ok()?;
    let answer = sources::answer(host, request, &asked, admitted, body, now);
    Some(Handled::of_source(host, request, answer, route.pattern))
}

impl Handled {
    /// The answer to a request to a source.
    fn of_source(
        host: &impl Host,
        request: &Request,
        answer: sources::Answer,
        route: &'static str,
    ) -> Self {
        let sources::Answer { response, after_answer, counts } = answer;
        let handled = Self::of(host, request, response);
        Self { after_answer, counts: Some(counts), route, ..handled }
    }

    /// A response if nothing was kept and nothing is left to do.
    fn of(host: &impl Host, request: &Request, response: Response) -> Self {
        let response = router::finished_response(host, request, response);
        let (after_answer, counts) = (AfterPost::default(), Some(Counts::default()));
        Self { response, after_answer, counts, route: ROUTE, accessed: Accessed::default() }
    }

    /// A request that was refused as a whole. What is wrong with its body is noted.
    fn refused(host: &impl Host, request: &Request, refusal: Refusal) -> Self {
        let (response, after_answer, counts) = refused(host, request, refusal);
        Self { after_answer, counts: Some(counts), ..Self::of(host, request, response) }
    }

    /// A response about a batch. What was rejected of it is noted.
    fn kept(
        host: &impl Host,
        response: Response,
        request: &Request,
        batch: &Batch<'_>,
        after_answer: AfterPost,
    ) -> Self {
        let after_answer = noted(request, batch, after_answer);
        let counts = Some(batch.counts());
        Self { after_answer, counts, ..Self::of(host, request, response) }
    }
}

/// The response to a request that was refused as a whole, and what is noted of it.
pub(crate) fn refused(
    host: &impl Host,
    request: &Request,
    refusal: Refusal,
) -> (Response, AfterPost, Counts) {
    let mut after_answer = AfterPost::default();
    let mut counts = Counts::default();
    if let Refusal::Request(problem) = &refusal {
        let noted = notes::of_problem(problem, request);
        counts.reason = noted.as_ref().map(|_| problem.kind().code());
        if let Some(noted) = noted {
            after_answer.note.get_or_insert_default().rejected.push(noted);
        }
    }
    (refusal.into_response(host, Purpose::Writing), after_answer, counts)
}

/// What is noted of a request with what was rejected of its batch.
pub(crate) fn noted(
    request: &Request,
    batch: &Batch<'_>,
    mut after_answer: AfterPost,
) -> AfterPost {
    let rejected = notes::of_batch(batch, request);
    if !rejected.is_empty() {
        after_answer.note.get_or_insert_default().rejected = rejected;
    }
    after_answer
}

impl AfterPost {
    fn folding(should_fold: bool) -> Self {
        Self { should_fold, ..Self::default() }
    }

    /// The same, with what a source sent that was not counted.
    pub(crate) fn with_left(self, left: Option<Box<SourceNote>>) -> Self {
        Self { left, ..self }
    }

    /// The same, with devices whose readings came late by whole quarter hours.
    fn with_lags(self, lags: Vec<(String, i64)>) -> Self {
        Self { lags, ..self }
    }

    /// The same of a request that came by this ingest key.
    pub(crate) fn by_key(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }

    /// Notes what was rejected, and folds if it is this request's turn.
    pub fn run<H: Host>(self, host: &H, now: UnixMillis) -> Result<(), Error> {
        let noted = match &self.note {
            None => Ok(()),
            Some(note) => {
                host.key_value().and_then(|store| rejected::note(host, &store, note, now))
            }
        };
        let left = match &self.left {
            None => Ok(()),
            Some(left) => {
                host.key_value().and_then(|store| noted_sources::note(host, &store, left, now))
            }
        };
        let lags = match self.lags.as_slice() {
            [] => Ok(()),
            lags => host.key_value().and_then(|store| lags::note(&store, lags, now)),
        };
        let used = self.key.as_deref().map_or(Ok(()), |id| keyrate::note(host, id, now));
        if self.should_fold {
            upkeep::run(host, now)?;
        }
        noted.and(left).and(lags).and(used).map_err(Error::Journal)
    }
}

fn accept<H: Host>(
    host: &H,
    request: &Request,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Result<Handled, Refusal> {
    let body = formats::inflated(request, body, admitted.body_limit)?;
    let format = formats::format(request)?;
    let (Parsed { items, ignored }, left) = match format {
        Format::Senml => {
            let (parsed, left) = senml::parsed(host, request, &body, now)?;
            (parsed, left.noted())
        }
        _ => (formats::items(format, &body)?, None),
    };
    let origin = Origin::default();
    let wait_ms = head::wait_ms(request);
    let sent = Sent { items, ignored, origin, allows_all: false, wait_ms };
    let taken = take(host, sent, &admitted.grant, admitted.door, now)?;
    let after_answer = taken.after_answer.with_left(left);
    Ok(answered(host, request, Taken { after_answer, ..taken }))
}

/// The answer to a sender of readings.
fn answered(host: &impl Host, request: &Request, taken: Taken<'_>) -> Handled {
    let Taken { mut batch, kept, after_answer } = taken;
    let response = match kept {
        Kept::Nothing => Response::from(match batch.has(Reason::Forbidden) {
            true => answers::nothing_allowed(&batch),
            false => answers::nothing_valid(&batch),
        }),
        Kept::Journaled => answers::journaled(&batch),
        Kept::Folded { outcomes, was_asked } => {
            let response = answers::folded(&mut batch, &outcomes);
            match was_asked {
                true => response.with_header("preference-applied", "wait"),
                false => response,
            }
        }
        Kept::JournalFull => {
            let problem = Problem::of(&Error::JournalFull, Purpose::Writing);
            return Handled { after_answer, ..Handled::of(host, request, Response::from(problem)) };
        }
    };
    Handled::kept(host, response, request, &batch, after_answer)
}
