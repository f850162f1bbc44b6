//! The project's commands. People and CI run the same ones.
//!
//! - `target`: installs the target wasm32-wasip2;
//! - `up`: builds and serves the components;
//! - `fleet`: serves a hub and three gateways that send to it;
//! - `token`: makes a token for access control;
//! - `test`: runs everything that CI runs;
//! - `tools`: installs third-party programs that some tests need;
//! - `crash`: runs the full crash test;
//! - `bench`: measures the rate of the service, and what it costs;
//! - `replay`, `scenario`: send the readings of a file, or made-up ones;
//! - `bridge`: sends the messages of an MQTT broker to a node;
//! - `gateway`: builds one executable with the application in it;
//! - `package`: makes Debian's package of it;
//! - `image`: lays out an image of it;
//! - `emulated`: tests it for another processor;
//! - `size`: checks the sizes of the components;
//! - `reproducible`: checks that they have the same bytes when they are built elsewhere.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

mod access;
mod beat;
mod bench;
mod budget;
mod callgrind;
mod crash;
mod debian;
mod emulated;
mod fleet;
mod found;
mod gateway;
mod greeting;
mod image;
mod instructions;
mod listen;
mod peers;
mod reproducible;
mod size;
mod spin_test;
mod target;
mod test;
mod tools;
mod up;

const USAGE: &str = "\
cargo xtask up [--auth] [--runtime spin|embedded] [--listen 127.0.0.1:3000]
        [--peer URL]... [--node NAME] [--variable NAME=VALUE]... [--state-dir .spin]
        [--no-build]
    Builds the components and serves them: with `spin` where it is on the PATH,
    otherwise with the embedded runtime. With `--auth`, access control is on: the first
    start makes a token of the administrator and shows it once. `.spin/tokens` keeps what
    verifies it, `.spin/session_key` the key of the page's sessions. Variables that are
    secret are taken from the environment alone (SPIN_VARIABLE_TOKENS). `--no-build`
    serves what was built before.
    With `--peer https://hub.example`, at most three times, the node sends everything it has
    to that one, and every ten seconds what is new; `--node` is its name there. A peer with
    access control gives it a token with a scope sync:<node>@<region>: set it in the
    environment as ISOTHERM_PEER_TOKEN, or with several peers as SPIN_VARIABLE_PEER1_TOKEN
    and so on. Where this node has access control without `--auth`, ISOTHERM_BEAT_TOKEN is a
    token of its own, with such a scope, for the timer.

cargo xtask fleet [--ports-from 3000] [--variable NAME=VALUE]... [--keep]
        [--state-dir target/fleet] [--no-build]
    Serves a hub and three gateways that send to it, with made-up readings, on ports of
    127.0.0.1 that are free, or on seven from the given one on. Commands on standard input
    cut a gateway off, kill a node or restore the hub from a backup; `help` lists them. It
    begins with empty stores, unless `--keep` is given. Variables are those of all nodes.

cargo xtask token --scope SCOPE... [--id ID] [--expires 2027-01-31T00:00:00Z] [--quiet]
    Makes a token without a node, and prints it beside its line for the variable
    `tokens`; with `--quiet`, these two lines alone. Scopes are read:<region>,
    write:<device>@<region>, sync:<node>@<region>, metrics and admin; a name may end
    with *, as in 'read:*'.

cargo xtask test [--runtime embedded|spin]
    Everything that CI runs: formatting, clippy, unit tests, SQL, and black-box
    tests over HTTP against the components in that runtime.

cargo xtask tools
    Installs what some tests and `bench --peers` need of other programs (a browser, for
    one), on a Debian machine and as root; elsewhere it says what is missing.

cargo xtask crash [--kills 200] [--seed NUMBER] [--runtime embedded|spin]
    Kills the service again and again while 8 connections send, and compares
    the averages with what was acknowledged. `test` does it with 20 kills.

cargo xtask bench [--runtime embedded|spin|gateway] [--json FILE] [...]
    Figures of a fresh service over real sockets, beside those of a bare component
    on the same runtime and of the disk, or with `--peers` beside InfluxDB and
    VictoriaMetrics; with `--auth [--rounds 100]`, what access control costs; `--help`
    lists the rest.

cargo xtask bench --instructions
    How many instructions a reading takes in each stage, by valgrind's callgrind, and may
    take (`budget.toml`).

cargo xtask gateway [--target TRIPLE] [--compiler]
    Builds isotherm-gateway, one executable with the application in it, into target/dist. For
    another target, its linker has to be there, and rustup's target. With --compiler also
    isotherm-compile, which compiles other applications for it.

cargo xtask package [--target TRIPLE]
    The same, and its package for Debian, by cargo-deb, which it installs into target.

cargo xtask image [--target TRIPLE]
    The same, and the directory for `docker build`, with the libraries that it is linked with.

cargo xtask emulated --target aarch64-unknown-linux-gnu|armv7-unknown-linux-gnueabihf [--no-build]
    The same as `gateway`, and its tests of the contract, of formats and of exactly once under
    qemu-user, 10 or newer. With --no-build, of what is in target/dist.

cargo xtask size
    Builds the components and prints how large they are, and may be (`budget.toml`).

cargo xtask reproducible
    Builds the components twice, here and in another directory with another home of
    cargo's, and compares their bytes.

cargo xtask replay FILE [--url http://127.0.0.1:3000] [...]
    Sends the readings of a CSV file; `--help` lists how columns are named.

cargo xtask export --out FILE.{parquet,csv,ndjson} [--from INSTANT] [--to INSTANT] [...]
    Writes the single readings of a range to a file, and compares their sum with the
    service's figures; `--help` lists the rest.
cargo xtask scenario [--url http://127.0.0.1:3000] [--seed 1] [--now INSTANT] [--no-limits]
    Sends two days of nine made-up cold rooms with 40 sensors, and says what went wrong
    in them: something to look at, and the data of docs/questions.md.

cargo xtask bridge --broker HOST:PORT --topic FILTER... --to URL [...]
    Sends the messages of an MQTT broker to a node, and acknowledges to the broker what the
    node has acknowledged; `--help` lists the rest. docs/devices.md has the broker's settings.

cargo xtask build [--conformance]
    Builds the components into target/wasm32-wasip2, or the one that checks a
    runtime.

cargo xtask target
    Makes sure that the target wasm32-wasip2 is there.";

fn main() -> ExitCode {
    match run() {
        Ok(status) => status,
        // One line, with its causes: it is for the person that gave the command.
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(root());
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let done = match command.as_str() {
        "export" => return export(&shell, &rest),
        "bridge" => return bridge(&rest),
        "tools" => tools::install(&shell),
        "up" => up::run(&shell, rest),
        "fleet" => fleet::run(&shell, rest),
        "token" => isotherm_token::run(rest),
        "test" => test::run(&shell, rest),
        "crash" => crash::run(&shell, rest),
        "bench" => bench::run(&shell, rest),
        "gateway" => gateway::make(&shell, rest).map(|_made| ()),
        "package" => debian::package(&shell, rest),
        "image" => image::lay_out(&shell, rest),
        "emulated" => emulated::run(&shell, rest),
        "size" => build(&shell).and_then(|()| size::check()),
        "reproducible" => reproducible::check(&shell),
        "replay" | "scenario" => load(&shell, &command, &rest),
        "build" if rest == ["--conformance"] => build_conformance(&shell),
        "build" => build(&shell),
        "target" => target::ensure(&shell),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command {other}\n\n{USAGE}"),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// The runtimes that can serve the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Spin,
    Embedded,
}

impl Runtime {
    fn named(name: &str) -> Result<Self> {
        match name {
            "spin" => Ok(Self::Spin),
            "embedded" => Ok(Self::Embedded),
            other => bail!("there is no runtime {other}; there are spin and embedded"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Embedded => "embedded",
        }
    }
}

/// Prints what happens next.
fn step(what: &str) {
    println!("\n=> {what}");
}

/// Builds the components, and installs their target if it is missing.
fn build(shell: &Shell) -> Result<()> {
    target::ensure(shell)?;
    step("Building the components for wasm32-wasip2");
    // Into the directory that spin.toml names, whatever the environment says.
    reproducible::build(shell, &root(), Path::new("target"), &reproducible::cargo_home()?)?;
    mark_as_new()
}

/// Gives the components the present time. Cargo leaves alone what a change does not touch, such as one
/// of the lock file; tests would take it for older than its source.
#[expect(clippy::disallowed_methods, reason = "the time of a file is the machine's")]
fn mark_as_new() -> Result<()> {
    for profile in ["release", "small"] {
        for file in std::fs::read_dir(root().join("target/wasm32-wasip2").join(profile))? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                let file = std::fs::File::options().write(true).open(path)?;
                file.set_modified(std::time::SystemTime::now())?;
            }
        }
    }
    Ok(())
}

/// Builds the component that checks a runtime (`hosts/conformance`).
fn build_conformance(shell: &Shell) -> Result<()> {
    target::ensure(shell)?;
    step("Building the component that checks a runtime");
    cmd!(shell, "cargo build --release --locked --target wasm32-wasip2 --target-dir target")
        .args(["--package", "isotherm-conformance"])
        .quiet()
        .run()?;
    mark_as_new()
}

/// The path of a program of the workspace: cargo puts all of them beside this one.
fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    Ok(here.with_file_name(name))
}

/// Runs a command of `isotherm-load`.
fn load(shell: &Shell, command: &str, arguments: &[String]) -> Result<()> {
    // File names are relative to where the command was given.
    shell.change_dir(std::env::current_dir()?);
    let manifest = root().join("Cargo.toml");
    cmd!(shell, "cargo run --quiet --locked --manifest-path {manifest} --package isotherm-load --")
        .arg(command)
        .args(arguments)
        .quiet()
        .run()
        .with_context(|| format!("{command} did not end well"))
}

/// Its exit status is that of the export, which says whether the file is right.
fn export(shell: &Shell, arguments: &[String]) -> Result<ExitCode> {
    shell.change_dir(std::env::current_dir()?);
    let manifest = root().join("Cargo.toml");
    let export = cmd!(shell, "cargo run --quiet --locked --manifest-path {manifest}")
        .args(["--package", "isotherm-export", "--"])
        .args(arguments);
    let status = std::process::Command::from(export).status().context("cargo did not start")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Becomes the bridge, so that a signal for this program is one for it.
fn bridge(arguments: &[String]) -> Result<ExitCode> {
    let mut cargo = std::process::Command::new("cargo");
    cargo.args(["run", "--quiet", "--locked", "--manifest-path"]);
    cargo.arg(root().join("Cargo.toml")).args(["--package", "isotherm-bridge", "--"]);
    Err(cargo.args(arguments).exec()).context("cargo did not start")
}

/// The project's root, whatever directory the command was given in.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
