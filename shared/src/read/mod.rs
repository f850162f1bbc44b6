//! Queries: what a client asks for, read from the database after a fold.
//!
//! Imports `upkeep`, `fold` and the places below them, except `wire`.

pub(crate) mod aggregate;
pub(crate) mod conflicts;
pub(crate) mod details;
pub(crate) mod devices;
pub(crate) mod export;
pub(crate) mod fresh;
pub(crate) mod last_good;
pub(crate) mod pieces;
