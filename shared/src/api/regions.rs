//! `GET /v1/regions` and `GET /v1/regions/{region}`: the averages.

use serde_json::Value;

use crate::access::scope::Readable;
use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::api::cells;
use crate::base::page::Page;
use crate::domain::range::Span;
use crate::domain::reading::{MilliCelsius, Region, UnixMillis};
use crate::error::Error;
use crate::host::{Host, Sql};
use crate::http::document::{Fields, Table};
use crate::http::path::unknown_region;
use crate::ledger::region_limits::{self, RegionLimits};
use crate::read::aggregate::{self, RegionSummary};
use crate::read::fresh::fold_and_read;
use crate::read::last_good::Snapshot;
use crate::read::latest::{self, Latest};
use crate::read::senders::{Behind, behind_of_regions};
use crate::read::silence::Expectations;
use crate::settings::{self, Horizon};

/// `GET /v1/regions/{region}`.
pub(crate) fn one<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    let span = call.params.span()?;
    let latest = Horizon::from_variables(call.host)?.latest(call.now);
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let mut found = aggregate::region(sql, region.as_str(), span.range)?;
                aggregate::settle_newest(sql, found.as_mut_slice(), span.range, latest)?;
                let now = Now::of(sql, found.as_slice(), span, call)?;
                Ok((found, now))
            })
        },
        |snapshot| {
            let mut all = snapshot.regions.into_iter();
            let found = all.find(|(known, _)| known == region.as_str());
            // A region that it lacks may be newer than the snapshot.
            found.map(|(name, summary)| (Some((name, Some(summary.as_of(latest)))), Now::default()))
        },
    )?;
    let (found, now) = read.value;
    let found = found.ok_or_else(|| read.covered.missing(unknown_region()))?;
    Ok(read.covered.answer(call, table(vec![found], &now, call.now), Listing::default()))
}

/// `GET /v1/regions`: a page, sorted by name.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let (span, limit) = (call.params.span()?, call.params.limit);
    let (after, most) = (call.params.after().unwrap_or_default(), Page::<()>::to_read(limit));
    let readable = call.readable();
    let condition = readable.condition("name");
    let latest = Horizon::from_variables(call.host)?.latest(call.now);
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            database.read_at_once(|sql| {
                let mut regions = aggregate::regions(sql, &condition, (after, most), span.range)?;
                aggregate::settle_newest(sql, &mut regions, span.range, latest)?;
                let now = Now::of(sql, &regions, span, call)?;
                Ok((regions, false, now))
            })
        },
        |snapshot| {
            let (regions, is_cut) = recalled(snapshot, &readable, (after, most), latest)?;
            Some((regions, is_cut, Now::default()))
        },
    )?;
    let (regions, is_cut, now) = read.value;
    let page = Page::of(regions, limit);
    let page = Page { has_more: page.has_more || is_cut, ..page };
    let listing = Listing {
        list: Some("regions"),
        about: Fields::default(),
        // Readings that wait, or are newer than the snapshot, may be of other regions.
        complete: Some(read.covered.coverage.is_complete()),
        next: page.last().map(|(name, _)| call.params.next_page(name)),
    };
    Ok(read.covered.answer(call, table(page.items, &now, call.now), listing))
}

/// What is measured now, the limits, and the nodes that regions lack something of, each sorted
/// by region.
#[derive(Default)]
struct Now {
    latest: Vec<(String, Latest)>,
    limits: Vec<(String, RegionLimits)>,
    /// Without regions that lack nothing; `None` if this is not known.
    behind: Option<Vec<(String, Behind)>>,
}

impl Now {
    /// That of these regions, if all time was asked for.
    fn of<H: Host>(
        sql: &impl Sql,
        regions: &[RegionSummary],
        span: Span,
        call: &Call<'_, H>,
    ) -> Result<Self, Error> {
        if span.range.is_some() || regions.is_empty() {
            return Ok(Self::default());
        }
        let silent_ms = settings::sender_silent_ms(call.host)?;
        let expected = Expectations::load(sql, call.now)?;
        let names = || regions.iter().map(|(name, _)| name.as_str());
        let mut behind = behind_of_regions(sql, names(), silent_ms, call.now)?;
        if !call.grant.scopes.reads_all() {
            behind.iter_mut().for_each(|(_, behind)| behind.names.clear());
        }
        Ok(Self {
            latest: latest::of_regions(sql, names(), &expected)?,
            limits: region_limits::of_regions(sql, names())?,
            behind: Some(behind),
        })
    }
}

/// The regions after a name in the last good snapshot, and whether more may follow that
/// it does not have; `None` if it has nothing for this page.
fn recalled(
    snapshot: Snapshot,
    readable: &Readable,
    (after, most): (&str, usize),
    latest: UnixMillis,
) -> Option<(Vec<RegionSummary>, bool)> {
    let all = snapshot
        .regions
        .into_iter()
        .filter(|(name, _)| name.as_str() > after && readable.has(name));
    let all = all.map(|(name, summary)| (name, Some(summary.as_of(latest))));
    let regions: Vec<RegionSummary> = all.take(most).collect();
    let is_cut = !snapshot.is_whole && regions.len() < most;
    (!is_cut || !regions.is_empty()).then_some((regions, is_cut))
}

/// The columns of `latest_cells`.
const LATEST: [&str; 10] = [
    "latest_average_c",
    "latest_devices",
    "warmest_device",
    "warmest_c",
    "warmest_at",
    "coldest_device",
    "coldest_c",
    "coldest_at",
    "silent_devices",
    "silent",
];

/// What is measured now; null if that is unknown, or if a range was asked for.
fn latest_cells(latest: Option<&Latest>) -> Vec<Value> {
    let Some(latest) = latest else { return vec![Value::Null; LATEST.len()] };
    let average = |n: i64| latest.sum_millicelsius as f64 / (n as f64 * 1_000.0);
    let mut cells =
        vec![Some(latest.devices).filter(|n| *n > 0).map(average).into(), latest.devices.into()];
    for extreme in [&latest.warmest, &latest.coldest] {
        let extreme = extreme.as_ref();
        cells.push(extreme.map(|extreme| extreme.device.as_str()).into());
        cells.push(extreme.map(|extreme| extreme.temperature.to_celsius()).into());
        cells.push(extreme.map(|extreme| extreme.at).into());
    }
    cells.push(latest.silent_devices.into());
    cells.push(latest.silent.as_slice().into());
    cells
}

/// The columns of `limit_cells`.
const LIMITS: [&str; 3] = ["low_c", "high_c", "within_limits"];

/// The limits, and whether what is measured now is within them.
fn limit_cells(limits: Option<&RegionLimits>, latest: Option<&Latest>) -> [Value; 3] {
    let celsius = |limit: fn(&RegionLimits) -> Option<MilliCelsius>| {
        limits.and_then(limit).map(MilliCelsius::to_celsius)
    };
    let within = limits.zip(latest).and_then(|(limits, latest)| limits.holds(latest.extremes()));
    [celsius(|set| set.limits.low).into(), celsius(|set| set.limits.high).into(), within.into()]
}

/// The columns of `behind_cells`.
const BEHIND: [&str; 2] = ["behind_senders", "behind"];

/// How many nodes that send readings of the region are silent or behind, and their names. Null
/// if that is unknown; and the names, where the names of nodes may not be read.
fn behind_cells(region: &str, now: &Now) -> [Value; 2] {
    let Some(all) = &now.behind else { return [Value::Null, Value::Null] };
    of(region, all).map_or_else(
        || [0.into(), Value::Array(Vec::new())],
        |behind| {
            let names = Some(behind.names.as_slice()).filter(|names| !names.is_empty());
            [behind.count.into(), names.into()]
        },
    )
}

/// What a list has for a region. It is sorted by name.
fn of<'a, T>(region: &str, list: &'a [(String, T)]) -> Option<&'a T> {
    let index = list.binary_search_by(|(name, _)| name.as_str().cmp(region)).ok()?;
    list.get(index).map(|(_, found)| found)
}

/// The regions as records.
fn table(regions: Vec<RegionSummary>, now: &Now, clock: UnixMillis) -> Table {
    let row = |(region, summary): RegionSummary| {
        let newest = summary.as_ref().and_then(|summary| summary.newest);
        let age_ms = newest.map(|newest| clock.get() - newest.get());
        let latest = of(&region, &now.latest);
        let limits = of(&region, &now.limits);
        let behind = behind_cells(&region, now);
        let mut row = vec![Value::from(region)];
        row.extend(cells::cells(summary.as_ref()));
        row.push(age_ms.into());
        row.extend(latest_cells(latest));
        row.extend(limit_cells(limits, latest));
        row.extend(behind);
        row
    };
    let columns =
        [&["region"], cells::COLUMNS, &["newest_age_ms"], &LATEST, &LIMITS, &BEHIND].concat();
    Table { columns, rows: regions.into_iter().map(row).collect() }
}
