//! `isotherm.toml`. Paths in it begin in its directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use isotherm_host::beat::parse_every;
use isotherm_host::front::{Clients, Files, Limits};
use isotherm_host::log::Rotated;
use serde::Deserialize;

use super::Sync;

/// `isotherm.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {
    pub(super) data: Option<PathBuf>,
    pub(super) listen: Option<Listen>,
    pub(super) exposed: bool,
    pub(super) user: Option<String>,
    pub(super) stores: Option<PathBuf>,
    pub(super) instance_memory_bytes: Option<usize>,
    pub(super) variables: BTreeMap<String, Value>,
    pub(super) application: ApplicationTable,
    pub(super) tls: Option<TlsTable>,
    pub(super) limits: LimitsTable,
    pub(super) sync: Option<SyncTable>,
    pub(super) backup: Option<BackupTable>,
    pub(super) log: Option<LogTable>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Listen {
    One(String),
    Several(Vec<String>),
}

/// A variable: its value, or the file that has it, for what is secret.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    File(InFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InFile {
    file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ApplicationTable {
    pub(super) from: Option<PathBuf>,
    pub(super) key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<ClientsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientsTable {
    authority: PathBuf,
    revoked: Option<PathBuf>,
    tokens: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    connections: Option<usize>,
    connections_by_address: Option<usize>,
    handshake: Option<String>,
    head: Option<String>,
    stall: Option<String>,
    idle: Option<String>,
    drain: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BackupTable {
    pub(super) to: Option<PathBuf>,
    pub(super) every: Option<String>,
    pub(super) keep: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogTable {
    file: PathBuf,
    /// Of each file, like `10MB`.
    #[serde(default = "LogTable::usual_size")]
    size: String,
    #[serde(default = "LogTable::usual_number")]
    keep: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncTable {
    every: String,
    token: Option<InFile>,
}

impl Table {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).context("it can't be read")?;
        Ok(toml::from_str(&text)?)
    }

    /// The application's variables, by name.
    pub(super) fn variables(&self, base: &Path) -> Result<BTreeMap<String, String>> {
        let value = |(name, value): (&String, &Value)| {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::File(InFile { file }) => {
                    secret(&base.join(file)).with_context(|| format!("variable {name}"))?
                }
            };
            Ok((name.clone(), value))
        };
        self.variables.iter().map(value).collect()
    }
}

/// The content of a file without the newline at its end. It is never part of an error.
fn secret(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} can't be read", path.display()))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

impl LimitsTable {
    pub(super) fn read(self) -> Result<Limits> {
        let defaults = Limits::default();
        let time = |name: &str, text: Option<String>, default: Duration| match text {
            None => Ok(default),
            Some(text) => parse_every(&text).with_context(|| format!("limits.{name}")),
        };
        let limits = Limits {
            connections: self.connections.unwrap_or(defaults.connections),
            connections_by_address: self
                .connections_by_address
                .unwrap_or(defaults.connections_by_address),
            handshake: time("handshake", self.handshake, defaults.handshake)?,
            head: time("head", self.head, defaults.head)?,
            stall: time("stall", self.stall, defaults.stall)?,
            idle: time("idle", self.idle, defaults.idle)?,
            drain: time("drain", self.drain, defaults.drain)?,
        };
        if limits.connections == 0 || limits.connections_by_address == 0 {
            bail!("limits: with no connection nobody is served");
        }
        Ok(limits)
    }
}

impl TlsTable {
    pub(super) fn files(self, base: &Path) -> Files {
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

impl LogTable {
    fn usual_size() -> String {
        "10MB".to_owned()
    }

    fn usual_number() -> usize {
        4
    }

    pub(super) fn read(self, base: &Path) -> Result<Rotated> {
        let wanted = || format!("log.size {:?}: a number with kB or MB is needed", self.size);
        let (number, unit) = match self.size.strip_suffix("MB") {
            Some(number) => (number, 1_000_000),
            None => (self.size.strip_suffix("kB").with_context(wanted)?, 1_000),
        };
        let number: usize = number.trim_end().parse().ok().with_context(wanted)?;
        let bytes = number.checked_mul(unit).filter(|bytes| *bytes > 0).with_context(wanted)?;
        Ok(Rotated { file: base.join(&self.file), bytes, keep: self.keep })
    }
}

impl SyncTable {
    pub(super) fn read(self, base: &Path) -> Result<Sync> {
        let every = parse_every(&self.every).context("sync.every")?;
        let token = self.token.map(|InFile { file }| secret(&base.join(file)));
        Ok(Sync { every, token: token.transpose().context("sync.token")? })
    }
}
