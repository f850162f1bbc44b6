//! The read side: `GET /v1/regions` and what is below it.

use http::{Method, StatusCode};
use serde_json::Value;

use crate::assets;
use crate::conflicts;
use crate::devices;
use crate::error::Error;
use crate::events;
use crate::figures;
use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::parameters::{Span, parameters, region_in_path, unknown_region};
use crate::reading::UnixMillis;
use crate::regions::Regions;
use crate::report::{self, RegionFigures};
use crate::representation::{Format, Record, Table};
use crate::series;
use crate::status;
use crate::view::{Answered, Listing, Read, fold_and_read};

/// Answers a request. `now` is the node's clock.
pub fn answer(host: &impl Host, request: &Request, now: UnixMillis) -> Answered {
    match route(host, request, now) {
        Ok(answered) => answered,
        Err(refusal) => refusal.into_response(host).into(),
    }
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
                      and POST /v1/readings";
        Problem::new(Kind::NotFound, detail)
    })?;
    request.allow(READING)?;
    let response = match resource {
        Resource::Regions => return regions(host, request, now),
        Resource::Region(name) => return region(host, request, name, now),
        Resource::Windows(name) => return series::windows(host, request, name, now),
        Resource::RegionDevices(name) => return devices::of_region(host, request, name, now),
        Resource::Device(name) => return devices::one(host, request, name, now),
        Resource::DeviceReadings(name) => return devices::readings(host, request, name, now),
        Resource::Conflicts => return conflicts::conflicts(host, request, now),
        Resource::Quarantine => status::quarantine(host, request, now)?,
        Resource::Asset(name) => assets::answer(host, request, name)?,
        Resource::Metrics => status::metrics(host, request, now)?,
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
        let age_ms = figures.map(|figures| now.get() - figures.stats.newest().get());
        let mut row = vec![Value::from(region)];
        row.extend(figures::cells(figures.as_ref()));
        row.push(age_ms.into());
        row
    };
    let columns = [&["region"], figures::COLUMNS, &["newest_age_ms"]].concat();
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

fn region(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    let span = Span::from_parameters(&parameters(request, &["from", "to"])?)?;
    let name = region_in_path(encoded)?;
    let read = fold_and_read(
        host,
        span,
        now,
        |regions| read(regions, span, |sql| report::region(sql, name.as_str(), span.range)),
        |snapshot| {
            let mut all = snapshot.regions.into_iter();
            all.find(|(known, _)| known == name.as_str()).map(|(n, stats)| (n, Some(stats)))
        },
    )?;
    let found = read.value.ok_or_else(unknown_region)?;
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
    let mut read: Read<Vec<RegionFigures>> = fold_and_read(
        host,
        span,
        now,
        |regions| read(regions, span, |sql| report::regions(sql, after, most, span.range)),
        |snapshot| {
            let all = snapshot.regions.into_iter().map(|(name, stats)| (name, Some(stats)));
            all.filter(|(name, _)| name.as_str() > after).take(most).collect()
        },
    )?;
    let more = read.value.len() > limit;
    read.value.truncate(limit);
    let last = read.value.last().filter(|_| more).map(|(name, _)| name.clone());
    let listing = Listing {
        list: Some("regions"),
        about: Record::default(),
        next: last.map(|name| parameters.next_page("after", &name)),
    };
    Ok(read.shown.answer(request, format, table(read.value, now), listing, now))
}
