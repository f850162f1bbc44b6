//! A start: the application, its stores, the sockets; and the end.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_backup::latest;
use isotherm_bundle::{Bundle, remove_others};
use isotherm_host::beat::{self, Beat};
use isotherm_host::front::{Front, Tls};
use isotherm_host::log::{self, Log};
use isotherm_host::manifest::{self, Application};
use isotherm_host::runtime_config::KeyValueConfig;
use isotherm_host::server::{Options, Server};
use isotherm_host::variables;
use isotherm_stores::KeyValueFile;
use listenfd::ListenFd;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::backups::{self, Timer};
use crate::code::Code;
use crate::configuration::Configuration;
use crate::exposure;
use crate::privileges::Account;
use crate::signature::Key;
use crate::traces::Traces;

/// How often the files of TLS are looked at.
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(10);

/// Connections that may wait to be accepted. The kernel has a bound of its own
/// (`net.core.somaxconn`), 4,096 by default.
const CONNECTIONS_WAITING_MAX: u32 = 4_096;

/// The application, with its files below `files`, and where its code is. `bundle` is what the
/// executable has.
fn application(
    configuration: &Configuration,
    environment: &[(String, String)],
    files: &Path,
    bundle: Option<Bundle>,
) -> Result<(Application, Code)> {
    let of_environment = |(name, value): &(String, String)| {
        let name = name.strip_prefix("SPIN_VARIABLE_").or(name.strip_prefix("ISOTHERM_"))?;
        Some((name.to_lowercase(), value.clone()))
    };
    let environment: Vec<(String, String)> =
        environment.iter().filter_map(of_environment).collect();
    let set: Vec<(String, String)> =
        configuration.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(from) = &configuration.from {
        let application = Application::read(from, &environment, &set)?;
        let code = match &configuration.key {
            None => Code::Files,
            Some(key) => Code::Signed(Key::parse(key)?),
        };
        return Ok((application, code));
    }
    let Some(mut bundle) = bundle else {
        bail!("this executable has no application in it: give --from spin.toml");
    };
    // The stores will have the hashes of tokens, and are for nobody else.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(files);
    made.with_context(|| format!("{} can't be made", files.display()))?;
    let application = bundle.application(files, &environment, &set)?;
    Ok((application, Code::Own(Mutex::new(bundle))))
}

/// Whether each component has access control, and has it on.
fn has_auth(application: &Application) -> bool {
    let is_on = |component: &manifest::Component| {
        component.variables.get("auth").is_some_and(|value| value == "on")
    };
    application.components.iter().all(is_on)
}

/// What is wrong, or what a start would do. It leaves nothing behind, and a node that runs alone.
pub(crate) fn check(
    configuration: &Configuration,
    environment: &[(String, String)],
) -> Result<Vec<String>> {
    // Removed at the end, whatever is found.
    let files = TempDir::new().context("there is no room for the application's files")?;
    let (application, code) =
        application(configuration, environment, files.path(), Bundle::own()?)?;
    configuration.tls.clone().map(Tls::new).transpose()?;
    configuration.user.as_deref().map(Account::find).transpose()?;
    let mut lines = check_all(configuration, &application, &code)?;
    Server::check(&application, &code.into_load())?;
    check_exposure(configuration, &application, &configuration.listen)?;
    let scheme = if configuration.tls.is_some() { "https" } else { "http" };
    let addresses = configuration.listen.iter();
    lines.extend(addresses.map(|address| format!("It serves {scheme}://{address}")));
    Ok(lines)
}

fn check_exposure(
    configuration: &Configuration,
    application: &Application,
    addresses: &[SocketAddr],
) -> Result<()> {
    match configuration.is_exposed {
        true => Ok(()),
        false => exposure::check(addresses, has_auth(application), configuration.tls.is_some()),
    }
}

/// All but the addresses, which systemd may have chosen.
fn check_all(
    configuration: &Configuration,
    application: &Application,
    code: &Code,
) -> Result<Vec<String>> {
    let said = variables::check(application)?;
    if let Code::Signed(key) = code {
        for component in &application.components {
            key.verified(&component.source)?;
        }
    }
    let stores = &configuration.stores;
    let mut lines = vec![format!("The data is in {}", configuration.data.display())];
    lines.extend(stores.key_value.values().map(|store| format!("The journal is in {store}")));
    lines.extend(stores.sqlite.values().map(|store| format!("The regions are in {store}")));
    if let Some(backups) = &configuration.backup {
        // A start that can't make backups is to be noticed now, and not when one is needed.
        latest(&backups.to)?;
        backups::stores_of(stores)?;
        lines.push(format!("Backups go to {}", backups.to.display()));
    }
    lines.extend(said);
    Ok(lines)
}

/// Serves until a signal ends it.
pub(crate) async fn run(
    configuration: Configuration,
    environment: &[(String, String)],
) -> Result<()> {
    // What root alone may do comes first, and nothing is read from the network before it is over.
    let tls = configuration.tls.clone().map(Tls::new).transpose()?.map(Arc::new);
    let listeners = listeners(&configuration.listen)?;
    raise_descriptors();
    let bundle = Bundle::own()?;
    if let Some(user) = &configuration.user {
        Account::find(user)?.enter(&configuration.data)?;
    }
    // Until all is answered.
    let _traces = Traces::begin(environment)?;
    configuration.log.clone().map_or(Log::Json, Log::File).begin()?;
    let (application, code) =
        application(&configuration, environment, &configuration.data, bundle)?;
    let lines = check_all(&configuration, &application, &code)?;
    let stores = &configuration.stores;
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    check_exposure(&configuration, &application, &addresses)?;
    for store in stores.key_value.values() {
        if let KeyValueConfig::File(path) = store {
            KeyValueFile::set_wal(path)?;
        }
    }
    remove_others(&configuration.data, &application);
    let is_own = code.is_own();
    let server =
        Server::compiled_ahead(application, stores, options(&configuration), code.into_load())?;
    // Those of the executable are what the build has put there, and one is as good as the other: the
    // rest is loaded when it is asked for.
    if is_own {
        server.load_one()?
    } else {
        server.load_all()?
    }
    let server = Arc::new(server);
    for line in lines {
        println!("{line}");
    }
    if let Some(sync) = &configuration.sync {
        if !server.has_route(beat::PATH) {
            bail!("sync: no component of the application serves {}", beat::PATH);
        }
        let beat = Beat::new(sync.every, sync.token.as_deref()).context("sync.token")?;
        tokio::spawn(beat.run(server.clone()));
    }
    if let Some(backups) = &configuration.backup {
        let timer = Timer::new(backups, stores, server.counted())?;
        tokio::spawn(timer.run());
    }
    let (stop, stopped) = watch::channel(false);
    // Before it serves: a SIGHUP would end it otherwise.
    let hangup = signal(SignalKind::hangup())?;
    tokio::spawn(refresh(tls.clone(), hangup));
    for address in addresses {
        // What starts it reads the port here.
        let scheme = if tls.is_some() { "https" } else { "http" };
        println!("Serving {scheme}://{address}");
    }
    tell_systemd(&[NotifyState::Ready]);
    tokio::spawn(async move {
        tokio::select! {
            ended = end() => if let Err(error) = ended {
                log::say(&format!("signals can't be waited for: {error}"));
            },
            () = isotherm_host::end_of_stdin(), if configuration.ends_with_stdin => {}
        }
        tell_systemd(&[NotifyState::Stopping]);
        stop.send_replace(true);
    });
    Arc::new(Front::new(server, configuration.limits, tls)).serve(listeners, stopped).await
}

fn options(configuration: &Configuration) -> Options {
    Options {
        instance_memory_bytes_max: Some(configuration.instance_memory_bytes_max),
        own_metrics: true,
        faults: configuration.has_faults,
        ..Options::default()
    }
}

/// The sockets that systemd has opened, or new ones.
fn listeners(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        if let Some(listener) = handed.take_tcp_listener(index)? {
            listener.set_nonblocking(true)?;
            listeners.push(TcpListener::from_std(listener)?);
        }
    }
    if !listeners.is_empty() {
        return Ok(listeners);
    }
    for address in addresses {
        let bound = listener(*address);
        listeners.push(bound.with_context(|| format!("it can't listen on {address}"))?);
    }
    Ok(listeners)
}

/// With room for all devices of a site that connect at the same moment, as after a power cut: what
/// finds none tries again after a second.
fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The connections of a process that has just ended are in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(CONNECTIONS_WAITING_MAX)
}

/// Each connection takes one, and the usual limit is 1,024.
fn raise_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        log::say(&format!("the limit on open files stays as it is: {error}"));
    }
}

/// Reads the files of TLS again when they have changed, or at SIGHUP.
async fn refresh(tls: Option<Arc<Tls>>, mut hangup: Signal) {
    let mut timer = tokio::time::interval(LOOK_AT_FILES_EVERY);
    let mut fails = false;
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = hangup.recv() => {}
        }
        let Some(tls) = &tls else { continue };
        match tls.refresh() {
            Ok(is_new) => {
                fails = false;
                if is_new {
                    log::say("the certificate was read again");
                }
            }
            // When it begins to fail, and not each time.
            Err(error) if !fails => {
                fails = true;
                log::say(&format!("the certificate can't be used, and the old one is: {error:#}"));
            }
            Err(_) => {}
        }
    }
}

/// Returns at SIGTERM or SIGINT.
async fn end() -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// Where it did not start this, nothing is told.
fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::say(&format!("systemd can't be told: {error}"));
    }
}
