//! Puts a backup in the place of the stores.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::copy::sha256;
use crate::failure::{Failure, Kind, one_line};
use crate::files::{self, Lock, cannot_write, flush, hand_over};
use crate::store::{Stores, Which, open};
use crate::verify::{Verified, verify};

/// What belongs to a file of SQLite. Of a sound one that nobody has open, SQLite has put the -wal
/// into the file by now.
const SUFFIXES: [&str; 3] = ["", "-shm", "-wal"];

/// How long another process may hold a lock before it counts as one that uses the file.
const IN_USE_AFTER: Duration = Duration::from_secs(1);

/// A backup that was put in place.
#[derive(Debug)]
pub struct Restored {
    /// What the operator should look at, a line each.
    pub warnings: Vec<String>,
    backup: PathBuf,
    in_short: String,
    taken: u64,
    aside: Vec<PathBuf>,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in place: {}", self.backup.display(), self.in_short)?;
        if self.taken > 0 {
            write!(f, "\n{} entries that waited are taken along", self.taken)?;
        }
        self.aside.iter().try_for_each(|file| write!(f, "\nwhat was there is {}", file.display()))
    }
}

/// A file of a restore, with what replaces it, and what it becomes.
struct Place {
    file: PathBuf,
    new: PathBuf,
    aside: PathBuf,
}

/// Verifies a backup, and puts it in the place of the stores, which nobody may have open. They are
/// moved aside, and nothing is deleted. What waits in the present journal is taken along.
///
/// # Errors
///
/// With one, the stores are what they were.
pub fn restore(backup: &Path, stores: &Stores) -> Result<Restored, Failure> {
    let verified = verify(backup)?;
    if !verified.problems.is_empty() {
        return Err(Failure::new(Kind::Changed, verified.problems.join("\n")));
    }
    // So that no run removes it meanwhile, if one can write there.
    let parent = verified.directory.parent();
    let lock = parent.map(Lock::take).transpose();
    let _lock = match lock {
        Err(failure) if failure.kind == Kind::UnderWay => return Err(failure),
        lock => lock.ok(),
    };
    refuse_if_in_use(stores)?;
    let places = places(stores)?;
    let (taken, mut warnings) = replace(&places, &verified, stores).map_err(|failure| {
        // What could not be undone is the operator's to do.
        let left: Vec<String> = places.iter().filter_map(|place| place.put_back().err()).collect();
        match left.is_empty() {
            true => failure,
            false => Failure::new(failure.kind, format!("{failure}\n{}", left.join("\n"))),
        }
    })?;
    warnings.splice(0..0, verified.warnings.clone());
    let aside = places.iter().map(|place| place.aside.clone());
    let aside = aside.filter(|aside| aside.exists()).collect();
    let in_short = verified.in_short();
    Ok(Restored { warnings, backup: verified.directory, in_short, taken, aside })
}

/// Puts the copies in place. Returns how many entries were taken along, and what the operator should
/// look at.
fn replace(
    places: &[Place; 2],
    verified: &Verified,
    stores: &Stores,
) -> Result<(u64, Vec<String>), Failure> {
    for (which, place) in Which::BOTH.into_iter().zip(places) {
        place.prepare(which, verified)?;
    }
    refuse_if_in_use(stores)?;
    let [journal, _] = places;
    let (taken, warning) = match journal.take_along() {
        Ok(taken) => (taken, None),
        Err(error) => {
            let (file, said) = (journal.aside.display(), one_line(&error.to_string()));
            (0, Some(format!("what waits in {file} can't be taken along: {said}")))
        }
    };
    flush(&journal.new)?;
    swap(places)?;
    for directory in places.iter().filter_map(|place| place.file.parent()) {
        flush(directory)?;
    }
    Ok((taken, warning.into_iter().collect()))
}

fn refuse_if_in_use(stores: &Stores) -> Result<(), Failure> {
    for file in Which::BOTH.map(|which| stores.file(which)) {
        if is_in_use(file) {
            let file = file.display();
            let said = format!("{file} is open: stop the service first (systemctl stop isotherm)");
            return Err(Failure::new(Kind::InUse, said));
        }
    }
    Ok(())
}

/// Whether a process has the file open. The first way sees all of them only with root's rights; the
/// second sees one that uses it in WAL mode, or has it locked.
fn is_in_use(file: &Path) -> bool {
    if !file.exists() {
        return false;
    }
    if has_descriptor(file) {
        return true;
    }
    let locked = open(file).and_then(|store| {
        store.busy_timeout(IN_USE_AFTER)?;
        store.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
    });
    let is_busy = |error: &rusqlite::Error| {
        let code = error.sqlite_error_code();
        matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    };
    locked.is_err_and(|error| is_busy(&error))
}

/// Processes end meanwhile, and those of others can't be looked at. Neither is a reason to stop.
fn has_descriptor(file: &Path) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let descriptors = processes.flatten().filter_map(|process| {
        let id = process.file_name();
        let is_process = id.to_str()?.bytes().all(|byte| byte.is_ascii_digit());
        let descriptors = is_process.then(|| std::fs::read_dir(process.path().join("fd")).ok());
        descriptors.flatten()
    });
    let mut links = descriptors.flatten().flatten().map(|link| std::fs::read_link(link.path()));
    links.any(|link| link.is_ok_and(|link| link == file))
}

impl Place {
    /// Copies the backup's file beside that of the store.
    fn prepare(&self, which: Which, verified: &Verified) -> Result<(), Failure> {
        use std::io::copy;
        for suffix in SUFFIXES {
            remove_if_there(&with(&self.new, suffix))
                .map_err(|error| cannot_write(&self.new, &error))?;
        }
        let from = verified.directory.join(which.file_name());
        let mut to = files::create(&self.new)?;
        std::fs::File::open(&from)
            .and_then(|mut from| copy(&mut from, &mut to))
            .map_err(|error| cannot_write(&self.new, &error))?;
        drop(to);
        let copied = sha256(&self.new).map_err(|error| cannot_write(&self.new, &error))?;
        if Some(copied.as_str()) != verified.facts.value(which, "sha256") {
            let said = format!("{} is not what was copied", self.new.display());
            return Err(Failure::new(Kind::CannotWrite, said));
        }
        // As the service had it: nothing else would set it again for the regions.
        let set = open(&self.new).and_then(|store| {
            store.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
        });
        let said = self.new.display().to_string();
        set.map_err(|error| Failure::of_sqlite(&said, &error))?;
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        let owner = if self.file.exists() { self.file.as_path() } else { directory };
        hand_over(owner, &self.new)?;
        flush(&self.new)
    }

    /// What waits in the journal that is there was acknowledged, and is in no backup. An entry that
    /// was counted already counts once. Tokens are as they are there: one that was revoked since
    /// the backup stays revoked. Returns how many entries were taken.
    fn take_along(&self) -> rusqlite::Result<u64> {
        if !self.file.exists() {
            return Ok(0);
        }
        let store: Connection = open(&self.new)?;
        store.execute("ATTACH ?1 AS present", [self.file.display().to_string()])?;
        let taken = store.execute(
            "INSERT OR IGNORE INTO main.spin_key_value
             SELECT store, key, value FROM present.spin_key_value WHERE store = 'default' AND
             (key >= 'journal/' AND key < 'journal0' OR key >= 'quarantine/' AND key < 'quarantine0'
              OR key >= 'correction/' AND key < 'correction0')",
            [],
        )?;
        store.execute(
            "DELETE FROM main.spin_key_value WHERE store = 'default' AND key >= 'token/'
             AND key < 'token0' AND EXISTS (SELECT 1 FROM present.spin_key_value
                                            WHERE key = 'tokens/1')",
            [],
        )?;
        store.execute(
            "INSERT OR REPLACE INTO main.spin_key_value
             SELECT store, key, value FROM present.spin_key_value WHERE store = 'default' AND
             (key >= 'token/' AND key < 'token0' OR key = 'tokens/1')",
            [],
        )?;
        Ok(u64::try_from(taken).unwrap_or(u64::MAX))
    }

    /// After a failure. Nothing is deleted that a service may have written to. An error says what is
    /// not as it was.
    fn put_back(&self) -> Result<(), String> {
        let (file, aside) = (self.file.display(), self.aside.display());
        if self.aside.exists() {
            if self.file.exists() {
                let suffix = format!(".not-restored-{}", std::process::id());
                move_with_what_belongs(&self.file, &with(&self.file, &suffix))
                    .map_err(|error| format!("{file} can't be moved away: {error}"))?;
            }
            move_with_what_belongs(&self.aside, &self.file)
                .map_err(|error| format!("{aside} can't be put back as {file}: {error}"))?;
        }
        for suffix in SUFFIXES {
            remove_if_there(&with(&self.new, suffix))
                .map_err(|error| format!("{} can't be removed: {error}", self.new.display()))?;
        }
        Ok(())
    }
}

fn places(stores: &Stores) -> Result<[Place; 2], Failure> {
    let now = files::name_now()?;
    let place = |which| {
        let file = stores.file(which).to_owned();
        let aside = with(&file, &format!(".before-{now}"));
        if let Some(directory) = file.parent().filter(|parent| !parent.is_dir()) {
            let said = format!("missing: {}", directory.display());
            return Err(Failure::new(Kind::Missing, said));
        }
        if aside.exists() {
            let said = format!("{} is there already", aside.display());
            return Err(Failure::new(Kind::Other, said));
        }
        Ok(Place { new: with(&file, ".restoring"), aside, file })
    };
    let [journal, regions] = Which::BOTH.map(place);
    Ok([journal?, regions?])
}

fn swap(places: &[Place; 2]) -> Result<(), Failure> {
    for Place { file, aside, .. } in places {
        move_with_what_belongs(file, aside).map_err(|error| {
            let said = format!("{} can't be moved aside: {error}", file.display());
            Failure::new(Kind::CannotWrite, said)
        })?;
    }
    for Place { file, new, aside } in places {
        // A service that was started meanwhile writes to what was moved, or made new ones.
        if file.exists() || is_in_use(aside) {
            let said = format!("{} was opened meanwhile: stop the service first", file.display());
            return Err(Failure::new(Kind::InUse, said));
        }
        std::fs::rename(new, file).map_err(|error| {
            let said = format!("{} can't be put in place: {error}", file.display());
            Failure::new(Kind::CannotWrite, said)
        })?;
    }
    Ok(())
}

fn move_with_what_belongs(from: &Path, to: &Path) -> io::Result<()> {
    for suffix in SUFFIXES {
        let from = with(from, suffix);
        if from.exists() {
            std::fs::rename(from, with(to, suffix))?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The path with this at its end.
fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}
