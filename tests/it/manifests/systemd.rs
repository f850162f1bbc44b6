//! The units of `deploy/systemd`: whom they let in, and who can read what they write.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use isotherm_it::{Service, binary, now_ms, root};

fn unit(name: &str) -> String {
    std::fs::read_to_string(root().join("deploy/systemd").join(name)).unwrap()
}

/// What the unit asks before it starts Spin, with these variables in its environment.
fn asked(variables: &[(&str, &str)]) -> Output {
    let unit = unit("isotherm.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStartPre=/bin/sh -c '"));
    // systemd makes one $ of two.
    let script = line.unwrap().strip_suffix('\'').unwrap().replace("$$", "$");
    assert!(!script.contains('\''), "systemd would end it there");
    let of_unit =
        unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
    let environment = of_unit.chain(variables.iter().copied());
    Command::new("sh").arg("-c").arg(script).env_clear().envs(environment).output().unwrap()
}

#[test]
fn without_access_control_or_tls_the_unit_listens_to_its_machine_alone() {
    let tls = ("ISOTHERM_TLS", "--tls-cert /c --tls-key /k");
    let off = ("SPIN_VARIABLE_AUTH", "off");
    let at = |address| ("ISOTHERM_LISTEN", address);
    for (variables, complaint) in [
        (&[][..], None),
        (&[off], None),
        (&[off, at("127.0.0.2:80")], None),
        (&[off, at("[::1]:3000")], None),
        (&[at("0.0.0.0:3000"), tls], None),
        (&[at("0.0.0.0:3000")], Some("set ISOTHERM_TLS")),
        (&[off, at("0.0.0.0:3000"), tls], Some("access control is off")),
        (&[off, at("[::]:3000"), tls], Some("access control is off")),
        (&[("SPIN_VARIABLE_AUTH", ""), at("192.0.2.1:3000"), tls], Some("access control is off")),
    ] {
        let output = asked(variables);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), complaint.is_none(), "{variables:?}: {said}");
        assert!(said.contains(complaint.unwrap_or_default()), "{variables:?}: {said}");
    }
}

#[test]
fn the_unit_takes_secrets_from_a_file_and_listens_where_it_was_asked() {
    let unit = unit("isotherm.service");
    let has = |line: &str| unit.lines().any(|other| other == line);
    assert!(has("EnvironmentFile=/etc/isotherm/secrets"), "it would start without tokens");
    assert!(has("Environment=ISOTHERM_LISTEN=127.0.0.1:3000"));
    let (_, start) = unit.split_once("\nExecStart=").unwrap();
    let start = start.split("\n#").next().unwrap();
    assert!(start.contains("--listen ${ISOTHERM_LISTEN} $ISOTHERM_TLS"), "{start}");
    for secret in ["--variable", "TOKENS", "SESSION_KEY"] {
        assert!(!start.contains(secret), "{secret} is on a command line: {start}");
    }
    for line in ["UMask=0077", "StateDirectoryMode=0700"] {
        assert!(has(line), "{line}");
    }
}

/// Runs what the unit for beats runs, with what systemd gives it.
fn beat(credentials: &Path, url: &str) -> Output {
    let unit = unit("isotherm-sync.service");
    let (_, start) = unit.split_once("\nExecStart=").unwrap();
    let (command, _) = start.split_once("\nTimeoutStartSec=").unwrap();
    let script = format!("exec {}", command.replace("\\\n", ""));
    let environment =
        [("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap()), ("ISOTHERM_SYNC_URL", url)];
    Command::new("sh").arg("-c").arg(script).env_clear().envs(environment).output().unwrap()
}

#[test]
fn the_timer_calls_with_a_token_from_a_file() {
    let now = isotherm::UnixMillis::new(now_ms()).unwrap();
    let (token, line) =
        isotherm::new_token("beat", &[7; 32], &["sync:beat@none"], None, now).unwrap();
    let service = Service::start(&[("auth", "on"), ("tokens", &line)]).unwrap();
    let url = format!("{}/v1/sync", service.url());
    let credentials = tempfile::TempDir::new().unwrap();
    let header = credentials.path().join("header");
    for (content, is_let_in) in
        [(format!("authorization: Bearer {token}\n"), true), (String::new(), false)]
    {
        std::fs::write(&header, content).unwrap();
        let output = beat(credentials.path(), &url);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), is_let_in, "{said}");
        assert_eq!(said.contains("401"), !is_let_in, "{said}");
    }
    let (unit, timer) = (unit("isotherm-sync.service"), unit("isotherm-sync.timer"));
    assert!(unit.contains("\nLoadCredential=header:/etc/isotherm/sync-header\n"));
    assert!(!unit.contains("authorization: Bearer isotherm"), "a token is in the unit");
    for line in ["OnUnitInactiveSec=10s", "AccuracySec=1s", "PartOf=isotherm.service"] {
        assert!(timer.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn the_bridge_takes_its_token_from_a_file_and_waits_for_its_broker() {
    let unit = unit("isotherm-bridge.service");
    assert!(unit.contains("\nLoadCredential=token:/etc/isotherm/bridge-token\n"));
    let (_, start) = unit.split_once("\nExecStart=/usr/local/bin/isotherm-bridge ").unwrap();
    let (arguments, _) = start.split_once("\nRestart=").unwrap();
    let bridge = binary("isotherm-bridge").unwrap();
    let script = format!("exec {} {}", bridge.display(), arguments.replace("\\\n", ""));
    let of_unit =
        unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
    let credentials = tempfile::TempDir::new().unwrap();
    std::fs::write(credentials.path().join("token"), "isotherm_gw_secret\n").unwrap();
    let mut process = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .envs(of_unit)
        .env("CREDENTIALS_DIRECTORY", credentials.path())
        // Nothing listens there.
        .env("ISOTHERM_BROKER", "127.0.0.1:1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(line.starts_with("isotherm-bridge: waiting: broker: "), "{line}");
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_backup_is_for_its_owner_alone() {
    let service = Service::start(&[]).unwrap();
    assert_eq!(service.post(r#"{"device_id":"d"}"#).unwrap().status, 422);
    assert_eq!(service.get("/v1/regions").unwrap().status, 200);
    let to = tempfile::TempDir::new().unwrap();
    let output = Command::new("sh")
        .args(["-c", "umask 022; exec \"$@\"", "sh"])
        .arg(root().join("deploy/backup/isotherm-backup"))
        .arg("--journal")
        .arg(service.journal_file())
        .arg("--regions")
        .arg(service.regions_file())
        .arg("--to")
        .arg(to.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let backups = std::fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().path());
    let backup = backups.filter(|path| path.is_dir()).collect::<Vec<_>>();
    assert_eq!(backup.len(), 1);
    assert_eq!(mode(&backup[0]), 0o700);
    for name in ["journal.db", "regions.db", "manifest.txt"] {
        assert_eq!(mode(&backup[0].join(name)), 0o600, "{name}");
    }
    assert!(unit("isotherm-backup.service").lines().any(|line| line == "UMask=0077"));
}
