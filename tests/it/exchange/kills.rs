//! Programs that are killed while they catch up.

use std::time::Duration;

use isotherm_it::{Service, now_ms};
use rusqlite::Connection;
use serde_json::Value;

use super::two::{beat, counts, get, windows};
use crate::support::bare::ask;
use crate::support::readings::json_reading;
use crate::support::relay::Relay;
use crate::support::service::until;

/// Posts until it is acknowledged: a sender keeps what was not.
fn post(service: &mut Service, body: &str) {
    for _ in 0..20 {
        if service.post(body).is_ok_and(|answer| answer.status == 202) {
            return;
        }
        service.run().unwrap();
    }
    panic!("a batch was never acknowledged");
}

/// A gateway that was killed leaves its lease, which would keep the next beat from beginning for
/// half a minute.
fn free_lease(gateway: &Service) {
    let connection = Connection::open(gateway.regions_file()).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute("UPDATE lease SET until = 0", []).unwrap();
}

/// Whether the gateway does not know that the hub has everything.
fn is_behind(gateway: &Service) -> bool {
    get(gateway, "/v1/sync")["peers"][0]["behind_readings"] != 0
}

#[test]
fn however_often_either_side_is_killed_the_hub_has_each_reading_once() {
    let kills: u64 = std::env::var("ISOTHERM_KILLS")
        .map_or(12, |count| count.parse().expect("ISOTHERM_KILLS is a number"));
    let mut hub = Service::start(&[]).unwrap();
    let link = Relay::to(&hub.url());
    let mut gateway = Service::start(&[("peer1", link.url().as_str()), ("node", "gw-1")]).unwrap();
    const READINGS: i64 = 3_000;
    const STEP_MS: i64 = 7;
    // All of them are of the past.
    let span_ms = i64::try_from(kills).unwrap() * READINGS * STEP_MS;
    let (start, mut total) = (now_ms() - 60_000 - span_ms, 0_i64);
    let mut within = 0;
    // The first one makes the tables.
    beat(&gateway);
    for kill in 0..kills {
        let batch: Value = (0..READINGS)
            .map(|i| {
                let number = total + i;
                let region = if number % 3 == 0 { "hall" } else { "attic" };
                json_reading(
                    &format!("d{}", number % 40),
                    region,
                    number % 30,
                    start + number * STEP_MS,
                )
            })
            .collect();
        total += READINGS;
        post(&mut gateway, &batch.to_string());
        free_lease(&gateway);
        until("a beat begins", || {
            let answer = ask::<&str>(&gateway, "POST", "/v1/sync", &[], "");
            (answer.status == 202).then_some(())
        });
        // Some time within the catch-up, which takes some hundred milliseconds.
        std::thread::sleep(Duration::from_millis(kill * 37 % 250));
        within += u64::from(is_behind(&gateway));
        if kill % 2 == 0 {
            hub.kill();
            hub.run().unwrap();
            link.lead_to(&hub.url());
        } else {
            gateway.kill();
            gateway.run().unwrap();
        }
    }
    assert!(within * 2 > kills, "only {within} of {kills} met a catch-up");
    free_lease(&gateway);
    until("the hub has each reading once", || {
        beat(&gateway);
        let count: i64 = counts(&hub).iter().map(|(_, count)| count).sum();
        assert!(count <= total, "{count} of {total}");
        (count == total).then_some(())
    });
    let all = |service: &Service| windows(service, start - 60_000, start + span_ms);
    assert!(all(&hub).len() > 4);
    assert_eq!(all(&hub), all(&gateway));
}
