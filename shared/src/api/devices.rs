//! Devices: `GET /v1/regions/{region}/devices`, `/v1/devices/{device_id}` and
//! `/v1/devices/{device_id}/readings`.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::base::page::Page;
use crate::domain::range::{Range, Span};
use crate::domain::reading::{DeviceId, Region, UnixMillis};
use crate::host::Host;
use crate::http::document::{Fields, Table};
use crate::http::params::{QueryParams, next_page};
use crate::http::path::{unknown_device, unknown_region};
use crate::http::{Kind, Problem};
use crate::ledger;
use crate::limits;
use crate::read::devices::{self, DeviceSummary, KeptReading};
use crate::read::fresh::fold_and_read;

/// The columns of `cells` after the name.
const COLUMNS: [&str; 6] =
    ["count", "average_c", "first_seen", "newest", "newest_age_ms", "temperature_c"];

/// The name, then the `COLUMNS`.
fn cells(summary: &DeviceSummary, now: UnixMillis) -> Vec<Value> {
    let readings = summary.window.readings();
    let average = summary.window.sum_millicelsius() as f64 / (readings as f64 * 1_000.0);
    let (oldest, newest, latest) = summary.window.seen();
    vec![
        summary.name.as_str().into(),
        readings.into(),
        average.into(),
        oldest.into(),
        newest.into(),
        (now.get() - newest.get()).into(),
        latest.to_celsius().into(),
    ]
}

fn table(name: &'static str, summaries: &[DeviceSummary], now: UnixMillis) -> Table {
    let columns = [&[name], &COLUMNS[..]].concat();
    Table { columns, rows: summaries.iter().map(|summary| cells(summary, now)).collect() }
}

/// `GET /v1/regions/{region}/devices`: a page, sorted by name.
pub(crate) fn of_region<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    let limit = call.params.limit;
    let (after, most) = (call.params.after().unwrap_or_default(), Page::<()>::to_read(limit));
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| {
            database.read_at_once(|sql| devices::in_region(sql, region.as_str(), after, most))
        },
        |_snapshot| None,
    )?;
    let found = read.value.ok_or_else(|| read.covered.missing(unknown_region()))?;
    let page = Page::of(found, limit);
    let listing = Listing {
        list: Some("devices"),
        about: Fields::of([("region", region.as_str().into())]),
        complete: None,
        next: page.last().map(|last| call.params.next_page(&last.name)),
    };
    Ok(read.covered.answer(call, table("device_id", &page.items, call.now), listing))
}

/// `GET /v1/devices/{device_id}`: its totals, its latest reading, and its regions, the
/// region of the latest reading first.
pub(crate) fn one<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| database.read(|sql| devices::of_device(sql, device.as_str())),
        |_snapshot| None,
    )?;
    let regions = read.value;
    let latest = regions.first().ok_or_else(|| read.covered.missing(unknown_device()))?;
    let count: i64 = regions.iter().map(|summary| summary.window.readings()).sum();
    let (_, newest, temperature) = latest.window.seen();
    let about = Fields::of([
        ("device_id", device.as_str().into()),
        ("count", count.into()),
        ("first_seen", regions.iter().map(|summary| summary.window.seen().0).min().into()),
        ("newest", newest.into()),
        ("region", latest.name.as_str().into()),
        ("temperature_c", temperature.to_celsius().into()),
    ]);
    let listing = Listing { list: Some("regions"), about, complete: None, next: None };
    Ok(read.covered.answer(call, table("region", &regions, call.now), listing))
}

/// `GET /v1/devices/{device_id}/readings`: those that the ledger still has, sorted by
/// time.
pub(crate) fn readings<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let (from, to) = bounds(&call.params, call.now)?;
    let limit = call.params.limit;
    let span = Span { range: Range::covering(from, to), from: Some(from), to: Some(to) };
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let most = Page::<()>::to_read(limit);
                let readings = devices::readings(sql, device.as_str(), from, to, most)?;
                Ok((readings, ledger::tally(sql, ledger::PRUNED_BEFORE)?))
            })
        },
        |_snapshot| None,
    )?;
    let (readings, pruned_before) = read.value;
    let readings = readings.ok_or_else(|| read.covered.missing(unknown_device()))?;
    let page = Page::of(readings, limit);
    let next = page.last().map(|last| {
        // A device has at most one reading in a millisecond, so the next page begins
        // one later. Written as text, as a small number looks like seconds.
        next_page(&format!("from={}&to={to}&limit={limit}", last.at.saturating_add(1)))
    });
    let listing = Listing {
        list: Some("readings"),
        // Readings from before then were deleted; their windows remain.
        about: Fields::of([
            ("device_id", device.as_str().into()),
            ("kept_from", UnixMillis::new(pruned_before).filter(|_| pruned_before > 0).into()),
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
