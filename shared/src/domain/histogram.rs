//! Histograms with bins of a tenth of a degree, and their percentiles.
//!
//! Bin b holds the temperatures from b/10 °C to just below (b+1)/10 °C, so a sensor of
//! that resolution has one bin per value. Adding bins is exact and independent of
//! order, so a percentile of merged histograms is that of all their readings, to the
//! bin.

use std::cmp::Ordering;

use crate::base::checksum::checksum;
use crate::base::sort::sort_by_key;
use crate::base::varint::{self, unzigzag, zigzag};
use crate::domain::reading::MilliCelsius;

/// The width of a bin, in thousandths of a degree Celsius.
pub const BIN_MILLI: i64 = 100;

/// The first bytes of the stored form.
const VERSION: [u8; 2] = [2, 0];

/// Bytes before the bins: version and checksum.
const HEAD_BYTES: usize = 6;

/// The number of readings in each bin. Empty bins are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bin and count (at least 1), in the order of the bins.
    bins: Vec<(i64, u64)>,
}

impl Histogram {
    /// Counts `count` readings of this temperature.
    pub fn add(&mut self, temperature: MilliCelsius, count: u64) {
        self.add_to_bin(i64::from(temperature.get()).div_euclid(BIN_MILLI), count);
    }

    /// Takes away a reading that was counted. A histogram of an older release that lacks it
    /// is left as it is: incomplete.
    pub(crate) fn remove(&mut self, temperature: MilliCelsius) {
        let bin = i64::from(temperature.get()).div_euclid(BIN_MILLI);
        for (_, count) in self.bins.iter_mut().filter(|(known, _)| *known == bin) {
            *count -= 1;
        }
        self.bins.retain(|(_, count)| *count > 0);
    }

    /// Adds to a bin by its number.
    pub(crate) fn add_to_bin(&mut self, bin: i64, count: u64) {
        match self.bins.binary_search_by_key(&bin, |(known, _)| *known) {
            Ok(index) => {
                if let Some((_, known)) = self.bins.get_mut(index) {
                    *known = known.saturating_add(count);
                }
            }
            Err(index) if count > 0 => self.bins.insert(index, (bin, count)),
            Err(_) => {}
        }
    }

    /// The histogram of these temperatures.
    pub(crate) fn of(temperatures: impl Iterator<Item = MilliCelsius>) -> Self {
        let bin = |temperature: MilliCelsius| i64::from(temperature.get()).div_euclid(BIN_MILLI);
        let mut bins: Vec<i64> = temperatures.map(bin).collect();
        // Bins below 0 are no smaller numbers as they are: the lowest of all is -2,732.
        sort_by_key(&mut bins, |bin| u128::from(bin.wrapping_add(1 << 32).cast_unsigned()));
        let same = bins.chunk_by(|a, b| a == b);
        let count = |same: &[i64]| Some((*same.first()?, same.len() as u64));
        Self { bins: same.filter_map(count).collect() }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.bins.is_empty() {
            self.bins.clone_from(&other.bins);
            return;
        }
        let own = std::mem::take(&mut self.bins);
        self.bins.reserve(own.len() + other.bins.len());
        let (mut own, mut others) = (own.into_iter().peekable(), other.bins.iter().peekable());
        while let (Some((bin, count)), Some((other, added))) = (own.peek(), others.peek()) {
            let next = (
                (*bin).min(*other),
                match bin.cmp(other) {
                    Ordering::Less => *count,
                    Ordering::Greater => *added,
                    Ordering::Equal => count.saturating_add(*added),
                },
            );
            let (is_own, is_other) = (bin <= other, other <= bin);
            self.bins.push(next);
            own.next_if(|_| is_own);
            others.next_if(|_| is_other);
        }
        self.bins.extend(own);
        self.bins.extend(others);
    }

    /// How many readings were counted.
    pub fn readings(&self) -> u64 {
        self.bins.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The lower edge, in thousandths of a degree, of the bin that holds the
    /// percentile; the value is less than `BIN_MILLI` above. `None` without a reading.
    /// `percent` is 1 to 100.
    ///
    /// Nearest rank: the smallest value that at least `percent` per cent of the
    /// readings don't exceed.
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = (u128::from(self.readings()) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        let holds = |(_, count): &&(i64, u64)| {
            seen += u128::from(*count);
            seen >= rank
        };
        self.bins.iter().find(holds).map(|(bin, _)| bin * BIN_MILLI)
    }

    /// The stored form: two bytes of version; four bytes, little endian, with the lower
    /// half of the XXH64 (seed 0) of the rest; then for each bin, in order, its
    /// distance from the previous bin (of the first from 0, in zigzag) and its count,
    /// each as LEB128. Two to three bytes per bin.
    ///
    /// Older releases wrote only the bins. A count is never 0, so those never begin
    /// like the version.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.bins.len() * 3);
        bytes.extend([0; HEAD_BYTES]);
        let mut before = 0;
        for (bin, count) in &self.bins {
            let step = bin - before;
            varint::put(&mut bytes, zigzag(step));
            varint::put(&mut bytes, *count);
            before = *bin;
        }
        if let Some((head, bins)) = bytes.split_first_chunk_mut::<HEAD_BYTES>() {
            let ([a, b], [c, d, e, f]) = (VERSION, checksum(0, bins));
            *head = [a, b, c, d, e, f];
        }
        bytes
    }

    /// Decodes `bytes`; `None` if no release can have written them.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if let Some(checked) = bytes.strip_prefix(&VERSION) {
            let (sum, bins) = checked.split_first_chunk::<4>()?;
            if checksum(0, bins) != *sum {
                return None;
            }
            bytes = bins;
        }
        let mut bins = Vec::with_capacity(bytes.len() / 2);
        let mut before = 0_i64;
        while !bytes.is_empty() {
            let step = unzigzag(varint::take(&mut bytes).ok()?);
            let bin = before.checked_add(step)?;
            let count = varint::take(&mut bytes).ok()?;
            if (!bins.is_empty() && step <= 0) || count == 0 {
                return None;
            }
            bins.push((bin, count));
            before = bin;
        }
        Some(Self { bins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(millis: &[i64]) -> Histogram {
        let mut histogram = Histogram::default();
        for millicelsius in millis {
            histogram.add(MilliCelsius::new(*millicelsius).unwrap(), 1);
        }
        histogram
    }

    #[test]
    fn a_percentile_is_that_of_the_sorted_readings_to_the_bin() {
        let mut millis: Vec<i64> = (0..997).map(|i| i * 7_919 % 45_001 - 20_000).collect();
        let histogram = histogram(&millis);
        millis.sort_unstable();
        for percent in 1..=100_usize {
            let exact = millis[(millis.len() * percent).div_ceil(100) - 1];
            let bin = exact.div_euclid(BIN_MILLI) * BIN_MILLI;
            assert_eq!(histogram.percentile(percent as u64), Some(bin), "{percent}");
        }
        assert_eq!(Histogram::default().percentile(50), None);
    }

    #[test]
    fn merging_is_the_same_in_any_order() {
        let (a, b) = (histogram(&[-273_150, -1, 0, 99]), histogram(&[100, 99, 1_000_000]));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        assert_eq!(ab, ba);
        assert_eq!(ab, histogram(&[100, -273_150, 0, 99, 99, -1, 1_000_000]));
        assert_eq!(ab.readings(), 7);
    }

    #[test]
    fn what_is_stored_comes_back_and_rubbish_does_not() {
        for millis in [&[][..], &[-273_150, 1_000_000], &[21_437, 21_500, 21_599, -50]] {
            let histogram = histogram(millis);
            assert_eq!(Histogram::decode(&histogram.encode()), Some(histogram));
        }
        // The form of older releases: bin 1, count 2.
        assert_eq!(Histogram::decode(&[2, 2]), Some(histogram(&[100, 199])));
        let bytes = histogram(&[21_437, 21_500, -50]).encode();
        for (index, bit) in (0..bytes.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1 << bit;
            assert_eq!(Histogram::decode(&damaged), None, "bit {bit} of byte {index}");
        }
        for bad in [&[0x80][..], &[2], &[2, 0], &[2, 1, 0, 1], &[2, 1, 1, 1], &[0xff; 22]] {
            assert_eq!(Histogram::decode(bad), None, "{bad:?}");
        }
    }
}
