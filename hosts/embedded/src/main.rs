//! `isotherm-host`: serves a Spin application from its manifest, with a subset of the
//! flags of `spin up`.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_host::beat::{self, Beat, parse_every};
use isotherm_host::faults::FAULTS_PATH;
use isotherm_host::front::{Front, Limits};
use isotherm_host::manifest::Application;
use isotherm_host::runtime_config::Stores;
use isotherm_host::server::{Options, Server};
use isotherm_host::variables;

const USAGE: &str = "\
Serves a Spin application for development and tests; deploy with Spin itself.

isotherm-host [--from spin.toml] [--listen 127.0.0.1:3000]
              [--runtime-config-file FILE] [--state-dir .spin]
              [--variable NAME=VALUE]... [--max-instance-memory BYTES] [--faults]
              [--unchecked] [--beat DURATION] [--end-with-stdin]
              [--component-id ID]...

Variables are also taken from the environment, as SPIN_VARIABLE_NAME.

--beat 10s has the node send its peers what they may not have: it calls POST /v1/sync of the
application every ten seconds. A number with s, m or h; at least 1s. With access control on
it needs a token with a scope sync:<node>@<region>, in the environment as
ISOTHERM_BEAT_TOKEN.

--component-id serves this component alone, or these.

--end-with-stdin ends it when its standard input ends, as it does with the program that
started it.

--unchecked starts with any values of variables, as Spin does; otherwise one that the
application can't use ends the start.

--faults lets every client make the stores fail, by a PUT to
/.well-known/isotherm-host/faults: {\"rules\": [{\"store\": \"sqlite\", \"effect\":
\"full\", \"probability\": 0.5}], \"seed\": 7}. Stores are key_value and sqlite,
effects fail, lost, full, locked, damaged, and, with \"ms\", stall and slow_sync (writes
take longer, and others wait for them); GET shows them.";

struct Arguments {
    from: PathBuf,
    listen: SocketAddr,
    runtime_config_file: Option<PathBuf>,
    state_dir: PathBuf,
    variables: Vec<(String, String)>,
    is_unchecked: bool,
    beat: Option<Duration>,
    ends_with_stdin: bool,
    /// All, if there are none.
    components: Vec<String>,
    options: Options,
}

fn arguments() -> Result<Option<Arguments>> {
    use lexopt::prelude::*;
    let mut arguments = Arguments {
        from: "spin.toml".into(),
        listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
        runtime_config_file: None,
        state_dir: ".spin".into(),
        variables: Vec::new(),
        is_unchecked: false,
        beat: None,
        ends_with_stdin: false,
        components: Vec::new(),
        options: Options { shows_memory: true, ..Options::default() },
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('f') | Long("from") => arguments.from = parser.value()?.into(),
            Long("listen") => arguments.listen = address(&parser.value()?.string()?)?,
            Long("runtime-config-file") => {
                arguments.runtime_config_file = Some(parser.value()?.into());
            }
            Long("state-dir") => arguments.state_dir = parser.value()?.into(),
            Long("variable") => {
                let text = parser.value()?.string()?;
                let (name, value) = text.split_once('=').context("--variable NAME=VALUE")?;
                arguments.variables.push((name.to_owned(), value.to_owned()));
            }
            Long("unchecked") => arguments.is_unchecked = true,
            Long("beat") => arguments.beat = Some(parse_every(&parser.value()?.string()?)?),
            Long("end-with-stdin") => arguments.ends_with_stdin = true,
            Short('c') | Long("component-id") => {
                arguments.components.push(parser.value()?.string()?);
            }
            Long("faults") => arguments.options.faults = true,
            Long("max-instance-memory") => {
                arguments.options.instance_memory_bytes_max = Some(parser.value()?.parse()?);
            }
            Short('h') | Long("help") => return Ok(None),
            other => bail!("{}\n\n{USAGE}", other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

/// The address of a text like `127.0.0.1:3000` or `localhost:3000`. Of a name's addresses, one
/// of IPv4 goes before the others: what prints a URL with the name is then reachable by
/// clients without IPv6.
fn address(text: &str) -> Result<SocketAddr> {
    let wanted = || format!("--listen {text}: an address like 127.0.0.1:3000 is needed");
    let mut found: Vec<SocketAddr> = text.to_socket_addrs().with_context(wanted)?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().with_context(wanted)
}

fn environment() -> Vec<(String, String)> {
    let variable = |(name, value): (String, String)| {
        name.strip_prefix("SPIN_VARIABLE_").map(|name| (name.to_lowercase(), value.clone()))
    };
    std::env::vars().filter_map(variable).collect()
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        // One line, with its causes: it is for the person that started it.
        Err(error) => {
            eprintln!("isotherm-host: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The timer, with the token of the environment. Says that there is one.
fn prepare_beat(server: &Server, every: Duration) -> Result<Beat> {
    const TOKEN: &str = "ISOTHERM_BEAT_TOKEN";
    if !server.has_route(beat::PATH) {
        bail!("--beat: no component of the application serves {}", beat::PATH);
    }
    let token = std::env::var(TOKEN).ok();
    let beat = Beat::new(every, token.as_deref()).with_context(|| format!("variable {TOKEN}"))?;
    println!("A beat every {} s: POST {}", every.as_secs(), beat::PATH);
    Ok(beat)
}

async fn run() -> Result<()> {
    let Some(arguments) = arguments()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let mut application = Application::read(&arguments.from, &environment(), &arguments.variables)?;
    application.retain(&arguments.components)?;
    let said = match arguments.is_unchecked {
        true => None,
        false => variables::check(&application)?,
    };
    let config: Option<&Path> = arguments.runtime_config_file.as_deref();
    let stores = Stores::read(config, &arguments.state_dir)?;
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("can't listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;

    println!("Isotherm's embedded runtime: for development and tests, not for production.");
    for store in stores.key_value.values() {
        println!("Keeping the journal in {store}");
    }
    for store in stores.sqlite.values() {
        println!("Keeping the regions in {store}");
    }
    if let Some(said) = said {
        println!("{said}");
    }
    let routes: Vec<(String, String)> = application
        .components
        .iter()
        .map(|component| (component.id.clone(), component.route.clone()))
        .collect();
    let server = Arc::new(Server::new(application, &stores, arguments.options)?);
    let beat = arguments.beat.map(|every| prepare_beat(&server, every)).transpose()?;
    if arguments.options.faults {
        println!("The stores can be made to fail: PUT http://{address}{FAULTS_PATH}");
    }
    println!("\nServing http://{address}\nAvailable Routes:");
    for (id, route) in routes {
        match route.strip_suffix("/...") {
            Some(prefix) => println!("  {id}: http://{address}{prefix} (wildcard)"),
            None => println!("  {id}: http://{address}{route}"),
        }
    }
    if let Some(beat) = beat {
        tokio::spawn(beat.run(server.clone()));
    }
    let front = Arc::new(Front::new(server, Limits::default(), None));
    // It ends at once, as Spin does.
    let (_go_on, stop) = tokio::sync::watch::channel(false);
    tokio::select! {
        served = front.serve(vec![listener], stop) => served,
        () = isotherm_host::end_of_stdin(), if arguments.ends_with_stdin => Ok(()),
        stopped = tokio::signal::ctrl_c() => Ok(stopped?),
    }
}
