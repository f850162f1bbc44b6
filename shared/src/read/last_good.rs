//! The last good snapshot: averages to answer from while the regions database is away.
//!
//! It is one key-value pair. The key is `snapshot/2/<as of>-<folds>`, Unix milliseconds
//! and how many transactions had posted readings by then. So a listing shows how old it
//! is, and whether there is anything to renew. The value is text: a line that says whether
//! it has all regions (`4 whole` or `4 part`), then for each region a line with its name,
//! its columns ([`Summary`]) and its percentiles if they are known, with spaces between.
//! What older releases wrote counts as none.

use std::fmt::Write;

use crate::base::page::Page;
use crate::domain::reading::UnixMillis;
use crate::domain::summary::{PERCENTS, SUMMARY_COLUMNS, Summary};
use crate::error::{Error, best_effort};
use crate::host::{Host, KeyValue};
use crate::journal;
use crate::journal::inventory::Inventory;
use crate::journal::keys::SnapshotName;
use crate::ledger;
use crate::ledger::database::{Budget, Database};
use crate::limits;
use crate::read::aggregate;

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

const WHOLE: &str = "4 whole";
const PART: &str = "4 part";

fn parse(name: &SnapshotName, value: &[u8]) -> Option<Snapshot> {
    let mut lines = std::str::from_utf8(value).ok()?.lines();
    let is_whole = match lines.next()? {
        WHOLE => true,
        PART => false,
        _ => return None,
    };
    let regions = lines.map(region).collect::<Option<_>>()?;
    Some(Snapshot { as_of: name.as_of, is_whole, regions })
}

/// A region's line, read.
fn region(line: &str) -> Option<(String, Summary)> {
    let (name, numbers) = line.split_once(' ')?;
    let numbers: Option<Vec<i64>> = numbers.split(' ').map(|number| number.parse().ok()).collect();
    let numbers = numbers?;
    let (columns, percentiles) = numbers.split_first_chunk::<SUMMARY_COLUMNS>()?;
    let percentiles = match percentiles {
        [] => None,
        some => Some(<[i64; PERCENTS.len()]>::try_from(some).ok()?),
    };
    Some((name.to_owned(), Summary { percentiles, ..Summary::from_columns(*columns)? }))
}

/// A region's line.
fn line(name: &str, figures: &Summary) -> Option<String> {
    let mut line = name.to_owned();
    let percentiles = figures.percentiles.as_ref().map_or(&[][..], |some| some);
    for number in figures.to_columns()?.iter().chain(percentiles) {
        // Writing to a string can't fail.
        best_effort(write!(line, " {number}"));
    }
    Some(line)
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
        Ok((ledger::tally(sql, ledger::FOLDS)?, aggregate::regions(sql, "1", ("", most), None)?))
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
    let mut value = String::from(if page.has_more { PART } else { WHOLE });
    for (region, figures) in &page.items {
        if let Some(line) = figures.as_ref().and_then(|figures| line(region, figures)) {
            value.push('\n');
            value.push_str(&line);
        }
    }
    let name = SnapshotName { as_of: now, folds: Some(folds) };
    journal::retried(host, || store.set(&name.key(), value.as_bytes())).map_err(Error::Journal)?;
    let older: Vec<String> = inventory.snapshots().iter().map(SnapshotName::key).collect();
    journal::delete(host, &store, &older).map_err(Error::Journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let columns = [3, -60_000, 2, 5, -21_000, -19_000, 1, 9, 4, 1, 3, 2, 0, 1, 2, -40_000_000];
        let known = Summary::from_columns(columns).unwrap();
        for percentiles in [None, Some([-20_000, -19_100, -19_000])] {
            let figures = Summary { percentiles, ..known };
            let line = line("cold", &figures).unwrap();
            assert_eq!(region(&line), Some(("cold".to_owned(), figures)));
        }
    }

    #[test]
    fn what_nobody_wrote_is_no_snapshot() {
        let name = SnapshotName { as_of: UnixMillis::MIN, folds: Some(1) };
        for value in [
            &b""[..],
            b"[true,[]]",
            b"4",
            b"3 whole",
            b"4 whole\nhall",
            b"4 whole\nhall 1 2",
            b"\xff",
        ] {
            assert_eq!(parse(&name, value), None);
        }
        assert!(parse(&name, b"4 whole").unwrap().is_whole);
        assert!(!parse(&name, b"4 part").unwrap().is_whole);
    }
}
