//! Days in Berlin, by the rule of the European Union and in plain code: the application
//! has them from the tz database.

use crate::support::readings::{DAY, HOUR};

/// The year and the day of the year, from 0, of a day since 1970.
fn year_of(day: i64) -> (i64, i64) {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (mut year, mut left) = (1970, day);
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if left < days {
            // From March on, all years are those without a leap day.
            return (year, if is_leap(year) { left - 1 } else { left });
        }
        (year, left) = (year + 1, left - days);
    }
}

/// How far the clocks there are ahead of UTC, in milliseconds.
fn ahead(at: i64) -> i64 {
    let day = at.div_euclid(DAY);
    let (_, of_year) = year_of(day);
    // 31 March and 31 October, from 0, without a leap day.
    let last_sunday = |last_of_month: i64| {
        let last = day - of_year + last_of_month;
        // 1 January 1970 was a Thursday.
        last - (last + 4).rem_euclid(7)
    };
    let change = |last_of_month| last_sunday(last_of_month) * DAY + HOUR;
    if (change(89)..change(303)).contains(&at) { 2 * HOUR } else { HOUR }
}

/// The begin and the end of the day there that `at` is in.
fn day_in_berlin(at: i64) -> (i64, i64) {
    let local = (at + ahead(at)).div_euclid(DAY);
    let midnight = |day: i64| {
        // Clocks change at one o'clock UTC, and so an hour before that is as at midnight.
        let at = day * DAY - HOUR;
        if ahead(at - HOUR) == 2 * HOUR { at - HOUR } else { at }
    };
    (midnight(local), midnight(local + 1))
}

/// The same of the day before.
pub(super) fn yesterday_in_berlin(at: i64) -> (i64, i64) {
    day_in_berlin(day_in_berlin(at).0 - 1)
}

#[test]
fn days_in_berlin_are_those_of_its_clocks() {
    let at = |text: &str| isotherm::UnixMillis::parse_rfc3339(text).unwrap().get();
    for (now, from, to) in [
        ("2026-11-26T07:20:30Z", "2026-11-25T23:00:00Z", "2026-11-26T23:00:00Z"),
        ("2026-11-26T23:30:00Z", "2026-11-26T23:00:00Z", "2026-11-27T23:00:00Z"),
        ("2026-07-01T22:30:00Z", "2026-07-01T22:00:00Z", "2026-07-02T22:00:00Z"),
        ("2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("2028-03-26T00:30:00Z", "2028-03-25T23:00:00Z", "2028-03-26T22:00:00Z"),
        ("2028-02-29T12:00:00Z", "2028-02-28T23:00:00Z", "2028-02-29T23:00:00Z"),
    ] {
        assert_eq!(day_in_berlin(at(now)), (at(from), at(to)), "{now}");
    }
}
