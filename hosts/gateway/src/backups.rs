//! Backups: by a command, and by a timer while it serves.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use isotherm_backup::{Failure, Kind, Made, Stores, Wanted, latest, make};
use isotherm_host::front::Counted;
use isotherm_host::log;
use isotherm_host::runtime_config::{self, DatabaseConfig, KeyValueConfig};

use crate::arguments::StoresGiven;
use crate::configuration::Backups;

/// After one that failed, the next is tried sooner.
const AGAIN_AFTER_A_FAILURE: Duration = Duration::from_secs(10 * 60);

/// How often it is looked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The two files of a configuration.
///
/// # Errors
///
/// A store on a server, which has its own means.
pub(crate) fn stores_of(stores: &runtime_config::Stores) -> Result<Stores> {
    let journal = match stores.key_value.get("default") {
        Some(KeyValueConfig::File(file)) => file,
        _ => bail!("the journal is in Redis: back it up with its own tools"),
    };
    let regions = match stores.sqlite.get("default") {
        Some(DatabaseConfig::File(file)) => file,
        _ => bail!("the regions are in libSQL: back them up with its own tools"),
    };
    Ok(Stores::new(journal, regions)?)
}

/// The files that the arguments name, or those of the configuration.
pub(crate) fn stores(
    given: StoresGiven,
    configured: impl FnOnce() -> Result<runtime_config::Stores>,
) -> Result<Stores> {
    match given {
        StoresGiven { journal: None, regions: None } => stores_of(&configured()?),
        StoresGiven { journal: Some(journal), regions: Some(regions) } => {
            Ok(Stores::new(&journal, &regions)?)
        }
        _ => bail!("--journal and --regions go together"),
    }
}

/// Makes a backup of these stores, and prints what it does.
pub(crate) fn backup(stores: Stores, backups: Option<Backups>) -> Result<ExitCode> {
    let backups = backups.context("where to? Give --to DIR")?;
    let wanted = Wanted { stores, to: backups.to, keep: backups.keep };
    match make(&wanted, &mut |line| println!("{line}")) {
        Ok(made) => {
            warn(&made.warnings);
            println!("{made}");
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => Ok(failed(&failure)),
    }
}

/// Says whether a backup is whole.
pub(crate) fn verify(backup: &Path) -> ExitCode {
    match isotherm_backup::verify(backup) {
        Ok(verified) => {
            warn(&verified.problems);
            warn(&verified.warnings);
            if !verified.problems.is_empty() {
                return ExitCode::from(Kind::Changed as u8);
            }
            println!("{} is whole: {}", verified.directory.display(), verified.in_short());
            ExitCode::SUCCESS
        }
        Err(failure) => failed(&failure),
    }
}

/// Puts a backup in the place of the stores.
pub(crate) fn restore(backup: &Path, stores: &Stores) -> ExitCode {
    match isotherm_backup::restore(backup, stores) {
        Ok(restored) => {
            warn(&restored.warnings);
            println!("{restored}");
            ExitCode::SUCCESS
        }
        Err(failure) => failed(&failure),
    }
}

fn warn(lines: &[String]) {
    for line in lines {
        eprintln!("isotherm-gateway: {line}");
    }
}

fn failed(failure: &Failure) -> ExitCode {
    for line in failure.to_string().lines() {
        eprintln!("isotherm-gateway: {line}");
    }
    ExitCode::from(failure.kind as u8)
}

/// Makes backups for as long as it serves.
pub(crate) struct Timer {
    wanted: Wanted,
    every: Duration,
    counted: Arc<Counted>,
    /// When the latest was made, of those that were there at the start.
    found: Option<SystemTime>,
}

impl Timer {
    /// # Errors
    ///
    /// A directory that is missing, or stores that are no files.
    pub(crate) fn new(
        backups: &Backups,
        stores: &runtime_config::Stores,
        counted: Arc<Counted>,
    ) -> Result<Self> {
        let found = latest(&backups.to)?.map(|latest| latest.made);
        if let Some(made) = found {
            counted.backup_found(made);
        }
        let Backups { to, every, keep } = backups.clone();
        let wanted = Wanted { stores: stores_of(stores)?, to, keep };
        Ok(Self { wanted, every, counted, found })
    }

    /// Makes one when the latest is as old as they are to be apart, however often it is started; and
    /// when it has run for as long, whatever the clock says.
    pub(crate) async fn run(self) {
        let mut begun = monotonic();
        let mut latest = self.found;
        let mut is_failed = false;
        loop {
            let since = begun.elapsed();
            let is_due = match is_failed {
                true => since >= self.every.min(AGAIN_AFTER_A_FAILURE),
                false => since >= self.every || self.is_old(latest),
            };
            // A node that nobody has asked anything yet has nothing to copy.
            if !is_due || !self.wanted.stores.are_there() {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            begun = monotonic();
            let wanted = self.wanted.clone();
            let made = tokio::task::spawn_blocking(move || make(&wanted, &mut |_| {})).await;
            is_failed = !self.note(made);
            latest = Some(now());
        }
    }

    /// Whether a backup of that time is too old, or there is none. A clock may be set in between, so
    /// this is asked again and again. One of a later date is not too old.
    fn is_old(&self, made: Option<SystemTime>) -> bool {
        let age = |made| now().duration_since(made).unwrap_or(Duration::ZERO);
        made.is_none_or(|made| age(made) >= self.every)
    }

    /// Says what came of it, and returns whether one was made.
    fn note(&self, made: Result<Result<Made, Failure>, tokio::task::JoinError>) -> bool {
        let said = match made {
            Ok(Ok(made)) => {
                self.counted.backup_made(now());
                made.warnings.iter().for_each(|warning| log::say(warning));
                log::say(&format!("a backup was made: {made}"));
                return true;
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(panicked) => panicked.to_string(),
        };
        self.counted.backup_failed();
        log::say(&format!("no backup was made: {said}"));
        false
    }
}

#[expect(clippy::disallowed_methods, reason = "the runtime's clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[expect(clippy::disallowed_methods, reason = "how long it has run")]
fn monotonic() -> Instant {
    Instant::now()
}
