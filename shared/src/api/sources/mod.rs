//! What devices send that can't send readings as `/v1/readings` takes them: InfluxDB's line
//! protocol, and messages that are read by the mapping of a source.
//!
//! `asked` tells by the head of a request which source it is for, and where its key is;
//! `config` finds the source's mapping; `lines` and `mapped` read the body; `placed` finds the
//! device and the region; `replies` answers as the sender expects; `left` says what is noted
//! of what was not counted. `side` are the paths that clients of InfluxDB ask first. The
//! readings go the same way as all others (`api::readings`).

mod asked;
mod config;
mod hints;
mod left;
mod lines;
pub(crate) mod manage;
mod manage_devices;
mod mapped;
mod placed;
mod replies;
mod seen;
pub(crate) mod side;
mod table;

pub(crate) use self::asked::{Asked, Way};
pub(crate) use self::config::check;
pub(crate) use self::left::Leftover;
pub(crate) use self::table::for_ids as rows_for;

/// The source whose table has the regions of devices that send SenML.
pub(crate) const SENML: &str = "senml";

use crate::access::Grant;
use crate::api::access::{self, Admission};
use crate::api::denial::{Denial, forbidden};
use crate::api::readings::batch::Batch;
use crate::api::readings::formats;
use crate::api::readings::take::{Kept, Taken};
use crate::api::readings::{self, AfterPost};
use crate::api::router::Admitted;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::http::body::check_length;
use crate::http::{Problem, Purpose, Refusal, Request, Response};
use crate::journal::keyrate;
use crate::limits;
use crate::log::Counts;
use crate::settings;

/// What a request to a source leads to.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) after_answer: AfterPost,
    pub(crate) counts: Counts,
}

/// Judges a request to a source by its head: its credential, and what it says of its body.
pub(crate) fn admit<H: Host>(
    host: &H,
    request: &Request,
    asked: &Asked,
    now: UnixMillis,
) -> Result<Admitted, Denial> {
    let Admission { grant, door } = access::admit_source(host, request, asked.key.as_ref(), now)?;
    // Lines whose database is no source are those of the default one.
    let may = |source: &str| grant.scopes.may_send_by(source);
    let may_default = match asked.way {
        Way::Lines => may(asked::OF_LINES),
        // It changes nothing.
        Way::Query => grant.scopes.sends_by_any(),
        _ => false,
    };
    if !grant.scopes.writes_any() && !may(&asked.source) && !may_default {
        return Err(forbidden("source:<source>", grant.who()));
    }
    check_rate(host, &grant, now)?;
    let body_limit = body_limit(host, request, asked.way).map_err(|refusal| match refusal {
        Refusal::Node(error) => Denial::Node(error),
        Refusal::Request(problem) => Denial::unfit(problem, &grant),
    })?;
    Ok(Admitted { body_limit, grant, door: door.map(|door| (door, now)) })
}

/// An ingest key stands in logs: one that leaked must not fill the node.
fn check_rate<H: Host>(host: &H, grant: &Grant, now: UnixMillis) -> Result<(), Denial> {
    if !grant.scopes.is_of_one_source() {
        return Ok(());
    }
    let Some(id) = grant.who() else { return Ok(()) };
    match keyrate::is_within(host, id, now) {
        true => Ok(()),
        false => Err(Denial::too_often(grant)),
    }
}

fn body_limit(host: &impl Host, request: &Request, way: Way) -> Result<usize, Refusal> {
    formats::is_gzip(request)?;
    let limit_bytes = match way {
        Way::Lines => settings::max_body_bytes(host)?,
        _ => limits::SOURCE_BODY_BYTES_MAX,
    };
    check_length(request, limit_bytes)?;
    Ok(limit_bytes)
}

/// Answers a request to a source whose head was valid.
pub(crate) fn answer<H: Host>(
    host: &H,
    request: &Request,
    asked: &Asked,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Answer {
    let taken = match asked.way {
        Way::Query => side::query(request, body),
        Way::Lines => lines::take_lines(host, request, asked, admitted, body, now),
        _ => mapped::take_message(host, request, asked, admitted, body, now),
    };
    let answer = taken.unwrap_or_else(|refusal| refused(host, request, asked.way, refusal));
    let key = Some(&admitted.grant).filter(|grant| grant.scopes.is_of_one_source());
    let key = key.and_then(Grant::who).map(str::to_owned);
    Answer { after_answer: answer.after_answer.by_key(key), ..answer }
}

/// The answer to a message that was read, in the sender's words: `in_words` finds them, unless
/// the journal is full.
fn answered(
    request: &Request,
    way: Way,
    taken: Taken<'_>,
    mut left: Leftover,
    in_words: impl FnOnce(&Batch<'_>, &Kept) -> Response,
) -> Answer {
    let Taken { mut batch, kept, after_answer } = taken;
    if let Kept::Folded { outcomes, .. } = &kept {
        batch.reject_too_old(outcomes);
    }
    if matches!(kept, Kept::JournalFull) {
        let problem = Problem::of(&Error::JournalFull, Purpose::Writing);
        let response = way.in_its_words(problem.into());
        return Answer { response, after_answer, counts: Counts::default() };
    }
    let (counts, response) = (batch.counts(), in_words(&batch, &kept));
    left.count_rejections(&batch.rejections());
    let after_answer = readings::noted(request, &batch, after_answer.with_left(left.noted()));
    Answer { response, after_answer, counts }
}

/// The answer to a request of which nothing was read.
pub(crate) fn refused(host: &impl Host, request: &Request, way: Way, refusal: Refusal) -> Answer {
    let (response, after_answer, counts) = readings::refused(host, request, refusal);
    Answer { response: way.in_its_words(response), after_answer, counts }
}
