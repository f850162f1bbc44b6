//! What a person sees whose command can't be carried out: one line that says what to change.

use std::net::TcpListener;
use std::process::Command;

use isotherm_it::{binary, root};
use tempfile::TempDir;

/// What the embedded runtime says with these arguments, with which it does not start.
fn refusal(arguments: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let output = Command::new(binary("isotherm-host").unwrap())
        .args(arguments)
        .arg("--state-dir")
        .arg(directory.path())
        .current_dir(root())
        // A backtrace would be of no use for a mistyped argument.
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
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
