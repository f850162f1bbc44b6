//! When a value was measured, as a mapping says.

use crate::domain::decimal::Decimal;
use crate::domain::decimal::Rounding;
use crate::domain::local;
use crate::domain::local::LocalTime;
use crate::domain::reading::UnixMillis;
use crate::domain::rejection::Reason;
use crate::domain::rejection::Rejection;
use crate::domain::time_format::TimeFormat;
use crate::domain::time_format::WrittenTime;
use crate::domain::zone::Zone;
use crate::limits;
use crate::sources::fields::At;
use crate::sources::fields::MappingError;
use crate::sources::number::Stop;
use crate::sources::pointer::Pointer;
use crate::sources::scope::Scope;
use crate::sources::scope::echo;
use crate::sources::steps::Steps;
use crate::sources::tree::Node;

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// Unix time, times 10 to this power for milliseconds.
    Unix(i64),
    /// Unix time in seconds, milli-, micro- or nanoseconds, by its magnitude.
    UnixByMagnitude,
    /// RFC 3339.
    Rfc3339,
    /// As a format says.
    Written(TimeFormat),
}

/// What a local time means that is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ambiguous {
    Refuse,
    First,
    Second,
}

/// Where the time of a value is, and what to do without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeRule {
    at: Option<Pointer>,
    /// Tried in order.
    forms: Vec<Form>,
    /// The zone of times that are written without an offset.
    zone: Option<Zone>,
    /// What Unix times are ahead of UTC, in seconds.
    offset_s: i64,
    /// Whether a missing time is that of the arrival.
    is_received: bool,
    /// What an arrival is cut to, in milliseconds.
    slot_ms: Option<i64>,
    /// Words that say that the time is that of the arrival.
    now: Vec<String>,
    /// A time before it is missing.
    not_before: UnixMillis,
    ambiguous: Ambiguous,
}

/// When a value was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) at: UnixMillis,
    /// Whether it is the time of arrival, and not the sender's.
    pub(crate) is_assumed: bool,
}

/// The keys of `time`.
const KEYS: [&str; 9] =
    ["at", "as", "zone", "offset", "missing", "slot_ms", "now", "not_before", "ambiguous"];

impl TimeRule {
    /// Parses the key `time` of a mapping.
    pub(crate) fn parse(at: &At<'_>) -> Result<Self, MappingError> {
        at.check_keys(&KEYS)?;
        let rule = Self {
            at: at.get("at").map(|at| pointer(&at)).transpose()?,
            forms: at.get("as").map_or(Ok(Vec::new()), |at| forms(&at))?,
            zone: at.get("zone").map(|at| zone(&at)).transpose()?,
            offset_s: at.get("offset").map_or(Ok(0), |at| offset(&at))?,
            is_received: at.get("missing").map_or(Ok(false), |at| is_received(&at))?,
            slot_ms: at
                .get("slot_ms")
                .map(|at| at.integer(1, limits::SOURCE_SLOT_MS_MAX))
                .transpose()?,
            now: at.get("now").map_or(Ok(Vec::new()), |at| words(&at))?,
            not_before: at.get("not_before").map_or_else(default_not_before, |at| instant(&at))?,
            ambiguous: at.get("ambiguous").map_or(Ok(Ambiguous::Refuse), |at| ambiguous(&at))?,
        };
        match rule.fault(at) {
            None => Ok(rule),
            Some(fault) => Err(fault),
        }
    }

    /// What in it could never give a time, or would never be used.
    fn fault(&self, at: &At<'_>) -> Option<MappingError> {
        let is_local = |form: &Form| matches!(form, Form::Written(format) if !format.has_offset());
        let is_unix = |form: &Form| matches!(form, Form::Unix(_) | Form::UnixByMagnitude);
        let needs_zone = self.forms.iter().any(is_local);
        let fault = if self.at.is_none() && !self.is_received {
            "must have `at`, or \"missing\":\"received\": else no reading ever has a time"
        } else if self.at.is_some() && self.forms.is_empty() {
            "must say with `as` how the time at `at` is written"
        } else if self.at.is_none() && (!self.forms.is_empty() || !self.now.is_empty()) {
            "has `as` or `now`, and no `at`"
        } else if self.slot_ms.is_some() && !self.is_received && self.now.is_empty() {
            "has `slot_ms`, which cuts the time of arrival: \"missing\":\"received\" is absent"
        } else if needs_zone && self.zone.is_none() {
            "must have `zone`: `as` reads a local time, which is another instant in each zone"
        } else if !needs_zone && (self.zone.is_some() || self.ambiguous != Ambiguous::Refuse) {
            "has `zone` or `ambiguous`, and `as` reads no local time"
        } else if self.offset_s != 0 && !self.forms.iter().any(is_unix) {
            "has `offset`, which is for Unix times: `as` reads none"
        } else {
            return None;
        };
        Some(at.error(fault))
    }

    /// The time of an item that arrived at `now`.
    pub(crate) fn when(
        &self,
        scope: &Scope<'_, '_>,
        now: UnixMillis,
        steps: &mut Steps,
    ) -> Result<When, Stop> {
        let node = self.at.as_ref().map_or(Ok(None), |at| scope.find(at, steps))?;
        let text = match node {
            None | Some(Node::Null) => return self.missing(now),
            Some(node) => node.scalar().unwrap_or("an object or an array"),
        };
        steps.take(text.len() + self.now.iter().map(String::len).sum::<usize>())?;
        if text.is_empty() {
            return self.missing(now);
        }
        if self.now.iter().any(|word| word == text) {
            return Ok(self.arrival(now));
        }
        for form in &self.forms {
            match self.read(form, text)? {
                Some(at) if at >= self.not_before => return Ok(When { at, is_assumed: false }),
                Some(_) => return self.missing(now),
                None => {}
            }
        }
        let detail = format!("the time {} is not written as the mapping says", echo(text));
        Err(Rejection::new(Reason::InvalidTimestamp, detail).into())
    }

    fn missing(&self, now: UnixMillis) -> Result<When, Stop> {
        if self.is_received {
            return Ok(self.arrival(now));
        }
        let detail = match &self.at {
            Some(at) => {
                format!("the message has no time at {at}, or one from before {}", self.not_before)
            }
            None => "the message has no time".to_owned(),
        };
        Err(Rejection::new(Reason::MissingTimestamp, detail).into())
    }

    fn arrival(&self, now: UnixMillis) -> When {
        let into_slot = self.slot_ms.map_or(0, |slot_ms| now.get().rem_euclid(slot_ms));
        When { at: now.saturating_sub(into_slot), is_assumed: true }
    }

    /// Reads a time. `None` if it is not written in this form.
    fn read(&self, form: &Form, text: &str) -> Result<Option<UnixMillis>, Rejection> {
        match form {
            Form::Unix(power) => match Decimal::parse_loose(text) {
                Some(number) => self.unix(number, *power).map(Some),
                None => Ok(None),
            },
            Form::UnixByMagnitude => match Decimal::parse_loose(text) {
                Some(number) => self.unix(number, power_of(number)).map(Some),
                None => Ok(None),
            },
            Form::Rfc3339 => Ok(UnixMillis::parse_rfc3339(text)),
            Form::Written(format) => match format.read(text) {
                Some(written) => self.written(written).map(Some),
                None => Ok(None),
            },
        }
    }

    /// A Unix time. One that is too early as what it is taken for, and would not be by its
    /// magnitude, is refused: taken for missing it would be assumed without a word.
    fn unix(&self, number: Decimal<'_>, power: i64) -> Result<UnixMillis, Rejection> {
        let instant = |power| {
            let millis = number.scaled(power, Rounding::TowardZero)?;
            UnixMillis::new(millis.checked_sub(self.offset_s.checked_mul(1_000)?)?)
        };
        let likely = power_of(number);
        match instant(power) {
            Some(at) if at >= self.not_before || likely <= power => Ok(at),
            Some(at) if instant(likely).is_none_or(|likely| likely < self.not_before) => Ok(at),
            Some(_) => {
                let detail = format!("the time looks like {}; see `as`", name_of(likely));
                Err(Rejection::new(Reason::TimestampInSeconds, detail))
            }
            None => {
                let detail = match likely < power {
                    true => format!("the time looks like {}; see `as`", name_of(likely)),
                    false => "the time is not from 1970 to 9999".to_owned(),
                };
                Err(Rejection::new(Reason::InvalidTimestamp, detail))
            }
        }
    }

    /// A time that has an offset, or is a local one.
    fn written(&self, time: WrittenTime) -> Result<UnixMillis, Rejection> {
        let instants = match (time.offset_s, &self.zone) {
            (Some(offset_s), _) => LocalTime::Once(time.local_s - offset_s),
            (None, Some(zone)) => zone.instants(time.local_s),
            (None, None) => LocalTime::Never,
        };
        let at_s = match (instants, self.ambiguous) {
            (LocalTime::Once(at_s), _)
            | (LocalTime::Twice(at_s, _), Ambiguous::First)
            | (LocalTime::Twice(_, at_s), Ambiguous::Second) => at_s,
            (LocalTime::Twice(..), Ambiguous::Refuse) => {
                let detail = "the clock shows this local time twice; see `ambiguous`";
                return Err(Rejection::new(Reason::AmbiguousTimestamp, detail));
            }
            // Before 1970 no clock leaves a time out: the device's has not been set.
            (LocalTime::Never, _) if time.local_s < 0 => time.local_s,
            (LocalTime::Never, _) => {
                let detail = "the clock leaves this local time out; see `zone`";
                return Err(Rejection::new(Reason::InvalidTimestamp, detail));
            }
        };
        let outside =
            || Rejection::new(Reason::InvalidTimestamp, "the time is not from 1970 to 9999");
        let ms = at_s.checked_mul(1_000).and_then(|ms| ms.checked_add(time.ms));
        // A clock that was not set shows the first day of 1970, which is before it in UTC.
        let ms = ms.map(|ms| ms.max(UnixMillis::MIN.get()));
        ms.and_then(UnixMillis::new).ok_or_else(outside)
    }
}

/// The power of ten that makes milliseconds of a Unix time of now, by its magnitude. The
/// ranges are those of InfluxDB 3, and can't meet: seconds are below 5·10⁹ until 2128.
fn power_of(number: Decimal<'_>) -> i64 {
    match number.scaled(0, Rounding::TowardZero) {
        Some(..5_000_000_000) => 3,
        Some(5_000_000_000..5_000_000_000_000) => 0,
        Some(5_000_000_000_000..5_000_000_000_000_000) => -3,
        _ => -6,
    }
}

fn name_of(power: i64) -> &'static str {
    match power {
        3 => "seconds",
        0 => "milliseconds",
        -3 => "microseconds",
        _ => "nanoseconds",
    }
}

fn pointer(at: &At<'_>) -> Result<Pointer, MappingError> {
    Pointer::parse(at.text()?).map_err(|what| at.error(what))
}

fn forms(at: &At<'_>) -> Result<Vec<Form>, MappingError> {
    let list = at.list(limits::SOURCE_TIME_FORMS_MAX)?;
    list.iter().map(form).collect()
}

fn form(at: &At<'_>) -> Result<Form, MappingError> {
    Ok(match at.text()? {
        "unix" => Form::UnixByMagnitude,
        "unix-s" => Form::Unix(3),
        "unix-ms" => Form::Unix(0),
        "unix-us" => Form::Unix(-3),
        "unix-ns" => Form::Unix(-6),
        "rfc3339" => Form::Rfc3339,
        format if format.contains('%') => {
            Form::Written(TimeFormat::parse(format).map_err(|what| at.error(&what))?)
        }
        _ => {
            let known = "unix, unix-s, unix-ms, unix-us, unix-ns, rfc3339";
            return Err(at.error(&format!("must be one of {known}, or a format with %")));
        }
    })
}

fn zone(at: &At<'_>) -> Result<Zone, MappingError> {
    let wanted = || at.error(&format!("must be {}", Zone::FIXED_FORMS));
    Zone::without_file(at.text()?).ok_or_else(wanted)
}

fn offset(at: &At<'_>) -> Result<i64, MappingError> {
    let wanted = || at.error("must be an offset from UTC like +02:00");
    local::offset_s(at.text()?).ok_or_else(wanted)
}

fn is_received(at: &At<'_>) -> Result<bool, MappingError> {
    match at.text()? {
        "refuse" => Ok(false),
        "received" => Ok(true),
        _ => Err(at.error("must be refuse or received")),
    }
}

fn words(at: &At<'_>) -> Result<Vec<String>, MappingError> {
    let list = at.list(limits::SOURCE_LIST_MAX)?;
    list.iter().map(|word| word.text_or_number().map(ToOwned::to_owned)).collect()
}

fn default_not_before() -> Result<UnixMillis, MappingError> {
    Ok(UnixMillis::new(limits::SOURCE_NOT_BEFORE_MS).unwrap_or(UnixMillis::MIN))
}

/// A year, a date, or a time in RFC 3339.
fn instant(at: &At<'_>) -> Result<UnixMillis, MappingError> {
    let text = at.text_or_number()?;
    let completed = match text.len() {
        4 => format!("{text}-01-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    let wanted = || at.error("must be a year, a date like 2020-01-01, or a time in RFC 3339");
    UnixMillis::parse_rfc3339(&completed).ok_or_else(wanted)
}

fn ambiguous(at: &At<'_>) -> Result<Ambiguous, MappingError> {
    match at.text()? {
        "refuse" => Ok(Ambiguous::Refuse),
        "first" => Ok(Ambiguous::First),
        "second" => Ok(Ambiguous::Second),
        _ => Err(at.error("must be refuse, first or second")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tried::NOW;
    use crate::sources::tried::Sent;
    use crate::sources::tried::mapping;
    use crate::sources::tried::outcome;
    use crate::sources::tried::tried;

    /// The outcome for a message with this time, which is JSON.
    fn timed(rule: &str, time: &str) -> String {
        let text = format!(
            r#"{{"body":"json","take":[{{"value":"t","unit":"C"}}],"device":"d","time":{rule}}}"#
        );
        let body = format!("{{\"t\":1,\"at\":{time}}}");
        let all = outcome(tried(&mapping(&text), Sent { body: &body, ..Sent::default() }));
        all.concat().replace("/t d 1000 ", "").replace("/t ", "")
    }

    /// Milliseconds after the arrival.
    fn own(text: &str) -> String {
        format!("={}", UnixMillis::parse_rfc3339(text).unwrap().get() - NOW)
    }

    #[test]
    fn a_unix_time_is_what_its_magnitude_says() {
        let rule = r#"{"at":"at","as":"unix"}"#;
        for (time, expected) in [
            ("1795647000", "2026-11-25T22:50:00Z"),
            ("1795647000.6299", "2026-11-25T22:50:00.629Z"),
            ("1.795647e9", "2026-11-25T22:50:00Z"),
            ("\"1795647000\"", "2026-11-25T22:50:00Z"),
            ("1795647000123", "2026-11-25T22:50:00.123Z"),
            ("1795647000123999", "2026-11-25T22:50:00.123Z"),
            ("1795647000123999999", "2026-11-25T22:50:00.123Z"),
            ("4999999999", "2128-06-11T08:53:19Z"),
        ] {
            assert_eq!(timed(rule, time), own(expected), "{time}");
        }
        for (time, reason) in [
            ("17", "!missing_timestamp"),
            ("0", "!missing_timestamp"),
            ("null", "!missing_timestamp"),
            ("\"\"", "!missing_timestamp"),
            ("-5", "!invalid_timestamp"),
            ("\"2026-11-25T22:50:00Z\"", "!invalid_timestamp"),
            ("true", "!invalid_timestamp"),
            ("{}", "!invalid_timestamp"),
            ("nan", "!invalid_timestamp"),
            ("1e400", "!invalid_timestamp"),
        ] {
            assert_eq!(timed(rule, time), reason, "{time}");
        }
    }

    #[test]
    fn another_unit_of_time_than_the_mapping_says_is_refused_and_never_1970() {
        for (form, time, expected) in [
            ("unix-s", "1795647000", own("2026-11-25T22:50:00Z")),
            ("unix-ms", "1795647000123", own("2026-11-25T22:50:00.123Z")),
            ("unix-us", "1795647000123000", own("2026-11-25T22:50:00.123Z")),
            ("unix-ns", "1795647000123000000", own("2026-11-25T22:50:00.123Z")),
            ("unix-ms", "1795647000", "!timestamp_in_seconds".to_owned()),
            ("unix-us", "1795647000123", "!timestamp_in_seconds".to_owned()),
            ("unix-ns", "1795647000", "!timestamp_in_seconds".to_owned()),
            ("unix-s", "1795647000123", "!invalid_timestamp".to_owned()),
            ("unix-ms", "1795647000123000", "!invalid_timestamp".to_owned()),
            // The time since the start is neither.
            ("unix-ms", "17123", "~0".to_owned()),
            ("unix-s", "17", "~0".to_owned()),
        ] {
            let rule = format!(r#"{{"at":"at","as":"{form}","missing":"received"}}"#);
            assert_eq!(timed(&rule, time), expected, "{form} {time}");
        }
    }

    #[test]
    fn a_unix_time_that_is_local_is_set_back() {
        let rule = r#"{"at":"at","as":"unix","offset":"+02:00"}"#;
        assert_eq!(timed(rule, "1795654200"), own("2026-11-25T22:50:00Z"));
        let west = r#"{"at":"at","as":"unix-ms","offset":"-07:00"}"#;
        assert_eq!(timed(west, "1795621800000"), own("2026-11-25T22:50:00Z"));
    }

    #[test]
    fn a_local_time_is_read_in_its_zone() {
        let zone = "CET-1CEST,M3.5.0,M10.5.0/3";
        let rule = |ambiguous: &str| {
            format!(
                r#"{{"at":"at","as":["rfc3339","%Y-%m-%d %H:%M:%S"],"zone":"{zone}"{ambiguous}}}"#
            )
        };
        for (ambiguous, time, expected) in [
            ("", "2026-11-25 23:50:00", own("2026-11-25T22:50:00Z")),
            ("", "2026-11-25T22:50:00Z", own("2026-11-25T22:50:00Z")),
            ("", "2026-07-01 00:00:00", own("2026-06-30T22:00:00Z")),
            ("", "2026-10-25 02:30:00", "!ambiguous_timestamp".to_owned()),
            (r#","ambiguous":"first""#, "2026-10-25 02:30:00", own("2026-10-25T00:30:00Z")),
            (r#","ambiguous":"second""#, "2026-10-25 02:30:00", own("2026-10-25T01:30:00Z")),
            (r#","ambiguous":"first""#, "2026-03-29 02:30:00", "!invalid_timestamp".to_owned()),
            ("", "2026-02-29 02:30:00", "!invalid_timestamp".to_owned()),
            ("", "1970-01-01 00:30:00", "!missing_timestamp".to_owned()),
            ("", "2019-12-31 23:59:59", "!missing_timestamp".to_owned()),
            ("", "2020-01-01 01:00:00", own("2020-01-01T00:00:00Z")),
        ] {
            assert_eq!(timed(&rule(ambiguous), &format!("\"{time}\"")), expected, "{time}");
        }
        let india = r#"{"at":"at","as":"%d/%m/%Y %I:%M %p","zone":"+05:30"}"#;
        assert_eq!(timed(india, "\"26/11/2026 04:20 AM\""), own("2026-11-25T22:50:00Z"));
    }

    #[test]
    fn an_arrival_is_cut_to_its_slot_and_marked() {
        let rule =
            r#"{"at":"at","as":"unix","now":["now","N"],"missing":"received","slot_ms":60000}"#;
        for time in ["\"now\"", "\"N\"", "null", "\"\"", "3"] {
            assert_eq!(timed(rule, time), "~-3456", "{time}");
        }
        assert_eq!(timed(rule, "\"NOW\""), "!invalid_timestamp");
        assert_eq!(timed(rule, "1795647000"), own("2026-11-25T22:50:00Z"));
        // The words are the source's, also where a time that is missing is refused.
        let strict = r#"{"at":"at","as":"unix","now":"now"}"#;
        assert_eq!(timed(strict, "\"now\""), "~0");
        assert_eq!(timed(strict, "null"), "!missing_timestamp");
        assert_eq!(timed(r#"{"missing":"received"}"#, "7"), "~0");
    }

    #[test]
    fn not_before_is_the_sources() {
        let rule = |before: &str| format!(r#"{{"at":"at","as":"unix","not_before":{before}}}"#);
        for before in ["2026", "\"2026\"", "\"2026-01-01\"", "\"2026-01-01T00:00:00Z\""] {
            assert_eq!(timed(&rule(before), "1767225599"), "!missing_timestamp", "{before}");
            assert_eq!(timed(&rule(before), "1767225600"), own("2026-01-01T00:00:00Z"));
        }
        assert_eq!(timed(&rule("1970"), "17"), own("1970-01-01T00:00:17Z"));
    }
}
