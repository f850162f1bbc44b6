//! `cargo xtask token` and `cargo xtask up --auth`: tokens that a node takes, shown once and
//! kept by nobody.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use isotherm_it::{Service, binary, now_ms, root};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::readings::{json_reading, secret_of};
use crate::support::service::Expect as _;

fn xtask(arguments: &[&str]) -> Output {
    Command::new(binary("xtask").unwrap()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `cargo xtask token --quiet` prints: a token, and its line.
fn token(arguments: &[&str]) -> (String, String) {
    let output = xtask(&[&["token", "--quiet"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let (token, line) = said.trim_end().split_once('\n').unwrap();
    (token.to_owned(), line.to_owned())
}

#[test]
fn a_node_takes_the_line_that_belongs_to_a_token() {
    let (device, first) = token(&["--id", "gw-1", "--scope", "write:*@hall"]);
    let (reader, second) =
        token(&["--scope", "read:hall", "--scope", "metrics", "--expires", "2100-01-01T00:00:00Z"]);
    assert!(device.starts_with("isotherm_gw-1_") && first.starts_with("gw-1 "), "{device}");
    for (token, line) in [(&device, &first), (&reader, &second)] {
        assert!(!line.contains(secret_of(token)), "{line}");
    }
    let variable = format!("{first}\n{second}");
    let service = Service::start(&[("auth", "on"), ("tokens", &variable)]).unwrap();
    let of = |token: &str| format!("Bearer {token}");
    let send = |token: &str| {
        let reading = json_reading("d1", "hall", 20.0, now_ms());
        service.send(&reading, &[("authorization", &of(token)), ("prefer", "wait")]).status
    };
    let read =
        |path: &str, token: &str| service.get_with(path, &[("authorization", &of(token))]).status;
    assert_eq!((send(&device), send(&reader)), (200, 403));
    let paths = ["/v1/regions/hall", "/v1/regions/yard", "/metrics"];
    assert_eq!(paths.map(|path| read(path, &reader)), [200, 403, 200]);
    assert_eq!(read(paths[0], &device), 403);
    // Another one with the same id is another token.
    let (other, _) = token(&["--id", "gw-1", "--scope", "write:*@hall"]);
    assert_ne!(other, device);
    assert_eq!(send(&other), 401);
    assert!(!service.log().contains(secret_of(&device)));
}

#[test]
fn a_token_that_is_not_quiet_is_explained_and_a_wrong_one_is_not_made() {
    let output = xtask(&["token", "--id", "gw-1", "--scope", "admin"]);
    let said = text(&output.stdout);
    let indented: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(indented.len(), 2, "{said}");
    assert!(indented[0].starts_with("isotherm_gw-1_") && indented[1].starts_with("gw-1 "));
    for (arguments, what) in [
        (&["--id", "gw-1"][..], "--scope"),
        (&["--scope", "reed:*"], "\"reed:*\" is no scope"),
        (&["--scope", "read:*", "--id", "gw_1"], "\"gw_1\" is no id"),
        (&["--scope", "read:*", "--expires", "2020-01-01T00:00:00Z"], "2020-01-01T00:00:00Z"),
        (&["--scope", "read:*", "--quite"], "--quite"),
    ] {
        let output = xtask(&[&["token"], arguments].concat());
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(what), "{said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// `cargo xtask up --auth` on the embedded runtime, with its state in a directory. It is
/// killed with its group when it is dropped: the runtime is a process of its own.
struct Up {
    process: Child,
    said: String,
    address: String,
}

impl Up {
    fn start(state: &Path) -> Self {
        let mut command = Command::new(binary("xtask").unwrap());
        command.args(["up", "--auth", "--no-build", "--runtime", "embedded"]);
        command.args(["--listen", "127.0.0.1:0", "--state-dir"]).arg(state);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut said, mut address) = (String::new(), None);
        while address.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
            address = line.strip_prefix("Serving http://").map(ToOwned::to_owned);
            said += &format!("{line}\n");
        }
        // What it says after that is read, so that it can't wait for a reader.
        std::thread::spawn(move || lines.count());
        Self { process, said, address: address.unwrap() }
    }

    /// The status and the JSON of an answer to a request with this token.
    fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\nprefer: wait\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // An answer may come in chunks.
        let json = body.find('{').zip(body.rfind('}')).map(|(from, to)| &body[from..=to]);
        (status, serde_json::from_str(json.unwrap_or("null")).unwrap())
    }

    /// The command lines of all processes that name this directory.
    fn command_lines(state: &Path) -> Vec<String> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        lines.filter(|line| line.contains(state.to_str().unwrap())).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
        self.process.wait().unwrap();
    }
}

/// The tokens in a text.
fn tokens_in(said: &str) -> Vec<&str> {
    said.split_whitespace().filter(|word| word.starts_with("isotherm_")).collect()
}

#[test]
fn up_with_auth_shows_a_token_once_and_the_next_start_takes_it() {
    let state = TempDir::new().unwrap();
    let first = Up::start(state.path());
    let tokens = tokens_in(&first.said);
    assert_eq!(tokens.len(), 1, "{}", first.said);
    let admin = tokens[0].to_owned();

    // A token for a device, made by the administrator's, sends; and nobody else does.
    let new = json!({"id": "gw-1", "scopes": ["write:*@hall"]});
    assert_eq!(first.ask("POST", "/v1/tokens", "isotherm_admin_x", &new).0, 401);
    let (status, made) = first.ask("POST", "/v1/tokens", &admin, &new);
    assert_eq!(status, 201, "{made}");
    let device = made["token"].as_str().unwrap().to_owned();
    let reading = |i: i64| json_reading("d1", "hall", 20.0, now_ms() - i);
    let (status, outcome) = first.ask("POST", "/v1/readings", &device, &reading(0));
    assert_eq!(status, 200, "{outcome}");
    assert_eq!(first.ask("GET", "/v1/regions/hall", &device, &Value::Null).0, 403);

    let secrets = ["tokens", "session_key"].map(|name| {
        let path = state.path().join(name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{name}");
        std::fs::read_to_string(path).unwrap()
    });
    let lines = Up::command_lines(state.path());
    assert!(lines.len() >= 2, "xtask and the runtime: {lines:?}");
    let digest = secrets[0].split_whitespace().find(|word| word.len() == 64).unwrap();
    for secret in [digest, secrets[1].trim(), &admin] {
        assert!(lines.iter().all(|line| !line.contains(secret)), "{lines:?}");
    }
    drop(first);

    // The same tokens again, and no secret on the terminal.
    let second = Up::start(state.path());
    assert_eq!(tokens_in(&second.said), Vec::<&str>::new());
    for secret in [digest, secrets[1].trim(), secret_of(&admin)] {
        assert!(!second.said.contains(secret), "{}", second.said);
    }
    assert!(second.said.contains("admin") && second.said.contains("gw-1"), "{}", second.said);
    let (status, hall) = second.ask("GET", "/v1/regions/hall", &admin, &Value::Null);
    assert_eq!((status, &hall["count"]), (200, &json!(1)), "{hall}");
    assert_eq!(second.ask("POST", "/v1/readings", &device, &reading(1_000)).0, 200);
    drop(second);

    // A lost one is replaced as is said, and works no more.
    let file = state.path().join("tokens");
    let others: String = secrets[0].lines().filter(|line| !line.starts_with("admin ")).collect();
    std::fs::write(&file, others).unwrap();
    let third = Up::start(state.path());
    let tokens = tokens_in(&third.said);
    assert_eq!(tokens.len(), 1, "{}", third.said);
    assert_eq!(third.ask("GET", "/v1/tokens", tokens[0], &Value::Null).0, 200);
    assert_eq!(third.ask("GET", "/v1/tokens", &admin, &Value::Null).0, 401);
    assert_eq!(third.ask("POST", "/v1/readings", &device, &reading(2_000)).0, 200);
}

#[test]
fn what_is_secret_is_not_taken_from_a_command_line() {
    let directory = TempDir::new().unwrap();
    let root = root();
    for (arguments, what) in [
        (&["--variable", "session_key=hush"][..], "SPIN_VARIABLE_SESSION_KEY"),
        (&["--auth", "--variable", "auth=off"], "--auth sets the variable auth"),
    ] {
        let state = ["--state-dir", directory.path().to_str().unwrap()];
        let output = Command::new(binary("xtask").unwrap())
            .args([&["up", "--no-build"], arguments, &state].concat())
            .current_dir(&root)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(!said.contains("hush") && said.contains(what), "{said}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it was begun");
}
