//! It starts from one file, says what is wrong, and ends what it has begun.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use isotherm_it::{Service, gateway, now_ms};
use serde_json::json;
use tempfile::TempDir;

use super::{Gateway, run};
use crate::support::assert::check_fields;
use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};

#[test]
fn one_file_in_an_empty_directory_serves_the_page_and_counts() {
    let directory = TempDir::new().unwrap();
    let alone = directory.path().join("isotherm-gateway");
    std::fs::copy(gateway().unwrap(), &alone).unwrap();
    let mut command = Command::new(&alone);
    command.args(["--data", "data", "--listen", "127.0.0.1:0"]).current_dir(directory.path());
    // A zone is one of the files in it.
    command.env_clear().env("ISOTHERM_TIME_ZONE", "Europe/Berlin");
    let gateway = Gateway::with(command);
    let sender = gateway.sender();
    let body = json_reading("d1", "hall", 20.5, now_ms()).to_string();
    assert_eq!(sender.post(body.as_bytes(), &[]).unwrap().status, 202);
    let answer = sender.get("/v1/regions/hall").unwrap();
    check_fields(&answer.json().unwrap(), &json!({"count": 1, "average_c": 20.5}));
    // It has nothing to read again, and goes on.
    gateway.signal("HUP");
    assert!(sender.get("/").unwrap().body.starts_with("<!doctype html>"));
    assert!(gateway.stop().success());
    let data = directory.path().join("data");
    let log = data.join("journal.db-wal");
    assert!(data.join("regions.db").exists() && (log.exists() || is_in_wal_mode(&data)));
    let mode = std::fs::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "others can read hashes of tokens");
}

fn is_in_wal_mode(data: &std::path::Path) -> bool {
    let journal = rusqlite::Connection::open(data.join("journal.db")).unwrap();
    let mode: String = journal.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    mode == "wal"
}

#[test]
fn a_node_goes_on_where_another_runtime_has_stopped_and_back() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let at = now_ms();
    let send = |gateway: &Gateway, number: i64| {
        let body = json_reading("d1", "hall", 20.0, at - number).to_string();
        assert_eq!(gateway.sender().post(body.as_bytes(), &[]).unwrap().status, 202);
    };
    let gateway = Gateway::start(directory.path(), "");
    send(&gateway, 1);
    drop(gateway);
    let stores = format!(
        "[key_value_store.default]\ntype = \"spin\"\npath = {:?}\n\
         [sqlite_database.default]\ntype = \"spin\"\npath = {:?}\n",
        data.join("journal.db"),
        data.join("regions.db")
    );
    let mut other = Service::prepare("spin.toml", &[], &[]).unwrap();
    other.configure(&stores).unwrap();
    other.run().unwrap();
    other.accept(&json_reading("d1", "hall", 20.0, at - 2));
    assert_eq!(other.read("/v1/regions/hall")["count"], 2);
    drop(other);
    let gateway = Gateway::start(directory.path(), "");
    send(&gateway, 3);
    let answer = gateway.sender().get("/v1/regions/hall").unwrap();
    assert_eq!(answer.json().unwrap()["count"], 3);
}

/// What a mistake in the configuration is called.
const MISTAKES: [(&str, &str); 9] = [
    ("listen = \"127.0.0.1:0\"\nretention = \"1d\"", "unknown field `retention`"),
    ("listen = \"nowhere\"", "an address like 127.0.0.1:3000 is needed"),
    ("[variables]\nretention = \"a week\"", "variable retention"),
    ("[variables]\nretain = \"1d\"", "unknown variable retain"),
    ("listen = \"0.0.0.0:0\"", "access control is off"),
    ("listen = \"0.0.0.0:0\"\n[variables]\nauth = \"on\"", "tokens could be read"),
    ("[tls]\ncertificate = \"gone.pem\"\nkey = \"gone.pem\"", "gone.pem can't be read"),
    ("[application]\nfrom = \"gone.toml\"", "gone.toml can't be read"),
    ("[sync]\nevery = \"1ms\"", "sync.every"),
];

#[test]
fn a_mistake_is_named_before_anything_is_served_and_by_check() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("isotherm.toml");
    let path = file.to_str().unwrap();
    for (lines, what) in MISTAKES {
        let data = format!("data = {:?}\n", directory.path().join("data"));
        std::fs::write(&file, data + lines).unwrap();
        for arguments in [&["check", "--config", path][..], &["--config", path]] {
            let output = run(arguments);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && said.contains(what), "{lines}: {said}");
            assert_eq!(
                said.trim().lines().count(),
                if said.contains("TOML") { said.trim().lines().count() } else { 1 },
                "{said}"
            );
        }
    }
    std::fs::write(&file, format!("data = {:?}\n", directory.path().join("data"))).unwrap();
    let output = run(&["check", "--config", path]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("It serves http://127.0.0.1:3000"), "{said}");
}

#[test]
fn data_that_can_not_be_written_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = run(&["--data", file.join("data").to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("can't be made"), "{said}");
}

#[test]
fn a_request_that_is_under_way_is_answered_before_it_ends() {
    let directory = TempDir::new().unwrap();
    let gateway = Gateway::start(directory.path(), "");
    let (mut stream, rest) = gateway.begin_post(&json_reading("d1", "hall", 20.5, now_ms()));
    let mut idle = gateway.connect();
    assert!(super::ask(&mut idle, super::GET).starts_with("HTTP/1.1 200"));
    until("the request has begun", || {
        (gateway.metric("isotherm_gateway_instances") == 1).then_some(())
    });
    gateway.signal("TERM");
    // The idle connection ends at once, the other one with its answer.
    super::wait_for_end(&mut idle);
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let mut gateway = gateway;
    assert!(gateway.process.wait().unwrap().success());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn listeners_of_events_are_no_reason_to_wait() {
    let directory = TempDir::new().unwrap();
    let gateway = Gateway::start(directory.path(), "");
    let mut stream = gateway.connect();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut head = [0; 64];
    assert!(stream.read(&mut head).unwrap() > 0);
    let begin = std::time::Instant::now();
    assert!(gateway.stop().success());
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    // The stream ends as one does that is over.
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[test]
fn a_check_leaves_a_node_alone_and_a_start_what_is_not_its_own() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let mine = data.join("files-of-mine");
    std::fs::create_dir_all(&mine).unwrap();
    let old = data.join("files-0123456789abcdef");
    std::fs::create_dir(&old).unwrap();
    let names = || {
        let entries = std::fs::read_dir(&data).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let checked = run(&["check", "--data", data.to_str().unwrap()]);
    assert!(checked.status.success() && names() == before);
    let gateway = Gateway::start(directory.path(), "");
    assert!(mine.exists() && !old.exists());
    // As after a power cut: files without what they had.
    drop(gateway);
    let files = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let files = files.into_iter().find(|path| path != &mine && path.is_dir()).unwrap();
    std::fs::write(files.join("query/assets/index.html"), "").unwrap();
    let gateway = Gateway::start(directory.path(), "");
    assert!(gateway.sender().get("/").unwrap().body.starts_with("<!doctype html>"));
}

#[test]
fn a_journal_that_is_removed_while_it_runs_is_begun_anew() {
    let directory = TempDir::new().unwrap();
    let gateway = Gateway::start(directory.path(), "");
    let at = now_ms();
    let send = |gateway: &Gateway, number: i64| {
        let body = json_reading("d1", "hall", 20.0, at - number).to_string();
        assert_eq!(gateway.sender().post(body.as_bytes(), &[]).unwrap().status, 202);
    };
    send(&gateway, 0);
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        drop(std::fs::remove_file(directory.path().join("data").join(name)));
    }
    (1..30).for_each(|number| send(&gateway, number));
    drop(gateway);
    let gateway = Gateway::start(directory.path(), "");
    let answer = gateway.sender().get("/v1/regions/hall").unwrap().json().unwrap();
    assert!(answer["count"].as_i64().unwrap() >= 29, "{answer}");
}

/// Makes an executable of the application.
fn bundle(arguments: &[&str], to: &Path) -> Output {
    Command::new(isotherm_it::binary("isotherm-compile").unwrap())
        .args(["bundle", "--to", to.to_str().unwrap()])
        .args(arguments)
        .current_dir(isotherm_it::root())
        .output()
        .unwrap()
}

#[test]
fn an_executable_without_an_application_says_what_it_needs() {
    let output = Command::new(isotherm_it::binary("isotherm-gateway").unwrap())
        .args(["--data", "/nowhere", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("this executable has no application in it: give --from"), "{said}");
    // One that has an application gets no second one.
    let directory = TempDir::new().unwrap();
    let to = directory.path().join("twice");
    let output = bundle(&["--onto", gateway().unwrap().to_str().unwrap()], &to);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("has an application already") && !to.exists(), "{said}");
    let mode = std::fs::metadata(gateway().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "it can be run");
}

#[test]
fn code_for_another_processor_is_named_by_check_and_by_the_start() {
    let directory = TempDir::new().unwrap();
    let to = directory.path().join("isotherm-gateway");
    let alone = isotherm_it::binary("isotherm-gateway").unwrap();
    let onto = ["--onto", alone.to_str().unwrap(), "--target", "armv7-unknown-linux-gnueabihf"];
    let bundled = bundle(&onto, &to);
    assert!(bundled.status.success());
    for word in [&["check"][..], &[]] {
        let mut other = Command::new(&to);
        other.args(word).args(["--config", "/dev/null", "--listen", "127.0.0.1:0", "--data"]);
        other.arg(directory.path().join("data"));
        let output = super::ended(other);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("pulley32"), "{said}");
    }
}

#[test]
fn what_from_names_is_compiled_by_the_program_beside_it_and_refused_without_it() {
    let directory = TempDir::new().unwrap();
    let alone = directory.path().join("isotherm-gateway");
    std::fs::copy(gateway().unwrap(), &alone).unwrap();
    let said = |arguments: &[&str]| {
        let mut command = Command::new(&alone);
        command.args(["check", "--config", "/dev/null", "--data"]).arg(directory.path());
        command.args(arguments).current_dir(isotherm_it::root());
        let output = super::ended(command);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (is_right, error) = said(&["--from", "spin.toml"]);
    assert!(!is_right && error.contains("isotherm-compile can't be started"), "{error}");
    let compiler = isotherm_it::binary("isotherm-compile").unwrap();
    std::fs::copy(compiler, directory.path().join("isotherm-compile")).unwrap();
    assert_eq!(said(&["--from", "spin.toml"]), (true, String::new()));
    // Its reason is told with the file's name.
    let manifest = std::fs::read_to_string(isotherm_it::root().join("spin.toml")).unwrap();
    let broken = directory.path().join("spin.toml");
    let is_source = |line: &&str| line.contains("isotherm_sync.wasm");
    let source = manifest.lines().find(is_source).unwrap();
    std::fs::write(&broken, manifest.replace(source, "source = \"broken.wasm\"")).unwrap();
    std::fs::write(directory.path().join("broken.wasm"), "no component").unwrap();
    for name in ["target", "query"] {
        let source = isotherm_it::root().join(name);
        std::os::unix::fs::symlink(source, directory.path().join(name)).unwrap();
    }
    let (is_right, error) = said(&["--from", broken.to_str().unwrap()]);
    assert!(!is_right && error.contains("broken.wasm"), "{error}");
}
