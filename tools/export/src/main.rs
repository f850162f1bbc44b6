//! `isotherm-export`: writes the single readings of a range to a file.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect();
    // One line, with its causes: it is for the person that gave the command.
    isotherm_export::command::run("cargo xtask export", arguments).unwrap_or_else(|error| {
        eprintln!("isotherm-export: {error:#}");
        ExitCode::FAILURE
    })
}
