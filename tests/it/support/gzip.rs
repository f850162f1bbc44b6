//! Bodies as a client compresses them.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// These bytes as the program gzip writes them.
pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut program = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    let mut compressed = Vec::new();
    std::thread::scope(|scope| {
        // It writes before it has read everything.
        scope.spawn(move || input.write_all(bytes).unwrap());
        program.stdout.take().unwrap().read_to_end(&mut compressed).unwrap();
    });
    assert!(program.wait().unwrap().success());
    compressed
}
