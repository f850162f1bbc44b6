//! `deploy/backup/isotherm-backup`, and the gateway's `restore`, which does the same: what they
//! restore, what they verify, and what a copy without its `-wal` shows of itself.
//!
//! Skipped by name where `sqlite3` is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isotherm_it::{Service, now_ms};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::backup_stores::{By, Stores, check_failure, hold, printed};
use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};

const SENDERS: usize = 4;
const BATCH: usize = 10;

/// The temperature of a sender's i-th reading, in eighths of a degree.
fn eighths(i: usize) -> u32 {
    u32::try_from(i % 400).unwrap()
}

/// The n-th batch of a sender.
fn batch(start: i64, sender: usize, n: usize) -> Vec<Value> {
    let one = |i: usize| {
        let at = start + i64::try_from(i).unwrap() * 20;
        let temperature = f64::from(eighths(i)) / 8.0;
        json_reading(&format!("d{sender}"), &format!("r{}", i % 3), temperature, at)
    };
    (n * BATCH..(n + 1) * BATCH).map(one).collect()
}

/// A service that is not started yet, with its journal in WAL mode, as on a gateway.
fn prepare() -> Service {
    let service = Service::prepare("spin.toml", &[], &[]).unwrap();
    let journal = Connection::open(service.journal_file()).unwrap();
    journal.pragma_update(None, "page_size", 1024).unwrap();
    journal.pragma_update(None, "journal_mode", "WAL").unwrap();
    service
}

/// The command with the paths of this service's stores.
fn for_stores_of(service: &Service, mut command: Command) -> Command {
    command.arg("--journal").arg(service.journal_file());
    command.arg("--regions").arg(service.regions_file());
    command
}

fn backup_of(service: &Service, by: By) -> Command {
    for_stores_of(service, by.backup())
}

fn restore(service: &Service, backup: &Path, by: By) -> Output {
    for_stores_of(service, by.restore(backup)).output().unwrap()
}

fn only_entry(directory: &Path) -> PathBuf {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut backups = entries.filter(|path| path.is_dir());
    let only = backups.next().unwrap();
    assert_eq!(backups.next(), None);
    only
}

fn mode(file: &Path) -> String {
    let asked = Connection::open(file).unwrap();
    asked.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap()
}

#[test]
fn under_load_a_copy_and_what_came_after_it_are_what_was_acknowledged() {
    let mut service = prepare();
    service.run().unwrap();
    let (to, held) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let start = now_ms() - 6 * 3_600_000;
    let sent: [AtomicUsize; SENDERS] = std::array::from_fn(|_| AtomicUsize::new(0));
    let count = || sent.each_ref().map(|batches| batches.load(Ordering::SeqCst));
    let is_over = AtomicBool::new(false);
    let (before, after) = std::thread::scope(|scope| {
        for (sender, batches) in sent.iter().enumerate() {
            let (service, is_over) = (&service, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let n = batches.load(Ordering::SeqCst);
                    service.sender().deliver(&batch(start, sender, n)).unwrap();
                    batches.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        until("each has sent something", || count().iter().all(|n| *n > 20).then_some(()));
        let before = count();
        let mut command = backup_of(&service, By::Script);
        command.arg("--to").arg(to.path());
        let run = hold(command, "", held.path());
        // What was in the journal is counted before the second copy is made.
        for _ in 0..20 {
            service.get("/v1/regions").unwrap();
        }
        std::fs::write(held.path().join("go"), "").unwrap();
        let output = run.wait_with_output().unwrap();
        let after = count();
        until("all go on", || count().iter().zip(after).all(|(n, m)| *n > m).then_some(()));
        is_over.store(true, Ordering::SeqCst);
        printed(&output);
        (before, after)
    });
    assert!(before.iter().zip(after).all(|(n, m)| *n < m), "no load: {before:?}, {after:?}");
    let acknowledged = count();

    let mut restored = Service::prepare("spin.toml", &[], &[]).unwrap();
    printed(&restore(&restored, &only_entry(to.path()), By::Script));
    restored.run().unwrap();
    let (counted, _) = restored.totals();
    let at_least: usize = before.iter().sum::<usize>() * BATCH;
    assert!(usize::try_from(counted).unwrap() >= at_least, "{counted} of {at_least}");
    let mut expected = (0, 0);
    for (sender, batches) in acknowledged.into_iter().enumerate() {
        for n in 0..batches {
            let readings = batch(start, sender, n);
            expected.0 += i64::try_from(readings.len()).unwrap();
            // Eighths of a degree, so each is 125 thousandths.
            expected.1 +=
                (n * BATCH..(n + 1) * BATCH).map(eighths).map(i64::from).sum::<i64>() * 125;
            if n >= before[sender] {
                restored.sender().deliver(&readings).unwrap();
            }
        }
    }
    assert_eq!(restored.totals(), expected);
    assert_eq!(service.totals(), expected);
}

#[test]
fn a_restore_waits_for_no_service_that_has_the_stores_open_and_loses_nothing_of_them() {
    By::BOTH.into_iter().for_each(check_refused);
}

fn check_refused(by: By) {
    let stores = Stores::new();
    printed(&stores.backup_by(by).output().unwrap());
    let mut service = prepare();
    service.run().unwrap();
    service.post(&json_reading("other", "yard", 1.0, now_ms()).to_string()).unwrap();
    assert_eq!(service.totals(), (1, 1_000));
    check_failure(&restore(&service, &stores.backup(), by), 8, "is open");
    assert_eq!(service.totals(), (1, 1_000));
    let not_in_wal_mode = Service::start(&[]).unwrap();
    not_in_wal_mode.get("/v1/regions").unwrap();
    check_failure(&restore(&not_in_wal_mode, &stores.backup(), by), 8, "is open");

    // What is in a killed service's -wal alone goes aside with it.
    service.post(&json_reading("other", "yard", 2.0, now_ms() - 1_000).to_string()).unwrap();
    assert_eq!(service.totals(), (2, 3_000));
    service.kill();
    let said = printed(&restore(&service, &stores.backup(), by));
    assert_eq!(said.matches("what was there is ").count(), 2, "{said}");
    let aside: Vec<&str> =
        said.lines().filter_map(|l| l.strip_prefix("what was there is ")).collect();
    assert_eq!(mode(&service.journal_file()), "wal");
    assert_eq!(mode(&service.regions_file()), "wal");
    service.run().unwrap();
    assert_eq!(service.totals(), (50, 50 * 20_500));

    let mut other = Service::prepare("spin.toml", &[], &[]).unwrap();
    std::fs::copy(aside[0], other.journal_file()).unwrap();
    std::fs::copy(aside[1], other.regions_file()).unwrap();
    other.run().unwrap();
    assert_eq!(other.totals(), (2, 3_000));
}

/// Of what was counted since the backup, the senders have it. What waits in the journal
/// because the database is damaged, nobody may have any more.
#[test]
fn what_waits_in_the_journal_is_taken_along() {
    By::BOTH.into_iter().for_each(check_taken_along);
}

fn check_taken_along(by: By) {
    let mut service = prepare();
    service.run().unwrap();
    let [first, second, third] =
        [1.0, 2.0, 4.0].map(|t| json_reading(&format!("d{t}"), "hall", t, now_ms()).to_string());
    service.post(&first).unwrap();
    assert_eq!(service.totals(), (1, 1_000));
    let to = TempDir::new().unwrap();
    printed(&backup_of(&service, by).arg("--to").arg(to.path()).output().unwrap());
    service.post(&second).unwrap();
    assert_eq!(service.totals(), (2, 3_000));
    service.kill();
    for suffix in ["-wal", "-shm"] {
        let beside = format!("{}{suffix}", service.regions_file().display());
        if Path::new(&beside).exists() {
            std::fs::remove_file(beside).unwrap();
        }
    }
    std::fs::write(service.regions_file(), vec![b'?'; 65_536]).unwrap();
    service.run().unwrap();
    assert_eq!(service.post(&third).unwrap().status, 202);
    service.kill();

    // So does a correction that waits. Tokens are those that there are, and no others.
    let journal = Connection::open(service.journal_file()).unwrap();
    let put = |key: &str, value: &str| {
        let row = "INSERT OR REPLACE INTO spin_key_value VALUES ('default', ?1, ?2)";
        journal.execute(row, (key, value.as_bytes())).unwrap();
    };
    put("tokens/1", "");
    put("token/1/gw", "revoked since");
    put("correction/1/00", "waits");
    drop(journal);
    let backup = only_entry(to.path());
    let said = printed(&restore(&service, &backup, by));
    assert!(said.contains("\n2 entries that waited are taken along\n"), "{said}");
    let journal = Connection::open(service.journal_file()).unwrap();
    let value = |key: &str| -> Option<String> {
        let query = "SELECT CAST(value AS TEXT) FROM spin_key_value WHERE key = ?1";
        journal.query_row(query, [key], |row| row.get(0)).ok()
    };
    assert_eq!(value("token/1/gw").as_deref(), Some("revoked since"));
    assert_eq!(value("correction/1/00").as_deref(), Some("waits"));
    // It is none that could be applied.
    journal.execute("DELETE FROM spin_key_value WHERE key = 'correction/1/00'", ()).unwrap();
    drop(journal);
    service.run().unwrap();
    assert_eq!(service.totals(), (2, 5_000));
    service.post(&second).unwrap();
    assert_eq!(service.totals(), (3, 7_000));
}

#[test]
fn a_backup_that_was_changed_is_not_restored() {
    By::BOTH.into_iter().for_each(check_changed);
}

fn check_changed(by: By) {
    let stores = Stores::new();
    printed(&stores.backup_by(by).output().unwrap());
    let backup = stores.backup();
    let regions = backup.join("regions.db");
    let whole = std::fs::read(&regions).unwrap();
    let files = || [&stores.journal, &stores.regions].map(|file| std::fs::read(file).unwrap());
    let before = files();
    let refuse = |words: &str| {
        for output in [by.verify(&backup), stores.restore_by(by, &backup)] {
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(7), "{said}");
            assert!(said.contains(words), "{said}");
            assert_eq!(files(), before);
        }
    };
    // A row that nothing but the sum of the file knows of.
    let change = "UPDATE windows SET late = late + 1";
    Connection::open(&regions).unwrap().execute_batch(change).unwrap();
    refuse("regions.db: sha256 is ");
    std::fs::write(&regions, whole.get(..whole.len() / 2).unwrap()).unwrap();
    refuse("regions.db is damaged");
    std::fs::remove_file(&regions).unwrap();
    refuse("regions.db is missing");
    std::fs::write(&regions, whole).unwrap();
    printed(&by.verify(&backup));
    std::fs::remove_file(backup.join("manifest.txt")).unwrap();
    refuse("manifest.txt is missing");
}

#[test]
fn a_plain_copy_without_its_wal_is_told_from_a_backup() {
    By::BOTH.into_iter().for_each(check_plain_copy);
}

fn check_plain_copy(by: By) {
    let mut service = prepare();
    service.run().unwrap();
    let to = TempDir::new().unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !is_over.load(Ordering::SeqCst) {
                service.sender().deliver(&batch(now_ms() - 3_600_000, 0, n)).unwrap();
                n += 1;
            }
        });
        until("the journal has a -wal and a table in the file", || {
            let size = std::fs::metadata(service.journal_file()).unwrap().len();
            service.get("/v1/regions").unwrap();
            (size > 8_000).then_some(())
        });
        printed(&backup_of(&service, by).arg("--to").arg(to.path()).output().unwrap());
        let plain = to.path().join("plain");
        std::fs::create_dir(&plain).unwrap();
        std::fs::copy(service.journal_file(), plain.join("journal.db")).unwrap();
        std::fs::copy(service.regions_file(), plain.join("regions.db")).unwrap();
        is_over.store(true, Ordering::SeqCst);
    });
    let plain = to.path().join("plain");
    let said = String::from_utf8(by.verify(&plain).stderr).unwrap();
    assert!(said.contains("manifest.txt is missing"), "{said}");
    assert!(said.contains("journal.db is in WAL mode: a plain copy"), "{said}");
    assert!(said.contains("regions.db is in WAL mode: a plain copy"), "{said}");

    // In a backup's place, it is none either.
    let journal = plain.join("journal.db");
    let bytes = std::fs::read(journal).unwrap();
    std::fs::remove_dir_all(plain).unwrap();
    let backup = only_entry(to.path());
    std::fs::write(backup.join("journal.db"), bytes).unwrap();
    let output = by.verify(&backup);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("journal.db is in WAL mode: a plain copy"), "{said}");
    assert!(said.contains("journal.db: sha256 is "), "{said}");
}
