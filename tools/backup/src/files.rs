//! Directories and files: made for their owner alone, on disk before they count, and locked.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::failure::{Failure, Kind};

/// The name of a backup: when it was made, in UTC, to the second.
const NAME: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// What a run makes before it is a backup, with the process's number behind it.
const PARTIAL: &str = ".partial-";

/// The name of a backup that is made now.
#[expect(clippy::disallowed_methods, reason = "a backup is called by the clock")]
pub(crate) fn name_now() -> Result<String, Failure> {
    let name = OffsetDateTime::now_utc().format(NAME);
    name.map_err(|error| Failure::new(Kind::Other, format!("the clock can't be read: {error}")))
}

/// When the backup of this name was made; `None` if it is none's.
pub(crate) fn time_of(name: &str) -> Option<OffsetDateTime> {
    let time = time::PrimitiveDateTime::parse(name, NAME).ok()?.assume_utc();
    // A year may be written with a sign, and is not in a name.
    name.starts_with(|first: char| first.is_ascii_digit()).then_some(time)
}

/// The backups in a directory, the oldest first.
pub(crate) fn backups(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok();
        let name = name.filter(|name| time_of(name).is_some());
        names.extend(name.filter(|_| entry.path().is_dir()));
    }
    names.sort_unstable();
    Ok(names)
}

/// A directory that is removed again unless the work on it is done.
pub(crate) struct Partial {
    path: PathBuf,
    is_done: bool,
}

impl Partial {
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(format!("{PARTIAL}{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| cannot_write(directory, &error))?;
        Ok(Self { path, is_done: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name.
    pub(crate) fn finish(mut self, as_path: &Path) -> Result<(), Failure> {
        std::fs::rename(&self.path, as_path).map_err(|error| cannot_write(as_path, &error))?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_done {
            // The next run removes what is left.
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

/// Removes what runs have left that were killed. The caller has the lock.
pub(crate) fn remove_partial(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a backup. It gets another name first, so that none is ever there in part.
pub(crate) fn remove_backup(directory: &Path, name: &str) -> io::Result<()> {
    let partial = directory.join(format!("{PARTIAL}{}", std::process::id()));
    std::fs::rename(directory.join(name), &partial)?;
    std::fs::remove_dir_all(&partial)
}

/// An empty file for its owner alone.
pub(crate) fn create(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|error| cannot_write(path, &error))
}

/// The only run in a directory. It is over when the process ends, whatever ends it.
pub(crate) struct Lock(#[expect(dead_code, reason = "it is held, and not read")] Flock<File>);

impl Lock {
    pub(crate) fn take(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(".lock");
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&path);
        let file = file.map_err(|error| cannot_write(directory, &error))?;
        hand_over(directory, &path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self(lock)),
            Err((_, Errno::EWOULDBLOCK)) => {
                let said = format!("another run is under way in {}", directory.display());
                Err(Failure::new(Kind::UnderWay, said))
            }
            Err((_, error)) => Err(cannot_write(directory, &error.into())),
        }
    }
}

/// What root makes belongs to the owner of the place.
pub(crate) fn hand_over(place: &Path, what: &Path) -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let given = std::fs::metadata(place)
        .and_then(|place| chown(what, Some(place.uid()), Some(place.gid())));
    given.map_err(|error| {
        let said = format!("{} can't be handed over: {error}", what.display());
        Failure::new(Kind::CannotWrite, said)
    })
}

/// Waits until a file, or the names in a directory, are on disk.
pub(crate) fn flush(path: &Path) -> Result<(), Failure> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    let said = |error| format!("{} can't be synced: {error}", path.display());
    synced.map_err(|error| Failure::new(Kind::CannotWrite, said(error)))
}

/// How much a user may still write there, in KiB.
pub(crate) fn free_kib(directory: &Path) -> Result<u64, Failure> {
    let asked = statvfs(directory).map_err(|error| cannot_write(directory, &error.into()))?;
    // Their width depends on the platform.
    #[allow(clippy::useless_conversion, reason = "32 bits on some platforms")]
    let (blocks, size) = (u64::from(asked.blocks_available()), u64::from(asked.fragment_size()));
    Ok(blocks.saturating_mul(size) / 1024)
}

pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Kind::CannotWrite, format!("{} can't be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_time_of_sixteen_characters_and_nothing_else() {
        assert!(time_of(&name_now().unwrap()).is_some());
        assert!(time_of("20261126T020417Z").is_some());
        for other in [
            "20261126T020417",
            "20261126T020417Z.old",
            "20261126",
            "notes",
            "",
            "+20261126T020417Z",
            "20261326T020417Z",
        ] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
