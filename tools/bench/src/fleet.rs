//! Generates readings that were not sent before.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

/// Devices that take turns, each with a reading every ten seconds. Their time advances
/// as they send; the service keeps everything (`retention` 0).
pub(crate) struct Fleet {
    /// How many devices.
    devices: u64,
    /// How many regions they are spread over.
    regions: u64,
    /// The time of the first reading, in Unix milliseconds.
    start_ms: u64,
    next: AtomicU64,
}

/// The time between two readings of a device, in milliseconds.
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
            return self.reading(first).write_json(body);
        }
        for index in first..first + count {
            body.push(if index == first { b'[' } else { b',' });
            self.reading(index).write_json(body)?;
        }
        body.push(b']');
        Ok(())
    }

    /// Writes the next `count` readings in InfluxDB's line protocol, with times in
    /// milliseconds.
    pub(crate) fn write_lines(&self, count: u64, body: &mut Vec<u8>) -> Result<()> {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        body.clear();
        (first..first + count).try_for_each(|index| self.reading(index).write_line(body))
    }

    /// Each device's temperature drifts slowly, from a start of its own.
    fn reading(&self, index: u64) -> Reading {
        let (turn, device) = (index / self.devices, index % self.devices);
        Reading {
            device,
            region: device % self.regions,
            hundredths: 1_500 + device * 31 % 700 + (turn / 7 + device) % 60,
            timestamp: self.start_ms + turn * INTERVAL_MS + device * 7_919 % INTERVAL_MS,
        }
    }

    /// How many readings were made.
    pub(crate) fn made(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

/// What a device has measured.
struct Reading {
    device: u64,
    region: u64,
    /// In hundredths of a degree Celsius.
    hundredths: u64,
    /// In Unix milliseconds.
    timestamp: u64,
}

impl Reading {
    fn write_json(&self, body: &mut Vec<u8>) -> Result<()> {
        write!(
            body,
            r#"{{"device_id":"sensor-{:06}","region":"region-{:02}","temperature_c":{}.{:02},"timestamp":{}}}"#,
            self.device,
            self.region,
            self.hundredths / 100,
            self.hundredths % 100,
            self.timestamp,
        )?;
        Ok(())
    }

    fn write_line(&self, body: &mut Vec<u8>) -> Result<()> {
        writeln!(
            body,
            "readings,device_id=sensor-{:06},region=region-{:02} temperature_c={}.{:02} {}",
            self.device,
            self.region,
            self.hundredths / 100,
            self.hundredths % 100,
            self.timestamp,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let (fleet, other) = (Fleet::new(3, 2, 1_000), Fleet::new(3, 2, 1_000));
        let (mut json, mut lines) = (Vec::new(), Vec::new());
        fleet.write(7, &mut json).unwrap();
        other.write_lines(7, &mut lines).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let as_lines = json.as_array().unwrap().iter().map(|reading| {
            let text = |name: &str| reading[name].to_string().replace('"', "");
            format!(
                "readings,device_id={},region={} temperature_c={:.2} {}",
                text("device_id"),
                text("region"),
                reading["temperature_c"].as_f64().unwrap(),
                text("timestamp")
            )
        });
        let lines = String::from_utf8(lines).unwrap();
        assert_eq!(lines.lines().collect::<Vec<_>>(), as_lines.collect::<Vec<_>>());
    }
}
