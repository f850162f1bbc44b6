//! The backup of the hub: a copy of both stores.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use isotherm_backup::{Stores, Wanted, latest};

use crate::node::Node;

/// Where it is, beside the nodes.
pub(super) const DIRECTORY: &str = "backup";

/// The last backup, if there is one.
pub(super) struct Backup {
    to: PathBuf,
    stores: Stores,
}

impl Backup {
    pub(super) fn new(node: &Node, state: &Path) -> Result<Self> {
        let to = state.join(DIRECTORY);
        std::fs::create_dir_all(&to)?;
        Ok(Self { to, stores: node.stores()? })
    }

    pub(super) fn is_there(&self) -> bool {
        latest(&self.to).is_ok_and(|latest| latest.is_some())
    }

    /// Makes one in the place of the last. The node may run.
    pub(super) fn make(&mut self) -> Result<()> {
        let wanted = Wanted { stores: self.stores.clone(), to: self.to.clone(), keep: 1 };
        isotherm_backup::make(&wanted, &mut |_progress| {})?;
        Ok(())
    }

    /// Puts it in the place of the stores. The node must not run.
    pub(super) fn restore(&self) -> Result<()> {
        let none = "there is no backup of the hub yet; `backup hub` makes one";
        let latest = latest(&self.to)?.context(none)?;
        isotherm_backup::restore(&latest.directory, &self.stores)?;
        Ok(())
    }
}
