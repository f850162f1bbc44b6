//! The read side: `GET /v1/regions` and what is below it.

use http::{Method, StatusCode};
use serde::Serialize;

use crate::conflicts;
use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::parameters::{Span, parameters, region_in_path, unknown_region};
use crate::reading::UnixMillis;
use crate::report::{self, Figures, RegionFigures};
use crate::series;
use crate::status;
use crate::view::{Answered, Coverage, Read, fold_and_read};

/// Answers a request. `now` is the node's clock.
pub fn answer(host: &impl Host, request: &Request, now: UnixMillis) -> Answered {
    match route(host, request, now) {
        Ok(answered) => answered,
        Err(refusal) => refusal.into_response(host).into(),
    }
}

const READING: &[Method] = &[Method::GET, Method::HEAD];

/// What there is to ask for.
enum Resource<'a> {
    Regions,
    Region(&'a str),
    Windows(&'a str),
    Conflicts,
    Quarantine,
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
            _ => {
                let rest = path.strip_prefix("/v1/regions/")?;
                let (name, what) = rest.split_once('/').map_or((rest, None), |(n, w)| (n, Some(w)));
                match what {
                    _ if name.is_empty() => None,
                    None => Some(Self::Region(name)),
                    Some("windows") => Some(Self::Windows(name)),
                    Some(_) => None,
                }
            }
        }
    }
}

fn route(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Answered, Refusal> {
    let resource = Resource::at(&request.path).ok_or_else(|| {
        let detail = "there are GET /v1/regions, /v1/regions/{region}, \
                      /v1/regions/{region}/windows, /v1/conflicts, /v1/quarantine, /metrics, /readyz, \
                      /healthz and POST /v1/readings";
        Problem::new(Kind::NotFound, detail)
    })?;
    request.allow(READING)?;
    let response = match resource {
        Resource::Regions => return regions(host, request, now),
        Resource::Region(name) => return region(host, request, name, now),
        Resource::Windows(name) => return series::windows(host, request, name, now),
        Resource::Conflicts => return conflicts::conflicts(host, request, now),
        Resource::Quarantine => status::quarantine(host, request, now)?,
        Resource::Metrics => status::metrics(host, request, now)?,
        Resource::Readiness => status::readiness(host, request, now)?,
        Resource::Health => {
            parameters(request, &[])?;
            Response::json(StatusCode::OK, &Health { status: "ok" })
        }
    };
    Ok(response.into())
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The figures of a region and a range; without a reading, `null` but for the
/// count.
#[derive(Serialize)]
pub(crate) struct FiguresBody {
    count: u64,
    average_c: Option<f64>,
    min_c: Option<f64>,
    max_c: Option<f64>,
    standard_deviation_c: Option<f64>,
    /// Exact: the average is this, divided by 1,000 times the count.
    sum_millicelsius: Option<i128>,
    /// Grows whenever one of the figures changes.
    revision: Option<i64>,
}

impl FiguresBody {
    pub(crate) fn new(figures: Option<Figures>) -> Self {
        let stats = figures.map(|figures| figures.stats);
        Self {
            count: stats.map_or(0, |s| s.readings()),
            average_c: stats.map(|s| s.average()),
            min_c: stats.map(|s| s.min().to_celsius()),
            max_c: stats.map(|s| s.max().to_celsius()),
            standard_deviation_c: stats.map(|s| s.standard_deviation()),
            sum_millicelsius: stats.map(|s| s.sum_milli()),
            revision: figures.map(|figures| figures.revision),
        }
    }
}

#[derive(Serialize)]
struct RegionBody {
    region: String,
    #[serde(flatten)]
    figures: FiguresBody,
    oldest: Option<UnixMillis>,
    newest: Option<UnixMillis>,
    newest_age_ms: Option<i64>,
}

impl RegionBody {
    fn new(region: String, figures: Option<Figures>, now: UnixMillis) -> Self {
        let stats = figures.map(|figures| figures.stats);
        Self {
            region,
            figures: FiguresBody::new(figures),
            oldest: stats.map(|s| s.oldest()),
            newest: stats.map(|s| s.newest()),
            newest_age_ms: stats.map(|s| now.get() - s.newest().get()),
        }
    }
}

#[derive(Serialize)]
struct OneRegion {
    #[serde(flatten)]
    region: RegionBody,
    #[serde(flatten)]
    coverage: Coverage,
}

#[derive(Serialize)]
struct RegionList {
    regions: Vec<RegionBody>,
    /// The path of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(flatten)]
    coverage: Coverage,
}

fn region(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let span = Span::from_parameters(&parameters(request, &["from", "to"])?)?;
    let name = region_in_path(encoded)?;
    let read = fold_and_read(
        host,
        span,
        now,
        |regions| regions.read(|sql| report::region(sql, name.as_str(), span.range)),
        |snapshot| {
            let mut all = snapshot.regions.into_iter();
            all.find(|(known, _)| known == name.as_str()).map(|(n, stats)| (n, Some(stats)))
        },
    )?;
    let (name, stats) = read.value.clone().ok_or_else(unknown_region)?;
    let region = RegionBody::new(name, stats, now);
    Ok(read.answer(&OneRegion { region, coverage: read.coverage.clone() }, now))
}

fn regions(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Answered, Refusal> {
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
        |regions| regions.read(|sql| report::regions(sql, after, most, span.range)),
        |snapshot| {
            let all = snapshot.regions.into_iter().map(|(name, stats)| (name, Some(stats)));
            all.filter(|(name, _)| name.as_str() > after).take(most).collect()
        },
    )?;
    let more = read.value.len() > limit;
    read.value.truncate(limit);
    let last = read.value.last().filter(|_| more).map(|(name, _)| name.clone());
    let bodies = std::mem::take(&mut read.value).into_iter();
    let body = RegionList {
        regions: bodies.map(|(name, stats)| RegionBody::new(name, stats, now)).collect(),
        next: last.map(|name| parameters.next_page("/v1/regions", "after", &name)),
        coverage: read.coverage.clone(),
    };
    Ok(read.answer(&body, now))
}
