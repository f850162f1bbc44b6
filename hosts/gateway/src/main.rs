//! `isotherm-gateway`: Isotherm as one file. `isotherm-gateway --data DIR` serves it.

#![deny(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod bundle;
mod configuration;
mod exposure;
mod serve;
mod signature;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};

use crate::configuration::{Configuration, Given};

const USAGE: &str = "\
Isotherm: temperature readings in, averages out.

isotherm-gateway --data DIR [--listen 127.0.0.1:3000]...   serves it
isotherm-gateway check [the same]                          says what is wrong before it starts
isotherm-gateway token --scope SCOPE... [--id ID]          makes a token for access control
isotherm-gateway import FILE [--url URL]                   sends the readings of a CSV file
isotherm-gateway export --out FILE [--url URL]             writes readings to a file

  --config FILE             isotherm.toml; /etc/isotherm/isotherm.toml if it is there
  --variable NAME=VALUE     of the application, in place of the file's
  --runtime-config-file FILE  where the stores are, as Spin has it, if not in DIR
  --from spin.toml          another application than the one in this file
  --max-instance-memory BYTES  the most memory of a request; 64 MiB

In the environment: ISOTHERM_CONFIG, ISOTHERM_DATA, ISOTHERM_LISTEN, and the application's
variables, as ISOTHERM_RETENTION or SPIN_VARIABLE_RETENTION. Arguments go before the
environment, and that before the file.

SIGTERM ends it when what is under way is answered; SIGHUP has it read its certificate again.";

/// What is to be done.
enum Command {
    Serve,
    Check,
    /// For the build: an executable with an application in it.
    Bundle {
        base: Option<PathBuf>,
        to: PathBuf,
        target: Option<String>,
    },
    Help,
}

fn arguments() -> Result<(Command, Given)> {
    use lexopt::prelude::*;
    let (mut command, mut given) = (Command::Serve, Given::default());
    let (mut base, mut to, mut target) = (None, None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(word) if word == "check" => command = Command::Check,
            Value(word) if word == "bundle" => {
                command = Command::Bundle { base: None, to: PathBuf::new(), target: None };
            }
            Long("config") => given.file = Some(parser.value()?.into()),
            Long("data") => given.data = Some(parser.value()?.into()),
            Long("listen") => given.listen.push(parser.value()?.string()?),
            Short('f') | Long("from") => given.from = Some(parser.value()?.into()),
            Long("runtime-config-file") => given.stores = Some(parser.value()?.into()),
            Long("variable") => {
                let text = parser.value()?.string()?;
                let (name, value) = text.split_once('=').context("--variable NAME=VALUE")?;
                given.variables.push((name.to_owned(), value.to_owned()));
            }
            Long("max-instance-memory") => {
                given.instance_memory_bytes_max = Some(parser.value()?.parse()?);
            }
            Long("onto") => base = Some(parser.value()?.into()),
            Long("to") => to = Some(parser.value()?.into()),
            Long("target") => target = Some(parser.value()?.string()?),
            Short('h') | Long("help") => return Ok((Command::Help, given)),
            other => bail!("{}\n\n{USAGE}", other.unexpected()),
        }
    }
    if let Command::Bundle { .. } = command {
        let to = to.context("bundle --from spin.toml --to FILE")?;
        command = Command::Bundle { base, to, target };
    }
    Ok((command, given))
}

fn main() -> ExitCode {
    // One line, with its causes: it is for the person that started it.
    run().unwrap_or_else(|error| {
        eprintln!("isotherm-gateway: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let first = words.next().and_then(|word| word.into_string().ok());
    match first.as_deref() {
        Some("import") => isotherm_load::import::run("isotherm-gateway import", words.collect()),
        Some("export") => isotherm_export::command::run("isotherm-gateway export", words.collect()),
        Some("token") => {
            let words: Result<Vec<String>, _> =
                words.map(std::ffi::OsString::into_string).collect();
            let words = words.map_err(|word| anyhow!("{} is no text", word.display()))?;
            isotherm_token::run(words).map(|()| ExitCode::SUCCESS)
        }
        _ => serve_or_check().map(|()| ExitCode::SUCCESS),
    }
}

fn serve_or_check() -> Result<()> {
    let (command, given) = arguments()?;
    let environment: Vec<(String, String)> = std::env::vars().collect();
    match command {
        Command::Help => println!("{USAGE}"),
        Command::Bundle { base, to, target } => {
            let base = base.map_or_else(std::env::current_exe, Ok)?;
            let from = given.from.as_deref().unwrap_or(Path::new("spin.toml"));
            bundle::write(&base, from, &to, target.as_deref())?;
        }
        Command::Check => {
            let configuration = Configuration::new(given, &environment)?;
            for line in serve::check(&configuration, &environment)? {
                println!("{line}");
            }
        }
        Command::Serve => {
            let configuration = Configuration::new(given, &environment)?;
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(serve::run(configuration, &environment))?;
        }
    }
    Ok(())
}
