//! `deploy/backup/isotherm-backup`, and the gateway's `backup`, which does the same: what they make,
//! and what they leave alone when they fail.
//!
//! Skipped by name where `sqlite3` is missing. What they restore is in `restore_script.rs`.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use isotherm::internals::ledger::schema;
use isotherm_it::{now_ms, root};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backup_stores::{By, Stores, check_failure, printed, script, signal};
use crate::support::node::Node;
use crate::support::readings::json_reading;

#[test]
fn a_backup_is_two_checked_files_and_what_there_is_to_know_of_them() {
    By::BOTH.into_iter().for_each(check_files);
}

fn check_files(by: By) {
    let stores = Stores::new();
    let said = printed(&stores.backup_by(by).output().unwrap());
    let backup = stores.backup();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[lines.len() - 1].starts_with(backup.to_str().unwrap()), "{said}");
    for (at, (store, name)) in
        [(&stores.journal, "journal.db"), (&stores.regions, "regions.db")].iter().enumerate()
    {
        let bytes = std::fs::metadata(backup.join(name)).unwrap().len();
        assert_eq!(lines[2 * at], format!("copying {}", store.display()));
        let copied = format!("{name}: {bytes} bytes copied in ");
        assert!(lines[2 * at + 1].starts_with(&copied), "{said}");
    }
    assert!(said.contains("50 readings counted"), "{said}");
    let name = backup.file_name().unwrap().to_str().unwrap();
    let digits = name.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits, "00000000T000000Z");

    let manifest = std::fs::read_to_string(backup.join("manifest.txt")).unwrap();
    let bytes = std::fs::metadata(backup.join("regions.db")).unwrap().len();
    let head = format!("isotherm-backup 1\nmade {name}\njournal.db bytes ");
    assert!(manifest.starts_with(&head), "{manifest}");
    for line in [
        &format!("regions.db bytes {bytes}"),
        &format!("regions.db schema {}", schema::VERSION),
        "regions.db regions 1",
        "regions.db devices 50",
        "regions.db readings 50",
        "journal.db entries 0",
    ] {
        assert!(manifest.lines().any(|l| l == line), "{line} in {manifest}");
    }
    printed(&by.verify(&backup));
}

#[test]
fn seven_are_kept_and_what_is_no_backup_is_left_alone() {
    By::BOTH.into_iter().for_each(check_kept);
}

fn check_kept(by: By) {
    let stores = Stores::new();
    let old: Vec<String> = (1..=8).map(|day| format!("2026010{day}T030000Z")).collect();
    for name in old.iter().map(String::as_str).chain(["notes", "20260101", "20260101T030000Z.old"])
    {
        std::fs::create_dir(stores.to.join(name)).unwrap();
    }
    printed(&stores.backup_by(by).output().unwrap());
    let names = stores.names();
    assert_eq!(names.len(), 7 + 3, "{names:?}");
    assert!(old.iter().take(2).all(|name| !names.contains(name)), "{names:?}");
    assert!(old.iter().skip(2).all(|name| names.contains(name)), "{names:?}");

    let first = names.iter().rfind(|name| name.ends_with('Z')).unwrap();
    printed(&stores.backup_by(by).args(["--keep", "2"]).output().unwrap());
    let names = stores.names();
    assert!(names.len() == 2 + 3 && names.contains(first), "{names:?}");

    // A clock that was ahead: what was just made stays, and one hears of it.
    std::fs::create_dir(stores.to.join("29991231T000000Z")).unwrap();
    let output = stores.backup_by(by).args(["--keep", "1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("look after the clock"), "{said}");
    let names = stores.names();
    assert!(names.len() == 1 + 3 && !names.contains("29991231T000000Z"), "{names:?}");
}

#[test]
fn a_run_that_fails_says_why_and_leaves_the_backups_that_there_are() {
    By::BOTH.into_iter().for_each(check_failures);
}

fn check_failures(by: By) {
    let stores = Stores::new();
    printed(&stores.backup_by(by).output().unwrap());
    let before = stores.names();
    let sound = std::fs::read(&stores.regions).unwrap();
    let run = |journal: &Path, regions: &Path, to: &Path, code: i32, words: &str| {
        let mut command = by.backup();
        command.arg("--journal").arg(journal).arg("--regions").arg(regions).arg("--to").arg(to);
        check_failure(&command.args(["--keep", "1"]).output().unwrap(), code, words);
        assert_eq!(stores.names(), before, "{words}");
    };
    let (journal, regions, to) = (&stores.journal, &stores.regions, &stores.to);
    let missing = stores.directory.path().join("missing");
    run(&missing, regions, to, 3, "missing: ");
    run(journal, &missing, to, 3, "missing: ");
    run(journal, regions, &missing, 3, "the directory for backups");
    run(regions, journal, to, 5, "has no table spin_key_value");
    run(journal, journal, to, 2, "one file");

    // A page in the middle of a table, a page of the schema, and then the whole file.
    let page = 4_096;
    for from in [sound.len() / page / 2 * page, 100] {
        let mut bytes = sound.clone();
        bytes[from..from + page / 2].fill(0xaa);
        std::fs::write(regions, bytes).unwrap();
        run(journal, regions, to, 5, "malformed");
    }
    std::fs::write(regions, vec![b'?'; 9_000]).unwrap();
    run(journal, regions, to, 5, "not a database");
    std::fs::write(regions, b"").unwrap();
    run(journal, regions, to, 5, "has no table");
}

#[test]
fn a_store_without_one_of_its_tables_is_not_taken() {
    By::BOTH.into_iter().for_each(check_tables);
}

fn check_tables(by: By) {
    let stores = Stores::new();
    let whole = std::fs::read(&stores.regions).unwrap();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let connection = Connection::open(&stores.regions).unwrap();
    let mut statement = connection.prepare(names).unwrap();
    let tables = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let tables: Vec<String> = tables.map(Result::unwrap).collect();
    assert!(tables.len() >= 9, "{tables:?}");
    for table in tables {
        std::fs::write(&stores.regions, &whole).unwrap();
        let off = "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON";
        let rename = format!("{off}; ALTER TABLE {table} RENAME TO other");
        Connection::open(&stores.regions).unwrap().execute_batch(&rename).unwrap();
        check_failure(
            &stores.backup_by(by).output().unwrap(),
            5,
            &format!("has no table {table} "),
        );
    }
    assert_eq!(stores.names(), BTreeSet::new());
}

#[test]
fn a_full_disk_fails_the_run_and_leaves_nothing_of_it() {
    By::BOTH.into_iter().for_each(check_full_disk);
}

fn check_full_disk(by: By) {
    let stores = Stores::new();
    printed(&stores.backup_by(by).output().unwrap());
    let before = stores.names();
    let mut words = Vec::new();
    // The journal's copy is too large, and then that of the regions.
    for bytes in [2_000, 40_000] {
        // Without this, the signal would end what meets the limit.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec prlimit \"$@\"", "sh"]);
        command.arg(format!("--fsize={bytes}")).arg(stores.backup_by(by).get_program());
        let output = command.args(stores.backup_by(by).get_args()).output().unwrap();
        check_failure(&output, 6, "was not copied");
        words.push(String::from_utf8(output.stderr).unwrap());
        assert_eq!(stores.names(), before);
    }
    assert!(words[0].contains("journal") && words[1].contains("regions"), "{words:?}");
}

#[test]
fn two_runs_do_not_meet() {
    let stores = Stores::new();
    let mut first = stores.start_and_hold();
    check_failure(&stores.backup_by(By::Script).output().unwrap(), 4, "another run");
    signal(&first, "KILL");
    assert!(!first.wait().unwrap().success());
    printed(&stores.backup_by(By::Script).output().unwrap());
}

#[test]
fn neither_makes_one_while_the_other_does_and_both_tidy_up_what_a_killed_one_left() {
    for by in By::BOTH {
        let stores = Stores::new();
        let lock = std::fs::File::create(stores.to.join(".lock")).unwrap();
        lock.lock().unwrap();
        check_failure(&stores.backup_by(by).output().unwrap(), 4, "another run");
        assert_eq!(stores.names(), BTreeSet::new());
        drop(lock);
        std::fs::create_dir(stores.to.join(".partial-1")).unwrap();
        std::fs::write(stores.to.join(".partial-1/journal.db"), "half").unwrap();
        printed(&stores.backup_by(by).output().unwrap());
        // Each takes what the other has made, and files are for their owner alone.
        for other in By::BOTH {
            printed(&other.verify(&stores.backup()));
        }
        for name in ["journal.db", "regions.db", "manifest.txt"] {
            let mode = std::fs::metadata(stores.backup().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name} by {by:?}");
        }
    }
}

#[test]
fn an_interrupted_run_leaves_no_backup_and_the_next_one_tidies_up() {
    let stores = Stores::new();
    for (name, leaves) in [("TERM", 0), ("KILL", 1)] {
        let mut run = stores.start_and_hold();
        assert_eq!(stores.names().len(), 1, "{name}");
        signal(&run, name);
        assert!(!run.wait().unwrap().success());
        let names = stores.names();
        assert!(names.len() == leaves && names.iter().all(|n| n.starts_with(".partial-")));
    }
    printed(&stores.backup_by(By::Script).output().unwrap());
    assert!(!stores.backup().to_str().unwrap().contains("partial"));
}

#[test]
fn one_reads_the_paths_from_the_configuration_and_takes_no_relative_one() {
    let stores = Stores::new();
    let config = stores.directory.path().join("runtime-config.toml");
    let run = |text: &str| {
        std::fs::write(&config, text).unwrap();
        script().arg("--config").arg(&config).arg("--to").arg(&stores.to).output().unwrap()
    };
    let text = std::fs::read_to_string(root().join("deploy/systemd/runtime-config.toml")).unwrap();
    for (relative, whose) in [("journal.db", "key_value_store"), ("regions.db", "sqlite_database")]
    {
        let output = run(&text.replace(&format!("/var/lib/isotherm/{relative}"), relative));
        check_failure(&output, 2, &format!("{relative} of [{whose}.default] is relative"));
    }
    let redis = text.replacen("type = \"spin\"", "type = \"redis\"", 1);
    check_failure(&run(&redis), 2, "is of the type redis");
    check_failure(&run("[sqlite_database.default]\n"), 2, "has no path");
    let here = text
        .replace("/var/lib/isotherm/journal.db", stores.journal.to_str().unwrap())
        .replace("/var/lib/isotherm/regions.db", stores.regions.to_str().unwrap());
    printed(&run(&here));
    stores.backup();
}

#[test]
fn python_does_it_where_sqlite3_is_missing() {
    let stores = Stores::new();
    let bin = stores.directory.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let which = |program: &str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        PathBuf::from(String::from_utf8(found.unwrap().stdout).unwrap().trim())
    };
    // All that it needs.
    const NEEDED: &str = "awk cat chown cp cut date df grep id ls mkdir mv od readlink rm sed sh \
        sha256sum sleep stat sync tr wc";
    for program in NEEDED.split_whitespace() {
        symlink(which(program), bin.join(program)).unwrap();
    }
    let output = stores.backup_by(By::Script).env("PATH", &bin).output().unwrap();
    check_failure(&output, 3, "missing: sqlite3, or python3");

    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(asked.unwrap().stdout).unwrap();
    symlink(python.trim(), bin.join("python3")).unwrap();
    printed(&stores.backup_by(By::Script).env("PATH", &bin).output().unwrap());
    printed(&script().arg("--verify").arg(stores.backup()).env("PATH", &bin).output().unwrap());
    // Both say the same.
    printed(&script().arg("--verify").arg(stores.backup()).output().unwrap());
    std::fs::write(&stores.regions, vec![b'?'; 9_000]).unwrap();
    let output = stores.backup_by(By::Script).env("PATH", &bin).output().unwrap();
    check_failure(&output, 5, "not a database");
}

/// The database's own commits are counted in the journal, by the name of the snapshot.
#[test]
fn regions_without_their_wal_are_older_than_the_journal_and_the_log_says_so() {
    let directory = TempDir::new().unwrap();
    let [journal, regions, plain] =
        ["journal.db", "regions.db", "plain.db"].map(|name| directory.path().join(name));
    let start = now_ms();
    let node_at = |ms: i64| Node::over(directory.path(), &[]).simulated(1, 1).with_clock_at(ms);
    let mut node = node_at(start);
    let post = |node: &mut Node, seconds: i64| {
        node.accept_and_wait(&json_reading("d", "hall", 1.0, start - seconds * 1_000));
    };
    post(&mut node, 1);
    // Another connection has the database open, so what follows stays in the -wal.
    let open = Connection::open(&regions).unwrap();
    assert_eq!(open.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)), Ok(1));
    post(&mut node, 2);
    post(&mut node, 3);
    assert_eq!(node.get("/v1/regions").status, 200);
    std::fs::copy(&regions, &plain).unwrap();
    drop(open);

    // As a person would put it back, with the journal as it is.
    drop(node);
    std::fs::rename(&plain, &regions).unwrap();
    let to = directory.path().join("to");
    std::fs::create_dir(&to).unwrap();
    let mut command = By::Script.backup();
    command.arg("--journal").arg(&journal).arg("--regions").arg(&regions);
    let output = command.arg("--to").arg(&to).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "regions.db is older than the journal: it has 1 folds, the journal saw 3";
    assert!(output.status.success() && said.contains(expected), "{said}");

    let mut node = node_at(start + 60_000);
    assert_eq!(node.get("/v1/regions").status, 200);
    let logged = node.host.inner.logged();
    let is_about_it = |line: &&String| line.contains("has 1 folds, and had 3");
    assert_eq!(logged.iter().filter(is_about_it).count(), 1, "{logged:?}");
    let body: Value =
        serde_json::from_slice(&node.get("/v1/regions/hall").body).unwrap_or(json!(0));
    assert_eq!(body["count"], 1);
}

#[test]
fn shellcheck_finds_nothing_in_it() {
    let checked = Command::new("shellcheck").arg(script().get_program()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
