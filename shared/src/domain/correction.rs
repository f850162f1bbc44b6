//! Corrections of counted readings, and what stands after them.
//!
//! A correction says what it expects to find, and what is to stand instead. The
//! corrections of a reading are a set beside it: what stands is the counted reading with
//! those corrections applied whose expectation fits, one after the other. Of two that
//! expect the same, the one with the lower hash is applied, and the other is a conflict.
//! So neither the order in which corrections come matters, nor how often.

use std::borrow::Cow;

use crate::domain::reading::{DeviceId, MilliCelsius, Region, UnixMillis};

/// A correction of one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction<'a> {
    /// The reading's device.
    pub device_id: DeviceId<'a>,
    /// The reading's time.
    pub timestamp: UnixMillis,
    /// The temperature that is expected to stand; `None` expects a withdrawn reading.
    pub expected: Option<MilliCelsius>,
    /// The temperature that is to stand; `None` withdraws the reading.
    pub temperature: Option<MilliCelsius>,
    /// The region that it is moved to.
    pub region: Option<Region<'a>>,
    /// Why, for people: at most `limits::REASON_BYTES_MAX` bytes without control
    /// characters.
    pub reason: Cow<'a, str>,
}

impl Correction<'_> {
    /// What identifies it, as text: lines of device, time, expectation, temperature,
    /// region, reason; `-` for none. Its SHA-256 is the correction's hash.
    pub(crate) fn to_text(&self) -> String {
        let celsius = |temperature: Option<MilliCelsius>| {
            temperature.map_or("-".to_owned(), |temperature| temperature.get().to_string())
        };
        let region = self.region.as_ref().map_or("-/", Region::as_str);
        format!(
            "{}\n{}\n{}\n{}\n{region}\n{}",
            self.device_id.as_str(),
            self.timestamp.get(),
            celsius(self.expected),
            celsius(self.temperature),
            self.reason
        )
    }

    /// Reads what `to_text` wrote.
    pub(crate) fn parse(text: &str) -> Option<Correction<'_>> {
        let mut lines = text.splitn(6, '\n');
        let device_id = DeviceId::stored(lines.next()?)?;
        let timestamp = UnixMillis::new(lines.next()?.parse().ok()?)?;
        let mut celsius = || match lines.next()? {
            "-" => Some(None),
            number => MilliCelsius::new(number.parse().ok()?).map(Some),
        };
        let (expected, temperature) = (celsius()?, celsius()?);
        // No name has a slash.
        let region = match lines.next()? {
            "-/" => None,
            name => Some(Region::stored(name)?),
        };
        let reason = Cow::Borrowed(lines.next()?);
        Some(Correction { device_id, timestamp, expected, temperature, region, reason })
    }
}

/// What a correction does, with its region as an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Thousandths of a degree; `None` is a withdrawn reading.
    pub(crate) expected: Option<i32>,
    /// Likewise.
    pub(crate) millicelsius: Option<i32>,
    pub(crate) region: Option<u32>,
}

/// What stands of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) region: u32,
    /// `None` if it is withdrawn.
    pub(crate) millicelsius: Option<i32>,
    /// How many corrections were applied.
    pub(crate) applied: usize,
}

/// What becomes of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is applied.
    Applied,
    /// What it expects does not stand, or has not come yet.
    Waiting,
    /// Another correction expects the same, and is applied instead.
    Conflict,
}

/// What stands of a counted reading, given all its corrections, sorted by hash; and the
/// fate of each.
pub(crate) fn stand(region: u32, millicelsius: i32, changes: &[Change]) -> (Standing, Vec<Fate>) {
    let mut fates = vec![Fate::Waiting; changes.len()];
    let mut standing = Standing { region, millicelsius: Some(millicelsius), applied: 0 };
    // Each is applied once, so a circle of corrections ends.
    loop {
        let expected = standing.millicelsius;
        let mut same = changes.iter().zip(&mut fates).filter(|(c, _)| c.expected == expected);
        let Some((change, fate)) = same.next().filter(|(_, fate)| **fate == Fate::Waiting) else {
            return (standing, fates);
        };
        *fate = Fate::Applied;
        same.for_each(|(_, fate)| *fate = Fate::Conflict);
        standing = Standing {
            region: change.region.unwrap_or(standing.region),
            millicelsius: change.millicelsius,
            applied: standing.applied + 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change(expected: Option<i32>, millicelsius: Option<i32>, region: Option<u32>) -> Change {
        Change { expected, millicelsius, region }
    }

    #[test]
    fn corrections_are_applied_one_after_the_other_where_they_fit() {
        for (changes, expected) in [
            (&[][..], (1, Some(85), 0)),
            (&[change(Some(85), None, None)], (1, None, 1)),
            (&[change(Some(84), None, None)], (1, Some(85), 0)),
            (&[change(Some(85), Some(20), Some(2))], (2, Some(20), 1)),
            // In any order.
            (
                &[change(Some(20), Some(21), None), change(Some(85), Some(20), None)],
                (1, Some(21), 2),
            ),
            (
                &[change(Some(85), Some(20), None), change(Some(20), Some(21), None)],
                (1, Some(21), 2),
            ),
            // Of two that expect the same, the first.
            (&[change(Some(85), Some(20), None), change(Some(85), None, None)], (1, Some(20), 1)),
            // A circle ends.
            (
                &[change(Some(85), Some(20), None), change(Some(20), Some(85), None)],
                (1, Some(85), 2),
            ),
            // What was withdrawn is brought back.
            (&[change(None, Some(85), Some(3)), change(Some(85), None, None)], (3, Some(85), 2)),
            // Moved, with the same temperature.
            (&[change(Some(85), Some(85), Some(2))], (2, Some(85), 1)),
        ] {
            let (region, millicelsius, applied) = expected;
            let (standing, fates) = stand(1, 85, changes);
            assert_eq!(standing, Standing { region, millicelsius, applied }, "{changes:?}");
            let count = fates.iter().filter(|fate| **fate == Fate::Applied).count();
            assert_eq!(count, applied, "{changes:?}");
        }
        let two = [change(Some(85), Some(20), None), change(Some(85), None, None)];
        assert_eq!(stand(1, 85, &two).1, [Fate::Applied, Fate::Conflict]);
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(
            device in "[A-Za-z0-9._:-]{1,64}", at in 0..UnixMillis::MAX.get(),
            expected in proptest::option::of(-273_150..1_000_000_i64),
            temperature in proptest::option::of(-273_150..1_000_000_i64),
            region in proptest::option::of("[A-Za-z0-9._:-]{1,64}"), reason in "[^\\p{Cc}]{0,40}",
        ) {
            let correction = Correction {
                device_id: DeviceId::stored(device).unwrap(),
                timestamp: UnixMillis::new(at).unwrap(),
                expected: expected.and_then(MilliCelsius::new),
                temperature: temperature.and_then(MilliCelsius::new),
                region: region.and_then(Region::stored),
                reason: reason.into(),
            };
            let text = correction.to_text();
            prop_assert_eq!(Correction::parse(&text), Some(correction));
        }
    }
}
