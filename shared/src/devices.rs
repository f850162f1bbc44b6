//! The devices: those of a region, one of them, and its readings.

use serde_json::Value as Json;

use crate::error::Error;
use crate::host::{Host, Sql, Value};
use crate::http::{Kind, Problem, Refusal, Request};
use crate::ledger::{self, integers};
use crate::limits;
use crate::parameters::{
    Parameters, Span, decoded, instant, parameters, region_in_path, unknown_region,
};
use crate::reading::{DeviceId, MilliCelsius, UnixMillis};
use crate::report::Range;
use crate::representation::{Format, Record, Table};
use crate::view::{Answered, Listing, fold_and_read};

/// What is known of a device in a region.
struct Seen {
    /// Of the device or of the region, whichever is not asked for.
    name: String,
    readings: i64,
    sum_milli: i64,
    oldest: UnixMillis,
    newest: UnixMillis,
    latest: MilliCelsius,
}

const SEEN: &str = "w.readings, w.sum, w.oldest, w.newest, w.latest";

/// The columns of `Seen::cells`.
const COLUMNS: [&str; 6] =
    ["count", "average_c", "first_seen", "newest", "newest_age_ms", "temperature_c"];

impl Seen {
    fn of(row: &[Value]) -> Option<Self> {
        let ([Value::Text(name)], columns) = row.split_first_chunk::<1>()? else { return None };
        let [readings, sum_milli, oldest, newest, latest] = integers(columns)?;
        Some(Self {
            name: name.clone(),
            readings,
            sum_milli,
            oldest: UnixMillis::new(oldest)?,
            newest: UnixMillis::new(newest)?,
            latest: MilliCelsius::new(latest)?,
        })
    }

    /// The name, then the `COLUMNS`.
    fn cells(&self, now: UnixMillis) -> Vec<Json> {
        let average = self.sum_milli as f64 / (self.readings as f64 * 1_000.0);
        vec![
            self.name.as_str().into(),
            self.readings.into(),
            average.into(),
            self.oldest.into(),
            self.newest.into(),
            (now.get() - self.newest.get()).into(),
            self.latest.to_celsius().into(),
        ]
    }
}

fn seen(sql: &impl Sql, statement: &str, parameters: &[Value]) -> Result<Vec<Seen>, Error> {
    let rows = sql.execute(statement, parameters).map_err(Error::Regions)?;
    let seen = rows.iter().map(|row| Seen::of(row)).collect::<Option<_>>();
    seen.ok_or(Error::Corrupt("device window"))
}

/// All time, of which no snapshot has anything.
const UNREMEMBERED: Span = Span { range: Some(Range::ALL), from: None, to: None };

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
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let statement = format!(
        "SELECT d.name, {SEEN} FROM regions AS r \
         CROSS JOIN device_windows AS w ON w.region = r.id AND w.span = 0 AND w.start = 0 \
         CROSS JOIN devices AS d ON d.id = w.device \
         WHERE r.name = ?1 AND d.name > ?2 ORDER BY d.name LIMIT ?3"
    );
    let text = |text: &str| Value::Text(text.to_owned());
    let chosen = [text(region.as_str()), text(after), Value::Integer(most)];
    let read = fold_and_read(
        host,
        UNREMEMBERED,
        now,
        |regions| {
            let known = "SELECT 1 FROM regions WHERE name = ?1";
            let known = |sql: &_| Sql::execute(sql, known, &chosen[..1]).map_err(Error::Regions);
            let is_known = !regions.read(known)?.is_empty();
            Ok((is_known, regions.read(|sql| seen(sql, &statement, &chosen))?))
        },
        |_all_time| (false, Vec::new()),
    )?;
    let (is_known, mut devices) = read.value;
    if !is_known {
        return Err(unknown_region().into());
    }
    let more = devices.len() > limit;
    devices.truncate(limit);
    let last = devices.last().filter(|_| more);
    let listing = Listing {
        list: Some("devices"),
        about: Record::of([("region", region.as_str().into())]),
        next: last.map(|last| parameters.next_page(&request.path, "after", &last.name)),
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
    let statement = format!(
        "SELECT r.name, {SEEN} FROM devices AS d CROSS JOIN regions AS r \
         CROSS JOIN device_windows AS w \
              ON w.region = r.id AND w.span = 0 AND w.start = 0 AND w.device = d.id \
         WHERE d.name = ?1 ORDER BY w.newest DESC, r.name"
    );
    let name = [Value::Text(device.as_str().to_owned())];
    let read = fold_and_read(
        host,
        UNREMEMBERED,
        now,
        |regions| regions.read(|sql| seen(sql, &statement, &name)),
        |_all_time| Vec::new(),
    )?;
    let regions = read.value;
    let latest = regions.first().ok_or_else(unknown_device)?;
    let count: i64 = regions.iter().map(|seen| seen.readings).sum();
    let about = Record::of([
        ("device_id", device.as_str().into()),
        ("count", count.into()),
        ("first_seen", regions.iter().map(|seen| seen.oldest).min().into()),
        ("newest", latest.newest.into()),
        ("region", latest.name.as_str().into()),
        ("temperature_c", latest.latest.to_celsius().into()),
    ]);
    let columns = [&["region"], &COLUMNS[..]].concat();
    let rows = regions.iter().map(|region| region.cells(now)).collect();
    let listing = Listing { list: Some("regions"), about, next: None };
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
    let name = Value::Text(device.as_str().to_owned());
    let span = Span { range: Range::covering(from, to), from: Some(from), to: Some(to) };
    let read = fold_and_read(
        host,
        span,
        now,
        |regions| {
            regions.read_at_once(|sql| {
                let known = "SELECT 1 FROM devices WHERE name = ?1";
                let known = sql.execute(known, std::slice::from_ref(&name));
                let is_known = !known.map_err(Error::Regions)?.is_empty();
                let rows = select(sql, &name, from, to, limit.saturating_add(1))?;
                Ok((is_known, rows, ledger::tally(sql, "pruned_before")?))
            })
        },
        |_all_time| (false, Vec::new(), 0),
    )?;
    let (is_known, mut rows, pruned_before) = read.value;
    if !is_known {
        return Err(unknown_device().into());
    }
    // Times are told apart by the millisecond, so the next page begins at the
    // first that did not fit.
    let next = rows.get(limit).map(|(at, _)| {
        let (path, from, to) = (&request.path, at.get(), to.get());
        format!("{path}?from={from}&to={to}&limit={limit}")
    });
    rows.truncate(limit);
    let listing = Listing {
        list: Some("readings"),
        // Readings from before then are forgotten, but for their windows.
        about: Record::of([
            ("device_id", device.as_str().into()),
            ("kept_from", UnixMillis::new(pruned_before).filter(|_| pruned_before > 0).into()),
        ]),
        next,
    };
    let columns = vec!["timestamp", "region", "temperature_c"];
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    Ok(read.shown.answer(request, format, Table { columns, rows }, listing, now))
}

/// The ledger is in the order of minutes, then devices: each minute is looked
/// up, which is why the range is bounded.
fn select(
    sql: &impl Sql,
    device: &Value,
    from: UnixMillis,
    to: UnixMillis,
    limit: usize,
) -> Result<Vec<(UnixMillis, Vec<Json>)>, Error> {
    let statement = "\
        WITH RECURSIVE minutes (minute) AS ( \
            SELECT ?2 UNION ALL SELECT minute + 1 FROM minutes WHERE minute < ?4) \
        SELECT r.name, l.minute, l.ms, l.milli \
        FROM devices AS d CROSS JOIN minutes AS m \
             CROSS JOIN ledger AS l ON l.minute = m.minute AND l.device = d.id \
             CROSS JOIN regions AS r ON r.id = l.region \
        WHERE d.name = ?1 AND (l.minute, l.ms) >= (?2, ?3) AND (l.minute, l.ms) < (?4, ?5) \
        ORDER BY l.minute, l.ms LIMIT ?6";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let numbers = [from.minute(), from.ms_of_minute(), to.minute(), to.ms_of_minute(), limit];
    let mut parameters = vec![device.clone()];
    parameters.extend(numbers.map(Value::Integer));
    let rows = sql.execute(statement, &parameters).map_err(Error::Regions)?;
    let reading = |row: Vec<Value>| {
        let ([Value::Text(region)], columns) = row.split_first_chunk::<1>()? else { return None };
        let [minute, ms, milli] = integers(columns)?;
        let at = UnixMillis::from_minute(minute, ms)?;
        let celsius = MilliCelsius::new(milli)?.to_celsius();
        Some((at, vec![at.into(), region.as_str().into(), celsius.into()]))
    };
    rows.into_iter().map(reading).collect::<Option<_>>().ok_or(Error::Corrupt("ledger row"))
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
    Problem::new(Kind::NotFound, "no reading has named this device")
}
