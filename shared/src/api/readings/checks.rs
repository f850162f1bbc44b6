//! Which readings a sender may not send, and which temperatures are no measurement: those
//! never to be counted, and those that are not plausible for their region.

use crate::access::Grant;
use crate::domain::plausible::Plausible;
use crate::domain::reading::{MilliCelsius, Reading};
use crate::domain::rejection::{Reason, Rejection};
use crate::error::Error;
use crate::host::Host;
use crate::journal::door::Door;
use crate::journal::plausible::{self, PlausibleByRegion};
use crate::settings;
use crate::wire::item::Item;

/// Rejects the readings that the sender's token does not allow.
pub(super) fn allowed<'a>(items: Vec<Item<'a>>, grant: &Grant) -> Vec<Item<'a>> {
    if grant.scopes.writes_all() {
        return items;
    }
    let check = |item: Item<'a>| {
        let reading = item?;
        let (device_id, region) = (reading.device_id.as_str(), reading.region.as_str());
        if grant.scopes.may_write(device_id, region) {
            return Ok(reading);
        }
        let detail = "the token does not allow this device in this region; send it with its own \
                      token, or let the operator make another one";
        Err(Rejection::new(Reason::Forbidden, detail).of(&reading))
    };
    items.into_iter().map(check).collect()
}

/// Rejects the readings that are no measurement. Without the journal, what is plausible is
/// not known.
pub(super) fn reject<'a, H: Host>(
    host: &H,
    items: Vec<Item<'a>>,
    journal: Option<&(H::KeyValue, Door)>,
) -> Result<Vec<Item<'a>>, Error> {
    let void = settings::void_values(host)?;
    let limits = match journal {
        Some((store, door)) if door.has_plausible => {
            plausible::load(host, store).map_err(Error::Journal)?
        }
        _ => PlausibleByRegion::default(),
    };
    if void.is_empty() && limits.is_empty() {
        return Ok(items);
    }
    let check = |item: Item<'a>| item.and_then(|reading| checked(reading, &void, &limits));
    Ok(items.into_iter().map(check).collect())
}

fn checked<'a>(
    reading: Reading<'a>,
    void: &[MilliCelsius],
    limits: &PlausibleByRegion,
) -> Item<'a> {
    if void.contains(&reading.temperature) {
        let detail = "the temperature is one that is never counted (variable void_values); look \
                      at the sensor";
        return Err(Rejection::new(Reason::VoidValue, detail).of(&reading));
    }
    let Plausible { low, high } = limits.of_region(reading.region.as_str());
    if (Plausible { low, high }).allows(reading.temperature) {
        return Ok(reading);
    }
    let end = |limit: Option<MilliCelsius>, none: &str| {
        limit.map_or_else(|| none.to_owned(), |limit| limit.to_celsius().to_string())
    };
    let detail = format!(
        "the temperature is not plausible for its region, which has from {} to {} degrees \
         Celsius; look at the sensor",
        end(low, "-273.15"),
        end(high, "1000")
    );
    Err(Rejection::new(Reason::Implausible, detail).of(&reading))
}
