//! The journal: readings that are durable but not yet folded, and what else is in the
//! key-value store.
//!
//! Imports `base`, `domain` and `resilience`. Knows nothing of the ledger.

pub mod backpressure;
pub mod door;
pub(crate) mod entry;
pub mod inventory;
pub mod keys;
pub mod rejected;

pub use entry::*;
