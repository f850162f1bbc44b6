//! Quarter hours: what stays of readings that leave the ledger, beside their windows.
//!
//! Local days of some zones begin at a quarter or a half of a UTC hour, and minutes have
//! neither devices nor a histogram. Those of a quarter hour are in the ledger; when it is
//! pruned, they are kept as windows of 15 minutes. So a fold costs no more than without
//! them, and each of them is written once or twice.
//!
//! Architecture invariant: a reading is in the ledger or in its quarter hour (unless it left
//! the ledger under a release that did not keep any), never in both.

use crate::base::sort;
use crate::error::Error;
use crate::host::Sql;
use crate::ledger::Row;
use crate::ledger::device_window::DeviceWindow;
use crate::ledger::windows::{Addition, add_devices, add_histograms, devices_rolled_up};

/// The span, in minutes.
const QUARTER: u16 = 15;

/// Adds the readings to the devices and the histogram of their quarter hours.
///
/// Must run in the transaction in which they leave the ledger.
pub(crate) fn add(sql: &impl Sql, rows: Vec<Row>) -> Result<(), Error> {
    let (mut windows, devices) = additions(rows).ok_or(Error::Corrupt("ledger row"))?;
    add_devices(sql, &devices, &mut windows)?;
    add_histograms(sql, &mut windows)
}

/// What they add, sorted by key.
fn additions(mut rows: Vec<Row>) -> Option<(Vec<Addition>, Vec<DeviceWindow>)> {
    sort::sort_by_key(&mut rows, |row| u128::from(row.region) << 32 | u128::from(row.minute));
    let (mut windows, mut devices) = (Vec::new(), Vec::with_capacity(rows.len()));
    for rows in rows.chunk_by(|a, b| quarter(a) == quarter(b)) {
        let mut window = Addition::of(QUARTER, rows.first()?)?;
        for row in rows {
            window.histogram.add(row.temperature()?, 1);
            devices.push(DeviceWindow::of(QUARTER, row)?);
        }
        windows.push(window);
    }
    Some((windows, devices_rolled_up(QUARTER, &devices)))
}

fn quarter(row: &Row) -> (u32, u32) {
    (row.region, row.minute / u32::from(QUARTER))
}
