//! Corrections of counted readings, and what stands after them.
//!
//! A correction says what it expects to find, and what is to stand instead. The
//! corrections of a reading are a set beside it: what stands is the counted reading with
//! those corrections applied whose expectation fits, one after the other, each at most
//! once. Of those that fit at the same time, the one with the lowest hash is applied
//! first. So neither the order in which corrections come matters, nor how often.
//!
//! Temperatures and regions are changed by different people, at different times, and
//! neither is to undo the other. So a correction of the temperature fits in any region,
//! unless it names one. What only moves a reading comes before what changes it, so that
//! this still fits. What moves all readings of a region fits at any temperature, and comes
//! last (`Kind`).

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
    /// The region in which it is expected to stand; `None` is any.
    pub expected_region: Option<Region<'a>>,
    /// The temperature that is to stand; `None` withdraws the reading.
    pub temperature: Option<MilliCelsius>,
    /// The region that it is moved to. (Without a temperature it is moved as it is, also if
    /// it is withdrawn: nobody sends that, but a merge of regions consists of it.)
    pub region: Option<Region<'a>>,
    /// Why, for people: at most `limits::REASON_BYTES_MAX` bytes without control
    /// characters.
    pub reason: Cow<'a, str>,
}

/// When something was corrected, why, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause<'a> {
    pub(crate) made: UnixMillis,
    pub(crate) reason: &'a str,
    /// The name of the credential, if it is known.
    pub(crate) by: Option<&'a str>,
}

/// What identifies a correction, as text: lines of device, time, expected temperature and
/// region, temperature, region, reason; `-` for none. Its SHA-256 is the correction's hash.
pub(crate) fn text_of(
    (device, at): (&str, UnixMillis),
    [expected, temperature]: [Option<MilliCelsius>; 2],
    [expected_region, region]: [Option<&str>; 2],
    reason: &str,
) -> String {
    let celsius = |temperature: Option<MilliCelsius>| {
        temperature.map_or("-".to_owned(), |temperature| temperature.get().to_string())
    };
    format!(
        "{device}\n{}\n{}\n{}\n{}\n{}\n{reason}",
        at.get(),
        celsius(expected),
        // No name has a slash.
        expected_region.unwrap_or("-/"),
        celsius(temperature),
        region.unwrap_or("-/"),
    )
}

impl Correction<'_> {
    /// See `text_of`.
    pub(crate) fn to_text(&self) -> String {
        let regions = [&self.expected_region, &self.region];
        text_of(
            (self.device_id.as_str(), self.timestamp),
            [self.expected, self.temperature],
            regions.map(|region| region.as_ref().map(Region::as_str)),
            &self.reason,
        )
    }

    /// Reads what `to_text` wrote.
    pub(crate) fn parse(text: &str) -> Option<Correction<'_>> {
        let celsius = |line: &str| match line {
            "-" => Some(None),
            number => MilliCelsius::new(number.parse().ok()?).map(Some),
        };
        let name = |line| match line {
            "-/" => Some(None),
            name => Region::stored(name).map(Some),
        };
        let mut lines = text.splitn(7, '\n');
        Some(Correction {
            device_id: DeviceId::stored(lines.next()?)?,
            timestamp: UnixMillis::new(lines.next()?.parse().ok()?)?,
            expected: celsius(lines.next()?)?,
            expected_region: name(lines.next()?)?,
            temperature: celsius(lines.next()?)?,
            region: name(lines.next()?)?,
            reason: Cow::Borrowed(lines.next()?),
        })
    }
}

/// What a correction does, with its regions as ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Thousandths of a degree; `None` is a withdrawn reading.
    pub(crate) expected: Option<i32>,
    /// `None` is any region.
    pub(crate) expected_region: Option<u32>,
    /// Thousandths of a degree; `None` is a withdrawn reading.
    pub(crate) millicelsius: Option<i32>,
    pub(crate) region: Option<u32>,
}

/// What a correction does, in the order in which those that fit are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Moves the reading, and leaves its temperature.
    Move,
    /// Changes its temperature.
    Change,
    /// Moves all readings of a region, each as it is.
    Merge,
}

impl Change {
    /// What moves all readings of a region, each as it is.
    pub(crate) fn merge(from: u32, into: u32) -> Self {
        Self { expected: None, expected_region: Some(from), millicelsius: None, region: Some(into) }
    }

    fn kind(&self) -> Kind {
        match (self.region, self.millicelsius) {
            (Some(_), None) => Kind::Merge,
            (Some(_), same) if same == self.expected => Kind::Move,
            _ => Kind::Change,
        }
    }

    /// Whether what it expects stands.
    fn fits(&self, standing: &Standing) -> bool {
        (self.kind() == Kind::Merge || self.expected == standing.millicelsius)
            && self.expected_region.is_none_or(|region| region == standing.region)
    }

    /// What stands after it, if `standing` stood before.
    fn applied_to(&self, standing: &Standing) -> Standing {
        Standing {
            region: self.region.unwrap_or(standing.region),
            millicelsius: match self.kind() {
                Kind::Merge => standing.millicelsius,
                Kind::Move | Kind::Change => self.millicelsius,
            },
            applied: standing.applied + 1,
        }
    }
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
    /// It was applied, but others after it: what it asks for does not stand now.
    Superseded,
    /// What it expects does not stand, or has not come yet.
    Waiting,
    /// What it expects stood, but another correction was applied instead.
    Conflict,
}

/// What stands of a counted reading, given all its corrections, sorted by hash; and which
/// of them are applied.
pub(crate) fn stand(region: u32, millicelsius: i32, changes: &[Change]) -> (Standing, Vec<Fate>) {
    let mut fates = vec![Fate::Waiting; changes.len()];
    // Each is applied once, so a circle of corrections ends.
    let mut is_used = vec![false; changes.len()];
    let mut standing = Standing { region, millicelsius: Some(millicelsius), applied: 0 };
    loop {
        let mut next: Option<(&Change, &mut Fate, &mut bool)> = None;
        for ((change, fate), is_used) in changes.iter().zip(&mut fates).zip(&mut is_used) {
            if *is_used || !change.fits(&standing) {
                continue;
            }
            if *fate == Fate::Waiting {
                *fate = Fate::Conflict;
            }
            if next.as_ref().is_none_or(|(other, ..)| change.kind() < other.kind()) {
                next = Some((change, fate, is_used));
            }
        }
        let Some((change, fate, used)) = next else { return (standing, fates) };
        (*fate, *used) = (Fate::Applied, true);
        standing = change.applied_to(&standing);
        // A reading that is moved by itself may come into a region that was merged.
        if change.region.is_some() && change.kind() != Kind::Merge {
            for (change, is_used) in changes.iter().zip(&mut is_used) {
                *is_used &= change.kind() != Kind::Merge;
            }
        }
    }
}

/// What became of each of these corrections, as `stand` found it.
pub(crate) fn fates(region: u32, millicelsius: i32, changes: &[Change]) -> Vec<Fate> {
    let (standing, mut fates) = stand(region, millicelsius, changes);
    for (change, fate) in changes.iter().zip(&mut fates) {
        let after = change.applied_to(&standing);
        let holds = (after.region, after.millicelsius) == (standing.region, standing.millicelsius);
        if *fate == Fate::Applied && !holds {
            *fate = Fate::Superseded;
        }
    }
    fates
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change(expected: Option<i32>, millicelsius: Option<i32>, region: Option<u32>) -> Change {
        Change { expected, expected_region: None, millicelsius, region }
    }

    /// The same, if it stands in this region.
    fn in_region(expected_region: u32, change: Change) -> Change {
        Change { expected_region: Some(expected_region), ..change }
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
            // What was withdrawn is brought back, and withdrawn again.
            (&[change(None, Some(85), Some(3)), change(Some(85), None, None)], (3, Some(85), 2)),
            (
                &[
                    change(Some(85), None, None),
                    change(None, Some(85), None),
                    change(Some(85), None, None),
                ],
                (1, None, 3),
            ),
            // Moved, with the same temperature.
            (&[change(Some(85), Some(85), Some(2))], (2, Some(85), 1)),
            // Only from the region that is expected.
            (&[in_region(2, change(Some(85), None, None))], (1, Some(85), 0)),
            (
                &[
                    in_region(2, change(Some(85), Some(85), Some(3))),
                    in_region(1, change(Some(85), Some(85), Some(2))),
                ],
                (3, Some(85), 2),
            ),
            // As it is, after what changes it, also if that withdraws it.
            (
                &[Change::merge(1, 2), in_region(1, change(Some(85), Some(20), None))],
                (2, Some(20), 2),
            ),
            (&[Change::merge(1, 2), change(Some(85), None, None)], (2, None, 2)),
            (
                &[Change::merge(1, 2), Change::merge(2, 3), change(Some(85), Some(85), Some(2))],
                (3, Some(85), 2),
            ),
            // Moved by itself, before what changes it.
            (
                &[change(Some(85), Some(20), None), change(Some(85), Some(85), Some(2))],
                (2, Some(20), 2),
            ),
            // Moved by itself into the region that was merged: it is merged again.
            (
                &[
                    change(Some(20), Some(21), Some(1)),
                    Change::merge(1, 2),
                    in_region(2, change(Some(85), Some(20), None)),
                ],
                (2, Some(21), 4),
            ),
        ] {
            let (region, millicelsius, applied) = expected;
            let (standing, _) = stand(1, 85, changes);
            assert_eq!(standing, Standing { region, millicelsius, applied }, "{changes:?}");
        }
    }

    #[test]
    fn what_became_of_a_correction_says_whether_it_stands() {
        use Fate::{Applied, Conflict, Superseded, Waiting};
        let (withdrawal, back) = (change(Some(85), None, None), change(None, Some(85), None));
        for (changes, expected) in [
            (&[change(Some(85), Some(20), None), withdrawal][..], &[Applied, Conflict][..]),
            (&[withdrawal, change(Some(20), None, None)], &[Applied, Waiting]),
            (&[withdrawal, back], &[Superseded, Applied]),
            (&[withdrawal, back, withdrawal], &[Applied, Superseded, Applied]),
            (&[Change::merge(1, 2), withdrawal], &[Applied, Applied]),
            (&[Change::merge(1, 2), Change::merge(2, 3)], &[Superseded, Applied]),
            (&[Change::merge(1, 2), change(Some(85), Some(85), Some(3))], &[Conflict, Applied]),
        ] {
            assert_eq!(fates(1, 85, changes), expected, "{changes:?}");
        }
    }

    fn some_change() -> impl Strategy<Value = Change> {
        let temperature = || prop::option::weighted(0.8, 0..3_i32);
        let region = || prop::option::of(0..3_u32);
        (temperature(), region(), temperature(), region()).prop_map(
            |(expected, expected_region, millicelsius, region)| Change {
                expected,
                expected_region,
                millicelsius,
                region,
            },
        )
    }

    proptest! {
        #[test]
        fn at_the_end_nothing_that_fits_is_left(
            changes in prop::collection::vec(some_change(), 0..8)
        ) {
            let (standing, fates) = stand(0, 0, &changes);
            let applied = fates.iter().filter(|fate| **fate == Fate::Applied).count();
            prop_assert!(standing.applied >= applied);
            for (change, fate) in changes.iter().zip(fates) {
                prop_assert!(fate == Fate::Applied || !change.fits(&standing));
            }
        }

        /// Whatever the hashes: both find what they expect, and neither hides the other.
        #[test]
        fn merges_of_regions_and_changes_of_temperatures_know_nothing_of_each_other(
            temperatures in prop::collection::vec(some_change(), 0..6),
            merges in Just((0..5).map(|n| Change::merge(n, n + 1)).collect::<Vec<_>>())
                .prop_shuffle(),
            order in prop::collection::vec(any::<prop::sample::Index>(), 11),
        ) {
            let plain = |change: Change| Change { expected_region: None, region: None, ..change };
            let temperatures: Vec<Change> = temperatures.into_iter().map(plain).collect();
            let mut all = temperatures.clone();
            for (merge, place) in merges.into_iter().zip(order) {
                all.insert(place.index(all.len() + 1), merge);
            }
            let (alone, _) = stand(0, 0, &temperatures);
            let (both, _) = stand(0, 0, &all);
            prop_assert_eq!((both.region, both.millicelsius), (5, alone.millicelsius));
        }

        #[test]
        fn what_is_written_comes_back(
            device in "[A-Za-z0-9._:-]{1,64}", at in 0..UnixMillis::MAX.get(),
            expected in proptest::option::of(-273_150..1_000_000_i64),
            expected_region in proptest::option::of("[A-Za-z0-9._:-]{1,64}"),
            temperature in proptest::option::of(-273_150..1_000_000_i64),
            region in proptest::option::of("[A-Za-z0-9._:-]{1,64}"), reason in "[^\\p{Cc}]{0,40}",
        ) {
            let correction = Correction {
                device_id: DeviceId::stored(device).unwrap(),
                timestamp: UnixMillis::new(at).unwrap(),
                expected: expected.and_then(MilliCelsius::new),
                expected_region: expected_region.and_then(Region::stored),
                temperature: temperature.and_then(MilliCelsius::new),
                region: region.and_then(Region::stored),
                reason: reason.into(),
            };
            let text = correction.to_text();
            prop_assert_eq!(Correction::parse(&text), Some(correction));
        }
    }
}
