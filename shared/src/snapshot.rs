//! The last good averages, for the time when the regions database is away.
//!
//! One key-value pair: `snapshot/1/<as of>`, Unix milliseconds, so that a listing
//! tells how old it is. The value is JSON: for each region its name, its columns
//! ([`Figures`]) and its percentiles.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::figures::{FIGURE_COLUMNS, Figures, PERCENTS};
use crate::host::{Host, KeyValue};
use crate::inventory::Inventory;
use crate::journal;
use crate::limits;
use crate::reading::UnixMillis;
use crate::regions::{Budget, Regions};
use crate::report::{self, RegionFigures};

const PREFIX: &str = "snapshot/1/";

/// A snapshot by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    as_of: UnixMillis,
}

impl Name {
    /// The snapshot under `key`, if it is one.
    pub fn from_key(key: &str) -> Option<Self> {
        let as_of = key.strip_prefix(PREFIX)?.parse().ok()?;
        Some(Self { as_of: UnixMillis::new(as_of)? })
    }

    /// When its averages were good.
    pub(crate) fn as_of(&self) -> UnixMillis {
        self.as_of
    }

    fn key(&self) -> String {
        format!("{PREFIX}{:013}", self.as_of.get())
    }
}

/// The averages over all time of up to `limits::ITEMS_PER_PAGE_MAX` regions,
/// in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When they were good.
    pub as_of: UnixMillis,
    /// The regions with their figures.
    pub regions: Vec<(String, Figures)>,
}

#[derive(Serialize, Deserialize)]
struct Row(String, [i64; FIGURE_COLUMNS], Option<[i64; PERCENTS.len()]>);

/// The newest snapshot in the inventory, if it can be read.
pub(crate) fn load(store: &impl KeyValue, inventory: &Inventory) -> Option<Snapshot> {
    let name = inventory.newest_snapshot()?;
    let value = store.get(&name.key()).ok()??;
    let rows: Vec<Row> = serde_json::from_slice(&value).ok()?;
    let region = |Row(name, columns, percentiles)| {
        Some((name, Figures { percentiles, ..Figures::from_columns(columns)? }))
    };
    let regions = rows.into_iter().map(region).collect::<Option<_>>()?;
    Some(Snapshot { as_of: name.as_of, regions })
}

/// Whether it is time to keep another snapshot.
pub(crate) fn is_due(inventory: &Inventory, now: UnixMillis) -> bool {
    let newest = inventory.newest_snapshot();
    // In either direction: a snapshot from the future comes from a clock set back.
    newest.is_none_or(|name| now.get().abs_diff(name.as_of.get()) >= limits::SNAPSHOT_AGE_MS_MAX)
}

/// Keeps a snapshot as of `now`, unless somebody else just did.
pub fn keep<H: Host>(host: &H, now: UnixMillis) -> Result<(), Error> {
    let store = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &store)?;
    if !is_due(&inventory, now) {
        return Ok(());
    }
    let regions = Regions::open(host, Budget::waiting(limits::QUERY_FOLD_MS_MAX))?;
    let name = Name { as_of: now };
    let all = regions.read(|sql| report::regions(sql, "", limits::ITEMS_PER_PAGE_MAX, None))?;
    let row = |(name, figures): RegionFigures| {
        let figures = figures?;
        Some(Row(name, figures.to_columns()?, figures.percentiles))
    };
    let rows: Vec<Row> = all.into_iter().filter_map(row).collect();
    let value = serde_json::to_vec(&rows).map_err(|_no_map| Error::Corrupt("snapshot"))?;
    journal::retried(host, || store.set(&name.key(), &value)).map_err(Error::Journal)?;
    let older: Vec<String> = inventory.snapshots.iter().map(Name::key).collect();
    journal::delete(host, &store, &older).map_err(Error::Journal)
}
