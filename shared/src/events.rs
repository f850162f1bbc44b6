//! `GET /v1/events`: server-sent events (HTML Standard, 9.2) that say when there
//! is something new, so that who looks on need not ask.

use http::StatusCode;

use crate::host::Host;
use crate::http::{Refusal, Request, Response};
use crate::ledger;
use crate::limits;
use crate::parameters::{Span, parameters};
use crate::query::READING;
use crate::reading::UnixMillis;
use crate::report::Range;
use crate::representation::negotiated;
use crate::view::fold_and_read;

/// Where the events are.
pub(crate) const PATH: &str = "/v1/events";

const MEDIA_TYPE: &str = "text/event-stream";

/// What `data` says: how many readings are counted, or that nobody knows at the
/// moment.
type State = Option<i64>;

/// Whether `request` asks for events, and not for an answer.
pub fn are_asked_for(request: &Request) -> bool {
    request.path == PATH
}

/// The head of the answer. Without `stream`, it is the whole one.
#[derive(Debug)]
pub struct Head {
    /// Status and headers.
    pub response: Response,
    /// Whether events follow.
    pub stream: bool,
}

/// The head of the answer to `request`.
pub fn head(host: &impl Host, request: &Request) -> Head {
    match accepted(request) {
        Ok(()) => {
            let response = Response::bytes(MEDIA_TYPE, StatusCode::OK, Vec::new());
            Head { response, stream: request.method == http::Method::GET }
        }
        Err(refusal) => Head { response: refusal.into_response(host), stream: false },
    }
}

fn accepted(request: &Request) -> Result<(), Refusal> {
    request.allow(READING)?;
    negotiated(request, &[(MEDIA_TYPE, ())])?;
    parameters(request, &[])?;
    Ok(())
}

/// Writes events until `limits::EVENTS_MS_MAX` are over or `write` says that the
/// client is gone. The client asks again by itself.
///
/// The first event comes at once; what is written between events tells a client
/// that is gone from one that has nothing to hear.
pub fn write(host: &impl Host, now: impl Fn() -> UnixMillis, mut write: impl FnMut(&str) -> bool) {
    let started = host.monotonic_ms();
    let mut told: Option<State> = None;
    let mut written = started;
    loop {
        let state = state(host, now());
        let at = host.monotonic_ms();
        let text = if told != Some(state) {
            told = Some(state);
            let data = state.map_or("null".to_owned(), |count| count.to_string());
            format!("event: readings\ndata: {data}\n\n")
        } else if at.saturating_sub(written) >= limits::EVENTS_QUIET_MS_MAX {
            ":\n\n".to_owned()
        } else {
            String::new()
        };
        if !text.is_empty() {
            written = at;
            if !write(&text) {
                return;
            }
        }
        if at.saturating_sub(started) >= limits::EVENTS_MS_MAX {
            return;
        }
        host.sleep_ms(limits::EVENTS_EVERY_MS);
    }
}

/// Folds, and counts. What fails is logged by who answers requests.
fn state(host: &impl Host, now: UnixMillis) -> State {
    let all_time_now = Span { range: Some(Range::ALL), from: None, to: None };
    let counted = fold_and_read(
        host,
        all_time_now,
        now,
        |regions| {
            regions.read(|sql| Ok(ledger::totals(sql)?.readings + ledger::tally(sql, "conflicts")?))
        },
        |_never| 0,
    );
    counted.ok().map(|read| read.value)
}
