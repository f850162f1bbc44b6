//! The read side: `GET /v1/regions` and what is below it.
//!
//! The promise: an answer counts every reading that was acknowledged before it
//! was asked for, or says how many entries it does not count.

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::error::Error;
use crate::fold::{Backlog, Budget, Fold};
use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::limits;
use crate::reading::{Region, UnixMillis};
use crate::report::{self, Range};
use crate::settings::Horizon;
use crate::stats::Stats;

/// Answers a request. `now` is the node's clock.
pub fn answer(host: &impl Host, request: &Request, now: UnixMillis) -> Response {
    match route(host, request, now) {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(host),
    }
}

const READING: &[Method] = &[Method::GET, Method::HEAD];

fn route(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Response, Refusal> {
    let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        ["healthz"] => {
            request.allow(READING)?;
            parameters(request, &[])?;
            Ok(Response::json(StatusCode::OK, &Health { status: "ok" }))
        }
        ["v1", "regions"] => {
            request.allow(READING)?;
            regions(host, request, now)
        }
        ["v1", "regions", name] => {
            request.allow(READING)?;
            region(host, request, name, now)
        }
        _ => Err(Problem::new(
            Kind::NotFound,
            "there are GET /v1/regions, /v1/regions/{region}, /healthz and POST /v1/readings",
        )
        .into()),
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The statistics of a region over a range.
#[derive(Serialize)]
struct RegionBody {
    region: String,
    count: u64,
    average_c: Option<f64>,
    min_c: Option<f64>,
    max_c: Option<f64>,
    standard_deviation_c: Option<f64>,
    /// Exact: the average is this, divided by 1,000 times the count.
    sum_millicelsius: Option<i128>,
    oldest: Option<UnixMillis>,
    newest: Option<UnixMillis>,
    newest_age_ms: Option<i64>,
}

impl RegionBody {
    fn new(region: String, stats: Option<Stats>, now: UnixMillis) -> Self {
        Self {
            region,
            count: stats.map_or(0, |s| s.readings()),
            average_c: stats.map(|s| s.average()),
            min_c: stats.map(|s| s.min().to_celsius()),
            max_c: stats.map(|s| s.max().to_celsius()),
            standard_deviation_c: stats.map(|s| s.standard_deviation()),
            sum_millicelsius: stats.map(|s| s.sum_milli()),
            oldest: stats.map(|s| s.oldest()),
            newest: stats.map(|s| s.newest()),
            newest_age_ms: stats.map(|s| now.get() - s.newest().get()),
        }
    }
}

/// What an answer covers: which time, as of when, and what is still missing.
#[derive(Serialize)]
struct Coverage {
    /// `null` is the beginning of time.
    from: Option<UnixMillis>,
    /// `null` is the end of time.
    to: Option<UnixMillis>,
    as_of: UnixMillis,
    /// Acknowledged journal entries that the answer does not count yet.
    unfolded_entries: usize,
}

#[derive(Serialize)]
struct OneRegion {
    #[serde(flatten)]
    region: RegionBody,
    #[serde(flatten)]
    coverage: Coverage,
}

#[derive(Serialize)]
struct Regions {
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
) -> Result<Response, Refusal> {
    let range = range(&parameters(request, &["from", "to"])?)?;
    let name = percent_encoding::percent_decode_str(encoded).decode_utf8().ok();
    let unknown = || Problem::new(Kind::NotFound, "no reading has named this region");
    let name = name.and_then(Region::new).ok_or_else(unknown)?;
    let (found, coverage) =
        fold_and_read(host, range, now, |sql| report::region(sql, name.as_str(), range))?;
    let (name, stats) = found.ok_or_else(unknown)?;
    let body = OneRegion { region: RegionBody::new(name, stats, now), coverage };
    Ok(Response::json(StatusCode::OK, &body))
}

fn regions(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Response, Refusal> {
    let parameters = parameters(request, &["from", "to", "after", "limit"])?;
    let range = range(&parameters)?;
    let after = parameters.get("after").unwrap_or_default();
    let limit = match parameters.get("limit") {
        None => limits::REGIONS_PER_PAGE_MAX,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=limits::REGIONS_PER_PAGE_MAX).contains(limit))
            .ok_or_else(|| {
                let most = limits::REGIONS_PER_PAGE_MAX;
                let detail = format!("limit must be a number from 1 to {most}");
                Problem::new(Kind::BadParameter, detail)
            })?,
    };
    let (mut found, coverage) = fold_and_read(host, range, now, |sql| {
        report::regions(sql, after, limit.saturating_add(1), range)
    })?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more).map(|(name, _)| name.clone());
    let regions = found.into_iter().map(|(name, stats)| RegionBody::new(name, stats, now));
    let body = Regions {
        regions: regions.collect(),
        next: last.map(|name| parameters.next_page(&name)),
        coverage,
    };
    Ok(Response::json(StatusCode::OK, &body))
}

/// Folds what is in the journal, then reads, on one connection.
fn fold_and_read<H: Host, T>(
    host: &H,
    range: Option<Range>,
    now: UnixMillis,
    read: impl FnOnce(&H::Sql) -> Result<T, Error>,
) -> Result<(T, Coverage), Refusal> {
    let horizon = Horizon::from_variables(host)?;
    let journal = host.key_value().map_err(Error::Journal)?;
    let backlog = Backlog::list(&journal)?;
    let sql = host.sql().map_err(Error::Regions)?;
    let fold = Fold::new(host, &journal, &sql, Budget::BEFORE_READING)?;
    let unfolded_entries = fold.run(&backlog, horizon, now)?;
    let coverage = Coverage {
        from: range.map(|range| range.from()),
        to: range.map(|range| range.to()),
        as_of: now,
        unfolded_entries,
    };
    Ok((read(&sql)?, coverage))
}

/// The query parameters of a request, each known and given once.
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Parameters<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// The same request for what comes after `last`.
    fn next_page(&self, last: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let others = self.0.iter().filter(|(name, _)| name != "after");
        query.extend_pairs(others).append_pair("after", last);
        format!("/v1/regions?{}", query.finish())
    }
}

fn parameters<'a>(request: &'a Request, known: &[&str]) -> Result<Parameters<'a>, Problem> {
    let query = request.query.as_deref().unwrap_or_default();
    if query.len() > limits::QUERY_BYTES_MAX {
        let detail = format!("the query has more than {} bytes", limits::QUERY_BYTES_MAX);
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let mut parameters = Parameters(Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&name.as_ref()) {
            let name: String = name.chars().take(limits::ECHO_CHARS_MAX).collect();
            let detail = match known {
                [] => format!("{name:?} is no parameter here; there are none"),
                _ => format!("{name:?} is no parameter here; there are {}", known.join(", ")),
            };
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        if parameters.get(&name).is_some() {
            return Err(Problem::new(Kind::BadParameter, format!("{name} is given twice")));
        }
        parameters.0.push((name, value));
    }
    Ok(parameters)
}

/// The range that `from` (included) and `to` (excluded) name, widened to whole
/// minutes; all time without either.
fn range(parameters: &Parameters<'_>) -> Result<Option<Range>, Problem> {
    let from = instant(parameters, "from")?;
    let to = instant(parameters, "to")?;
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let (from, to) = (from.unwrap_or(UnixMillis::MIN), to.unwrap_or(UnixMillis::MAX));
    let range = Range::covering(from, to);
    range.map(Some).ok_or_else(|| Problem::new(Kind::BadParameter, "from must be before to"))
}

fn instant(parameters: &Parameters<'_>, name: &str) -> Result<Option<UnixMillis>, Problem> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let millis = text.parse().ok().and_then(UnixMillis::new);
    millis.or_else(|| UnixMillis::parse_rfc3339(text)).map(Some).ok_or_else(|| {
        // In a query, an unescaped plus sign is a space.
        let hint = if text.contains(' ') { "; write + as %2B" } else { "" };
        let detail = format!("{name} must be Unix milliseconds or like 2026-11-22T10:00:00Z{hint}");
        Problem::new(Kind::BadParameter, detail)
    })
}
