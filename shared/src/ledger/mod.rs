//! The regions database: the ledger, which decides what counts, and the windows.
//!
//! Imports `base`, `domain` and `resilience`. Knows nothing of the journal.

pub(crate) mod device_window;
pub(crate) mod names;
pub(crate) mod post;
pub mod regions;
pub(crate) mod runs;
pub mod schema;
pub(crate) mod windows;

pub use post::*;
