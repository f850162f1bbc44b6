//! `GET /v1/quarantine`: what was acknowledged and could not be counted; and the way
//! back.

use http::StatusCode;

use crate::base::order;
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::fold;
use crate::host::Host;
use crate::http::parameters::{decoded, no_such_page, parameters};
use crate::http::representation::{Document, Format, Record, Table};
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::journal::{self, Quarantined};
use crate::limits;
use crate::read::view::{Coverage, fold_and_read};
use crate::settings::Horizon;

/// Answers with a page of the entries, in the order of their keys.
pub(crate) fn list(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Response, Refusal> {
    let format = Format::of(request)?;
    let parameters = parameters(request, &["after"])?;
    let store = host.key_value().map_err(Error::Journal)?;
    let mut quarantined = Inventory::list(host, &store)?.quarantined;
    if let Some(after) = parameters.get("after") {
        let after = Quarantined::from_key(&format!("{}{after}", keys::QUARANTINE));
        let after = place(&after.ok_or_else(no_such_page)?);
        quarantined.retain(|q| place(q) > after);
    }
    order::sort_by_key(&mut quarantined, place);
    let row = |q: &Quarantined| {
        vec![
            q.name.as_str().into(),
            q.reason.code().into(),
            q.name.readings().into(),
            q.name.bytes().into(),
        ]
    };
    let listed = quarantined.iter().take(limits::QUARANTINED_LISTED_MAX);
    let rows: Vec<_> = listed.map(row).collect();
    // Further entries that the answer does not name.
    let omitted = quarantined.len() - rows.len();
    let last = rows.len().checked_sub(1).filter(|_| omitted > 0);
    let last = last.and_then(|last| quarantined.get(last));
    let document = Document {
        list: Some("entries"),
        table: Table { columns: vec!["name", "reason", "readings", "bytes"], rows },
        about: Record::default(),
        coverage: Record::of([("entries_omitted", omitted.into()), ("as_of", now.into())]),
        next: last.map(|last| {
            let after = format!("{}/{}", last.reason.code(), last.name.as_str());
            parameters.next_page("after", &after)
        }),
    };
    Ok(document.into_response(request, format))
}

/// Where an entry is among the others: by its reason, its time and the begin of its hash,
/// which no two share but by a chance of 2⁻⁶⁴.
fn place(quarantined: &Quarantined) -> u128 {
    let Quarantined { name, reason } = quarantined;
    let hash = name.as_str().rsplit('-').next().and_then(|hash| hash.get(..16));
    let hash = hash.and_then(|hash| u64::from_str_radix(hash, 16).ok()).unwrap_or(0);
    (*reason as u128) << 112 | u128::from(name.base_ms()) << 64 | u128::from(hash)
}

/// `POST /v1/quarantine/{name}/retry`, or without a name of all: folds entries again. What
/// still can't be counted stays.
pub(crate) fn retry<H: Host>(
    host: &H,
    request: &Request,
    encoded: Option<&str>,
    now: UnixMillis,
) -> Result<Response, Refusal> {
    parameters(request, &[])?;
    let store = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &store)?;
    let name = encoded.map(|encoded| decoded(encoded).unwrap_or_default());
    let is_meant = |q: &&Quarantined| name.as_deref().is_none_or(|name| q.name.as_str() == name);
    let meant: Vec<&Quarantined> = inventory.quarantined.iter().filter(is_meant).collect();
    if meant.is_empty() && name.is_some() {
        let detail = "no entry of this name is in quarantine";
        return Err(Problem::new(Kind::NotFound, detail).into());
    }
    // Those that can't be counted must not hide those that can: each has its turn.
    let count = meant.len().min(limits::RETRIED_AT_ONCE_MAX);
    let first = usize::try_from(host.random() >> 32).unwrap_or(0) % meant.len().max(1);
    let meant: Vec<Quarantined> =
        meant.into_iter().cycle().skip(first).take(count).cloned().collect();
    // A row that is still damaged is found again.
    let rows: Vec<String> =
        inventory.damaged_rows.iter().map(|row| format!("{}{row}", keys::DAMAGED_ROW)).collect();
    journal::delete(host, &store, &rows).map_err(Error::Journal)?;
    let unmarked = Inventory { damaged_rows: Vec::new(), ..inventory };
    let latest = Horizon::from_variables(host)?.latest(now);
    let read = fold_and_read(
        host,
        Span::ALL_TIME,
        now,
        |regions| fold::retry(regions, &store, &unmarked, &meant, latest),
        |_snapshot| None,
    )?;
    // What was in quarantine before is counted, or not.
    let quarantined = Inventory::list(host, &store)?.quarantined_readings();
    let coverage = Coverage { quarantined_readings: Some(quarantined), ..read.shown.coverage };
    let body = coverage.record().with("retried", read.value);
    Ok(Response::json(StatusCode::OK, &body))
}
