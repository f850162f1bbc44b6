//! Backups of a node whose stores are files: both are copied while the service writes to them, the
//! copies are checked, and only then does the directory get its name.
//!
//! What a backup is, is documented in `docs/operations.md`, "Backup and restore". The script
//! `deploy/backup/isotherm-backup` makes the same, and each verifies and restores what the other has
//! made.
//!
//! The stores themselves are opened by SQLite alone. A process that serves them may make a backup
//! of them: closing a file that it had opened in another way would take away SQLite's locks on it.

#![deny(unsafe_code)]

mod copy;
mod failure;
mod files;
mod make;
mod manifest;
mod restore;
mod store;
mod verify;

pub use failure::{Failure, Kind};
pub use make::{Latest, Made, Wanted, latest, make};
pub use restore::{Restored, restore};
pub use store::Stores;
pub use verify::{Verified, verify};
