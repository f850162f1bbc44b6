//! The read side: `GET /v1/regions` and what is below it.

use http::{Method, StatusCode};
use serde_json::Value;

use crate::api::answer::{Answered, Listing};
use crate::api::assets;
use crate::api::cells;
use crate::api::conflicts;
use crate::api::devices;
use crate::api::events;
use crate::api::quarantine;
use crate::api::series;
use crate::api::status;
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::http::parameters::{parameters, region_in_path, unknown_region};
use crate::http::representation::{Format, Record, Table};
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::ledger::regions::Regions;
use crate::read::report::{self, RegionFigures};
use crate::read::snapshot::{self, Snapshot};
use crate::read::view::{FollowUp, Read, fold_and_read};
use crate::settings::Horizon;
use crate::upkeep;

/// Answers a request. `now` is the node's clock.
pub fn answer(host: &impl Host, request: &Request, now: UnixMillis) -> Answered {
    match route(host, request, now) {
        Ok(answered) => answered,
        Err(refusal) => refusal.into_response(host, request.purpose()).into(),
    }
}

/// Does what the answer left to do: folds what there was no time for, and keeps the
/// last good averages.
pub fn after_answer(host: &impl Host, follow_up: FollowUp, now: UnixMillis) -> Result<(), Error> {
    if follow_up.folds {
        upkeep::run(host, now)?;
    }
    if follow_up.keeps_snapshot {
        snapshot::keep(host, now)?;
    }
    Ok(())
}

pub(crate) const READING: &[Method] = &[Method::GET, Method::HEAD];

/// What there is to ask for.
enum Resource<'a> {
    Regions,
    Region(&'a str),
    Windows(&'a str),
    RegionDevices(&'a str),
    Device(&'a str),
    DeviceReadings(&'a str),
    Conflicts,
    Quarantine,
    /// Of the entry with this name, or of all.
    Retry(Option<&'a str>),
    Asset(&'a str),
    Metrics,
    Readiness,
    Health,
}

impl<'a> Resource<'a> {
    fn at(path: &'a str) -> Option<Self> {
        match path {
            "/v1/regions" => Some(Self::Regions),
            "/v1/conflicts" => Some(Self::Conflicts),
            "/v1/quarantine" => Some(Self::Quarantine),
            "/v1/quarantine/retry" => Some(Self::Retry(None)),
            "/metrics" => Some(Self::Metrics),
            "/readyz" => Some(Self::Readiness),
            "/healthz" => Some(Self::Health),
            "/" => Some(Self::Asset("index.html")),
            "/openapi.json" => Some(Self::Asset("openapi.json")),
            _ => match path.strip_prefix("/assets/") {
                Some(name) => Some(Self::Asset(name)),
                None => Self::named(path.strip_prefix("/v1/")?),
            },
        }
    }

    /// Its route, as the interface's description has it.
    fn route(&self) -> &'static str {
        match self {
            Self::Regions => "/v1/regions",
            Self::Region(_) => "/v1/regions/{region}",
            Self::Windows(_) => "/v1/regions/{region}/windows",
            Self::RegionDevices(_) => "/v1/regions/{region}/devices",
            Self::Device(_) => "/v1/devices/{device_id}",
            Self::DeviceReadings(_) => "/v1/devices/{device_id}/readings",
            Self::Conflicts => "/v1/conflicts",
            Self::Quarantine => "/v1/quarantine",
            Self::Retry(None) => "/v1/quarantine/retry",
            Self::Retry(Some(_)) => "/v1/quarantine/{name}/retry",
            Self::Asset("openapi.json") => "/openapi.json",
            Self::Asset("index.html") => "/",
            Self::Asset(_) => "/assets/{name}",
            Self::Metrics => "/metrics",
            Self::Readiness => "/readyz",
            Self::Health => "/healthz",
        }
    }

    /// One that has a name in its path.
    fn named(path: &'a str) -> Option<Self> {
        let mut parts = path.split('/');
        let (kind, name, what) = (parts.next()?, parts.next()?, parts.next());
        match (kind, what) {
            _ if name.is_empty() || parts.next().is_some() => None,
            ("regions", None) => Some(Self::Region(name)),
            ("regions", Some("windows")) => Some(Self::Windows(name)),
            ("regions", Some("devices")) => Some(Self::RegionDevices(name)),
            ("devices", None) => Some(Self::Device(name)),
            ("devices", Some("readings")) => Some(Self::DeviceReadings(name)),
            ("quarantine", Some("retry")) => Some(Self::Retry(Some(name))),
            _ => None,
        }
    }
}

/// The route that `path` is of, for the log.
pub fn route_of(path: &str) -> &'static str {
    match Resource::at(path) {
        Some(resource) => resource.route(),
        None if path == events::PATH => events::PATH,
        None => "(none)",
    }
}

fn route(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Answered, Refusal> {
    let resource = Resource::at(&request.path).ok_or_else(|| {
        let detail = "there are GET /v1/regions, /v1/regions/{region}, \
                      /v1/regions/{region}/windows, /v1/regions/{region}/devices, \
                      /v1/devices/{device_id}, /v1/devices/{device_id}/readings, /v1/conflicts, \
                      /v1/quarantine, /metrics, /readyz, /healthz, /v1/events, /openapi.json, / (the page) \
                      and POST /v1/readings, /v1/quarantine/retry, /v1/quarantine/{name}/retry";
        Problem::new(Kind::NotFound, detail)
    })?;
    request.allow(match resource {
        Resource::Retry(_) => &[Method::POST],
        _ => READING,
    })?;
    let response = match resource {
        Resource::Regions => return regions(host, request, now),
        Resource::Region(name) => return region(host, request, name, now),
        Resource::Windows(name) => return series::windows(host, request, name, now),
        Resource::RegionDevices(name) => return devices::of_region(host, request, name, now),
        Resource::Device(name) => return devices::one(host, request, name, now),
        Resource::DeviceReadings(name) => return devices::readings(host, request, name, now),
        Resource::Conflicts => return conflicts::conflicts(host, request, now),
        Resource::Quarantine => quarantine::list(host, request, now)?,
        Resource::Retry(name) => quarantine::retry(host, request, name, now)?,
        Resource::Asset(name) => assets::answer(host, request, name)?,
        Resource::Metrics => return status::metrics(host, request, now),
        Resource::Readiness => status::readiness(host, now)?,
        Resource::Health => {
            // A probe may put anything into its query.
            let body = [("status", "ok".into())];
            Response::json(StatusCode::OK, &Record::of(body))
        }
    };
    Ok(response.into())
}

/// The regions as records.
fn table(regions: Vec<RegionFigures>, now: UnixMillis) -> Table {
    let row = |(region, figures): RegionFigures| {
        let newest = figures.as_ref().and_then(|figures| figures.newest);
        let age_ms = newest.map(|newest| now.get() - newest.get());
        let mut row = vec![Value::from(region)];
        row.extend(cells::cells(figures.as_ref()));
        row.push(age_ms.into());
        row
    };
    let columns = [&["region"], cells::COLUMNS, &["newest_age_ms"]].concat();
    Table { columns, rows: regions.into_iter().map(row).collect() }
}

/// All time is one statement; a range is several, which are to see the same.
fn read<H: Host, T>(
    regions: &Regions<'_, H>,
    span: Span,
    work: impl Fn(&H::Sql) -> Result<T, Error>,
) -> Result<T, Error> {
    match span.range {
        None => regions.read(work),
        Some(_) => regions.read_at_once(work),
    }
}

/// The latest instant at which a reading can have been measured.
fn latest(host: &impl Host, now: UnixMillis) -> Result<UnixMillis, Error> {
    Ok(Horizon::from_variables(host)?.latest(now))
}

fn region(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    let span = Span::from_parameters(&parameters(request, &["from", "to"])?)?;
    let name = region_in_path(encoded)?;
    let latest = latest(host, now)?;
    let read = fold_and_read(
        host,
        span,
        now,
        |regions| {
            read(regions, span, |sql| {
                let mut found = report::region(sql, name.as_str(), span.range)?;
                report::settle_newest(sql, found.as_mut_slice(), span.range, latest)?;
                Ok(found)
            })
        },
        |snapshot| {
            let mut all = snapshot.regions.into_iter();
            let found = all.find(|(known, _)| known == name.as_str());
            // One that it lacks may be newer.
            found.map(|(name, figures)| Some((name, Some(figures.as_of(latest)))))
        },
    )?;
    let found = read.value.ok_or_else(|| read.shown.missing(unknown_region()))?;
    Ok(read.shown.answer(request, format, table(vec![found], now), Listing::default(), now))
}

fn regions(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    let parameters = parameters(request, &["from", "to", "after", "limit"])?;
    let span = Span::from_parameters(&parameters)?;
    let after = parameters.get("after").unwrap_or_default();
    let limit = parameters.limit()?;
    // One more tells whether there is another page.
    let most = limit.saturating_add(1);
    let latest = latest(host, now)?;
    let mut read: Read<Page> = fold_and_read(
        host,
        span,
        now,
        |regions| {
            read(regions, span, |sql| {
                let mut regions = report::regions(sql, after, most, span.range)?;
                report::settle_newest(sql, &mut regions, span.range, latest)?;
                Ok(Page { regions, is_cut: false })
            })
        },
        |snapshot| Page::recalled(snapshot, after, most, latest),
    )?;
    let Page { regions, is_cut } = &mut read.value;
    let more = regions.len() > limit || *is_cut;
    regions.truncate(limit);
    let last = regions.last().filter(|_| more).map(|(name, _)| name.clone());
    let listing = Listing {
        list: Some("regions"),
        about: Record::default(),
        // What waits, or is newer than the snapshot, may be of other regions.
        complete: Some(read.shown.coverage.is_complete()),
        next: last.map(|name| parameters.next_page("after", &name)),
    };
    let table = table(read.value.regions, now);
    Ok(read.shown.answer(request, format, table, listing, now))
}

/// Regions after a name.
#[derive(Debug)]
struct Page {
    regions: Vec<RegionFigures>,
    /// Whether there are more, but not to be had.
    is_cut: bool,
}

impl Page {
    /// From the last good snapshot; `None` if that says nothing of this page.
    fn recalled(snapshot: Snapshot, after: &str, most: usize, latest: UnixMillis) -> Option<Self> {
        let all = snapshot.regions.into_iter().filter(|(name, _)| name.as_str() > after);
        let all = all.map(|(name, figures)| (name, Some(figures.as_of(latest))));
        let regions: Vec<RegionFigures> = all.take(most).collect();
        let is_cut = !snapshot.is_whole && regions.len() < most;
        (!is_cut || !regions.is_empty()).then_some(Self { regions, is_cut })
    }
}
