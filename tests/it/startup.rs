//! What a person sees whose command can't be carried out: one line that says what to change.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use isotherm_it::{binary, root};
use tempfile::TempDir;

/// What the embedded runtime says with these arguments, with which it does not start.
fn refusal(arguments: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let state = ["--state-dir", directory.path().to_str().unwrap()];
    refusal_by("isotherm-host", &[arguments, &state].concat())
}

fn refusal_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(binary(program).unwrap())
        .args(arguments)
        .current_dir(root())
        // A backtrace would be of no use for a mistyped argument.
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    said
}

#[test]
fn an_unknown_variable_is_named_beside_those_that_there_are() {
    let said = refusal(&["--listen", "127.0.0.1:0", "--variable", "retenton=9d"]);
    assert!(said.starts_with("isotherm-host: unknown variable retenton; supported: "), "{said}");
    assert!(said.contains("retention") && said.contains("max_skew"), "{said}");
}

#[test]
fn a_port_in_use_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = refusal(&["--listen", &address]);
    assert!(said.contains(&format!("can't listen on {address}: Address already in use")), "{said}");
}

#[test]
fn a_variable_that_can_not_be_used_is_named_with_its_value_and_the_rule() {
    let rule = "variable retention: \"a week\" must be 0 or a number with ms, s, m, h or d behind \
                it, at most 36500d\n";
    let variable = ["--variable", "retention=a week"];
    let said = refusal(&[&["--listen", "127.0.0.1:0"], &variable[..]].concat());
    assert_eq!(said, format!("isotherm-host: {rule}"));
    // Before anything is built.
    let said = refusal_by("xtask", &[&["up"], &variable[..]].concat());
    assert_eq!(said, format!("cargo xtask: {rule}"));
}

#[test]
fn a_misspelt_time_zone_is_refused_before_anything_is_built_or_served() {
    let variable = ["--variable", "time_zone=Europe/Berln"];
    let rule = "variable time_zone: \"Europe/Berln\" must be the name of a time zone, like ";
    let host = refusal(&[&["--listen", "127.0.0.1:0"], &variable[..]].concat());
    assert!(host.starts_with(&format!("isotherm-host: {rule}")), "{host}");
    let xtask = refusal_by("xtask", &[&["up"], &variable[..]].concat());
    assert!(xtask.starts_with(&format!("cargo xtask: {rule}")), "{xtask}");
}

#[test]
fn what_up_can_not_do_is_refused_before_anything_is_built() {
    let up = |arguments: &[&str]| refusal_by("xtask", &[&["up"], arguments].concat());
    let said = up(&["--variable", "retenton=9d"]);
    assert!(said.starts_with("cargo xtask: unknown variable retenton; supported: "), "{said}");
    let said = up(&["--listen", "3000"]);
    assert!(said.contains("--listen 3000: an address like 127.0.0.1:3000 is needed"), "{said}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = up(&["--listen", &address]);
    assert!(said.contains(&format!("{address} is in use")) && said.contains("--listen 127."));
}

/// What the embedded runtime says before it serves.
fn greeting(arguments: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let mut process = Command::new(binary("isotherm-host").unwrap())
        .args(["--listen", "localhost:0", "--state-dir"])
        .arg(directory.path())
        .args(arguments)
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let lines = lines.map(Result::unwrap).take_while(|line| !line.starts_with("Serving "));
    let said = lines.collect::<Vec<String>>().join("\n");
    process.kill().unwrap();
    process.wait().unwrap();
    said
}

#[test]
fn how_long_single_readings_are_kept_is_said_at_the_start() {
    for (arguments, kept) in [(&[][..], "400 days"), (&["--variable", "retention=36h"], "36 hours")]
    {
        let said = greeting(arguments);
        let line = format!("Single readings are kept for {kept} (variable retention)");
        assert!(said.lines().any(|other| other == line), "{said}");
    }
}

#[test]
fn a_beat_is_said_at_the_start() {
    let said = greeting(&["--beat", "2m"]);
    assert!(said.lines().any(|line| line == "A beat every 120 s: POST /v1/sync"), "{said}");
    assert!(!greeting(&[]).contains("beat"));
}
