//! Rules of time zones, as POSIX writes them in the variable `TZ`:
//! `CET-1CEST,M3.5.0,M10.5.0/3`. Zone files end with one, for the time after their last
//! change.

use crate::domain::calendar::{DAY_S, date_of, day_of, days_in, weekday};

/// Which offset holds when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Always this, in seconds east of UTC.
    Fixed(i64),
    /// One for a part of each year.
    Yearly(Yearly),
}

/// Two offsets in seconds east of UTC, and when each begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Yearly {
    standard_s: i64,
    summer_s: i64,
    summer_begins: Moment,
    summer_ends: Moment,
}

/// A time of each year, on the clock that holds before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    day: YearDay,
    /// Seconds after the day's midnight; up to a week before or after it.
    time_s: i64,
}

/// A day of each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum YearDay {
    /// `M3.5.0`: the last Sunday of March. Weeks are 1 to 5, where 5 is the last.
    Weekday { month: i64, week: i64, weekday: i64 },
    /// `J60`: 1 March, of every year.
    WithoutLeapDay(i64),
    /// `59`: 1 March, or 29 February.
    Since(i64),
}

impl YearDay {
    fn in_year(self, year: i64) -> i64 {
        let first = day_of(year, 1, 1);
        match self {
            Self::Since(days) => first + days,
            Self::WithoutLeapDay(day) => {
                first + day - 1 + i64::from(day > 59 && days_in(year, 2) == 29)
            }
            Self::Weekday { month, week, weekday: wanted } => {
                let first = day_of(year, month, 1);
                let day = first + (wanted - weekday(first)).rem_euclid(7) + 7 * (week - 1);
                // Only a fifth week can be beyond the month.
                if day < day_of(year, month + 1, 1) { day } else { day - 7 }
            }
        }
    }
}

impl Yearly {
    /// The changes around this time: when, and whether summer begins. Neighbouring years
    /// are among them, as a moment may be a week away from its day.
    fn changes(&self, at_s: i64) -> [(i64, bool); 6] {
        let (year, ..) = date_of(at_s.div_euclid(DAY_S));
        let in_year = |year: i64, moment: Moment, before_s: i64| {
            moment.day.in_year(year) * DAY_S + moment.time_s - before_s
        };
        let begins = |year| (in_year(year, self.summer_begins, self.standard_s), true);
        let ends = |year| (in_year(year, self.summer_ends, self.summer_s), false);
        let (last, next) = (year - 1, year + 1);
        [begins(last), ends(last), begins(year), ends(year), begins(next), ends(next)]
    }
}

impl Rule {
    /// The offset at this time, in seconds east of UTC.
    pub(crate) fn offset_s(&self, at_s: i64) -> i64 {
        match self {
            Self::Fixed(offset_s) => *offset_s,
            Self::Yearly(yearly) => {
                // Where summer ends when the next one begins, it is always summer.
                let past =
                    yearly.changes(at_s).into_iter().filter(|(change_s, _)| *change_s <= at_s);
                match past.max() {
                    Some((_, true)) => yearly.summer_s,
                    _ => yearly.standard_s,
                }
            }
        }
    }

    /// The first change after this time.
    pub(crate) fn next_change_s(&self, at_s: i64) -> Option<i64> {
        let Self::Yearly(yearly) = self else { return None };
        yearly.changes(at_s).into_iter().map(|(change_s, _)| change_s).filter(|s| *s > at_s).min()
    }

    /// Parses a rule. One with two offsets must say when each begins.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut text = Text(text);
        text.name()?;
        let standard_s = text.offset_s()?;
        if text.0.is_empty() {
            return Some(Self::Fixed(standard_s));
        }
        text.name()?;
        let summer_s = match text.0.first()? {
            b',' => standard_s + 3_600,
            _ => text.offset_s()?,
        };
        let (summer_begins, summer_ends) = (text.moment()?, text.moment()?);
        let rule = Yearly { standard_s, summer_s, summer_begins, summer_ends };
        text.0.is_empty().then_some(Self::Yearly(rule))
    }
}

/// What is left of a rule's text. Each method takes one part of it.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    /// Takes this byte, if it is next.
    fn takes(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes as many bytes as are of this kind.
    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &[u8] {
        let end = self.0.iter().position(|byte| !is_part(*byte)).unwrap_or(self.0.len());
        let (part, rest) = self.0.split_at(end);
        self.0 = rest;
        part
    }

    /// `CET` or `<+0330>`, of at least three characters.
    fn name(&mut self) -> Option<()> {
        let is_quoted = self.takes(b'<');
        let is_part = |byte: u8| match is_quoted {
            true => byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'-',
            false => byte.is_ascii_alphabetic(),
        };
        let is_long = self.take_while(is_part).len() >= 3;
        (is_long && (!is_quoted || self.takes(b'>'))).then_some(())
    }

    /// A number in this range, of at most three digits.
    fn number(&mut self, least: i64, most: i64) -> Option<i64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 3 {
            return None;
        }
        let number = digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        (least..=most).contains(&number).then_some(number)
    }

    /// `2`, `-1:30` or `+167:00:00`, in seconds.
    fn time_s(&mut self, hours_max: i64) -> Option<i64> {
        let is_negative = self.takes(b'-');
        if !is_negative {
            self.takes(b'+');
        }
        let mut time_s = self.number(0, hours_max)? * 3_600;
        if self.takes(b':') {
            time_s += self.number(0, 59)? * 60;
            if self.takes(b':') {
                time_s += self.number(0, 59)?;
            }
        }
        Some(if is_negative { -time_s } else { time_s })
    }

    /// An offset, which is written as what is to be added for UTC.
    fn offset_s(&mut self) -> Option<i64> {
        self.time_s(24).map(|west_s| -west_s)
    }

    /// `,M3.5.0/2`, `,J60` or `,59`. By default it is two o'clock.
    fn moment(&mut self) -> Option<Moment> {
        if !self.takes(b',') {
            return None;
        }
        let day = if self.takes(b'M') {
            let month = self.number(1, 12)?;
            let week = self.takes(b'.').then(|| self.number(1, 5))??;
            let weekday = self.takes(b'.').then(|| self.number(0, 6))??;
            YearDay::Weekday { month, week, weekday }
        } else if self.takes(b'J') {
            YearDay::WithoutLeapDay(self.number(1, 365)?)
        } else {
            YearDay::Since(self.number(0, 365)?)
        };
        let time_s = if self.takes(b'/') { self.time_s(167)? } else { 2 * 3_600 };
        Some(Moment { day, time_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
    }

    /// The Unix seconds of a UTC time.
    fn at(text: &str) -> i64 {
        crate::domain::reading::UnixMillis::parse_rfc3339(text).unwrap().get() / 1_000
    }

    #[test]
    fn an_offset_holds_until_the_second_of_its_change() {
        for (text, change, before, after) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00:00Z", 3_600, 7_200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00:00Z", 7_200, 3_600),
            ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-04-04T15:00:00Z", 39_600, 37_800),
            ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-10-03T15:30:00Z", 37_800, 39_600),
            // Winter as the exception.
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-10-25T01:00:00Z", 3_600, 0),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-03-29T01:00:00Z", 0, 3_600),
            // Hours before and after the day.
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -7_200, -3_600),
            ("IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-27T00:00:00Z", 7_200, 10_800),
            ("AAA3BBB,M1.1.1/-167,J1/+167:59:59", "2025-12-29T04:00:00Z", -10_800, -7_200),
            // Days by number: 1 March, or the 60th day.
            ("AAA0BBB,J60/0,J300", "2028-03-01T00:00:00Z", 0, 3_600),
            ("AAA0BBB,59/0,J300", "2028-02-29T00:00:00Z", 0, 3_600),
            ("AAA0BBB,59/0,J300", "2027-03-01T00:00:00Z", 0, 3_600),
        ] {
            let change_s = at(change);
            assert_eq!(rule(text).offset_s(change_s - 1), before, "before {change}, {text}");
            assert_eq!(rule(text).offset_s(change_s), after, "from {change}, {text}");
            assert_eq!(rule(text).next_change_s(change_s - 1), Some(change_s), "{text}");
        }
    }

    #[test]
    fn summer_that_ends_when_it_begins_is_for_ever() {
        let always = rule("EST5EDT,0/0,J365/25");
        for second in [0, 1_767_243_599, 1_767_243_600, 1_767_247_200, 1_780_000_000] {
            assert_eq!(always.offset_s(second), -4 * 3_600, "{second}");
        }
    }

    #[test]
    fn offsets_are_written_west_of_utc() {
        for (text, offset_s) in [
            ("UTC0", 0),
            ("EST5", -18_000),
            ("<+0545>-5:45", 20_700),
            ("<-0330>3:30", -12_600),
            ("LMT-0:0:1", 1),
            ("AAA+24:59:59", -89_999),
        ] {
            assert_eq!(rule(text), Rule::Fixed(offset_s), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for text in [
            "",
            "CE",
            "CET",
            "CET-",
            "CET-1CEST",
            "CET-25",
            "CET-1:60",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M3.5.0,M10.5.0/3 ",
            "CET-1CEST,M3.5.0,M10.5.0,",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1CEST,M3.5.7,M10.5.0",
            "CET-1CEST,M3.0.0,M10.5.0",
            "CET-1CEST,J0,J9",
            "CET-1CEST,J366,J9",
            "CET-1CEST,366,9",
            "CET-1CEST,1/168,9",
            "CET-1CEST,M3.5.0/,M10.5.0",
            "<CET-1",
            "<C>-1",
            "<+1é>-1",
            "CET1000",
            "1CET",
            "CET--1",
            "CET-1CEST,M3.5,M10.5.0",
            "CET-1CEST,M3-5-0,M10.5.0",
            "Europe/Berlin",
        ] {
            assert_eq!(Rule::parse(text.as_bytes()), None, "{text}");
        }
    }
}
