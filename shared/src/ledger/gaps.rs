//! The last gaps between a device's readings: how often it usually sends.

use crate::base::varint;

/// How many gaps are kept. A median of five is that of the usual ones although two of
/// them are unusual.
const KEPT: usize = 5;

/// The fewest gaps that say how often a device sends.
const ENOUGH: usize = 3;

/// The last gaps between consecutive readings, oldest first, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps {
    seconds: [u32; KEPT],
    count: u8,
}

impl Gaps {
    fn as_slice(&self) -> &[u32] {
        self.seconds.get(..usize::from(self.count)).unwrap_or_default()
    }

    fn push(&mut self, seconds: u32) {
        if let Some(free) = self.seconds.get_mut(usize::from(self.count)) {
            *free = seconds;
            self.count += 1;
        } else {
            self.seconds.rotate_left(1);
            if let Some(last) = self.seconds.last_mut() {
                *last = seconds;
            }
        }
    }

    /// These, a gap of `ms` milliseconds, and `later` ones; the last of them all.
    pub(crate) fn followed_by(&self, ms: i64, later: &Self) -> Self {
        let mut all = *self;
        // To the nearest second.
        all.push(u32::try_from(ms.saturating_add(500) / 1_000).unwrap_or(u32::MAX));
        later.as_slice().iter().for_each(|seconds| all.push(*seconds));
        all
    }

    /// The median, in seconds, at least 1; `None` if there are fewer than three gaps. Of
    /// two in the middle, the longer.
    pub(crate) fn median_s(&self) -> Option<u32> {
        let all = self.as_slice();
        if all.len() < ENOUGH {
            return None;
        }
        // Few enough to count for each how many are below it. (A sort is eight kilobytes.)
        let below = |limit: u32| all.iter().filter(|seconds| **seconds < limit).count();
        let is_median = |limit: &&u32| {
            let same = all.iter().filter(|seconds| seconds == limit).count();
            (below(**limit)..below(**limit) + same).contains(&(all.len() / 2))
        };
        all.iter().find(is_median).map(|median| (*median).max(1))
    }

    /// The stored form: how many, then each, as LEB128.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.count);
        self.as_slice().iter().for_each(|seconds| varint::put(out, u64::from(*seconds)));
    }

    /// Reads what `put` wrote.
    pub(crate) fn take(input: &mut &[u8]) -> Option<Self> {
        let mut gaps = Self::default();
        let count = varint::take(input).ok().filter(|count| *count <= KEPT as u64)?;
        for _ in 0..count {
            gaps.push(u32::try_from(varint::take(input).ok()?).ok()?);
        }
        Some(gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: &[i64]) -> Gaps {
        let push = |gaps: Gaps, s: &i64| gaps.followed_by(s * 1_000, &Gaps::default());
        seconds.iter().fold(Gaps::default(), push)
    }

    #[test]
    fn the_usual_gap_is_the_median_of_the_last_five() {
        for (seconds, expected) in [
            (&[][..], None),
            (&[60, 60], None),
            (&[60, 60, 60], Some(60)),
            (&[60, 3_600, 60], Some(60)),
            (&[60, 3_600, 60, 60, 7_200], Some(60)),
            (&[60, 60, 60, 900, 900, 900], Some(900)),
            (&[0, 0, 0], Some(1)),
        ] {
            assert_eq!(of(seconds).median_s(), expected, "{seconds:?}");
        }
        let most = Gaps::default().followed_by(i64::MAX, &Gaps::default());
        assert_eq!(most.as_slice(), [u32::MAX]);
    }

    #[test]
    fn the_gaps_of_two_stretches_are_joined_by_the_one_between() {
        let joined = of(&[60, 60]).followed_by(600_499, &of(&[61, 62, 63]));
        assert_eq!(joined.as_slice(), [60, 600, 61, 62, 63]);
    }

    #[test]
    fn what_is_written_comes_back_and_nothing_else_does() {
        for gaps in [of(&[]), of(&[0]), of(&[60, 3_600, 86_400, 1, 2])] {
            let mut bytes = Vec::new();
            gaps.put(&mut bytes);
            let mut input = bytes.as_slice();
            assert_eq!(Gaps::take(&mut input), Some(gaps));
            assert!(input.is_empty());
            if gaps.count > 0 {
                assert_eq!(Gaps::take(&mut &bytes[..bytes.len() - 1]), None);
            }
        }
        assert_eq!(Gaps::take(&mut [6, 1, 1, 1, 1, 1, 1].as_slice()), None);
    }
}
