//! The scripts that have libSQL's server sync each commit, and keep it out of its Service until
//! then, against an admin API as libSQL's server
//! 0.24.33 has it: `GET` and `POST /v1/namespaces/default/config`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use isotherm_it::root;
use serde_json::{Value, json};

use crate::support::service::until;

/// A server's settings, and whether it takes others.
struct Admin {
    url: String,
    port: u16,
    mode: Arc<Mutex<String>>,
    /// How often it was told.
    told: Arc<AtomicUsize>,
}

impl Admin {
    fn start(takes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let mode = Arc::new(Mutex::new("relaxed".to_owned()));
        let told = Arc::new(AtomicUsize::new(0));
        let (kept, counted) = (mode.clone(), told.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let mut line = String::new();
                    assert_ne!(reader.read_line(&mut line).unwrap(), 0);
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head += &line;
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let path = "/v1/namespaces/default/config";
                let mut mode = kept.lock().unwrap();
                let (status, answer) = if head.starts_with(&format!("POST {path} ")) {
                    let wanted: Value = serde_json::from_slice(&body).unwrap();
                    // It forgets what is not named.
                    assert_eq!(wanted["txn_timeout_s"], 5);
                    assert_eq!(wanted["block_writes"], false);
                    counted.fetch_add(1, Ordering::SeqCst);
                    if takes {
                        wanted["durability_mode"].as_str().unwrap().clone_into(&mut mode);
                    }
                    (if takes { "200 OK" } else { "500 Internal Server Error" }, String::new())
                } else if head.starts_with(&format!("GET {path} ")) {
                    ("200 OK", json!({"block_reads": false, "durability_mode": *mode}).to_string())
                } else {
                    ("404 Not Found", String::new())
                };
                let length = answer.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
                let head = format!("{head}connection: close\r\n\r\n{answer}");
                reader.get_mut().write_all(head.as_bytes()).unwrap();
            }
        });
        Self { url, port, mode, told }
    }

    fn mode(&self) -> String {
        self.mode.lock().unwrap().clone()
    }
}

fn script(admin: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(root().join("deploy/spinkube/stores/libsql/durable.sh"));
    command.env("ISOTHERM_LIBSQL_ADMIN", admin).env("ISOTHERM_EVERY", "0.1");
    command
}

/// What the readiness probe finds.
fn is_ready(port: u16) -> bool {
    let mut command = Command::new("bash");
    command.arg(root().join("deploy/spinkube/stores/libsql/synced.sh"));
    command.env("ISOTHERM_LIBSQL_ADMIN_PORT", port.to_string());
    command.output().unwrap().status.success()
}

/// The script at work. It is ended when this is dropped.
struct Running(Child);

impl Running {
    fn start(admin: &str) -> Self {
        Self(script(admin).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Ends it as Kubernetes does, and returns what it said.
    fn stop(mut self) -> String {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success(), "it ends by itself");
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
    }
}

#[test]
fn a_server_that_does_not_sync_is_told_to_and_ready_after_that() {
    let admin = Admin::start(true);
    assert!(!is_ready(admin.port), "a probe changes nothing");
    assert_eq!(admin.mode(), "relaxed");
    let running = Running::start(&admin.url);
    until("it was told", || (admin.mode() == "strong").then_some(()));
    assert!(is_ready(admin.port));
    // As after each start of the server.
    "relaxed".clone_into(&mut admin.mode.lock().unwrap());
    until("it was told again", || (admin.mode() == "strong").then_some(()));
    assert_eq!(running.stop(), "libSQL syncs each commit\n");
}

#[test]
fn a_server_that_can_not_be_told_is_never_ready() {
    let admin = Admin::start(false);
    let running = Running::start(&admin.url);
    until("it was told", || (admin.told.load(Ordering::SeqCst) >= 3).then_some(()));
    assert!(!is_ready(admin.port));
    let said = running.stop();
    assert_eq!(said.matches("can't be told").count(), 1, "once, and not each time: {said}");
    // Nobody listens there.
    assert!(!is_ready(1));
}
