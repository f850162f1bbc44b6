//! What systemd hands over, and what it is told.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use isotherm_it::gateway;
use tempfile::TempDir;

use super::{Gateway, command, ended};

/// Opens a socket as systemd does, and becomes the gateway.
const HAND_OVER: &str = "
import os, socket, sys
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn it_serves_on_the_socket_that_systemd_has_opened() {
    let directory = TempDir::new().unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", HAND_OVER]).arg(gateway().unwrap());
    // An address that can't be taken: it is not used.
    python.args(["--listen", "192.0.2.1:1", "--variable", "auth=off", "--data"]);
    python.arg(directory.path()).env("ISOTHERM_CONFIG", directory.path().join("isotherm.toml"));
    std::fs::write(directory.path().join("isotherm.toml"), "exposed = true\n").unwrap();
    let gateway = Gateway::with(python);
    assert_eq!(gateway.sender().get("/readyz").unwrap().status, 200);
}

#[test]
fn a_socket_that_is_open_to_others_needs_access_control_and_tls_as_any() {
    let directory = TempDir::new().unwrap();
    let mut python = Command::new("python3");
    let open = HAND_OVER.replace("127.0.0.1", "0.0.0.0");
    python.args(["-c", &open]).arg(gateway().unwrap()).arg("--data").arg(directory.path());
    python.env("ISOTHERM_CONFIG", "/dev/null");
    let output = ended(python);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("access control is off"), "{said}");
}

#[test]
fn systemd_is_told_when_it_serves_and_when_it_ends() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let said = || {
        let mut message = [0; 256];
        let count = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..count]).into_owned()
    };
    let data = directory.path().join("data");
    let mut started = command(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    started.env("NOTIFY_SOCKET", &path);
    let gateway = Gateway::with(started);
    assert_eq!(said().trim(), "READY=1");
    assert_eq!(gateway.sender().get("/readyz").unwrap().status, 200);
    assert!(gateway.stop().success());
    assert_eq!(said().trim(), "STOPPING=1");
}
