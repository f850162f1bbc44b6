//! A server of Redis.
//!
//! `cargo xtask test` looks for one and says in `ISOTHERM_REDIS` where it is; without one, the
//! tests with it are skipped by name.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use isotherm_it::programs::{check, variable};
use tempfile::TempDir;

use crate::support::service::until;

/// A server of Redis that has on disk what it has acknowledged. It is killed when it is
/// dropped.
pub(crate) struct Redis {
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::on(TempDir::new().unwrap())
    }

    /// One with what is in `directory`.
    pub(crate) fn on(directory: TempDir) -> Self {
        // A program that takes the port in between makes the test fail, and not pass.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        let mut redis = Self { directory, port, process: None };
        drop(free);
        redis.run();
        redis
    }

    /// Starts it again, on the same port, with what it has on disk.
    pub(crate) fn run(&mut self) {
        let process = Command::new(variable("ISOTHERM_REDIS"))
            // Debian's checker is the server under another name.
            .arg0("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let ping = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
            stream.write_all(b"PING\r\n").ok()?;
            let mut pong = [0; 5];
            stream.read_exact(&mut pong).ok()?;
            (&pong == b"+PONG").then_some(())
        };
        until("Redis answers", ping);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// A copy of all that it has, in this file, by its own client.
    pub(crate) fn copy_to(&self, file: &Path) {
        let client = Path::new(&variable("ISOTHERM_REDIS")).with_file_name("redis-cli");
        let port = self.port.to_string();
        let output = Command::new(client).args(["-p", &port, "--rdb"]).arg(file).output().unwrap();
        check(&output);
    }

    /// The lines of a runtime configuration that lead to it.
    pub(crate) fn config(&self) -> String {
        format!("[key_value_store.default]\ntype = \"redis\"\nurl = \"{}\"\n", self.url())
    }

    /// Where it is, with the number of the database.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/1", self.port)
    }
}

impl Redis {
    /// Stores a value where the journal is.
    pub(crate) fn set(&self, key: &str, value: &str) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let set = format!("SELECT 1\r\nSET {key} \"{value}\"\r\n");
        stream.write_all(set.as_bytes()).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n+OK\r\n");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
