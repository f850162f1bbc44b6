//! Two stores to make a backup of, and the two programs that make it.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use isotherm_it::{Service, gateway, now_ms, root};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use crate::support::readings::json_reading;
use crate::support::service::until;

/// What makes backups, and restores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// `deploy/backup/isotherm-backup`.
    Script,
    /// The gateway's commands `backup` and `restore`.
    Gateway,
}

impl By {
    pub(crate) const BOTH: [Self; 2] = [Self::Script, Self::Gateway];

    /// What makes a backup, without arguments.
    pub(crate) fn backup(self) -> Command {
        match self {
            Self::Script => script(),
            Self::Gateway => of_gateway("backup"),
        }
    }

    pub(crate) fn verify(self, backup: &Path) -> Output {
        self.backup().arg("--verify").arg(backup).output().unwrap()
    }

    /// For stores that the caller adds.
    pub(crate) fn restore(self, backup: &Path) -> Command {
        match self {
            Self::Script => {
                let mut command = script();
                command.arg("--restore").arg(backup);
                command
            }
            Self::Gateway => {
                let mut command = of_gateway("restore");
                command.arg(backup);
                command
            }
        }
    }
}

/// The script without arguments, and without an operator's environment.
pub(crate) fn script() -> Command {
    without_environment(Command::new(root().join("deploy/backup/isotherm-backup")))
}

/// The gateway with this command, and without a configuration.
fn of_gateway(word: &str) -> Command {
    let mut command = without_environment(Command::new(gateway().unwrap()));
    command.args([word, "--config", "/dev/null"]);
    command
}

fn without_environment(mut command: Command) -> Command {
    for name in ["CONFIG", "JOURNAL", "REGIONS", "BACKUP_TO", "BACKUP_KEEP", "DATA"] {
        command.env_remove(format!("ISOTHERM_{name}"));
    }
    command
}

/// Asserts that it ended with this code, and with one line that has these words.
pub(crate) fn check_failure(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(words), "{said}");
}

/// What it printed, if it succeeded and complained of nothing.
pub(crate) fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Two stores that a service has left, and a directory for backups.
pub(crate) struct Stores {
    pub(crate) directory: TempDir,
    pub(crate) journal: PathBuf,
    pub(crate) regions: PathBuf,
    pub(crate) to: PathBuf,
}

impl Stores {
    pub(crate) fn new() -> Self {
        let mut service = Service::start(&[]).unwrap();
        let readings: Vec<_> =
            (0..50).map(|n| json_reading(&format!("d{n}"), "hall", 20.5, now_ms())).collect();
        service.post(&json!(readings).to_string()).unwrap();
        until("they are counted", || {
            let body = service.get("/v1/regions/hall").unwrap().json().ok()?;
            (body["count"] == 50).then_some(())
        });
        service.kill();
        let directory = TempDir::new().unwrap();
        let [journal, regions, to] =
            ["journal's %.db", "regions #1.db", "to"].map(|name| directory.path().join(name));
        for (from, to) in [(service.journal_file(), &journal), (service.regions_file(), &regions)] {
            // Whole, with what a killed service may have left in a -wal.
            let into = to.display().to_string();
            Connection::open(from).unwrap().execute("VACUUM INTO ?1", [into]).unwrap();
        }
        std::fs::create_dir(&to).unwrap();
        Self { directory, journal, regions, to }
    }

    pub(crate) fn backup_by(&self, by: By) -> Command {
        let mut command = self.given_to(by.backup());
        command.arg("--to").arg(&self.to);
        command
    }

    pub(crate) fn restore_by(&self, by: By, backup: &Path) -> Output {
        self.given_to(by.restore(backup)).output().unwrap()
    }

    /// The command with the paths of both stores.
    fn given_to(&self, mut command: Command) -> Command {
        command.arg("--journal").arg(&self.journal).arg("--regions").arg(&self.regions);
        command
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(&self.to).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".lock").collect()
    }

    /// The only backup that there is.
    pub(crate) fn backup(&self) -> PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.to.join(names.first().unwrap())
    }

    /// Starts the script, and waits until both copies are made.
    pub(crate) fn start_and_hold(&self) -> Child {
        let held = hold(self.backup_by(By::Script), "regions.db", self.directory.path());
        std::fs::remove_file(self.directory.path().join("reached")).unwrap();
        held
    }
}

/// Starts the script and waits until it has made the copy with this name, or its first one
/// if the name is empty. It goes on once there is a file `go` in this directory.
pub(crate) fn hold(mut command: Command, name: &str, directory: &Path) -> Child {
    let text = "#!/bin/sh\nPATH=${PATH#*:}\nsqlite3 \"$@\" || exit\n\
                case \"$*\" in *VACUUM*\"$COPY\"*) : >\"$HELD/reached\"\n\
                until [ -e \"$HELD/go\" ]; do sleep 0.1; done ;; esac\n";
    let shim = directory.join("bin");
    std::fs::create_dir_all(&shim).unwrap();
    std::fs::write(shim.join("sqlite3"), text).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(shim.join("sqlite3"), mode).unwrap();
    let path = format!("{}:{}", shim.display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).env("HELD", directory).env("COPY", name).process_group(0);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the copy is made", || directory.join("reached").exists().then_some(()));
    child
}

/// Sends it and what it has started a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-s", name, "--", &group]).status().unwrap().success());
}
