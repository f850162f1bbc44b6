//! Transactions over streams that expire, wait, and lose answers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use isotherm_it::now_ms;
use tempfile::TempDir;

use crate::support::hrana::Hrana;
use crate::support::readings::{SUM_MILLICELSIUS, in_hall, ten_thousand};
use crate::support::service::{Expect as _, send_shuffled, start_over, until};

#[test]
fn a_new_database_on_a_server_gets_the_schema_and_counts_each_reading_once() {
    let directory = TempDir::new().unwrap();
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    let service = start_over(&libsql.config(), &[]);
    let readings = ten_thousand();
    for seed in 1..3 {
        send_shuffled(&service, &readings, seed);
        assert_eq!(service.totals(), (10_000, SUM_MILLICELSIUS));
    }
}

#[test]
fn a_stream_that_expires_within_its_transaction_counts_nothing_and_the_next_fold_all() {
    let directory = TempDir::new().unwrap();
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    let service = start_over(&libsql.config(), &[]);
    service.accept(&in_hall("d1", now_ms()));
    assert_eq!(service.totals(), (1, 1_000));
    // Every second statement comes too late.
    libsql.rules().pause_ms.store(5, Ordering::SeqCst);
    libsql.rules().idle_ms.store(0, Ordering::SeqCst);
    service.accept(&in_hall("d2", now_ms()));
    until("streams have expired", || {
        service.get("/v1/regions").unwrap();
        (libsql.expired() >= 3).then_some(())
    });
    service.wait_for_log("The stream has expired due to inactivity").unwrap();
    libsql.rules().idle_ms.store(10_000, Ordering::SeqCst);
    libsql.rules().pause_ms.store(0, Ordering::SeqCst);
    assert_eq!(service.totals(), (2, 2_000));
}

#[test]
fn while_another_client_holds_the_lock_senders_do_not_wait_and_folds_come_after() {
    let directory = TempDir::new().unwrap();
    let libsql = Hrana::start(&directory.path().join("regions.db"));
    let service = start_over(&libsql.config(), &[]);
    service.accept(&in_hall("d1", now_ms()));
    assert_eq!(service.totals(), (1, 1_000));
    // Longer than the server lets a transaction hold it while others wait.
    libsql.rules().lock_ms.store(1_000, Ordering::SeqCst);
    let stream = libsql.begin_and_keep();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| service.get("/v1/regions").unwrap().status);
        for device in 2..20 {
            let sent = now_ms();
            service.accept(&in_hall(&format!("d{device}"), sent));
            assert!(now_ms() - sent < 900, "a sender waited for the lock");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(reader.join().unwrap(), 200);
    });
    assert_eq!(service.totals(), (19, 19_000));
    assert_eq!(libsql.taken(), 1, "the transaction that was kept");
    libsql.end(stream);
}
