//! The command that sends the readings of a file: `cargo xtask replay`, and the gateway's `import`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use isotherm::limits;

use crate::number::DecimalSign;
use crate::progress::Progress;
use crate::sender::Sender;
use crate::table::{self, Columns, Dialect, Field};
use crate::{replay, summary, url};

/// What the command takes. It is called `NAME` here.
const USAGE: &str = "\
NAME FILE [--url http://127.0.0.1:3000]
    --temperature COLUMN    default temperature_c, in degrees Celsius
    --timestamp COLUMN      default timestamp
    --device-column COLUMN  default device_id; or --device NAME for the whole file
    --region-column COLUMN  default region; or --region NAME for the whole file
    --delimiter CHARACTER   between columns, default ','; also ';', '|', tab
    --decimal-comma         temperatures are like 21,5 and not like 21.5
    --missing VALUE         stands for no temperature, like -999; may be repeated.
                            An empty cell, NA, N/A, NaN, null and - always do
    --time-format FORMAT    unix-seconds, unix-millis, rfc3339, or a pattern like
                            '%d.%m.%Y %H:%M' or '[day].[month].[year]'; default: ISO
                            dates with or without a time of day, and milliseconds
    --zone OFFSET           of times that name none, like +01:00; default UTC
    --batch N               readings in a request, default 1000
    --connections N         default 4
    --patience SECONDS      how long to keep trying, default 60

    A row that can't be read is left out, and named by its line with the reason; the
    others are sent, and the exit status is 2. It is 1 if they can't be sent, or if the
    service rejects all of them. Rows
    without a temperature are left out, too, which is no error. The readings of a
    device are sent in the order of the file: of two that contradict each other, the
    first counts. What is finer than a millisecond is dropped. Characters that a name
    can't have become hyphens. Readings older than the node's `retention` are
    rejected: serve old data with --variable retention=0. Where access control is on,
    the environment's variable ISOTHERM_TOKEN has a token with write:*@*.";

/// The exit status if some rows could not be read; the others were sent.
const UNREADABLE_ROWS: u8 = 2;

struct Options {
    file: PathBuf,
    url: String,
    columns: Columns,
    dialect: Dialect,
    plan: replay::Plan,
    patience: Duration,
}

/// What the command takes, under the name by which it is called.
pub fn usage(name: &str) -> String {
    USAGE.replacen("NAME", name, 1)
}

/// Runs the command, called `name`, with these arguments.
///
/// # Errors
///
/// Arguments that can't be meant, a file that can't be read, or readings that can't be sent.
pub fn run(name: &str, arguments: Vec<OsString>) -> Result<ExitCode> {
    match options(name, arguments)? {
        Some(options) => import(&options),
        None => {
            println!("{}", usage(name));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn options(name: &str, arguments: Vec<OsString>) -> Result<Option<Options>> {
    use lexopt::prelude::*;
    let mut file = None;
    let mut options = Options {
        file: PathBuf::new(),
        url: "http://127.0.0.1:3000".to_owned(),
        columns: Columns::default(),
        dialect: Dialect::default(),
        plan: replay::Plan { batch: 1_000, connections: 4 },
        patience: Duration::from_secs(60),
    };
    let (columns, dialect) = (&mut options.columns, &mut options.dialect);
    let plan = &mut options.plan;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            Long("url") => options.url = url::checked(parser.value()?.string()?)?,
            Long("temperature") => columns.temperature = parser.value()?.string()?,
            Long("timestamp") => columns.timestamp = parser.value()?.string()?,
            Long("device") => columns.device = Field::Fixed(parser.value()?.string()?),
            Long("device-column") => columns.device = Field::Column(parser.value()?.string()?),
            Long("region") => columns.region = Field::Fixed(parser.value()?.string()?),
            Long("region-column") => columns.region = Field::Column(parser.value()?.string()?),
            Long("delimiter") => dialect.delimiter = table::delimiter(&parser.value()?.string()?)?,
            Long("decimal-comma") => dialect.decimal_sign = DecimalSign::Comma,
            Long("missing") => dialect.missing.add(&parser.value()?.string()?),
            Long("time-format") => dialect.time_format = parser.value()?.string()?.parse()?,
            Long("zone") => dialect.zone = parser.value()?.string()?.parse()?,
            Long("batch") => plan.batch = batch(&parser.value()?.string()?)?,
            Long("connections") => plan.connections = parser.value()?.parse::<usize>()?.max(1),
            Long("patience") => options.patience = Duration::from_secs(parser.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            other => bail!("{}\n\n{}", other.unexpected(), usage(name)),
        }
    }
    options.file = file.with_context(|| format!("which file?\n\n{}", usage(name)))?;
    Ok(Some(options))
}

/// Parses a number of readings that the service accepts in one request.
fn batch(text: &str) -> Result<usize> {
    let number = text.parse()?;
    let most = limits::READINGS_PER_REQUEST_MAX;
    ensure!((1..=most).contains(&number), "a request has 1 to {most} readings");
    Ok(number)
}

fn import(options: &Options) -> Result<ExitCode> {
    let table = table::read(&options.file, &options.columns, &options.dialect)?;
    println!("{}", summary::of_file(&table));
    let rows = &table.readings;
    if !rows.is_empty() {
        println!("Sending {} readings to {}", rows.len(), options.url);
    }
    let sender = Sender::new(&options.url, options.patience).with_token_of_environment();
    let progress = Progress::new("replay", "readings", u64::try_from(rows.len()).ok());
    let sent = replay::send(&sender, rows, options.plan, &progress);
    progress.finish();
    println!("{}", summary::of_sending(&sent, rows));
    if let Some(error) = sent.error {
        return Err(error);
    }
    if sent.acknowledged() == 0 && sent.rejected() > 0 {
        bail!(
            "none of {} readings was accepted: all were rejected, for the reasons above",
            rows.len()
        );
    }
    let is_read = table.left_out.iter().all(|(why, _)| !why.is_error());
    Ok(if is_read { ExitCode::SUCCESS } else { ExitCode::from(UNREADABLE_ROWS) })
}
