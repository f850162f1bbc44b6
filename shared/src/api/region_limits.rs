//! `GET`, `PUT` and `DELETE` of `/v1/regions/{region}/limits`: between what a region's
//! temperatures should be, and can be.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::domain::decimal::{Decimal, Rounding};
use crate::domain::duration::{duration_text, parse_duration_ms};
use crate::domain::excursion::Limits;
use crate::domain::plausible::Plausible;
use crate::domain::range::Span;
use crate::domain::reading::{MilliCelsius, Region};
use crate::error::Error;
use crate::host::Host;
use crate::http::document::Table;
use crate::http::path::unknown_region;
use crate::http::{Kind, Problem};
use crate::ledger::database::Database;
use crate::ledger::dictionary;
use crate::ledger::region_limits::{self, RegionLimits};
use crate::limits;
use crate::read::fresh::{Fresh, fold_and_read};
use crate::upkeep;
use crate::wire::object::Object;

/// The name that a region has, and its limits, if some were ever set; `None` for an unknown
/// region.
type Found = Option<(String, Option<RegionLimits>)>;

/// `GET`: what is set.
pub(crate) fn read<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    answer(call, region, None)
}

/// `PUT`: sets the limits in the body, in the place of what was set.
pub(crate) fn put<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    let wanted =
        parsed(&call.object(&FIELDS)?).map_err(|detail| Problem::new(Kind::InvalidBody, detail))?;
    answer(call, region, Some(wanted))
}

/// `DELETE`: sets none.
pub(crate) fn delete<H: Host>(call: &Call<'_, H>, region: &Region<'_>) -> HandlerResult {
    answer(call, region, Some((Limits::default(), Plausible::default())))
}

/// Sets the limits, if there are new ones, and answers with what is set.
fn answer<H: Host>(
    call: &Call<'_, H>,
    region: &Region<'_>,
    wanted: Option<(Limits, Plausible)>,
) -> HandlerResult {
    let name = region.as_str();
    let Fresh { value, covered } = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| match wanted {
            Some((limits, plausible)) => set(call, database, name, limits, plausible),
            None => found(database, name),
        },
        |_snapshot| None,
    )?;
    let (name, found) = value.ok_or_else(|| covered.missing(unknown_region()))?;
    Ok(covered.answer(call, table(&name, found), Listing::default()))
}

fn found<H: Host>(database: &Database<'_, H>, region: &str) -> Result<Found, Error> {
    database.read_at_once(|sql| {
        let Some((_, name)) = dictionary::now(sql, "regions", region)? else { return Ok(None) };
        Ok(Some((name, region_limits::of_region(sql, region)?)))
    })
}

/// Sets the limits of a region, if that changes them, and tells `ingest`.
fn set<H: Host>(
    call: &Call<'_, H>,
    database: &Database<'_, H>,
    region: &str,
    limits: Limits,
    plausible: Plausible,
) -> Result<Found, Error> {
    let Some((name, mut set)) = found(database, region)? else { return Ok(None) };
    let before = set.map(|set| (set.limits, set.plausible)).unwrap_or_default();
    if before != (limits, plausible) {
        set = database.transaction(|sql| {
            let others = region_limits::count_plausible(sql, region)?;
            if !plausible.is_none() && others >= limits::PLAUSIBLE_REGIONS_MAX {
                let narrow = "take the plausible limits of another region away";
                return Err(Error::TooMuch { narrow });
            }
            region_limits::set(sql, region, limits, plausible, call.now)?;
            region_limits::of_region(sql, region)
        })?;
    }
    // Also if nothing changed: a request that failed here is sent again.
    let journal = call.host.key_value().map_err(Error::Journal)?;
    upkeep::tell_plausible(database, &journal)?;
    Ok(Some((name, set)))
}

/// The fields of the body.
const FIELDS: [&str; 5] = ["low_c", "high_c", "for", "plausible_low_c", "plausible_high_c"];

/// The limits in a body; if they can't be used, says why.
fn parsed(body: &Object<'_>) -> Result<(Limits, Plausible), String> {
    let limits = Limits {
        low: celsius(body, "low_c")?,
        high: celsius(body, "high_c")?,
        for_ms: match body.text("for")? {
            Some(text) => duration(&text)?,
            None => 0,
        },
    };
    let low = celsius(body, "plausible_low_c")?;
    let plausible = Plausible { low, high: celsius(body, "plausible_high_c")? };
    if limits.is_none() && limits.for_ms > 0 {
        return Err("for needs low_c or high_c".to_owned());
    }
    // What is outside the limits must still be plausible, or nobody would learn of it.
    let in_order = [
        ("plausible_low_c", plausible.low),
        ("low_c", limits.low),
        ("high_c", limits.high),
        ("plausible_high_c", plausible.high),
    ];
    let mut given = in_order.into_iter().filter_map(|(name, limit)| Some((name, limit?)));
    let Some(mut lower) = given.next() else { return Ok((limits, plausible)) };
    for higher in given {
        if lower.1 >= higher.1 {
            return Err(format!("{} must be below {}", lower.0, higher.0));
        }
        lower = higher;
    }
    Ok((limits, plausible))
}

/// A temperature of the body; finer digits than thousandths are rounded.
fn celsius(body: &Object<'_>, name: &str) -> Result<Option<MilliCelsius>, String> {
    let Some(raw) = body.value(name) else { return Ok(None) };
    let milli = Decimal::parse(raw).and_then(|number| number.scaled(3, Rounding::HalfAwayFromZero));
    match milli.and_then(MilliCelsius::new) {
        Some(temperature) => Ok(Some(temperature)),
        None => Err(format!("{name} must be a number from -273.15 to 1000, or null")),
    }
}

fn duration(text: &str) -> Result<i64, String> {
    let within = |ms: &i64| *ms <= limits::EXCURSION_FOR_MS_MAX;
    parse_duration_ms(text).filter(within).ok_or_else(|| {
        "for must be 0 or a number with ms, s, m, h or d behind it, at most 7d, like \"20m\""
            .to_owned()
    })
}

/// The row of the answer.
fn table(region: &str, set: Option<RegionLimits>) -> Table {
    let celsius = |limit: Option<MilliCelsius>| Value::from(limit.map(MilliCelsius::to_celsius));
    let limits = set.map(|set| set.limits).unwrap_or_default();
    let plausible = set.map(|set| set.plausible).unwrap_or_default();
    let row = vec![
        region.into(),
        celsius(limits.low),
        celsius(limits.high),
        (!limits.is_none()).then(|| duration_text(limits.for_ms)).into(),
        celsius(plausible.low),
        celsius(plausible.high),
        set.map(|set| set.changed).into(),
        set.map_or(0, |set| set.revision).into(),
    ];
    let columns = [&["region"], &FIELDS[..], &["changed", "revision"]].concat();
    Table { columns, rows: vec![row] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(body: &str) -> String {
        let object = Object::parse(body.as_bytes(), &FIELDS);
        match object.and_then(|object| parsed(&object)) {
            Ok((limits, plausible)) => {
                let milli = |limit: Option<MilliCelsius>| limit.map(MilliCelsius::get);
                let all = [limits.low, limits.high, plausible.low, plausible.high].map(milli);
                format!("{all:?} {}", limits.for_ms)
            }
            Err(detail) => detail,
        }
    }

    #[test]
    fn limits_are_read_exactly_and_must_be_in_order() {
        for (body, expected) in [
            ("{}", "[None, None, None, None] 0"),
            (
                r#"{"low_c":-25,"high_c":-18,"for":"20m","plausible_low_c":-60,"plausible_high_c":60}"#,
                "[Some(-25000), Some(-18000), Some(-60000), Some(60000)] 1200000",
            ),
            (r#"{"high_c":8.0005,"for":null}"#, "[None, Some(8001), None, None] 0"),
            (r#"{"low_c":2,"high_c":2}"#, "low_c must be below high_c"),
            (r#"{"low_c":2,"plausible_low_c":2}"#, "plausible_low_c must be below low_c"),
            (r#"{"high_c":2,"plausible_high_c":1}"#, "high_c must be below plausible_high_c"),
            (
                r#"{"plausible_low_c":2,"plausible_high_c":1}"#,
                "plausible_low_c must be below plausible_high_c",
            ),
            (r#"{"low_c":"2"}"#, "low_c must be a number from -273.15 to 1000, or null"),
            (r#"{"low_c":-273.16}"#, "low_c must be a number from -273.15 to 1000, or null"),
            (r#"{"high_c":1e4}"#, "high_c must be a number from -273.15 to 1000, or null"),
            (r#"{"for":"20m"}"#, "for needs low_c or high_c"),
        ] {
            assert_eq!(line(body), expected, "{body}");
        }
        assert_eq!(line(r#"{"low_c":1,"for":"7d"}"#), "[Some(1000), None, None, None] 604800000");
        for wrong in [r#""8d""#, r#""20""#, r#""-1m""#] {
            let body = format!("{{\"low_c\":1,\"for\":{wrong}}}");
            assert!(line(&body).starts_with("for must be 0 or"), "{body}");
        }
        assert_eq!(line(r#"{"low_c":1,"for":20}"#), "for must be a string");
    }
}
