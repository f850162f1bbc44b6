//! The regions database: the ledger, which decides what counts, and the windows.
//!
//! Imports `base`, `domain` and `resilience`. Knows nothing of the journal.

pub mod database;
pub(crate) mod device_window;
pub(crate) mod dictionary;
pub(crate) mod post;
pub mod schema;
pub(crate) mod sorted_run;
pub(crate) mod windows;

pub use post::*;
