//! The devices: those of a region, one of them, and its readings.

use serde_json::Value as Json;

use crate::api::answer::{Answered, Listing};
use crate::base::order;
use crate::domain::range::Range;
use crate::domain::range::Span;
use crate::domain::reading::{DeviceId, UnixMillis};
use crate::error::Error;
use crate::host::{Host, Sql, Value};
use crate::http::parameters::{
    Parameters, decoded, instant, next_page, parameters, region_in_path, unknown_region,
};
use crate::http::representation::{Format, Record, Table};
use crate::http::{Kind, Problem, Refusal, Request};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::names;
use crate::ledger::runs::Keys;
use crate::ledger::{self, Row, integers};
use crate::limits;
use crate::read::view::fold_and_read;

/// What is known of a device in a region.
#[derive(Clone)]
struct Seen {
    /// Of the device or of the region, whichever is not asked for.
    name: String,
    window: DeviceWindow,
}

/// The columns of `Seen::cells`.
const COLUMNS: [&str; 6] =
    ["count", "average_c", "first_seen", "newest", "newest_age_ms", "temperature_c"];

impl Seen {
    /// The name, then the `COLUMNS`.
    fn cells(&self, now: UnixMillis) -> Vec<Json> {
        let readings = self.window.readings();
        let average = self.window.sum_milli() as f64 / (readings as f64 * 1_000.0);
        let (oldest, newest, latest) = self.window.seen();
        vec![
            self.name.as_str().into(),
            readings.into(),
            average.into(),
            oldest.into(),
            newest.into(),
            (now.get() - newest.get()).into(),
            latest.to_celsius().into(),
        ]
    }
}

/// The devices of a region after `after` in the order of their names, at most
/// `most`; `None` for an unknown region.
fn seen_in_region(
    sql: &impl Sql,
    region: &str,
    after: &str,
    most: usize,
) -> Result<Option<Vec<Seen>>, Error> {
    let Some(region) = names::id_of(sql, "regions", region)? else { return Ok(None) };
    let region = i64::try_from(region).map_err(|_too_large| Error::Corrupt("region"))?;
    let page = "SELECT name, device FROM region_devices \
                WHERE region = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    let parameters = [
        Value::Integer(region),
        Value::Text(after.to_owned()),
        Value::Integer(i64::try_from(most).unwrap_or(i64::MAX)),
    ];
    let rows = sql.execute(page, &parameters).map_err(Error::Regions)?;
    let named = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(name), Value::Integer(id)]) => Some((name, u64::try_from(id).ok()?)),
        _ => None,
    };
    let page: Option<Vec<(String, u64)>> = rows.into_iter().map(named).collect();
    let page = page.ok_or(Error::Corrupt("device"))?;
    let windows = windows_of(sql, region, page.iter().map(|(_, device)| *device))?;
    let seen = |(name, device): (String, u64)| {
        let index = windows.binary_search_by_key(&device, DeviceWindow::device).ok()?;
        Some(Seen { name, window: *windows.get(index)? })
    };
    let seen = page.into_iter().map(seen).collect::<Option<_>>();
    seen.map(Some).ok_or(Error::Corrupt("device window"))
}

/// The windows of all time in the runs that have these devices of a region, in the
/// order of the devices.
fn windows_of(
    sql: &impl Sql,
    region: i64,
    devices: impl Iterator<Item = u64>,
) -> Result<Vec<DeviceWindow>, Error> {
    let mut wanted: Vec<Keys<3>> =
        devices.map(|id| Keys { group: [region, 0, 0], from: id, to: id }).collect();
    order::sort_by_key(&mut wanted, |keys| u128::from(keys.from));
    let mut windows = Vec::new();
    for run in DEVICE_WINDOWS.load(sql, &wanted)? {
        windows.append(&mut DEVICE_WINDOWS.decode(&run)?);
    }
    Ok(windows)
}

/// What is known of a device in each of its regions, that of its latest reading
/// first.
fn seen_of_device(sql: &impl Sql, device: &str) -> Result<Vec<Seen>, Error> {
    let statement = "SELECT r.name, d.region, d.device \
                     FROM regions AS r CROSS JOIN region_devices AS d \
                          ON d.region = r.id AND d.name = ?1 ORDER BY r.name";
    let rows = sql.execute(statement, &[Value::Text(device.to_owned())]).map_err(Error::Regions)?;
    let mut seen = Vec::with_capacity(rows.len());
    for row in rows {
        let Some((Value::Text(name), ids)) = row.split_first() else {
            return Err(Error::Corrupt("region"));
        };
        let [region, device] = integers(ids).ok_or(Error::Corrupt("region"))?;
        let device = u64::try_from(device).map_err(|_negative| Error::Corrupt("device"))?;
        let windows = windows_of(sql, region, [device].into_iter())?;
        let window = windows.into_iter().find(|window| window.device() == device);
        let window = window.ok_or(Error::Corrupt("device window"))?;
        seen.push(Seen { name: name.clone(), window });
    }
    // They came in the order of their names, which those of the same time keep.
    order::sort_by_key(&mut seen, |seen| {
        u128::from(UnixMillis::MAX.get().abs_diff(seen.window.seen().1.get()))
    });
    Ok(seen)
}

/// `GET /v1/regions/{region}/devices`: a page in the order of their names.
pub(crate) fn of_region(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    let parameters = parameters(request, &["after", "limit"])?;
    let region = region_in_path(encoded)?;
    let after = parameters.get("after").unwrap_or_default();
    let limit = parameters.limit()?;
    // One more tells whether there is another page.
    let most = limit.saturating_add(1);
    let read = fold_and_read(
        host,
        Span::ALL_TIME,
        now,
        |regions| regions.read_at_once(|sql| seen_in_region(sql, region.as_str(), after, most)),
        |_snapshot| None,
    )?;
    let mut devices = read.value.ok_or_else(|| read.shown.missing(unknown_region()))?;
    let more = devices.len() > limit;
    devices.truncate(limit);
    let last = devices.last().filter(|_| more);
    let listing = Listing {
        list: Some("devices"),
        about: Record::of([("region", region.as_str().into())]),
        complete: None,
        next: last.map(|last| parameters.next_page("after", &last.name)),
    };
    let columns = [&["device_id"], &COLUMNS[..]].concat();
    let rows = devices.iter().map(|device| device.cells(now)).collect();
    Ok(read.shown.answer(request, format, Table { columns, rows }, listing, now))
}

/// `GET /v1/devices/{device_id}`: what it has sent in all, its latest reading,
/// and each of its regions, that of the latest reading first.
pub(crate) fn one(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    parameters(request, &[])?;
    let device = device_in_path(encoded)?;
    let read = fold_and_read(
        host,
        Span::ALL_TIME,
        now,
        |regions| regions.read(|sql| seen_of_device(sql, device.as_str())),
        |_snapshot| None,
    )?;
    let regions = read.value;
    let latest = regions.first().ok_or_else(|| read.shown.missing(unknown_device()))?;
    let count: i64 = regions.iter().map(|seen| seen.window.readings()).sum();
    let (_, newest, temperature) = latest.window.seen();
    let about = Record::of([
        ("device_id", device.as_str().into()),
        ("count", count.into()),
        ("first_seen", regions.iter().map(|seen| seen.window.seen().0).min().into()),
        ("newest", newest.into()),
        ("region", latest.name.as_str().into()),
        ("temperature_c", temperature.to_celsius().into()),
    ]);
    let columns = [&["region"], &COLUMNS[..]].concat();
    let rows = regions.iter().map(|region| region.cells(now)).collect();
    let listing = Listing { list: Some("regions"), about, complete: None, next: None };
    Ok(read.shown.answer(request, format, Table { columns, rows }, listing, now))
}

/// `GET /v1/devices/{device_id}/readings`: those that the ledger still has, in
/// the order of their times.
pub(crate) fn readings(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    let parameters = parameters(request, &["from", "to", "limit"])?;
    let device = device_in_path(encoded)?;
    let (from, to) = bounds(&parameters, now)?;
    let limit = parameters.limit()?;
    let span = Span { range: Range::covering(from, to), from: Some(from), to: Some(to) };
    let read = fold_and_read(
        host,
        span,
        now,
        |regions| {
            regions.read_at_once(|sql| {
                let rows = select(sql, device.as_str(), from, to, limit.saturating_add(1))?;
                Ok((rows, ledger::tally(sql, ledger::PRUNED_BEFORE)?))
            })
        },
        |_snapshot| None,
    )?;
    let (rows, pruned_before) = read.value;
    let mut rows = rows.ok_or_else(|| read.shown.missing(unknown_device()))?;
    // Times are told apart by the millisecond, so the next page begins at the
    // first that did not fit.
    let next = rows.get(limit).map(|(at, _)| {
        // As text: a number of long ago looks like seconds.
        next_page(&format!("from={at}&to={to}&limit={limit}"))
    });
    rows.truncate(limit);
    let listing = Listing {
        list: Some("readings"),
        // Readings from before then are forgotten, but for their windows.
        about: Record::of([
            ("device_id", device.as_str().into()),
            ("kept_from", UnixMillis::new(pruned_before).filter(|_| pruned_before > 0).into()),
        ]),
        complete: None,
        next,
    };
    let columns = vec!["timestamp", "region", "temperature_c"];
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    Ok(read.shown.answer(request, format, Table { columns, rows }, listing, now))
}

/// A reading's time, and its cells.
type Listed = (UnixMillis, Vec<Json>);

/// Minutes whose runs are read at once, which bounds what is held in memory.
const MINUTES_AT_ONCE: i64 = 24 * 60;

/// The readings of a device, at most `limit`; `None` if it is not known. The
/// ledger is in the order of minutes, then devices: each minute is looked up,
/// which is why the range is bounded.
fn select(
    sql: &impl Sql,
    device: &str,
    from: UnixMillis,
    to: UnixMillis,
    limit: usize,
) -> Result<Option<Vec<Listed>>, Error> {
    let Some(device) = names::id_of(sql, "devices", device)? else { return Ok(None) };
    let mut found = Vec::new();
    let last = to.saturating_sub(1).minute();
    let mut minute = from.minute();
    while minute <= last && found.len() < limit {
        let end = minute.saturating_add(MINUTES_AT_ONCE).min(last + 1);
        let rows = ledger::rows_of_device(sql, device, minute, end)?;
        found.extend(rows.into_iter().filter_map(|row| Some((row.timestamp()?, row))));
        found.retain(|(at, _)| (from..to).contains(at));
        minute = end;
    }
    found.truncate(limit);
    let regions = names::of(sql, "regions", found.iter().map(|(_, row)| row.region))?;
    let reading = |(at, row): (UnixMillis, Row)| {
        let region = regions.get(row.region)?;
        let celsius = row.temperature()?.to_celsius();
        Some((at, vec![at.into(), region.into(), celsius.into()]))
    };
    let readings = found.into_iter().map(reading).collect::<Option<_>>();
    readings.map(Some).ok_or(Error::Corrupt("ledger row"))
}

/// `from` and `to`, by default the 24 hours up to now and a minute beyond it.
fn bounds(
    parameters: &Parameters<'_>,
    now: UnixMillis,
) -> Result<(UnixMillis, UnixMillis), Problem> {
    const DAY_MS: i64 = 24 * 60 * UnixMillis::PER_MINUTE;
    let default_to = now.saturating_add(UnixMillis::PER_MINUTE);
    let to = instant(parameters, "to")?.unwrap_or(default_to);
    let from = instant(parameters, "from")?.unwrap_or_else(|| to.saturating_sub(DAY_MS));
    let days = limits::READINGS_RANGE_DAYS_MAX;
    if from >= to || to.get() - from.get() > days * DAY_MS {
        let detail = format!("from must be before to, by at most {days} days");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    Ok((from, to))
}

fn device_in_path(encoded: &str) -> Result<DeviceId<'static>, Problem> {
    decoded(encoded).and_then(DeviceId::new).ok_or_else(unknown_device)
}

fn unknown_device() -> Problem {
    Problem::new(Kind::NotFound, "no counted reading has named this device")
}
