//! Rights of root that are given up. Skipped by name for other users.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use isotherm_it::now_ms;
use tempfile::TempDir;

use super::{Gateway, command, ended};
use crate::support::readings::json_reading;

/// A user of every Debian, without a home or a password.
const USER: &str = "nobody";
const ID: u32 = 65_534;

#[test]
fn started_by_root_it_serves_as_its_user_and_can_not_go_back() {
    let directory = TempDir::new().unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let gateway = Gateway::start(directory.path(), &format!("user = \"{USER}\"\n"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.process.id())).unwrap();
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:\t")));
        line.unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let id = ID.to_string();
    for name in ["Uid", "Gid"] {
        assert!(value(name).iter().all(|one| *one == id), "{name}: {:?}", value(name));
    }
    assert_eq!(value("Groups"), [id.as_str()]);
    for name in ["CapEff", "CapPrm", "CapInh"] {
        assert_eq!(value(name), ["0000000000000000"], "{name}");
    }
    assert_eq!(value("NoNewPrivs"), ["1"]);
    gateway.sender().deliver(&[json_reading("d", "hall", 1.0, now_ms())]).unwrap();
    assert_eq!(gateway.sender().get("/v1/regions").unwrap().status, 200);
    for entry in std::fs::read_dir(directory.path().join("data")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), ID, "{:?}", entry.path());
    }
    let data = std::fs::metadata(directory.path().join("data")).unwrap();
    assert_eq!((data.uid(), data.mode() & 0o777), (ID, 0o700));
}

#[test]
fn a_user_that_is_none_ends_the_start_and_the_check() {
    let directory = TempDir::new().unwrap();
    for word in [None, Some("check")] {
        let mut start = command(&[]);
        start.args(word).args(["--config", "/dev/null", "--listen", "127.0.0.1:0", "--data"]);
        start.arg(directory.path()).args(["--user", "nobody-of-this-name"]);
        let output = ended(start);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("none of that name"), "{said}");
    }
}
