//! Readings in SenML, which has no regions: the request names one for all, or the table of
//! the source `senml` has that of each device.

use crate::api::sources::{Leftover, SENML, rows_for};
use crate::domain::reading::{Reading, Region, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::error::Error;
use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request};
use crate::sources::devices::DeviceTable;
use crate::sources::steps::{Steps, TooCostly};
use crate::sources::tree::Unread;
use crate::wire::item::{Item, NAME_RULE, Parsed};
use crate::wire::senml::{self, Pack, Record, SenmlTime};

use super::answers::unreadable;

/// Where the region of a record is from.
enum Regions {
    /// The request names it.
    Named(Region<'static>),
    Table(DeviceTable),
}

/// The readings of a pack that arrived at `now`, and the devices that are not in the table.
pub(super) fn parsed<'b, H: Host>(
    host: &H,
    request: &Request,
    body: &'b [u8],
    now: UnixMillis,
) -> Result<(Parsed<'b>, Leftover), Refusal> {
    let Pack { records, ignored } = senml::parse(body).map_err(unreadable)?;
    if records.is_empty() {
        let detail = match ignored {
            0 => "the pack has no record".to_owned(),
            _ => format!(
                "none of the {ignored} records is a temperature: one has v, and the unit Cel or K"
            ),
        };
        return Err(Problem::new(Kind::NothingValid, detail).into());
    }
    let regions = regions(host, request, &records)?;
    let mut left = Leftover::of(SENML);
    let mut steps = Steps::of(body.len());
    let items = records.into_iter().map(|indexed| match indexed.record {
        Ok(record) => placed(record, &regions, &mut left, &mut steps, now),
        Err(rejection) => Ok(Err(rejection)),
    });
    let items = items.collect::<Result<_, TooCostly>>().map_err(|too_costly| {
        let detail = format!("{}; nothing was stored", Unread::from(too_costly).detail());
        Problem::new(Kind::Unreadable, detail)
    })?;
    Ok((Parsed { items, ignored: Vec::new() }, left))
}

fn regions<H: Host>(
    host: &H,
    request: &Request,
    records: &[senml::Indexed<'_>],
) -> Result<Regions, Refusal> {
    let query = request.query.as_deref().unwrap_or_default();
    let mut named = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "region");
    if let Some((_, region)) = named.next() {
        let region = Region::new(region.into_owned()).filter(|_| named.next().is_none());
        let detail = || format!("region must be given once: {NAME_RULE}");
        return Ok(Regions::Named(
            region.ok_or_else(|| Problem::new(Kind::BadParameter, detail()))?,
        ));
    }
    let ids = records.iter().filter_map(|record| record.record.as_ref().ok());
    let store = host.key_value().map_err(Error::Journal)?;
    match rows_for(host, &store, SENML, ids.map(|record| record.device.as_str()))? {
        Some(table) => Ok(Regions::Table(table)),
        None => {
            let detail = "SenML names no region; add ?region=<region>, or make the source senml \
                          and its table of devices";
            Err(Problem::new(Kind::BadParameter, detail).into())
        }
    }
}

fn placed<'b>(
    record: Record<'b>,
    regions: &Regions,
    left: &mut Leftover,
    steps: &mut Steps,
    now: UnixMillis,
) -> Result<Item<'b>, TooCostly> {
    let Record { device, temperature, time } = record;
    let (at, is_assumed) = match time {
        SenmlTime::Absolute(at) => (at, false),
        SenmlTime::Relative(ms) => (now.saturating_add(ms), true),
    };
    let (device, region) = match regions {
        Regions::Named(region) => (device, region.clone()),
        Regions::Table(table) => match table.lookup(device.as_str(), at, steps)? {
            Some(row) => (row.device.clone(), row.region.clone()),
            None => {
                let detail = "the device is not in the table of the source senml";
                left.unknown(device.as_str(), i64::from(temperature.get()), at);
                let rejection = Rejection::new(Reason::UnknownDevice, detail);
                return Ok(Err(rejection.sent_as(Some(device.as_str()), None)));
            }
        },
    };
    Ok(Ok(Reading::new(device, region, temperature, at).assumed(is_assumed)))
}
