//! The interface: the table of routes, and what each resource answers.
//!
//! Imports everything else.

pub(crate) mod access;
pub mod accessed;
pub mod answer;
pub(crate) mod assets;
mod call;
pub(crate) mod cells;
pub(crate) mod conflicts;
pub(crate) mod corrections;
pub(crate) mod cors;
pub(crate) mod denial;
pub(crate) mod device_history;
pub(crate) mod devices;
pub mod events;
pub(crate) mod excursions;
pub(crate) mod export;
pub(crate) mod exposition;
mod exposition_nodes;
mod exposition_sources;
mod exposition_text;
pub(crate) mod health;
pub(crate) mod metrics;
mod names;
pub(crate) mod quarantine;
pub mod readings;
pub(crate) mod region_limits;
pub(crate) mod regions;
pub(crate) mod rejections;
pub mod router;
pub mod routes;
pub(crate) mod senders;
pub(crate) mod session;
pub(crate) mod sources;
pub mod start;
pub(crate) mod status;
pub mod sync;
pub(crate) mod tokens;
pub(crate) mod windows;
