//! Corrections of all readings of a device or a region: renames, merges or withdraws it.

use http::StatusCode;

use super::body::{device, invalid, region, rejected};
use super::by;
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::domain::correction::Cause;
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Host, Sql};
use crate::http::document::Fields;
use crate::http::{Kind, Problem, Response};
use crate::ledger::database::{Budget, Database};
use crate::ledger::dictionary;
use crate::ledger::renaming::{self, Renaming};
use crate::ledger::whole::{self, Progress, Task, Whole};
use crate::limits;
use crate::read::fresh::fold_and_read;
use crate::upkeep;
use crate::wire::item;
use crate::wire::json_fields::unquoted;
use crate::wire::object::Object;

/// Renames, merges or withdraws a device or a region. A merge and a withdrawal are done in
/// steps: the answer says from where to go on.
pub(super) fn correct_all<H: Host>(
    call: &Call<'_, H>,
    body: &Object<'_>,
    reason: &str,
) -> HandlerResult {
    let (device, region) = (device(body)?, region(body, "region")?);
    let (whole, name) = match (&device, &region) {
        (Some(device), None) => (Whole::Device, device.as_str()),
        (None, Some(region)) => (Whole::Region, region.as_str()),
        _ => return Err(invalid("give either device_id or region")),
    };
    const OF_ONE: [&str; 4] = ["timestamp", "expect_c", "expect_region", "temperature_c"];
    if OF_ONE.iter().any(|field| body.raw(field).is_some()) {
        return Err(invalid(format!("{} go with one reading", OF_ONE.join(", "))));
    }
    let new = match body.text("rename").map_err(invalid)? {
        Some(new) => Some(match whole {
            Whole::Device => item::device_id(new).map_err(rejected)?.as_str().to_owned(),
            Whole::Region => item::region(new).map_err(rejected)?.as_str().to_owned(),
        }),
        None if body.raw("withdraw") == Some("true") => None,
        None => return Err(invalid("rename must be a name, or withdraw true")),
    };
    let from = match body.value("from") {
        Some(raw) => item::timestamp_of_text(&unquoted(raw).unwrap_or_default())
            .map_err(|_rejection| invalid("from must be taken from the answer before"))?
            .minute(),
        None => 0,
    };
    // Folds, so that what waits is corrected, too.
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| database.read(|sql| dictionary::now(sql, whole.table(), name)),
        |_snapshot| None,
    )?;
    let (id, own) = read.value.ok_or_else(|| {
        let detail = "unknown name: no reading of it has been counted";
        read.covered.missing(Problem::new(Kind::NotFound, detail))
    })?;
    // A name that it had before can be its name again.
    if own == name && new.as_deref() == Some(name) {
        return Err(invalid("rename is the name that it has"));
    }
    let cause = Cause { made: call.now, reason, by: by(call) };
    let database = Database::open(call.host, Budget::waiting(limits::WAIT_MS_DEFAULT))?;
    let (action, progress) =
        database.transaction(|sql| step(sql, whole, id, new.as_deref(), from, cause))?;
    if whole == Whole::Region && action != "withdrawn" {
        // What is plausible is known to `ingest` by names.
        let journal = call.host.key_value().map_err(Error::Journal)?;
        upkeep::tell_plausible(&database, &journal)?;
    }
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
    id: u64,
    new: Option<&str>,
    from: i64,
    cause: Cause<'_>,
) -> Result<Done, Error> {
    let task = |into| Task { whole, id, into, cause };
    let Some(new) = new else {
        return Ok(("withdrawn", whole::correct(sql, &task(None), from)?));
    };
    // It may have been asked for by a name that it had before.
    let names = dictionary::of(sql, whole.table(), [id].into_iter())?;
    let name = names.get(id).ok_or(Error::Corrupt("names"))?;
    if name == new {
        return Ok(("renamed", Progress::default()));
    }
    let renaming = Renaming { whole, name, id, new, cause };
    let other = dictionary::id_of(sql, whole.table(), new)?;
    // A name that it had before is free to be its name again.
    let Some(other) = other.filter(|other| *other != id) else {
        renaming::rename(sql, &renaming)?;
        return Ok(("renamed", Progress::default()));
    };
    let done = whole::correct(sql, &task(Some(other)), from)?;
    if done.next.is_none() {
        renaming::end_merge(sql, &renaming, other)?;
    }
    Ok(("merged", done))
}
