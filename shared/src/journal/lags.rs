//! Devices whose readings come late by the same whole quarter hours: clocks that say local
//! time where UTC was meant do that.
//!
//! The value is text, a line for each device: its name, the quarter hours, when that began and
//! when it was last seen, Unix milliseconds. It is written after the answer, at most once in
//! `limits::LAG_NOTED_MS` for each device, and it is best effort: nothing is decided by it.

use crate::domain::reading::{DeviceId, Reading, UnixMillis};
use crate::host::{KeyValue, StoreError};
use crate::journal::keys;
use crate::limits;

const QUARTER_MS: i64 = 15 * UnixMillis::PER_MINUTE;

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) device: String,
    /// How late its readings come, in quarter hours.
    pub(crate) quarters: i64,
    /// Since when they do.
    pub(crate) since: UnixMillis,
    /// When the last of them came.
    pub(crate) last: UnixMillis,
}

impl Lag {
    /// Whether its last reading came longer ago than this.
    fn is_older_than(&self, ms: i64, now: UnixMillis) -> bool {
        now.get() - self.last.get() > ms
    }
}

/// By how many quarter hours a reading that comes at `now` is late, if that is a whole number
/// of them but for the time that it took on its way.
fn quarters(reading: &Reading<'_>, now: UnixMillis) -> Option<i64> {
    if !reading.is_late() {
        return None;
    }
    let late_ms = now.get() - reading.timestamp.get();
    let quarters = (late_ms + limits::LAG_EARLY_MS).div_euclid(QUARTER_MS);
    let is_whole = late_ms - quarters * QUARTER_MS <= limits::LAG_ON_THE_WAY_MS;
    (is_whole && (limits::LAG_QUARTERS_MIN..=limits::LAG_QUARTERS_MAX).contains(&quarters))
        .then_some(quarters)
}

/// The devices of readings that come at `now`, each with its lag. Of a device whose readings
/// are late by several lags, a backlog, nothing is said.
pub(crate) fn of(readings: &[Reading<'_>], now: UnixMillis) -> Vec<(String, i64)> {
    let mut lags: Vec<(&str, Option<i64>)> = Vec::new();
    for reading in readings.iter().filter(|reading| reading.is_late()) {
        let (device, lag) = (reading.device_id.as_str(), quarters(reading, now));
        match lags.iter_mut().find(|(known, _)| *known == device) {
            Some((_, known)) => *known = known.filter(|known| Some(*known) == lag),
            None => lags.push((device, lag)),
        }
        if lags.len() > limits::LAGS_PER_REQUEST_MAX {
            // A gateway that was cut off.
            return Vec::new();
        }
    }
    let known = |(device, lag): (&str, Option<i64>)| Some((device.to_owned(), lag?));
    lags.into_iter().filter_map(known).collect()
}

fn parse(value: &[u8]) -> Vec<Lag> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let device = DeviceId::stored(words.next()?)?.as_str().to_owned();
        let quarters = words.next()?.parse().ok()?;
        let mut time = || UnixMillis::new(words.next()?.parse().ok()?);
        Some(Lag { device, quarters, since: time()?, last: time()? })
    };
    std::str::from_utf8(value).unwrap_or_default().lines().filter_map(line).collect()
}

fn text(lags: &[Lag]) -> String {
    let line = |lag: &Lag| {
        format!("{} {} {} {}\n", lag.device, lag.quarters, lag.since.get(), lag.last.get())
    };
    lags.iter().map(line).collect()
}

/// All that is known.
pub(crate) fn load(store: &impl KeyValue) -> Result<Vec<Lag>, StoreError> {
    Ok(store.get(keys::LAGS)?.map_or_else(Vec::new, |value| parse(&value)))
}

/// Notes the lags of devices. Of two requests at once, one may be lost.
pub(crate) fn note(
    store: &impl KeyValue,
    new: &[(String, i64)],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let stored = store.get(keys::LAGS)?;
    let mut lags = stored.as_deref().map_or_else(Vec::new, parse);
    let mut is_changed = false;
    for (device, quarters) in new {
        let fresh = Lag { device: device.clone(), quarters: *quarters, since: now, last: now };
        match lags.iter_mut().find(|lag| lag.device == *device) {
            // Seen a moment ago: it is not written again.
            Some(known)
                if known.quarters == *quarters
                    && !known.is_older_than(limits::LAG_NOTED_MS, now) =>
            {
                continue;
            }
            Some(known)
                if known.quarters == *quarters && !known.is_older_than(limits::LAG_GAP_MS, now) =>
            {
                known.last = now;
            }
            // Another lag, or not seen for long: it begins anew.
            Some(known) => *known = fresh,
            None => lags.insert(0, fresh),
        }
        is_changed = true;
    }
    if !is_changed {
        return Ok(());
    }
    lags.truncate(limits::LAGS_MAX);
    store.replace(keys::LAGS, stored.as_deref(), text(&lags).as_bytes()).map(|_was_stored| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reading::{MilliCelsius, Region};

    const NOW: i64 = 1_800_000_000_000;

    fn late(device: &'static str, by_ms: i64) -> Reading<'static> {
        let at = UnixMillis::new(NOW - by_ms).unwrap();
        let (region, zero) = (Region::new("r").unwrap(), MilliCelsius::new(0).unwrap());
        Reading::new(DeviceId::new(device).unwrap(), region, zero, at).arrived(true)
    }

    #[test]
    fn a_lag_is_of_whole_quarter_hours_and_the_same_for_all_readings_of_a_device() {
        let now = UnixMillis::new(NOW).unwrap();
        let minute = 60_000;
        let found = |readings: &[Reading<'_>]| of(readings, now);
        assert_eq!(found(&[late("a", 420 * minute)]), [("a".to_owned(), 28)]);
        assert_eq!(found(&[late("a", 421 * minute)]), [("a".to_owned(), 28)]);
        assert_eq!(found(&[late("a", 420 * minute - 20_000)]), [("a".to_owned(), 28)]);
        assert_eq!(found(&[late("a", 427 * minute)]), []);
        assert_eq!(found(&[late("a", 15 * minute)]), [], "a quarter hour may be chance");
        assert_eq!(found(&[late("a", 420 * minute).arrived(false)]), []);
        // A backlog.
        assert_eq!(found(&[late("a", 420 * minute), late("a", 405 * minute)]), []);
        let two = found(&[late("a", 420 * minute), late("b", 60 * minute)]);
        assert_eq!(two, [("a".to_owned(), 28), ("b".to_owned(), 4)]);
    }

    #[test]
    fn what_is_written_is_read_and_rubbish_is_skipped() {
        let lag = |device: &str| Lag {
            device: device.to_owned(),
            quarters: 28,
            since: UnixMillis::new(NOW).unwrap(),
            last: UnixMillis::new(NOW + 5).unwrap(),
        };
        let all = [lag("a"), lag("b.c:d")];
        assert_eq!(parse(text(&all).as_bytes()), all);
        assert_eq!(parse(b"a b c d\n\xff"), []);
        assert_eq!(parse(b"a 28 1\na 28 1 2\n").len(), 1);
    }
}
