//! A hub and three gateways of this executable on one machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use isotherm_backup::Stores;
use isotherm_fleet::{Program, Start};

/// How often a gateway sends what waits.
const BEAT: &str = "10s";

/// This executable, with what else it needs for a start.
struct This {
    executable: PathBuf,
    from: Option<PathBuf>,
}

impl Program for This {
    fn command(&self, start: &Start<'_>) -> Result<Command> {
        let configuration = start.directory.join("isotherm.toml");
        let lines =
            if start.has_beat { format!("[sync]\nevery = \"{BEAT}\"\n") } else { String::new() };
        std::fs::write(&configuration, lines)
            .with_context(|| format!("{} can't be written", configuration.display()))?;
        let mut command = Command::new(&self.executable);
        command.arg("--end-with-stdin").arg("--config").arg(configuration);
        command.args(["--listen", &start.listen.to_string()]);
        command.arg("--data").arg(start.directory);
        if let Some(from) = &self.from {
            command.arg("--from").arg(from);
        }
        for pair in start.variables {
            command.args(["--variable", pair]);
        }
        Ok(command)
    }

    fn stores(&self, directory: &Path) -> Result<Stores> {
        Ok(Stores::new(&directory.join("journal.db"), &directory.join("regions.db"))?)
    }
}

/// Runs until it is told to end, or its input ends.
pub(crate) fn run(mut words: Vec<String>) -> Result<()> {
    let mut from = None;
    if let Some(at) = words.iter().position(|word| word == "--from") {
        let given: Vec<String> = words.drain(at..(at + 2).min(words.len())).collect();
        let path = given.get(1).context("--from spin.toml")?;
        from = Some(std::path::absolute(path)?);
    }
    let executable = std::env::current_exe()?;
    let state = std::env::current_dir()?.join("isotherm-fleet");
    isotherm_fleet::run(Arc::new(This { executable, from }), state, words)
}
