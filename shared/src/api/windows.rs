//! `GET /v1/regions/{region}/windows`: a region's figures for each step of a range.

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::api::cells;
use crate::domain::range::{Range, Span};
use crate::domain::reading::{Region, UnixMillis};
use crate::domain::step::Step;
use crate::domain::summary::Summary;
use crate::host::Host;
use crate::http::Problem;
use crate::http::document::{Fields, Table};
use crate::http::params::{Param, QueryParams};
use crate::http::path::unknown_region;
use crate::limits;
use crate::read::aggregate;
use crate::read::fresh::fold_and_read;

/// Answers with a window for each step, also where there is no reading.
pub(crate) fn of_region<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    let (step, zone) = (call.params.step.unwrap_or(Step::HOUR), &call.params.zone);
    let range = step_range(&call.params, step, call.now)?;
    let page = step.cut(zone, range, limits::WINDOWS_PER_PAGE_MAX);
    let end = page.last().map_or(range.to(), Range::to);
    let span = Span { range: Some(range), from: Some(range.from()), to: Some(range.to()) };
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| database.read_at_once(|sql| aggregate::series(sql, region.as_str(), &page)),
        |_snapshot| None,
    )?;
    let steps = read.value.as_ref().ok_or_else(|| read.covered.missing(unknown_region()))?;
    let step_text = call.params.text(Param::Step).unwrap_or("1h");
    let next = (end < range.to()).then(|| call.params.next_range(end, range.to(), step_text));
    let listing = Listing {
        list: Some("windows"),
        about: Fields::of([
            ("region", region.as_str().into()),
            ("step", step_text.into()),
            ("step_ms", step.ms(zone).into()),
            ("time_zone", zone.name().into()),
        ]),
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

/// From `from` to `to`, widened to whole minutes, with the defaults of the step.
pub(crate) fn step_range(
    params: &QueryParams<'_>,
    step: Step,
    now: UnixMillis,
) -> Result<Range, Problem> {
    let default_to = step.default_to(&params.zone, now);
    let default_from = step.default_from(&params.zone, params.to.unwrap_or(default_to));
    params.range(default_from, default_to)
}
