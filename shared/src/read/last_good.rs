//! The last good snapshot: averages to answer from while the regions database is away.
//!
//! It is one key-value pair. The key is `snapshot/2/<as of>-<folds>`, Unix milliseconds
//! and how many transactions had posted readings by then. So a listing shows how old it
//! is, and whether there is anything to renew. The value is JSON: whether it has all
//! regions, then for each its name, its columns ([`Summary`]) and its percentiles.
//! Older releases wrote `snapshot/1/<as of>` with the regions alone.

use serde::{Deserialize, Serialize};

use crate::base::page::Page;
use crate::domain::reading::UnixMillis;
use crate::domain::summary::{PERCENTS, SUMMARY_COLUMNS, Summary};
use crate::error::Error;
use crate::host::{Host, KeyValue};
use crate::journal;
use crate::journal::inventory::Inventory;
use crate::journal::keys::SnapshotName;
use crate::ledger;
use crate::ledger::database::{Budget, Database};
use crate::limits;
use crate::read::aggregate::{self, RegionSummary};

/// The averages over all time of up to `limits::ITEMS_PER_PAGE_MAX` regions,
/// in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    /// The time of the averages.
    pub as_of: UnixMillis,
    /// Whether it has all regions that there were.
    pub is_whole: bool,
    /// The regions with their figures.
    pub regions: Vec<(String, Summary)>,
}

#[derive(Serialize, Deserialize)]
struct SnapshotRow(String, [i64; SUMMARY_COLUMNS], Option<[i64; PERCENTS.len()]>);

/// The newest snapshot in the inventory. One that can't be read is logged and counts as
/// none.
pub(crate) fn load<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
) -> Option<Snapshot> {
    let name = inventory.newest_snapshot()?;
    let lost = |cause: &str| {
        host.log(&format!("the last good snapshot can't be used: {cause}"));
    };
    let value = match journal::retried(host, || store.get(&name.key())) {
        Ok(value) => value,
        Err(error) => {
            lost(&error.to_string());
            return None;
        }
    };
    // Another request may have renewed it.
    let snapshot = value.and_then(|value| parse(name, &value));
    if snapshot.is_none() {
        lost("it is not there, or nobody wrote it so");
    }
    snapshot
}

fn parse(name: &SnapshotName, value: &[u8]) -> Option<Snapshot> {
    let (is_whole, rows): (bool, Vec<SnapshotRow>) = match name.folds {
        Some(_) => serde_json::from_slice(value).ok()?,
        None => {
            let rows: Vec<SnapshotRow> = serde_json::from_slice(value).ok()?;
            (rows.len() < limits::ITEMS_PER_PAGE_MAX, rows)
        }
    };
    let region = |SnapshotRow(name, columns, percentiles)| {
        Some((name, Summary { percentiles, ..Summary::from_columns(columns)? }))
    };
    let regions = rows.into_iter().map(region).collect::<Option<_>>()?;
    Some(Snapshot { as_of: name.as_of, is_whole, regions })
}

/// Whether the newest snapshot is old enough to check if it needs renewal.
pub(crate) fn is_old(inventory: &Inventory, now: UnixMillis) -> bool {
    let newest = inventory.newest_snapshot();
    // In either direction: after a clock is set back, a snapshot is from the future.
    newest.is_none_or(|name| now.get().abs_diff(name.as_of.get()) >= limits::SNAPSHOT_AGE_MS_MAX)
}

/// Whether the newest snapshot was made after this many folds, and so needs no renewal.
pub(crate) fn is_of(inventory: &Inventory, folds: i64) -> bool {
    inventory.newest_snapshot().is_some_and(|name| name.folds == Some(folds))
}

/// Stores a snapshot as of `now`, unless another request just did, or nothing was
/// counted since the last.
pub(crate) fn keep<H: Host>(host: &H, now: UnixMillis) -> Result<(), Error> {
    let store = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &store)?;
    if !is_old(&inventory, now) {
        return Ok(());
    }
    let database = Database::open(host, Budget::waiting(limits::QUERY_FOLD_MS_MAX))?;
    let (folds, all) = database.read_at_once(|sql| {
        let most = Page::<()>::to_read(limits::ITEMS_PER_PAGE_MAX);
        Ok((ledger::tally(sql, ledger::FOLDS)?, aggregate::regions(sql, "", most, None)?))
    })?;
    if is_of(&inventory, folds) {
        return Ok(());
    }
    // The listing is older than what was read, so the number can only have grown.
    if let Some(seen) = inventory.newest_snapshot().and_then(|name| name.folds)
        && seen > folds
    {
        host.log(&format!(
            "the regions database has {folds} folds, and had {seen}: it was replaced, restored, \
             or copied without its -wal"
        ));
    }
    let page = Page::of(all, limits::ITEMS_PER_PAGE_MAX);
    let row = |(name, figures): RegionSummary| {
        let figures = figures?;
        Some(SnapshotRow(name, figures.to_columns()?, figures.percentiles))
    };
    let rows: Vec<SnapshotRow> = page.items.into_iter().filter_map(row).collect();
    let name = SnapshotName { as_of: now, folds: Some(folds) };
    let value = serde_json::to_vec(&(!page.has_more, rows))
        .map_err(|_no_map| Error::Corrupt("snapshot"))?;
    journal::retried(host, || store.set(&name.key(), &value)).map_err(Error::Journal)?;
    let older: Vec<String> = inventory.snapshots().iter().map(SnapshotName::key).collect();
    journal::delete(host, &store, &older).map_err(Error::Journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wrote_is_no_snapshot() {
        let name = SnapshotName { as_of: UnixMillis::MIN, folds: Some(1) };
        for value in [&b""[..], b"[]", b"[true,[[\"hall\",[0],null]]]", b"{"] {
            assert_eq!(parse(&name, value), None);
        }
        assert!(parse(&name, b"[true,[]]").unwrap().is_whole);
        let older = SnapshotName { folds: None, ..name };
        assert!(parse(&older, b"[]").unwrap().is_whole);
    }
}
