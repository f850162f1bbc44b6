//! Whether a backup is what was made.

use std::path::{Path, PathBuf};

use crate::copy::{facts, is_in_wal_mode, what_is_wrong};
use crate::failure::{Failure, Kind};
use crate::manifest::{self, Facts};
use crate::store::Which;

/// What was found out about a backup.
#[derive(Debug)]
pub struct Verified {
    /// Its directory.
    pub directory: PathBuf,
    /// What is wrong with it, a line each. It is whole if there is none.
    pub problems: Vec<String>,
    /// What the operator should look at, a line each.
    pub warnings: Vec<String>,
    pub(crate) facts: Facts,
}

impl Verified {
    /// `2 entries in the journal, 184320 readings counted`.
    pub fn in_short(&self) -> String {
        self.facts.in_short()
    }
}

/// Reads all of a backup, and compares it with its manifest.
///
/// # Errors
///
/// The directory is missing. What is wrong with what is in it is no error.
pub fn verify(backup: &Path) -> Result<Verified, Failure> {
    let missing = || Failure::new(Kind::Missing, format!("missing: {}", backup.display()));
    let directory = std::fs::canonicalize(backup).ok().filter(|path| path.is_dir());
    let directory = directory.ok_or_else(missing)?;
    let mut problems = Vec::new();
    let noted = match std::fs::read_to_string(directory.join(manifest::FILE_NAME)) {
        Ok(text) => {
            if text.lines().next() != Some(manifest::HEAD) {
                problems.push("manifest.txt is of another version of this program".to_owned());
            }
            Some(Facts::parse(&text))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            problems.push("manifest.txt is missing: this program did not make this".to_owned());
            None
        }
        Err(error) => {
            problems.push(format!("manifest.txt can't be read: {error}"));
            None
        }
    };
    let mut known = Facts::default();
    for which in Which::BOTH {
        match verify_file(&directory, which, &mut problems) {
            Ok(Some(found)) => {
                compare(&found, noted.as_ref(), which, &mut problems);
                known.extend(found);
            }
            Ok(None) => {}
            Err(failure) => problems.push(failure.to_string()),
        }
    }
    let warnings = known.behind().into_iter().collect();
    Ok(Verified { directory, problems, warnings, facts: known })
}

/// The facts of a copy; `None` if it can't be read, and then there is a problem.
fn verify_file(
    directory: &Path,
    which: Which,
    problems: &mut Vec<String>,
) -> Result<Option<Facts>, Failure> {
    let name = which.file_name();
    let file = directory.join(name);
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    if bytes(&file) == 0 {
        problems.push(format!("{name} is missing, or empty"));
        return Ok(None);
    }
    match is_in_wal_mode(&file) {
        Ok(false) => {}
        Ok(true) => problems.push(format!(
            "{name} is in WAL mode: a plain copy, and none that this program made. Without its \
             -wal it lacks what was committed last"
        )),
        Err(error) => problems.push(format!("{name} can't be read: {error}")),
    }
    for suffix in ["-wal", "-journal"] {
        let beside = format!("{name}{suffix}");
        if bytes(&directory.join(&beside)) > 0 {
            problems.push(format!("{beside} is there: this program leaves none"));
        }
    }
    if let Some(wrong) = what_is_wrong(&file, which) {
        problems.push(format!("{name} {wrong}"));
        return Ok(None);
    }
    facts(&file, which).map(Some)
}

fn compare(found: &Facts, noted: Option<&Facts>, which: Which, problems: &mut Vec<String>) {
    let Some(noted) = noted else { return };
    for fact in found.iter() {
        let was = noted.value(which, &fact.what);
        if was != Some(fact.value.as_str()) {
            let (file, what, is) = (&fact.file, &fact.what, &fact.value);
            let was = was.unwrap_or("not noted");
            problems
                .push(format!("{file}: {what} is {is}, and was {was} when the backup was made"));
        }
    }
}
