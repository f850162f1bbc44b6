//! The journal: readings that are durable but not yet folded, and everything else in
//! the key-value store.
//!
//! Imports `base`, `domain`, `error`, `host`, `limits`, `resilience` and `settings`.
//! Knows nothing of the ledger.

pub mod backpressure;
pub(crate) mod corrections;
pub mod door;
mod entry;
pub mod inventory;
pub mod keys;
mod name;
pub mod plausible;
mod quarantine;
pub mod recent;
pub mod rejected;
mod store;

pub(crate) use entry::RegionCount;
pub use entry::{Content, DecodeError, Entry};
pub use name::EntryName;
pub(crate) use quarantine::{Aside, load_quarantined, remove_quarantined, set_aside};
pub use quarantine::{QuarantineReason, Quarantined};
pub use store::{append, load, remove};
pub(crate) use store::{delete, retried};
