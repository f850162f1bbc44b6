//! Queries: what a client asks for, read from the database after a fold.
//!
//! Imports `upkeep`, `fold` and the places below them, except `wire`.

pub(crate) mod aggregate;
pub(crate) mod chunks;
pub(crate) mod conflicts;
pub(crate) mod corrections;
pub(crate) mod details;
pub(crate) mod device_history;
pub(crate) mod device_steps;
pub(crate) mod devices;
pub(crate) mod excursions;
pub(crate) mod export;
pub(crate) mod fresh;
pub(crate) mod hints;
pub(crate) mod last_good;
pub(crate) mod latest;
pub(crate) mod outside;
pub(crate) mod outside_before;
pub(crate) mod outside_minutes;
pub(crate) mod pieces;
pub(crate) mod senders;
pub(crate) mod silence;
pub(crate) mod status;
