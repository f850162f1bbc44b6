//! `GET /v1/conflicts`: readings that contradict a counted one, each beside the
//! reading that stands.

use serde_json::Value as Json;

use crate::api::answer::{Answered, Listing};
use crate::domain::range::Range;
use crate::domain::range::Span;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::{Host, Sql, Value};
use crate::http::parameters::{Parameters, instant, no_such_page, parameters};
use crate::http::representation::{Format, Record, Table};
use crate::http::{Kind, Problem, Refusal, Request};
use crate::ledger::names;
use crate::ledger::{self, Row};
use crate::read::view::fold_and_read;

/// The key of a row in the table `conflicts`: minute, device, ms, region, milli.
type Key = [i64; 5];

/// A contradicting reading, and the one that stands.
struct Conflict {
    key: Key,
    device: String,
    region: String,
    /// Region and thousandths of a degree; `None` once the ledger has forgotten
    /// it.
    standing: Option<(String, i64)>,
}

/// Answers with a page of conflicts, in the order of their times.
pub(crate) fn conflicts(
    host: &impl Host,
    request: &Request,
    now: UnixMillis,
) -> Result<Answered, Refusal> {
    let format = Format::of(request)?;
    let parameters = parameters(request, &["from", "to", "after", "limit"])?;
    let (from, to) = (instant(&parameters, "from")?, instant(&parameters, "to")?);
    let bounds = (from.unwrap_or(UnixMillis::MIN), to.unwrap_or(UnixMillis::MAX));
    let range = Range::covering(bounds.0, bounds.1)
        .ok_or_else(|| Problem::new(Kind::BadParameter, "from must be before to"))?;
    let span = Span { range: Some(range), from, to };
    let (after, limit) = (after(&parameters)?, parameters.limit()?);
    let mut read = fold_and_read(
        host,
        span,
        now,
        |regions| {
            // One more tells whether there is another page.
            let page = regions.read(|sql| select(sql, bounds, after, limit.saturating_add(1)))?;
            Ok((page, regions.read(|sql| ledger::tally(sql, "conflicts"))?))
        },
        |_snapshot| None,
    )?;
    let (page, seen) = &mut read.value;
    let more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().filter(|_| more).map(|conflict| token(conflict.key));
    let rows = page.drain(..).map(cells).collect::<Option<_>>();
    let columns = vec![
        "device_id",
        "timestamp",
        "region",
        "temperature_c",
        "standing_region",
        "standing_temperature_c",
    ];
    let table = Table { columns, rows: rows.ok_or(Error::Corrupt("conflict"))? };
    let listing = Listing {
        list: Some("conflicts"),
        // Those that folds have seen, of which the newest 10,000 are kept.
        about: Record::of([("seen", (*seen).into())]),
        complete: None,
        next: last.map(|last| parameters.next_page("after", &last)),
    };
    Ok(read.shown.answer(request, format, table, listing, now))
}

fn select(
    sql: &impl Sql,
    (from, to): (UnixMillis, UnixMillis),
    after: Key,
    limit: usize,
) -> Result<Vec<Conflict>, Error> {
    let statement = "\
        SELECT c.minute, c.device, c.ms, c.region, c.milli, d.name, r.name \
        FROM conflicts AS c \
             CROSS JOIN devices AS d ON d.id = c.device \
             CROSS JOIN regions AS r ON r.id = c.region \
        WHERE (c.minute, c.ms) >= (?1, ?2) AND (c.minute, c.ms) < (?3, ?4) \
              AND (c.minute, c.device, c.ms, c.region, c.milli) > (?5, ?6, ?7, ?8, ?9) \
        ORDER BY c.minute, c.device, c.ms, c.region, c.milli LIMIT ?10";
    let mut parameters = vec![from.minute(), from.ms_of_minute(), to.minute(), to.ms_of_minute()];
    parameters.extend(after);
    parameters.push(i64::try_from(limit).unwrap_or(i64::MAX));
    let parameters: Vec<Value> = parameters.into_iter().map(Value::Integer).collect();
    let rows = sql.execute(statement, &parameters).map_err(Error::Regions)?;
    let conflicts = rows.into_iter().map(conflict).collect::<Option<_>>();
    let mut conflicts: Vec<Conflict> = conflicts.ok_or(Error::Corrupt("conflict"))?;
    add_standing(sql, &mut conflicts)?;
    Ok(conflicts)
}

/// Adds the readings that stand, as long as the ledger has them.
fn add_standing(sql: &impl Sql, conflicts: &mut [Conflict]) -> Result<(), Error> {
    let place = |conflict: &Conflict| {
        let [minute, device, ms, _, _] = conflict.key;
        Some((minute, u64::try_from(device).ok()?, u64::try_from(ms).ok()?))
    };
    let places: Option<Vec<_>> = conflicts.iter().map(place).collect();
    let places = places.ok_or(Error::Corrupt("conflict"))?;
    let wanted: Vec<_> =
        places.iter().map(|&(minute, device, ms)| ledger::key_at(minute, device, ms)).collect();
    let rows = ledger::load(sql, &wanted)?;
    let standing: Vec<Option<&Row>> = places
        .iter()
        .map(|&(minute, device, ms)| ledger::find(&rows, minute, device, ms))
        .collect();
    let regions = names::of(sql, "regions", standing.iter().flatten().map(|row| row.region))?;
    for (conflict, standing) in conflicts.iter_mut().zip(standing) {
        let Some(row) = standing else { continue };
        let region = regions.get(row.region).ok_or(Error::Corrupt("conflict"))?;
        conflict.standing = Some((region.to_owned(), i64::from(row.milli)));
    }
    Ok(())
}

fn conflict(row: Vec<Value>) -> Option<Conflict> {
    let (key, names) = row.split_first_chunk::<5>()?;
    let key = ledger::integers(key)?;
    let [Value::Text(device), Value::Text(region)] = names else { return None };
    Some(Conflict { key, device: device.clone(), region: region.clone(), standing: None })
}

/// The columns of the answer.
fn cells(conflict: Conflict) -> Option<Vec<Json>> {
    let [minute, _device, ms, _region, milli] = conflict.key;
    let (standing_region, standing) = match conflict.standing {
        Some((region, milli)) => (Some(region), Some(MilliCelsius::new(milli)?.to_celsius())),
        None => (None, None),
    };
    Some(vec![
        conflict.device.into(),
        UnixMillis::from_minute(minute, ms)?.into(),
        conflict.region.into(),
        MilliCelsius::new(milli)?.to_celsius().into(),
        standing_region.into(),
        standing.into(),
    ])
}

/// Before all keys.
const BEGINNING: Key = [-1, 0, 0, 0, 0];

/// A key as the parameter `after`.
fn token(key: Key) -> String {
    key.map(|number| number.to_string()).join(".")
}

fn after(parameters: &Parameters<'_>) -> Result<Key, Problem> {
    let Some(text) = parameters.get("after") else { return Ok(BEGINNING) };
    let numbers: Option<Vec<i64>> = text.split('.').map(|part| part.parse().ok()).collect();
    let key = numbers.and_then(|numbers| Key::try_from(numbers).ok());
    key.ok_or_else(no_such_page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_token() {
        for key in [BEGINNING, [28_333_333, 5, 59_999, 2, -273_150]] {
            let token = token(key);
            let parameters = Parameters::from_pairs(&[("after", &token)]);
            assert_eq!(after(&parameters).ok(), Some(key));
        }
        for bad in ["", "1.2.3.4", "1.2.3.4.5.6", "a.b.c.d.e"] {
            assert!(after(&Parameters::from_pairs(&[("after", bad)])).is_err(), "{bad}");
        }
    }
}
