//! The plausible limits of regions, for `ingest`, which asks no database: a copy of those
//! in the database, under one key (`plausible/1`). The door says whether there are any.
//!
//! It is text, a line for each region: its name, the lowest and the highest plausible
//! temperature in thousandths of a degree Celsius, `-` for none, with spaces between. Lines
//! that this release can't read are skipped.

use crate::base::sort::sort_by_text;
use crate::domain::plausible::Plausible;
use crate::domain::reading::MilliCelsius;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal::{self, keys};

/// The plausible limits of regions, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlausibleByRegion(Vec<(String, Plausible)>);

impl PlausibleByRegion {
    /// From pairs in the order of the names; those without a limit are left out.
    pub(crate) fn of(pairs: impl Iterator<Item = (String, Plausible)>) -> Self {
        Self(pairs.filter(|(_, plausible)| !plausible.is_none()).collect())
    }

    /// Those of a region.
    pub fn of_region(&self, region: &str) -> Plausible {
        let found = self.0.binary_search_by(|(name, _)| name.as_str().cmp(region)).ok();
        found.and_then(|index| self.0.get(index)).map(|(_, limits)| *limits).unwrap_or_default()
    }

    /// How many regions have some.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no region has any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse(value: &[u8]) -> Self {
        let limit = |text: &str| match text {
            "-" => Some(None),
            number => MilliCelsius::new(number.parse().ok()?).map(Some),
        };
        let line = |line: &str| {
            let (name, limits) = line.split_once(' ')?;
            let (low, high) = limits.split_once(' ')?;
            Some((name.to_owned(), Plausible { low: limit(low)?, high: limit(high)? }))
        };
        let text = std::str::from_utf8(value).unwrap_or_default();
        let mut all: Vec<(String, Plausible)> = text.lines().filter_map(line).collect();
        sort_by_text(&mut all, |(name, _)| name);
        Self(all)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, limits) in &self.0 {
            text += name;
            for limit in [limits.low, limits.high] {
                match limit {
                    Some(limit) => text += &format!(" {}", limit.get()),
                    None => text += " -",
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Reads the copy.
pub(crate) fn load<H: Host>(
    host: &H,
    store: &H::KeyValue,
) -> Result<PlausibleByRegion, StoreError> {
    let value = journal::retried(host, || store.get(keys::PLAUSIBLE))?;
    Ok(value.map_or_else(PlausibleByRegion::default, |value| PlausibleByRegion::parse(&value)))
}

/// Replaces the copy. The door has to be told whether it is to be read.
pub(crate) fn store<H: Host>(
    host: &H,
    store: &H::KeyValue,
    limits: &PlausibleByRegion,
) -> Result<(), StoreError> {
    let value = limits.to_text().into_bytes();
    journal::retried(host, || store.set(keys::PLAUSIBLE, &value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_lines_that_are_not_known_are_skipped() {
        let milli = |milli| MilliCelsius::new(milli);
        let pairs = [
            ("attic", Plausible { low: milli(-60_000), high: milli(60_000) }),
            ("b:1", Plausible { low: None, high: milli(0) }),
            ("hall", Plausible { low: milli(-5), high: None }),
            ("none", Plausible::default()),
        ];
        let all = PlausibleByRegion::of(pairs.map(|(name, p)| (name.to_owned(), p)).into_iter());
        assert_eq!(all.len(), 3);
        let text = all.to_text();
        assert_eq!(text, "attic -60000 60000\nb:1 - 0\nhall -5 -\n");
        let newer = format!("x\ny 1\nz 1 2 3\n\n{text}w 9999999 1\n");
        assert_eq!(PlausibleByRegion::parse(newer.as_bytes()), all);
        assert!(PlausibleByRegion::parse(b"\xff").is_empty());
        for (name, limits) in pairs {
            assert_eq!(all.of_region(name), limits);
        }
    }
}
