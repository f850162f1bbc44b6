//! `isotherm-bench`: measures what the service does per second, and what it costs.
//!
//! The figures are ratios to be compared within one run: the same run also measures a
//! bare component of the SDK on the same runtime, and the disk's own rate of syncs.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod auth;
mod client;
mod fleet;
mod growth;
mod measure;
mod options;
mod peers;
mod process;
mod report;
mod run;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::options::Options;
use crate::run::Bench;

const USAGE: &str = "\
cargo xtask bench [--runtime embedded|spin|gateway] [--seconds 10] [--batch-seconds 30]
                  [--devices 10000] [--regions 50] [--only NAME] [--json FILE]
    Summary of a service in a directory of its own, on a fresh database.
    --seconds        for each row of single readings and answers
    --batch-seconds  for each row of batches, before what is left is folded
    --only           rows whose name contains this (hello, single, batch, GET)
    --growth N       instead: ledgers of 1, 10 and 100 million readings, up to N, and
                     fleets of 100, 10,000 and 1,000,000 devices
    --peers          instead: InfluxDB and VictoriaMetrics beside it, on the same readings
    --auth           instead: what access control costs, with a token in a variable and with a
                     stored one, beside a service without it
    --readings       with --peers: in each round of a row of batches (2000000)
    --rounds         with --peers: how often each row is measured (3); with --auth: how often
                     each service has its turn (100)
    --json           also writes them to a file";

fn main() -> Result<()> {
    use lexopt::prelude::*;
    let mut options = Options::default();
    let (mut json, mut readings_max): (Option<PathBuf>, Option<u64>) = (None, None);
    let (mut beside_peers, mut with_auth) = (false, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("batch-seconds") => options.batch_seconds = parser.value()?.parse()?,
            Long("devices") => options.devices = parser.value()?.parse::<u64>()?.max(1),
            Long("regions") => options.regions = parser.value()?.parse::<u64>()?.max(1),
            Long("only") => options.only = parser.value()?.string()?,
            Long("growth") => readings_max = Some(parser.value()?.parse()?),
            Long("peers") => beside_peers = true,
            Long("auth") => with_auth = true,
            Long("readings") => options.readings = parser.value()?.parse()?,
            Long("rounds") => options.rounds = Some(parser.value()?.parse::<u64>()?.max(1)),
            Long("json") => json = Some(parser.value()?.into()),
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            other => bail!("{}\n\n{USAGE}", other.unexpected()),
        }
    }
    let figures = match readings_max {
        Some(readings_max) => {
            let sizes = growth::run(&options, readings_max)?;
            println!("\n{}", growth::table(&sizes));
            serde_json::to_vec_pretty(&sizes)?
        }
        None if beside_peers => {
            let report = peers::run(&options)?;
            println!("\n{}\n{}", report.table(), report.lines());
            serde_json::to_vec_pretty(&report)?
        }
        None if with_auth => {
            let report = auth::run(&options)?;
            println!("\n{}\n{}", report.table(), report.lines());
            serde_json::to_vec_pretty(&report)?
        }
        None => {
            let report = Bench::start(options)?.run()?;
            println!("\n{}\n{}", report.table(), report.lines());
            serde_json::to_vec_pretty(&report)?
        }
    };
    if let Some(file) = json {
        std::fs::write(file, figures)?;
    }
    Ok(())
}
