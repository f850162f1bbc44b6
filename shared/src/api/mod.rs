//! The interface: the table of routes, and what each resource answers.
//!
//! Imports everything else.

pub mod answer;
pub(crate) mod assets;
mod call;
pub(crate) mod cells;
pub(crate) mod conflicts;
pub(crate) mod devices;
pub mod events;
pub(crate) mod export;
pub(crate) mod exposition;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod quarantine;
pub mod readings;
pub(crate) mod regions;
pub mod routes;
pub(crate) mod windows;
