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
pub(crate) mod keyrate;
pub mod keys;
pub(crate) mod lags;
mod name;
pub(crate) mod noted;
pub mod plausible;
mod quarantine;
pub mod recent;
pub mod rejected;
pub mod sources;
mod store;
pub(crate) mod tokens;

pub use entry::{Content, DecodeError, Entry};
pub(crate) use entry::{Origin, RegionCount};
pub use name::EntryName;
pub(crate) use quarantine::{Aside, load_quarantined, remove_quarantined, set_aside};
pub use quarantine::{QuarantineReason, Quarantined};
pub use store::{append, load, remove};
pub(crate) use store::{are_there, delete, retried};
