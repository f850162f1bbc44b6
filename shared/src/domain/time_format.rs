//! Times as devices write them, described by a subset of C's `strftime`.

use crate::domain::calendar::DAY_S;
use crate::domain::calendar::date_of;
use crate::domain::calendar::day_of;
use crate::domain::calendar::days_in;

/// What stands at one place of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// This character, exactly.
    Literal(char),
    /// The directive with this letter.
    Field(char),
}

/// A format like `%Y-%m-%d %H:%M:%S`, valid by construction: it names a day and an hour, and
/// nothing twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat(Vec<Part>);

/// A time that a format read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenTime {
    /// The local time, as Unix seconds would be if the zone were UTC.
    pub local_s: i64,
    /// Milliseconds into the second, 0 to 999; finer digits are dropped.
    pub ms: i64,
    /// The offset, in seconds east of UTC, if the text has one.
    pub offset_s: Option<i64>,
}

/// The directives that exist.
const LETTERS: &str = "YymbdjHIMSpfz";

/// The names of the months, as C's own locale has them.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl TimeFormat {
    /// Parses a format. The error says what is wrong with it.
    pub fn parse(format: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            parts.push(match (c, chars.clone().next()) {
                ('%', Some('%')) => Part::Literal('%'),
                ('%', Some(letter)) if LETTERS.contains(letter) => Part::Field(letter),
                ('%', _) => {
                    let known = "%Y %y %m %b %d %j %H %I %M %S %p %f %z %%";
                    return Err(format!("has a % without a letter that is known: {known}"));
                }
                (literal, _) => Part::Literal(literal),
            });
            if c == '%' {
                chars.next();
            }
        }
        let format = Self(parts);
        format.fault().map_or(Ok(format), |fault| Err(fault.to_owned()))
    }

    /// Whether a text that it reads has the offset from UTC in it.
    pub fn has_offset(&self) -> bool {
        self.has('z')
    }

    fn has(&self, letter: char) -> bool {
        self.0.contains(&Part::Field(letter))
    }

    /// What keeps it from naming an instant.
    fn fault(&self) -> Option<&'static str> {
        let has = |letter| self.has(letter);
        let is_twice = |letter: char| {
            self.0.iter().filter(|part| **part == Part::Field(letter)).nth(1).is_some()
        };
        if LETTERS.chars().any(is_twice) {
            return Some("has a directive twice");
        }
        if has('Y') == has('y') {
            return Some("must have a year: either %Y or %y");
        }
        let has_month_day = (has('m') != has('b')) && has('d') && !has('j');
        let has_year_day = has('j') && !has('m') && !has('b') && !has('d');
        if !has_month_day && !has_year_day {
            return Some("must have a day: %m or %b, with %d; or %j alone");
        }
        let has_hour = has('H') && !has('I') && !has('p') || has('I') && has('p') && !has('H');
        if !has_hour {
            return Some("must have an hour: either %H, or %I with %p");
        }
        if has('S') && !has('M') || has('f') && !has('S') {
            return Some("must have %M if it has %S, and %S if it has %f");
        }
        None
    }

    /// Reads all of `text`. `None` if it is not as the format says, or is no time of the
    /// calendar.
    pub fn read(&self, text: &str) -> Option<WrittenTime> {
        let mut rest = text;
        let mut fields = Fields::default();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(*literal)?,
                Part::Field(letter) => rest = fields.take(*letter, rest)?,
            }
        }
        if !rest.is_empty() {
            return None;
        }
        fields.time()
    }
}

/// The fields of a time, as they were read.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: i64,
    year_day: i64,
    hour: i64,
    /// The hour of a clock with twelve hours: 0 to 11, after twelve counts as 0.
    half_day_hour: Option<i64>,
    is_afternoon: bool,
    minute: i64,
    second: i64,
    ms: i64,
    offset_s: Option<i64>,
}

impl Fields {
    /// Takes a field from the front of `text`. Returns what is behind it.
    fn take<'t>(&mut self, letter: char, text: &'t str) -> Option<&'t str> {
        let of = |digits, range| number(text, digits, range);
        let rest;
        match letter {
            'Y' => (self.year, rest) = of((4, 4), (1970, 9999))?,
            'y' => {
                let (short, behind) = of((2, 2), (0, 99))?;
                // As POSIX' strptime has it.
                self.year = short + if short < 69 { 2_000 } else { 1_900 };
                rest = behind;
            }
            'm' => {
                let (month, behind) = of((1, 2), (1, 12))?;
                (self.month, rest) = (Some(month), behind);
            }
            'b' => {
                let (name, behind) = text.split_at_checked(3)?;
                let month = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))?;
                (self.month, rest) = (Some(i64::try_from(month).ok()? + 1), behind);
            }
            'd' => (self.day, rest) = of((1, 2), (1, 31))?,
            'j' => (self.year_day, rest) = of((1, 3), (1, 366))?,
            'H' => (self.hour, rest) = of((1, 2), (0, 23))?,
            'I' => {
                let (hour, behind) = of((1, 2), (1, 12))?;
                (self.half_day_hour, rest) = (Some(hour % 12), behind);
            }
            'M' => (self.minute, rest) = of((1, 2), (0, 59))?,
            'S' => (self.second, rest) = of((1, 2), (0, 59))?,
            'p' => {
                let (name, behind) = text.split_at_checked(2)?;
                self.is_afternoon = name.eq_ignore_ascii_case("pm");
                rest = (self.is_afternoon || name.eq_ignore_ascii_case("am")).then_some(behind)?;
            }
            'f' => (self.ms, rest) = fraction_ms(text)?,
            _ => {
                let (offset_s, behind) = offset(text)?;
                (self.offset_s, rest) = (Some(offset_s), behind);
            }
        }
        Some(rest)
    }

    fn time(&self) -> Option<WrittenTime> {
        let day = match self.month {
            Some(month) if self.day <= days_in(self.year, month) => {
                day_of(self.year, month, self.day)
            }
            Some(_) => return None,
            None => day_of(self.year, 1, self.year_day),
        };
        let (year, ..) = date_of(day);
        let afternoon = if self.is_afternoon { 12 } else { 0 };
        let hour = self.half_day_hour.map_or(self.hour, |hour| hour + afternoon);
        let of_day_s = hour * 3_600 + self.minute * 60 + self.second;
        let local_s = day * DAY_S + of_day_s;
        let time = WrittenTime { local_s, ms: self.ms, offset_s: self.offset_s };
        (year == self.year).then_some(time)
    }
}

/// Takes a number of so many digits, least and most, in a range.
fn number(text: &str, digits: (usize, usize), range: (i64, i64)) -> Option<(i64, &str)> {
    let count = text.bytes().take(digits.1).take_while(u8::is_ascii_digit).count();
    let (figures, rest) = text.split_at_checked(count)?;
    let number = figures.parse().ok()?;
    (count >= digits.0 && (range.0..=range.1).contains(&number)).then_some((number, rest))
}

/// Takes the digits of a fraction of a second, at least one.
fn fraction_ms(text: &str) -> Option<(i64, &str)> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(count).filter(|_| count > 0)?;
    let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(3);
    Some((padded.fold(0, |ms, digit| ms * 10 + i64::from(digit & 15)), rest))
}

/// Takes `Z`, `+01`, `+0100` or `+01:00`, in seconds.
fn offset(text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    let unsigned = text.strip_prefix(['+', '-'])?;
    let (hours, rest) = number(unsigned, (2, 2), (0, 23))?;
    let behind_colon = rest.strip_prefix(':');
    let (minutes, rest) = match number(behind_colon.unwrap_or(rest), (2, 2), (0, 59)) {
        Some(taken) => taken,
        None if behind_colon.is_none() && !rest.starts_with(|c: char| c.is_ascii_digit()) => {
            (0, rest)
        }
        None => return None,
    };
    let size_s = hours * 3_600 + minutes * 60;
    Some((if text.starts_with('-') { -size_s } else { size_s }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::reading::UnixMillis;

    fn read(format: &str, text: &str) -> Option<WrittenTime> {
        TimeFormat::parse(format).unwrap().read(text)
    }

    fn local(text: &str) -> i64 {
        UnixMillis::parse_rfc3339(text).unwrap().get() / 1_000
    }

    #[test]
    fn times_are_read_as_the_format_says() {
        for (format, text, expected, ms, offset_s) in [
            ("%Y-%m-%d %H:%M:%S", "2026-11-25 22:50:01", "2026-11-25T22:50:01Z", 0, None),
            ("%Y-%m-%dT%H:%M:%S", "2026-11-25T22:50:01", "2026-11-25T22:50:01Z", 0, None),
            ("%Y%m%d%H%M%S", "20261125225001", "2026-11-25T22:50:01Z", 0, None),
            ("%d.%m.%y %H:%M", "5.1.26 7:05", "2026-01-05T07:05:00Z", 0, None),
            ("%m/%d/%y %I:%M:%S %p", "11/25/26 12:00:01 AM", "2026-11-25T00:00:01Z", 0, None),
            ("%m/%d/%y %I:%M:%S %p", "11/25/26 12:00:01 pm", "2026-11-25T12:00:01Z", 0, None),
            ("%m/%d/%y %I:%M:%S %p", "11/25/26 11:59:59 PM", "2026-11-25T23:59:59Z", 0, None),
            ("%d-%b-%Y %H:%M", "25-Nov-2026 22:50", "2026-11-25T22:50:00Z", 0, None),
            ("%Y/%j %H", "2028/366 01", "2028-12-31T01:00:00Z", 0, None),
            ("%Y/%j %H", "2028/60 01", "2028-02-29T01:00:00Z", 0, None),
            ("%y%m%d %H", "700101 00", "1970-01-01T00:00:00Z", 0, None),
            ("%Y-%m-%dT%H:%M:%S.%f", "2026-11-25T22:50:01.5", "2026-11-25T22:50:01Z", 500, None),
            (
                "%Y-%m-%dT%H:%M:%S.%f%z",
                "2026-11-25T22:50:01.123999+0100",
                "2026-11-25T22:50:01Z",
                123,
                Some(3_600),
            ),
            ("%Y-%m-%d %H%z", "2026-11-25 22-03:30", "2026-11-25T22:00:00Z", 0, Some(-12_600)),
            ("%Y-%m-%d %H%z", "2026-11-25 22+05", "2026-11-25T22:00:00Z", 0, Some(18_000)),
            ("%Y-%m-%d %H%z", "2026-11-25 22Z", "2026-11-25T22:00:00Z", 0, Some(0)),
            ("%Y%% %m-%d %H", "2026% 11-25 22", "2026-11-25T22:00:00Z", 0, None),
        ] {
            let expected = WrittenTime { local_s: local(expected), ms, offset_s };
            assert_eq!(read(format, text), Some(expected), "{format} {text}");
        }
    }

    #[test]
    fn what_is_not_as_the_format_says_is_no_time() {
        let plain = "%Y-%m-%d %H:%M:%S";
        for (format, text) in [
            (plain, ""),
            (plain, "now"),
            (plain, "2026-11-25T22:50:01"),
            (plain, "2026-11-25  22:50:01"),
            (plain, "2026-11-25 22:50:01Z"),
            (plain, "2026-11-25 22:50:1x"),
            (plain, "2026-11-25 22:50:60"),
            (plain, "2026-11-25 24:00:00"),
            (plain, "2026-13-25 22:50:01"),
            (plain, "2026-00-25 22:50:01"),
            (plain, "2026-11-31 22:50:01"),
            (plain, "2026-02-29 22:50:01"),
            (plain, "2100-02-29 22:50:01"),
            (plain, "1969-12-31 22:50:01"),
            (plain, "26-11-25 22:50:01"),
            (plain, "２026-11-25 22:50:01"),
            ("%Y/%j %H", "2026/366 01"),
            ("%Y/%j %H", "2026/0 01"),
            ("%m/%d/%y %I %p", "11/25/26 13 PM"),
            ("%m/%d/%y %I %p", "11/25/26 0 PM"),
            ("%m/%d/%y %I %p", "11/25/26 1 xm"),
            ("%d-%b-%Y %H", "25-Nvo-2026 22"),
            ("%d-%b-%Y %H", "25-é-2026 22"),
            ("%Y-%m-%d %H:%M:%S.%f", "2026-11-25 22:50:01."),
            ("%Y-%m-%d %H%z", "2026-11-25 22"),
            ("%Y-%m-%d %H%z", "2026-11-25 22+1"),
            ("%Y-%m-%d %H%z", "2026-11-25 22+01:"),
            ("%Y-%m-%d %H%z", "2026-11-25 22+0160"),
            ("%Y-%m-%d %H%z", "2026-11-25 22+24"),
        ] {
            assert_eq!(read(format, text), None, "{format} {text}");
        }
        assert!(read(plain, "2024-02-29 22:50:01").is_some());
        assert!(read(plain, "2000-02-29 22:50:01").is_some());
    }

    #[test]
    fn a_format_names_one_instant() {
        for bad in [
            "",
            "%",
            "%Y-%m-%d %H:%M:%S %",
            "%Y-%m-%d %H:%M:%S %Z",
            "%Y-%m-%d",
            "%H:%M",
            "%Y %y-%m-%d %H",
            "%Y-%m-%d %H %d",
            "%Y-%m %H",
            "%Y-%m-%b-%d %H",
            "%Y-%j-%m-%d %H",
            "%Y-%m-%d %I",
            "%Y-%m-%d %H %p",
            "%Y-%m-%d %H:%S",
            "%Y-%m-%d %H:%M.%f",
        ] {
            assert!(TimeFormat::parse(bad).is_err(), "{bad}");
        }
        assert!(TimeFormat::parse("%Y-%m-%d %H:%M%z").unwrap().has_offset());
    }

    proptest! {
        #[test]
        fn any_instant_comes_back(at_s in 0..253_402_300_800_i64, ms in 0_i64..1_000) {
            let instant = UnixMillis::new(at_s * 1_000 + ms).unwrap();
            let expected = WrittenTime { local_s: at_s, ms, offset_s: Some(0) };
            let format = "%Y-%m-%dT%H:%M:%S.%f%z";
            prop_assert_eq!(read(format, &instant.to_string()), Some(expected));
        }

        #[test]
        fn any_format_and_text_is_a_time_or_none(
            format in "(%[YmdHMSyIpbjzf%]|[-: T]){0,9}", text in "[0-9:+AMPZ .-]{0,24}",
        ) {
            if let Ok(format) = TimeFormat::parse(&format) {
                format.read(&text);
            }
        }
    }
}
