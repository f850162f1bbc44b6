//! A hub and three gateways that send to it, on this machine: `cargo xtask fleet`, and the gateway's
//! `fleet`.
//!
//! Each is a process of its own with its own stores. Between a gateway and the hub is a proxy
//! of this program, which can cut the connection. Nodes end with their standard input, and
//! that ends with this process, whatever ends it.

#![deny(unsafe_code)]
#![expect(clippy::print_stdout, reason = "for a terminal")]

mod backup;
pub mod client;
mod commands;
mod node;
mod proxy;
mod sensors;
mod status;

use std::fs::File;
use std::io::{BufRead, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::backup::Backup;
use crate::commands::Command;
use crate::node::Node;
pub use crate::node::{Program, Start};
use crate::proxy::Proxy;
use crate::sensors::Sensors;

/// How many gateways there are.
const GATEWAYS: usize = 3;

/// When the first backup of the hub is made, after the start.
const FIRST_BACKUP: Duration = Duration::from_secs(20);

/// A sender counts as silent earlier than by default: people wait for it.
const SILENT_AFTER: &str = "sender_silent_after=30s";

/// What the command takes, behind its name.
pub const USAGE: &str = "\
[--ports-from 3000] [--variable NAME=VALUE]... [--keep] [--state-dir DIR]";

struct Options {
    ports_from: Option<u16>,
    state: PathBuf,
    variables: Vec<String>,
    keeps: bool,
}

/// Runs with these arguments until it is told to end, or its input ends. The stores are in `state`
/// unless the arguments say otherwise.
///
/// # Errors
///
/// Arguments that can't be meant, ports that are taken, or a node that does not start.
pub fn run(program: Arc<dyn Program>, state: PathBuf, arguments: Vec<String>) -> Result<()> {
    let options = parse(state, arguments)?;
    let addresses = addresses(options.ports_from)?;
    std::fs::create_dir_all(&options.state)?;
    let _lock = lock(&options.state)?;
    if !options.keeps {
        empty(&options.state)?;
    }
    println!("Starting a hub and three gateways");
    let mut fleet = Fleet::start(&program, &options, &addresses)?;
    println!("{}", fleet.table());
    println!("{}", commands::HELP);
    fleet.make_first_backup();
    for line in lines() {
        match Command::parse(&line?) {
            Ok(Some(Command::Quit)) => break,
            Ok(Some(command)) => match fleet.carry_out(command) {
                Ok(said) => println!("{said}"),
                Err(error) => println!("{error:#}"),
            },
            Ok(None) => {}
            Err(error) => println!("{error}"),
        }
    }
    fleet.stop();
    println!("All nodes have ended. Their stores are in {}.", options.state.display());
    Ok(())
}

fn parse(state: PathBuf, arguments: Vec<String>) -> Result<Options> {
    use lexopt::prelude::*;
    let mut options =
        Options { ports_from: None, state, variables: vec![SILENT_AFTER.to_owned()], keeps: false };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("ports-from") => options.ports_from = Some(parser.value()?.parse()?),
            Long("state-dir") => options.state = std::path::absolute(parser.value()?)?,
            Long("variable") => options.variables.push(parser.value()?.string()?),
            Long("keep") => options.keeps = true,
            other => bail!("{}; it takes {USAGE}", other.unexpected()),
        }
    }
    Ok(options)
}

/// The addresses of the hub, of the gateways, and of the proxies before the hub. A port of 0 is
/// any that is free.
fn addresses(from: Option<u16>) -> Result<Vec<SocketAddr>> {
    let count = u16::try_from(1 + 2 * GATEWAYS)?;
    let port = |index: u16| match from {
        Some(first) => first.checked_add(index).context("--ports-from: there are 65535 ports"),
        None => Ok(0),
    };
    let address = |index| Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port(index)?)));
    let addresses = (0..count).map(address).collect::<Result<Vec<_>>>()?;
    for address in &addresses {
        TcpListener::bind(address)
            .with_context(|| format!("--ports-from: can't listen on {address}"))?;
    }
    Ok(addresses)
}

/// Fails if another fleet has the same stores. The lock ends with this process.
fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let file = File::create(&path).with_context(|| format!("{}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another fleet is running in {}; end that, or give --state-dir", state.display());
    }
    Ok(file)
}

/// Removes the stores of an earlier fleet, and nothing else that may be there.
fn empty(state: &Path) -> Result<()> {
    let gateways = (1..=GATEWAYS).map(name_of);
    for name in gateways.chain([HUB.to_owned(), backup::DIRECTORY.to_owned()]) {
        let directory = state.join(name);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)
                .with_context(|| format!("{}", directory.display()))?;
        }
    }
    Ok(())
}

const HUB: &str = "hub";

fn name_of(gateway: usize) -> String {
    format!("gateway-{gateway}")
}

/// The lines of standard input. On a terminal it says that it waits for one.
fn lines() -> impl Iterator<Item = std::io::Result<String>> {
    let prompt = || {
        if std::io::stdin().is_terminal() {
            print!("> ");
            // A terminal that can't be written to has no need of it.
            drop(std::io::stdout().flush());
        }
    };
    let mut lines = std::io::stdin().lock().lines();
    std::iter::from_fn(move || {
        prompt();
        lines.next()
    })
}

/// One gateway, and what is around it.
struct Gateway {
    node: Node,
    proxy: Proxy,
    sensors: Sensors,
}

/// All nodes.
struct Fleet {
    hub: Node,
    gateways: Vec<Gateway>,
    backup: Arc<Mutex<Backup>>,
}

impl Fleet {
    fn start(
        program: &Arc<dyn Program>,
        options: &Options,
        addresses: &[SocketAddr],
    ) -> Result<Self> {
        let mut addresses = addresses.iter().copied();
        let mut next = || addresses.next().context("too few addresses");
        let node = |name: &str, address| Node::new(program.clone(), name, &options.state, address);
        let mut hub = node(HUB, next()?)
            .with_variables(&options.variables)
            .with_variables(&[format!("node={HUB}")]);
        hub.start()?;
        let listen = (0..GATEWAYS).map(|_| next()).collect::<Result<Vec<_>>>()?;
        let mut gateways = Vec::new();
        for (number, address) in (1..).zip(listen) {
            let proxy = Proxy::start(next()?, hub.address())?;
            let name = name_of(number);
            let peer = format!("peer1=http://{}", proxy.address());
            let mut node = node(&name, address)
                .with_variables(&options.variables)
                .with_variables(&[format!("node={name}"), peer])
                .with_beat();
            node.start()?;
            let sensors = Sensors::start(number, node.address());
            gateways.push(Gateway { node, proxy, sensors });
        }
        let backup = Backup::new(&hub, &options.state)?;
        Ok(Self { hub, gateways, backup: Arc::new(Mutex::new(backup)) })
    }

    /// Makes it in the background, and says so.
    fn make_first_backup(&self) {
        let backup = self.backup.clone();
        std::thread::spawn(move || {
            std::thread::sleep(FIRST_BACKUP);
            let mut backup = backup.lock().unwrap_or_else(PoisonError::into_inner);
            if backup.is_there() {
                return;
            }
            match backup.make() {
                Ok(()) => {
                    println!("A first backup of the hub is made: `restore hub` goes back to it.")
                }
                Err(error) => println!("There is no first backup of the hub: {error:#}"),
            }
        });
    }

    fn stop(&mut self) {
        let gateways = self.gateways.iter_mut().map(|gateway| &mut gateway.node);
        gateways.chain([&mut self.hub]).for_each(Node::stop);
    }
}
