//! A page of `GET /v1/readings`, as CSV, and what it covers.

use anyhow::{Context, Result, bail, ensure};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::client::Answer;

/// The columns that are read; a service may have more.
pub const COLUMNS: [&str; 4] = ["timestamp", "device_id", "region", "temperature_c"];

/// A reading, as text and as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The cells, in the order of `COLUMNS`.
    pub cells: [&'a str; 4],
    /// Unix milliseconds.
    pub ms: i64,
    /// Thousandths of a degree Celsius.
    pub millicelsius: i32,
}

/// Calls `each` with the readings of a page, in their order.
pub fn readings(body: &[u8], mut each: impl FnMut(&Reading<'_>) -> Result<()>) -> Result<()> {
    let text = std::str::from_utf8(body).context("the page is not UTF-8")?;
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let place = |column| head.iter().position(|name| *name == column);
    let places: Option<Vec<usize>> = COLUMNS.into_iter().map(place).collect();
    let places = places.with_context(|| format!("the page has no such columns: {head:?}"))?;
    for line in lines {
        // No cell has a comma, or is in quotes.
        let cells: Vec<&str> = line.split(',').collect();
        ensure!(cells.len() == head.len(), "not a reading: {line}");
        let cells: Vec<&str> =
            places.iter().filter_map(|place| cells.get(*place).copied()).collect();
        let Ok(cells) = <[&str; 4]>::try_from(cells) else { bail!("not a reading: {line}") };
        let [timestamp, _, _, celsius] = cells;
        let millicelsius =
            millicelsius(celsius).with_context(|| format!("no temperature: {line}"))?;
        each(&Reading { cells, ms: instant(timestamp)?, millicelsius })?;
    }
    Ok(())
}

/// An instant as Unix milliseconds.
pub fn instant(text: &str) -> Result<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("no time: {text}"))?;
    Ok(at.unix_timestamp() * 1_000 + i64::from(at.millisecond()))
}

/// A decimal with at most three digits behind its point, exactly.
fn millicelsius(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if part.len() > 3 || whole.is_empty() || !is_number(whole) || !is_number(part) {
        return None;
    }
    let number: i32 = format!("{whole}{part:0<3}").parse().ok()?;
    Some(sign * number)
}

/// What a page covers: the header `isotherm-coverage`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The begin of the range, and its end, as the service writes them.
    pub range: (String, String),
    /// When it was answered, by the service's clock.
    pub as_of: String,
    /// From when on no single reading was deleted; `None` is from the beginning.
    pub kept_from: Option<String>,
    /// Acknowledged readings that are not counted yet; `None` if the service can't tell.
    pub unfolded_readings: Option<u64>,
    /// Acknowledged readings in quarantine; `None` likewise.
    pub quarantined_readings: Option<u64>,
}

impl Coverage {
    /// Reads the header of an answer.
    pub fn of(answer: &Answer) -> Result<Self> {
        let header = answer.header("isotherm-coverage").context("no isotherm-coverage")?;
        Self::parse(header).with_context(|| format!("isotherm-coverage is {header}"))
    }

    fn parse(header: &str) -> Option<Self> {
        let members = header.split(',').filter_map(|member| member.trim().split_once('='));
        let members: Vec<(&str, &str)> = members.collect();
        let value = |name| members.iter().find(|(known, _)| *known == name).map(|(_, v)| *v);
        let text = |name| Some(value(name)?.trim_matches('"').to_owned());
        let number = |name| value(name)?.parse().ok();
        let unfolded_entries: Option<u64> = number("unfolded_entries");
        Some(Self {
            range: (text("from")?, text("to")?),
            as_of: text("as_of")?,
            kept_from: text("kept_from"),
            unfolded_readings: unfolded_entries.and_then(|_| number("unfolded_readings")),
            quarantined_readings: number("quarantined_readings"),
        })
    }

    /// Whether every acknowledged reading was counted before the page was read.
    pub fn is_complete(&self) -> bool {
        self.unfolded_readings == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_by_the_names_of_its_columns() {
        let page = "device_id,more,timestamp,temperature_c,region\r\n\
                    d1,x,2026-11-22T10:00:00.250Z,-0.05,hall\r\n";
        let mut found = Vec::new();
        readings(page.as_bytes(), |reading| {
            found.push((reading.cells.map(ToOwned::to_owned), reading.ms, reading.millicelsius));
            Ok(())
        })
        .unwrap();
        let cells = ["2026-11-22T10:00:00.250Z", "d1", "hall", "-0.05"].map(ToOwned::to_owned);
        assert_eq!(found, [(cells, 1_795_341_600_250, -50)]);
        for bad in
            ["timestamp,region\r\n", "", "timestamp,device_id,region,temperature_c\r\na,b\r\n"]
        {
            assert!(readings(bad.as_bytes(), |_| Ok(())).is_err(), "{bad}");
        }
    }

    #[test]
    fn temperatures_are_read_digit_by_digit() {
        for (text, expected) in [
            ("0.0", Some(0)),
            ("-0.5", Some(-500)),
            ("20.125", Some(20_125)),
            ("-273.15", Some(-273_150)),
            ("1000", Some(1_000_000)),
            ("1.2345", None),
            ("", None),
            (".5", None),
            ("1e3", None),
            ("--1", None),
        ] {
            assert_eq!(millicelsius(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_page_covers_is_read_from_its_header() {
        let header = "from=\"2026-11-01T00:00:00.000Z\", to=\"2026-12-01T00:00:00.000Z\", \
                      as_of=\"2026-12-02T00:00:00.000Z\", stale=?0, unfolded_entries=0, unfolded_readings=0, \
                      quarantined_readings=7, kept_from=\"2026-10-01T00:00:00.000Z\"";
        let coverage = Coverage::parse(header).unwrap();
        assert_eq!(coverage.range.1, "2026-12-01T00:00:00.000Z");
        assert_eq!(coverage.kept_from.as_deref(), Some("2026-10-01T00:00:00.000Z"));
        assert_eq!(coverage.quarantined_readings, Some(7));
        assert!(coverage.is_complete());
        // The journal can't be read.
        let unknown = Coverage::parse("from=\"a\", to=\"b\", as_of=\"c\"").unwrap();
        assert!(!unknown.is_complete() && unknown.kept_from.is_none());
        assert_eq!(Coverage::parse("stale=?0"), None);
    }
}
