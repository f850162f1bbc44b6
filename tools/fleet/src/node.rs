//! A node: a process with stores of its own.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_backup::Stores;

/// What starts nodes.
pub trait Program: Send + Sync {
    /// The command for a node. It says `Serving http://ADDRESS` on standard output once it does,
    /// and ends with its standard input.
    ///
    /// # Errors
    ///
    /// What is wrong with its directory.
    fn command(&self, start: &Start<'_>) -> Result<Command>;

    /// Its stores in that directory.
    ///
    /// # Errors
    ///
    /// A directory that can't be named.
    fn stores(&self, directory: &Path) -> Result<Stores>;
}

/// How a node is to be started.
pub struct Start<'a> {
    /// The directory of its stores.
    pub directory: &'a Path,
    /// Where it listens; a port of 0 is any that is free.
    pub listen: SocketAddr,
    /// Variables of the application, as `NAME=VALUE`.
    pub variables: &'a [String],
    /// Whether it is to send its peers what waits, every few seconds.
    pub has_beat: bool,
}

/// What a node writes, below its directory.
const LOG: &str = "log";

/// How often it is looked whether a process has ended by itself, and how many times.
const LOOKS_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 60;

/// A node. It ends when this is dropped.
pub(super) struct Node {
    program: Arc<dyn Program>,
    name: String,
    directory: PathBuf,
    address: SocketAddr,
    variables: Vec<String>,
    has_beat: bool,
    process: Option<Child>,
}

impl Node {
    /// One that is not started yet. At a port of 0, the first start chooses one that the later
    /// ones have, too.
    pub(super) fn new(
        program: Arc<dyn Program>,
        name: &str,
        state: &Path,
        address: SocketAddr,
    ) -> Self {
        Self {
            program,
            name: name.to_owned(),
            directory: state.join(name),
            address,
            variables: Vec::new(),
            has_beat: false,
            process: None,
        }
    }

    pub(super) fn with_variables(mut self, pairs: &[String]) -> Self {
        self.variables.extend_from_slice(pairs);
        self
    }

    /// The same with a timer for the exchange with its peers.
    pub(super) fn with_beat(mut self) -> Self {
        self.has_beat = true;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its stores.
    pub(super) fn stores(&self) -> Result<Stores> {
        self.program.stores(&self.directory)
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Starts it, and waits until it serves.
    pub(super) fn start(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("{} runs already", self.name);
        }
        std::fs::create_dir_all(&self.directory)?;
        let log = self.directory.join(LOG);
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut process = self.command(file.try_clone()?)?.spawn()?;
        let output = process.stdout.take().context("no standard output")?;
        self.process = Some(process);
        let Some(address) = serves(output, file)? else {
            let said = std::fs::read_to_string(&log)?;
            let last = said.lines().last().unwrap_or_default();
            bail!("{} did not start ({}): {last}", self.name, log.display());
        };
        self.address = address;
        Ok(())
    }

    fn command(&self, log: File) -> Result<Command> {
        let mut command = self.program.command(&Start {
            directory: &self.directory,
            listen: self.address,
            variables: &self.variables,
            has_beat: self.has_beat,
        })?;
        // What the shell has set for another node is not meant for these.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("SPIN_VARIABLE_") || text.starts_with("ISOTHERM_") {
                command.env_remove(&name);
            }
        }
        // Its input ends when this program does, and then so does the node.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        Ok(command)
    }

    /// Lets it end by itself, and kills it if it does not.
    pub(super) fn stop(&mut self) {
        let Some(process) = &mut self.process else { return };
        drop(process.stdin.take());
        for _ in 0..LOOKS {
            if !self.is_running() {
                break;
            }
            std::thread::sleep(LOOKS_EVERY);
        }
        self.end();
    }

    /// Ends it with SIGKILL.
    pub(super) fn kill(&mut self) -> Result<()> {
        if !self.is_running() {
            bail!("{} does not run", self.name);
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Both fail only for a process that has ended.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until the runtime says where it serves; `None` if it ends instead. Goes on to copy
/// what it writes into the log.
fn serves(output: ChildStdout, mut log: File) -> Result<Option<SocketAddr>> {
    let mut lines = BufReader::new(output);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        log.write_all(line.as_bytes())?;
        if let Some(address) = line.trim().strip_prefix("Serving http://") {
            let address = address.parse().with_context(|| format!("{address} is no address"))?;
            // It ends with the node.
            std::thread::spawn(move || drop(std::io::copy(&mut lines, &mut log)));
            return Ok(Some(address));
        }
        line.clear();
    }
    Ok(None)
}
