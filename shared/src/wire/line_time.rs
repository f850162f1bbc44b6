//! Times in InfluxDB's line protocol: whole numbers of a precision that stands in the request.

use crate::domain::reading::UnixMillis;
use crate::domain::rejection::{Reason, Rejection};

/// What the number of a time counts since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Nanoseconds, which InfluxDB 1 and 2 take a number for if the request does not say.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Seconds, milliseconds, microseconds or nanoseconds, by magnitude. InfluxDB 3 does so if
    /// the request does not say: senders that leave the precision out and mean seconds would
    /// be in 1970 otherwise, and the ranges of the four don't meet before June 2128.
    Auto,
}

impl Precision {
    /// The precision of a request's parameter, as InfluxDB 1 (`n`, `u`, `ms`, `s`, `m`, `h`),
    /// 2 (`ns`, `us`, `ms`, `s`) or 3 (words) names it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "n" | "ns" | "nanosecond" => Self::Nanoseconds,
            // The micro sign, and the Greek letter.
            "u" | "us" | "\u{b5}" | "\u{3bc}" | "microsecond" => Self::Microseconds,
            "ms" | "millisecond" => Self::Milliseconds,
            "s" | "second" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            "auto" => Self::Auto,
            _ => return None,
        })
    }

    /// How it is named in a request.
    fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Minutes => "m",
            Self::Hours => "h",
            Self::Auto => "auto",
        }
    }

    /// The precision of a number, by its magnitude (InfluxDB 3, `guess_precision` in
    /// `influxdb3_types/src/write.rs`).
    fn of(number: i64) -> Self {
        match number {
            ..5_000_000_000 => Self::Seconds,
            5_000_000_000..5_000_000_000_000 => Self::Milliseconds,
            5_000_000_000_000..5_000_000_000_000_000 => Self::Microseconds,
            _ => Self::Nanoseconds,
        }
    }

    /// The time in milliseconds, without what is finer.
    fn millis(self, number: i64) -> i64 {
        match self {
            Self::Nanoseconds => number / 1_000_000,
            Self::Microseconds => number / 1_000,
            Self::Milliseconds => number,
            Self::Seconds => number.saturating_mul(1_000),
            Self::Minutes => number.saturating_mul(60_000),
            Self::Hours => number.saturating_mul(3_600_000),
            Self::Auto => Self::of(number).millis(number),
        }
    }
}

/// No reading is older: 1978-01-01T00:00:00Z, in milliseconds. Such a number has another
/// precision, or is a time since the device's start.
const FIRST_MS: i64 = 252_460_800_000;

/// No reading is from then on: June 2128, in milliseconds. Up to here the magnitude tells the
/// precision.
const END_MS: i64 = 5_000_000_000_000;

/// The instant that `text`, a whole number, is in this precision; what is finer than a
/// millisecond is dropped.
///
/// Rejected as `TimestampInSeconds` is a number that would be before 1978, and by its magnitude
/// is of another precision, which the detail names; as `InvalidTimestamp` what is negative, no
/// whole number, before 1978 or after June 2128 otherwise.
pub(crate) fn instant(text: &str, precision: Precision) -> Result<UnixMillis, Rejection> {
    let number: Option<i64> = text.parse().ok().filter(|number| *number >= 0);
    let Some(number) = number else {
        let detail = "the timestamp must be a whole number, not negative, of at most 19 digits";
        return Err(Rejection::new(Reason::InvalidTimestamp, detail));
    };
    let (millis, guess) = (precision.millis(number), Precision::of(number));
    if (FIRST_MS..END_MS).contains(&millis) {
        return UnixMillis::new(millis).ok_or_else(|| absurd(None));
    }
    // No precision fits a time since the device's start.
    let fitting = Some(guess).filter(|guess| (FIRST_MS..END_MS).contains(&guess.millis(number)));
    Err(match fitting {
        Some(guess) if millis < FIRST_MS => {
            let (given, fits) = (precision.name(), guess.name());
            let detail = format!(
                "the timestamp would be before 1978 with precision {given}; by its magnitude it \
                 is of precision {fits}"
            );
            Rejection::new(Reason::TimestampInSeconds, detail)
        }
        fitting => absurd(fitting),
    })
}

/// The rejection of a time that no reading has, and the precision that would give it one.
fn absurd(fitting: Option<Precision>) -> Rejection {
    let range = "the timestamp must be from 1978 to June 2128";
    Rejection::new(
        Reason::InvalidTimestamp,
        match fitting {
            Some(fits) => {
                format!("{range}; by its magnitude it is of precision {}", fits.name()).into()
            }
            None => std::borrow::Cow::Borrowed(range),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, precision: &str) -> Result<i64, (Reason, String)> {
        instant(text, Precision::parse(precision).unwrap())
            .map(UnixMillis::get)
            .map_err(|rejection| (rejection.reason, rejection.detail.into_owned()))
    }

    #[test]
    fn every_name_of_a_precision_is_known() {
        for (names, number) in [
            (&["n", "ns", "nanosecond"][..], "1795647000123999999"),
            (&["u", "us", "µ", "μ", "microsecond"], "1795647000123999"),
            (&["ms", "millisecond"], "1795647000123"),
        ] {
            for name in names {
                assert_eq!(told(number, name), Ok(1_795_647_000_123), "{name}");
            }
            assert_eq!(told(number, "auto"), Ok(1_795_647_000_123));
        }
        for name in ["s", "second", "auto"] {
            assert_eq!(told("1795647000", name), Ok(1_795_647_000_000), "{name}");
        }
        assert_eq!(told("29927450", "m"), Ok(1_795_647_000_000));
        assert_eq!(told("498790", "h"), Ok(1_795_644_000_000));
        for name in ["", "S", "min", "ps", "d", "w", "hour", "minute", "nanoseconds"] {
            assert_eq!(Precision::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_magnitude_tells_where_nothing_is_said() {
        for (number, millis) in [
            ("252460800", 252_460_800_000),
            ("4999999999", 4_999_999_999_000),
            ("252460800000", 252_460_800_000),
            ("4999999999999", 4_999_999_999_999),
            ("252460800000000", 252_460_800_000),
            ("4999999999999999", 4_999_999_999_999),
            ("252460800000000000", 252_460_800_000),
            ("4999999999999999999", 4_999_999_999_999),
        ] {
            assert_eq!(told(number, "auto"), Ok(millis), "{number}");
        }
        let outside = [
            "0",
            "1",
            "252460799",
            "5000000000",
            "252460799999",
            "5000000000000",
            "252460799999999",
            "5000000000000000",
            "5000000000000000000",
            "9223372036854775807",
        ];
        for number in outside {
            let (reason, detail) = told(number, "auto").unwrap_err();
            assert_eq!(reason, Reason::InvalidTimestamp, "{number}");
            assert!(detail.ends_with("June 2128"), "{detail}");
        }
    }

    #[test]
    fn a_precision_that_gives_1970_is_told_which_one_fits() {
        for (number, given, fits) in [
            ("1795647000", "ns", "s"),
            ("1795647000", "us", "s"),
            ("1795647000", "ms", "s"),
            ("1795647000123", "ns", "ms"),
            ("1795647000123", "us", "ms"),
            ("1795647000123456", "ns", "us"),
        ] {
            let (reason, detail) = told(number, given).unwrap_err();
            assert_eq!(reason, Reason::TimestampInSeconds, "{number} {given}");
            let said = format!("precision {given}; by its magnitude it is of precision {fits}");
            assert!(detail.ends_with(&said), "{detail}");
        }
        // Uptimes fit none.
        for given in ["ns", "us", "ms", "s", "auto"] {
            assert_eq!(told("86400", given).unwrap_err().0, Reason::InvalidTimestamp, "{given}");
        }
    }

    #[test]
    fn what_is_far_ahead_or_no_number_is_no_time() {
        for (number, given, fits) in [
            ("1795647000123", "s", "ms"),
            ("1795647000", "m", "s"),
            ("1795647000", "h", "s"),
            ("1795647000123456789", "ms", "ns"),
            ("1795647000123456789", "h", "ns"),
        ] {
            let (reason, detail) = told(number, given).unwrap_err();
            assert_eq!(reason, Reason::InvalidTimestamp, "{number} {given}");
            assert!(detail.ends_with(&format!("it is of precision {fits}")), "{detail}");
        }
        for text in ["", "-1", "-1795647000", "1.5", "x", "99999999999999999999", "1e9", " 1"] {
            for given in ["auto", "s", "ns"] {
                assert_eq!(told(text, given).unwrap_err().0, Reason::InvalidTimestamp, "{text}");
            }
        }
    }
}
