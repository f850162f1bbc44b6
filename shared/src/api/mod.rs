//! The interface: the table of routes, and what each resource answers.
//!
//! Imports everything else.

pub mod answer;
pub(crate) mod assets;
mod call;
pub(crate) mod cells;
pub(crate) mod conflicts;
pub(crate) mod corrections;
pub(crate) mod device_history;
pub(crate) mod devices;
pub mod events;
pub(crate) mod excursions;
pub(crate) mod export;
pub(crate) mod exposition;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod quarantine;
pub mod readings;
pub(crate) mod region_limits;
pub(crate) mod regions;
pub(crate) mod rejections;
pub mod router;
pub mod routes;
pub(crate) mod status;
pub(crate) mod windows;
