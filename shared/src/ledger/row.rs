//! A row of the ledger: one reading, and its encoding in a run.

use crate::base::varint::{self, marked, unmarked};
use crate::domain::reading::{MilliCelsius, Reading, UnixMillis};
use crate::ledger::run::{Layout, RunRecord};
use crate::ledger::sorted_run::{Keys, RunTable};

/// The table of the ledger's runs.
pub(crate) const LEDGER: RunTable<1> = RunTable { name: "ledger", group: ["minute"] };

/// A reading in the ledger, or on its way into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whole minutes since 1970-01-01T00:00:00Z.
    pub minute: u32,
    /// Device and milliseconds into the minute: see `key`.
    pub(super) key: u64,
    /// The region's id.
    pub region: u32,
    /// Thousandths of a degree Celsius.
    pub millicelsius: i32,
    /// The position of its reading among those that are posted; meaningless in a row
    /// from the database.
    pub(super) index: u32,
    /// Whether its reading came late; false in rows of releases that did not store it.
    pub is_late: bool,
    /// Whether its time is that of its arrival, as the sender said none.
    pub is_time_assumed: bool,
}

/// The lower bits of a key: the milliseconds into the minute, below 60,000. The bits
/// above are the device.
pub(super) const MS_BITS: u32 = 16;

/// The most bits of a device's id: with the milliseconds they fill a positive INTEGER
/// of SQLite.
pub(crate) const DEVICE_BITS: u32 = 63 - MS_BITS;

/// The key of a reading in its minute: it sorts by device, then by time.
pub(super) fn key(device: u64, ms: u64) -> u64 {
    device << MS_BITS | ms
}

/// The device and the milliseconds of a key.
pub(super) fn parts(key: u64) -> (u64, i64) {
    (key >> MS_BITS, (key & ((1 << MS_BITS) - 1)).cast_signed())
}

/// The key of a device's reading.
pub(crate) fn key_at(minute: i64, device: u64, ms: u64) -> Keys<1> {
    let key = key(device, ms);
    Keys { group: [minute], from: key, to: key }
}

impl Row {
    pub(crate) fn of(
        index: usize,
        reading: &Reading<'_>,
        device: u64,
        region: u64,
    ) -> Option<Self> {
        let ms = u64::try_from(reading.timestamp.ms_of_minute()).ok()?;
        let device = Some(device).filter(|device| device >> DEVICE_BITS == 0)?;
        Some(Self {
            minute: u32::try_from(reading.timestamp.minute()).ok()?,
            key: key(device, ms),
            region: u32::try_from(region).ok()?,
            millicelsius: reading.temperature.get(),
            index: u32::try_from(index).ok()?,
            is_late: reading.is_late(),
            is_time_assumed: reading.is_time_assumed(),
        })
    }

    /// The device's id.
    pub fn device(&self) -> u64 {
        parts(self.key).0
    }

    /// When it was measured.
    pub fn timestamp(&self) -> Option<UnixMillis> {
        UnixMillis::from_minute(i64::from(self.minute), self.ms())
    }

    /// Minute, device and time as one key, for `sort_by_key`.
    pub(super) fn place(&self) -> u128 {
        u128::from(self.minute) << 64 | u128::from(self.key)
    }

    /// Milliseconds into the minute.
    pub(crate) fn ms(&self) -> i64 {
        parts(self.key).1
    }

    /// The measured temperature.
    pub fn temperature(&self) -> Option<MilliCelsius> {
        MilliCelsius::new(i64::from(self.millicelsius))
    }

    pub(super) fn content(&self) -> (u32, i32) {
        (self.region, self.millicelsius)
    }
}

/// Encoded after the key: the region, doubled, plus 1 if the reading came late; and the
/// temperature less that of the record before, with a mark if the reading's time is assumed.
/// Older releases wrote the plain region.
impl RunRecord<1> for Row {
    const NUMBERS: usize = 2;

    fn group(&self) -> [i64; 1] {
        [i64::from(self.minute)]
    }

    fn key(&self) -> u64 {
        self.key
    }

    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        varint::put(out, u64::from(self.region) << 1 | u64::from(self.is_late));
        let millicelsius_before = before.map_or(0, |row| row.millicelsius);
        let difference = i64::from(self.millicelsius) - i64::from(millicelsius_before);
        varint::put(out, marked(difference, self.is_time_assumed));
    }

    fn take(
        layout: Layout,
        group: [i64; 1],
        key: u64,
        before: Option<&Self>,
        input: &mut &[u8],
    ) -> Option<Self> {
        let number = varint::take(input).ok()?;
        let (region, is_late) = match layout {
            Layout::Current => (number >> 1, number & 1 == 1),
            Layout::Old => (number, false),
        };
        let region = i64::try_from(region).ok()?;
        let millicelsius_before = before.map_or(0, |row| row.millicelsius);
        let (difference, is_time_assumed) = unmarked(varint::take(input).ok()?);
        let millicelsius = difference.checked_add(i64::from(millicelsius_before))?;
        let row = Self::from_row(group, key, &[region, millicelsius])?;
        Some(Self { is_late, is_time_assumed, ..row })
    }

    fn from_row([minute]: [i64; 1], key: u64, numbers: &[i64]) -> Option<Self> {
        let [region, millicelsius] = *numbers else { return None };
        Some(Self {
            minute: u32::try_from(minute).ok()?,
            key,
            region: u32::try_from(region).ok()?,
            millicelsius: MilliCelsius::new(millicelsius)?.get(),
            index: 0,
            is_late: false,
            is_time_assumed: false,
        })
    }
}
