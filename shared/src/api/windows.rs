//! `GET /v1/regions/{region}/windows`: a region's figures for each step of a range.

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::api::cells;
use crate::domain::range::{Range, Span};
use crate::domain::reading::{Region, UnixMillis};
use crate::domain::summary::Summary;
use crate::host::Host;
use crate::http::Problem;
use crate::http::document::{Fields, Table};
use crate::http::params::{QueryParams, next_page};
use crate::http::path::unknown_region;
use crate::limits;
use crate::read::aggregate;
use crate::read::fresh::fold_and_read;

const HOUR_MINUTES: i64 = 60;
const DAY_MINUTES: i64 = 24 * HOUR_MINUTES;

/// Answers with a window for each step, also where there is no reading.
pub(crate) fn of_region<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    let minutes = call.params.step_minutes.unwrap_or(HOUR_MINUTES);
    let range = range(&call.params, minutes, call.now)?;
    let page: Vec<Range> = range.steps(minutes).take(limits::WINDOWS_PER_PAGE_MAX).collect();
    let end = page.last().map_or(range.to(), Range::to);
    let span = Span { range: Some(range), from: Some(range.from()), to: Some(range.to()) };
    let on_page = Range::covering(range.from(), end).unwrap_or(range);
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            database.read_at_once(|sql| aggregate::series(sql, region.as_str(), on_page, minutes))
        },
        |_snapshot| None,
    )?;
    let steps = read.value.as_ref().ok_or_else(|| read.covered.missing(unknown_region()))?;
    let next = (end < range.to()).then(|| {
        // The defaults move with the clock, so the next page names them. Written as
        // text, as a small number looks like seconds.
        let (from, to) = (end, range.to());
        next_page(&format!("from={from}&to={to}&step={minutes}m"))
    });
    let step_ms = minutes * UnixMillis::PER_MINUTE;
    let listing = Listing {
        list: Some("windows"),
        about: Fields::of([("region", region.as_str().into()), ("step_ms", step_ms.into())]),
        complete: None,
        next,
    };
    Ok(read.covered.answer(call, table(&page, steps), listing))
}

/// The steps of a page, each with its figures if it has any.
fn table(page: &[Range], steps: &[Option<Summary>]) -> Table {
    let row = |(step, summary): (&Range, &Option<Summary>)| {
        let mut row = vec![step.from().into(), step.to().into()];
        row.extend(cells::cells(summary.as_ref()));
        row
    };
    let columns = [&["from", "to"], cells::COLUMNS].concat();
    Table { columns, rows: page.iter().zip(steps).map(row).collect() }
}

/// From `from` to `to`, widened to whole minutes. The default is a day up to now, or
/// one step if that is longer. It ends at a whole step of the clock, so that the
/// windows stay the same until the next one begins.
fn range(params: &QueryParams<'_>, step_minutes: i64, now: UnixMillis) -> Result<Range, Problem> {
    let unit = step_minutes.min(DAY_MINUTES);
    let now_to = (now.minute() + unit) / unit * unit;
    let default_to = UnixMillis::from_minute(now_to, 0).unwrap_or(now);
    let span_ms = step_minutes.max(DAY_MINUTES) * UnixMillis::PER_MINUTE;
    let default_from = params.to.unwrap_or(default_to).saturating_sub(span_ms);
    params.range(default_from, default_to)
}
