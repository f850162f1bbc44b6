//! Queries about one device and a range of time: its readings, and the gaps between them.

use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::Sql;
use crate::ledger::dictionary;
use crate::ledger::{self, Row};

/// A reading that the ledger has.
pub(crate) struct KeptReading {
    pub(crate) at: UnixMillis,
    pub(crate) region: String,
    pub(crate) temperature: MilliCelsius,
}

/// Minutes whose runs are read at once, which bounds the memory.
const MINUTES_AT_ONCE: i64 = 24 * 60;

/// At most `limit` readings of a device; `None` for an unknown device. The ledger is
/// sorted by minute, then device: each minute is looked up, which is why the range is
/// bounded.
pub(crate) fn readings(
    sql: &impl Sql,
    device: &str,
    from: UnixMillis,
    to: UnixMillis,
    limit: usize,
) -> Result<Option<Vec<KeptReading>>, Error> {
    let Some(found) = rows(sql, device, from, to, limit)? else { return Ok(None) };
    let regions = dictionary::of(sql, "regions", found.iter().map(|(_, row)| row.region.into()))?;
    let reading = |(at, row): (UnixMillis, Row)| {
        let region = regions.get(row.region.into())?.to_owned();
        Some(KeptReading { at, region, temperature: row.temperature()? })
    };
    let readings = found.into_iter().map(reading).collect::<Option<_>>();
    readings.map(Some).ok_or(Error::Corrupt("ledger row"))
}

/// The times of a device's readings, sorted; `None` for an unknown device.
pub(crate) fn times(
    sql: &impl Sql,
    device: &str,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Option<Vec<UnixMillis>>, Error> {
    let found = rows(sql, device, from, to, usize::MAX)?;
    Ok(found.map(|rows| rows.into_iter().map(|(at, _)| at).collect()))
}

fn rows(
    sql: &impl Sql,
    device: &str,
    from: UnixMillis,
    to: UnixMillis,
    limit: usize,
) -> Result<Option<Vec<(UnixMillis, Row)>>, Error> {
    let Some(device) = dictionary::id_of(sql, "devices", device)? else { return Ok(None) };
    let mut found = Vec::new();
    let last = to.saturating_sub(1).minute();
    let mut minute = from.minute();
    while minute <= last && found.len() < limit {
        let end = minute.saturating_add(MINUTES_AT_ONCE).min(last + 1);
        let rows = ledger::rows_of_device(sql, device, minute, end)?;
        found.extend(rows.into_iter().filter_map(|row| Some((row.timestamp()?, row))));
        found.retain(|(at, _)| (from..to).contains(at));
        minute = end;
    }
    found.truncate(limit);
    Ok(Some(found))
}

/// A time between two readings of a device that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) begin: UnixMillis,
    /// `None` if no reading has followed yet.
    pub(crate) end: Option<UnixMillis>,
}

/// The gaps longer than `longer_ms` between the readings of `times`, which are sorted, and
/// after the last one up to `now`.
pub(crate) fn gaps(times: &[UnixMillis], longer_ms: i64, now: UnixMillis) -> Vec<Gap> {
    let is_long = |begin: UnixMillis, end: UnixMillis| end.get() - begin.get() > longer_ms;
    let pairs = times.iter().zip(times.iter().skip(1));
    let mut gaps: Vec<Gap> = pairs
        .filter(|(begin, end)| is_long(**begin, **end))
        .map(|(begin, end)| Gap { begin: *begin, end: Some(*end) })
        .collect();
    gaps.extend(
        times
            .last()
            .filter(|last| is_long(**last, now))
            .map(|last| Gap { begin: *last, end: None }),
    );
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_longer_than_asked_for_and_the_last_one_is_open() {
        let at = |ms| UnixMillis::new(ms).unwrap();
        let times = [10, 20, 50, 51].map(at);
        let gap = |begin, end: Option<i64>| Gap { begin: at(begin), end: end.map(at) };
        assert_eq!(gaps(&times, 29, at(80)), [gap(20, Some(50))]);
        assert_eq!(gaps(&times, 28, at(80)), [gap(20, Some(50)), gap(51, None)]);
        assert_eq!(gaps(&times, 30, at(80)), []);
        assert_eq!(gaps(&[], 0, at(80)), []);
    }
}
