//! Its log: a line of JSON each, to standard error or to files that are begun anew.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use isotherm_it::now_ms;
use serde_json::Value;
use tempfile::TempDir;

use super::{Gateway, command};
use crate::support::readings::json_reading;

/// Every line as JSON.
fn lines(text: &str) -> Vec<Value> {
    let parsed =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parsed).collect()
}

fn post_at_once(gateway: &Gateway, count: usize) {
    std::thread::scope(|scope| {
        for sender in 0..4 {
            scope.spawn(move || {
                for n in 0..count / 4 {
                    let at = now_ms() - i64::try_from(n).unwrap();
                    let reading = json_reading(&format!("d{sender}"), "hall", 1.0, at);
                    gateway.sender().deliver(&[reading]).unwrap();
                }
            });
        }
    });
}

#[test]
fn lines_of_components_and_its_own_are_json_and_none_is_in_the_middle_of_another() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let mut start = command(&["--config", "/dev/null", "--listen", "127.0.0.1:0", "--data"]);
    start.arg(&data).stderr(Stdio::piped());
    let mut gateway = Gateway::with(start);
    post_at_once(&gateway, 200);
    // Something that it says itself.
    std::fs::remove_file(data.join("journal.db")).unwrap();
    post_at_once(&gateway, 4);
    let mut said = gateway.process.stderr.take().unwrap();
    assert!(gateway.stop().success());
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    let lines = lines(&text);
    let posts = lines.iter().filter(|line| line["route"] == "POST /v1/readings").count();
    assert_eq!(posts, 204, "{text}");
    let own = lines.iter().find(|line| line["component"] == "gateway").unwrap();
    assert!(own["message"].as_str().unwrap().contains("was replaced"), "{own}");
    assert!(own["at"].as_i64().unwrap().abs_diff(now_ms()) < 600_000, "{own}");
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

#[test]
fn a_file_that_is_full_is_begun_anew_and_the_oldest_goes() {
    let directory = TempDir::new().unwrap();
    let lines_of_file = "[log]\nfile = \"isotherm.log\"\nsize = \"8kB\"\nkeep = 2\n";
    let gateway = Gateway::start(directory.path(), lines_of_file);
    post_at_once(&gateway, 400);
    assert!(gateway.stop().success());
    let files = ["isotherm.log", "isotherm.log.1", "isotherm.log.2", "isotherm.log.3"]
        .map(|name| directory.path().join(name));
    let [newest, older @ .., beyond] = &files;
    assert!(!beyond.exists() && newest.exists(), "{:?}", files.each_ref().map(|file| size(file)));
    for file in older {
        assert!((8_000..9_000).contains(&size(file)), "{}: {}", file.display(), size(file));
        lines(&std::fs::read_to_string(file).unwrap());
    }
    lines(&std::fs::read_to_string(newest).unwrap());
}

#[test]
fn a_log_that_can_not_be_written_ends_the_start() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("isotherm.toml");
    std::fs::write(&file, "data = \"data\"\n[log]\nfile = \"missing/isotherm.log\"\n").unwrap();
    let output = super::run(&["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("missing/isotherm.log"), "{said}");
}
