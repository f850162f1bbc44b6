//! The backup of the hub: a copy of both stores.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rusqlite::Connection;

use crate::fleet::node::Node;

/// Where it is, beside the nodes.
pub(super) const DIRECTORY: &str = "backup";

/// A file, and its copy.
struct Copied {
    file: PathBuf,
    copy: PathBuf,
}

/// The last backup, if there is one.
pub(super) struct Backup {
    directory: PathBuf,
    /// The journal first: what is folded from it in between is then in both copies, and
    /// counts once.
    stores: [Copied; 2],
}

impl Backup {
    pub(super) fn new(node: &Node, state: &Path) -> Self {
        let directory = state.join(DIRECTORY);
        let copied = |file: PathBuf, name: &str| Copied { file, copy: directory.join(name) };
        let stores = [copied(node.journal(), "journal.db"), copied(node.regions(), "regions.db")];
        Self { directory, stores }
    }

    pub(super) fn is_there(&self) -> bool {
        self.stores.iter().all(|store| store.copy.exists())
    }

    /// Makes one in the place of the last. The node may run.
    pub(super) fn make(&mut self) -> Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let new = |store: &Copied| store.copy.with_extension("new");
        for store in &self.stores {
            let new = new(store);
            remove_if_there(&new)?;
            let into = new.to_str().context("the path is no UTF-8")?;
            let connection = Connection::open(&store.file)?;
            connection
                .execute("VACUUM INTO ?1", [into])
                .with_context(|| format!("{} can't be copied", store.file.display()))?;
        }
        for store in &self.stores {
            std::fs::rename(new(store), &store.copy)?;
        }
        Ok(())
    }

    /// Puts it in the place of the stores. The node must not run.
    pub(super) fn restore(&self) -> Result<()> {
        if !self.is_there() {
            bail!("there is no backup of the hub yet; `backup hub` makes one");
        }
        for store in &self.stores {
            for suffix in ["-wal", "-shm"] {
                remove_if_there(&PathBuf::from(format!("{}{suffix}", store.file.display())))?;
            }
            std::fs::copy(&store.copy, &store.file)?;
        }
        Ok(())
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_are_again_what_they_were_at_the_backup() {
        let state = tempfile::TempDir::new().unwrap();
        let node = Node::new("hub", state.path(), "127.0.0.1:0".parse().unwrap());
        std::fs::create_dir(state.path().join("hub")).unwrap();
        let files = [node.journal(), node.regions()];
        let run = |file: &Path, sql: &str| Connection::open(file).unwrap().execute_batch(sql);
        let count = |file: &Path| {
            let connection = Connection::open(file).unwrap();
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        for file in &files {
            run(file, "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)")
                .unwrap();
        }
        let mut backup = Backup::new(&node, state.path());
        assert!(!backup.is_there() && backup.restore().is_err());
        for rows in 1..3 {
            backup.make().unwrap();
            // A process that is killed leaves its -wal behind.
            for file in &files {
                let connection = Connection::open(file).unwrap();
                connection.execute_batch("INSERT INTO t VALUES (2)").unwrap();
                let wal = PathBuf::from(format!("{}-wal", file.display()));
                let left = std::fs::read(&wal).unwrap();
                drop(connection);
                std::fs::write(&wal, left).unwrap();
                assert_eq!(count(file), rows + 1);
            }
            if rows == 2 {
                backup.restore().unwrap();
                assert_eq!(files.each_ref().map(|file| count(file)), [2, 2]);
            }
        }
    }
}
