//! `isotherm-compile`: makes the code that `isotherm-gateway` runs. It is a program of its own, so that
//! what serves has no compiler in it, and the memory of one is gone when its work is done.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use isotherm_host::compiler::{precompile, precompile_here};

const USAGE: &str = "\
Compiles WebAssembly components for isotherm-gateway.

isotherm-compile component [--target TRIPLE]
    Reads a component from its standard input, and writes its code to its standard output.
    isotherm-gateway starts this for what --from names.

isotherm-compile bundle [--from spin.toml] --onto isotherm-gateway --to FILE [--target TRIPLE]
    Writes an executable that has the application in it.

Without --target the code is for this very processor, with all that it has. Processors of 32 bits
have no compiler: name them as the target on another machine.";

/// The largest component, in bytes.
const COMPONENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

enum Command {
    Component { target: Option<String> },
    Bundle { from: PathBuf, onto: PathBuf, to: PathBuf, target: Option<String> },
    Help,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("isotherm-compile: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match parse()? {
        Command::Help => println!("{USAGE}"),
        Command::Component { target } => {
            let mut component = Vec::new();
            std::io::stdin().take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut component)?;
            if u64::try_from(component.len())? > COMPONENT_BYTES_MAX {
                bail!("a component may have {COMPONENT_BYTES_MAX} bytes at most");
            }
            let code = compile(&component, target.as_deref())?;
            let mut out = std::io::stdout();
            out.write_all(&code).and_then(|()| out.flush()).context("the code can't be written")?;
        }
        Command::Bundle { from, onto, to, target } => {
            let compile = |component: &[u8]| compile(component, target.as_deref());
            isotherm_bundle::write(&onto, &from, &to, compile)?;
        }
    }
    Ok(())
}

fn compile(component: &[u8], target: Option<&str>) -> Result<Vec<u8>> {
    match target {
        Some(target) => precompile(component, target),
        None => precompile_here(component),
    }
}

fn parse() -> Result<Command> {
    use lexopt::prelude::*;
    let (mut words, mut from, mut onto, mut to, mut target) = (Vec::new(), None, None, None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            Short('f') | Long("from") => from = Some(PathBuf::from(parser.value()?)),
            Long("onto") => onto = Some(PathBuf::from(parser.value()?)),
            Long("to") => to = Some(PathBuf::from(parser.value()?)),
            Long("target") => target = Some(parser.value()?.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => bail!("{}\n\n{USAGE}", other.unexpected()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match (words.as_slice(), from, onto, to) {
        (["component"], None, None, None) => Command::Component { target },
        (["bundle"], from, Some(onto), Some(to)) => {
            Command::Bundle { from: from.unwrap_or_else(|| "spin.toml".into()), onto, to, target }
        }
        _ => bail!("{USAGE}"),
    })
}
