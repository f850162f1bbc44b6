//! A broker and a bridge, as processes of their own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use isotherm_it::binary;
use isotherm_it::programs::{check, variable};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::service::until;

/// The session of all bridges here.
pub(super) const SESSION: &str = "bridge-of-tests";

fn kill(process: &Child, signal: &str) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// A broker on a port of its own, with its file. It is killed when it is dropped.
pub(super) struct Broker {
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    /// One with further lines in its configuration, not started yet.
    pub(super) fn prepare(further: &str) -> Self {
        // A program that takes the port in between makes the test fail, and not pass.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        let directory = TempDir::new().unwrap();
        let at = directory.path().display();
        let lines = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
             persistence_location {at}/\nmax_queued_messages 0\nlog_dest file {at}/log\n{further}"
        );
        std::fs::write(directory.path().join("mosquitto.conf"), lines).unwrap();
        Self { directory, port, process: None }
    }

    pub(super) fn start(further: &str) -> Self {
        let mut broker = Self::prepare(further);
        broker.run();
        broker
    }

    pub(super) fn run(&mut self) {
        let process = Command::new(variable("ISOTHERM_MOSQUITTO"))
            .arg("-c")
            .arg(self.directory.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
        until("the broker listens", connect);
    }

    /// Ends it as systemd does: it writes its file.
    pub(super) fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        kill(&process, "-TERM");
        assert!(process.wait().unwrap().success());
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Runs one of the broker's clients, with these lines as its input.
    pub(super) fn client(&self, name: &str, arguments: &[&str], input: &str) -> Output {
        let program = Path::new(&variable("ISOTHERM_MOSQUITTO_CLIENTS")).join(name);
        let port = self.port.to_string();
        let mut client = Command::new(program)
            .args(["-h", "127.0.0.1", "-p", &port, "-q", "1"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = client.wait_with_output().unwrap();
        check(&output);
        output
    }

    /// Publishes with QoS 1, and ends once the broker has acknowledged all of it.
    pub(super) fn publish(&self, topic: &str, payloads: &[Value]) {
        let lines: String = payloads.iter().map(|payload| format!("{payload}\n")).collect();
        self.client("mosquitto_pub", &["-t", topic, "-l"], &lines);
    }

    /// Checks that no bridge has left a message unacknowledged: the first one that the session
    /// gets now is published now.
    pub(super) fn check_nothing_is_left(&self, topic: &str) {
        self.publish(topic, &[json!("the end")]);
        let arguments = ["-c", "-i", SESSION, "-t", topic, "-C", "1"];
        let first = self.client("mosquitto_sub", &arguments, "").stdout;
        assert_eq!(String::from_utf8_lossy(&first), "\"the end\"\n");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

/// A bridge of `sensors/#`. It is killed when it is dropped.
pub(super) struct Bridge {
    process: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Bridge {
    pub(super) fn start(broker: &Broker, node: &str, further: &[&str]) -> Self {
        Self::posting_to(broker, &format!("{node}/v1/readings"), further)
    }

    /// One that posts to this URL.
    pub(super) fn posting_to(broker: &Broker, url: &str, further: &[&str]) -> Self {
        let mut process = Command::new(binary("isotherm-bridge").unwrap())
            .args(["--broker", &format!("127.0.0.1:{}", broker.port)])
            .args(["--topic", "sensors/#", "--client-id", SESSION])
            .args(["--to", url])
            .args(further)
            .env_remove("ISOTHERM_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let stdout = collect(process.stdout.take().unwrap(), &said);
        let stderr = collect(process.stderr.take().unwrap(), &said);
        Self { process, said, readers: vec![stdout, stderr] }
    }

    /// The same, once it has its subscription.
    pub(super) fn subscribed(broker: &Broker, node: &str, further: &[&str]) -> Self {
        let bridge = Self::start(broker, node, further);
        bridge.wait_for("subscribed at");
        bridge
    }

    pub(super) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(super) fn count(&self, text: &str) -> usize {
        self.said().matches(text).count()
    }

    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) {
        until(text, || self.said().contains(text).then_some(()));
    }

    /// Ends it with SIGKILL.
    pub(super) fn kill(self) {
        drop(self);
    }

    /// Ends it with SIGTERM. Returns what it said.
    pub(super) fn stop(mut self) -> String {
        kill(&self.process, "-TERM");
        let status = self.process.wait().unwrap();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        assert!(status.success(), "{status}: {}", self.said());
        self.said()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        if std::thread::panicking() {
            eprintln!("The bridge said:\n{}", self.said());
        }
    }
}

/// Reads a stream to its end in the background.
fn collect(mut stream: impl Read + Send + 'static, said: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let said = said.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            said.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    })
}
