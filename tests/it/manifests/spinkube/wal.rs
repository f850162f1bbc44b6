//! The step before a node's start: the journal's file in WAL mode.

use std::path::Path;
use std::process::{Command, Output};

use isotherm_it::programs::variable;
use isotherm_it::root;
use isotherm_stores::{KeyValueFile, to_stderr};
use rusqlite::Connection;
use tempfile::TempDir;

fn run(file: &Path) -> Output {
    let script = root().join("deploy/spinkube/node/wal.py");
    Command::new(variable("ISOTHERM_PYTHON")).arg(script).arg(file).output().unwrap()
}

fn pragma<T: rusqlite::types::FromSql>(file: &Path, name: &str) -> T {
    let database = Connection::open(file).unwrap();
    database.pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

#[test]
fn a_new_journal_and_one_that_is_there_are_in_wal_mode_with_what_they_have() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("journal.db");
    for is_new in [true, false] {
        if !is_new {
            std::fs::remove_file(&file).unwrap();
            // As Spin makes it.
            KeyValueFile::open(&file, "default", to_stderr)
                .unwrap()
                .set("journal/x", b"1")
                .unwrap();
            assert_eq!(pragma::<String>(&file, "journal_mode"), "delete");
        }
        for _ in 0..2 {
            let output = run(&file);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(pragma::<String>(&file, "journal_mode"), "wal");
        }
        assert_eq!(pragma::<i64>(&file, "page_size") == 1_024, is_new);
    }
    let kept = KeyValueFile::open(&file, "default", to_stderr).unwrap();
    assert_eq!(kept.get("journal/x"), Ok(Some(b"1".to_vec())));
}

#[test]
fn a_volume_that_can_not_be_used_ends_the_start_with_a_line() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("none/journal.db");
    std::fs::write(directory.path().join("no.db"), "this is no database".repeat(100)).unwrap();
    for (file, what) in [
        (file, "unable to open database file"),
        (directory.path().join("no.db"), "file is not a database"),
    ] {
        let output = run(&file);
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(what) && said.lines().count() == 1, "{said}");
    }
}
