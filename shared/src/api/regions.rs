//! `GET /v1/regions` and `GET /v1/regions/{region}`: the averages.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::api::cells;
use crate::base::page::Page;
use crate::domain::range::Span;
use crate::domain::reading::{Region, UnixMillis};
use crate::error::Error;
use crate::host::Host;
use crate::http::document::{Fields, Table};
use crate::http::path::unknown_region;
use crate::ledger::database::Database;
use crate::read::aggregate::{self, RegionSummary};
use crate::read::fresh::fold_and_read;
use crate::read::last_good::Snapshot;
use crate::settings::Horizon;

/// `GET /v1/regions/{region}`.
pub(crate) fn one<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    let span = call.params.span()?;
    let latest = Horizon::from_variables(call.host)?.latest(call.now);
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            read(database, span, |sql| {
                let mut found = aggregate::region(sql, region.as_str(), span.range)?;
                aggregate::settle_newest(sql, found.as_mut_slice(), span.range, latest)?;
                Ok(found)
            })
        },
        |snapshot| {
            let mut all = snapshot.regions.into_iter();
            let found = all.find(|(known, _)| known == region.as_str());
            // A region that it lacks may be newer than the snapshot.
            found.map(|(name, summary)| Some((name, Some(summary.as_of(latest)))))
        },
    )?;
    let found = read.value.ok_or_else(|| read.covered.missing(unknown_region()))?;
    Ok(read.covered.answer(call, table(vec![found], call.now), Listing::default()))
}

/// `GET /v1/regions`: a page, sorted by name.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let (span, limit) = (call.params.span()?, call.params.limit);
    let (after, most) = (call.params.after().unwrap_or_default(), Page::<()>::to_read(limit));
    let latest = Horizon::from_variables(call.host)?.latest(call.now);
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            read(database, span, |sql| {
                let mut regions = aggregate::regions(sql, after, most, span.range)?;
                aggregate::settle_newest(sql, &mut regions, span.range, latest)?;
                Ok((regions, false))
            })
        },
        |snapshot| recalled(snapshot, after, most, latest),
    )?;
    let (regions, is_cut) = read.value;
    let page = Page::of(regions, limit);
    let page = Page { has_more: page.has_more || is_cut, ..page };
    let listing = Listing {
        list: Some("regions"),
        about: Fields::default(),
        // Readings that wait, or are newer than the snapshot, may be of other regions.
        complete: Some(read.covered.coverage.is_complete()),
        next: page.last().map(|(name, _)| call.params.next_page(name)),
    };
    Ok(read.covered.answer(call, table(page.items, call.now), listing))
}

/// The figures over all time are one statement; those of a range are several, which
/// must see the same state.
fn read<H: Host, T>(
    database: &Database<'_, H>,
    span: Span,
    work: impl Fn(&H::Sql) -> Result<T, Error>,
) -> Result<T, Error> {
    match span.range {
        None => database.read(work),
        Some(_) => database.read_at_once(work),
    }
}

/// The regions after a name in the last good snapshot, and whether more may follow that
/// it does not have; `None` if it has nothing for this page.
fn recalled(
    snapshot: Snapshot,
    after: &str,
    most: usize,
    latest: UnixMillis,
) -> Option<(Vec<RegionSummary>, bool)> {
    let all = snapshot.regions.into_iter().filter(|(name, _)| name.as_str() > after);
    let all = all.map(|(name, summary)| (name, Some(summary.as_of(latest))));
    let regions: Vec<RegionSummary> = all.take(most).collect();
    let is_cut = !snapshot.is_whole && regions.len() < most;
    (!is_cut || !regions.is_empty()).then_some((regions, is_cut))
}

/// The regions as records.
fn table(regions: Vec<RegionSummary>, now: UnixMillis) -> Table {
    let row = |(region, summary): RegionSummary| {
        let newest = summary.as_ref().and_then(|summary| summary.newest);
        let age_ms = newest.map(|newest| now.get() - newest.get());
        let mut row = vec![Value::from(region)];
        row.extend(cells::cells(summary.as_ref()));
        row.push(age_ms.into());
        row
    };
    let columns = [&["region"], cells::COLUMNS, &["newest_age_ms"]].concat();
    Table { columns, rows: regions.into_iter().map(row).collect() }
}
