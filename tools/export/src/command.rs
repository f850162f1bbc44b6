//! The command that writes the single readings of a range to a file: `cargo xtask export`, and the
//! gateway's `export`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::client::Client;
use crate::run::{self, Report, Verdict, Wanted};

/// What the command takes. It is called `NAME` here.
const USAGE: &str = "\
NAME --out FILE [--from INSTANT] [--to INSTANT] [--url http://127.0.0.1:3000]
    --out FILE          ends in .parquet, .csv or .ndjson; replaced if it is there
    --from, --to        the first instant, and the first one after the range, like
                        2026-11-01T00:00:00Z, or local dates of the node's time zone, like
                        2026-11-01 or yesterday; default: the last 24 hours
    --region NAME       the readings of this region alone
    --device NAME       the readings of this device alone
    --limit N           readings in a request, default 100000
    --patience SECONDS  how long to keep trying, default 60

    Where access control is on, the environment's variable ISOTHERM_TOKEN has a token
    with the scope read:* (or that of the region).

    The number of readings, and their sum, are compared with the service's own figures
    of the region, or of all, for the same whole minutes. The exit status is 2 if they
    differ, or if acknowledged readings are not counted yet; the file then keeps its
    temporary name, FILE.partial. It is 1 if the export failed, which leaves no file.";

/// The exit status if the file is not what the service's figures say.
const NOT_CONFIRMED: u8 = 2;

fn usage(name: &str) -> String {
    USAGE.replacen("NAME", name, 1)
}

/// Runs the command, called `name`, with these arguments.
///
/// # Errors
///
/// Arguments that can't be meant, or an export that failed.
pub fn run(name: &str, arguments: Vec<OsString>) -> Result<ExitCode> {
    use lexopt::prelude::*;
    let mut wanted = Wanted { limit: 100_000, ..Wanted::default() };
    let mut url = "http://127.0.0.1:3000".to_owned();
    let (mut patience, mut out) = (Duration::from_secs(60), None);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("url") => url = checked_url(parser.value()?.string()?)?,
            Long("out") => out = Some(PathBuf::from(parser.value()?)),
            Long("from") => wanted.from = Some(parser.value()?.string()?),
            Long("to") => wanted.to = Some(parser.value()?.string()?),
            Long("region") => wanted.region = Some(parser.value()?.string()?),
            Long("device") => wanted.device = Some(parser.value()?.string()?),
            Long("limit") => wanted.limit = parser.value()?.parse()?,
            Long("patience") => patience = Duration::from_secs(parser.value()?.parse()?),
            Short('h') | Long("help") => {
                println!("{}", usage(name));
                return Ok(ExitCode::SUCCESS);
            }
            other => bail!("{}\n\n{}", other.unexpected(), usage(name)),
        }
    }
    wanted.out = out.with_context(|| format!("into which file?\n\n{}", usage(name)))?;
    let report = run::run(&Client::new(&url, patience).with_token_of_environment(), &wanted)?;
    print(&report);
    let status = if report.verdict.is_good() { 0 } else { NOT_CONFIRMED };
    Ok(ExitCode::from(status))
}

/// The URL of a service, as it was given. Fails if it does not begin with its scheme, which
/// would otherwise be tried again and again.
fn checked_url(url: String) -> Result<String> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(url);
    }
    bail!("--url {url}: a URL like http://127.0.0.1:3000 is needed")
}

fn print(report: &Report) {
    let Report { path, range: (from, to), zone, figures, pages, coverage, verdict } = report;
    let (count, sum) = (figures.count, figures.sum);
    let zone = match zone {
        Some(Ok(zone)) => format!(" (local dates of {zone})"),
        Some(Err(reason)) => format!(" (local dates of the node's time zone; {reason})"),
        None => String::new(),
    };
    println!("{from} to {to}{zone}: {count} readings in {pages} requests");
    println!("Their sum is {sum} thousandths of a degree");
    if let Some(kept_from) = &coverage.kept_from {
        println!("Readings from before {kept_from} were deleted (retention)");
    }
    match coverage.quarantined_readings {
        Some(0) => {}
        Some(readings) => println!("{readings} acknowledged readings are in quarantine"),
        None => println!("How many acknowledged readings are in quarantine is not known"),
    }
    match verdict {
        Verdict::Same(figures) => println!(
            "Compared {} of {count} readings, those in whole minutes: the service has the same \
             count and sum, {}",
            figures.count, figures.sum
        ),
        Verdict::NotCompared(reason) => {
            println!("Compared 0 of {count} readings with the service: {reason}");
        }
        Verdict::Different(file, service) => eprintln!(
            "NOT CONFIRMED: in whole minutes it has {} readings, sum {}; the service counts {}, \
             sum {}. See its quarantine and its log",
            file.count, file.sum, service.count, service.sum
        ),
        Verdict::Changed => eprintln!(
            "NOT CONFIRMED: readings of the range were counted or deleted meanwhile; export again"
        ),
        Verdict::Incomplete => eprintln!(
            "NOT CONFIRMED: acknowledged readings were not counted yet, or the journal can't be \
             read; export again"
        ),
    }
    println!("{}", path.display());
}
