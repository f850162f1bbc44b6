//! `isotherm-load scenario`: sends the readings of two days in nine cold rooms, sets the
//! rooms' limits, and says what there is to find.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use isotherm::UnixMillis;
use isotherm_load::progress::Progress;
use isotherm_load::scenario::{self, Totals};
use isotherm_load::sender::Sender;
use isotherm_load::url;

/// Readings in a request: 25 minutes of all sensors.
const BATCH: usize = 1_000;

/// Connections that send.
const CONNECTIONS: usize = 4;

/// How long to keep trying.
const PATIENCE: Duration = Duration::from_secs(60);

struct Options {
    url: String,
    seed: u64,
    end: i64,
    sets_limits: bool,
}

/// What is sent where, by the arguments.
fn options(arguments: Vec<std::ffi::OsString>) -> Result<Options> {
    use lexopt::prelude::*;
    let url = "http://127.0.0.1:3000".to_owned();
    let mut options = Options { url, seed: 1, end: now()?, sets_limits: true };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("url") => options.url = url::checked(parser.value()?.string()?)?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("now") => options.end = instant(&parser.value()?.string()?)?,
            Long("no-limits") => options.sets_limits = false,
            other => bail!("{}; see isotherm-load --help", other.unexpected()),
        }
    }
    Ok(options)
}

/// Sends it, and prints what is true of it.
pub(crate) fn run(arguments: Vec<std::ffi::OsString>) -> Result<ExitCode> {
    let options = options(arguments)?;
    let scenario = scenario::scenario(options.seed, options.end);
    let Totals { sent, devices, rooms, .. } = &scenario.truth.totals;
    println!(
        "Sending {sent} readings of {devices} sensors in {} rooms to {}",
        rooms.len(),
        options.url
    );
    let sender = Sender::new(&options.url, PATIENCE).with_token_of_environment();
    let batches: Vec<_> = scenario.readings.chunks(BATCH).map(<[_]>::to_vec).collect();
    let progress = Progress::new("scenario", "readings", u64::try_from(*sent).ok());
    let totals = sender.deliver_watched(&batches, CONNECTIONS, &progress)?;
    progress.finish();
    println!("{} are accepted, {} rejected", totals.accepted, totals.rejected);
    if options.sets_limits {
        match scenario::set_limits(&sender)? {
            true => println!("The rooms have limits"),
            false => println!("The rooms have no limits: this node's release keeps none"),
        }
    }
    println!("\nWhat there is to find, and docs/questions.md asks for:");
    for sentence in scenario.truth.sentences() {
        println!("- {sentence}");
    }
    Ok(ExitCode::SUCCESS)
}

fn instant(text: &str) -> Result<i64> {
    let instant = UnixMillis::parse_rfc3339(text).map(UnixMillis::get);
    let earliest = UnixMillis::parse_rfc3339("2020-01-01T00:00:00Z").map(UnixMillis::get);
    let instant = instant.with_context(|| format!("{text} is not like 2026-11-26T07:20:00Z"))?;
    ensure!(Some(instant) >= earliest, "the scenario ends in 2020 or later");
    Ok(instant)
}

#[expect(clippy::disallowed_methods, reason = "the scenario ends when it is sent")]
fn now() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}
