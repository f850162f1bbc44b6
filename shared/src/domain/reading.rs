//! A reading and its parts. The parts are valid by construction: their constructors are
//! the only way to make them.

use std::borrow::Cow;
use std::fmt;

use crate::limits;

/// One temperature, measured by one device at one instant, in one region.
///
/// Its identity is (`device_id`, `timestamp`): the same identity counts once. Names are
/// borrowed from the request or journal entry it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The device that measured.
    pub device_id: DeviceId<'a>,
    /// The region whose average includes the reading.
    pub region: Region<'a>,
    /// The measured temperature.
    pub temperature: MilliCelsius,
    /// When it was measured, by the device's clock.
    pub timestamp: UnixMillis,
    is_late: bool,
    time: TimeOrigin,
}

/// Where the time of a reading is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeOrigin {
    /// The sender said it.
    #[default]
    Sent,
    /// The sender said none, so it is the time at which the reading arrived.
    Assumed {
        /// The sender's own number of the reading, if it has one. The same number of a device
        /// within some hours is the same reading (`ledger/numbers.rs`).
        number: Option<u32>,
    },
}

impl<'a> Reading<'a> {
    /// A reading that is not late, as far as is known without a clock.
    pub fn new(
        device_id: DeviceId<'a>,
        region: Region<'a>,
        temperature: MilliCelsius,
        timestamp: UnixMillis,
    ) -> Self {
        let (is_late, time) = (false, TimeOrigin::Sent);
        Self { device_id, region, temperature, timestamp, is_late, time }
    }

    /// Whether it arrived later than the variable `late_after` allows. It counts all
    /// the same.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// The same, late or not.
    #[must_use]
    pub(crate) fn arrived(self, is_late: bool) -> Self {
        Self { is_late, ..self }
    }

    /// Whether its time is that of its arrival, as the sender said none.
    pub fn is_time_assumed(&self) -> bool {
        matches!(self.time, TimeOrigin::Assumed { .. })
    }

    /// Where its time is from.
    pub fn time_origin(&self) -> TimeOrigin {
        self.time
    }

    /// The same, with a time of this origin.
    #[must_use]
    pub(crate) fn with_time_of(self, time: TimeOrigin) -> Self {
        Self { time, ..self }
    }

    /// The same, with its time assumed or not, and no number.
    #[must_use]
    pub(crate) fn assumed(self, is_assumed: bool) -> Self {
        let assumed = TimeOrigin::Assumed { number: None };
        self.with_time_of(if is_assumed { assumed } else { TimeOrigin::Sent })
    }
}

/// A device's name: 1 to 64 of `A-Z a-z 0-9 . _ : -`, but not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId<'a>(Cow<'a, str>);

/// A region's name: 1 to 64 of `A-Z a-z 0-9 . _ : -`, but not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region<'a>(Cow<'a, str>);

impl<'a> DeviceId<'a> {
    /// The name, if it is valid.
    pub fn new(name: impl Into<Cow<'a, str>>) -> Option<Self> {
        Self::stored(name).filter(|Self(name)| !is_dot_segment(name))
    }

    /// The letters of a name that `text` begins with, if they are a valid name; and the rest.
    pub(crate) fn leading(text: &'a str) -> Option<(Self, &'a str)> {
        leading(text).map(|(name, rest)| (Self(Cow::Borrowed(name)), rest))
    }

    /// A name from a store, including `.` and `..`, which older releases accepted.
    pub(crate) fn stored(name: impl Into<Cow<'a, str>>) -> Option<Self> {
        checked(name.into()).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> Region<'a> {
    /// The name, if it is valid.
    pub fn new(name: impl Into<Cow<'a, str>>) -> Option<Self> {
        Self::stored(name).filter(|Self(name)| !is_dot_segment(name))
    }

    /// The letters of a name that `text` begins with, if they are a valid name; and the rest.
    pub(crate) fn leading(text: &'a str) -> Option<(Self, &'a str)> {
        leading(text).map(|(name, rest)| (Self(Cow::Borrowed(name)), rest))
    }

    /// A name from a store, including `.` and `..`, which older releases accepted.
    pub(crate) fn stored(name: impl Into<Cow<'a, str>>) -> Option<Self> {
        checked(name.into()).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Allows only characters without a meaning in JSON, SQL, URLs, CSV or a shell, so a
/// name is the same everywhere it is written.
fn checked(name: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let length = (1..=limits::NAME_BYTES_MAX).contains(&name.len());
    (length && name.bytes().all(is_of_name)).then_some(name)
}

fn leading(text: &str) -> Option<(&str, &str)> {
    let window = text.as_bytes().get(..=limits::NAME_BYTES_MAX).unwrap_or(text.as_bytes());
    let length = window.iter().take_while(|byte| is_of_name(**byte)).count();
    let (name, rest) = text.split_at_checked(length)?;
    let is_valid = (1..=limits::NAME_BYTES_MAX).contains(&length) && !is_dot_segment(name);
    is_valid.then_some((name, rest))
}

/// Whether a name may have this byte: one look into a table, as every byte of every name is
/// asked for.
fn is_of_name(byte: u8) -> bool {
    const IS_OF_NAME: [bool; 256] = table();
    #[expect(clippy::indexing_slicing, reason = "at compile time, and a byte is below 256")]
    const fn table() -> [bool; 256] {
        let (mut table, mut byte) = ([false; 256], 0_u8);
        loop {
            table[byte as usize] =
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
            if byte == u8::MAX {
                return table;
            }
            byte += 1;
        }
    }
    IS_OF_NAME.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether the name can't be a segment of a URL's path: clients resolve `.` and `..` as
/// steps (RFC 3986, 5.2.4), percent-encoded or not.
fn is_dot_segment(name: &str) -> bool {
    matches!(name, "." | "..")
}

/// A temperature in thousandths of a degree Celsius, from -273,150 (absolute
/// zero) to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MilliCelsius(i32);

impl MilliCelsius {
    /// Absolute zero.
    pub const MIN: Self = Self(-273_150);
    /// 1,000 °C.
    pub const MAX: Self = Self(1_000_000);

    /// The temperature, if it is in range.
    pub fn new(millicelsius: i64) -> Option<Self> {
        let millicelsius = i32::try_from(millicelsius).ok()?;
        (Self::MIN.0..=Self::MAX.0).contains(&millicelsius).then_some(Self(millicelsius))
    }

    /// Thousandths of a degree Celsius.
    pub fn get(self) -> i32 {
        self.0
    }

    /// Degrees Celsius, as the nearest double.
    pub fn to_celsius(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// What a number sent as Unix milliseconds appears to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seems {
    /// Unix milliseconds.
    Milliseconds,
    /// Unix seconds: as milliseconds it would be before 3 March 1973.
    Seconds,
    /// A time since the device's start: as seconds it would be before September 2001.
    Uptime,
}

/// Milliseconds since 1970-01-01T00:00:00Z, from 0 to the end of the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// The Unix epoch.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z, the last instant that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// Milliseconds in a minute, the width of the finest window.
    pub const PER_MINUTE: i64 = 60_000;

    /// The instant, if it is in range.
    pub fn new(millis: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&millis).then_some(Self(millis))
    }

    /// What the number of milliseconds appears to be.
    pub(crate) fn seems(self) -> Seems {
        const UPTIME_BELOW: i64 = 1_000_000_000;
        const SECONDS_BELOW: i64 = 100_000_000_000;
        match self.0 {
            ..UPTIME_BELOW => Seems::Uptime,
            UPTIME_BELOW..SECONDS_BELOW => Seems::Seconds,
            _ => Seems::Milliseconds,
        }
    }

    /// The instant of a ledger row: whole minutes and the milliseconds into them.
    pub fn from_minute(minute: i64, ms: i64) -> Option<Self> {
        minute.checked_mul(Self::PER_MINUTE)?.checked_add(ms).and_then(Self::new)
    }

    /// Parses an RFC 3339 date-time. Digits beyond milliseconds are dropped.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        use time::format_description::well_known::Rfc3339;
        let instant = time::OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let seconds = instant.unix_timestamp().checked_mul(1_000)?;
        Self::new(seconds.checked_add(instant.millisecond().into())?)
    }

    /// Milliseconds since the epoch.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Whole minutes since the epoch.
    pub fn minute(self) -> i64 {
        self.0 / Self::PER_MINUTE
    }

    /// Milliseconds into the minute, 0 to 59,999.
    pub fn ms_of_minute(self) -> i64 {
        self.0 % Self::PER_MINUTE
    }

    /// The instant `millis` earlier, not before the epoch.
    #[must_use]
    pub fn saturating_sub(self, millis: i64) -> Self {
        Self(self.0.saturating_sub(millis).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The instant `millis` later, not after the end of the year 9999.
    #[must_use]
    pub fn saturating_add(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(Self::MIN.0, Self::MAX.0))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-22T10:00:00.000Z`.
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = time::OffsetDateTime::from_unix_timestamp(self.0 / 1000);
        let t = instant.map_err(|_out_of_range| fmt::Error)?;
        let (date, clock) = (t.date(), t.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second())?;
        write!(f, ".{:03}Z", self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_1_to_64_safe_characters() {
        let longest = "x".repeat(64);
        for good in ["a", "A.b_c:d-9", longest.as_str()] {
            assert!(DeviceId::new(good).is_some(), "{good}");
            assert!(Region::new(good).is_some(), "{good}");
        }
        let too_long = "x".repeat(65);
        for bad in ["", too_long.as_str(), "a b", "a/b", "a\"b", "a\u{0}", "zürich", "a\n", "a%"] {
            assert!(DeviceId::new(bad).is_none(), "{bad:?}");
            assert!(Region::new(bad).is_none(), "{bad:?}");
        }
        // No client can request these, but older releases accepted them.
        for steps in [".", ".."] {
            assert!(DeviceId::new(steps).is_none() && Region::new(steps).is_none());
            assert!(DeviceId::stored(steps).is_some() && Region::stored(steps).is_some());
        }
        assert!(Region::new("...").is_some());
    }

    #[test]
    fn a_temperature_is_between_absolute_zero_and_a_thousand_degrees() {
        assert_eq!(MilliCelsius::new(-273_150), Some(MilliCelsius::MIN));
        assert_eq!(MilliCelsius::new(1_000_000), Some(MilliCelsius::MAX));
        assert_eq!(MilliCelsius::new(-273_151), None);
        assert_eq!(MilliCelsius::new(1_000_001), None);
        assert_eq!(MilliCelsius::new(i64::MAX), None);
    }

    #[test]
    fn an_instant_is_written_and_read_as_rfc_3339() {
        let check = |text: &str, millis: i64, canonical: &str| {
            let instant = UnixMillis::parse_rfc3339(text).unwrap();
            assert_eq!(instant.get(), millis);
            assert_eq!(instant.to_string(), canonical);
        };
        check("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z");
        check("2010-01-01T01:00:00+01:00", 1_262_304_000_000, "2010-01-01T00:00:00.000Z");
        check("2024-02-29T23:59:59.9999Z", 1_709_251_199_999, "2024-02-29T23:59:59.999Z");
        check("9999-12-31T23:59:59.999Z", UnixMillis::MAX.get(), "9999-12-31T23:59:59.999Z");
        for bad in ["", "yesterday", "2010-01-01", "2010-13-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(UnixMillis::parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_minute_and_its_milliseconds_are_the_instant() {
        let instant = UnixMillis::new(1_262_304_061_001).unwrap();
        let again = UnixMillis::from_minute(instant.minute(), instant.ms_of_minute());
        assert_eq!(again, Some(instant));
        assert_eq!(instant.ms_of_minute(), 1_001);
    }
}
