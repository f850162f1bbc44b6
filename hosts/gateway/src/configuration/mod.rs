//! The configuration: arguments before the environment, that before the file, that before the
//! defaults.

mod file;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use isotherm_host::beat::parse_every;
use isotherm_host::front::{Files, Limits};
use isotherm_host::log::Rotated;
use isotherm_host::runtime_config::Stores;

use self::file::{Listen, Table};

/// The file that is read where it is there, if none is named.
const USUAL_FILE: &str = "/etc/isotherm/isotherm.toml";

/// The most memory of an instance, which lives for one request.
const INSTANCE_MEMORY_BYTES: usize = 64 << 20;

/// How far backups are apart, and how many are kept.
const BACKUP_EVERY: &str = "24h";
const BACKUPS_KEPT: usize = 7;

/// What a start needs to know.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The directory of the stores.
    pub(crate) data: PathBuf,
    pub(crate) stores: Stores,
    /// Where it listens, unless systemd hands over sockets.
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Files>,
    /// Whether tokens may travel without TLS, or access be open, on other addresses than the
    /// machine's own.
    pub(crate) is_exposed: bool,
    /// The user that it is to be, once it listens.
    pub(crate) user: Option<String>,
    /// The application's variables, as they were set, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// Another application than the executable's.
    pub(crate) from: Option<PathBuf>,
    /// The key that has to have signed its components.
    pub(crate) key: Option<String>,
    pub(crate) instance_memory_bytes_max: usize,
    pub(crate) sync: Option<Sync>,
    pub(crate) backup: Option<Backups>,
    /// Where its log goes, if not to standard error.
    pub(crate) log: Option<Rotated>,
    pub(crate) ends_with_stdin: bool,
    pub(crate) has_faults: bool,
}

/// The timer of the exchange with peers.
#[derive(Debug)]
pub(crate) struct Sync {
    pub(crate) every: Duration,
    pub(crate) token: Option<String>,
}

/// Where backups go, and when.
#[derive(Clone, Debug)]
pub(crate) struct Backups {
    pub(crate) to: PathBuf,
    pub(crate) every: Duration,
    pub(crate) keep: usize,
}

/// What the command line has.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) file: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Vec<String>,
    pub(crate) is_exposed: bool,
    pub(crate) user: Option<String>,
    pub(crate) from: Option<PathBuf>,
    pub(crate) stores: Option<PathBuf>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) instance_memory_bytes_max: Option<usize>,
    pub(crate) backup: BackupsGiven,
    /// Whether it ends with its standard input: with the program that started it.
    pub(crate) ends_with_stdin: bool,
    pub(crate) has_faults: bool,
}

/// What the command line has of backups.
#[derive(Clone, Default)]
pub(crate) struct BackupsGiven {
    pub(crate) to: Option<PathBuf>,
    pub(crate) every: Option<String>,
    pub(crate) keep: Option<usize>,
}

/// The command line, the environment and the file.
pub(crate) struct Settings<'a> {
    given: Given,
    environment: &'a [(String, String)],
    file: Table,
    /// Where paths in the file begin.
    base: PathBuf,
}

impl<'a> Settings<'a> {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// One that was named and is missing, or one that can't be read.
    pub(crate) fn new(given: Given, environment: &'a [(String, String)]) -> Result<Self> {
        let named = given.file.clone().or(of(environment, "ISOTHERM_CONFIG").map(Into::into));
        let (path, is_usual) = match named {
            Some(path) => (path, false),
            None => (PathBuf::from(USUAL_FILE), true),
        };
        let file = match is_usual && !path.exists() {
            true => Table::default(),
            false => Table::read(&path).with_context(|| path.display().to_string())?,
        };
        let base = path.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self { given, environment, file, base })
    }

    fn data(&self) -> Result<PathBuf> {
        let given = self.given.data.clone();
        let data = given.or(of(self.environment, "ISOTHERM_DATA").map(Into::into));
        let data = data.or(self.file.data.as_ref().map(|data| self.base.join(data)));
        data.context("where are its readings to be? Give --data DIR")
    }

    /// Where the stores are: as a runtime configuration says, or two files of the usual names.
    pub(crate) fn stores(&self) -> Result<Stores> {
        let file = self.file.stores.as_ref().map(|stores| self.base.join(stores));
        match self.given.stores.clone().or(file) {
            Some(file) => Stores::read(Some(&file), &self.data()?),
            None => Ok(Stores::below(&self.data()?)),
        }
    }

    /// Where backups go, and when; `None` if nobody said so.
    pub(crate) fn backups(&self) -> Result<Option<Backups>> {
        let BackupsGiven { to, every, keep } = self.given.backup.clone();
        let file = self.file.backup.clone().unwrap_or_default();
        let Some(to) = to.or(file.to.map(|to| self.base.join(to))) else {
            if every.is_some() || file.every.is_some() {
                anyhow::bail!("backups: where to? Give --backup DIR, or [backup] its `to`");
            }
            return Ok(None);
        };
        let every = every.or(file.every).unwrap_or_else(|| BACKUP_EVERY.to_owned());
        let every = parse_every(&every).context("backup.every")?;
        let keep = keep.or(file.keep).unwrap_or(BACKUPS_KEPT);
        if keep == 0 {
            anyhow::bail!("backup.keep: at least one has to be kept");
        }
        Ok(Some(Backups { to, every, keep }))
    }

    fn listen(&self) -> Result<Vec<SocketAddr>> {
        let texts = match (self.given.listen.as_slice(), of(self.environment, "ISOTHERM_LISTEN")) {
            ([], Some(text)) => text.split(',').map(|one| one.trim().to_owned()).collect(),
            ([], None) => match &self.file.listen {
                Some(Listen::One(one)) => vec![one.clone()],
                Some(Listen::Several(several)) => several.clone(),
                None => vec!["127.0.0.1:3000".to_owned()],
            },
            (given, _) => given.to_vec(),
        };
        texts.iter().map(|text| address(text)).collect()
    }
}

impl Configuration {
    /// # Errors
    ///
    /// What can't be read, is not known, or can't be meant, with where it is.
    pub(crate) fn new(settings: Settings<'_>) -> Result<Self> {
        let (data, stores) = (settings.data()?, settings.stores()?);
        let (listen, backup) = (settings.listen()?, settings.backups()?);
        let Settings { given, file, base, .. } = settings;
        let mut variables = file.variables(&base)?;
        variables.extend(given.variables);
        Ok(Self {
            data,
            stores,
            listen,
            limits: file.limits.read()?,
            tls: file.tls.map(|tls| tls.files(&base)),
            is_exposed: given.is_exposed || file.exposed,
            user: given.user.or(file.user),
            variables,
            from: given.from.or(file.application.from.map(|from| base.join(from))),
            key: file.application.key,
            instance_memory_bytes_max: given
                .instance_memory_bytes_max
                .or(file.instance_memory_bytes)
                .unwrap_or(INSTANCE_MEMORY_BYTES),
            sync: file.sync.map(|sync| sync.read(&base)).transpose()?,
            backup,
            log: file.log.map(|log| log.read(&base)).transpose()?,
            ends_with_stdin: given.ends_with_stdin,
            has_faults: given.has_faults,
        })
    }
}

/// A variable of the environment.
fn of(environment: &[(String, String)], name: &str) -> Option<String> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// The address of a text like `127.0.0.1:3000` or `localhost:3000`.
fn address(text: &str) -> Result<SocketAddr> {
    let wanted = || format!("listen {text:?}: an address like 127.0.0.1:3000 is needed");
    let mut found = text.to_socket_addrs().with_context(wanted)?;
    found.next().with_context(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Configuration> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("secret"), "abc\n")?;
        let file = directory.path().join("isotherm.toml");
        std::fs::write(&file, text)?;
        Configuration::new(Settings::new(Given { file: Some(file), ..Given::default() }, &[])?)
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
            [backup]
            to = "copies"
            every = "6h"
        "#;
        let read = parsed(text).unwrap();
        assert_eq!(read.data, Path::new("/var/lib/isotherm"));
        assert_eq!(read.listen.len(), 2);
        assert_eq!((read.limits.connections, read.limits.idle.as_secs()), (100, 120));
        assert_eq!(read.variables["session_key"], "abc");
        assert_eq!(read.tls.unwrap().key, Path::new("/etc/key.pem"));
        assert_eq!(read.sync.unwrap().token.as_deref(), Some("abc"));
        let backup = read.backup.unwrap();
        assert_eq!((backup.every.as_secs(), backup.keep), (6 * 3_600, 7));
        assert!(backup.to.is_absolute() && backup.to.ends_with("copies"), "{backup:?}");
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
            ("data = \"x\"\n[log]\nfile = \"y\"\nsize = \"10\"", "log.size"),
            ("data = \"x\"\n[log]\nfile = \"y\"\nsize = \"0MB\"", "log.size"),
            ("data = \"x\"\n[backup]\nevery = \"6h\"", "where to?"),
            ("data = \"x\"\n[backup]\nto = \"y\"\nevery = \"often\"", "backup.every"),
            ("data = \"x\"\n[backup]\nto = \"y\"\nkeep = 0", "backup.keep"),
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
        let read =
            |given, listen: &str| Configuration::new(Settings::new(given, &environment(listen))?);
        let both = read(given, "127.0.0.1:2").unwrap();
        assert_eq!(both.data, Path::new("of-environment"));
        assert_eq!(both.listen[0].port(), 1);
        let listen = read(Given::default(), "127.0.0.1:2,127.0.0.1:3").unwrap().listen;
        let ports: Vec<u16> = listen.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [2, 3]);
    }
}
