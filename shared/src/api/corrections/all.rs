//! Corrections of all readings of a device or a region: renames, merges or withdraws it.

use http::StatusCode;

use super::body::{device, invalid, region, rejected};
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Host, Sql};
use crate::http::document::Fields;
use crate::http::{Kind, Problem, Response};
use crate::ledger::database::{Budget, Database};
use crate::ledger::dictionary;
use crate::ledger::renaming::{self, Into, Progress, Whole};
use crate::limits;
use crate::read::fresh::fold_and_read;
use crate::wire::item;
use crate::wire::json;
use crate::wire::object::Object;

/// Renames, merges or withdraws a device or a region. A merge and a withdrawal are done in
/// steps: the answer says from where to go on.
pub(super) fn correct_all<H: Host>(
    call: &Call<'_, H>,
    body: &Object<'_>,
    reason: &str,
) -> HandlerResult {
    let (device, region) = (device(body)?, region(body)?);
    let (whole, name) = match (&device, &region) {
        (Some(device), None) => (Whole::Device, device.as_str()),
        (None, Some(region)) => (Whole::Region, region.as_str()),
        _ => return Err(invalid("give either device_id or region")),
    };
    if ["timestamp", "expect_c", "temperature_c"].iter().any(|field| body.raw(field).is_some()) {
        return Err(invalid("timestamp, expect_c and temperature_c go with one reading"));
    }
    let new = match body.text("rename").map_err(invalid)? {
        Some(new) => Some(match whole {
            Whole::Device => item::device_id(new).map_err(rejected)?.as_str().to_owned(),
            Whole::Region => item::region(new).map_err(rejected)?.as_str().to_owned(),
        }),
        None if body.raw("withdraw") == Some("true") => None,
        None => return Err(invalid("rename must be a name, or withdraw true")),
    };
    if new.as_deref() == Some(name) {
        return Err(invalid("rename is the name that it has"));
    }
    let from = match body.value("from") {
        Some(raw) => item::timestamp_of_text(&json::unquoted(raw).unwrap_or_default())
            .map_err(|_rejection| invalid("from must be taken from the answer before"))?
            .minute(),
        None => 0,
    };
    // Folds, so that what waits is corrected, too.
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| database.read(|sql| dictionary::id_of(sql, whole.table(), name)),
        |_snapshot| None,
    )?;
    let id = read.value.ok_or_else(|| {
        let detail = "unknown name: no reading of it has been counted";
        read.covered.missing(Problem::new(Kind::NotFound, detail))
    })?;
    let database = Database::open(call.host, Budget::waiting(limits::WAIT_MS_DEFAULT))?;
    let (action, progress) = database.transaction(|sql| {
        step(sql, whole, (name, id), new.as_deref(), from, (call.now, reason))
    })?;
    let next = progress.next.and_then(|minute| UnixMillis::from_minute(minute, 0));
    let record = Fields::of([
        (action, name.into()),
        ("into", new.into()),
        ("corrected", progress.corrected.into()),
        ("done", next.is_none().into()),
        ("from", next.into()),
    ]);
    Ok(Response::json(StatusCode::OK, &record).into())
}

/// What was done, and how far.
type Done = (&'static str, Progress);

/// A step of correcting all readings of a device or a region.
fn step(
    sql: &impl Sql,
    whole: Whole,
    own: (&str, u64),
    new: Option<&str>,
    from: i64,
    why: (UnixMillis, &str),
) -> Result<Done, Error> {
    let (_, id) = own;
    let Some(new) = new else {
        let done = renaming::correct(sql, whole, id, Into::Nothing, from, why)?;
        return Ok(("withdrawn", done));
    };
    let other = dictionary::id_of(sql, whole.table(), new)?;
    // A name that it had before is free to be its name again.
    let Some(other) = other.filter(|other| *other != id) else {
        renaming::rename(sql, whole, own, new, why)?;
        return Ok(("renamed", Progress::default()));
    };
    let done = renaming::correct(sql, whole, id, Into::Other(new, other), from, why)?;
    if done.next.is_none() {
        renaming::end_merge(sql, whole, own, other, why)?;
    }
    Ok(("merged", done))
}
