//! Entries that can't be read, and a database that is lost or damaged.

use std::path::PathBuf;

use isotherm::internals::domain::rejection::Rejections;
use isotherm::internals::journal::Entry;
use isotherm_it::{Service, now_ms};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{hall, nth, service_of_one, wait_for_count, wait_for_snapshot};
use crate::support::assert::{check_fields, check_lines, check_retryable};
use crate::support::readings::reading;
use crate::support::service::{Expect as _, until};

/// The names of three entries in its journal that can't be read, and what is under the
/// key of the first: one with a flipped bit, one cut, one that no known release wrote.
fn damage_journal(service: &Service) -> ([String; 3], Vec<u8>) {
    let (journal, now) = (service.journal(), now_ms());
    let entry = |millicelsius| {
        Entry::encode(&[reading("x", "hall", millicelsius, now)], &Rejections::default())
    };
    let (flipped, cut) = (entry(1), entry(2));
    let mut bytes = flipped.as_pair().1.to_vec();
    bytes[5] ^= 4;
    journal.set(&flipped.as_pair().0, &bytes).unwrap();
    let half = cut.as_pair().1;
    journal.set(&cut.as_pair().0, &half[..half.len() / 2]).unwrap();
    // With the right checksum.
    let unknown = [9, 9, 9];
    let digest: String = Sha256::digest(unknown).iter().map(|b| format!("{b:02x}")).collect();
    let unknown_name = format!("{:08x}-{:08x}-{digest}", 1, unknown.len());
    journal.set(&format!("journal/1/{unknown_name}"), &unknown).unwrap();
    let name = |entry: &Entry| entry.name().as_str().to_owned();
    ([name(&flipped), name(&cut), unknown_name], bytes)
}

#[test]
fn an_entry_that_can_not_be_read_is_listed_counted_and_never_in_the_way() {
    let service = Service::start_faulty(&[]).unwrap();
    let (mut names, flipped) = damage_journal(&service);
    service.accept(&nth(0));

    check_fields(&hall(&service), &json!({"count": 1, "unfolded_entries": 0}));
    let key = format!("quarantine/1/unreadable/{}", names[0]);
    names.sort_unstable();
    for _ in 0..2 {
        let listed = service.read("/v1/quarantine");
        let entries = listed["entries"].as_array().unwrap();
        let listed: Vec<&str> = entries.iter().map(|e| e["name"].as_str().unwrap()).collect();
        assert_eq!(listed, names);
        assert!(entries.iter().all(|e| e["reason"] == "unreadable" && e["readings"] == 1));
        assert_eq!(hall(&service)["quarantined_readings"], 3);
    }
    let line = "isotherm_quarantined_entries{reason=\"unreadable\"} 3";
    check_lines(&service.get("/metrics").unwrap().body, &[line]);
    assert_eq!(service.journal().get(&key).unwrap(), Some(flipped), "byte by byte as it was");
}

/// The database's file, its log and its index, as far as they are there.
fn files_of(service: &Service) -> Vec<PathBuf> {
    let name = service.regions_file().into_os_string();
    let with = |suffix| {
        let mut name = name.clone();
        name.push(suffix);
        PathBuf::from(name)
    };
    ["", "-wal", "-shm"].map(with).into_iter().filter(|path| path.exists()).collect()
}

#[test]
fn a_lost_database_comes_back_with_what_the_journal_holds() {
    let service = service_of_one();
    service.fail("sqlite", "fail");
    service.accept(&json!([nth(1), nth(2)]));
    for path in files_of(&service) {
        std::fs::remove_file(path).unwrap();
    }
    service.heal();
    assert_eq!(wait_for_count(&service, 2)["unfolded_entries"], 0);
}

#[test]
fn a_damaged_database_is_named_and_readings_are_taken_until_it_is_put_aside() {
    let service = service_of_one();
    wait_for_snapshot(&service);
    until("nobody uses the database", || (files_of(&service).len() == 1).then_some(()));
    std::fs::write(service.regions_file(), vec![b'?'; 65_536]).unwrap();

    assert_eq!(hall(&service)["stale"], true);
    let range = service.get("/v1/regions/hall?from=0").unwrap();
    check_retryable(&range, 503, "store-unavailable");
    assert!(range.body.contains("damaged"), "{}", range.body);
    assert!(service.log().contains("move its file aside"), "{}", service.log());
    for index in 1..20 {
        service.accept(&nth(index));
    }
    let aside = service.directory().join("regions.db.damaged");
    std::fs::rename(service.regions_file(), aside).unwrap();
    wait_for_count(&service, 19);
}
