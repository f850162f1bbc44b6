//! `GET /v1/quarantine`: what was acknowledged and could not be counted; and the way
//! back.

use http::StatusCode;

use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::fold;
use crate::host::Host;
use crate::http::parameters::{decoded, parameters};
use crate::http::representation::{Document, Format, Record, Table};
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::journal::{self, Quarantined};
use crate::limits;
use crate::read::view::{Coverage, fold_and_read};
use crate::settings::Horizon;

/// Answers with the entries, in the order of their keys.
pub(crate) fn list(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Response, Refusal> {
    let format = Format::of(request)?;
    parameters(request, &[])?;
    let store = host.key_value().map_err(Error::Journal)?;
    let quarantined = Inventory::list(host, &store)?.quarantined;
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
    let document = Document {
        list: Some("entries"),
        table: Table { columns: vec!["name", "reason", "readings", "bytes"], rows },
        about: Record::default(),
        coverage: Record::of([("entries_omitted", omitted.into()), ("as_of", now.into())]),
        next: None,
    };
    Ok(document.into_response(request, format))
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
    let meant: Vec<Quarantined> = inventory
        .quarantined
        .iter()
        .filter(is_meant)
        .take(limits::RETRIED_AT_ONCE_MAX)
        .cloned()
        .collect();
    if meant.is_empty() && name.is_some() {
        let detail = "no entry of this name is in quarantine";
        return Err(Problem::new(Kind::NotFound, detail).into());
    }
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
    let body = coverage.record().with("retried", meant.len());
    Ok(Response::json(StatusCode::OK, &body))
}
