//! Copies of both stores, made while the service runs: journal first.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isotherm_it::Service;
use rusqlite::Connection;

use crate::exactly_once::{ten_thousand, totals, until};

/// As `docs/operations.md` has it.
fn copy(from: &Path, to: &Path) {
    let connection = Connection::open(from).unwrap();
    connection.execute("VACUUM INTO ?1", [to.display().to_string()]).unwrap();
}

#[test]
fn a_backup_has_whatever_was_acknowledged_before_it_and_has_it_once() {
    const BATCH: usize = 20;
    let service = Service::start(&[]).unwrap();
    let readings = ten_thousand();
    let (acknowledged, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut restored = Service::prepare("spin.toml", &[], &[]).unwrap();
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
    restored.run().unwrap();
    let (count, _) = totals(restored.sender());
    let count = usize::try_from(count).unwrap();
    assert!(count >= before, "{count} of {before}");
    assert!(count <= acknowledged.load(Ordering::SeqCst) + BATCH, "{count}");

    // What came after the backup is sent again; what it has is a duplicate.
    let sender = restored.sender();
    for batch in readings.chunks(1_000) {
        sender.deliver(batch).unwrap();
    }
    assert_eq!(totals(sender), (10_000, crate::exactly_once::SUM_MILLI));
}
