//! Makes a backup.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::copy::{facts, what_is_wrong};
use crate::failure::{Failure, Kind};
use crate::files::{self, Lock, Partial, cannot_write, flush, hand_over};
use crate::manifest::{self, Facts};
use crate::store::{Stores, Which, number, open};

/// How long to wait for a name that no other backup has.
const NEXT_SECOND: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What is copied.
    pub stores: Stores,
    /// The directory of the backups. It is not made here: it may be where a disk is to be mounted.
    pub to: PathBuf,
    /// How many backups are kept, at least 1, with this one.
    pub keep: usize,
}

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    /// Its directory.
    pub directory: PathBuf,
    /// What the operator should look at, a line each.
    pub warnings: Vec<String>,
    facts: Facts,
}

/// `DIR/20261126T020417Z: 2 entries in the journal, 184320 readings counted, 3120 KiB`.
impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = Which::BOTH.map(|which| self.facts.number(which, "bytes"));
        let kib = bytes.iter().sum::<u64>() / 1024;
        write!(f, "{}: {}, {kib} KiB", self.directory.display(), self.facts.in_short())
    }
}

/// Copies both stores, checks the copies, and removes the oldest backups beyond those to keep. The
/// stores may be in use. `say` takes a line of progress.
///
/// # Errors
///
/// With one, the backups are those that were there before; or, if it says so, one is complete, and
/// an older one could not be removed.
pub fn make(wanted: &Wanted, say: &mut dyn FnMut(&str)) -> Result<Made, Failure> {
    let Wanted { stores, to, keep } = wanted;
    if *keep == 0 {
        return Err(Failure::new(Kind::Arguments, "at least one backup has to be kept"));
    }
    let to = std::fs::canonicalize(to).ok().filter(|to| to.is_dir()).ok_or_else(|| {
        let said = format!("missing: {}, the directory for backups", to.display());
        Failure::new(Kind::Missing, said)
    })?;
    let _lock = Lock::take(&to)?;
    files::remove_partial(&to).map_err(|error| cannot_write(&to, &error))?;
    for file in Which::BOTH.map(|which| stores.file(which)) {
        if !file.is_file() {
            return Err(Failure::new(Kind::Missing, format!("missing: {}", file.display())));
        }
    }
    check_room(stores, &to)?;

    let name = free_name(&to)?;
    let partial = Partial::new(&to)?;
    let mut known = Facts::default();
    for which in Which::BOTH {
        copy(stores.file(which), partial.path(), which, say)?;
        known.extend(facts(&partial.path().join(which.file_name()), which)?);
    }
    write_manifest(partial.path(), &name, &known)?;
    let files = Which::BOTH.map(Which::file_name).into_iter().chain([manifest::FILE_NAME]);
    for file in files.map(|file| partial.path().join(file)) {
        hand_over(&to, &file)?;
        flush(&file)?;
    }
    hand_over(&to, partial.path())?;
    flush(partial.path())?;
    let directory = to.join(&name);
    partial.finish(&directory)?;
    flush(&to)?;

    let mut warnings: Vec<String> = known.behind().into_iter().collect();
    let there = files::backups(&to).map_err(|error| cannot_write(&to, &error))?;
    let later = there.iter().filter(|other| **other > name);
    warnings.extend(
        later.map(|other| format!("{other} is of a later date than now: look after the clock")),
    );
    remove_old(&to, &there, &name, *keep)?;
    Ok(Made { directory, warnings, facts: known })
}

/// A backup that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Its directory.
    pub directory: PathBuf,
    /// When it was made, by its name.
    pub made: SystemTime,
}

/// The latest backup in a directory; `None` if there is none.
///
/// # Errors
///
/// The directory can't be read.
pub fn latest(to: &Path) -> Result<Option<Latest>, Failure> {
    let said = |error| format!("missing: {}, the directory for backups: {error}", to.display());
    let names = files::backups(to).map_err(|error| Failure::new(Kind::Missing, said(error)))?;
    Ok(names.last().and_then(|name| {
        let made = SystemTime::from(files::time_of(name)?);
        Some(Latest { directory: to.join(name), made })
    }))
}

/// A disk that it fills would keep the service from writing, too.
fn check_room(stores: &Stores, to: &Path) -> Result<(), Failure> {
    const KIB_IN_USE: &str = "SELECT (page_count - freelist_count) * page_size / 1024 + 1 \
        FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    let mut needed = 0;
    for which in Which::BOTH {
        let file = stores.file(which);
        let asked = open(file).and_then(|store| number(&store, KIB_IN_USE));
        let said = format!("{} can't be read", file.display());
        let kib = asked.map_err(|error| Failure::of_sqlite(&said, &error))?;
        needed += u64::try_from(kib).unwrap_or(0);
    }
    let free = files::free_kib(to)?;
    if free < needed {
        let said = format!("{} has {free} KiB free, and a copy may need {needed}", to.display());
        return Err(Failure::new(Kind::CannotWrite, said));
    }
    Ok(())
}

fn free_name(to: &Path) -> Result<String, Failure> {
    loop {
        let name = files::name_now()?;
        if !to.join(&name).exists() {
            return Ok(name);
        }
        std::thread::sleep(NEXT_SECOND);
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a copy takes is told")]
fn copy(
    file: &Path,
    directory: &Path,
    which: Which,
    say: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let name = which.file_name();
    let copied = directory.join(name);
    say(&format!("copying {}", file.display()));
    let began = Instant::now();
    // SQLite takes an empty file as none, and this one is nobody else's to read.
    drop(files::create(&copied)?);
    let into = copied.to_str().ok_or_else(|| {
        Failure::new(Kind::Arguments, format!("{} is no UTF-8", copied.display()))
    })?;
    let said = format!("{} was not copied", file.display());
    open(file)
        .and_then(|store| store.execute("VACUUM INTO ?1", [into]))
        .map_err(|error| Failure::of_sqlite(&said, &error))?;
    let bytes = std::fs::metadata(&copied).map_err(|error| cannot_write(&copied, &error))?.len();
    let seconds = began.elapsed().as_secs();
    say(&format!("{name}: {bytes} bytes copied in {seconds} s, checking them"));
    match what_is_wrong(&copied, which) {
        None => Ok(()),
        Some(wrong) => Err(Failure::new(Kind::Damaged, format!("{} {wrong}", file.display()))),
    }
}

fn write_manifest(directory: &Path, name: &str, known: &Facts) -> Result<(), Failure> {
    use std::io::Write as _;
    let path = directory.join(manifest::FILE_NAME);
    let text = format!("{}\nmade {name}\n{known}", manifest::HEAD);
    files::create(&path)?.write_all(text.as_bytes()).map_err(|error| cannot_write(&path, &error))
}

fn remove_old(to: &Path, there: &[String], made: &str, keep: usize) -> Result<(), Failure> {
    let excess = there.len().saturating_sub(keep);
    for old in there.iter().filter(|name| *name != made).take(excess) {
        files::remove_backup(to, old).map_err(|error| {
            let (made, old) = (to.join(made), to.join(old));
            let (made, old) = (made.display(), old.display());
            let said = format!("{made} is complete, but {old} can't be removed: {error}");
            Failure::new(Kind::CannotWrite, said)
        })?;
    }
    Ok(())
}
