//! `GET /v1/rejections`: the last rejected items and unreadable bodies; below it the same by
//! device.

use serde_json::Value;

use crate::api::answer::{Answered, HandlerResult};
use crate::api::call::Call;
use crate::api::readings::UNREADABLE;
use crate::base::page::Page;
use crate::base::sort;
use crate::domain::rejection::Reason;
use crate::error::Error;
use crate::host::Host;
use crate::http::document::{Document, Fields, Table};
use crate::http::params::{Param, no_such_page};
use crate::http::{Kind, Problem};
use crate::journal::recent::{Recent, Rejected};

/// Answers with a page of them, newest first.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let text = |param| call.params.text(param);
    let (device_id, region, reason, after) =
        (text(Param::DeviceId), text(Param::Region), text(Param::Reason), call.params.after());
    if reason.is_some_and(|reason| !is_reason(reason)) {
        let detail = "there is no such reason; /v1/rejections lists those that occurred";
        return Err(Problem::new(Kind::BadParameter, detail).into());
    }
    let after: Option<u64> =
        after.map(|text| text.parse().ok().ok_or_else(no_such_page)).transpose()?;
    let is_meant = |(number, record): &(u64, Rejected)| {
        after.is_none_or(|after| *number < after)
            && device_id.is_none_or(|device_id| record.device_id.as_deref() == Some(device_id))
            && region.is_none_or(|region| record.region.as_deref() == Some(region))
            && reason.is_none_or(|reason| record.reason == reason)
    };
    let (about, records) = kept(call)?;
    let limit = call.params.limit;
    let meant = records.into_iter().filter(is_meant).take(Page::<()>::to_read(limit));
    let page = Page::of(meant.collect(), limit);
    let next = page.last().map(|(number, _)| call.params.next_page(&number.to_string()));
    let columns = vec!["at", "device_id", "region", "reason", "detail", "address", "stands_for"];
    let rows = page.items.into_iter().map(|(_, record)| cells(record)).collect();
    Ok(answer(call, "rejections", Table { columns, rows }, about, next))
}

/// Answers with how many were rejected of each device, most first.
pub(crate) fn by_device<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let (about, records) = kept(call)?;
    let mut groups: Vec<Rejected> = Vec::new();
    for (_, record) in records {
        // The first that is found is the newest.
        match groups.iter_mut().find(|group| is_same_sender(group, &record)) {
            Some(group) => group.stands_for = group.stands_for.saturating_add(record.stands_for),
            None => groups.push(record),
        }
    }
    sort::sort_by_key(&mut groups, |group| u128::from(u64::MAX - group.stands_for));
    let columns = vec![
        "device_id",
        "region",
        "rejected",
        "last_at",
        "last_reason",
        "last_detail",
        "last_address",
    ];
    let row = |group: Rejected| {
        let [at, device_id, region, reason, detail, address, stands_for] = fields(group);
        vec![device_id, region, stands_for, at, reason, detail, address]
    };
    let rows = groups.into_iter().map(row).collect();
    Ok(answer(call, "devices", Table { columns, rows }, about, None))
}

/// The records, and since when none of them is missing.
fn kept<H: Host>(call: &Call<'_, H>) -> Result<(Fields, Vec<(u64, Rejected)>), Error> {
    let store = call.host.key_value().map_err(Error::Journal)?;
    let readable = call.readable();
    // A body that could not be read names no region.
    let may_be_read = |record: &Rejected| match &record.region {
        Some(region) => readable.has(region),
        None => call.grant.scopes.reads_all(),
    };
    let records = Recent::load(&store).map_err(Error::Journal)?.into_records();
    let records: Vec<_> = records.filter(|(_, record)| may_be_read(record)).collect();
    let oldest = records.last().map(|(_, record)| record.at);
    Ok((Fields::of([("kept", records.len().into()), ("kept_from", oldest.into())]), records))
}

/// A device, or what can't be told from the body, by its address.
fn is_same_sender(group: &Rejected, record: &Rejected) -> bool {
    (&group.device_id, &group.region) == (&record.device_id, &record.region)
        && (record.device_id.is_some() || group.address == record.address)
}

fn is_reason(text: &str) -> bool {
    let of_items = Reason::ALL.iter().map(|reason| reason.code());
    of_items.chain(UNREADABLE.iter().map(|kind| kind.code())).any(|code| code == text)
}

fn cells(record: Rejected) -> Vec<Value> {
    fields(record).into()
}

fn fields(record: Rejected) -> [Value; 7] {
    [
        record.at.into(),
        record.device_id.into(),
        record.region.into(),
        record.reason.into(),
        record.detail.into(),
        record.address.into(),
        record.stands_for.into(),
    ]
}

fn answer<H: Host>(
    call: &Call<'_, H>,
    list: &'static str,
    table: Table,
    about: Fields,
    next: Option<String>,
) -> Answered {
    let coverage = Fields::of([("as_of", call.now.into())]);
    let document = Document { list: Some(list), table, about, coverage, next };
    document.into_response(call.request, call.format).into()
}
