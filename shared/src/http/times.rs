//! The times in a query: instants, local dates, and words that mean one.

use crate::domain::calendar::parse_date;
use crate::domain::duration::parse_duration_ms;
use crate::domain::reading::{Seems, UnixMillis};
use crate::domain::zone::Zone;
use crate::http::{Kind, Problem};

/// What local dates and words depend on: the node's clock, and a time zone.
#[derive(Clone, Copy)]
pub(crate) struct Clock<'z> {
    pub(crate) now: UnixMillis,
    pub(crate) zone: &'z Zone,
}

impl Clock<'_> {
    /// Parses an instant: Unix milliseconds, RFC 3339, a local date, `today`, `yesterday`,
    /// `tomorrow`, `now`, or a time before now like `-24h`. A date is its midnight.
    pub(crate) fn instant(self, name: &str, text: &str) -> Result<UnixMillis, Problem> {
        let millis: Option<UnixMillis> = text.parse().ok().and_then(UnixMillis::new);
        // 0 is allowed although it looks like seconds: it is the beginning of time.
        if millis.is_some_and(|at| at != UnixMillis::MIN && at.seems() != Seems::Milliseconds) {
            let detail =
                format!("{name} looks like seconds; it must be Unix milliseconds, or RFC 3339");
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        let found = millis.or_else(|| UnixMillis::parse_rfc3339(text));
        found.or_else(|| self.of_word(text)).ok_or_else(|| {
            // In a query, an unescaped plus sign is a space.
            let hint = if text.contains(' ') { "; write + as %2B" } else { "" };
            let detail = format!(
                "{name} must be Unix milliseconds, RFC 3339 like 2026-11-22T10:00:00Z, a local \
                 date like 2026-11-22, today, yesterday, tomorrow, now, or a time before now like \
                 -24h or -7d{hint}"
            );
            Problem::new(Kind::BadParameter, detail)
        })
    }

    fn of_word(self, text: &str) -> Option<UnixMillis> {
        if let Some(day) = parse_date(text) {
            return Some(self.zone.midnight(day));
        }
        let days = match text {
            "now" => return Some(self.now),
            "yesterday" => -1,
            "today" => 0,
            "tomorrow" => 1,
            _ => {
                let ms = parse_duration_ms(text.strip_prefix('-')?)?;
                return Some(self.now.saturating_sub(ms));
            }
        };
        Some(self.zone.midnight(self.zone.day(self.now) + days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_instant_a_local_date_or_a_word() {
        let zone = Zone::from_rule("<+0545>-5:45").unwrap();
        let at = |text: &str| UnixMillis::parse_rfc3339(text).unwrap();
        // 0:10 of 26 November there.
        let clock = Clock { now: at("2026-11-25T18:25:30.5Z"), zone: &zone };
        for (text, expected) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("1700000000000", "2023-11-14T22:13:20Z"),
            ("2026-11-25T10:00:00+01:00", "2026-11-25T09:00:00Z"),
            ("2026-11-25", "2026-11-24T18:15:00Z"),
            ("today", "2026-11-25T18:15:00Z"),
            ("yesterday", "2026-11-24T18:15:00Z"),
            ("tomorrow", "2026-11-26T18:15:00Z"),
            ("now", "2026-11-25T18:25:30.5Z"),
            ("-90m", "2026-11-25T16:55:30.5Z"),
            ("-24h", "2026-11-24T18:25:30.5Z"),
            ("-7d", "2026-11-18T18:25:30.5Z"),
            ("-36500d", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(clock.instant("from", text).ok(), Some(at(expected)), "{text}");
        }
        for bad in [
            "",
            "1700000000",
            "-5",
            "-1mo",
            "-d",
            "--1h",
            "24h",
            "+24h",
            "Today",
            "2026-11",
            "2026-11-31",
            "2026-11-25T10:00",
            "2026-11-25T10:00:00 01:00",
            "1969-12-31",
        ] {
            assert!(clock.instant("from", bad).is_err(), "{bad}");
        }
        let problem = clock.instant("to", "soon").unwrap_err();
        for form in ["to must be", "milliseconds", "RFC 3339", "2026-11-22,", "yesterday", "-24h"] {
            assert!(problem.detail().contains(form), "{form}: {}", problem.detail());
        }
    }
}
