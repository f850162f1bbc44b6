//! Why a single reading of a request was not accepted.

use std::borrow::Cow;

use crate::domain::reading::Reading;
use crate::limits;

/// Why a reading was rejected, with a sentence for the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason, for programs.
    pub reason: Reason,
    /// The reason, for people: what to send instead.
    pub detail: Cow<'static, str>,
    /// Which device and region were named, as far as that could be read. Boxed, so that a
    /// batch of accepted readings takes no more room for it.
    pub sent: Option<Box<AsSent>>,
}

impl Rejection {
    /// A rejection for `reason`, explained by `detail`.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), sent: None }
    }

    /// The same of a reading whose names are valid.
    pub(crate) fn of(self, reading: &Reading<'_>) -> Self {
        self.sent_as(Some(reading.device_id.as_str()), Some(reading.region.as_str()))
    }

    /// The same of an item with these names.
    pub(crate) fn sent_as(self, device_id: Option<&str>, region: Option<&str>) -> Self {
        let sent = AsSent { device_id: device_id.map(shown), region: region.map(shown) };
        Self { sent: Some(Box::new(sent)), ..self }
    }
}

/// The names in an item that was rejected. They need not be valid: they are cut, and
/// control characters are escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsSent {
    /// The device.
    pub device_id: Option<String>,
    /// The region.
    pub region: Option<String>,
}

/// A text from a sender, as it may be stored and shown: at most as many characters as a
/// valid name has, and no control characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(limits::NAME_BYTES_MAX) {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// The reasons for a rejection. Their codes are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Not a readable object.
    Malformed,
    /// A field is absent.
    MissingField,
    /// A field that readings don't have.
    UnknownField,
    /// A field given twice.
    DuplicateField,
    /// A field of the wrong JSON type.
    WrongType,
    /// A device id that breaks the rule for names.
    InvalidDeviceId,
    /// A region that breaks the rule for names.
    InvalidRegion,
    /// A temperature below absolute zero or above 1,000 °C.
    TemperatureOutOfRange,
    /// Not a valid timestamp.
    InvalidTimestamp,
    /// A timestamp in seconds instead of milliseconds.
    TimestampInSeconds,
    /// Further ahead of the node's clock than `max_skew`.
    InFuture,
    /// Older than `retention`: a duplicate could not be detected.
    TooOld,
    /// From a new device or region when their number is at its limit.
    TooManyNames,
    /// A temperature that is never counted: one that a sensor sends when it has none.
    VoidValue,
    /// A temperature that its region can't have.
    Implausible,
    /// Of a device or a region that the sender's token does not allow.
    Forbidden,
    /// A unit that is missing, or that the mapping of the source does not list.
    UnknownUnit,
    /// A device that the table of the source does not have.
    UnknownDevice,
    /// No time in the message, and the source does not take the time of arrival.
    MissingTimestamp,
    /// A local time that the clock shows twice.
    AmbiguousTimestamp,
    /// A value of a source that is no number.
    NotANumber,
}

const _: () = assert!(Reason::ALL.len() == Reason::NotANumber as usize + 1);

impl Reason {
    /// All reasons. Journal entries store the position here, so append new ones.
    pub const ALL: [Self; 21] = [
        Self::Malformed,
        Self::MissingField,
        Self::UnknownField,
        Self::DuplicateField,
        Self::WrongType,
        Self::InvalidDeviceId,
        Self::InvalidRegion,
        Self::TemperatureOutOfRange,
        Self::InvalidTimestamp,
        Self::TimestampInSeconds,
        Self::InFuture,
        Self::TooOld,
        Self::TooManyNames,
        Self::VoidValue,
        Self::Implausible,
        Self::Forbidden,
        Self::UnknownUnit,
        Self::UnknownDevice,
        Self::MissingTimestamp,
        Self::AmbiguousTimestamp,
        Self::NotANumber,
    ];

    /// The reason's code in an answer.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::MissingField => "missing_field",
            Self::UnknownField => "unknown_field",
            Self::DuplicateField => "duplicate_field",
            Self::WrongType => "wrong_type",
            Self::InvalidDeviceId => "invalid_device_id",
            Self::InvalidRegion => "invalid_region",
            Self::TemperatureOutOfRange => "temperature_out_of_range",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::TimestampInSeconds => "timestamp_in_seconds",
            Self::InFuture => "in_future",
            Self::TooOld => "too_old",
            Self::TooManyNames => "too_many_names",
            Self::VoidValue => "void_value",
            Self::Implausible => "implausible",
            Self::Forbidden => "forbidden",
            Self::UnknownUnit => "unknown_unit",
            Self::UnknownDevice => "unknown_device",
            Self::MissingTimestamp => "missing_timestamp",
            Self::AmbiguousTimestamp => "ambiguous_timestamp",
            Self::NotANumber => "not_a_number",
        }
    }
}

/// How many readings were rejected, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections([u64; Reason::ALL.len()]);

impl Rejections {
    /// Adds `count` for `reason`.
    pub fn add(&mut self, reason: Reason, count: u64) {
        if let Some(counted) = self.0.get_mut(reason as usize) {
            *counted = counted.saturating_add(count);
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (reason, count) in other.iter() {
            self.add(reason, count);
        }
    }

    /// The reasons that occurred, with their counts, at least 1.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// The count for `reason`.
    pub fn count(&self, reason: Reason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many different reasons occurred.
    pub fn reasons(&self) -> usize {
        self.iter().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_as_sent_is_cut_and_has_no_control_characters() {
        assert_eq!(shown("a\nb\u{7}\u{85}\"ü,"), r#"a\nb\u{7}\u{85}"ü,"#);
        assert_eq!(shown(&"ü".repeat(100)), "ü".repeat(64));
    }

    #[test]
    fn a_reason_stands_at_its_number() {
        for (position, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position);
        }
    }
}
