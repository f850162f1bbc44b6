//! `/v1/sources/{source}/devices`: which device and region an id of a source's messages is.

use http::StatusCode;
use serde_json::Value;

use super::manage::{check_known, checked, no_such_source};
use super::table::Added;
use super::{SENML, config, table};
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::api::readings::formats;
use crate::error::Error;
use crate::host::Host;
use crate::http::document::{Document, Fields, Table};
use crate::http::{Header, Kind, Problem, Refusal, Response};
use crate::journal;
use crate::limits;
use crate::sources::devices::{DeviceTable, Row, TableError};

const COLUMNS: [&str; 4] = ["id", "device", "region", "since"];

fn cells(row: &Row) -> Vec<Value> {
    vec![
        row.id.as_str().into(),
        row.device.as_str().into(),
        row.region.as_str().into(),
        row.since.into(),
    ]
}

/// `GET /v1/sources/{source}/devices`: the table.
pub(crate) fn devices<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    check_known(call, name)?;
    let store = call.host.key_value().map_err(Error::Journal)?;
    let stored = table::whole(call.host, &store, name)?;
    answer(call, &stored.table)
}

fn answer<H: Host>(call: &Call<'_, H>, table: &DeviceTable) -> HandlerResult {
    let rows = table.rows().map(cells).collect();
    let document = Document {
        list: Some("devices"),
        table: Table { columns: COLUMNS.to_vec(), rows },
        about: Fields::default(),
        coverage: Fields::default(),
        next: None,
    };
    Ok(document.into_response(call.request, call.format).into())
}

fn invalid(TableError { line, detail }: TableError) -> Problem {
    Problem::new(Kind::InvalidBody, format!("line {line}: {detail}; the table was not changed"))
}

/// How often to try while other requests change the table, too.
const ATTEMPTS: usize = 8;

/// Changes the table of a source, and forgets its unknown devices that are known now.
fn change<H: Host>(
    call: &Call<'_, H>,
    name: &str,
    change: impl Fn(&DeviceTable) -> Result<DeviceTable, Problem>,
) -> Result<DeviceTable, Refusal> {
    let store = store_for(call, name)?;
    for _ in 0..ATTEMPTS {
        let before = table::whole(call.host, &store, name)?;
        let new = change(&before.table)?;
        if table::put(call.host, &store, name, &before, &new)? {
            let is_known = |id: &str| new.row_of(id, call.now).is_some();
            journal::sources::forget_unknown(&store, name, is_known).map_err(Error::Journal)?;
            return Ok(new);
        }
    }
    Err(raced().into())
}

/// The store, with a table of the source that can be changed.
fn store_for<H: Host>(call: &Call<'_, H>, name: &str) -> Result<H::KeyValue, Refusal> {
    // Of devices that send SenML the table is all that has to be known.
    if name != SENML && config::find(call.host, checked(name)?)?.is_none() {
        return Err(no_such_source().into());
    }
    let store = call.host.key_value().map_err(Error::Journal)?;
    table::make(call.host, &store, name)?;
    Ok(store)
}

fn raced() -> Problem {
    let detail = "other requests changed the table at the same time; it was not changed";
    Problem::new(Kind::Contradicting, detail)
}

/// Adds a row to the table of a source, and forgets the unknown devices that it is for. Returns
/// how many rows there are.
fn add<H: Host>(call: &Call<'_, H>, name: &str, row: &Row) -> Result<usize, Refusal> {
    let store = store_for(call, name)?;
    for _ in 0..ATTEMPTS {
        match table::add(call.host, &store, name, row)?.map_err(invalid)? {
            Added::Raced => {}
            Added::HeadIsFull => {
                let with_row = |before: &DeviceTable| before.with(row.clone()).map_err(invalid);
                return Ok(change(call, name, with_row)?.len());
            }
            Added::Rows(count) => {
                let alone = DeviceTable::default().with(row.clone()).map_err(invalid)?;
                let is_known = |id: &str| alone.row_of(id, call.now).is_some();
                journal::sources::forget_unknown(&store, name, is_known).map_err(Error::Journal)?;
                return Ok(count);
            }
        }
    }
    Err(raced().into())
}

/// `PUT /v1/sources/{source}/devices`: puts another table in the place of the one that there
/// is, as CSV or NDJSON.
pub(crate) fn put_devices<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    let sent = formats::inflated(call.request, call.body, limits::TABLE_BODY_BYTES_MAX)?;
    let text = std::str::from_utf8(&sent).map_err(|error| {
        let at = error.valid_up_to();
        Problem::new(Kind::InvalidBody, format!("the table is not valid UTF-8 at byte {at}"))
    })?;
    let media_type = call.request.headers.get(Header::ContentType).unwrap_or_default();
    let new = match media_type.split(';').next().unwrap_or_default().trim() {
        "application/x-ndjson" | "application/jsonl" | "application/ndjson" => {
            DeviceTable::parse_ndjson(text)
        }
        "" | "text/csv" | "application/x-www-form-urlencoded" => DeviceTable::parse_csv(text),
        _ => {
            let detail = "content-type is not supported; send the table as text/csv or \
                          application/x-ndjson";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail).into());
        }
    };
    let new = new.map_err(invalid)?;
    change(call, name, |_before| Ok(new.clone()))?;
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}

/// `POST /v1/sources/{source}/devices`: adopts a device: adds its row, or puts it in the place
/// of the one with the same id and `since`.
pub(crate) fn adopt<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    // One line of NDJSON, and so with the same rules and errors.
    let object = call.object(&COLUMNS)?;
    let fields = COLUMNS.iter().filter_map(|field| {
        Some(format!("\"{field}\":{}", object.raw(field)?.replace(['\n', '\r'], " ")))
    });
    let line = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
    let row = DeviceTable::parse_ndjson(&line)
        .map_err(|error| Problem::new(Kind::InvalidBody, error.detail))?;
    let row = row.rows().next().cloned();
    let row = row.ok_or_else(|| Problem::new(Kind::InvalidBody, "the body has no row"))?;
    let rows = add(call, name, &row)?;
    let body = Fields::of([
        ("id", row.id.as_str().into()),
        ("device", row.device.as_str().into()),
        ("region", row.region.as_str().into()),
        ("since", row.since.into()),
        ("rows", rows.into()),
    ]);
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// `GET /v1/sources/{source}/unknown`: devices that are not in the table, newest first.
pub(crate) fn unknown<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    check_known(call, name)?;
    let store = call.host.key_value().map_err(Error::Journal)?;
    let left = journal::sources::left(&store, name).map_err(Error::Journal)?;
    let one = |unknown: &journal::sources::Unknown| {
        serde_json::json!({
            "id": unknown.id, "temperature_c": unknown.millicelsius as f64 / 1_000.0,
            "timestamp": unknown.at.to_string(), "readings": unknown.readings,
        })
    };
    let rows: Vec<Value> = left.unknown.iter().map(one).collect();
    let body = Fields::of([("devices", rows.into()), ("as_of", call.now.into())]);
    Ok(Response::json(StatusCode::OK, &body).into())
}
