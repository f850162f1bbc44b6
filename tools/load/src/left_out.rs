//! Why a row is not sent, and which lines share a reason.

use std::collections::BTreeMap;
use std::fmt;

/// How many lines a summary names for one reason; the rest are counted.
pub const LINES_NAMED_MAX: usize = 20;

/// The longest piece of a file that a message repeats, in characters.
const ECHO_CHARS_MAX: usize = 40;

/// The kinds of rows that are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Nothing was measured. Files of measurements have gaps, so this is no error.
    NoTemperature,
    /// More or fewer fields than the header.
    Fields,
    /// A quote that is not closed, so the file ends within the row.
    OpenQuote,
    /// A number with a comma, where a point is the decimal sign.
    DecimalComma,
    /// A number with a point, where a comma is the decimal sign.
    DecimalPoint,
    /// A temperature that is not a number.
    NoNumber,
    /// A temperature without a time.
    NoTime,
    /// A time that matches more than one format.
    AmbiguousTime,
    /// A number too small for Unix milliseconds.
    UnixSeconds,
    /// A time that matches no format.
    UnknownTime,
    /// A time before 1970 or after 9999.
    TimeOutOfRange,
    /// A device or region without a name.
    NoName,
}

impl Why {
    /// Whether such a row can't be read, as opposed to having no value.
    pub fn is_error(self) -> bool {
        self != Self::NoTemperature
    }
}

/// The text that follows a number of rows.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTemperature => "without a temperature (no error)",
            Self::Fields => "with more or fewer fields than the header",
            Self::OpenQuote => "with a quote that is not closed",
            Self::DecimalComma => "with a comma in the temperature",
            Self::DecimalPoint => "with a point in the temperature, despite --decimal-comma",
            Self::NoNumber => "with a temperature that is no number",
            Self::NoTime => "with a temperature but no time",
            Self::AmbiguousTime => "with a time that can be read in several ways",
            Self::UnixSeconds => "with a number as time that is too small for Unix milliseconds",
            Self::UnknownTime => "with a time that can't be read",
            Self::TimeOutOfRange => "with a time before 1970 or after 9999",
            Self::NoName => "without a device or region",
        })
    }
}

/// A row that can't be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The kind.
    pub why: Why,
    /// What is there, and which option reads it. Empty if that is obvious.
    pub detail: String,
}

impl Unusable {
    /// A row that can't be used because of `why`, explained by `detail`.
    pub fn new(why: Why, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into() }
    }
}

/// Lines of a file, grouped by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<K>(BTreeMap<K, Group>);

/// The lines with one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    lines: Vec<u64>,
    detail: String,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Tally<K> {
    /// Counts `line`, from 1, for `reason`. The detail of the first line is kept.
    pub fn add(&mut self, reason: K, line: u64, detail: &str) {
        let group = self.0.entry(reason).or_default();
        if group.lines.first().is_none_or(|&first| line < first) {
            detail.clone_into(&mut group.detail);
        }
        let place = group.lines.partition_point(|&known| known <= line);
        group.lines.insert(place, line);
    }

    /// Adds the lines of `other`.
    pub fn merge(&mut self, other: Self) {
        for (reason, mut group) in other.0 {
            let known = self.0.entry(reason).or_default();
            if known.lines.first().is_none_or(|first| group.lines.first() < Some(first)) {
                known.detail = group.detail;
            }
            known.lines.append(&mut group.lines);
            known.lines.sort_unstable();
        }
    }

    /// How many lines there are.
    pub fn total(&self) -> usize {
        self.0.values().map(|group| group.lines.len()).sum()
    }

    /// The reasons, and the lines that share each.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Group)> {
        self.0.iter()
    }
}

impl Group {
    /// The lines, in their order.
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// The detail of the first of them.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// `line 7`, or `lines 3-5, 9 and 12 more`: the first of `lines`, which must be in
/// order, and how many more there are.
pub fn named(lines: &[u64]) -> String {
    let (shown, rest) = lines.split_at(lines.len().min(LINES_NAMED_MAX));
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for &line in shown {
        match spans.last_mut() {
            Some((_, last)) if line <= *last + 1 => *last = line,
            _ => spans.push((line, line)),
        }
    }
    let span = |(first, last): (u64, u64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    let spans: Vec<String> = spans.into_iter().map(span).collect();
    let noun = if lines.len() == 1 { "line" } else { "lines" };
    match rest.len() {
        0 => format!("{noun} {}", spans.join(", ")),
        more => format!("{noun} {} and {more} more", spans.join(", ")),
    }
}

/// A piece of a file in quotes, cut if it is long.
pub fn echo(text: &str) -> String {
    match text.char_indices().nth(ECHO_CHARS_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_named_up_to_twenty() {
        for (lines, expected) in [
            (vec![7], "line 7"),
            (vec![7, 8], "lines 7, 8"),
            (vec![3, 4, 5, 9], "lines 3-5, 9"),
            ((2..=21).collect(), "lines 2-21"),
            ((2..=41).collect(), "lines 2-21 and 20 more"),
            ((1..=30).map(|n| 2 * n).collect(), {
                "lines 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40 \
                 and 10 more"
            }),
        ] {
            assert_eq!(named(&lines), expected);
        }
    }

    #[test]
    fn the_first_line_speaks_for_its_reason_in_whatever_order_they_come() {
        let mut tally = Tally::default();
        for line in [9, 4, 7] {
            tally.add(Why::NoNumber, line, &format!("of {line}"));
        }
        let mut other = Tally::default();
        other.add(Why::NoTime, 1, "");
        other.add(Why::NoNumber, 8, "of 8");
        tally.merge(other);
        let groups: Vec<_> = tally.iter().map(|(why, g)| (*why, g.lines(), g.detail())).collect();
        assert_eq!(
            groups,
            [(Why::NoNumber, &[4, 7, 8, 9][..], "of 4"), (Why::NoTime, &[1][..], "")]
        );
        assert_eq!(tally.total(), 5);
    }

    #[test]
    fn long_pieces_are_cut() {
        assert_eq!(echo("21,5"), "\"21,5\"");
        assert_eq!(echo(&"ä".repeat(41)), format!("\"{}\"…", "ä".repeat(40)));
    }
}
