//! The Gregorian calendar, in days since 1970-01-01. Integers without a range to leave:
//! of years that a client can name, no day overflows.

/// A day's year, month (1 to 12) and day of the month (1 to 31).
pub(crate) type Date = (i64, i64, i64);

/// Seconds in a day of 24 hours.
pub(crate) const DAY_S: i64 = 86_400;

/// The day of a date. A month above 12 or a day above the month's last one is that many
/// months or days further.
pub(crate) fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    // Counted from March, so that the leap day is a year's last.
    let month = (month - 3).rem_euclid(12);
    let year = if month < 10 { year } else { year - 1 };
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let leap_days = in_era / 4 - in_era / 100;
    era * 146_097 + in_era * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The date of a day.
pub(crate) fn date_of(day: i64) -> Date {
    let day = day + 719_468;
    let (era, in_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let year = era * 400 + year + i64::from(month > 9);
    (year, (month + 2) % 12 + 1, in_year - (153 * month + 2) / 5 + 1)
}

/// How many days a month has.
pub(crate) fn days_in(year: i64, month: i64) -> i64 {
    day_of(year, month + 1, 1) - day_of(year, month, 1)
}

/// The day of the week, 0 (Sunday) to 6.
pub(crate) fn weekday(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// The same day of the month so many months later, or that month's last day if it is
/// shorter.
pub(crate) fn months_later(day: i64, months: i64) -> i64 {
    let (year, month, of_month) = date_of(day);
    let month = month + months;
    day_of(year, month, of_month.min(days_in(year, month)))
}

/// The day of `2026-11-25`, of the years 1970 to 9999.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let number = |digits: &str, length: usize| {
        let is_number = digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|_| is_number)
    };
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let date = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let number = day_of(date.0, date.1, date.2);
    (date.0 >= 1970 && date_of(number) == date).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_day_of_four_centuries_is_that_of_another_calendar() {
        let first = time::Date::from_calendar_date(1899, time::Month::January, 1).unwrap();
        let mut date = first;
        while date.year() < 2301 {
            let day = i64::from(date.to_julian_day()) - 2_440_588;
            let parts = (date.year().into(), u8::from(date.month()).into(), date.day().into());
            assert_eq!(date_of(day), parts);
            assert_eq!(day_of(parts.0, parts.1, parts.2), day);
            assert_eq!(weekday(day), i64::from(date.weekday().number_days_from_sunday()));
            date = date.next_day().unwrap();
        }
    }

    #[test]
    fn a_date_is_four_digits_two_and_two_and_exists() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("2024-02-29"), Some(day_of(2024, 2, 29)));
        assert_eq!(parse_date("9999-12-31"), Some(day_of(9999, 12, 31)));
        for bad in [
            "",
            "2026",
            "2026-11",
            "2023-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-11-00",
            "2026-11-31",
            "26-11-25",
            "2026-1-1",
            "+026-11-25",
            "2026-11-25T",
            "1969-12-31",
            "2026-11-25-1",
            "２026-11-2",
        ] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_month_later_is_the_same_day_or_the_last() {
        for (from, months, to) in [
            ("2026-01-15", 1, "2026-02-15"),
            ("2026-01-31", 1, "2026-02-28"),
            ("2028-01-31", 1, "2028-02-29"),
            ("2026-01-31", 2, "2026-03-31"),
            ("2026-12-01", 1, "2027-01-01"),
            ("2028-02-29", 12, "2029-02-28"),
            ("2026-01-31", -2, "2025-11-30"),
            ("2026-01-01", -13, "2024-12-01"),
        ] {
            let later = months_later(parse_date(from).unwrap(), months);
            assert_eq!(Some(later), parse_date(to), "{from} {months}");
        }
    }

    proptest! {
        #[test]
        fn a_date_comes_back(day in -10_000_000_000_i64..10_000_000_000) {
            let (year, month, of_month) = date_of(day);
            prop_assert!((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&of_month));
            prop_assert_eq!(day_of(year, month, of_month), day);
        }
    }
}
