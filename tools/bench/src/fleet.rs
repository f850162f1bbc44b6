//! Readings that nobody has sent before.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

/// Devices that take turns, each with a reading every ten seconds. The longer
/// they send, the later it is: the service keeps all of it (`retention` 0).
pub(crate) struct Fleet {
    /// How many devices.
    devices: u64,
    /// How many regions they are spread over.
    regions: u64,
    /// The time of the first reading, in Unix milliseconds.
    start_ms: u64,
    next: AtomicU64,
}

/// Between two readings of a device, in milliseconds.
pub(crate) const INTERVAL_MS: u64 = 10_000;

impl Fleet {
    pub(crate) fn new(devices: u64, regions: u64, start_ms: u64) -> Self {
        Self { devices, regions, start_ms, next: AtomicU64::new(0) }
    }

    /// Writes the next `count` readings as JSON: one object, or an array.
    pub(crate) fn write(&self, count: u64, body: &mut Vec<u8>) -> Result<()> {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        body.clear();
        if count == 1 {
            return self.write_one(first, body);
        }
        for index in first..first + count {
            body.push(if index == first { b'[' } else { b',' });
            self.write_one(index, body)?;
        }
        body.push(b']');
        Ok(())
    }

    /// A device's temperature drifts slowly, and devices start apart from each
    /// other, as they do.
    fn write_one(&self, index: u64, body: &mut Vec<u8>) -> Result<()> {
        let (turn, device) = (index / self.devices, index % self.devices);
        let timestamp = self.start_ms + turn * INTERVAL_MS + device * 7_919 % INTERVAL_MS;
        let hundredths = 1_500 + device * 31 % 700 + (turn / 7 + device) % 60;
        write!(
            body,
            r#"{{"device_id":"sensor-{device:06}","region":"region-{:02}","temperature_c":{}.{:02},"timestamp":{timestamp}}}"#,
            device % self.regions,
            hundredths / 100,
            hundredths % 100,
        )?;
        Ok(())
    }

    /// How many readings were made.
    pub(crate) fn made(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}
