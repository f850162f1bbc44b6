//! What a client asks for, read from the database after a fold.
//!
//! Imports `fold` and what is below it.

pub mod report;
pub mod snapshot;
pub mod view;
