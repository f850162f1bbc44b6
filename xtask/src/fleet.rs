//! `cargo xtask fleet`: a hub and three gateways of the embedded runtime.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use isotherm_backup::Stores;
use isotherm_fleet::{Program, Start};
use xshell::Shell;

use crate::peers::BEAT;
use crate::up::put_into_wal_mode;
use crate::{Runtime, program, root, up};

/// What Spin calls the stores that have no place of their own.
const JOURNAL: &str = "sqlite_key_value.db";
const REGIONS: &str = "sqlite_db.db";

/// The embedded runtime.
struct Host;

impl Program for Host {
    fn command(&self, start: &Start<'_>) -> Result<Command> {
        put_into_wal_mode(&start.directory.join(JOURNAL))?;
        let mut command = Command::new(program("isotherm-host")?);
        command.current_dir(root()).arg("--end-with-stdin");
        command.args(["--listen", &start.listen.to_string()]);
        command.arg("--state-dir").arg(start.directory);
        if start.has_beat {
            command.args(["--beat", BEAT]);
        }
        for pair in start.variables {
            command.args(["--variable", pair]);
        }
        Ok(command)
    }

    fn stores(&self, directory: &Path) -> Result<Stores> {
        Ok(Stores::new(&directory.join(JOURNAL), &directory.join(REGIONS))?)
    }
}

/// Runs until it is told to end, or its input ends.
pub(crate) fn run(shell: &Shell, mut arguments: Vec<String>) -> Result<()> {
    let given = arguments.len();
    arguments.retain(|argument| argument != "--no-build");
    if arguments.len() == given {
        up::build_for(shell, Runtime::Embedded)?;
    }
    isotherm_fleet::run(Arc::new(Host), root().join("target/fleet"), arguments)
}
