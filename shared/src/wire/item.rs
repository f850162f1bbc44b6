//! An item of a body, and the checks of its fields, whatever format it came in.

use std::borrow::Cow;

use crate::domain::decimal::{Decimal, Rounding};
use crate::domain::reading::{DeviceId, MilliCelsius, Reading, Region, Seems, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::limits;

/// One item of a request: a reading, or why it was rejected.
pub(crate) type Item<'a> = Result<Reading<'a>, Rejection>;

/// What a body holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    pub(crate) items: Vec<Item<'a>>,
    /// Fields that were ignored, each once, in the order of their names; at most
    /// `limits::FIELDS_NAMED_MAX`.
    pub(crate) ignored: Vec<&'a str>,
}

impl<'a> Parsed<'a> {
    /// Notes an ignored field.
    pub(crate) fn ignore(&mut self, name: &'a str) {
        if let Err(place) = self.ignored.binary_search(&name)
            && self.ignored.len() < limits::FIELDS_NAMED_MAX
        {
            self.ignored.insert(place, name);
        }
    }
}

/// First words of fields that can't change what a temperature means: other quantities of
/// the same device, its radio, and what it is. A field with one of them, alone or before a
/// `_`, is ignored. Others are refused: `unit` or `offset` would change the number, `channel`
/// or `probe` what was measured, and a field that is not known may.
const HARMLESS: [&str; 28] = [
    "altitude",
    "battery",
    "co2",
    "comment",
    "firmware",
    "fw",
    "gateway",
    "heap",
    "humidity",
    "illuminance",
    "ip",
    "lat",
    "latitude",
    "lon",
    "longitude",
    "linkquality",
    "lqi",
    "lux",
    "mac",
    "model",
    "pressure",
    "rssi",
    "snr",
    "uptime",
    "version",
    "voc",
    "voltage",
    "wifi",
];

/// Whether a field can't change what the reading means.
pub(crate) fn is_harmless(name: &str) -> bool {
    let first = name.split('_').next().unwrap_or_default();
    HARMLESS.iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// The rejection of an item with these fields, at least one, and so many more.
pub(crate) fn unknown_fields(names: &[String], more: usize) -> Rejection {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let detail = format!(
        "unknown fields: {}{more}. A reading has device_id, region, temperature_c and timestamp; other \
         quantities such as humidity, battery or rssi are ignored",
        names.join(", ")
    );
    Rejection::new(Reason::UnknownField, detail)
}

/// The rejection of an item without these fields, at least one.
pub(crate) fn missing_fields(names: &[&str]) -> Rejection {
    let verb = if names.len() == 1 { "is" } else { "are" };
    Rejection::new(Reason::MissingField, format!("{} {verb} missing", names.join(", ")))
}

/// The same rejection, if it is that of an item that can't be read, with the number of the
/// body's line where the item begins, from 1.
pub(crate) fn at_line(rejection: Rejection, line: usize) -> Rejection {
    if rejection.reason != Reason::Malformed {
        return rejection;
    }
    let detail = format!("line {line}: {}", rejection.detail).into();
    Rejection { detail, ..rejection }
}

/// A body's text without a byte order mark before it (RFC 8259, 8.1, allows to skip it).
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// A body as text. A leading byte order mark is skipped. What ends within a letter is cut short.
pub(crate) fn text(body: &[u8]) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|e| match e.error_len() {
        Some(_) => Unreadable::Syntax(format!("UTF-8 at byte {}", e.valid_up_to())),
        None => Unreadable::CutShort(body.len()),
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Why a body could not be split into items. None of it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Nothing but space.
    Empty,
    /// Not UTF-8, or not JSON; says where.
    Syntax(String),
    /// It ends, after so many bytes, before what it has begun.
    CutShort(usize),
    /// JSON, but neither an object nor an array.
    Shape,
    /// Readable, but its rows or records can't be: says why, in a sentence without its full
    /// stop.
    Refused(String),
    /// More items than `limits::READINGS_PER_REQUEST_MAX`.
    TooMany,
}

pub(crate) const NAME_RULE: &str =
    "names are 1 to 64 of A-Z a-z 0-9 . _ : -, and not . or .. alone";

/// A device's name.
pub(crate) fn device_id(name: Cow<'_, str>) -> Result<DeviceId<'_>, Rejection> {
    DeviceId::new(name).ok_or_else(|| Rejection::new(Reason::InvalidDeviceId, NAME_RULE))
}

/// A region's name.
pub(crate) fn region(name: Cow<'_, str>) -> Result<Region<'_>, Rejection> {
    Region::new(name).ok_or_else(|| Rejection::new(Reason::InvalidRegion, NAME_RULE))
}

/// A reading's names. If neither is valid, the rejection is that of the device, and says what
/// is wrong with both.
pub(crate) fn both_names<'a>(
    device_id: Result<DeviceId<'a>, Rejection>,
    region: Result<Region<'a>, Rejection>,
) -> Result<(DeviceId<'a>, Region<'a>), Rejection> {
    match (device_id, region) {
        (Ok(device_id), Ok(region)) => Ok((device_id, region)),
        (Err(one), Ok(_)) | (Ok(_), Err(one)) => Err(one),
        (Err(of_device), Err(of_region)) => {
            let both = (of_device.reason, of_region.reason);
            let detail = match both {
                (Reason::InvalidDeviceId, Reason::InvalidRegion) => {
                    format!("device_id and region: {NAME_RULE}")
                }
                (Reason::InvalidDeviceId, _) => {
                    format!("device_id: {NAME_RULE}; {}", of_region.detail)
                }
                (_, Reason::InvalidRegion) => format!("{}; region: {NAME_RULE}", of_device.detail),
                _ => format!("{}; {}", of_device.detail, of_region.detail),
            };
            Err(Rejection::new(of_device.reason, detail))
        }
    }
}

/// A temperature in degrees Celsius, written as a number.
pub(crate) fn temperature(raw: &str) -> Result<MilliCelsius, Rejection> {
    let Some(number) = Decimal::parse(raw) else {
        let has_comma = || Decimal::parse(&raw.trim_matches('"').replacen(',', ".", 1)).is_some();
        let detail = match raw.contains(',') && has_comma() {
            true => "temperature_c must be a number with a point, like 4.5, and without quotes",
            false => "temperature_c must be a number, in degrees Celsius",
        };
        return Err(Rejection::new(Reason::WrongType, detail));
    };
    millicelsius(number)
}

/// A temperature in degrees Celsius, rounded to a thousandth.
pub(crate) fn millicelsius(celsius: Decimal<'_>) -> Result<MilliCelsius, Rejection> {
    let scaled = celsius.scaled(3, Rounding::HalfAwayFromZero);
    scaled.and_then(MilliCelsius::new).ok_or_else(out_of_range)
}

/// The rejection of a temperature that can't be one.
pub(crate) fn out_of_range() -> Rejection {
    let detail = "temperature_c must be from -273.15 to 1000 degrees Celsius";
    Rejection::new(Reason::TemperatureOutOfRange, detail)
}

/// A time in RFC 3339.
pub(crate) fn timestamp_of_text(text: &str) -> Result<UnixMillis, Rejection> {
    UnixMillis::parse_rfc3339(text).ok_or_else(|| {
        let detail = match Decimal::parse(text) {
            Some(_) => "timestamp is a number in quotes; send Unix milliseconds without them",
            None => "timestamp must be like 2026-11-22T10:00:00Z, from 1970 to 9999",
        };
        Rejection::new(Reason::InvalidTimestamp, detail)
    })
}

/// A time in Unix milliseconds, written as a number.
pub(crate) fn timestamp_of_number(raw: &str) -> Result<UnixMillis, Rejection> {
    let Some(number) = Decimal::parse(raw) else {
        let detail = "timestamp must be Unix milliseconds or an RFC 3339 string";
        return Err(Rejection::new(Reason::WrongType, detail));
    };
    let millis = number.scaled(0, Rounding::TowardZero);
    // What most senders send is decided by one comparison.
    if millis.is_none_or(|millis| millis >= FINER_FROM)
        && let Some(detail) = finer_than_milliseconds(number)
    {
        return Err(Rejection::new(Reason::InvalidTimestamp, detail));
    }
    match millis.and_then(UnixMillis::new) {
        Some(instant) => match instant.seems() {
            Seems::Milliseconds => Ok(instant),
            Seems::Seconds => Err(Rejection::new(
                Reason::TimestampInSeconds,
                "timestamp looks like seconds; send Unix milliseconds",
            )),
            Seems::Uptime => Err(Rejection::new(
                Reason::InvalidTimestamp,
                "timestamp looks like a time since the device's start; send Unix milliseconds",
            )),
        },
        None => {
            let detail = "timestamp must be Unix milliseconds from 1970 to 9999";
            Err(Rejection::new(Reason::InvalidTimestamp, detail))
        }
    }
}

/// A time in Unix milliseconds that seems to be nothing else.
pub(crate) fn plain_timestamp(millis: i64) -> Option<UnixMillis> {
    let instant = UnixMillis::new(millis)?;
    (instant.seems() == Seems::Milliseconds && millis < FINER_FROM).then_some(instant)
}

/// From here on a number is micro- or nanoseconds: as milliseconds it is after June 2128.
const FINER_FROM: i64 = 5_000_000_000_000;

/// What to send in the place of a number that is no Unix milliseconds, but micro- or
/// nanoseconds: as milliseconds it would be after the year 2128.
fn finer_than_milliseconds(number: Decimal<'_>) -> Option<&'static str> {
    // Nanoseconds have 19 digits, one more than is scaled.
    match number.scaled(-3, Rounding::TowardZero)? {
        5_000_000_000..5_000_000_000_000 => {
            Some("timestamp looks like microseconds; send Unix milliseconds")
        }
        5_000_000_000_000..10_000_000_000_000_000 => {
            Some("timestamp looks like nanoseconds; send Unix milliseconds")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_change_a_temperature_is_harmless_and_nothing_else_is() {
        for name in ["humidity", "battery", "Battery_level", "rssi", "RSSI_dBm", "co2_ppm", "lat"] {
            assert!(is_harmless(name), "{name}");
        }
        for name in [
            "",
            "unit",
            "units",
            "scale",
            "offset",
            "temperature",
            "temperature_f",
            "temp",
            "probe",
            "channel",
            "sensor",
            "humidityoffset",
            "latency",
            "quality",
            "calibrated",
            "time",
            "_",
        ] {
            assert!(!is_harmless(name), "{name}");
        }
    }
    #[test]
    fn micro_and_nanoseconds_are_named() {
        let said = |raw: &str| timestamp_of_number(raw).map_err(|r| (r.reason, r.detail));
        for (raw, hint) in [
            ("1795597745284000", "microseconds"),
            ("1795597745284000.5", "microseconds"),
            ("1.795597745284e15", "microseconds"),
            ("5000000000000", "microseconds"),
            ("4999999999999999", "microseconds"),
            ("1795597745284000000", "nanoseconds"),
            ("5000000000000000", "nanoseconds"),
            ("9223372036854775807", "nanoseconds"),
            ("10000000000000000000", "from 1970 to 9999"),
            ("1e300", "from 1970 to 9999"),
            ("-1795597745284000", "from 1970 to 9999"),
        ] {
            let (reason, detail) = said(raw).unwrap_err();
            assert_eq!(reason, Reason::InvalidTimestamp, "{raw}");
            assert!(detail.contains(hint), "{raw}: {detail}");
        }
        let last = UnixMillis::new(4_999_999_999_999).unwrap();
        assert_eq!(said("4999999999999"), Ok(last));
        assert_eq!(said("4999999999999.999"), Ok(last));
    }
}
