//! What runs beats: the timer of the embedded runtime, and `cargo xtask up --peer`.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Method;
use isotherm::UnixMillis;
use isotherm_it::{Service, binary, now_ms};
use isotherm_load::sender::Sender;
use serde_json::json;
use tempfile::TempDir;

use crate::support::bare::ask;
use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};

#[test]
fn the_timer_of_the_embedded_runtime_sends_and_says_once_that_it_fails() {
    let hub = Service::start(&[]).unwrap();
    let variables = [("peer1", hub.url()), ("node", "gw-1".to_owned())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = Service::start_with(&variables, &["--faults", "--beat", "1s"]).unwrap();
    gateway.accept(&json_reading("d1", "hall", 20.0, now_ms()));
    until("the hub has the reading", || {
        let answer = hub.get("/v1/regions/hall").unwrap();
        (answer.status == 200).then_some(())
    });

    let count = |text: &str| gateway.log().matches(text).count();
    gateway.fail("sqlite", "fail");
    gateway.wait_for_log("the beat fails: POST /v1/sync: 503").unwrap();
    let requests = || gateway.log().matches("\"route\":\"POST /v1/sync\"").count();
    let before = requests();
    until("it is called again and again", || (requests() >= before + 2).then_some(()));
    assert_eq!((count("the beat fails"), count("the beat works")), (1, 0));
    gateway.heal();
    gateway.wait_for_log("the beat works again").unwrap();
    assert_eq!((count("the beat fails"), count("the beat works")), (1, 1));
}

/// A token and its line.
fn token(id: &str, scope: &str, seed: u8) -> (String, String) {
    let now = UnixMillis::new(now_ms()).unwrap();
    isotherm::new_token(id, &[seed; 32], &[scope], None, now).unwrap()
}

/// `cargo xtask up` with its state in a directory, killed with its group when it is dropped.
struct Up {
    process: Child,
    said: String,
}

impl Up {
    /// Waits until it serves.
    fn start(state: &Path, listen: &str, further: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary("xtask").unwrap());
        command.args(["up", "--no-build", "--listen", listen, "--state-dir"]).arg(state);
        command.args(further).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut up = Self { process, said: String::new() };
        while !up.said.contains("\nServing http://") {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {}", up.said)).unwrap();
            up.said += &format!("{line}\n");
        }
        // What it says after that is read, so that it can't wait for a reader.
        std::thread::spawn(move || lines.count());
        up
    }

    fn sender(&self) -> Sender {
        let url = self.said.lines().find_map(|line| line.strip_prefix("Serving "));
        Sender::new(url.unwrap(), Duration::from_secs(10))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
        self.process.wait().unwrap();
    }
}

/// The command lines of all processes that name this directory.
fn command_lines(state: &Path) -> String {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.filter(|line| line.contains(state.to_str().unwrap())).collect()
}

/// Takes a reading while the node has no peer. Then it need not wait for the second beat.
fn take_a_reading(state: &Path) {
    let runtime = ["--runtime", "embedded"];
    let alone = Up::start(state, "127.0.0.1:0", &runtime, &[]);
    let reading = json_reading("d1", "hall", 20.0, now_ms());
    assert_eq!(alone.sender().post(reading.to_string().as_bytes(), &[]).unwrap().status, 202);
}

#[test]
fn up_with_a_peer_sends_by_itself_with_access_control_on_both_sides() {
    let (for_hub, of_gateway) = token("gw-1", "sync:gw-1@*", 1);
    let (admin, of_admin) = token("admin", "admin", 2);
    let tokens = format!("{of_gateway}\n{of_admin}");
    let hub = Service::start(&[("auth", "on"), ("tokens", &tokens)]).unwrap();
    let state = TempDir::new().unwrap();
    take_a_reading(state.path());

    let url = hub.url();
    let further = ["--auth", "--runtime", "embedded", "--peer", &url, "--node", "gw-1"];
    let environment = [("ISOTHERM_PEER_TOKEN", for_hub.as_str())];
    let gateway = Up::start(state.path(), "127.0.0.1:0", &further, &environment);
    assert!(gateway.said.contains(&format!("Sends everything it has to {url}")));
    let header = ("authorization", format!("Bearer {admin}"));
    let node = until("the hub has heard of the gateway", || {
        let answer = ask(&hub, "GET", "/v1/senders", &[(header.0, &header.1)], "");
        let nodes = answer.json().unwrap()["nodes"].clone();
        (nodes[0]["readings"] == 1).then(|| nodes[0].clone())
    });
    assert_eq!(node["name"], "gw-1");
    // Nobody sees a token.
    let lines = command_lines(state.path());
    let secrets = [for_hub.as_str(), "isotherm_beat"];
    assert!(lines.contains("--beat") && !secrets.iter().any(|one| lines.contains(one)), "{lines}");
    let kept = std::fs::read_to_string(state.path().join("tokens")).unwrap();
    assert!(!secrets.iter().any(|one| gateway.said.contains(one)) && !kept.contains("beat "));
    // Its own door is closed to others.
    let answer = gateway.sender().send_with(&Method::POST, "/v1/sync", &[]).unwrap();
    assert_eq!(answer.status, 401);
}

#[test]
fn up_has_the_timer_for_a_runtime_that_has_none() {
    let hub = Service::start(&[]).unwrap();
    let state = TempDir::new().unwrap();
    take_a_reading(state.path());
    // As Spin takes its arguments, but for those of the embedded runtime alone.
    let bin = TempDir::new().unwrap();
    let host = binary("isotherm-host").unwrap();
    let script =
        format!("#!/bin/sh\n[ \"$1\" = up ] || exit 0\nshift\nexec '{}' \"$@\"\n", host.display());
    let spin = bin.path().join("spin");
    std::fs::write(&spin, script).unwrap();
    std::fs::set_permissions(&spin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let further = ["--runtime", "spin", "--peer", &hub.url()];
    let _gateway = Up::start(state.path(), &free, &further, &[("PATH", &path)]);
    until("the hub has the reading", || {
        let answer = hub.get("/v1/regions/hall").unwrap();
        (answer.status == 200 && answer.json().unwrap()["count"] == json!(1)).then_some(())
    });
    assert!(!command_lines(state.path()).contains("--beat"));
}

/// What `cargo xtask up` says that does not start.
fn refusal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let state = TempDir::new().unwrap();
    let output = Command::new(binary("xtask").unwrap())
        .args(["up", "--no-build", "--state-dir", state.path().to_str().unwrap()])
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "it was begun");
    said
}

#[test]
fn a_peer_that_can_not_be_used_is_refused_before_anything_starts() {
    let peer = ["--peer", "http://127.0.0.1:1"];
    let said = refusal(&["--peer", "https://hub.example/v1/readings"], &[]);
    assert!(said.contains("without a path, as https://hub.example;"), "{said}");
    let said = refusal(&[&peer[..], &["--variable", "peer1=http://a"]].concat(), &[]);
    assert!(said.contains("--peer sets the variable peer1"), "{said}");
    let said = refusal(&peer, &[("SPIN_VARIABLE_AUTH", "on")]);
    assert!(said.contains("ISOTHERM_BEAT_TOKEN"), "{said}");
    let host = binary("isotherm-host").unwrap();
    let output = Command::new(host).args(["--beat", "500ms"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("at least 1s"));
}
