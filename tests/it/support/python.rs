//! Programs in Python that check what was computed.

use std::io::Write as _;
use std::process::{Command, Stdio};

use isotherm_it::programs::check;
use isotherm_it::root;

/// What the program at this path in the project prints, given these lines. It succeeds.
#[track_caller]
pub(crate) fn python(path: &str, lines: &str) -> String {
    let mut program = Command::new("python3")
        .arg(root().join(path))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    // It fails if the program has found a difference. Then what it printed says more.
    let written = input.write_all(lines.as_bytes());
    drop(input);
    let output = program.wait_with_output().unwrap();
    check(&output);
    written.unwrap();
    String::from_utf8(output.stdout).unwrap()
}
