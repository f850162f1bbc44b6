//! The configuration: arguments before the environment, that before the file, that before the
//! defaults.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_host::beat::parse_every;
use isotherm_host::front::{Clients, Files, Limits};
use serde::Deserialize;

/// The file that is read where it is there, if none is named.
const USUAL_FILE: &str = "/etc/isotherm/isotherm.toml";

/// The most memory of an instance, which lives for one request.
const INSTANCE_MEMORY_BYTES: usize = 64 << 20;

/// What a start needs to know.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The directory of the stores.
    pub(crate) data: PathBuf,
    /// Where it listens, unless systemd hands over sockets.
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Files>,
    /// Whether tokens may travel without TLS, or access be open, on other addresses than the
    /// machine's own.
    pub(crate) is_exposed: bool,
    /// The application's variables, as they were set, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// Another application than the executable's.
    pub(crate) from: Option<PathBuf>,
    /// Who has to have signed its components.
    pub(crate) key: Option<String>,
    pub(crate) stores: Option<PathBuf>,
    pub(crate) instance_memory_bytes_max: usize,
    pub(crate) sync: Option<Sync>,
}

/// The timer of the exchange with peers.
#[derive(Debug)]
pub(crate) struct Sync {
    pub(crate) every: Duration,
    pub(crate) token: Option<String>,
}

/// What the command line has.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) file: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Vec<String>,
    pub(crate) from: Option<PathBuf>,
    pub(crate) stores: Option<PathBuf>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) instance_memory_bytes_max: Option<usize>,
}

/// `isotherm.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileTable {
    data: Option<PathBuf>,
    listen: Option<Listen>,
    exposed: bool,
    stores: Option<PathBuf>,
    instance_memory_bytes: Option<usize>,
    variables: BTreeMap<String, Value>,
    application: ApplicationTable,
    tls: Option<TlsTable>,
    limits: LimitsTable,
    sync: Option<SyncTable>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listen {
    One(String),
    Several(Vec<String>),
}

/// A variable: its value, or the file that has it, for what is secret.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    File(InFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ApplicationTable {
    from: Option<PathBuf>,
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<ClientsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientsTable {
    authority: PathBuf,
    revoked: Option<PathBuf>,
    tokens: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsTable {
    connections: Option<usize>,
    connections_by_address: Option<usize>,
    handshake: Option<String>,
    head: Option<String>,
    stall: Option<String>,
    idle: Option<String>,
    drain: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncTable {
    every: String,
    token: Option<InFile>,
}

impl Configuration {
    /// Of the command line, the environment and the file. `known` are the application's variables:
    /// `ISOTHERM_RETENTION` and `SPIN_VARIABLE_RETENTION` are `retention`.
    ///
    /// # Errors
    ///
    /// What can't be read, is not known, or can't be meant, with where it is.
    pub(crate) fn new(given: Given, environment: &[(String, String)]) -> Result<Self> {
        let of_environment = |name: &str| {
            environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let (path, is_usual) =
            match given.file.or(of_environment("ISOTHERM_CONFIG").map(Into::into)) {
                Some(path) => (path, false),
                None => (PathBuf::from(USUAL_FILE), true),
            };
        let file = match is_usual && !path.exists() {
            true => FileTable::default(),
            false => read(&path).with_context(|| path.display().to_string())?,
        };
        let base = path.parent().unwrap_or(Path::new("."));
        let data = given.data.or(of_environment("ISOTHERM_DATA").map(Into::into));
        let data = data.or(file.data.map(|data| base.join(data)));
        let data = data.context("where are its readings to be? Give --data DIR")?;
        let listen = match (given.listen.is_empty(), of_environment("ISOTHERM_LISTEN")) {
            (false, _) => given.listen,
            (true, Some(text)) => text.split(',').map(|one| one.trim().to_owned()).collect(),
            (true, None) => match file.listen {
                Some(Listen::One(one)) => vec![one],
                Some(Listen::Several(several)) => several,
                None => vec!["127.0.0.1:3000".to_owned()],
            },
        };
        let mut variables = BTreeMap::new();
        for (name, value) in file.variables {
            let value = match value {
                Value::Text(text) => text,
                Value::File(InFile { file }) => {
                    secret(&base.join(file)).with_context(|| format!("variable {name}"))?
                }
            };
            variables.insert(name, value);
        }
        variables.extend(given.variables);
        let limits = limits(file.limits)?;
        Ok(Self {
            data,
            listen: listen.iter().map(|text| address(text)).collect::<Result<_>>()?,
            limits,
            tls: file.tls.map(|tls| tls.files(base)),
            is_exposed: file.exposed,
            variables,
            from: given.from.or(file.application.from.map(|from| base.join(from))),
            key: file.application.key,
            stores: given.stores.or(file.stores.map(|stores| base.join(stores))),
            instance_memory_bytes_max: given
                .instance_memory_bytes_max
                .or(file.instance_memory_bytes)
                .unwrap_or(INSTANCE_MEMORY_BYTES),
            sync: file.sync.map(|sync| sync.read(base)).transpose()?,
        })
    }
}

fn read(path: &Path) -> Result<FileTable> {
    let text = std::fs::read_to_string(path).context("it can't be read")?;
    Ok(toml::from_str(&text)?)
}

/// The content of a file without the newline at its end. It is never part of an error.
fn secret(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} can't be read", path.display()))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// The address of a text like `127.0.0.1:3000` or `localhost:3000`.
fn address(text: &str) -> Result<SocketAddr> {
    let wanted = || format!("listen {text:?}: an address like 127.0.0.1:3000 is needed");
    let mut found = text.to_socket_addrs().with_context(wanted)?;
    found.next().with_context(wanted)
}

fn limits(table: LimitsTable) -> Result<Limits> {
    let defaults = Limits::default();
    let time = |name: &str, text: Option<String>, default: Duration| match text {
        None => Ok(default),
        Some(text) => parse_every(&text).with_context(|| format!("limits.{name}")),
    };
    let limits = Limits {
        connections: table.connections.unwrap_or(defaults.connections),
        connections_by_address: table
            .connections_by_address
            .unwrap_or(defaults.connections_by_address),
        handshake: time("handshake", table.handshake, defaults.handshake)?,
        head: time("head", table.head, defaults.head)?,
        stall: time("stall", table.stall, defaults.stall)?,
        idle: time("idle", table.idle, defaults.idle)?,
        drain: time("drain", table.drain, defaults.drain)?,
    };
    if limits.connections == 0 || limits.connections_by_address == 0 {
        bail!("limits: with no connection nobody is served");
    }
    Ok(limits)
}

impl TlsTable {
    fn files(self, base: &Path) -> Files {
        Files {
            certificate: base.join(self.certificate),
            key: base.join(self.key),
            clients: self.clients.map(|clients| Clients {
                authority: base.join(clients.authority),
                revoked: clients.revoked.map(|revoked| base.join(revoked)),
                tokens: base.join(clients.tokens),
            }),
        }
    }
}

impl SyncTable {
    fn read(self, base: &Path) -> Result<Sync> {
        let every = parse_every(&self.every).context("sync.every")?;
        let token = self.token.map(|InFile { file }| secret(&base.join(file)));
        Ok(Sync { every, token: token.transpose().context("sync.token")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Configuration> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("secret"), "abc\n")?;
        let file = directory.path().join("isotherm.toml");
        std::fs::write(&file, text)?;
        Configuration::new(Given { file: Some(file), ..Given::default() }, &[])
    }

    #[test]
    fn a_file_says_all_of_it() {
        let text = r#"
            data = "/var/lib/isotherm"
            listen = ["127.0.0.1:3000", "[::1]:3000"]
            [variables]
            retention = "30d"
            session_key = { file = "secret" }
            [tls]
            certificate = "cert.pem"
            key = "/etc/key.pem"
            [limits]
            connections = 100
            idle = "2m"
            [sync]
            every = "10s"
            token = { file = "secret" }
        "#;
        let read = parsed(text).unwrap();
        assert_eq!(read.data, Path::new("/var/lib/isotherm"));
        assert_eq!(read.listen.len(), 2);
        assert_eq!((read.limits.connections, read.limits.idle.as_secs()), (100, 120));
        assert_eq!(read.variables["session_key"], "abc");
        assert_eq!(read.tls.unwrap().key, Path::new("/etc/key.pem"));
        assert_eq!(read.sync.unwrap().token.as_deref(), Some("abc"));
    }

    #[test]
    fn what_can_not_be_meant_is_named() {
        for (text, what) in [
            ("", "--data"),
            ("data = \"x\"\nlisten = \"3000\"", "listen \"3000\""),
            ("data = \"x\"\nlissten = \"127.0.0.1:1\"", "unknown field `lissten`"),
            ("data = \"x\"\n[limits]\nidle = \"soon\"", "limits.idle"),
            ("data = \"x\"\n[limits]\nconnections = 0", "nobody is served"),
            ("data = \"x\"\n[variables]\ntokens = { file = \"gone\" }", "variable tokens"),
            ("data = \"x\"\n[tls]\nkey = \"k\"", "missing field `certificate`"),
            ("data = \"x\"\n[sync]\nevery = \"10\"", "sync.every"),
        ] {
            let said = format!("{:#}", parsed(text).expect_err(what));
            assert!(said.contains(what), "{text}: {said}");
        }
    }

    #[test]
    fn arguments_go_before_the_environment_and_that_before_the_file() {
        let environment = |listen: &str| {
            vec![
                ("ISOTHERM_DATA".to_owned(), "of-environment".to_owned()),
                ("ISOTHERM_LISTEN".to_owned(), listen.to_owned()),
            ]
        };
        let given = Given { listen: vec!["127.0.0.1:1".to_owned()], ..Given::default() };
        let read = Configuration::new(given, &environment("127.0.0.1:2")).unwrap();
        assert_eq!(read.data, Path::new("of-environment"));
        assert_eq!(read.listen[0].port(), 1);
        let read = Configuration::new(Given::default(), &environment("127.0.0.1:2,127.0.0.1:3"));
        let ports: Vec<u16> = read.unwrap().listen.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [2, 3]);
    }
}
