//! Parses the times of a file into instants.

use std::str::FromStr;

use anyhow::{Error, Result, bail};
use isotherm::UnixMillis;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::left_out::{Unusable, Why, echo};
use crate::pattern::Pattern;

/// Smaller numbers are not read as milliseconds unless an option says so: this many
/// milliseconds are in March 1973, this many seconds in the year 5138. The service has
/// the same bound.
const LOOKS_LIKE_SECONDS_BELOW: i64 = 100_000_000_000;

/// The format of the times of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TimeFormat {
    /// The default: ISO 8601 dates, with or without a time of day, and Unix
    /// milliseconds. Ambiguous text is refused.
    #[default]
    Usual,
    /// Seconds since 1970-01-01T00:00:00Z, with or without a fraction.
    UnixSeconds,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    UnixMillis,
    /// RFC 3339, with `T` or a space between date and time.
    Rfc3339,
    /// A pattern.
    Pattern(Pattern),
}

impl FromStr for TimeFormat {
    type Err = Error;

    /// The format that `--time-format` names. An error lists the formats.
    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "unix-seconds" => Self::UnixSeconds,
            "unix-millis" => Self::UnixMillis,
            "rfc3339" => Self::Rfc3339,
            pattern if pattern.contains('%') => Self::Pattern(Pattern::strftime(pattern)?),
            pattern if pattern.contains('[') => Self::Pattern(Pattern::description(pattern)?),
            other => bail!(
                "{other:?} is no time format: there are unix-seconds, unix-millis, rfc3339, and \
                 patterns like '%d.%m.%Y %H:%M' or '[day].[month].[year] [hour]:[minute]'"
            ),
        })
    }
}

impl TimeFormat {
    /// The instant that `text` means; `zone` is for times without one. Digits beyond
    /// milliseconds are dropped.
    pub fn instant(&self, text: &str, zone: Zone) -> Result<UnixMillis, Unusable> {
        let time = match self {
            Self::Usual => return usual(text, zone),
            Self::UnixSeconds => return number(text, 1_000, "seconds"),
            Self::UnixMillis => return number(text, 1, "milliseconds"),
            Self::Rfc3339 => rfc3339(text),
            Self::Pattern(pattern) => pattern.parse(text, zone.0),
        };
        let unlike = || match self {
            Self::Pattern(pattern) => format!("{} is not like {pattern}", echo(text)),
            _ => format!("{} is not RFC 3339, like 2026-11-22T10:00:00Z", echo(text)),
        };
        time.ok_or_else(|| Unusable::new(Why::UnknownTime, unlike()))
            .and_then(|time| in_range(time, text))
    }
}

/// A fixed offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(UtcOffset);

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self(UtcOffset::UTC)
    }
}

impl FromStr for Zone {
    type Err = Error;

    /// The zone that `--zone` names: `UTC`, or an offset like `+01:00`, `+0100` or
    /// `+01`. Any other name is an error.
    fn from_str(text: &str) -> Result<Self> {
        match offset(text) {
            Some((zone, "")) => Ok(Self(zone)),
            _ => bail!(
                "{text:?} is no zone: UTC and fixed offsets like +01:00 are taken, names like \
                 Europe/Zurich are not, as their offset changes with summer time"
            ),
        }
    }
}

/// The offset at the start of `text`, and the rest.
pub(crate) fn offset(text: &str) -> Option<(UtcOffset, &str)> {
    if let Some(rest) = text.strip_prefix("UTC").or_else(|| text.strip_prefix(['Z', 'z'])) {
        return Some((UtcOffset::UTC, rest));
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, rest) = two_digits(rest)?;
    let (minutes, rest) = match rest.strip_prefix(':') {
        Some(rest) => two_digits(rest)?,
        None => two_digits(rest).unwrap_or((0, rest)),
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok().map(|offset| (offset, rest))
}

fn two_digits(text: &str) -> Option<(i8, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    is_digits(digits).then(|| digits.parse().ok()).flatten().map(|number| (number, rest))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn usual(text: &str, zone: Zone) -> Result<UnixMillis, Unusable> {
    if decimal(text).is_some() {
        return usual_number(text);
    }
    match iso(text, zone) {
        Some(time) => in_range(time, text),
        None => Err(unreadable(text)),
    }
}

/// Reads a number as milliseconds, unless it may be something else.
fn usual_number(text: &str) -> Result<UnixMillis, Unusable> {
    let millis = number(text, 1, "milliseconds")?;
    let date = |pattern| Pattern::strftime(pattern).ok()?.parse(text, UtcOffset::UTC);
    let dates = [("%Y%m%d", 8), ("%Y%m%d%H%M", 12), ("%Y%m%d%H%M%S", 14)];
    let of_length = dates.into_iter().find(|(_, n)| text.len() == *n && is_digits(text));
    let like = of_length
        .map(|(pattern, _)| pattern)
        .filter(|pattern| date(pattern).is_some_and(|date| (1970..2100).contains(&date.year())));
    let (why, candidates) = match like {
        None if millis.get() >= LOOKS_LIKE_SECONDS_BELOW => return Ok(millis),
        None => (Why::UnixSeconds, "unix-seconds or unix-millis".to_owned()),
        Some(pattern) if millis.get() < LOOKS_LIKE_SECONDS_BELOW => {
            (Why::AmbiguousTime, format!("'{pattern}', unix-seconds or unix-millis"))
        }
        Some(pattern) => (Why::AmbiguousTime, format!("'{pattern}' or unix-millis")),
    };
    Err(Unusable::new(why, format!("{}: say --time-format {candidates}", echo(text))))
}

/// A number of seconds or milliseconds; `per_unit` is a unit in milliseconds.
fn number(text: &str, per_unit: i64, unit: &str) -> Result<UnixMillis, Unusable> {
    let Some((whole, fraction)) = decimal(text) else {
        let detail = format!("{} is no number of Unix {unit}", echo(text));
        return Err(Unusable::new(Why::UnknownTime, detail));
    };
    let whole: Option<i64> = whole.parse().ok().filter(|_| !text.starts_with('-'));
    let millis = whole.and_then(|whole| whole.checked_mul(per_unit));
    // The first three digits of the fraction, in milliseconds.
    let below = format!("{fraction:0<3.3}").parse::<i64>().unwrap_or(0) * per_unit / 1_000;
    millis.and_then(|millis| UnixMillis::new(millis.checked_add(below)?)).ok_or_else(|| {
        let detail = format!("{}, as Unix {unit}", echo(text));
        Unusable::new(Why::TimeOutOfRange, detail)
    })
}

/// The digits before the point, with their sign, and those after it.
fn decimal(text: &str) -> Option<(&str, &str)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let good = is_digits(whole.strip_prefix('-').unwrap_or(whole)) && is_digits(fraction);
    good.then_some((whole, fraction))
}

/// A date, with or without a time of day, with or without a zone.
fn iso(text: &str, zone: Zone) -> Option<OffsetDateTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else {
        return if rest.is_empty() { complete(date, "00:00", "00", "0", zone.0) } else { None };
    };
    let (clock, mut rest) = rest.split_at_checked(5)?;
    let (mut seconds, mut fraction) = ("00", "0");
    if let Some(more) = rest.strip_prefix(':') {
        (seconds, rest) = more.split_at_checked(2)?;
        if let Some(more) = rest.strip_prefix(['.', ',']) {
            let end = more.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(more.len());
            (fraction, rest) = more.split_at_checked(end)?;
        }
    }
    let offset = match rest.strip_prefix(' ').unwrap_or(rest) {
        "" => zone.0,
        rest => offset(rest).filter(|(_, behind)| behind.is_empty())?.0,
    };
    complete(date, clock, seconds, fraction, offset)
}

/// Parses these parts as RFC 3339, as the service does.
fn complete(
    date: &str,
    clock: &str,
    seconds: &str,
    fraction: &str,
    offset: UtcOffset,
) -> Option<OffsetDateTime> {
    let (hours, minutes, _) = offset.as_hms();
    let sign = if offset.is_negative() { '-' } else { '+' };
    let (hours, minutes) = (hours.unsigned_abs(), minutes.unsigned_abs());
    let text = format!("{date}T{clock}:{seconds}.{fraction}{sign}{hours:02}:{minutes:02}");
    OffsetDateTime::parse(&text, &Rfc3339).ok()
}

fn rfc3339(text: &str) -> Option<OffsetDateTime> {
    match text.split_at_checked(10) {
        Some((date, rest)) if rest.starts_with(' ') => {
            OffsetDateTime::parse(&format!("{date}T{}", rest.trim_start()), &Rfc3339).ok()
        }
        _ => OffsetDateTime::parse(text, &Rfc3339).ok(),
    }
}

fn in_range(time: OffsetDateTime, text: &str) -> Result<UnixMillis, Unusable> {
    let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(millis)
        .ok()
        .and_then(UnixMillis::new)
        .ok_or_else(|| Unusable::new(Why::TimeOutOfRange, echo(text)))
}

/// The error for a text that is none of the usual times.
fn unreadable(text: &str) -> Unusable {
    let (date, clock) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let separator = ['/', '.', '-'].into_iter().find(|separator| date.contains(*separator));
    let parts: Vec<&str> = separator.map(|s| date.split(s).collect()).unwrap_or_default();
    let clock = match clock.matches(':').count() {
        0 => "",
        1 => " %H:%M",
        _ if clock.contains('.') => " %H:%M:%S.%f",
        _ => " %H:%M:%S",
    };
    if let (Some(s), [day, month, year]) = (separator, parts.as_slice())
        && parts.iter().all(|part| is_digits(part))
    {
        if day.len() <= 2 && month.len() <= 2 && matches!(year.len(), 2 | 4) {
            let y = if year.len() == 2 { "%y" } else { "%Y" };
            let (dmy, mdy) = (format!("%d{s}%m{s}{y}{clock}"), format!("%m{s}%d{s}{y}{clock}"));
            let detail = format!("{}: say --time-format '{dmy}' or '{mdy}'", echo(text));
            return Unusable::new(Why::AmbiguousTime, detail);
        }
        if day.len() == 4 && !(s == '-' && month.len() == 2 && year.len() == 2) {
            let detail = format!("{}: say --time-format '%Y{s}%m{s}%d{clock}'", echo(text));
            return Unusable::new(Why::UnknownTime, detail);
        }
    }
    let detail = format!(
        "{} is not like 2026-11-22 10:00 or 2026-11-22T10:00:00+01:00: if it is a time, say \
         --time-format",
        echo(text)
    );
    Unusable::new(Why::UnknownTime, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instant in UTC, or why there is none.
    fn read(text: &str, format: &TimeFormat, zone: &str) -> String {
        let instant = format.instant(text, zone.parse().unwrap());
        instant.map_or_else(|bad| format!("{:?}: {}", bad.why, bad.detail), |t| t.to_string())
    }

    #[test]
    fn usual_times_are_read_without_an_option() {
        for (text, expected) in [
            ("2010-01-01", "2010-01-01T00:00:00.000Z"),
            ("2010-01-01 05:30", "2010-01-01T05:30:00.000Z"),
            ("2010-01-01T05:30:01", "2010-01-01T05:30:01.000Z"),
            ("2010-01-01T05:30:01+02:00", "2010-01-01T03:30:01.000Z"),
            ("2010-01-01 05:30:01+02:00", "2010-01-01T03:30:01.000Z"),
            ("2010-01-01t05:30:01z", "2010-01-01T05:30:01.000Z"),
            // Fractions of a second; str(datetime.now()) has six digits.
            ("2026-11-26 10:00:00.123456", "2026-11-26T10:00:00.123Z"),
            ("2026-11-26 10:00:00,5", "2026-11-26T10:00:00.500Z"),
            ("2026-11-26T10:00:00.5Z", "2026-11-26T10:00:00.500Z"),
            ("2026-11-26T10:00:00.5", "2026-11-26T10:00:00.500Z"),
            ("2026-11-26 10:00:00.123456789012+01:00", "2026-11-26T09:00:00.123Z"),
            // Offsets without a colon, as ISO 8601, git and Ruby write them.
            ("2026-11-26T10:00:00+0100", "2026-11-26T09:00:00.000Z"),
            ("2026-11-26T10:00:00-05", "2026-11-26T15:00:00.000Z"),
            ("2026-11-26 10:00:00 -0530", "2026-11-26T15:30:00.000Z"),
            ("2026-11-26 10:00:00 UTC", "2026-11-26T10:00:00.000Z"),
            ("2026-11-26 10:00+0100", "2026-11-26T09:00:00.000Z"),
            ("1262304000000", "2010-01-01T00:00:00.000Z"),
            ("1262304000000.0", "2010-01-01T00:00:00.000Z"),
            ("1970-01-01 00:00:00", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(read(text, &TimeFormat::Usual, "UTC"), expected, "{text}");
        }
    }

    #[test]
    fn a_zone_is_for_the_times_that_name_none() {
        for (text, zone, expected) in [
            ("2010-01-01", "+01:00", "2009-12-31T23:00:00.000Z"),
            ("2010-01-01 05:30", "+0100", "2010-01-01T04:30:00.000Z"),
            ("2010-01-01 05:30", "-05", "2010-01-01T10:30:00.000Z"),
            ("2010-01-01 05:30", "-03:30", "2010-01-01T09:00:00.000Z"),
            ("2010-01-01 05:30Z", "+01:00", "2010-01-01T05:30:00.000Z"),
            ("2010-01-01 05:30:00+0200", "+01:00", "2010-01-01T03:30:00.000Z"),
            ("1262304000000", "+01:00", "2010-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(read(text, &TimeFormat::Usual, zone), expected, "{text} in {zone}");
        }
        for name in ["Europe/Zurich", "CET", "+24:00", "+01:60", "+1", "UTC+1", ""] {
            let error = name.parse::<Zone>().unwrap_err().to_string();
            assert!(error.contains("fixed offsets like +01:00"), "{error}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for (text, expected) in [
            (
                "01/02/2010",
                "AmbiguousTime: \"01/02/2010\": say --time-format '%d/%m/%Y' or '%m/%d/%Y'",
            ),
            (
                "1.2.10 05:30",
                "AmbiguousTime: \"1.2.10 05:30\": say --time-format '%d.%m.%y %H:%M' or '%m.%d.%y %H:%M'",
            ),
            (
                "2010/01/02 05:30:00",
                "UnknownTime: \"2010/01/02 05:30:00\": say --time-format '%Y/%m/%d %H:%M:%S'",
            ),
            ("2010-1-2", "UnknownTime: \"2010-1-2\": say --time-format '%Y-%m-%d'"),
            (
                "1262304000",
                "UnixSeconds: \"1262304000\": say --time-format unix-seconds or unix-millis",
            ),
            ("0", "UnixSeconds: \"0\": say --time-format unix-seconds or unix-millis"),
            (
                "99999999999",
                "UnixSeconds: \"99999999999\": say --time-format unix-seconds or unix-millis",
            ),
            (
                "20100102",
                "AmbiguousTime: \"20100102\": say --time-format '%Y%m%d', unix-seconds or unix-millis",
            ),
            (
                "202611261000",
                "AmbiguousTime: \"202611261000\": say --time-format '%Y%m%d%H%M' or unix-millis",
            ),
            (
                "20261126100000",
                "AmbiguousTime: \"20261126100000\": say --time-format '%Y%m%d%H%M%S' or unix-millis",
            ),
            ("1969-12-31 23:59", "TimeOutOfRange: \"1969-12-31 23:59\""),
            ("-1", "TimeOutOfRange: \"-1\", as Unix milliseconds"),
            ("-0.5", "TimeOutOfRange: \"-0.5\", as Unix milliseconds"),
            ("1262304000000000", "TimeOutOfRange: \"1262304000000000\", as Unix milliseconds"),
        ] {
            assert_eq!(read(text, &TimeFormat::Usual, "UTC"), expected, "{text}");
        }
        for text in [
            "2010-13-01",
            "2010-02-30",
            "2010-01-01 25:00",
            "2010-01-01T",
            "2010-01-01Z",
            "2010-01-01 05:30:00 CET",
            "2010-01-01 05:30:00.",
            "2010-01-01 05:30+01:0",
            "yesterday",
            "2010-01-01 05:30:00 +0100 x",
            "äöü äöü äöü",
            "1.2e12",
            "--1",
        ] {
            let said = read(text, &TimeFormat::Usual, "UTC");
            assert!(said.starts_with("UnknownTime: ") && said.contains("--time-format"), "{said}");
        }
    }

    #[test]
    fn a_format_that_is_named_is_the_only_one() {
        for (format, text, expected) in [
            ("unix-seconds", "1262304000", "2010-01-01T00:00:00.000Z"),
            ("unix-seconds", "1262304000.5", "2010-01-01T00:00:00.500Z"),
            ("unix-seconds", "1262304000.0019", "2010-01-01T00:00:00.001Z"),
            ("unix-seconds", "0", "1970-01-01T00:00:00.000Z"),
            ("unix-seconds", "1262304000000", "TimeOutOfRange: \"1262304000000\", as Unix seconds"),
            (
                "unix-seconds",
                "2010-01-01",
                "UnknownTime: \"2010-01-01\" is no number of Unix seconds",
            ),
            ("unix-millis", "1262304000", "1970-01-15T14:38:24.000Z"),
            ("unix-millis", "202611261000", "1976-06-03T00:54:21.000Z"),
            ("unix-millis", "1.5", "1970-01-01T00:00:00.001Z"),
            ("rfc3339", "2010-01-01 05:30:01+02:00", "2010-01-01T03:30:01.000Z"),
            ("rfc3339", "2010-01-01T05:30:01.25Z", "2010-01-01T05:30:01.250Z"),
            (
                "rfc3339",
                "2010-01-01 05:30:01",
                "UnknownTime: \"2010-01-01 05:30:01\" is not RFC 3339, like 2026-11-22T10:00:00Z",
            ),
            ("%d/%m/%Y", "01/02/2010", "2010-01-31T23:00:00.000Z"),
            ("%d/%m/%Y", "2010-02-01", "UnknownTime: \"2010-02-01\" is not like %d/%m/%Y"),
            ("%d/%m/%Y", "01/02/1969", "TimeOutOfRange: \"01/02/1969\""),
            ("[month]/[day]/[year]", "01/02/2010", "2010-01-01T23:00:00.000Z"),
        ] {
            assert_eq!(read(text, &format.parse().unwrap(), "+01:00"), expected, "{text}");
        }
        let error = "dd/mm/yyyy".parse::<TimeFormat>().unwrap_err().to_string();
        assert!(error.contains("unix-seconds, unix-millis, rfc3339"), "{error}");
    }
}
