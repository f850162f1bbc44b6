//! `GET /v1/regions/{region}/windows`: a region's figures, step by step.

use serde::Serialize;

use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request};
use crate::limits;
use crate::parameters::{Parameters, Span, instant, parameters, region_in_path, unknown_region};
use crate::query::FiguresBody;
use crate::reading::UnixMillis;
use crate::report::{self, Figures, Range};
use crate::settings::parse_duration_ms;
use crate::view::{Answered, Coverage, fold_and_read};

const HOUR_MINUTES: i64 = 60;
const DAY_MS: i64 = 24 * 60 * UnixMillis::PER_MINUTE;

#[derive(Serialize)]
struct Series {
    region: String,
    step_ms: i64,
    windows: Vec<WindowBody>,
    /// The path of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(flatten)]
    coverage: Coverage,
}

/// One step; its own `from` and `to` are half-open.
#[derive(Serialize)]
struct WindowBody {
    from: UnixMillis,
    to: UnixMillis,
    #[serde(flatten)]
    figures: FiguresBody,
}

/// Answers with a window for each step, those without a reading among them.
pub(crate) fn windows(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let parameters = parameters(request, &["from", "to", "step"])?;
    let range = range(&parameters, now)?;
    let minutes = step_minutes(&parameters)?;
    let name = region_in_path(encoded)?;
    let page: Vec<Range> = range.steps(minutes).take(limits::WINDOWS_PER_PAGE_MAX).collect();
    let end = page.last().map_or(range.to(), Range::to);
    let span = Span { range: Some(range), from: Some(range.from()), to: Some(range.to()) };
    let on_page = Range::covering(range.from(), end).unwrap_or(range);
    let read = fold_and_read(
        host,
        span,
        now,
        |regions| regions.read(|sql| report::series(sql, name.as_str(), on_page, minutes)),
        |_all_time| None,
    )?;
    let steps = read.value.as_ref().ok_or_else(unknown_region)?;
    let next = (end < range.to()).then(|| {
        // The defaults move with the clock, so the next page names what they were.
        let (from, to) = (end.get(), range.to().get());
        format!("{}?from={from}&to={to}&step={minutes}m", request.path)
    });
    let body = Series {
        region: name.as_str().to_owned(),
        step_ms: minutes * UnixMillis::PER_MINUTE,
        windows: with_empty_steps(&page, steps),
        next: next.clone(),
        coverage: read.coverage.clone(),
    };
    let mut answered = read.answer(&body, now);
    if let Some(next) = next {
        let link = format!("<{next}>; rel=\"next\"");
        answered.response = answered.response.with_header("link", link);
    }
    Ok(answered)
}

/// The steps of a page, each with its figures if it has any. `found` is in the
/// order of the steps.
fn with_empty_steps(page: &[Range], found: &[(i64, Figures)]) -> Vec<WindowBody> {
    let mut found = found.iter().peekable();
    let window = |step: &Range| {
        let figures = found.next_if(|(start, _)| *start == step.from().minute());
        WindowBody {
            from: step.from(),
            to: step.to(),
            figures: FiguresBody::new(figures.map(|(_, figures)| *figures)),
        }
    };
    page.iter().map(window).collect()
}

/// From `from` to `to`, widened to whole minutes; by default the 24 hours up to
/// now.
fn range(parameters: &Parameters<'_>, now: UnixMillis) -> Result<Range, Problem> {
    let to = instant(parameters, "to")?.unwrap_or(now);
    let from = instant(parameters, "from")?.unwrap_or_else(|| to.saturating_sub(DAY_MS));
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
