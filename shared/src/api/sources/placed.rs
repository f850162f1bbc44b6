//! From the values that a mapping took to readings of devices and regions: by the table of
//! the source's devices, or by the mapping itself.

use super::config::Source;
use super::left::Leftover;
use super::table;
use crate::base::sort::sort_by_text;
use crate::domain::reading::{Reading, TimeOrigin};
use crate::domain::rejection::{Reason, Rejection};
use crate::error::Error;
use crate::host::Host;
use crate::sources::devices::DeviceTable;
use crate::sources::steps::{Steps, TooCostly};
use crate::sources::taken::{Measured, Taken};
use crate::wire::item::Item;

/// Readings, each with where it was in the message.
pub(super) struct Placed {
    pub(super) items: Vec<Item<'static>>,
    pub(super) pointers: Vec<String>,
}

/// Why the readings of a message have no devices.
pub(super) enum NotPlaced {
    /// The table can't be read.
    Node(Error),
    /// The message takes too much work.
    TooCostly,
}

impl From<Error> for NotPlaced {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl From<TooCostly> for NotPlaced {
    fn from(_: TooCostly) -> Self {
        Self::TooCostly
    }
}

/// What the table of a source has of the devices of these values.
pub(super) fn table_for<H: Host>(
    host: &H,
    source: &Source,
    taken: &[Taken],
) -> Result<Option<DeviceTable>, Error> {
    if taken.iter().all(|one| one.result.is_err()) {
        return Ok(None);
    }
    let store = host.key_value().map_err(Error::Journal)?;
    let ids = taken.iter().filter_map(|one| one.result.as_ref().ok());
    table::for_ids(host, &store, &source.name, ids.map(|measured| measured.id.as_str()))
}

/// Finds the device and the region of each value. A device that neither the table nor the
/// mapping knows is noted, and never made: that is the bound on their number.
pub(super) fn place<H: Host>(
    host: &H,
    source: &Source,
    taken: Vec<Taken>,
    left: &mut Leftover,
    steps: &mut Steps,
) -> Result<Placed, NotPlaced> {
    let table = table_for(host, source, &taken)?;
    let mut placed = Placed { items: Vec::new(), pointers: Vec::new() };
    for Taken { pointer, result } in taken {
        placed.items.push(match result {
            Ok(measured) => one(measured, table.as_ref(), left, steps)?,
            Err(rejection) => Err(rejection),
        });
        placed.pointers.push(pointer);
    }
    refuse_flush(&mut placed.items);
    Ok(placed)
}

/// Rejects the values of one device that have an assumed time if there are several: their
/// order is not known. (Of one id, the mapping sees to it; several may be one device.)
fn refuse_flush(items: &mut [Item<'static>]) {
    let assumed = items.iter().flatten().filter(|reading| reading.is_time_assumed());
    let mut devices: Vec<String> =
        assumed.map(|reading| reading.device_id.as_str().to_owned()).collect();
    sort_by_text(&mut devices, |device| device);
    let mut several: Vec<String> = devices
        .windows(2)
        .filter_map(|pair| matches!(pair, [a, b] if a == b).then(|| pair.first().cloned())?)
        .collect();
    several.dedup();
    for item in items {
        let Ok(reading) = item else { continue };
        let is_one = |device: &String| device.as_str().cmp(reading.device_id.as_str());
        if reading.is_time_assumed() && several.binary_search_by(is_one).is_ok() {
            let detail = "the message has several values of this device and no times, so their \
                          order is not known: a flush of a buffer, or ids that are one device";
            *item = Err(Rejection::new(Reason::MissingTimestamp, detail).of(reading));
        }
    }
}

fn one(
    measured: Measured,
    table: Option<&DeviceTable>,
    left: &mut Leftover,
    steps: &mut Steps,
) -> Result<Item<'static>, TooCostly> {
    let row = match table {
        Some(table) => table.lookup(&measured.id, measured.timestamp, steps)?,
        None => None,
    };
    let Measured { id, name, region, temperature, timestamp, is_assumed, number, .. } = measured;
    let (device, region) = match (row, region) {
        (Some(row), _) => (row.device.clone(), row.region.clone()),
        (None, Some(region)) => (name, region),
        (None, None) => {
            left.unknown(&id, i64::from(temperature.get()), timestamp);
            let detail = "the device is not in the table of the source; adopt it by POST \
                          /v1/sources/<source>/devices, or on the page";
            let rejection = Rejection::new(Reason::UnknownDevice, detail);
            return Ok(Err(rejection.sent_as(Some(&id), None)));
        }
    };
    let time = match is_assumed {
        true => TimeOrigin::Assumed { number },
        false => TimeOrigin::Sent,
    };
    Ok(Ok(Reading::new(device, region, temperature, timestamp).with_time_of(time)))
}
