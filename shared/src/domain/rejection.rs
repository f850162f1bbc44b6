//! Why a single reading of a request was not accepted.

use std::borrow::Cow;

/// Why a reading was rejected, with a sentence for the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason, for programs.
    pub reason: Reason,
    /// The reason, for people: what to send instead.
    pub detail: Cow<'static, str>,
}

impl Rejection {
    /// A rejection for `reason`, explained by `detail`.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }
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
}

const _: () = assert!(Reason::ALL.len() == Reason::Implausible as usize + 1);

impl Reason {
    /// All reasons. Journal entries store the position here, so append new ones.
    pub const ALL: [Self; 15] = [
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
    fn a_reason_stands_at_its_number() {
        for (position, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position);
        }
    }
}
