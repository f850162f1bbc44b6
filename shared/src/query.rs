//! The read side: `GET /v1/regions` and what is below it.
//!
//! The promise: an answer counts every reading that was acknowledged before it
//! was asked for, or says how many entries it does not count.

use std::borrow::Cow;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::breaker::State;
use crate::error::Error;
use crate::fold;
use crate::guard::Guard;
use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::inventory::Inventory;
use crate::ledger;
use crate::limits;
use crate::metrics::{self, Counted};
use crate::reading::{Region, UnixMillis};
use crate::regions::{Budget, Regions};
use crate::report::{self, Figures, Range, RegionFigures};
use crate::settings::Horizon;
use crate::snapshot::{self, Snapshot};

/// A response, and whether to call `snapshot::keep` after it is sent.
#[derive(Debug)]
pub struct Answered {
    /// What to answer.
    pub response: Response,
    /// Whether the last good snapshot is due to be renewed.
    pub keeps_snapshot: bool,
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        Self { response, keeps_snapshot: false }
    }
}

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
    Quarantine,
    Metrics,
    Readiness,
    Health,
}

impl<'a> Resource<'a> {
    fn at(path: &'a str) -> Option<Self> {
        match path {
            "/v1/regions" => Some(Self::Regions),
            "/v1/quarantine" => Some(Self::Quarantine),
            "/metrics" => Some(Self::Metrics),
            "/readyz" => Some(Self::Readiness),
            "/healthz" => Some(Self::Health),
            _ => {
                let name = path.strip_prefix("/v1/regions/")?;
                (!name.is_empty() && !name.contains('/')).then_some(Self::Region(name))
            }
        }
    }
}

fn route(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Answered, Refusal> {
    let resource = Resource::at(&request.path).ok_or_else(|| {
        let detail = "there are GET /v1/regions, /v1/regions/{region}, /v1/quarantine, /metrics, \
                      /readyz, /healthz and POST /v1/readings";
        Problem::new(Kind::NotFound, detail)
    })?;
    request.allow(READING)?;
    let response = match resource {
        Resource::Regions => return regions(host, request, now),
        Resource::Region(name) => return region(host, request, name, now),
        Resource::Quarantine => quarantine(host, request, now)?,
        Resource::Metrics => metrics(host, request, now)?,
        Resource::Readiness => readiness(host, request, now)?,
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
    /// Grows whenever one of the figures above changes.
    revision: Option<i64>,
}

impl RegionBody {
    fn new(region: String, figures: Option<Figures>, now: UnixMillis) -> Self {
        let stats = figures.map(|figures| figures.stats);
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
            revision: figures.map(|figures| figures.revision),
        }
    }
}

/// What an answer covers: which time, as of when, and what is still missing.
#[derive(Clone, Serialize)]
struct Coverage {
    /// `null` is the beginning of time.
    from: Option<UnixMillis>,
    /// `null` is the end of time.
    to: Option<UnixMillis>,
    as_of: UnixMillis,
    /// Whether the answer is the last good one, as the database is away.
    stale: bool,
    /// Acknowledged journal entries that the answer does not count yet; `null`
    /// where the journal can't be read.
    unfolded_entries: Option<usize>,
    /// Acknowledged readings in quarantine, which the answer will not count;
    /// `null` where the journal can't be read.
    quarantined_readings: Option<usize>,
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

/// What was read, and what it covers.
struct Read<T> {
    value: T,
    coverage: Coverage,
    keeps_snapshot: bool,
}

impl<T> Read<T> {
    /// The answer with this body. That it is stale is told in a header, too.
    fn answer(&self, body: &impl Serialize, now: UnixMillis) -> Answered {
        let mut response = Response::json(StatusCode::OK, body);
        if self.coverage.stale {
            let age_ms = (now.get() - self.coverage.as_of.get()).max(0);
            response = response.with_header("age", (age_ms / 1_000).to_string());
        }
        Answered { response, keeps_snapshot: self.keeps_snapshot }
    }
}

fn region(
    host: &impl Host,
    request: &Request,
    encoded: &str,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let span = Span::from_parameters(&parameters(request, &["from", "to"])?)?;
    let name = percent_encoding::percent_decode_str(encoded).decode_utf8().ok();
    let unknown = || Problem::new(Kind::NotFound, "no reading has named this region");
    let name = name.and_then(Region::new).ok_or_else(unknown)?;
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
    let (name, stats) = read.value.clone().ok_or_else(unknown)?;
    let region = RegionBody::new(name, stats, now);
    Ok(read.answer(&OneRegion { region, coverage: read.coverage.clone() }, now))
}

fn regions(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Answered, Refusal> {
    let parameters = parameters(request, &["from", "to", "after", "limit"])?;
    let span = Span::from_parameters(&parameters)?;
    let after = parameters.get("after").unwrap_or_default();
    let limit = limit(&parameters)?;
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
        next: last.map(|name| parameters.next_page(&name)),
        coverage: read.coverage.clone(),
    };
    Ok(read.answer(&body, now))
}

fn limit(parameters: &Parameters<'_>) -> Result<usize, Problem> {
    const MOST: usize = limits::REGIONS_PER_PAGE_MAX;
    let Some(text) = parameters.get("limit") else { return Ok(MOST) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| {
        Problem::new(Kind::BadParameter, format!("limit must be a number from 1 to {MOST}"))
    })
}

const BEFORE_READING: Budget = Budget::waiting(limits::QUERY_FOLD_MS_MAX);

/// Folds what is in the journal, then reads, on one connection.
///
/// While the database is away, what was asked for all time comes from the last
/// good snapshot; while the journal can't be read, it is left unfolded.
fn fold_and_read<H: Host, T>(
    host: &H,
    span: Span,
    now: UnixMillis,
    read: impl Fn(&Regions<'_, H>) -> Result<T, Error>,
    recall: impl FnOnce(Snapshot) -> T,
) -> Result<Read<T>, Refusal> {
    Horizon::from_variables(host)?;
    let coverage = |as_of, stale, inventory: Option<&Inventory>, left| Coverage {
        from: span.from,
        to: span.to,
        as_of,
        stale,
        unfolded_entries: left,
        quarantined_readings: inventory.map(Inventory::quarantined_readings),
    };
    let journal = match host.key_value().map_err(Error::Journal) {
        Ok(store) => Inventory::list(host, &store).map(|inventory| (store, inventory)),
        Err(error) => Err(error),
    };
    let (store, inventory) = match journal {
        Ok(found) => found,
        Err(error) => {
            host.log(&format!("answering without what is in the journal: {error}"));
            let value = read(&Regions::open(host, BEFORE_READING)?)?;
            let coverage = coverage(now, false, None, None);
            return Ok(Read { value, coverage, keeps_snapshot: false });
        }
    };
    let done = Guard::new(host, &store, inventory.has_breaker).call(now, || {
        let regions = Regions::open(host, BEFORE_READING)?;
        let left = fold::run(&regions, &store, &inventory)?;
        Ok((read(&regions)?, left))
    });
    match done {
        Ok((value, left)) => Ok(Read {
            value,
            coverage: coverage(now, false, Some(&inventory), Some(left)),
            keeps_snapshot: snapshot::is_due(&inventory, now),
        }),
        Err(error) => {
            let is_all_time = span.range.is_none();
            let last = snapshot::load(&store, &inventory).filter(|_| is_all_time);
            let Some(last) = last else { return Err(error.into()) };
            if !matches!(error, Error::Spared { .. }) {
                host.log(&format!("answering from the last good snapshot: {error}"));
            }
            let left = inventory.unfolded();
            let coverage = coverage(last.as_of, true, Some(&inventory), Some(left));
            Ok(Read { value: recall(last), coverage, keeps_snapshot: false })
        }
    }
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    journal: &'static str,
    regions: &'static str,
    breaker: &'static str,
}

/// Ready is who can make a reading durable. What else is wrong is named.
fn readiness(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Response, Refusal> {
    parameters(request, &[])?;
    let (inventory, breaker, counted) = look_around(host, now);
    let (journal, regions) = (inventory.is_some(), counted.is_some());
    let word = |up: bool| if up { "ok" } else { "failing" };
    let body = Readiness {
        status: match (journal, regions) {
            (true, true) => "ready",
            (false, false) => "unavailable",
            _ => "degraded",
        },
        journal: word(journal),
        regions: word(regions),
        breaker: breaker.name(),
    };
    let ready = journal || regions;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Response::json(status, &body))
}

fn metrics(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Response, Refusal> {
    parameters(request, &[])?;
    let (inventory, breaker, counted) = look_around(host, now);
    let text = metrics::render(inventory.as_ref(), breaker, counted.as_ref());
    Ok(Response::bytes(metrics::CONTENT_TYPE, StatusCode::OK, text.into_bytes()))
}

/// What each store says at the moment, without folding; `None` for a store that
/// fails.
fn look_around(host: &impl Host, now: UnixMillis) -> (Option<Inventory>, State, Option<Counted>) {
    let count = || {
        let regions = Regions::open(host, BEFORE_READING)?;
        let stored = regions.read(ledger::stored)?;
        Ok(Counted { stored, tallies: regions.read(ledger::tallies)? })
    };
    let store = host.key_value().map_err(Error::Journal);
    let listed = store.and_then(|store| Ok((Inventory::list(host, &store)?, store)));
    let noted = |error: Error| host.log(&error.to_string());
    match listed {
        Ok((inventory, store)) => {
            let guard = Guard::new(host, &store, inventory.has_breaker);
            let counted = guard.call(now, count).map_err(noted).ok();
            // As it is after the call.
            let has_breaker = inventory.has_breaker || counted.is_none();
            let breaker = Guard::new(host, &store, has_breaker).state();
            (Some(inventory), breaker, counted)
        }
        Err(error) => {
            noted(error);
            (None, State::NEW, count().map_err(noted).ok())
        }
    }
}

#[derive(Serialize)]
struct Quarantine {
    entries: Vec<QuarantinedEntry>,
    /// Further entries that the answer does not name.
    entries_omitted: usize,
    as_of: UnixMillis,
}

#[derive(Serialize)]
struct QuarantinedEntry {
    name: String,
    reason: &'static str,
    readings: usize,
    bytes: usize,
}

fn quarantine(host: &impl Host, request: &Request, now: UnixMillis) -> Result<Response, Refusal> {
    parameters(request, &[])?;
    let store = host.key_value().map_err(Error::Journal)?;
    let quarantined = Inventory::list(host, &store)?.quarantined;
    let entry = |q: &crate::journal::Quarantined| QuarantinedEntry {
        name: q.name.as_str().to_owned(),
        reason: q.reason.code(),
        readings: q.name.readings(),
        bytes: q.name.bytes(),
    };
    let entries: Vec<QuarantinedEntry> =
        quarantined.iter().take(limits::QUARANTINED_LISTED_MAX).map(entry).collect();
    let entries_omitted = quarantined.len() - entries.len();
    Ok(Response::json(StatusCode::OK, &Quarantine { entries, entries_omitted, as_of: now }))
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

/// The time that a request asks about.
#[derive(Clone, Copy)]
struct Span {
    /// All time without one.
    range: Option<Range>,
    from: Option<UnixMillis>,
    to: Option<UnixMillis>,
}

impl Span {
    /// From `from` (included) and `to` (excluded), widened to whole minutes.
    fn from_parameters(parameters: &Parameters<'_>) -> Result<Self, Problem> {
        let from = instant(parameters, "from")?;
        let to = instant(parameters, "to")?;
        if from.is_none() && to.is_none() {
            return Ok(Self { range: None, from, to });
        }
        let covering =
            Range::covering(from.unwrap_or(UnixMillis::MIN), to.unwrap_or(UnixMillis::MAX));
        let range =
            covering.ok_or_else(|| Problem::new(Kind::BadParameter, "from must be before to"))?;
        Ok(Self {
            range: Some(range),
            from: from.map(|_| range.from()),
            to: to.map(|_| range.to()),
        })
    }
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
