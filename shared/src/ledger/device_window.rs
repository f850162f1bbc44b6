//! The windows of devices: what one device sent to one region in an hour, a day, or all
//! time.

use crate::base::varint::{self, unzigzag, zigzag};
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::domain::summary::device_average;
use crate::error::Error;
use crate::host::Sql;
use crate::ledger::Row;
use crate::ledger::gaps::Gaps;
use crate::ledger::run::{Layout, RunRecord};
use crate::ledger::sorted_run::{Keys, RunTable};

/// The table of runs that stores them.
pub(crate) const DEVICE_WINDOWS: RunTable<3> =
    RunTable { name: "device_windows", group: ["region", "span", "start"] };

/// A device's window. `oldest`, `newest`, `latest` and `gaps` are stored for all time
/// only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceWindow {
    region: u32,
    /// In minutes; 0 is all time.
    span: u16,
    /// Whole minutes since 1970-01-01T00:00:00Z.
    start: u32,
    device: u64,
    readings: i64,
    sum_millicelsius: i64,
    oldest: UnixMillis,
    newest: UnixMillis,
    /// The temperature of the newest reading.
    latest: MilliCelsius,
    /// The lowest and the highest temperature; `None` if readings of a release are in it
    /// that did not keep them.
    extremes: Option<Extremes>,
    gaps: Gaps,
}

/// The lowest and the highest temperature of a device's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extremes {
    pub(crate) min: MilliCelsius,
    pub(crate) max: MilliCelsius,
}

/// The span of all time.
const ALL: u16 = 0;

/// The windows of all time of all devices of a region, sorted by device.
pub(crate) fn of_all_time(sql: &impl Sql, region: i64) -> Result<Vec<DeviceWindow>, Error> {
    let all = Keys { group: [region, i64::from(ALL), 0], from: 0, to: u64::MAX };
    let mut windows = Vec::new();
    for run in DEVICE_WINDOWS.load(sql, &[all])? {
        windows.append(&mut DEVICE_WINDOWS.decode(&run)?);
    }
    Ok(windows)
}

impl DeviceWindow {
    /// The window of one reading, in this span.
    pub(crate) fn of(span: u16, row: &Row) -> Option<Self> {
        let (at, temperature) = (row.timestamp()?, row.temperature()?);
        let hour = Self {
            region: row.region,
            span,
            start: row.minute,
            device: row.device(),
            readings: 1,
            sum_millicelsius: i64::from(temperature.get()),
            oldest: at,
            newest: at,
            latest: temperature,
            extremes: Some(Extremes { min: temperature, max: temperature }),
            gaps: Gaps::default(),
        };
        Some(hour.widened(span))
    }

    /// This window in a coarser span.
    pub(crate) fn widened(self, span: u16) -> Self {
        let start = match span {
            ALL => 0,
            minutes => self.start - self.start % u32::from(minutes),
        };
        Self { span, start, ..self }
    }

    /// Adds `other`, a window of the same device.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.readings += other.readings;
        self.sum_millicelsius += other.sum_millicelsius;
        self.extremes = match (self.extremes, other.extremes) {
            (Some(a), Some(b)) => Some(Extremes { min: a.min.min(b.min), max: a.max.max(b.max) }),
            _ => None,
        };
        self.gaps = self.merged_gaps(other);
        if other.newest > self.newest {
            (self.newest, self.latest) = (other.newest, other.latest);
        }
        self.oldest = self.oldest.min(other.oldest);
    }

    /// The gaps of both windows and between them. Where their times overlap, those of the
    /// one with the newest reading: what came late is not put in between.
    fn merged_gaps(&self, other: &Self) -> Gaps {
        if other.oldest > self.newest {
            self.gaps.followed_by(other.oldest.get() - self.newest.get(), &other.gaps)
        } else if self.oldest > other.newest {
            other.gaps.followed_by(self.oldest.get() - other.newest.get(), &self.gaps)
        } else if other.newest > self.newest {
            other.gaps
        } else {
            self.gaps
        }
    }

    pub(crate) fn device(&self) -> u64 {
        self.device
    }

    /// This window with what `whole`, of the same device in all its regions, knows of its
    /// gaps.
    pub(crate) fn learned(self, whole: &Self) -> Self {
        Self { gaps: whole.gaps, ..self }
    }

    pub(crate) fn region(&self) -> u32 {
        self.region
    }

    /// The lowest and the highest temperature, if known.
    pub(crate) fn extremes(&self) -> Option<Extremes> {
        self.extremes
    }

    /// The time that usually passes between its readings, in milliseconds, if it is known
    /// (`Gaps::median_s`). Valid for all time only.
    pub(crate) fn usual_gap_ms(&self) -> Option<i64> {
        self.gaps.median_s().map(|seconds| i64::from(seconds) * 1_000)
    }

    /// Its region and device, if its span is all time.
    pub(crate) fn of_all_time(&self) -> Option<(u32, u64)> {
        (self.span == ALL).then_some((self.region, self.device))
    }

    pub(crate) fn readings(&self) -> i64 {
        self.readings
    }

    pub(crate) fn sum_millicelsius(&self) -> i64 {
        self.sum_millicelsius
    }

    /// When its first and last readings were measured, and the temperature of the last.
    /// Valid for all time only.
    pub(crate) fn seen(&self) -> (UnixMillis, UnixMillis, MilliCelsius) {
        (self.oldest, self.newest, self.latest)
    }

    /// The mean of its readings in thousandths of a degree, without its fraction: it is
    /// between the lowest and the highest.
    fn mean(&self) -> i64 {
        self.sum_millicelsius.checked_div(self.readings).unwrap_or(0)
    }

    /// This window, merged from those of days, as that of all time. `seen` are its first
    /// and its last reading, as far as the ledger has them; what it does not have is as it
    /// was `before`.
    pub(crate) fn of_all_days(
        self,
        seen: (Option<Row>, Option<Row>),
        before: Option<&Self>,
    ) -> Self {
        let known = before.unwrap_or(&self);
        let (first, last) = seen;
        let last = last.and_then(|row| Some((row.timestamp()?, row.temperature()?)));
        let (newest, latest) = last.unwrap_or((known.newest, known.latest));
        let oldest = first.and_then(|row| row.timestamp()).unwrap_or(known.oldest);
        Self { oldest, newest, latest, gaps: known.gaps, ..self }
    }

    /// The mean of its readings, in degrees Celsius.
    pub(crate) fn average_celsius(&self) -> f64 {
        self.sum_millicelsius as f64 / (self.readings as f64 * 1_000.0)
    }

    /// The mean of its readings, in millionths of a degree.
    pub(crate) fn average(&self) -> i64 {
        device_average(self.readings, self.sum_millicelsius)
    }

    /// Region, span, start and device as one key, in the order of the table: 32, 16, 32
    /// and 48 bits. A device's id has `row::DEVICE_BITS`.
    pub(crate) fn place(&self) -> u128 {
        u128::from(self.region) << 96
            | u128::from(self.span) << 80
            | u128::from(self.start) << 48
            | u128::from(self.device)
    }
}

/// Encoded after the key: count and sum; then, if there are several readings, how far
/// the lowest is below their average and the highest above it, the first plus 1, or 0 if
/// they are unknown; for all time also the oldest time, the newest time less the oldest,
/// the latest temperature, and the gaps. Older releases wrote neither extremes nor gaps.
impl RunRecord<3> for DeviceWindow {
    const NUMBERS: usize = 5;

    fn group(&self) -> [i64; 3] {
        [i64::from(self.region), i64::from(self.span), i64::from(self.start)]
    }

    fn key(&self) -> u64 {
        self.device
    }

    fn put(&self, _before: Option<&Self>, out: &mut Vec<u8>) {
        varint::put(out, self.readings.cast_unsigned());
        varint::put(out, zigzag(self.sum_millicelsius));
        if self.readings > 1 {
            put_extremes(self.extremes, self.mean(), out);
        }
        if self.span == ALL {
            varint::put(out, self.oldest.get().cast_unsigned());
            varint::put(out, self.newest.get().abs_diff(self.oldest.get()));
            varint::put(out, zigzag(i64::from(self.latest.get())));
            self.gaps.put(out);
        }
    }

    fn take(
        layout: Layout,
        group: [i64; 3],
        key: u64,
        _before: Option<&Self>,
        input: &mut &[u8],
    ) -> Option<Self> {
        let readings = varint::take(input).ok()?.cast_signed();
        let sum_millicelsius = unzigzag(varint::take(input).ok()?);
        let [_, span, _] = group;
        let mut window = Self::from_row(group, key, &[readings, sum_millicelsius, 0, 0, 0])?;
        if layout == Layout::Current && readings > 1 {
            window.extremes = take_extremes(window.mean(), input)?;
        }
        if span == i64::from(ALL) {
            let oldest = varint::take(input).ok()?.cast_signed();
            let newest = oldest.checked_add_unsigned(varint::take(input).ok()?)?;
            window.oldest = UnixMillis::new(oldest)?;
            window.newest = UnixMillis::new(newest)?;
            window.latest = MilliCelsius::new(unzigzag(varint::take(input).ok()?))?;
            if layout == Layout::Current {
                window.gaps = Gaps::take(input)?;
            }
        }
        Some(window)
    }

    fn from_row([region, span, start]: [i64; 3], key: u64, numbers: &[i64]) -> Option<Self> {
        let [readings, sum_millicelsius, oldest, newest, latest] = *numbers else { return None };
        // The only reading is the lowest and the highest.
        let extremes = match readings {
            1 => MilliCelsius::new(sum_millicelsius).map(|one| Extremes { min: one, max: one }),
            _ => None,
        };
        Some(Self {
            region: u32::try_from(region).ok()?,
            span: u16::try_from(span).ok()?,
            start: u32::try_from(start).ok()?,
            device: key,
            readings: Some(readings).filter(|n| *n > 0)?,
            sum_millicelsius,
            oldest: UnixMillis::new(oldest)?,
            newest: UnixMillis::new(newest)?,
            latest: MilliCelsius::new(latest)?,
            extremes,
            gaps: Gaps::default(),
        })
    }
}

fn put_extremes(extremes: Option<Extremes>, mean: i64, out: &mut Vec<u8>) {
    match extremes {
        Some(Extremes { min, max }) => {
            varint::put(out, mean.abs_diff(i64::from(min.get())) + 1);
            varint::put(out, mean.abs_diff(i64::from(max.get())));
        }
        None => varint::put(out, 0),
    }
}

/// What `put_extremes` wrote; the outer `None` if it can't have written that.
fn take_extremes(mean: i64, input: &mut &[u8]) -> Option<Option<Extremes>> {
    let Some(below) = varint::take(input).ok()?.checked_sub(1) else { return Some(None) };
    let above = varint::take(input).ok()?;
    let min = MilliCelsius::new(mean.checked_sub_unsigned(below)?)?;
    let max = MilliCelsius::new(mean.checked_add_unsigned(above)?)?;
    Some(Some(Extremes { min, max }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::row::DEVICE_BITS;

    fn window(span: u16, minute: u32, newest: i64, millicelsius: i64) -> DeviceWindow {
        let group = [3, i64::from(span), i64::from(minute)];
        DeviceWindow::from_row(group, 5, &[1, millicelsius, newest, newest, millicelsius]).unwrap()
    }

    #[test]
    fn merging_is_the_same_in_any_order_and_the_newest_is_the_latest() {
        let parts = [window(0, 0, 20, 7), window(0, 0, 10, -3), window(0, 0, 30, 5)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut whole = parts[order[0]];
            whole.merge(&parts[order[1]]);
            whole.merge(&parts[order[2]]);
            let (oldest, newest, latest) = whole.seen();
            assert_eq!((oldest.get(), newest.get(), latest.get()), (10, 30, 5), "{order:?}");
            assert_eq!((whole.readings(), whole.sum_millicelsius()), (3, 9));
        }
    }

    #[test]
    fn a_window_is_widened_to_the_hour_the_day_and_all_time() {
        let start = |span| window(0, 2 * 1_440 + 125, 0, 0).widened(span).group();
        assert_eq!(start(60), [3, 60, 2 * 1_440 + 120]);
        assert_eq!(start(1_440), [3, 1_440, 2 * 1_440]);
        assert_eq!(start(ALL), [3, 0, 0]);
    }

    #[test]
    fn what_is_written_comes_back_of_all_time_with_what_was_seen() {
        for (span, seen) in [(60, (0, 0, 0)), (ALL, (40, 40, -2))] {
            let written = window(span, 60, 40, -2);
            let mut bytes = Vec::new();
            written.put(None, &mut bytes);
            let mut input = bytes.as_slice();
            let read =
                DeviceWindow::take(Layout::Current, written.group(), 5, None, &mut input).unwrap();
            assert!(input.is_empty());
            let (oldest, newest, latest) = read.seen();
            assert_eq!((oldest.get(), newest.get(), latest.get()), seen);
            assert_eq!((read.readings(), read.sum_millicelsius()), (1, -2));
        }
    }

    proptest! {
        #[test]
        fn a_packed_key_orders_as_its_parts_do(
            a in (any::<u32>(), any::<u16>(), any::<u32>(), 0..1_u64 << DEVICE_BITS),
            b in (any::<u32>(), any::<u16>(), any::<u32>(), 0..1_u64 << DEVICE_BITS),
        ) {
            let place = |(region, span, start, device)| {
                DeviceWindow { region, span, start, device, ..window(0, 0, 0, 0) }.place()
            };
            prop_assert_eq!(place(a).cmp(&place(b)), a.cmp(&b));
            // Regions that differ only in their upper bits have different keys.
            let far = (a.0 ^ 1 << 16, a.1, a.2, a.3);
            prop_assert_eq!(place(a).cmp(&place(far)), a.cmp(&far));
        }
    }
}
