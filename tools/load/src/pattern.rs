//! Time patterns in the notation of `strftime` or of the crate `time`.
//!
//! Both become format descriptions of the crate `time`. Its own `strftime` parser is
//! made for writing: it requires `01` for `1`, and knows no `%f` and no colon in `%z`.

use std::fmt;

use anyhow::{Context, Result, bail};
use time::format_description::{self, OwnedFormatItem};
use time::parsing::Parsed;
use time::{Date, OffsetDateTime, Time, UtcOffset};

use crate::times;

/// A time pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// Items that the crate `time` parses.
    Items(OwnedFormatItem),
    /// `Z`, `UTC`, `+01:00`, `+0100` or `+01`.
    Offset,
}

impl Pattern {
    /// A pattern like `%d.%m.%Y %H:%M`. Leading zeros of numbers are optional; `%f` is
    /// a fraction of a second of any length; two-digit years are 1969 to 2068, as in
    /// POSIX. An error names what is not understood.
    pub fn strftime(text: &str) -> Result<Self> {
        let (mut pieces, mut description) = (Vec::new(), String::new());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                literal(&mut description, character);
                continue;
            }
            let mut letter = characters.next();
            if matches!(letter, Some('-' | '_' | '0')) {
                letter = characters.next();
            }
            match letter {
                Some('z') => {
                    pieces.push(Piece::items(&std::mem::take(&mut description))?);
                    pieces.push(Piece::Offset);
                }
                Some('%') => description.push('%'),
                Some('Z') => bail!(
                    "{text:?} has %Z: names of zones are not understood, offsets are (%z); or \
                     write the name as it is, and say --zone"
                ),
                Some(letter) => description.push_str(component(letter).with_context(|| {
                    format!("{text:?} has %{letter}, which is not understood as a part of a time")
                })?),
                None => bail!("{text:?} ends in the middle of a %"),
            }
        }
        pieces.push(Piece::items(&description)?);
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// A pattern like `[day].[month].[year] [hour]:[minute]`, in the notation of the
    /// crate `time`. An error names what is not understood.
    pub fn description(text: &str) -> Result<Self> {
        Ok(Self { text: text.to_owned(), pieces: vec![Piece::items(text)?] })
    }

    /// Parses `text`; `zone` is for patterns without one. A date without a time of day
    /// is midnight.
    pub(crate) fn parse(&self, text: &str, zone: UtcOffset) -> Option<OffsetDateTime> {
        let mut parsed = Parsed::new();
        let (mut rest, mut named) = (text, None);
        for piece in &self.pieces {
            match piece {
                Piece::Items(items) => {
                    let left = parsed.parse_item(rest.as_bytes(), items).ok()?;
                    rest = rest.get(rest.len() - left.len()..)?;
                }
                Piece::Offset => {
                    let (offset, left) = times::offset(rest)?;
                    (rest, named) = (left, Some(offset));
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        if parsed.unix_timestamp_nanos().is_some() {
            return OffsetDateTime::try_from(parsed).ok();
        }
        if let (None, None, Some(year)) =
            (parsed.year(), parsed.year_century(), parsed.year_last_two())
        {
            let year = i32::from(year);
            parsed.set_year(if year < 69 { 2_000 + year } else { 1_900 + year })?;
        }
        let clocks = [parsed.hour_24().is_some(), parsed.hour_12().is_some()];
        let clock = match clocks.contains(&true) {
            true => Time::try_from(parsed).ok()?,
            false => Time::MIDNIGHT,
        };
        let offset = match (named, parsed.offset_hour()) {
            (Some(offset), _) => offset,
            (None, Some(_)) => UtcOffset::try_from(parsed).ok()?,
            (None, None) => zone,
        };
        Some(OffsetDateTime::new_in_offset(Date::try_from(parsed).ok()?, clock, offset))
    }
}

/// The pattern as it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Piece {
    fn items(description: &str) -> Result<Self> {
        let items = format_description::parse_owned::<2>(description)
            .with_context(|| format!("{description:?} is no description of a time"))?;
        Ok(Self::Items(items))
    }
}

/// A character that stands for itself.
fn literal(description: &mut String, character: char) {
    if matches!(character, '[' | ']' | '\\') {
        description.push('\\');
    }
    description.push(character);
}

/// The component for `%letter` in a description.
fn component(letter: char) -> Option<&'static str> {
    Some(match letter {
        'Y' => "[year]",
        'y' => "[year repr:last_two]",
        'm' => "[month padding:none]",
        'B' => "[month repr:long case_sensitive:false]",
        'b' | 'h' => "[month repr:short case_sensitive:false]",
        'd' => "[day padding:none]",
        'e' => "[first [[day padding:space]] [[day padding:none]]]",
        'j' => "[ordinal padding:none]",
        'A' => "[weekday repr:long case_sensitive:false]",
        'a' => "[weekday repr:short case_sensitive:false]",
        'H' => "[hour padding:none]",
        'k' => "[first [[hour padding:space]] [[hour padding:none]]]",
        'I' => "[hour repr:12 padding:none]",
        'l' => "[first [[hour repr:12 padding:space]] [[hour repr:12 padding:none]]]",
        'p' | 'P' => "[period case_sensitive:false]",
        'M' => "[minute padding:none]",
        'S' => "[second padding:none]",
        'f' => "[subsecond digits:1+]",
        's' => "[unix_timestamp]",
        'F' => "[year]-[month padding:none]-[day padding:none]",
        'D' => "[month padding:none]/[day padding:none]/[year repr:last_two]",
        'T' => "[hour padding:none]:[minute padding:none]:[second padding:none]",
        'R' => "[hour padding:none]:[minute padding:none]",
        't' => "\t",
        'n' => "\n",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RFC 3339 in UTC, or `-`.
    fn read(pattern: &Pattern, text: &str) -> String {
        let zone = UtcOffset::from_hms(1, 0, 0).unwrap();
        let time = pattern.parse(text, zone).map(|time| time.to_offset(UtcOffset::UTC));
        time.map_or("-".to_owned(), |time| {
            format!("{} {}", time.date(), time.time().to_string().trim_end_matches(".0"))
        })
    }

    #[test]
    fn strftime_reads_what_strptime_reads() {
        // Times without a zone are at +01:00 here.
        for (pattern, text, expected) in [
            ("%d/%m/%Y", "01/02/2010", "2010-01-31 23:00:00"),
            ("%m/%d/%Y", "01/02/2010", "2010-01-01 23:00:00"),
            ("%d/%m/%Y", "1/2/2010", "2010-01-31 23:00:00"),
            ("%d/%m/%Y", "13/13/2010", "-"),
            ("%d.%m.%Y %H:%M", "01.02.2010 5:30", "2010-02-01 4:30:00"),
            ("%-d.%-m.%Y %_H:%M", "1.2.2010 05:30", "2010-02-01 4:30:00"),
            ("%d.%m.%y", "01.02.10", "2010-01-31 23:00:00"),
            ("%d.%m.%y", "01.02.69", "1969-01-31 23:00:00"),
            ("%d.%m.%y", "01.02.68", "2068-01-31 23:00:00"),
            ("%Y%m%d", "20100201", "2010-01-31 23:00:00"),
            ("%Y%m%d%H%M", "201002010530", "2010-02-01 4:30:00"),
            ("%Y-%m-%d %H:%M:%S.%f", "2026-11-26 10:00:00.123456", "2026-11-26 9:00:00.123456"),
            ("%FT%T%z", "2026-11-26T10:00:00+0200", "2026-11-26 8:00:00"),
            ("%FT%T%z", "2026-11-26T10:00:00+02:00", "2026-11-26 8:00:00"),
            ("%FT%T%z", "2026-11-26T10:00:00Z", "2026-11-26 10:00:00"),
            ("%FT%T%z", "2026-11-26T10:00:00", "-"),
            ("%z %F", "-05:00 2026-11-26", "2026-11-26 5:00:00"),
            ("%D %I:%M %p", "11/26/26 12:05 am", "2026-11-25 23:05:00"),
            ("%d %b %Y %R", "26 NOV 2026 10:00", "2026-11-26 9:00:00"),
            ("%A, %B %e, %Y", "Thursday, november  5, 2026", "2026-11-04 23:00:00"),
            ("%e %b %Y", "5 Nov 2026", "2026-11-04 23:00:00"),
            ("%Y-%j", "2010-32", "2010-01-31 23:00:00"),
            ("%s", "1262304000", "2010-01-01 0:00:00"),
            ("[%F]\\100%%", "[2010-02-01]\\100%", "2010-01-31 23:00:00"),
            ("%F CET", "2010-02-01 CET", "2010-01-31 23:00:00"),
            ("%F", "2010-02-01 10:00", "-"),
            ("%H:%M", "10:00", "-"),
        ] {
            let parsed = Pattern::strftime(pattern).unwrap();
            assert_eq!(read(&parsed, text), expected, "{pattern} of {text}");
        }
    }

    #[test]
    fn descriptions_of_the_crate_time_are_taken() {
        for (pattern, text, expected) in [
            ("[day].[month].[year] [hour]:[minute]", "01.02.2010 05:30", "2010-02-01 4:30:00"),
            (
                "[year]-[month]-[day] [hour]:[minute] [offset_hour sign:mandatory]",
                "2010-02-01 05:30 -03",
                "2010-02-01 8:30:00",
            ),
            ("[unix_timestamp precision:millisecond]", "1262304000000", "2010-01-01 0:00:00"),
        ] {
            let parsed = Pattern::description(pattern).unwrap();
            assert_eq!(read(&parsed, text), expected, "{pattern} of {text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (pattern, part) in [("%F %Z", "%Z"), ("%F %Q", "%Q"), ("%F %", "middle of a %")] {
            let error = Pattern::strftime(pattern).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = format!("{:#}", Pattern::description("[dya]").unwrap_err());
        assert!(error.contains("dya"), "{error}");
    }
}
