//! The journal's bound: readings are refused before the disk is full.
//!
//! To know the journal's length takes a listing, which is too much for every
//! request. Who lists it anyway, after an answer, leaves a mark (`full/1`)
//! where it has reached its bound, and every request looks for the mark. So the
//! bound can be exceeded by what arrives between two listings. A mark that has
//! become old is looked into, and who does that folds after its answer: so
//! refusals end by themselves.

use crate::error::Error;
use crate::host::{Host, KeyValue};
use crate::inventory::{FULL_KEY, Inventory};
use crate::journal;
use crate::limits;
use crate::reading::UnixMillis;
use crate::settings::JournalBound;

/// Whether there is room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is.
    Free,
    /// There is none.
    None {
        /// Whether it is this request's turn to fold: where nobody reads,
        /// nobody else would.
        is_turn_to_fold: bool,
    },
}

/// Looks for the mark, and into one that is old.
pub(crate) fn check<H: Host>(
    host: &H,
    store: &H::KeyValue,
    now: UnixMillis,
) -> Result<Room, Error> {
    let mark = journal::retried(host, || store.get(FULL_KEY)).map_err(Error::Journal)?;
    let Some(mark) = mark else { return Ok(Room::Free) };
    if is_fresh(&mark, now) {
        return Ok(Room::None { is_turn_to_fold: false });
    }
    let inventory = Inventory::list(host, store)?;
    update(host, store, &inventory, inventory.unfolded(), now)?;
    if is_reached(host, &inventory, inventory.unfolded())? {
        return Ok(Room::None { is_turn_to_fold: true });
    }
    Ok(Room::Free)
}

/// Sets or removes the mark, after a fold of what `inventory` lists left so
/// many entries.
pub(crate) fn update<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
    left: usize,
    now: UnixMillis,
) -> Result<(), Error> {
    if is_reached(host, inventory, left)? {
        if !inventory.is_full {
            host.log("the journal has reached its bound; readings are refused until it is folded");
        }
        let mark = now.get().to_string().into_bytes();
        return journal::retried(host, || store.set(FULL_KEY, &mark)).map_err(Error::Journal);
    }
    if inventory.is_full {
        host.log("the journal has room again");
        return journal::delete(host, store, &[FULL_KEY.to_owned()]).map_err(Error::Journal);
    }
    Ok(())
}

fn is_reached(host: &impl Host, inventory: &Inventory, left: usize) -> Result<bool, Error> {
    let bound = JournalBound::from_variables(host)?;
    // What is left is a part of what was listed, and has about its share of the
    // bytes.
    let bytes = inventory.journal_bytes() / inventory.unfolded().max(1) * left;
    Ok(left >= bound.entries || bytes >= bound.bytes)
}

fn is_fresh(mark: &[u8], now: UnixMillis) -> bool {
    let text = std::str::from_utf8(mark).ok();
    let since = text.and_then(|text| text.parse::<i64>().ok());
    since.is_some_and(|since| (0..limits::JOURNAL_FULL_MS).contains(&(now.get() - since)))
}
