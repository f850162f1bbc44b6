//! `GET /v1/conflicts`: readings that contradict a counted one, each with the counted
//! one.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::base::page::Page;
use crate::domain::range::Span;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::Host;
use crate::http::Problem;
use crate::http::document::{Fields, Table};
use crate::http::params::no_such_page;
use crate::ledger;
use crate::read::conflicts::{BEGINNING, Conflict, ConflictKey, select};
use crate::read::fresh::fold_and_read;

/// Answers with a page of conflicts, sorted by minute, then device.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let (from, to, limit) = (call.params.from, call.params.to, call.params.limit);
    let range = call.params.range(UnixMillis::MIN, UnixMillis::MAX)?;
    let span = Span { range: Some(range), from, to };
    let bounds = (from.unwrap_or(UnixMillis::MIN), to.unwrap_or(UnixMillis::MAX));
    let after = call.params.after().map_or(Ok(BEGINNING), key)?;
    let readable = call.readable();
    let read = fold_and_read(
        call.host,
        span,
        call.now,
        |database| {
            let most = Page::<()>::to_read(limit);
            let conflicts = database.read(|sql| select(sql, &readable, bounds, after, most))?;
            Ok((conflicts, database.read(|sql| ledger::tally(sql, "conflicts"))?))
        },
        |_snapshot| None,
    )?;
    let (conflicts, seen) = read.value;
    let page = Page::of(conflicts, limit);
    let listing = Listing {
        list: Some("conflicts"),
        // All that folds have seen; the newest 10,000 are kept. It is of all regions.
        about: Fields::of([("seen", call.grant.scopes.reads_all().then_some(seen).into())]),
        complete: None,
        next: page.last().map(|last| call.params.next_page(&token(last.key))),
    };
    let rows: Option<_> = page.items.into_iter().map(cells).collect();
    let rows = rows.ok_or(Error::Corrupt("conflict"))?;
    Ok(read.covered.answer(call, Table { columns: COLUMNS.into(), rows }, listing))
}

/// The columns of `cells`.
const COLUMNS: [&str; 6] = [
    "device_id",
    "timestamp",
    "region",
    "temperature_c",
    "standing_region",
    "standing_temperature_c",
];

fn cells(conflict: Conflict) -> Option<Vec<Value>> {
    let [minute, _device, ms, _region, millicelsius] = conflict.key;
    let (standing_region, standing) = match conflict.standing {
        Some((region, millicelsius)) => {
            (Some(region), Some(MilliCelsius::new(millicelsius)?.to_celsius()))
        }
        None => (None, None),
    };
    Some(vec![
        conflict.device.into(),
        UnixMillis::from_minute(minute, ms)?.into(),
        conflict.region.into(),
        MilliCelsius::new(millicelsius)?.to_celsius().into(),
        standing_region.into(),
        standing.into(),
    ])
}

/// A key as a value of the parameter `after`.
fn token(key: ConflictKey) -> String {
    key.map(|number| number.to_string()).join(".")
}

/// The key of a token.
fn key(token: &str) -> Result<ConflictKey, Problem> {
    let numbers: Option<Vec<i64>> = token.split('.').map(|part| part.parse().ok()).collect();
    let key = numbers.and_then(|numbers| ConflictKey::try_from(numbers).ok());
    key.ok_or_else(no_such_page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_token() {
        for written in [BEGINNING, [28_333_333, 5, 59_999, 2, -273_150]] {
            assert_eq!(key(&token(written)).ok(), Some(written));
        }
        for bad in ["", "1.2.3.4", "1.2.3.4.5.6", "a.b.c.d.e"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
