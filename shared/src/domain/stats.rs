//! The statistics of a set of readings, and their merge.
//!
//! Architecture invariant: everything here is an integer until the last division, so
//! merging is exact, associative and commutative. Windows merged from parts equal
//! windows computed at once, bit for bit, in any order.

use crate::domain::reading::{MilliCelsius, UnixMillis};

/// The statistics of at least one reading.
///
/// There is no empty `Stats`: a set without readings has no average, and is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    readings: u64,
    sum: i128,
    squares: i128,
    min: MilliCelsius,
    max: MilliCelsius,
    oldest: UnixMillis,
    newest: UnixMillis,
}

impl Stats {
    /// The statistics of one reading.
    pub fn of(temperature: MilliCelsius, timestamp: UnixMillis) -> Self {
        let millicelsius = i64::from(temperature.get());
        Self {
            readings: 1,
            sum: millicelsius.into(),
            // A million squared has 40 bits; the others are for the sum.
            squares: (millicelsius * millicelsius).into(),
            min: temperature,
            max: temperature,
            oldest: timestamp,
            newest: timestamp,
        }
    }

    /// The statistics of both sets together. They must have no reading in common.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            readings: self.readings + other.readings,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            oldest: self.oldest.min(other.oldest),
            newest: self.newest.max(other.newest),
        }
    }

    /// How many readings, at least 1.
    pub fn readings(&self) -> u64 {
        self.readings
    }

    /// The sum of the temperatures in thousandths of a degree Celsius, exact.
    pub fn sum_millicelsius(&self) -> i128 {
        self.sum
    }

    /// The arithmetic mean in degrees Celsius: the nearest double to the exact
    /// quotient, as long as the sum stays below 9·10¹² °C.
    pub fn average(&self) -> f64 {
        self.sum as f64 / (self.readings as f64 * 1000.0)
    }

    /// The population standard deviation in degrees Celsius, at least 0:
    /// √(n·Σx² − (Σx)²) / n. The difference is computed exactly.
    pub fn standard_deviation(&self) -> f64 {
        let n = i128::from(self.readings);
        let spread = n * self.squares - self.sum * self.sum;
        (spread as f64).sqrt() / (self.readings as f64 * 1000.0)
    }

    /// The lowest temperature.
    pub fn min(&self) -> MilliCelsius {
        self.min
    }

    /// The highest temperature.
    pub fn max(&self) -> MilliCelsius {
        self.max
    }

    /// When the oldest reading was measured.
    pub fn oldest(&self) -> UnixMillis {
        self.oldest
    }

    /// When the newest reading was measured.
    pub fn newest(&self) -> UnixMillis {
        self.newest
    }

    /// The stored form: the columns of the table `windows`, from `readings` on.
    pub(crate) fn to_columns(self) -> Option<[i64; 8]> {
        Some([
            i64::try_from(self.readings).ok()?,
            i64::try_from(self.sum).ok()?,
            i64::try_from(self.squares >> SQUARES_LOW_BITS).ok()?,
            i64::try_from(self.squares & SQUARES_LOW_MASK).ok()?,
            i64::from(self.min.get()),
            i64::from(self.max.get()),
            self.oldest.get(),
            self.newest.get(),
        ])
    }

    /// Reads statistics from their columns. Each half of the squares may be a sum of
    /// such halves, because SQL adds column by column.
    ///
    /// `None` if no writer of this schema can have written them.
    pub(crate) fn from_columns(columns: [i64; 8]) -> Option<Self> {
        let [readings, sum, squares_high, squares_low, min, max, oldest, newest] = columns;
        let squares = (i128::from(squares_high) << SQUARES_LOW_BITS) + i128::from(squares_low);
        Some(Self {
            readings: u64::try_from(readings).ok().filter(|&n| n > 0)?,
            sum: i128::from(sum),
            squares,
            min: MilliCelsius::new(min)?,
            max: MilliCelsius::new(max)?,
            oldest: UnixMillis::new(oldest)?,
            newest: UnixMillis::new(newest)?,
        })
    }
}

const SQUARES_LOW_BITS: u32 = 20;
const SQUARES_LOW_MASK: i128 = (1 << SQUARES_LOW_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(temperatures: &[i64]) -> Stats {
        let one = |(i, &millicelsius): (usize, &i64)| {
            Stats::of(
                MilliCelsius::new(millicelsius).unwrap(),
                UnixMillis::new(i64::try_from(i).unwrap()).unwrap(),
            )
        };
        temperatures.iter().enumerate().map(one).reduce(Stats::merge).unwrap()
    }

    #[test]
    fn the_average_is_the_nearest_double() {
        assert_eq!(stats(&[21_500]).average(), 21.5);
        assert_eq!(stats(&[100, 200, 300]).average(), 0.2);
        assert_eq!(stats(&[-1, 0]).average(), -0.0005);
    }

    #[test]
    fn the_standard_deviation_is_that_of_the_population() {
        let textbook = [2_000, 4_000, 4_000, 4_000, 5_000, 5_000, 7_000, 9_000];
        assert_eq!(stats(&textbook).standard_deviation(), 2.0);
        assert_eq!(stats(&[21_500]).standard_deviation(), 0.0);
        // Naive floating point gets this wrong: the squares agree in 16 digits.
        assert_eq!(stats(&[999_999, 1_000_000, 999_999, 1_000_000]).standard_deviation(), 0.0005);
    }

    #[test]
    fn merging_is_the_same_in_any_order() {
        let (a, b, c) = (stats(&[-273_150, 7]), stats(&[1_000_000]), stats(&[3, -4, 5]));
        assert_eq!(a.merge(b).merge(c), c.merge(a.merge(b)));
        assert_eq!(a.merge(b).merge(c), b.merge(c).merge(a));
    }

    #[test]
    fn columns_come_back_and_can_be_added_up_by_sql() {
        let (a, b) = (stats(&[-273_150, 21_437]), stats(&[1_000_000, 999_999, 3]));
        for one in [a, b] {
            assert_eq!(Stats::from_columns(one.to_columns().unwrap()), Some(one));
        }
        let (x, y) = (a.to_columns().unwrap(), b.to_columns().unwrap());
        let by_sql = [
            x[0] + y[0],
            x[1] + y[1],
            x[2] + y[2],
            x[3] + y[3],
            x[4].min(y[4]),
            x[5].max(y[5]),
            x[6].min(y[6]),
            x[7].max(y[7]),
        ];
        assert_eq!(Stats::from_columns(by_sql), Some(a.merge(b)));
    }

    #[test]
    fn columns_that_nobody_wrote_are_no_statistics() {
        let good = stats(&[21_500]).to_columns().unwrap();
        for (column, value) in [(0, 0), (0, -1), (4, -273_151), (5, 1_000_001), (6, -1)] {
            let mut bad = good;
            bad[column] = value;
            assert_eq!(Stats::from_columns(bad), None, "column {column}");
        }
    }
}
