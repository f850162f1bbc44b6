//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::configuration::Given;

pub(crate) const USAGE: &str = "\
Isotherm: temperature readings in, averages out.

isotherm-gateway --data DIR [--listen 127.0.0.1:3000]...   serves it
isotherm-gateway check [the same]                          says what is wrong before it starts
isotherm-gateway backup [the same] [--to DIR] [--keep 7]   copies both stores, in DIR/<UTC date>
isotherm-gateway backup --verify BACKUP                    says whether a backup is whole
isotherm-gateway restore BACKUP [the same]                 puts it in the place of the stores
isotherm-gateway fleet [--ports-from 3000] [--state-dir DIR] [--keep]
                                           a hub and three gateways here, to try out
isotherm-gateway token --scope SCOPE... [--id ID]          makes a token for access control
isotherm-gateway import FILE [--url URL]                   sends the readings of a CSV file
isotherm-gateway export --out FILE [--url URL]             writes readings to a file

  --config FILE             isotherm.toml; /etc/isotherm/isotherm.toml if it is there
  --variable NAME=VALUE     of the application, in place of the file's
  --backup DIR [--every 24h] [--keep 7]
                            makes backups while it serves, and keeps the newest ones
  --exposed                 listens where others reach it, without access control or TLS, too
  --user NAME               becomes this user once it listens, if root starts it
  --runtime-config-file FILE  where the stores are, as Spin has it, if not in DIR
  --from spin.toml          another application than the one in this file; isotherm-compile has
                            to be beside it
  --max-instance-memory BYTES  the most memory of a request; 64 MiB

In the environment: ISOTHERM_CONFIG, ISOTHERM_DATA, ISOTHERM_LISTEN, and the application's
variables, as ISOTHERM_RETENTION or SPIN_VARIABLE_RETENTION. Arguments go before the
environment, and that before the file.

SIGTERM ends it when what is under way is answered; SIGHUP has it read its certificate again.";

/// What is to be done.
pub(crate) enum Command {
    Serve,
    Check,
    Backup(StoresGiven),
    Verify(PathBuf),
    Restore(PathBuf, StoresGiven),
    Help,
}

/// The two files, in place of a configuration.
#[derive(Default)]
pub(crate) struct StoresGiven {
    pub(crate) journal: Option<PathBuf>,
    pub(crate) regions: Option<PathBuf>,
}

/// Which command it is, before all of its arguments are known.
enum Word {
    Serve,
    Check,
    Backup,
    Restore,
}

/// What a command alone has.
#[derive(Default)]
struct Own {
    stores: StoresGiven,
    verify: Option<PathBuf>,
    backup: Option<PathBuf>,
    to: Option<PathBuf>,
}

/// The command, and what it may have in common with a start.
pub(crate) fn parse() -> Result<(Command, Given)> {
    use lexopt::prelude::*;
    let (mut word, mut given, mut own) = (Word::Serve, Given::default(), Own::default());
    let mut is_first = true;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(first) if is_first && first == "check" => word = Word::Check,
            Value(first) if is_first && first == "backup" => word = Word::Backup,
            Value(first) if is_first && first == "restore" => word = Word::Restore,
            Value(path) if matches!(word, Word::Restore) && own.backup.is_none() => {
                own.backup = Some(path.into());
            }
            Long("config") => given.file = Some(parser.value()?.into()),
            Long("data") => given.data = Some(parser.value()?.into()),
            Long("listen") => given.listen.push(parser.value()?.string()?),
            Short('f') | Long("from") => given.from = Some(parser.value()?.into()),
            Long("runtime-config-file") => given.stores = Some(parser.value()?.into()),
            Long("variable") => {
                let text = parser.value()?.string()?;
                let (name, value) = text.split_once('=').context("--variable NAME=VALUE")?;
                given.variables.push((name.to_owned(), value.to_owned()));
            }
            Long("exposed") => given.is_exposed = true,
            Long("user") => given.user = Some(parser.value()?.string()?),
            Long("max-instance-memory") => {
                given.instance_memory_bytes_max = Some(parser.value()?.parse()?);
            }
            Long("backup") => given.backup.to = Some(parser.value()?.into()),
            Long("every") => given.backup.every = Some(parser.value()?.string()?),
            Long("keep") => given.backup.keep = Some(parser.value()?.parse()?),
            Long("to") => own.to = Some(parser.value()?.into()),
            Long("verify") => own.verify = Some(parser.value()?.into()),
            Long("journal") => own.stores.journal = Some(parser.value()?.into()),
            Long("regions") => own.stores.regions = Some(parser.value()?.into()),
            Long("end-with-stdin") => given.ends_with_stdin = true,
            // For the tests, as `isotherm-host` has it: every client may make the stores fail. What
            // people get does not know it.
            Long("faults") if cfg!(debug_assertions) => given.has_faults = true,
            Short('h') | Long("help") => return Ok((Command::Help, given)),
            other => bail!("{}\n\n{USAGE}", other.unexpected()),
        }
        is_first = false;
    }
    let command = command(word, own, &mut given)?;
    Ok((command, given))
}

/// An argument that the command has no use for ends it, so that none is thought to have been heeded.
fn command(word: Word, own: Own, given: &mut Given) -> Result<Command> {
    let Own { stores, verify, backup, to } = own;
    let has_stores = stores.journal.is_some() || stores.regions.is_some();
    let is_of_backup = matches!(word, Word::Backup);
    if has_stores && !matches!(word, Word::Backup | Word::Restore) {
        bail!("--journal and --regions are for backup and restore");
    }
    if verify.is_some() && !is_of_backup {
        bail!("--verify is for backup");
    }
    if to.is_some() && !is_of_backup {
        bail!("--to is for backup");
    }
    Ok(match word {
        Word::Serve => Command::Serve,
        Word::Check => Command::Check,
        Word::Backup => match verify {
            Some(backup) => Command::Verify(backup),
            None => {
                given.backup.to = to.or(given.backup.to.take());
                Command::Backup(stores)
            }
        },
        Word::Restore => Command::Restore(backup.context("restore BACKUP")?, stores),
    })
}
