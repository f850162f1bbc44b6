//! Corrections: `GET` and `POST /v1/corrections`.

mod all;
mod body;

use http::StatusCode;
use serde_json::Value;

use self::all::correct_all;
use self::body::{FIELDS, celsius, device, invalid, reason, region, timestamp};
use crate::api::answer::{Answered, HandlerResult, Listing};
use crate::api::call::Call;
use crate::api::names;
use crate::base::digest::hex;
use crate::base::page::Page;
use crate::domain::correction::{Cause, Correction, Fate};
use crate::domain::range::Span;
use crate::domain::reading::{MilliCelsius, Region, UnixMillis};
use crate::error::{Error, best_effort};
use crate::host::Host;
use crate::http::document::{Fields, Table};
use crate::http::params::no_such_page;
use crate::http::{Kind, Problem, Refusal, Response};
use crate::journal::corrections::{self as journaled, Noted};
use crate::journal::door::{self, Door};
use crate::ledger::first_whole_hour;
use crate::read::corrections::{CorrectionKey, Listed, Renaming, renamings, select};
use crate::read::fresh::{Fresh, fold_and_read};
use crate::settings::Horizon;
use crate::upkeep;
use crate::wire::object::Object;

/// The columns of `cells`.
const COLUMNS: [&str; 13] = [
    "id",
    "device_id",
    "timestamp",
    "expect_c",
    "expect_region",
    "temperature_c",
    "region",
    "reason",
    "made",
    "by",
    "state",
    "stands_region",
    "stands_c",
];

fn state(fate: Option<Fate>) -> &'static str {
    match fate {
        Some(Fate::Applied) => "applied",
        Some(Fate::Superseded) => "superseded",
        Some(Fate::Waiting) => "waiting",
        Some(Fate::Conflict) => "conflict",
        None => "too_old",
    }
}

fn cells(one: &Listed) -> Option<Vec<Value>> {
    let ([minute, _, ms], hash) = &one.key;
    let celsius = |millicelsius: Option<i64>| match millicelsius {
        Some(millicelsius) => Some(Value::from(MilliCelsius::new(millicelsius)?.to_celsius())),
        None => Some(Value::Null),
    };
    let stands = one.stands.as_ref();
    Some(vec![
        hex(hash).into(),
        one.device.as_str().into(),
        UnixMillis::from_minute(*minute, *ms)?.into(),
        celsius(one.expected)?,
        one.expected_region.as_deref().into(),
        celsius(one.millicelsius)?,
        one.region.as_deref().into(),
        one.reason.as_str().into(),
        UnixMillis::new(one.made)?.into(),
        one.by.as_deref().into(),
        state(one.fate).into(),
        stands.map(|(region, _)| region.as_str()).into(),
        celsius(stands.and_then(|(_, millicelsius)| *millicelsius))?,
    ])
}

/// A renaming or a merge, as JSON.
fn renamed(one: &Renaming) -> Value {
    let what = if one.kind == "devices" { "device_id" } else { "region" };
    let record = [
        (what, one.name.as_str().into()),
        ("into", one.new.as_str().into()),
        ("merged", one.is_merged.into()),
        ("made", one.made.into()),
        ("by", one.by.as_deref().into()),
        ("reason", one.reason.as_str().into()),
    ];
    Value::Object(record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A key before all others.
const BEGINNING: CorrectionKey = ([-1, 0, 0], Vec::new());

/// `GET /v1/corrections`: a page, sorted by the time of the reading.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let (from, to, limit) = (call.params.from, call.params.to, call.params.limit);
    let range = call.params.range(UnixMillis::MIN, UnixMillis::MAX)?;
    let bounds = (from.unwrap_or(UnixMillis::MIN), to.unwrap_or(UnixMillis::MAX));
    let after = match call.params.after() {
        Some(token) => key(token).ok_or_else(no_such_page)?,
        None => BEGINNING,
    };
    let is_first = call.params.after().is_none();
    let read = fold_and_read(
        call.host,
        Span { range: Some(range), from, to },
        call.now,
        |database| {
            let most = Page::<()>::to_read(limit);
            database.read_at_once(|sql| {
                let all = select(sql, bounds, None, &after, most)?;
                let renamings = is_first.then(|| renamings(sql)).transpose()?;
                Ok((all, renamings))
            })
        },
        |_snapshot| None,
    )?;
    let (all, renamings) = read.value;
    let page = Page::of(all, limit);
    let listing = Listing {
        list: Some("corrections"),
        about: renamings.map_or_else(Fields::default, |all| {
            Fields::of([("renamings", all.iter().map(renamed).collect::<Vec<_>>().into())])
        }),
        complete: None,
        next: page.last().map(|last| call.params.next_page(&token(&last.key))),
    };
    let rows: Option<_> = page.items.iter().map(cells).collect();
    let rows = rows.ok_or(Error::Corrupt("correction"))?;
    Ok(read.covered.answer(call, Table { columns: COLUMNS.into(), rows }, listing))
}

/// A key as a value of the parameter `after`.
fn token(([minute, device, ms], hash): &CorrectionKey) -> String {
    format!("{minute}.{device}.{ms}.{}", hex(hash))
}

/// The key of a token.
fn key(token: &str) -> Option<CorrectionKey> {
    let mut parts = token.split('.');
    let mut number = || parts.next()?.parse().ok();
    let numbers = [number()?, number()?, number()?];
    let text = parts.next().filter(|text| text.len().is_multiple_of(2))?;
    let byte = |index| u8::from_str_radix(text.get(index..index + 2)?, 16).ok();
    let hash = (0..text.len()).step_by(2).map(byte).collect::<Option<_>>()?;
    parts.next().is_none().then_some((numbers, hash))
}

/// `POST /v1/corrections`: corrects one reading; or all readings of a device or a region,
/// step by step.
pub(crate) fn post<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let body = call.object(FIELDS)?;
    let reason = reason(&body)?;
    let is_whole = body.raw("rename").is_some() || body.raw("withdraw").is_some();
    if is_whole { correct_all(call, &body, &reason) } else { single(call, &body, &reason) }
}

/// Corrects one reading: durable in the journal, then folded. While the database is away,
/// the answer is 202.
fn single<H: Host>(call: &Call<'_, H>, body: &Object<'_>, reason: &str) -> HandlerResult {
    if body.raw("from").is_some() {
        return Err(invalid("from goes with rename or withdraw"));
    }
    let correction = Correction {
        device_id: device(body)?.ok_or_else(|| invalid("device_id is missing"))?,
        timestamp: timestamp(body)?,
        expected: celsius(body, "expect_c")?,
        expected_region: region(body, "expect_region")?,
        temperature: celsius(body, "temperature_c")?,
        region: region(body, "region")?,
        reason: reason.into(),
    };
    if correction.temperature.is_none() && correction.region.is_some() {
        return Err(invalid("a reading that is withdrawn has no region"));
    }
    let stays = correction.region.is_none() || correction.region == correction.expected_region;
    if correction.expected == correction.temperature && stays {
        return Err(invalid(
            "temperature_c is expect_c, and no other region is given: nothing changes",
        ));
    }
    let store = call.host.key_value().map_err(Error::Journal)?;
    let door = door::load(call.host, &store).map_err(Error::Journal)?;
    check_age(call, &door, correction.timestamp)?;
    check_names(call, &store, &door, &correction)?;
    let cause = Cause { made: call.now, reason, by: by(call) };
    let noted = Noted::of(&correction, &cause);
    journaled::append(call.host, &store, &noted).map_err(Error::Journal)?;
    // If that fails, they wait: the answer says so.
    best_effort(upkeep::fold_corrections(call.host, call.now));
    let at = correction.timestamp;
    let range = (at, at.saturating_add(1));
    let name = correction.device_id.as_str();
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| {
            database.read_at_once(|sql| select(sql, range, Some(name), &BEGINNING, usize::MAX))
        },
        |_snapshot| None,
    );
    let own = |read: &Fresh<Vec<Listed>>| {
        let found = read.value.iter().find(|one| one.key.1 == noted.hash)?;
        Some((cells(found)?, read.covered.after_answer))
    };
    let mut record = Fields::default();
    let Some((values, after_answer)) = read.ok().as_ref().and_then(own) else {
        record = record.with("ack", "journaled").with("id", hex(&noted.hash));
        return Ok(Response::json(StatusCode::ACCEPTED, &record).into());
    };
    record = record.with("ack", "folded");
    for (name, value) in COLUMNS.into_iter().zip(values) {
        record = record.with(name, value);
    }
    let response = Response::json(StatusCode::OK, &record);
    Ok(Answered { after_answer, ..response.into() })
}

/// The name of the credential that asks for a correction. It is not known without access
/// control.
fn by<'a, H: Host>(call: &'a Call<'_, H>) -> Option<&'a str> {
    call.grant.who()
}

/// Refuses a reading that the ledger does not have any more, or soon will not have.
fn check_age<H: Host>(call: &Call<'_, H>, door: &Door, at: UnixMillis) -> Result<(), Refusal> {
    let horizon = Horizon::from_variables(call.host)?;
    let is_kept = horizon.retention_ms.is_none_or(|ms| at >= call.now.saturating_sub(ms));
    let first = first_whole_hour(door.pruned_before.get());
    if is_kept && at.minute() >= first {
        return Ok(());
    }
    let detail = "the reading is older than retention: single readings of its hour are deleted, \
                  and averages can't be computed anew without them";
    Err(Problem::new(Kind::NotCorrectable, detail).into())
}

/// Refuses a new name where there are as many as may be.
fn check_names<H: Host>(
    call: &Call<'_, H>,
    store: &H::KeyValue,
    door: &Door,
    correction: &Correction<'_>,
) -> Result<(), Refusal> {
    for table in names::full_tables(call.host, door)? {
        let regions = [&correction.expected_region, &correction.region];
        let names: Vec<&str> = match table {
            "regions" => regions.into_iter().flatten().map(Region::as_str).collect(),
            _ => vec![correction.device_id.as_str()],
        };
        let known = names::known(call.host, store, table, &names, call.now);
        if known.is_some_and(|known| known.contains(&false)) {
            return Err(Problem::new(Kind::NotCorrectable, names::refusal(table)).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_token() {
        for written in [BEGINNING, ([28_333_333, 5, 59_999], vec![0, 255, 17])] {
            assert_eq!(key(&token(&written)), Some(written));
        }
        for bad in ["", "1.2.3", "1.2.3.4", "1.2.3.xy", "1.2.3.00.1"] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }
}
