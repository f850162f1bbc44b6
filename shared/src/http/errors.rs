//! The one table from errors to problems: what a client is told, in two columns
//! (reading, writing).

use crate::error::Error;
use crate::host::StoreErrorKind;
use crate::http::{Kind, Problem, Purpose};
use crate::limits;

/// The table: what a client is told of an error. The cause goes to the log.
impl Problem {
    /// The problem for a client with this purpose.
    pub fn of(error: &Error, purpose: Purpose) -> Self {
        let after = |after_s: i64, detail: String| {
            Self::new(Kind::StoreUnavailable, detail)
                .with_header("retry-after", after_s.to_string())
        };
        let later = |reading: &str, writing: &str| {
            let detail = match purpose {
                Purpose::Reading => format!("{reading}; try again"),
                Purpose::Writing => format!("{writing}; nothing was stored, send it again"),
            };
            after(limits::RETRY_AFTER_S, detail)
        };
        let both = |detail| later(detail, detail);
        match error {
            Error::Journal(_) => both("the journal is unavailable"),
            Error::JournalFull => both("the journal is full until the regions database is back"),
            Error::TooSlow => both("timed out"),
            Error::Regions(cause) if cause.kind == StoreErrorKind::TooLarge => {
                Self::of(&Error::TooMuch { narrow: "ask for less at once" }, purpose)
            }
            Error::DamagedRows(_) => both(
                "a row of the regions database is damaged, which this needs; the operator must \
                 look at the log",
            ),
            error if error.is_damage() => {
                both("the regions database is damaged; the operator must look at the log")
            }
            Error::Regions(_) | Error::Unresponsive { .. } | Error::Corrupt(_) => {
                both("the regions database is unavailable")
            }
            Error::CircuitOpen { retry_after_ms } => {
                let retry_after_s = retry_after_ms.saturating_add(999) / 1_000;
                let problem = both("the regions database is unavailable");
                after(retry_after_s, problem.detail().to_owned())
            }
            Error::NotCountedYet => later(
                "not found so far, but acknowledged readings wait to be counted",
                "acknowledged readings wait to be counted",
            ),
            Error::SchemaTooNew { .. } => {
                both("a newer release wrote the regions database; the operator must deploy that release")
            }
            Error::Assets(_) => both("the file can't be read"),
            Error::Random(_) => both("the runtime gives no random bits"),
            Error::Variables(_) => both("the configuration can't be read"),
            Error::TooMuch { narrow } => Self::new(Kind::TooMuchAsked, *narrow),
            Error::ClockNotSet => Self::new(
                Kind::ClockNotSet,
                "the readings seem to be from the future, as this node's clock is behind; the \
                 operator must set the clock; nothing was stored, send it again",
            )
            .with_header("retry-after", limits::CLOCK_RETRY_AFTER_S.to_string()),
            Error::Misconfigured { variable, .. } => Self::new(
                Kind::Misconfigured,
                format!("the variable {variable} has an invalid value; the operator must correct it (see the log)"),
            )
            .with_header("retry-after", limits::CLOCK_RETRY_AFTER_S.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DamagedRow;
    use crate::host::StoreError;

    #[test]
    fn a_reader_is_never_told_that_nothing_was_kept_and_a_writer_always_is() {
        let store = |message: &str| StoreError::from_message(message);
        let row = DamagedRow { table: "ledger", key: vec![("minute", 7)] };
        for error in [
            Error::Journal(store("x")),
            Error::Regions(store("x")),
            Error::Regions(store("file is not a database")),
            Error::Unresponsive { elapsed_ms: 5 },
            Error::SchemaTooNew { found: 9, known: 5 },
            Error::Corrupt("x"),
            Error::DamagedRows(vec![row]),
            Error::NotCountedYet,
            Error::CircuitOpen { retry_after_ms: 1 },
            Error::TooSlow,
            Error::JournalFull,
            Error::Assets(store("x")),
            Error::Variables(store("x")),
        ] {
            let said = |purpose| Problem::of(&error, purpose).detail().to_owned();
            let (reading, writing) = (said(Purpose::Reading), said(Purpose::Writing));
            assert!(!reading.contains("stored") && reading.contains("try again"), "{reading}");
            assert!(writing.contains("nothing was stored, send it again"), "{writing}");
            let headers = Problem::of(&error, Purpose::Reading).headers().to_vec();
            assert!(headers.iter().any(|(name, _)| *name == "retry-after"), "{error:?}");
        }
        let narrow = Problem::of(&Error::TooMuch { narrow: "narrow it" }, Purpose::Reading);
        assert_eq!((narrow.kind(), narrow.detail()), (Kind::TooMuchAsked, "narrow it"));
        let too_large = Error::Regions(store("query result exceeds limit of 5 bytes"));
        assert_eq!(Problem::of(&too_large, Purpose::Reading).kind(), Kind::TooMuchAsked);
        assert!(!too_large.is_outage(), "the store is well");
    }
}
