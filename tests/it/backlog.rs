//! A long backlog in little memory, over a real socket.

use isotherm::internals::domain::rejection::Rejections;
use isotherm::internals::journal::Entry;
use isotherm_it::{Service, now_ms};

use crate::support::readings::{DAY, reading};
use crate::support::service::Expect as _;

const ENTRIES: i64 = 100_000;

/// The entry of one reading, one of its own for every `index`.
fn entry(start_ms: i64, index: i64) -> (String, Vec<u8>) {
    let device = format!("sensor-{:04}", index % 1_000);
    let region = format!("region-{:02}", index % 20);
    let one = reading(&device, &region, index % 40_000, start_ms + index);
    let entry = Entry::encode(&[one], &Rejections::default());
    let (key, value) = entry.as_pair();
    (key, value.to_vec())
}

#[test]
fn a_hundred_thousand_entries_are_worked_off_in_64_mib() {
    let memory = (64 * 1024 * 1024).to_string();
    let mut service = Service::start_with(&[], &["--max-instance-memory", &memory]).unwrap();
    service.kill();
    let start_ms = now_ms() - DAY;
    let pairs: Vec<_> = (0..ENTRIES).map(|index| entry(start_ms, index)).collect();
    service.journal().set_many(&pairs).unwrap();

    service.run().unwrap();
    let (mut left, mut in_vain) = (ENTRIES, 0);
    while left > 0 {
        let now_left = service.read("/v1/regions")["unfolded_entries"].as_i64().unwrap();
        // An answer folds one step, unless what the one before left to do has the lock.
        in_vain = if now_left < left { 0 } else { in_vain + 1 };
        assert!(in_vain < 100, "{now_left} of {left} left, for {in_vain} answers");
        left = now_left;
    }
    let sum: i64 = (0..ENTRIES).map(|index| index % 40_000).sum();
    assert_eq!(service.totals(), (ENTRIES, sum));
}
