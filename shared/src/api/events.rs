//! `GET /v1/events`: server-sent events (HTML Standard, 9.2) that announce new
//! readings, so that an open page need not poll.
//!
//! Each stream occupies an instance of the component, so their number is bounded: one
//! key (`events/1`) has the time at which each one ends. Every second, a stream lists
//! the journal and reads one number from the database, on one connection. If there is
//! something to fold, or something was folded, it opens another connection, folds and
//! counts. It also does so every `limits::EVENTS_LOOK_MS`, as a device falls silent
//! without a reading.

use http::{Method, StatusCode};

use crate::access::scope::Readable;
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::host::{Host, KeyValue};
use crate::http::accept::negotiated;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::ledger;
use crate::ledger::database::Database;
use crate::limits;
use crate::read::fresh::{BEFORE_READING, fold_and_read_quietly};
use crate::read::latest;
use crate::read::silence::Expectations;

const MEDIA_TYPE: &str = "text/event-stream";

/// What the events say; `None` if it is unknown at the moment.
type Told = Option<Counts>;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    /// Readings and conflicts: the data of `readings`.
    readings: i64,
    /// Silent devices: the data of `silent`.
    silent: i64,
}

/// The answer to a request for events.
pub struct Opened<'a, H: Host> {
    /// Status and headers; without a stream, the whole answer.
    pub response: Response,
    /// The events that follow.
    pub stream: Option<Stream<'a, H>>,
}

/// Answers a request whose method and query are those of the route, and takes a place among
/// the streams if one is free.
pub(crate) fn open<'a, H: Host>(
    host: &'a H,
    request: &Request,
    readable: Readable,
    now: UnixMillis,
) -> Opened<'a, H> {
    match accepted(host, request, now) {
        Ok(is_stream) => {
            let response = Response::bytes(MEDIA_TYPE, StatusCode::OK, Vec::new())
                // Without it, nginx buffers kilobytes of events before it sends any.
                .with_header("x-accel-buffering", "no");
            Opened { response, stream: is_stream.then(|| Stream::begin(host, readable, now)) }
        }
        Err(refusal) => Opened::refused(refusal.into_response(host, request.purpose())),
    }
}

impl<H: Host> Opened<'_, H> {
    pub(crate) fn refused(response: Response) -> Self {
        Self { response, stream: None }
    }
}

fn accepted(host: &impl Host, request: &Request, now: UnixMillis) -> Result<bool, Refusal> {
    negotiated(request, &[(MEDIA_TYPE, ())])?;
    let stream = request.method == Method::GET;
    if stream && !enters(host, now)? {
        let detail = format!(
            "all {} event streams are in use; request the figures instead, or try again later",
            limits::EVENT_STREAMS_MAX
        );
        let retry_after_s = limits::EVENTS_MS_MAX / 1_000;
        return Err(Problem::new(Kind::TooManyStreams, detail)
            .with_header("retry-after", retry_after_s.to_string())
            .into());
    }
    Ok(stream)
}

/// When a stream that begins now ends at the latest, in Unix milliseconds.
fn end_of(now: UnixMillis) -> i64 {
    let lasts_ms = i64::try_from(limits::EVENTS_MS_MAX).unwrap_or(i64::MAX);
    now.saturating_add(lasts_ms).get()
}

/// Takes a place among the streams. Returns whether one was free.
fn enters(host: &impl Host, now: UnixMillis) -> Result<bool, Error> {
    let until = end_of(now);
    change_streams(host, |open| {
        // Requests overtake each other, and the clocks of gateways differ a little.
        // Places from before a clock was set back are dropped.
        open.retain(|other| (now.get()..=until + limits::REQUEST_MS_MAX).contains(other));
        let has_room = open.len() < limits::EVENT_STREAMS_MAX;
        if has_room {
            open.push(until);
        }
        has_room
    })
}

/// Gives back the place of a stream that began at `begun`, before it would have ended.
fn leaves(host: &impl Host, begun: UnixMillis) -> Result<bool, Error> {
    change_streams(host, |open| {
        let own = open.iter().position(|until| *until == end_of(begun));
        own.is_some_and(|own| {
            open.swap_remove(own);
            true
        })
    })
}

/// Lets `change` change the ends of the open streams, and stores them if it returns
/// true. Returns whether they were stored.
fn change_streams(host: &impl Host, change: impl Fn(&mut Vec<i64>) -> bool) -> Result<bool, Error> {
    /// How often to try, as other requests may change them at the same time.
    const ATTEMPTS: usize = 8;
    let store = host.key_value().map_err(Error::Journal)?;
    for _ in 0..ATTEMPTS {
        let stored = store.get(keys::EVENTS).map_err(Error::Journal)?;
        let text = stored.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let mut open: Vec<i64> = text.split(' ').filter_map(|until| until.parse().ok()).collect();
        if !change(&mut open) {
            return Ok(false);
        }
        let written = open.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
        let swapped = store.replace(keys::EVENTS, stored.as_deref(), written.as_bytes());
        if swapped.map_err(Error::Journal)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A stream of events, step by step. The loop is in the host, as not every runtime may
/// block: it sends the text of each step, and takes the next step after
/// `limits::EVENTS_EVERY_MS`.
///
/// The first step has an event. Comments between events show whether the client is
/// still there. When the stream ends, the client connects again by itself.
pub struct Stream<'a, H: Host> {
    watch: Watch<'a, H>,
    /// The regions that are counted.
    readable: Readable,
    begun: UnixMillis,
    started_ms: u64,
    /// What the last event said.
    told: Option<Told>,
    /// When the readings were last counted.
    looked_ms: Option<u64>,
    /// When something was last sent.
    sent_ms: u64,
    /// The error of the last count, if there was one.
    trouble: Option<String>,
}

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// To send, if it is not empty.
    pub text: String,
    /// Whether another step follows.
    pub goes_on: bool,
}

impl<'a, H: Host> Stream<'a, H> {
    /// `begun` is when it took its place.
    fn begin(host: &'a H, readable: Readable, begun: UnixMillis) -> Self {
        let started_ms = host.monotonic_ms();
        Self {
            watch: Watch { host, regions: None, folds: None },
            readable,
            begun,
            started_ms,
            told: None,
            looked_ms: None,
            sent_ms: started_ms,
            trouble: None,
        }
    }

    /// What to send at `now`, the node's clock.
    pub fn step(&mut self, now: UnixMillis) -> Step {
        let mut text = self.news(now).unwrap_or_default();
        let at_ms = self.watch.host.monotonic_ms();
        if text.is_empty() && at_ms.saturating_sub(self.sent_ms) >= limits::EVENTS_KEEPALIVE_MS {
            text.push_str(":\n\n");
        }
        if !text.is_empty() {
            self.sent_ms = at_ms;
        }
        let goes_on = at_ms.saturating_sub(self.started_ms) < limits::EVENTS_MS_MAX;
        Step { text, goes_on }
    }

    /// Gives its place back after the client has gone. If that fails, the place stays
    /// taken until the stream would have ended.
    pub fn leave(self) {
        best_effort(leaves(self.watch.host, self.begun));
    }

    /// The events that differ from what was told before.
    fn news(&mut self, now: UnixMillis) -> Option<String> {
        let host = self.watch.host;
        let is_due = self.looked_ms.is_none_or(|looked_ms| {
            host.monotonic_ms().saturating_sub(looked_ms) >= limits::EVENTS_LOOK_MS
        });
        // While the database is away, only regular counts call it.
        if !is_due && (self.trouble.is_some() || !self.watch.sees_something_new()) {
            return None;
        }
        self.looked_ms = Some(host.monotonic_ms());
        let state = state(host, &self.readable, now, &mut self.trouble);
        let before = self.told.replace(state);
        let mut text = String::new();
        for (name, count) in [
            ("readings", (|counts| counts.readings) as fn(Counts) -> i64),
            ("silent", |counts| counts.silent),
        ] {
            let data = state.map(count);
            if before.map(|told| told.map(count)) != Some(data) {
                let data = data.map_or("null".to_owned(), |count| count.to_string());
                text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
            }
        }
        Some(text)
    }
}

/// What a stream looks at every second.
struct Watch<'a, H: Host> {
    host: &'a H,
    /// Open for as long as the stream lasts.
    regions: Option<Database<'a, H>>,
    /// How many transactions had posted readings.
    folds: Option<i64>,
}

impl<H: Host> Watch<'_, H> {
    /// Whether there is something to fold, or something was folded. A store that can't
    /// be read counts as something new, too.
    fn sees_something_new(&mut self) -> bool {
        match self.look() {
            Ok(is_new) => is_new,
            Err(_told_by_the_next_look) => {
                self.regions = None;
                true
            }
        }
    }

    fn look(&mut self) -> Result<bool, Error> {
        let store = self.host.key_value().map_err(Error::Journal)?;
        if Inventory::list(self.host, &store)?.unfolded() > 0 {
            return Ok(true);
        }
        let regions = match self.regions.take() {
            Some(regions) => regions,
            None => Database::open(self.host, BEFORE_READING)?,
        };
        let folds = regions.read(|sql| ledger::tally(sql, ledger::FOLDS))?;
        self.regions = Some(regions);
        Ok(self.folds.replace(folds) != Some(folds))
    }
}

/// Folds, and counts. `trouble` is the error of the last count: an outage is logged
/// when it begins, not with every count.
fn state(
    host: &impl Host,
    readable: &Readable,
    now: UnixMillis,
    trouble: &mut Option<String>,
) -> Told {
    let condition = readable.condition("r.name");
    let counted = fold_and_read_quietly(
        host,
        Span::ALL_TIME,
        now,
        |regions| {
            regions.read(|sql| {
                let readings = ledger::changes(sql, &condition)?;
                let expected = Expectations::load(sql, now)?;
                let silent = latest::silent_devices(sql, &condition, &expected)?;
                Ok(Counts { readings, silent })
            })
        },
        |_snapshot| None,
    );
    let (state, error) = match counted {
        Ok(read) => (Some(read.value), read.covered.trouble),
        Err(error) => (None, Some(error)),
    };
    let is_new = error.is_some() && trouble.is_none();
    *trouble = error.map(|error| error.to_string());
    if let Some(trouble) = trouble.as_ref().filter(|_| is_new) {
        host.log(&format!("events: {trouble}"));
    }
    state
}
