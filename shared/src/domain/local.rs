//! Local times: which instants a clock on the wall can mean, in a time zone.

use crate::domain::zone::OFFSET_S_MAX;
use crate::domain::zone::Zone;
use crate::domain::zone_rule::Rule;

/// The instants at which the clocks of a zone show a local time, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalTime {
    /// The clocks leave it out: they are put forward over it.
    Never,
    /// As nearly every local time.
    Once(i64),
    /// The clocks are put back over it: the first and the second of the two instants.
    Twice(i64, i64),
}

impl Zone {
    /// What names a zone that needs no file, for people.
    pub(crate) const FIXED_FORMS: &str = "UTC, an offset like +05:30, or a rule as in POSIX' \
         variable TZ, like CET-1CEST,M3.5.0,M10.5.0/3";

    /// The zone that needs no file: `UTC`, an offset east of UTC like `+05:30`, or a rule as
    /// POSIX writes it.
    pub fn without_file(text: &str) -> Option<Self> {
        match offset_s(text) {
            _ if text == Self::UTC => Some(Self::utc()),
            Some(offset_s) => Some(Self::of_rule(text, Rule::Fixed(offset_s))),
            None => Self::from_rule(text),
        }
    }

    /// The instants of a local time, exact at the second. A local time is written as Unix
    /// seconds would be, if the zone were UTC.
    pub fn instants(&self, local_s: i64) -> LocalTime {
        // It is earlier than that at the begin, and later at the end, whatever the offset is.
        let mut begin_s = local_s.saturating_sub(OFFSET_S_MAX);
        let end_s = local_s.saturating_add(OFFSET_S_MAX);
        let mut found = LocalTime::Never;
        while begin_s <= end_s {
            let at_s = local_s - self.offset_s(begin_s);
            let next_s = self.next_change_s(begin_s).unwrap_or(i64::MAX);
            if begin_s <= at_s && at_s < next_s {
                found = match found {
                    LocalTime::Never => LocalTime::Once(at_s),
                    LocalTime::Once(first_s) => LocalTime::Twice(first_s, at_s),
                    twice @ LocalTime::Twice(..) => twice,
                };
            }
            begin_s = next_s;
        }
        found
    }
}

/// The seconds of an offset like `+05:30` or `-03:00`, east of UTC; less than a day.
pub(crate) fn offset_s(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = unsigned.split_once(':')?;
    let number = |digits: &str, most: i64| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| is_number && *number <= most)
    };
    let size_s = number(hours, 23)? * 3_600 + number(minutes, 59)? * 60;
    Some(if text.starts_with('-') { -size_s } else { size_s })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LocalTime::{Never, Once, Twice};
    use super::*;
    use crate::domain::reading::UnixMillis;

    /// The Unix seconds of a UTC time.
    fn at(text: &str) -> i64 {
        UnixMillis::parse_rfc3339(text).unwrap().get() / 1_000
    }

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    #[test]
    fn a_local_time_is_once_twice_or_never_to_the_second() {
        let lord_howe = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";
        for (zone, local, expected) in [
            (BERLIN, "2026-11-25T22:50:01Z", Once(at("2026-11-25T21:50:01Z"))),
            (BERLIN, "2026-03-29T01:59:59Z", Once(at("2026-03-29T00:59:59Z"))),
            (BERLIN, "2026-03-29T02:00:00Z", Never),
            (BERLIN, "2026-03-29T02:59:59Z", Never),
            (BERLIN, "2026-03-29T03:00:00Z", Once(at("2026-03-29T01:00:00Z"))),
            (BERLIN, "2026-10-25T01:59:59Z", Once(at("2026-10-24T23:59:59Z"))),
            (
                BERLIN,
                "2026-10-25T02:00:00Z",
                Twice(at("2026-10-25T00:00:00Z"), at("2026-10-25T01:00:00Z")),
            ),
            (
                BERLIN,
                "2026-10-25T02:59:59Z",
                Twice(at("2026-10-25T00:59:59Z"), at("2026-10-25T01:59:59Z")),
            ),
            (BERLIN, "2026-10-25T03:00:00Z", Once(at("2026-10-25T02:00:00Z"))),
            // Half an hour, in the south.
            (lord_howe, "2026-10-04T02:00:00Z", Never),
            (lord_howe, "2026-10-04T02:30:00Z", Once(at("2026-10-03T15:30:00Z"))),
            (
                lord_howe,
                "2026-04-05T01:30:00Z",
                Twice(at("2026-04-04T14:30:00Z"), at("2026-04-04T15:00:00Z")),
            ),
            ("+05:30", "2026-01-01T00:00:00Z", Once(at("2025-12-31T18:30:00Z"))),
            ("-03:30", "2026-01-01T00:00:00Z", Once(at("2026-01-01T03:30:00Z"))),
            ("UTC", "2026-10-25T02:30:00Z", Once(at("2026-10-25T02:30:00Z"))),
            // Summer that never ends, though a rule writes its changes.
            ("EST5EDT,0/0,J365/25", "2026-01-01T00:30:00Z", Once(at("2026-01-01T04:30:00Z"))),
        ] {
            let zone = Zone::without_file(zone).unwrap();
            assert_eq!(zone.instants(at(local)), expected, "{local} in {}", zone.name());
        }
    }

    #[test]
    fn a_zone_needs_no_file_if_it_is_a_rule_or_an_offset() {
        for bad in [
            "",
            "utc",
            "Z",
            "Europe/Berlin",
            "05:30",
            "+5:30",
            "+0530",
            "+24:00",
            "+05:60",
            "+05:3",
            "+-5:30",
            "+05:30 ",
            "CET-1CEST",
        ] {
            assert!(Zone::without_file(bad).is_none(), "{bad}");
        }
        assert_eq!(Zone::without_file("+05:30").map(|zone| zone.offset_s(0)), Some(19_800));
        assert_eq!(Zone::without_file("-12:00").map(|zone| zone.offset_s(0)), Some(-43_200));
    }

    proptest! {
        /// Each second of two days around any change: its local time leads back to it.
        #[test]
        fn each_instant_is_among_those_of_its_local_time(
            year in 2020_i64..2040, day in 0_i64..366, second in 0_i64..86_400,
            zone in prop_oneof![
                Just(BERLIN),
                Just("EST5EDT,M3.2.0,M11.1.0"),
                Just("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"),
                Just("IST-1GMT0,M10.5.0,M3.5.0/1"),
                Just("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"),
            ],
        ) {
            let zone = Zone::without_file(zone).unwrap();
            let start = at(&format!("{year}-01-01T00:00:00Z"));
            let at_s = start + day * 86_400 + second;
            let local_s = at_s + zone.offset_s(at_s);
            match zone.instants(local_s) {
                Never => prop_assert!(false, "{} is never", local_s),
                Once(only_s) => prop_assert_eq!(only_s, at_s),
                Twice(first_s, second_s) => {
                    prop_assert!(first_s < second_s);
                    prop_assert!(at_s == first_s || at_s == second_s);
                }
            }
            // And of any local time, all instants show it.
            let all = match zone.instants(start + day * 86_400 + second) {
                Never => vec![],
                Once(only_s) => vec![only_s],
                Twice(first_s, second_s) => vec![first_s, second_s],
            };
            for instant_s in all {
                let shown = instant_s + zone.offset_s(instant_s);
                prop_assert_eq!(shown, start + day * 86_400 + second);
            }
        }
    }
}
