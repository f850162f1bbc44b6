//! `GET /v1/quarantine`: acknowledged readings that could not be counted;
//! `POST …/retry` folds them again.

use http::StatusCode;

use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::base::page::Page;
use crate::base::sort;
use crate::domain::range::Span;
use crate::error::Error;
use crate::fold;
use crate::host::Host;
use crate::http::document::{Document, Fields, Table};
use crate::http::params::no_such_page;
use crate::http::{Kind, Problem, Response};
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::journal::{self, Quarantined};
use crate::limits;
use crate::read::fresh::{Coverage, fold_and_read};
use crate::settings::Horizon;

/// Answers with a page of the entries, sorted by `place`.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let store = call.host.key_value().map_err(Error::Journal)?;
    let mut quarantined = Inventory::list(call.host, &store)?.quarantined().to_vec();
    if let Some(after) = call.params.after() {
        let after = Quarantined::from_key(&format!("{}{after}", keys::QUARANTINE));
        let after = place(&after.ok_or_else(no_such_page)?);
        quarantined.retain(|q| place(q) > after);
    }
    sort::sort_by_key(&mut quarantined, place);
    let all = quarantined.len();
    let page = Page::of(quarantined, limits::QUARANTINED_LISTED_MAX);
    // Further entries that the answer does not name.
    let omitted = all - page.items.len();
    let columns = vec!["name", "reason", "readings", "bytes"];
    let row = |q: &Quarantined| {
        vec![
            q.name.as_str().into(),
            q.reason.code().into(),
            q.name.readings().into(),
            q.name.bytes().into(),
        ]
    };
    let document = Document {
        list: Some("entries"),
        table: Table { columns, rows: page.items.iter().map(row).collect() },
        about: Fields::default(),
        coverage: Fields::of([("entries_omitted", omitted.into()), ("as_of", call.now.into())]),
        next: page.last().map(|last| {
            let after = format!("{}/{}", last.reason.code(), last.name.as_str());
            call.params.next_page(&after)
        }),
    };
    Ok(document.into_response(call.request, call.format).into())
}

/// The sort key of an entry: its reason, its time, and the first 64 bits of its hash.
/// Two entries share these with a probability of 2⁻⁶⁴.
fn place(quarantined: &Quarantined) -> u128 {
    let Quarantined { name, reason } = quarantined;
    let hash = name.as_str().rsplit('-').next().and_then(|hash| hash.get(..16));
    let hash = hash.and_then(|hash| u64::from_str_radix(hash, 16).ok()).unwrap_or(0);
    (*reason as u128) << 112 | u128::from(name.base_ms()) << 64 | u128::from(hash)
}

/// `POST /v1/quarantine/retry`: folds entries again. What still can't be counted stays.
pub(crate) fn retry<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    retry_those(call, None)
}

/// `POST /v1/quarantine/{name}/retry`: the same for one entry.
pub(crate) fn retry_one<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    retry_those(call, Some(name))
}

/// Folds the entry with this name again, or all.
fn retry_those<H: Host>(call: &Call<'_, H>, name: Option<&str>) -> HandlerResult {
    let (host, now) = (call.host, call.now);
    let store = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &store)?;
    let meant = meant(host, &inventory, name)?;
    // The marks of damaged rows go first: a row that is still damaged is found again.
    let rows: Vec<String> =
        inventory.damaged_rows().iter().map(|row| format!("{}{row}", keys::DAMAGED_ROW)).collect();
    journal::delete(host, &store, &rows).map_err(Error::Journal)?;
    let unmarked = inventory.without_damaged_rows();
    let latest = Horizon::from_variables(host)?.latest(now);
    let read = fold_and_read(
        host,
        Span::ALL_TIME,
        now,
        |database| fold::retry(database, &store, &unmarked, &meant, latest),
        |_snapshot| None,
    )?;
    // Listed again, as the retry has counted some of them.
    let quarantined = Inventory::list(host, &store)?.quarantined_readings();
    let coverage = Coverage { quarantined_readings: Some(quarantined), ..read.covered.coverage };
    let body = coverage.record(&call.grant.scopes).with("retried", read.value);
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// The entries to try now. They begin at a random one, so that entries that can't be
/// counted don't hide the others.
fn meant(
    host: &impl Host,
    inventory: &Inventory,
    name: Option<&str>,
) -> Result<Vec<Quarantined>, Problem> {
    let is_meant = |q: &&Quarantined| name.is_none_or(|name| q.name.as_str() == name);
    let meant: Vec<&Quarantined> = inventory.quarantined().iter().filter(is_meant).collect();
    if meant.is_empty() && name.is_some() {
        return Err(Problem::new(Kind::NotFound, "no entry of this name is in quarantine"));
    }
    let count = meant.len().min(limits::RETRIED_AT_ONCE_MAX);
    let first = usize::try_from(host.random() >> 32).unwrap_or(0) % meant.len().max(1);
    Ok(meant.into_iter().cycle().skip(first).take(count).cloned().collect())
}
