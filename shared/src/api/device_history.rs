//! What a device measured over time: `GET /v1/devices/{device_id}/readings`, `/windows`
//! and `/gaps`.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::api::windows::step_range;
use crate::base::page::Page;
use crate::domain::range::{Range, Span};
use crate::domain::reading::{DeviceId, UnixMillis};
use crate::domain::step::Step;
use crate::host::Host;
use crate::http::document::{Fields, Table};
use crate::http::params::{Param, QueryParams, next_page};
use crate::http::path::unknown_device;
use crate::http::{Kind, Problem};
use crate::ledger;
use crate::limits;
use crate::read::device_history::{self, Gap, KeptReading};
use crate::read::device_steps::{self, StepFigures};
use crate::read::devices;
use crate::read::fresh::fold_and_read;
use crate::read::silence::Expectations;

/// `GET /v1/devices/{device_id}/readings`: those that the ledger still has, sorted by
/// time.
pub(crate) fn readings<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let (from, to) = bounds(&call.params, call.now)?;
    let limit = call.params.limit;
    let readable = call.readable();
    let span = Span { range: Range::covering(from, to), from: Some(from), to: Some(to) };
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let most = Page::<()>::to_read(limit);
                let readings = match devices::is_readable(sql, &readable, device.as_str())? {
                    true => device_history::readings(sql, device.as_str(), from, to, most)?,
                    false => None,
                };
                Ok((readings, ledger::tally(sql, ledger::PRUNED_BEFORE)?))
            })
        },
        |_snapshot| None,
    )?;
    let (readings, pruned_before) = read.value;
    let readings = readings.ok_or_else(|| call.hidden(read.covered.missing(unknown_device())))?;
    let page = Page::of(readings, limit);
    let next = page.last().map(|last| {
        // A device has at most one reading in a millisecond, so the next page begins
        // one later. Written as text, as a small number looks like seconds.
        next_page(&format!("from={}&to={to}&limit={limit}", last.at.saturating_add(1)))
    });
    let listing = Listing {
        list: Some("readings"),
        about: Fields::of([
            ("device_id", device.as_str().into()),
            ("kept_from", kept_from(pruned_before)),
        ]),
        complete: None,
        next,
    };
    let columns = vec!["timestamp", "region", "temperature_c"];
    let row = |KeptReading { at, region, temperature }| {
        vec![at.into(), Value::from(region), temperature.to_celsius().into()]
    };
    let rows = page.items.into_iter().map(row).collect();
    Ok(read.covered.answer(call, Table { columns, rows }, listing))
}

/// `from` and `to`. By default `to` is a minute after now, and `from` 24 hours before
/// `to`.
fn bounds(params: &QueryParams<'_>, now: UnixMillis) -> Result<(UnixMillis, UnixMillis), Problem> {
    const DAY_MS: i64 = 24 * 60 * UnixMillis::PER_MINUTE;
    let to = params.to.unwrap_or_else(|| now.saturating_add(UnixMillis::PER_MINUTE));
    let from = params.from.unwrap_or_else(|| to.saturating_sub(DAY_MS));
    let days = limits::READINGS_RANGE_DAYS_MAX;
    if from >= to || to.get() - from.get() > days * DAY_MS {
        let detail = format!("from must be before to, by at most {days} days");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    Ok((from, to))
}

/// `GET /v1/devices/{device_id}/windows`: its figures for each step of a range.
pub(crate) fn windows<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let (params, zone) = (&call.params, &call.params.zone);
    let step = params.step.unwrap_or(Step::HOUR);
    let range = step_range(params, step, call.now)?;
    let page = step.cut(zone, range, limits::WINDOWS_PER_PAGE_MAX);
    let readable = call.readable();
    let span = Span { range: Some(range), from: Some(range.from()), to: Some(range.to()) };
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let name = device.as_str();
                let steps = match devices::is_readable(sql, &readable, name)? {
                    true => device_steps::steps(sql, name, &page)?,
                    false => None,
                };
                Ok((steps, ledger::tally(sql, ledger::PRUNED_BEFORE)?))
            })
        },
        |_snapshot| None,
    )?;
    let missing = || call.hidden(read.covered.missing(unknown_device()));
    let (steps, pruned_before) = &read.value;
    let steps = steps.as_ref().ok_or_else(missing)?;
    let last = steps.len().checked_sub(1).and_then(|last| page.get(last));
    let end = last.map_or(range.to(), Range::to);
    let step_text = params.text(Param::Step).unwrap_or("1h");
    let listing = Listing {
        list: Some("windows"),
        about: Fields::of([
            ("device_id", device.as_str().into()),
            ("step", step_text.into()),
            ("step_ms", step.ms(zone).into()),
            ("time_zone", zone.name().into()),
            ("kept_from", kept_from(*pruned_before)),
        ]),
        complete: None,
        next: (end < range.to()).then(|| params.next_range(end, range.to(), step_text)),
    };
    let columns = vec!["from", "to", "count", "average_c", "min_c", "max_c"];
    let rows = page.iter().zip(steps).map(window_row).collect();
    Ok(read.covered.answer(call, Table { columns, rows }, listing))
}

/// A step with its figures; `null` if they are not known.
fn window_row((step, figures): (&Range, &StepFigures)) -> Vec<Value> {
    let window = figures.window.filter(|_| figures.is_known);
    let extremes = window.and_then(|window| window.extremes());
    let count = window.map_or(0, |window| window.readings());
    vec![
        step.from().into(),
        step.to().into(),
        figures.is_known.then_some(count).into(),
        window.map(|window| window.average_celsius()).into(),
        extremes.map(|extremes| extremes.min.to_celsius()).into(),
        extremes.map(|extremes| extremes.max.to_celsius()).into(),
    ]
}

/// `GET /v1/devices/{device_id}/gaps`: the times between its readings, in the range, that
/// are longer than three times the usual (or than `longer`).
pub(crate) fn gaps<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let (from, to) = bounds(&call.params, call.now)?;
    let longer = call.params.duration_ms(Param::Longer, limits::DURATION_MS_MAX)?;
    let readable = call.readable();
    let span = Span { range: Range::covering(from, to), from: Some(from), to: Some(to) };
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let expected = Expectations::load(sql, call.now)?;
                let (_, regions) = devices::of_device(sql, devices::EVERYWHERE, device.as_str())?;
                let is_hidden = !devices::is_readable(sql, &readable, device.as_str())?;
                let after = devices::whole(&regions).map(|whole| {
                    let after = expected.silent_after_ms(&whole);
                    longer.or(after).unwrap_or(limits::SILENT_AFTER_MS_UNLEARNED)
                });
                let times = match is_hidden {
                    true => None,
                    false => device_history::times(sql, device.as_str(), from, to)?,
                };
                Ok((times, after, ledger::tally(sql, ledger::PRUNED_BEFORE)?))
            })
        },
        |_snapshot| None,
    )?;
    let (times, longer_ms, pruned_before) = &read.value;
    let (Some(times), Some(longer_ms)) = (times, longer_ms) else {
        return Err(call.hidden(read.covered.missing(unknown_device())));
    };
    let found = device_history::gaps(times, *longer_ms, call.now.min(to));
    let row = |Gap { begin, end }: Gap| {
        let duration_ms = end.unwrap_or(call.now.min(to)).get() - begin.get();
        vec![begin.into(), end.into(), duration_ms.into()]
    };
    let listing = Listing {
        list: Some("gaps"),
        about: Fields::of([
            ("device_id", device.as_str().into()),
            ("longer_ms", (*longer_ms).into()),
            ("readings", times.len().into()),
            ("kept_from", kept_from(*pruned_before)),
        ]),
        complete: None,
        next: None,
    };
    let columns = vec!["begin", "end", "duration_ms"];
    let rows = found.into_iter().map(row).collect();
    Ok(read.covered.answer(call, Table { columns, rows }, listing))
}

/// Readings from before then were deleted; their windows remain.
fn kept_from(pruned_before: i64) -> Value {
    UnixMillis::new(pruned_before).filter(|_| pruned_before > 0).into()
}
