//! The package for Debian, in a Debian of its own: it installs, starts, counts, is upgraded, keeps its
//! data, and is removed.
//!
//! systemd does not run there, so what its unit says is done by hand: the user, the directory and
//! the command. Skipped by name for other users than root, and where cargo-deb, or what makes such a
//! Debian, is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use http::Method;
use isotherm_it::programs::{check, variable};
use isotherm_it::{gateway, now_ms, root};
use tempfile::TempDir;

use super::Gateway;
use crate::support::readings::json_reading;
use crate::support::service::until;

/// A Debian in a directory.
struct Debian(TempDir);

impl Debian {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let copied = Command::new("cp")
            .args(["--archive", "--no-target-directory"])
            .args([Path::new(&variable("ISOTHERM_DEBIAN")), directory.path()])
            .output();
        check(&copied.unwrap());
        Self(directory)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside.trim_start_matches('/'))
    }

    /// A command in it, as root or as another user. Its mounts end with it.
    fn command(&self, user: &str, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        let enter =
            "mount -t proc proc \"$0/proc\" && exec chroot --userspec=\"$1\" \"$0\" \"${@:2}\"";
        command.args(["--mount", "--", "bash", "-c", enter]).arg(self.0.path()).arg(user);
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// What a command of root prints that succeeds.
    fn run(&self, words: &[&str]) -> String {
        let output = self.command("root:root", words).output().unwrap();
        check(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    fn install(&self, package: &Path) -> String {
        let name = package.file_name().unwrap().to_str().unwrap();
        std::fs::copy(package, self.path(name)).unwrap();
        self.run(&["dpkg", "--install", &format!("/{name}")])
    }

    /// Starts it as its unit does.
    fn start(&self) -> Gateway {
        let unit = std::fs::read_to_string(self.path(UNIT)).unwrap();
        let value = |name: &str| {
            let prefix = format!("{name}=");
            unit.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
        };
        let user = format!("{}:{}", value("User"), value("Group"));
        let mut command = self.command(&user, &[&value("ExecStart")]);
        command.env("ISOTHERM_LISTEN", "127.0.0.1:0");
        Gateway::with(command)
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.path("/etc/isotherm/admin-token")).unwrap().trim().to_owned()
    }
}

const UNIT: &str = "/usr/lib/systemd/system/isotherm-gateway.service";
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/isotherm-gateway.service";

/// A package of this version, with the executable of the tests.
fn package(version: &str, to: &Path) -> PathBuf {
    // Where cargo-deb looks for it (hosts/gateway/Cargo.toml).
    let place = root().join("target/package");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(gateway().unwrap(), place.join("isotherm-gateway")).unwrap();
    let file = to.join(format!("isotherm-{version}.deb"));
    let made = Command::new(variable("ISOTHERM_CARGO_DEB"))
        .args(["deb", "--package", "isotherm-gateway", "--no-build", "--no-strip", "--fast"])
        .args(["--quiet", "--deb-version", version, "--output"])
        .arg(&file)
        .current_dir(root())
        .output();
    check(&made.unwrap());
    file
}

/// How many readings it has counted.
fn counted(gateway: &Gateway, token: &str) -> u64 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let sender = gateway.sender();
    let answer = sender.send_with(&Method::GET, "/v1/regions/hall", &headers).unwrap();
    answer.json().ok().and_then(|body| body["count"].as_u64()).unwrap_or(0)
}

fn post(gateway: &Gateway, token: &str, device: &str) {
    let reading = json_reading(device, "hall", 1.0, now_ms()).to_string();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(gateway.sender().post(reading.as_bytes(), &headers).unwrap().status, 202);
}

#[test]
fn it_installs_starts_counts_is_upgraded_and_removed_and_the_readings_stay() {
    let (debian, packages) = (Debian::new(), TempDir::new().unwrap());
    let said = debian.install(&package("0.1.0-1", packages.path()));
    assert!(said.contains("/etc/isotherm/admin-token"), "{said}");
    assert!(debian.path(ENABLED).is_symlink(), "it is not enabled");
    // As a person that has just installed it: `check`, and then the service.
    let checked = debian.run(&["isotherm-gateway", "check"]);
    assert!(checked.contains("/var/lib/isotherm/journal.db"), "{checked}");
    let token = debian.token();
    let gateway = debian.start();
    assert_eq!(gateway.sender().get("/v1/regions/hall").unwrap().status, 401);
    post(&gateway, &token, "a");
    until("it is counted", || (counted(&gateway, &token) == 1).then_some(()));
    let backups = debian.path("/var/backups/isotherm");
    until("there is a backup", || {
        let names = std::fs::read_dir(&backups).unwrap().flatten();
        names.map(|it| it.file_name().into_string().unwrap()).find(|name| name.ends_with('Z'))
    });
    assert!(gateway.stop().success());

    // A configuration that was changed, the tokens and the readings are what they were.
    let configuration = debian.path("/etc/isotherm/isotherm.toml");
    let text = std::fs::read_to_string(&configuration).unwrap() + "# mine\n";
    std::fs::write(&configuration, &text).unwrap();
    debian.install(&package("0.1.0-2", packages.path()));
    assert!(debian.run(&["dpkg", "--status", "isotherm-gateway"]).contains("Version: 0.1.0-2"));
    assert_eq!(std::fs::read_to_string(&configuration).unwrap(), text);
    assert_eq!(debian.token(), token);
    let gateway = debian.start();
    assert_eq!(counted(&gateway, &token), 1);
    post(&gateway, &token, "b");
    until("both are counted", || (counted(&gateway, &token) == 2).then_some(()));
    assert!(gateway.stop().success());

    debian.run(&["dpkg", "--remove", "isotherm-gateway"]);
    assert!(!debian.path("/usr/bin/isotherm-gateway").exists());
    assert_eq!(std::fs::read_to_string(&configuration).unwrap(), text);
    let said = debian.run(&["dpkg", "--purge", "isotherm-gateway"]);
    assert!(said.contains("the readings stay in /var/lib/isotherm"), "{said}");
    assert!(!debian.path("/etc/isotherm").exists() && !debian.path(ENABLED).is_symlink());
    for name in ["journal.db", "regions.db"] {
        assert!(debian.path("/var/lib/isotherm").join(name).exists(), "{name}");
    }

    // Installed again, it goes on with them, and with another token.
    debian.install(&package("0.1.0-2", packages.path()));
    assert_ne!(debian.token(), token);
    let gateway = debian.start();
    assert_eq!(counted(&gateway, &debian.token()), 2);
}

/// Its tokens are not those of Spin's unit, and a package that is installed starts its own.
#[test]
fn it_starts_nothing_where_the_unit_of_spin_is_enabled() {
    let unit = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let spin = unit("deploy/systemd/isotherm.service");
    let target = spin.lines().find_map(|line| line.strip_prefix("WantedBy=")).unwrap();
    let enabled = format!("/etc/systemd/system/{target}.wants/isotherm.service");
    let own = unit("deploy/debian/isotherm-gateway.service");
    assert!(own.lines().any(|line| line == format!("ConditionPathExists=!{enabled}")), "{own}");
    assert!(!own.contains("Conflicts="), "its start would end the other one");
}

#[test]
fn what_is_secret_is_for_the_service_and_for_root() {
    use std::os::unix::fs::MetadataExt as _;
    let (debian, packages) = (Debian::new(), TempDir::new().unwrap());
    debian.install(&package("0.1.0-1", packages.path()));
    let passwd = std::fs::read_to_string(debian.path("/etc/passwd")).unwrap();
    let line = passwd.lines().find_map(|line| line.strip_prefix("isotherm:x:")).unwrap();
    let mut ids = line.split(':').map(|id| id.parse::<u32>().unwrap_or(0));
    let (user, group) = (ids.next().unwrap(), ids.next().unwrap());
    for (path, owner, of, mode) in [
        ("/etc/isotherm/admin-token", 0, 0, 0o600),
        ("/etc/isotherm/tokens", 0, group, 0o640),
        ("/etc/isotherm/session_key", 0, group, 0o640),
        ("/var/lib/isotherm", user, group, 0o700),
        ("/var/backups/isotherm", user, group, 0o700),
    ] {
        let found = std::fs::metadata(debian.path(path)).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (owner, of, mode), "{path}");
    }
    let key = std::fs::read_to_string(debian.path("/etc/isotherm/session_key")).unwrap();
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", key.len());
}
