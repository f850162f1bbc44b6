//! Another system's server: found, started on a port of its own, and killed.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_it::root;
use tempfile::TempDir;

use crate::client::Client;
use crate::measure::now;

/// A server must serve within this time.
const SERVES_WITHIN: Duration = Duration::from_secs(60);
/// How often it is checked.
const SERVES_LOOK: Duration = Duration::from_millis(50);

/// A running server. Dropping it kills the process and removes the directory.
pub(crate) struct Server {
    process: Child,
    directory: TempDir,
    url: String,
}

impl Server {
    /// Starts the command that `command` makes from an empty directory and a loopback
    /// address, and waits until `path` is answered with 200.
    pub(crate) fn start(path: &str, command: impl FnOnce(&Path, &str) -> Command) -> Result<Self> {
        // In the directory that `cargo xtask bench` names, on the disk.
        let directory = TempDir::new()?;
        let address = free_address()?;
        let mut command = command(directory.path(), &address);
        let log = File::create(directory.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // `process::usage` looks for a group.
        let process = command.process_group(0).spawn()?;
        let mut server = Self { process, directory, url: format!("http://{address}") };
        server.wait_until_it_serves(path)?;
        Ok(server)
    }

    fn wait_until_it_serves(&mut self, path: &str) -> Result<()> {
        let begun = now();
        while begun.elapsed() < SERVES_WITHIN && self.process.try_wait()?.is_none() {
            let answer = Client::connect(&self.url).and_then(|mut it| it.get(path).map(|_| ()));
            if answer.is_ok() {
                return Ok(());
            }
            std::thread::sleep(SERVES_LOOK);
        }
        let log = std::fs::read_to_string(self.directory.path().join("log"))?;
        bail!("it does not serve:\n{log}")
    }

    /// The server's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The server's directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The id of the server's process, which leads a group.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        assert!(ended.is_ok(), "the server did not end: {ended:?}");
    }
}

/// A free address on the loopback interface.
pub(crate) fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}

/// Where a program is: on the PATH, or where `cargo xtask tools` unpacks this package
/// of Debian.
pub(crate) fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let unpacked = root().join("target").join(package).join("usr/bin");
    let mut directories = std::env::split_paths(&path).chain([unpacked]);
    directories.find_map(|directory| {
        let file = directory.join(program);
        file.is_file().then_some(file)
    })
}
