//! The resources: which there are, and what each answers.
//!
//! Imports everything.

pub mod answer;
pub(crate) mod assets;
pub(crate) mod cells;
pub(crate) mod conflicts;
pub(crate) mod devices;
pub mod events;
pub mod ingest;
pub mod metrics;
pub(crate) mod quarantine;
pub mod query;
pub mod readiness;
pub(crate) mod series;
pub(crate) mod status;
