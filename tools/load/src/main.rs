//! `isotherm-load replay` sends the readings of a CSV file, `scenario` those of nine made-up
//! cold rooms; `growth` measures answers with little and with much data.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use isotherm_load::growth::{self, Growth, Plan};
use isotherm_load::sender::Sender;
use isotherm_load::{import, url};

mod scenario_command;

const USAGE: &str = "\
cargo xtask scenario [--url http://127.0.0.1:3000] [--seed 1] [--now INSTANT] [--no-limits]
    Two days of nine made-up cold rooms with 40 sensors, one reading a minute, and what
    goes wrong in such rooms: the data of the questions in docs/questions.md. It ends
    now, or at an instant like 2026-11-26T07:20:00Z, and is always the same for a seed
    and an end. The rooms get limits, if the node keeps limits. Where access control is
    on, ISOTHERM_TOKEN has a token with admin.

isotherm-load growth [--url http://127.0.0.1:3000] [--regions 50] [--days 365]
    One reading a minute and region, sent to a service that has nothing yet and
    runs with --variable retention=0; how long answers take after the first day,
    and at the end.";

fn main() -> ExitCode {
    // One line, with its causes: it is for the person that gave the command.
    run().unwrap_or_else(|error| {
        eprintln!("isotherm-load: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().and_then(|command| command.into_string().ok());
    match command.as_deref() {
        Some("replay") => import::run("cargo xtask replay", arguments.collect()),
        Some("scenario") => scenario_command::run(arguments.collect()),
        Some("growth") => growth(arguments.collect()),
        Some("--help" | "-h") => {
            println!("{}\n\n{USAGE}", import::usage("cargo xtask replay"));
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("there are replay, scenario and growth\n\n{USAGE}"),
    }
}

/// Prints what `growth::measure` finds.
fn growth(arguments: Vec<std::ffi::OsString>) -> Result<ExitCode> {
    use lexopt::prelude::*;
    let mut url = "http://127.0.0.1:3000".to_owned();
    let mut plan = Plan { regions: 50, days: 365, batch: 10_000, connections: 2 };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("url") => url = url::checked(parser.value()?.string()?)?,
            Long("regions") => plan.regions = parser.value()?.parse()?,
            Long("days") => plan.days = parser.value()?.parse()?,
            other => bail!("{}\n\n{USAGE}", other.unexpected()),
        }
    }
    let sender = Sender::new(&url, Duration::from_secs(60)).with_token_of_environment();
    let found = growth::measure(&sender, plan)?;
    println!("{} regions, 1 day against {} days; medians", plan.regions, plan.days);
    for Growth { path, day, all } in found {
        let ratio = all.as_secs_f64() / day.as_secs_f64();
        println!("{day:>10.2?} {all:>10.2?}  x{ratio:.2}  {path}");
    }
    Ok(ExitCode::SUCCESS)
}
