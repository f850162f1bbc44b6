//! Devices: `GET /v1/devices`, `/v1/devices/{device_id}` and
//! `/v1/regions/{region}/devices`.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::base::page::Page;
use crate::domain::duration::parse_duration_ms;
use crate::domain::range::Span;
use crate::domain::reading::{DeviceId, Region};
use crate::error::Error;
use crate::host::Host;
use crate::http::document::{Fields, Table};
use crate::http::params::Param;
use crate::http::path::{unknown_device, unknown_region};
use crate::http::{Kind, Problem};
use crate::ledger::database::{Budget, Database};
use crate::ledger::device_window::DeviceWindow;
use crate::ledger::{device_settings, dictionary};
use crate::limits;
use crate::read::devices::{self, Device, DeviceSummary};
use crate::read::fresh::fold_and_read;
use crate::read::silence::Expectations;

/// The columns of `figures`.
const FIGURES: [&str; 8] = [
    "count",
    "average_c",
    "min_c",
    "max_c",
    "first_seen",
    "newest",
    "newest_age_ms",
    "temperature_c",
];

/// The columns of `figures` and `expectations`.
const COLUMNS: [&str; 11] = [
    "count",
    "average_c",
    "min_c",
    "max_c",
    "first_seen",
    "newest",
    "newest_age_ms",
    "temperature_c",
    "expected_interval_ms",
    "silent_after_ms",
    "silent",
];

/// What was measured by a device, in a region or in all of them.
fn figures(window: &DeviceWindow, expected: &Expectations) -> [Value; FIGURES.len()] {
    let (oldest, newest, latest) = window.seen();
    let extremes = window.extremes();
    [
        window.readings().into(),
        window.average_celsius().into(),
        extremes.map(|extremes| extremes.min.to_celsius()).into(),
        extremes.map(|extremes| extremes.max.to_celsius()).into(),
        oldest.into(),
        newest.into(),
        expected.age_ms(window).into(),
        latest.to_celsius().into(),
    ]
}

/// When the device is expected to send, and whether it does: of all its regions together,
/// as it may have been moved.
fn expectations(window: &DeviceWindow, expected: &Expectations) -> [Value; 3] {
    [
        expected.interval_ms(window).into(),
        expected.silent_after_ms(window).into(),
        expected.is_silent(window).into(),
    ]
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
            database.read_at_once(|sql| {
                let expected = Expectations::load(sql, call.now)?;
                Ok((devices::in_region(sql, region.as_str(), after, most)?, expected))
            })
        },
        |_snapshot| None,
    )?;
    let (found, expected) = read.value;
    let found = found.ok_or_else(|| read.covered.missing(unknown_region()))?;
    let page = Page::of(found, limit);
    let listing = Listing {
        list: Some("devices"),
        about: Fields::of([("region", region.as_str().into())]),
        complete: None,
        next: page.last().map(|last| call.params.next_page(&last.name)),
    };
    let table = table("device_id", &page.items, &expected);
    Ok(read.covered.answer(call, table, listing))
}

/// The figures of a device in a region; `name` is that of the one that was not asked for.
fn table(name: &'static str, summaries: &[DeviceSummary], expected: &Expectations) -> Table {
    let row = |summary: &DeviceSummary| {
        let mut row = vec![summary.name.as_str().into()];
        row.extend(figures(&summary.window, expected));
        row
    };
    let columns = [&[name], &FIGURES[..]].concat();
    Table { columns, rows: summaries.iter().map(row).collect() }
}

/// Which devices are wanted.
struct Wanted<'a> {
    region: Option<&'a str>,
    /// Those that are silent, or those that are not.
    silent: Option<bool>,
    /// Those whose newest reading is older than this, in milliseconds.
    silent_for_ms: Option<i64>,
}

impl Wanted<'_> {
    fn has(&self, device: &Device, expected: &Expectations) -> bool {
        let window = &device.window;
        self.region.is_none_or(|region| region == device.region)
            && self.silent.is_none_or(|silent| silent == expected.is_silent(window))
            && self.silent_for_ms.is_none_or(|ms| expected.age_ms(window) > ms)
    }
}

/// A page of devices, and the name after which the next one begins.
struct Found {
    devices: Vec<Device>,
    expected: Expectations,
    next: Option<String>,
}

/// `GET /v1/devices`: a page of all devices, sorted by name.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let params = &call.params;
    let region = params.region()?;
    let wanted = Wanted {
        region: region.as_ref().map(Region::as_str),
        silent: params.silent()?,
        silent_for_ms: params.duration_ms(Param::SilentFor, limits::DURATION_MS_MAX)?,
    };
    let after = params.after().unwrap_or_default();
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| search(database, call, &wanted, after),
        |_snapshot| None,
    )?;
    let Found { devices, expected, next } = read.value;
    let row = |device: &Device| {
        let mut row = vec![device.name.as_str().into(), device.region.as_str().into()];
        row.extend(figures(&device.window, &expected));
        row.extend(expectations(&device.window, &expected));
        row
    };
    let listing = Listing {
        list: Some("devices"),
        about: Fields::default(),
        complete: None,
        next: next.map(|name| params.next_page(&name)),
    };
    let columns = [&["device_id", "region"], &COLUMNS[..]].concat();
    let table = Table { columns, rows: devices.iter().map(row).collect() };
    Ok(read.covered.answer(call, table, listing))
}

/// Goes through the devices until a page is full, or `limits::DEVICES_SCANNED_MAX` were
/// looked at.
fn search<H: Host>(
    database: &Database<'_, H>,
    call: &Call<'_, H>,
    wanted: &Wanted<'_>,
    after: &str,
) -> Result<Found, Error> {
    let limit = call.params.limit;
    let condition = call.readable().condition("r.name");
    database.read_at_once(|sql| {
        let expected = Expectations::load(sql, call.now)?;
        // It may be a name that the region had before.
        let own = wanted.region.map(|name| dictionary::now(sql, "regions", name)).transpose()?;
        let own = own.flatten().map(|(_, name)| name);
        let wanted = Wanted { region: own.as_deref().or(wanted.region), ..*wanted };
        let (mut found, mut after) = (Vec::new(), after.to_owned());
        for _ in 0..limits::DEVICES_SCANNED_MAX / limits::ITEMS_PER_PAGE_MAX {
            let devices =
                devices::all(sql, &condition, wanted.region, &after, limits::ITEMS_PER_PAGE_MAX)?;
            let is_last = devices.len() < limits::ITEMS_PER_PAGE_MAX;
            for device in devices {
                if found.len() == limit {
                    return Ok(Found { devices: found, expected, next: Some(after) });
                }
                after.clone_from(&device.name);
                if wanted.has(&device, &expected) {
                    found.push(device);
                }
            }
            if is_last {
                return Ok(Found { devices: found, expected, next: None });
            }
        }
        Ok(Found { devices: found, expected, next: Some(after) })
    })
}

/// `GET /v1/devices/{device_id}`: its totals, its latest reading, and its regions, the
/// region of the latest reading first.
pub(crate) fn one<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let condition = call.readable().condition("r.name");
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let expected = Expectations::load(sql, call.now)?;
                Ok((devices::of_device(sql, &condition, device.as_str())?, expected))
            })
        },
        |_snapshot| None,
    )?;
    let ((name, regions), expected) = read.value;
    let missing = || call.hidden(read.covered.missing(unknown_device()));
    let whole = devices::whole(&regions).ok_or_else(missing)?;
    let latest = regions.first().map(|summary| summary.name.as_str());
    let mut about = Fields::of([("device_id", name.into()), ("region", latest.into())]);
    let values = figures(&whole, &expected).into_iter().chain(expectations(&whole, &expected));
    for (name, value) in COLUMNS.into_iter().zip(values) {
        about = about.with(name, value);
    }
    let listing = Listing { list: Some("regions"), about, complete: None, next: None };
    let table = table("region", &regions, &expected);
    Ok(read.covered.answer(call, table, listing))
}

/// The fields of a body of `PUT /v1/devices/{device_id}`.
const SETTINGS: &[&str] = &["expected_interval"];

/// `PUT /v1/devices/{device_id}`: sets how often it is expected to send, and answers as
/// `one`.
pub(crate) fn put<H: Host>(call: &Call<'_, H>, device: &DeviceId<'_>) -> HandlerResult {
    let body = call.object(SETTINGS)?;
    let invalid = |detail: String| Problem::new(Kind::InvalidBody, detail);
    let text = body.text("expected_interval").map_err(invalid)?;
    if body.raw("expected_interval").is_none() {
        return Err(invalid("expected_interval is missing".to_owned()).into());
    }
    let seconds = text.map(|text| interval_s(&text)).transpose()?;
    // Folds, so that a device of which readings wait is known.
    one(call, device)?;
    let database = Database::open(call.host, Budget::waiting(limits::WAIT_MS_DEFAULT))?;
    let is_set = database.transaction(|sql| {
        let id = dictionary::id_of(sql, "devices", device.as_str())?;
        let id = id.ok_or(Error::NotCountedYet)?;
        device_settings::set_interval(sql, id, seconds)
    })?;
    if !is_set {
        let most = limits::DEVICE_SETTINGS_MAX;
        let detail = format!(
            "{most} devices have an expected interval of their own, the most there may be; set \
             one of them to null first"
        );
        return Err(Problem::new(Kind::InvalidBody, detail).into());
    }
    one(call, device)
}

/// Seconds, from a duration of whole seconds; 0 is never.
fn interval_s(text: &str) -> Result<i64, Problem> {
    let ms = parse_duration_ms(text).filter(|ms| ms % 1_000 == 0);
    ms.filter(|ms| *ms <= limits::EXPECTED_INTERVAL_MS_MAX).map(|ms| ms / 1_000).ok_or_else(|| {
        let rule = "expected_interval must be a duration of whole seconds like \"15m\", at most \
                    \"7d\"; \"0\" if the device may be silent; or null to learn it from its \
                    readings";
        Problem::new(Kind::InvalidBody, rule)
    })
}
