//! The gateway: one executable with the application in it.

mod backups;
mod clients;
mod limits;
mod log;
mod package;
mod power;
mod privileges;
mod secure;
mod signed;
mod starting;
mod systemd;
mod traces;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use isotherm_it::gateway;
use isotherm_load::sender::Sender;
use serde_json::Value;

/// A gateway that serves. It is killed when it is dropped.
struct Gateway {
    process: Child,
    /// Where it listens, like `127.0.0.1:41234`.
    address: String,
}

/// The gateway's command, without what the tests have in their environment.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(gateway().unwrap());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ISOTHERM_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    command
}

/// What it prints and how it ends.
fn run(arguments: &[&str]) -> Output {
    ended(command(arguments))
}

/// What a program prints that ends by itself. One that does not, as it serves, is ended.
fn ended(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..300 {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    panic!("it serves: {:?}", child.wait_with_output().unwrap());
}

impl Gateway {
    /// With a configuration of these lines in a directory, which is that of its data, too.
    fn start(directory: &Path, lines: &str) -> Self {
        let file = directory.join("isotherm.toml");
        let head = format!("data = {:?}\nlisten = \"127.0.0.1:0\"\n", directory.join("data"));
        std::fs::write(&file, head + lines).unwrap();
        Self::with(command(&["--config", file.to_str().unwrap()]))
    }

    fn with(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let (mut line, mut said) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it served: {said}");
            if let Some((_, address)) =
                line.trim().split_once("://").filter(|_| line.starts_with("Serving "))
            {
                break address.to_owned();
            }
            said += &line;
        };
        // Whatever else it prints.
        std::thread::spawn(move || drop(lines.read_to_string(&mut String::new())));
        Self { process, address }
    }

    fn sender(&self) -> Sender {
        Sender::new(&format!("http://{}", self.address), Duration::from_secs(60))
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Posts a reading but for what is behind its first byte, and returns that with the connection.
    fn begin_post(&self, reading: &Value) -> (TcpStream, String) {
        let body = reading.to_string();
        let (first, rest) = body.split_at(1);
        let head = format!(
            "POST /v1/readings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{first}",
            body.len()
        );
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        (stream, rest.to_owned())
    }

    /// Sends it a signal, by its name.
    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Ends it as systemd does.
    fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.process.wait().unwrap()
    }

    /// The value of one of its own metrics.
    fn metric(&self, name: &str) -> u64 {
        let text = self.sender().get("/metrics").unwrap().body;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Sends a request on a connection, and returns the head and the body of the answer.
fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 4_096];
    let count = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

const GET: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Returns when the other side has closed the connection.
fn wait_for_end(stream: &mut TcpStream) {
    // What is left of an answer, or a reset, is an end, too.
    drop(stream.read_to_end(&mut Vec::new()));
}
