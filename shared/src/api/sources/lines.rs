//! InfluxDB's line protocol: `/write`, `/api/v2/write`, `/api/v3/write_lp`.
//!
//! The type of the body is not looked at: firmware says that it is a form. If the database or
//! bucket has the name of a source with a mapping, that says which lines are temperatures.
//! Otherwise it is the field `temperature_c`, with the tags `device_id` and `region`.

use http::StatusCode;

use super::asked::{Asked, OF_LINES, Way, parameter};
use super::left::{self, Leftover};
use super::{Answer, config, mapped, replies};
use crate::api::denial::lacks;
use crate::api::readings::answers::unreadable;
use crate::api::readings::formats;
use crate::api::readings::take::{Sent, Taken, take};
use crate::api::router::Admitted;
use crate::domain::reading::{Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::domain::source::{DIGEST_BYTES, OfSource};
use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::journal::Origin;
use crate::settings;
use crate::wire::item::Item;
use crate::wire::line;
use crate::wire::line_readings::{self, LineItem};
use crate::wire::line_time::Precision;

/// Takes the lines of a request.
pub(super) fn take_lines<H: Host>(
    host: &H,
    request: &Request,
    asked: &Asked,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Result<Answer, Refusal> {
    let precision = precision(request)?;
    let body = formats::inflated(request, body, settings::max_body_bytes(host)?)?;
    let text = line::text(&body);
    let query = request.query.as_deref().unwrap_or_default();
    if let Some(source) = config::find(host, &asked.source)? {
        let scopes = &admitted.grant.scopes;
        if !scopes.writes_any() && !scopes.may_send_by(&source.name) {
            return Err(lacks("source:<source>").into());
        }
        return mapped::take_lines(host, request, &source, admitted, (&text, precision), now);
    }
    let found = line_readings::readings(&text, precision).map_err(unreadable)?;
    let count = found.items.len();
    let items = found.items.into_iter().map(item).collect();
    let allows_all = admitted.grant.scopes.may_send_by(OF_LINES);
    let source = OfSource { name: OF_LINES, digest: [0; DIGEST_BYTES] };
    let origin = Origin { source: Some(source), ..Origin::default() };
    let sent = Sent { items, ignored: Vec::new(), origin, allows_all, wait_ms: None };
    let taken = take(host, sent, &admitted.grant, admitted.door, now)?;
    let mut left = Leftover::of(OF_LINES);
    if let Some(first) = taken.batch.rejected.first() {
        let why = (first.reason.code(), "", &*first.error.detail);
        left.refused(left::body((query, &body), now, why));
    }
    left.count("ignored", found.ignored);
    Ok(answered(request, taken, count, left))
}

/// The reading of a line, whose time is given.
fn item(LineItem { line, reading }: LineItem<'_>) -> Item<'_> {
    let reading = reading?;
    let Some(time) = reading.time else {
        let detail =
            format!("line {line} has no time, and no mapping of a source allows that; send one");
        let names = (reading.device_id.as_str(), reading.region.as_str());
        return Err(
            Rejection::new(Reason::MissingTimestamp, detail).sent_as(Some(names.0), Some(names.1))
        );
    };
    Ok(Reading::new(reading.device_id, reading.region, reading.temperature, time))
}

pub(super) fn precision(request: &Request) -> Result<Precision, Problem> {
    let Some(text) = parameter(request, "precision") else { return Ok(Precision::Auto) };
    Precision::parse(&text).ok_or_else(|| {
        let detail =
            "precision must be ns, us, ms, s, m or h; without it, a time is read by its magnitude";
        Problem::new(Kind::BadParameter, detail)
    })
}

/// The answer about lines, of which so many had a temperature.
pub(super) fn answered(
    request: &Request,
    taken: Taken<'_>,
    count: usize,
    left: Leftover,
) -> Answer {
    super::answered(request, Way::Lines, taken, left, |batch, _kept| match batch.rejected.first() {
        None => Response::empty(StatusCode::NO_CONTENT),
        Some(first) => replies::partial_write(batch.rejected.len(), count, &first.error.detail),
    })
}
