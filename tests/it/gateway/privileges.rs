//! Rights of root that are given up. Skipped by name for other users.

use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::Stdio;

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
fn data_below_directories_that_are_missing_is_made_for_the_user() {
    let directory = TempDir::new().unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let mut start = command(&["--config", "/dev/null", "--listen", "127.0.0.1:0", "--user", USER]);
    start.arg("--data").arg(directory.path().join("a/b/data"));
    let gateway = Gateway::with(start);
    assert_eq!(gateway.sender().get("/v1/regions").unwrap().status, 200);
}

#[test]
fn a_log_that_its_user_can_not_begin_anew_ends_the_start_and_later_goes_to_standard_error() {
    const POSTS: usize = 100;
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("log");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("isotherm.toml");
    let lines = "data = \"data\"\nlisten = \"127.0.0.1:0\"\nuser = \"65534\"\n\
                 [log]\nfile = \"log/isotherm.log\"\nsize = \"1kB\"\n";
    std::fs::write(&file, lines).unwrap();
    let start = || command(&["--config", file.to_str().unwrap()]);
    // It may write the file, and can't rename it.
    std::fs::write(place.join("isotherm.log"), "").unwrap();
    chown(place.join("isotherm.log"), Some(ID), Some(ID)).unwrap();
    let output = ended(start());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("log/isotherm.log can't be written"),
        "{said}"
    );

    chown(&place, Some(ID), Some(ID)).unwrap();
    let mut started = start();
    started.stderr(Stdio::piped());
    let mut gateway = Gateway::with(started);
    chown(&place, Some(0), Some(0)).unwrap();
    for n in 0..POSTS {
        let at = now_ms() - i64::try_from(n).unwrap();
        gateway.sender().deliver(&[json_reading("d", "hall", 1.0, at)]).unwrap();
    }
    let mut said = gateway.process.stderr.take().unwrap();
    assert!(gateway.stop().success());
    let mut text = std::fs::read_to_string(place.join("isotherm.log")).unwrap();
    said.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("\"route\":\"POST /v1/readings\"").count(), POSTS, "{text}");
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
