//! Copies of both stores, made while the service runs: journal first.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isotherm_it::Service;
use rusqlite::Connection;
use serde_json::Value;

use crate::support::readings::{SUM_MILLICELSIUS, ten_thousand};
use crate::support::service::{Expect as _, until};

const BATCH: usize = 20;

/// As `docs/operations.md` has it.
fn copy(from: &Path, to: &Path) {
    let connection = Connection::open(from).unwrap();
    connection.execute("VACUUM INTO ?1", [to.display().to_string()]).unwrap();
}

/// Copies the stores of `service` into those of `restored`, while readings are sent and
/// folded. Returns how many were acknowledged before the copies and after them.
fn back_up_under_load(service: &Service, restored: &Service, readings: &[Value]) -> (usize, usize) {
    let (acknowledged, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let before = std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in readings.chunks(BATCH) {
                if !is_over.load(Ordering::SeqCst) {
                    service.sender().deliver(batch).unwrap();
                    acknowledged.fetch_add(batch.len(), Ordering::SeqCst);
                }
            }
        });
        // Folds go on meanwhile, so that readings move from one store to the other.
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                service.get("/v1/regions").unwrap();
            }
        });
        until("a fifth is acknowledged", || {
            (acknowledged.load(Ordering::SeqCst) > readings.len() / 5).then_some(())
        });
        let before = acknowledged.load(Ordering::SeqCst);
        copy(&service.journal_file(), &restored.journal_file());
        // Some of what the copy of the journal has is folded by now.
        until("another tenth is acknowledged", || {
            let now = acknowledged.load(Ordering::SeqCst);
            (now >= before + readings.len() / 10 || now == readings.len()).then_some(())
        });
        copy(&service.regions_file(), &restored.regions_file());
        is_over.store(true, Ordering::SeqCst);
        before
    });
    (before, acknowledged.into_inner())
}

#[test]
fn a_backup_has_whatever_was_acknowledged_before_it_and_has_it_once() {
    let service = Service::start(&[]).unwrap();
    let mut restored = Service::prepare("spin.toml", &[], &[]).unwrap();
    let readings = ten_thousand();
    let (before, after) = back_up_under_load(&service, &restored, &readings);
    restored.run().unwrap();
    let count = usize::try_from(restored.totals().0).unwrap();
    assert!(count >= before, "{count} of {before}");
    assert!(count <= after + BATCH, "{count}");

    // What came after the backup is sent again; what it has is a duplicate.
    for batch in readings.chunks(1_000) {
        restored.sender().deliver(batch).unwrap();
    }
    assert_eq!(restored.totals(), (10_000, SUM_MILLICELSIUS));
}
