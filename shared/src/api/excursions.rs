//! `GET /v1/regions/{region}/excursions` and `GET /v1/devices/{device_id}/excursions`: when
//! temperatures were outside the limits.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::domain::range::{Range, Span};
use crate::domain::reading::{DeviceId, MilliCelsius, Region, UnixMillis};
use crate::host::Host;
use crate::http::document::{Fields, Table};
use crate::http::params::Param;
use crate::http::path::{unknown_device, unknown_region};
use crate::http::{Kind, Problem};
use crate::limits;
use crate::read::devices;
use crate::read::excursions::{self, Listed};
use crate::read::fresh::fold_and_read;
use crate::read::outside::Asked;

const COLUMNS: [&str; 20] = [
    "region",
    "kind",
    "begin",
    "end",
    "duration_ms",
    "open",
    "begins_before",
    "extreme_c",
    "extreme_at",
    "extreme_device",
    "readings",
    "devices",
    "device_ids",
    "gaps",
    "longest_gap_ms",
    "corrected",
    "resolution",
    "low_c",
    "high_c",
    "revision",
];

/// `GET /v1/regions/{region}/excursions`.
pub(crate) fn of_region<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    let asked = asked(call, i64::MAX)?;
    let read = fold_and_read(
        call.host,
        span(asked.range),
        call.now,
        |database| database.read_at_once(|sql| excursions::of_region(sql, region.as_str(), asked)),
        |_snapshot| None,
    )?;
    let found = read.value.ok_or_else(|| read.covered.missing(unknown_region()))?;
    if found.limits.is_none() {
        let detail = "the region has no limits; set them by PUT /v1/regions/{region}/limits";
        return Err(Problem::new(Kind::NotFound, detail).into());
    }
    let count = |of: &dyn Fn(&_) -> i64| Value::from(found.figures.as_ref().map_or(0, of));
    let readings = found.figures.as_ref().map_or(0, |figures| figures.stats.readings());
    let devices = found.figures.as_ref().map_or(Some(0), |f| f.devices.map(|d| d.count));
    let about = Fields::of([
        ("region", region.as_str().into()),
        ("low_c", celsius(found.limits.low)),
        ("high_c", celsius(found.limits.high)),
        ("for_ms", asked.for_ms.unwrap_or(found.limits.for_ms).into()),
        ("gap_ms", asked.gap_ms.into()),
        ("kept_from", kept_from(found.pruned_before)),
        ("count", readings.into()),
        ("late", count(&|figures| figures.late)),
        ("time_assumed", count(&|figures| figures.time_assumed)),
        ("duplicates", count(&|figures| figures.duplicates)),
        ("conflicts", count(&|figures| figures.conflicts)),
        ("corrected", count(&|figures| figures.corrected)),
        ("devices", devices.into()),
        ("revision", count(&|figures| figures.revision)),
    ]);
    let listing = Listing { list: Some("excursions"), about, complete: None, next: None };
    Ok(read.covered.answer(call, table(&found.list), listing))
}

/// `GET /v1/devices/{device_id}/excursions`.
pub(crate) fn of_device<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let asked = asked(call, limits::READINGS_RANGE_DAYS_MAX)?;
    let readable = call.readable();
    let read = fold_and_read(
        call.host,
        span(asked.range),
        call.now,
        |database| {
            let name = device.as_str();
            database.read_at_once(|sql| match devices::is_readable(sql, &readable, name)? {
                true => excursions::of_device(sql, name, asked),
                false => Ok(None),
            })
        },
        |_snapshot| None,
    )?;
    let found = read.value.ok_or_else(|| call.hidden(read.covered.missing(unknown_device())))?;
    if found.regions == 0 {
        let detail = "no region of the device has limits; set them by \
                      PUT /v1/regions/{region}/limits";
        return Err(Problem::new(Kind::NotFound, detail).into());
    }
    let about = Fields::of([
        ("device_id", device.as_str().into()),
        ("gap_ms", asked.gap_ms.into()),
        ("kept_from", kept_from(found.pruned_before)),
        ("count", found.readings.into()),
    ]);
    let listing = Listing { list: Some("excursions"), about, complete: None, next: None };
    Ok(read.covered.answer(call, table(&found.list), listing))
}

fn span(range: Range) -> Span {
    Span { range: Some(range), from: Some(range.from()), to: Some(range.to()) }
}

/// What the parameters ask for, of at most so many days. By default, `to` is a minute after
/// now, and `from` a week before `to`.
fn asked<H>(call: &Call<'_, H>, days: i64) -> Result<Asked, Problem> {
    const DAY_MS: i64 = 24 * 60 * UnixMillis::PER_MINUTE;
    let default_to = call.now.saturating_add(UnixMillis::PER_MINUTE);
    let default_from = call.params.to.unwrap_or(default_to).saturating_sub(7 * DAY_MS);
    let range = call.params.range(default_from, default_to)?;
    // It was widened to whole minutes.
    let within_ms = days.saturating_mul(DAY_MS).saturating_add(2 * UnixMillis::PER_MINUTE);
    if range.to().get() - range.from().get() > within_ms {
        let detail = format!("from and to must be at most {days} days apart");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let (for_max, gap_max) = (limits::EXCURSION_FOR_MS_MAX, limits::EXCURSION_FOR_MS_MAX);
    Ok(Asked {
        range,
        for_ms: call.params.duration_ms(Param::For, for_max)?,
        gap_ms: call.params.duration_ms(Param::Gap, gap_max)?,
    })
}

/// From when on no reading was deleted; `null` is the beginning.
fn kept_from(pruned_before: i64) -> Value {
    UnixMillis::new(pruned_before).filter(|_| pruned_before > 0).into()
}

fn celsius(limit: Option<MilliCelsius>) -> Value {
    limit.map(MilliCelsius::to_celsius).into()
}

fn table(list: &[Listed]) -> Table {
    Table { columns: COLUMNS.to_vec(), rows: list.iter().map(cells).collect() }
}

/// In the order of `COLUMNS`. What minutes don't tell is null.
fn cells(listed: &Listed) -> Vec<Value> {
    let excursion = &listed.excursion;
    let known = |value: Value| if excursion.is_by_minute { Value::Null } else { value };
    let gaps = excursion.gaps;
    vec![
        listed.region.as_str().into(),
        excursion.kind.name().into(),
        excursion.begin.into(),
        (!excursion.is_open).then_some(excursion.until).into(),
        excursion.duration_ms().into(),
        excursion.is_open.into(),
        excursion.begins_before.into(),
        excursion.extreme.to_celsius().into(),
        excursion.extreme_at.into(),
        listed.extreme_device.as_deref().into(),
        known(excursion.readings.into()),
        known(excursion.devices.len().into()),
        known(listed.device_ids.iter().map(String::as_str).collect()),
        gaps.into(),
        (gaps > 0).then_some(excursion.longest_gap_ms).into(),
        listed.corrected.into(),
        if excursion.is_by_minute { "minute" } else { "reading" }.into(),
        celsius(listed.limits.low),
        celsius(listed.limits.high),
        listed.revision.into(),
    ]
}
