//! The steps of a series: fixed ones in minutes, and those of a calendar, which are local:
//! a day has 23, 24, 24.5 or 25 hours there, and a month 28 to 31 days.

use crate::domain::calendar::{DAY_S, date_of, day_of, months_later};
use crate::domain::duration::parse_duration_ms;
use crate::domain::range::Range;
use crate::domain::reading::UnixMillis;
use crate::domain::zone::Zone;
use crate::limits;

/// The length of each window of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    count: i64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Minute,
    Day,
    Week,
    Month,
    Year,
}

/// Minutes in a day of 24 hours.
const DAY_MINUTES: i64 = DAY_S / 60;

impl Step {
    /// What a step may be, for people.
    pub(crate) const FORMS: &str = "a whole number of minutes from 1m to 8784h, like 15m or 6h, \
         or local days, weeks, months or years from 1d to 366d, 1w to 52w, 1mo to 120mo, or 1y \
         to 10y";

    /// An hour.
    pub(crate) const HOUR: Self = Self { count: 60, unit: Unit::Minute };

    /// Parses `15m`, `6h`, `1d`, `1w`, `1mo` or `1y`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(digits)?;
        let (unit, most) = match unit {
            "d" => (Unit::Day, limits::STEP_DAYS_MAX),
            "w" => (Unit::Week, limits::STEP_WEEKS_MAX),
            "mo" => (Unit::Month, limits::STEP_MONTHS_MAX),
            "y" => (Unit::Year, limits::STEP_YEARS_MAX),
            _ => (Unit::Minute, limits::WINDOW_MINUTES_MAX),
        };
        let count = match unit {
            Unit::Minute => {
                let ms = parse_duration_ms(text).filter(|ms| ms % UnixMillis::PER_MINUTE == 0)?;
                ms / UnixMillis::PER_MINUTE
            }
            _ => number.parse().ok()?,
        };
        (1..=most).contains(&count).then_some(Self { count, unit })
    }

    /// The length of every step in milliseconds; `None` if they differ.
    pub(crate) fn ms(self, zone: &Zone) -> Option<i64> {
        let minutes = match self.unit {
            Unit::Minute => 1,
            Unit::Day if zone.is_fixed() => DAY_MINUTES,
            Unit::Week if zone.is_fixed() => 7 * DAY_MINUTES,
            _ => return None,
        };
        Some(self.count * minutes * UnixMillis::PER_MINUTE)
    }

    /// The local time so many steps after `local_s`, or before it.
    fn later(self, local_s: i64, steps: i64) -> i64 {
        let count = self.count * steps;
        let months = match self.unit {
            Unit::Minute => return local_s + count * 60,
            Unit::Day => return local_s + count * DAY_S,
            Unit::Week => return local_s + count * 7 * DAY_S,
            Unit::Month => count,
            Unit::Year => count * 12,
        };
        let (day, of_day_s) = (local_s.div_euclid(DAY_S), local_s.rem_euclid(DAY_S));
        months_later(day, months) * DAY_S + of_day_s
    }

    /// Cuts a range into steps from its start, at most so many. The last one may be
    /// shorter. A calendar's step begins at the local time of the range's start. One of a
    /// date that there is not, as the clock was set past it, is left out.
    pub(crate) fn cut(self, zone: &Zone, range: Range, most: usize) -> Vec<Range> {
        let [mut begin, to] = range.edges();
        let first = begin;
        let first_s = match range.from() {
            // The beginning of time, wherever that is in a local day.
            UnixMillis::MIN => 0,
            from => zone.local_minute_s(from),
        };
        let (mut steps, mut number) = (Vec::new(), 0);
        while begin < to && steps.len() < most {
            let end = match self.unit {
                Unit::Minute => first + self.count * number,
                _ => zone.minute_of(self.later(first_s, number)),
            };
            let end = end.min(to);
            steps.extend(Range::of_minutes(begin, end));
            begin = begin.max(end);
            number += 1;
        }
        steps
    }

    /// The default end of a range, after `now`: that of the step of the clock that `now` is
    /// in (UTC, the day at the latest), or of its local day, week (from Monday), month or
    /// year. So the windows stay the same until the next one begins.
    pub(crate) fn default_to(self, zone: &Zone, now: UnixMillis) -> UnixMillis {
        let day = zone.day(now);
        let next = match self.unit {
            Unit::Minute => {
                let unit = self.count.min(DAY_MINUTES);
                let to = (now.minute() + unit) / unit * unit;
                return UnixMillis::from_minute(to, 0).unwrap_or(now);
            }
            Unit::Day => day + 1,
            // 1970 began on a Thursday.
            Unit::Week => day + 7 - (day + 3).rem_euclid(7),
            Unit::Month => day_of(date_of(day).0, date_of(day).1 + 1, 1),
            Unit::Year => day_of(date_of(day).0 + 1, 1, 1),
        };
        zone.midnight(next)
    }

    /// The default start of a range that ends there: a day before, or one step if it is
    /// longer.
    pub(crate) fn default_from(self, zone: &Zone, to: UnixMillis) -> UnixMillis {
        match self.unit {
            Unit::Minute => {
                let minutes = self.count.max(DAY_MINUTES);
                to.saturating_sub(minutes * UnixMillis::PER_MINUTE)
            }
            _ => {
                let minute = zone.minute_of(self.later(zone.local_minute_s(to), -1)).max(0);
                UnixMillis::from_minute(minute, 0).unwrap_or(UnixMillis::MIN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn step(text: &str) -> Step {
        Step::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn berlin() -> Zone {
        Zone::from_rule("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    /// Where the steps begin, and where the last one ends.
    fn edges(text: &str, zone: &Zone, from: &str, to: &str) -> Vec<String> {
        let range = Range::covering(at(from), at(to)).unwrap();
        let steps = step(text).cut(zone, range, 1_000);
        assert!(steps.is_sorted_by(|a, b| a.to() == b.from()), "no gap: {steps:?}");
        let begins = steps.iter().map(Range::from).chain(steps.last().map(Range::to));
        begins.map(|at| at.to_string().replace(":00.000Z", "")).collect()
    }

    #[test]
    fn a_step_is_a_number_with_a_unit_up_to_its_bound() {
        for text in [
            "1m", "15m", "6h", "120s", "60000ms", "8784h", "1d", "366d", "1w", "52w", "1mo",
            "120mo", "1y", "10y",
        ] {
            assert!(Step::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "0",
            "60",
            "90s",
            "0m",
            "0d",
            "8785h",
            "367d",
            "53w",
            "121mo",
            "11y",
            "m",
            "mo",
            "-1d",
            "1.5d",
            "1M",
            "1 d",
            "+1d",
            "1d1h",
            "99999999999999999999y",
        ] {
            assert_eq!(Step::parse(text), None, "{text}");
        }
    }

    #[test]
    fn local_days_are_as_long_as_they_are() {
        let zone = berlin();
        for (from, to, expected) in [
            (
                "2026-03-27T23:00:00Z",
                "2026-03-30T22:00:00Z",
                ["2026-03-27T23:00", "2026-03-28T23:00", "2026-03-29T22:00", "2026-03-30T22:00"],
            ),
            (
                "2026-10-23T22:00:00Z",
                "2026-10-26T23:00:00Z",
                ["2026-10-23T22:00", "2026-10-24T22:00", "2026-10-25T23:00", "2026-10-26T23:00"],
            ),
        ] {
            assert_eq!(edges("1d", &zone, from, to), expected);
        }
        // From half past two, which there is not on 29 March, and twice on 25 October.
        let expected = ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"];
        let found = edges("1d", &zone, "2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z");
        assert_eq!(found, expected);
        let expected = ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"];
        let found = edges("1d", &zone, "2026-10-24T00:30:00Z", "2026-10-26T01:30:00Z");
        assert_eq!(found, expected);
    }

    #[test]
    fn weeks_months_and_years_begin_where_the_first_one_does() {
        let zone = berlin();
        let expected = ["2026-03-22T23:00", "2026-03-29T22:00", "2026-04-05T22:00"];
        let found = edges("1w", &zone, "2026-03-22T23:00:00Z", "2026-04-05T22:00:00Z");
        assert_eq!(found, expected);
        let expected = ["2026-02-28T23:00", "2026-03-31T22:00", "2026-04-30T22:00"];
        let found = edges("1mo", &zone, "2026-02-28T23:00:00Z", "2026-04-30T22:00:00Z");
        assert_eq!(found, expected);
        let expected = ["2026-01-31T00:00", "2026-02-28T00:00", "2026-03-31T00:00"];
        let utc = Zone::utc();
        let found = edges("1mo", &utc, "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z");
        assert_eq!(found, expected);
        let expected = ["2024-02-29T00:00", "2025-02-28T00:00", "2026-02-10T00:00"];
        let found = edges("1y", &utc, "2024-02-29T00:00:00Z", "2026-02-10T00:00:00Z");
        assert_eq!(found, expected);
    }

    #[test]
    fn fixed_steps_and_the_days_of_utc_are_as_long_as_each_other() {
        for (fixed, calendar) in [("24h", "1d"), ("48h", "2d"), ("168h", "1w")] {
            for from in ["2026-03-27T00:00:00Z", "2026-03-27T10:17:00Z"] {
                let of = |text| edges(text, &Zone::utc(), from, "2026-04-20T05:00:00Z");
                assert_eq!(of(fixed), of(calendar));
            }
            let ms = |text| step(text).ms(&Zone::utc());
            assert_eq!(ms(fixed), ms(calendar));
            assert_eq!(step(calendar).ms(&berlin()), None);
        }
        assert_eq!(step("15m").ms(&berlin()), Some(900_000));
        assert_eq!(step("1mo").ms(&Zone::utc()), None);
        assert_eq!(edges("2h", &berlin(), "2026-03-29T00:00:00Z", "2026-03-29T05:00:00Z").len(), 4);
    }

    #[test]
    fn the_default_range_is_the_calendars_unit_that_now_is_in() {
        let now = at("2026-11-25T22:59:59.999Z");
        for (text, zone, from, to) in [
            ("1h", Zone::utc(), "2026-11-24T23:00:00Z", "2026-11-25T23:00:00Z"),
            ("1d", Zone::utc(), "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"),
            ("72h", Zone::utc(), "2026-11-23T00:00:00Z", "2026-11-26T00:00:00Z"),
            ("1d", berlin(), "2026-11-24T23:00:00Z", "2026-11-25T23:00:00Z"),
            ("3d", berlin(), "2026-11-22T23:00:00Z", "2026-11-25T23:00:00Z"),
            // Monday, 23 November.
            ("1w", berlin(), "2026-11-22T23:00:00Z", "2026-11-29T23:00:00Z"),
            ("1mo", berlin(), "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"),
            ("2mo", berlin(), "2026-09-30T22:00:00Z", "2026-11-30T23:00:00Z"),
            ("1y", berlin(), "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"),
        ] {
            let (step, from, to) = (step(text), at(from), at(to));
            assert_eq!(step.default_to(&zone, now), to, "{text}");
            assert_eq!(step.default_from(&zone, to), from, "{text}");
        }
        let first = step("1y").default_from(&berlin(), at("1970-02-01T00:00:00Z"));
        assert_eq!(first, UnixMillis::MIN);
    }

    #[test]
    fn from_the_beginning_of_time_the_first_day_may_be_shorter() {
        for (rule, expected) in [
            ("CET-1", ["1970-01-01T00:00", "1970-01-01T23:00", "1970-01-02T23:00"]),
            ("EST5", ["1970-01-01T00:00", "1970-01-01T05:00", "1970-01-02T05:00"]),
            ("UTC0", ["1970-01-01T00:00", "1970-01-02T00:00", "1970-01-03T00:00"]),
        ] {
            let zone = Zone::from_rule(rule).unwrap();
            let found = edges("1d", &zone, "1970-01-01T00:00:00Z", "1970-02-01T05:00:00Z");
            assert_eq!(found[..3], expected, "{rule}");
        }
    }

    #[test]
    fn all_of_time_is_cut_into_as_many_steps_as_are_wanted() {
        let all = Range::covering(UnixMillis::MIN, UnixMillis::MAX).unwrap();
        assert_eq!(step("1m").cut(&Zone::utc(), all, 10).len(), 10);
        let years = step("10y").cut(&berlin(), all, 10_000);
        // The last one begins in the year 10000 of Berlin.
        assert_eq!(years.len(), 804);
        assert_eq!(years.last().map(Range::to), Some(all.to()));
    }
}
