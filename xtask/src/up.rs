//! `cargo xtask up`: both components, built and served.

use std::path::Path;

use anyhow::{Context, Result, bail};
use rusqlite::Connection;
use xshell::{Shell, cmd};

use crate::{Runtime, build, program, step};

/// The journal's file, as `runtime-config.toml` names it.
const JOURNAL: &str = ".spin/journal.db";

struct Options {
    runtime: Option<Runtime>,
    listen: String,
    variables: Vec<String>,
}

/// Runs until it is interrupted.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let options = parse(arguments)?;
    let has_spin = cmd!(shell, "spin --version").quiet().ignore_stdout().ignore_stderr();
    let runtime = match options.runtime {
        Some(runtime) => runtime,
        None if has_spin.run().is_ok() => Runtime::Spin,
        None => Runtime::Embedded,
    };
    build(shell)?;
    if runtime == Runtime::Embedded {
        step("Building the embedded runtime (some minutes the first time)");
        // Of the whole workspace, as the tests build it: cargo would otherwise
        // compile the same dependencies with other features once more.
        cmd!(shell, "cargo build --locked --workspace --bin isotherm-host").quiet().run()?;
    }
    create_journal(&crate::root().join(JOURNAL))?;
    greet(runtime, &options.listen);

    let mut flags = vec!["--listen".to_owned(), options.listen];
    flags.extend(["--runtime-config-file".to_owned(), "runtime-config.toml".to_owned()]);
    for variable in options.variables {
        flags.extend(["--variable".to_owned(), variable]);
    }
    let served = match runtime {
        Runtime::Spin => cmd!(shell, "spin up {flags...}").quiet().run(),
        Runtime::Embedded => {
            let host = program("isotherm-host")?;
            cmd!(shell, "{host} {flags...}").quiet().run()
        }
    };
    served.with_context(|| format!("the {} runtime ended", runtime.name()))
}

fn parse(arguments: Vec<String>) -> Result<Options> {
    use lexopt::prelude::*;
    let mut options =
        Options { runtime: None, listen: "127.0.0.1:3000".to_owned(), variables: Vec::new() };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("runtime") => options.runtime = Some(Runtime::named(&parser.value()?.string()?)?),
            Long("listen") => options.listen = parser.value()?.string()?,
            Long("variable") => options.variables.push(parser.value()?.string()?),
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    Ok(options)
}

/// Creates the journal's file in WAL mode, unless it is there: Spin creates it
/// without, which costs more than half of the rate.
fn create_journal(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    step(&format!("Creating {JOURNAL} in WAL mode"));
    let parent = path.parent().context("the journal's path has no directory")?;
    std::fs::create_dir_all(parent)?;
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(())
}

fn greet(runtime: Runtime, listen: &str) {
    let reason = match runtime {
        Runtime::Spin => "with spin",
        Runtime::Embedded => {
            "with the embedded runtime, as `spin` is not on the PATH or not wanted"
        }
    };
    step(&format!("Serving Isotherm on http://{listen} {reason}; end it with Ctrl-C"));
    println!(
        "
    POST /v1/readings            one reading or an array of them
    GET  /v1/regions             the averages of all regions
    GET  /v1/regions/{{region}}    the average of one; ?from=&to= narrow it
    GET  /healthz

Try, in another terminal:

    curl -H 'content-type: application/json' -H 'prefer: wait' \\
        -d '{{\"device_id\":\"d1\",\"region\":\"hall\",\"temperature_c\":21.5,\"timestamp\":'$(date +%s000)'}}' \\
        http://{listen}/v1/readings
    curl http://{listen}/v1/regions/hall
"
    );
}
