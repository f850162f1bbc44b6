//! `isotherm-gateway`: Isotherm as one file. `isotherm-gateway --data DIR` serves it.

#![deny(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod allocator;
mod arguments;
mod backups;
mod code;
mod configuration;
mod exposure;
mod fleet;
mod privileges;
mod serve;
mod signature;
mod traces;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use isotherm_backup::Failure;

use crate::arguments::{Command, USAGE};
use crate::configuration::{Configuration, Given, Settings};

fn main() -> ExitCode {
    // One line, with its causes: it is for the person that started it.
    run().unwrap_or_else(|error| {
        eprintln!("isotherm-gateway: {error:#}");
        let of_backups = error.downcast_ref::<Failure>();
        of_backups.map_or(ExitCode::FAILURE, |failure| ExitCode::from(failure.kind as u8))
    })
}

fn run() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let first = words.next().and_then(|word| word.into_string().ok());
    match first.as_deref() {
        Some("import") => isotherm_load::import::run("isotherm-gateway import", words.collect()),
        Some("export") => isotherm_export::command::run("isotherm-gateway export", words.collect()),
        Some("token") => isotherm_token::run(texts(words)?).map(|()| ExitCode::SUCCESS),
        Some("fleet") => fleet::run(texts(words)?).map(|()| ExitCode::SUCCESS),
        _ => with_configuration(),
    }
}

fn texts(words: impl Iterator<Item = OsString>) -> Result<Vec<String>> {
    let words: Result<Vec<String>, _> = words.map(OsString::into_string).collect();
    words.map_err(|word| anyhow!("{} is no text", word.display()))
}

/// The commands that know the configuration.
fn with_configuration() -> Result<ExitCode> {
    let (command, given) = arguments::parse()?;
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let settings = |given: Given| Settings::new(given, &environment);
    match command {
        Command::Help => println!("{USAGE}"),
        Command::Verify(backup) => return Ok(backups::verify(&backup)),
        Command::Backup(files) => {
            let settings = settings(given)?;
            let stores = backups::stores(files, || settings.stores())?;
            return backups::backup(stores, settings.backups()?);
        }
        Command::Restore(backup, files) => {
            let stores = backups::stores(files, || settings(given)?.stores())?;
            return Ok(backups::restore(&backup, &stores));
        }
        Command::Check => {
            let configuration = Configuration::new(settings(given)?)?;
            for line in serve::check(&configuration, &environment)? {
                println!("{line}");
            }
        }
        Command::Serve => {
            let configuration = Configuration::new(settings(given)?)?;
            allocator::keep_little();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let served = runtime.block_on(serve::run(configuration, &environment));
            // What was under way is answered. A backup is not waited for: the next run tidies up.
            runtime.shutdown_background();
            served?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
