//! A copy of a store: whether it is one, and what is in it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use crate::failure::{Failure, Kind, one_line};
use crate::manifest::Facts;
use crate::store::{Which, number, open_copy};

/// The tables of the database, and the schema version that each group came with.
const TABLES_OF_REGIONS: [(i64, &[&str]); 7] = [
    (1, &["devices", "regions", "ledger", "windows", "conflicts", "tallies"]),
    (3, &["device_windows", "histograms"]),
    (5, &["region_devices"]),
    (6, &["device_settings", "limits", "corrections", "aliases", "renamings"]),
    (7, &["node", "peers", "batches", "outbox", "aside", "senders", "received", "lease"]),
    (8, &["numbers", "sources"]),
    (9, &["sender_regions"]),
];

/// The key of the newest snapshot in the journal says after how many folds it was made.
const FOLDS_SEEN: &str = "\
    SELECT ifnull((SELECT CAST(substr(key, instr(key, '-') + 1) AS INTEGER) FROM spin_key_value
        WHERE store = 'default' AND key >= 'snapshot/2/' AND key < 'snapshot/20'
        ORDER BY CAST(substr(key, 12) AS INTEGER) DESC LIMIT 1), 0)";
const FOLDS: &str = "SELECT ifnull((SELECT value FROM tallies WHERE name = 'folds'), 0)";
const READINGS: &str = "SELECT ifnull(sum(readings), 0) FROM windows WHERE span = 0";

/// What is wrong with a copy of that store, in words that go behind its name; `None` if nothing is.
pub(crate) fn what_is_wrong(file: &Path, which: Which) -> Option<String> {
    let damaged = |error: rusqlite::Error| format!("is damaged: {}", one_line(&error.to_string()));
    match check(file, which) {
        Ok(wrong) => wrong,
        Err(error) => Some(damaged(error)),
    }
}

fn check(file: &Path, which: Which) -> rusqlite::Result<Option<String>> {
    let copy = open_copy(file)?;
    let said: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Ok(Some(format!("is damaged: {}", one_line(&said))));
    }
    let (tables, of) = match which {
        Which::Journal => (vec!["spin_key_value"], String::new()),
        Which::Regions => {
            let version = number(&copy, "PRAGMA user_version")?;
            (tables_of_regions(version), format!(" (schema version {version})"))
        }
    };
    for table in tables {
        let is_there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
        if copy.query_row(is_there, [table], |row| row.get::<_, i64>(0))? != 1 {
            return Ok(Some(format!("has no table {table}{of}")));
        }
    }
    Ok(None)
}

fn tables_of_regions(version: i64) -> Vec<&'static str> {
    // Even of a file without a version those of the first are asked for: it is none of ours.
    let groups = TABLES_OF_REGIONS.iter().filter(|(since, _)| *since <= version.max(1));
    groups.flat_map(|(_, tables)| *tables).copied().collect()
}

/// What the manifest says of a copy.
pub(crate) fn facts(file: &Path, which: Which) -> Result<Facts, Failure> {
    let mut facts = Facts::default();
    let unreadable = |error: io::Error| {
        Failure::new(Kind::Missing, format!("{} can't be read: {error}", file.display()))
    };
    facts.add(which, "bytes", std::fs::metadata(file).map_err(unreadable)?.len());
    facts.add(which, "sha256", sha256(file).map_err(unreadable)?);
    let counted = open_copy(file).and_then(|copy| count(&copy, which, &mut facts));
    let said = format!("{} can't be counted", file.display());
    counted.map_err(|error| Failure::of_sqlite(&said, &error))?;
    Ok(facts)
}

fn count(copy: &Connection, which: Which, facts: &mut Facts) -> rusqlite::Result<()> {
    let keys = |prefix: &str| {
        let query = format!(
            "SELECT count(*) FROM spin_key_value WHERE store = 'default' \
             AND key >= '{prefix}/' AND key < '{prefix}0'"
        );
        number(copy, &query)
    };
    match which {
        Which::Journal => {
            facts.add(which, "entries", keys("journal")?);
            facts.add(which, "quarantined", keys("quarantine")?);
            facts.add(which, "folds_seen", number(copy, FOLDS_SEEN)?);
        }
        Which::Regions => {
            facts.add(which, "schema", number(copy, "PRAGMA user_version")?);
            facts.add(which, "regions", number(copy, "SELECT count(*) FROM regions")?);
            facts.add(which, "devices", number(copy, "SELECT count(*) FROM devices")?);
            facts.add(which, "readings", number(copy, READINGS)?);
            facts.add(which, "folds", number(copy, FOLDS)?);
        }
    }
    Ok(())
}

/// The SHA-256 of a file, in hex digits.
pub(crate) fn sha256(file: &Path) -> io::Result<String> {
    let (mut file, mut digest) = (File::open(file)?, Sha256::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        digest.update(buffer.get(..count).unwrap_or_default());
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether the file's header says that it is in WAL mode (byte 18, the version for writing: 2). A
/// copy that VACUUM INTO made never is; one that `cp` made is, and says nothing about what was in
/// the -wal beside it. <https://www.sqlite.org/fileformat2.html>, "File format version numbers".
pub(crate) fn is_in_wal_mode(file: &Path) -> io::Result<bool> {
    let mut head = [0; 19];
    match File::open(file)?.read_exact(&mut head) {
        Ok(()) => Ok(head.last() == Some(&2)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
