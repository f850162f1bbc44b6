//! `GET /v1/regions/{region}/windows`: a region's figures, step by step.

use crate::api::answer::{Answered, Listing};
use crate::api::cells;
use crate::domain::figures::Figures;
use crate::domain::range::Range;
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::host::Host;
use crate::http::parameters::{
    Parameters, instant, next_page, parameters, region_in_path, unknown_region,
};
use crate::http::representation::{Format, Record, Table};
use crate::http::{Kind, Problem, Refusal, Request};
use crate::limits;
use crate::read::report;
use crate::read::view::fold_and_read;
use crate::settings::parse_duration_ms;

const HOUR_MINUTES: i64 = 60;
const DAY_MINUTES: i64 = 24 * HOUR_MINUTES;

/// Answers with a window for each step, those without a reading among them.
pub(crate) fn windows(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    let parameters = parameters(request, &["from", "to", "step"])?;
    let minutes = step_minutes(&parameters)?;
    let range = range(&parameters, minutes, now)?;
    let name = region_in_path(encoded)?;
    let page: Vec<Range> = range.steps(minutes).take(limits::WINDOWS_PER_PAGE_MAX).collect();
    let end = page.last().map_or(range.to(), Range::to);
    let span = Span { range: Some(range), from: Some(range.from()), to: Some(range.to()) };
    let on_page = Range::covering(range.from(), end).unwrap_or(range);
    let read = fold_and_read(
        host,
        span,
        now,
        |regions| regions.read_at_once(|sql| report::series(sql, name.as_str(), on_page, minutes)),
        |_snapshot| None,
    )?;
    let steps = read.value.as_ref().ok_or_else(|| read.shown.missing(unknown_region()))?;
    let next = (end < range.to()).then(|| {
        // The defaults move with the clock, so the next page names what they were.
        // As text: a number of long ago looks like seconds.
        let (from, to) = (end, range.to());
        next_page(&format!("from={from}&to={to}&step={minutes}m"))
    });
    let step_ms = minutes * UnixMillis::PER_MINUTE;
    let listing = Listing {
        list: Some("windows"),
        about: Record::of([("region", name.as_str().into()), ("step_ms", step_ms.into())]),
        complete: None,
        next,
    };
    Ok(read.shown.answer(request, format, table(&page, steps), listing, now))
}

/// The steps of a page, each with its figures if it has any.
fn table(page: &[Range], steps: &[Option<Figures>]) -> Table {
    let row = |(step, figures): (&Range, &Option<Figures>)| {
        let mut row = vec![step.from().into(), step.to().into()];
        row.extend(cells::cells(figures.as_ref()));
        row
    };
    let columns = [&["from", "to"], cells::COLUMNS].concat();
    Table { columns, rows: page.iter().zip(steps).map(row).collect() }
}

/// From `from` to `to`, widened to whole minutes. By default up to now, and the
/// steps that make up a day, or one if it is longer; they then begin at whole
/// steps of the clock, so that the windows are the same until the next begins.
fn range(
    parameters: &Parameters<'_>,
    step_minutes: i64,
    now: UnixMillis,
) -> Result<Range, Problem> {
    let unit = step_minutes.min(DAY_MINUTES);
    let now_to = (now.minute() + unit) / unit * unit;
    let default_to = UnixMillis::from_minute(now_to, 0).unwrap_or(now);
    let to = instant(parameters, "to")?.unwrap_or(default_to);
    let span_ms = step_minutes.max(DAY_MINUTES) * UnixMillis::PER_MINUTE;
    let from = instant(parameters, "from")?.unwrap_or_else(|| to.saturating_sub(span_ms));
    let range = Range::covering(from, to);
    range.ok_or_else(|| Problem::new(Kind::BadParameter, "from must be before to"))
}

/// From `step`, in minutes; by default an hour.
fn step_minutes(parameters: &Parameters<'_>) -> Result<i64, Problem> {
    let Some(text) = parameters.get("step") else { return Ok(HOUR_MINUTES) };
    let ms = parse_duration_ms(text).filter(|ms| ms % UnixMillis::PER_MINUTE == 0);
    let minutes = ms.map(|ms| ms / UnixMillis::PER_MINUTE);
    let in_range = minutes.filter(|minutes| (1..=limits::WINDOW_MINUTES_MAX).contains(minutes));
    in_range.ok_or_else(|| {
        let rule = "step must be a whole number of minutes from 1m to 366d, like 15m, 6h or 1d";
        Problem::new(Kind::BadParameter, rule)
    })
}
