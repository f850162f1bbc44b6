//! The fields of the body of a correction.

use crate::domain::reading::{DeviceId, MilliCelsius, Region, UnixMillis};
use crate::domain::rejection::Rejection;
use crate::http::{Kind, Problem, Refusal};
use crate::limits;
use crate::wire::item;
use crate::wire::json_fields::unquoted;
use crate::wire::object::Object;

/// The fields of a body.
pub(super) const FIELDS: &[&str] = &[
    "device_id",
    "timestamp",
    "expect_c",
    "expect_region",
    "temperature_c",
    "region",
    "reason",
    "rename",
    "withdraw",
    "from",
];

pub(super) fn invalid(detail: impl core::convert::Into<String>) -> Refusal {
    Problem::new(Kind::InvalidBody, detail.into()).into()
}

pub(super) fn rejected(rejection: Rejection) -> Refusal {
    Problem::new(Kind::InvalidBody, rejection.detail).into()
}

pub(super) fn reason(body: &Object<'_>) -> Result<String, Refusal> {
    let text = body.text("reason").map_err(invalid)?.unwrap_or_default();
    let is_fine = !text.trim().is_empty()
        && text.len() <= limits::REASON_BYTES_MAX
        && !text.chars().any(char::is_control);
    if !is_fine {
        let most = limits::REASON_BYTES_MAX;
        return Err(invalid(format!(
            "reason must say why, in at most {most} bytes without line breaks"
        )));
    }
    Ok(text.into_owned())
}

pub(super) fn device<'a>(body: &Object<'a>) -> Result<Option<DeviceId<'a>>, Refusal> {
    let name = body.text("device_id").map_err(invalid)?;
    name.map(|name| item::device_id(name).map_err(rejected)).transpose()
}

/// The region in this field, if there is one.
pub(super) fn region<'a>(body: &Object<'a>, field: &str) -> Result<Option<Region<'a>>, Refusal> {
    let name = body.text(field).map_err(invalid)?;
    let refused = |rejection: Rejection| invalid(rejection.detail.replace("region", field));
    name.map(|name| item::region(name).map_err(refused)).transpose()
}

/// A temperature, or `null`. It must be there.
pub(super) fn celsius(body: &Object<'_>, name: &str) -> Result<Option<MilliCelsius>, Refusal> {
    match body.raw(name) {
        None => Err(invalid(format!("{name} is missing: a number in degrees Celsius, or null"))),
        Some("null") => Ok(None),
        Some(raw) => item::temperature(raw)
            .map(Some)
            .map_err(|rejection| invalid(rejection.detail.replace("temperature_c", name))),
    }
}

pub(super) fn timestamp(body: &Object<'_>) -> Result<UnixMillis, Refusal> {
    let Some(raw) = body.value("timestamp") else { return Err(invalid("timestamp is missing")) };
    let at = match unquoted(raw) {
        Some(text) => item::timestamp_of_text(&text),
        None => item::timestamp_of_number(raw),
    };
    at.map_err(rejected)
}
