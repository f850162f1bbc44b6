//! What the clients of InfluxDB do with our answers. They can't all be run here, so their rules
//! are.
//!
//! Read were Telegraf's `plugins/outputs/influxdb/http.go` and `influxdb_v2/http.go`, the
//! Arduino client (`InfluxDbClient.cpp`, `HTTPService.cpp`), Tasmota
//! (`xdrv_59_influxdb.ino`), ChirpStack (`integration/influxdb.rs`) and ESPEasy (`_C011.cpp`).

use isotherm::limits;
use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Answer;
use serde_json::json;

use super::{guarded, line, send, write};
use crate::support::gzip::gzipped;
use crate::support::service::{Expect as _, until};

/// What a client does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Goes,
    /// Drops the batch, and goes on.
    Drops,
    /// Sends the batch again.
    Repeats,
    /// Sends it again in two halves.
    Halves,
}

use Does::{Drops, Goes, Halves, Repeats};

/// The clients: what each does after a status, and after the text of `error` if it reads that.
const CLIENTS: [fn(u16, &str) -> Does; 6] =
    [telegraf_1, telegraf_2, arduino, tasmota, chirpstack, espeasy];

fn telegraf_1(status: u16, error: &str) -> Does {
    let is_final = ["retention policy not found", "points beyond retention policy"];
    let is_final = is_final.into_iter().chain(["partial write", "unable to parse"]);
    match status {
        204 => Goes,
        _ if error.contains("database not found") => Repeats,
        400..=499 => Drops,
        _ if is_final.into_iter().any(|text| error.contains(text)) => Drops,
        _ => Repeats,
    }
}

fn telegraf_2(status: u16, _error: &str) -> Does {
    match status {
        200 | 201 | 202 | 204 | 206..=208 => Goes,
        413 => Halves,
        401 | 403 | 429 => Repeats,
        400..=499 => Drops,
        _ => Repeats,
    }
}

fn arduino(status: u16, _error: &str) -> Does {
    match status {
        200..=299 => Goes,
        429.. => Repeats,
        _ => Drops,
    }
}

fn tasmota(status: u16, _error: &str) -> Does {
    if status == 204 { Goes } else { Drops }
}

fn chirpstack(status: u16, _error: &str) -> Does {
    if status < 400 { Goes } else { Drops }
}

fn espeasy(status: u16, _error: &str) -> Does {
    if (100..300).contains(&status) { Goes } else { Repeats }
}

/// That an answer has this status, and makes the clients do this.
#[track_caller]
fn check(what: &str, answer: &Answer, status: u16, expected: [Does; 6]) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    // Telegraf sends again what is answered with anything but JSON.
    let said = match answer.body.as_str() {
        "" => json!({}),
        _ => answer.json().unwrap(),
    };
    let error = said["error"].as_str().unwrap_or_default();
    assert!(status == 204 || !error.is_empty(), "{what}: {}", answer.body);
    let done = CLIENTS.map(|client| client(status, error));
    assert_eq!(done, expected, "{what}: {}", answer.body);
    // What may pass later says when.
    assert_eq!(answer.header("retry-after").is_some(), matches!(status, 429 | 503), "{what}");
}

#[test]
fn clients_drop_what_a_repeat_does_not_mend_and_no_more() {
    let (service, [key, other, _, root]) = guarded(&[("max_body_bytes", "20000")]);
    let (of_key, of_other) = (format!("Token {key}"), format!("Token {other}"));
    let by_key = [("authorization", of_key.as_str())];
    let write =
        |headers: &[(&str, &str)], body: &str| write(&service, "/write?db=influx", headers, body);
    check("good", &write(&by_key, &line("a")), 204, [Goes; 6]);
    let all_drop = [Drops, Drops, Drops, Drops, Drops, Repeats];
    let partial = write(&by_key, &format!("{}t\n{}", line("b"), line("c")));
    check("in part", &partial, 400, all_drop);
    assert!(partial.json().unwrap()["error"].as_str().unwrap().contains("partial write: 1 of 3"));
    check("bad", &write(&by_key, "t\n"), 400, all_drop);
    let unlet = [Drops, Repeats, Drops, Drops, Drops, Repeats];
    check("no key", &write(&[], &line("x")), 401, unlet);
    check("a key of another", &write(&[("authorization", &of_other)], &line("x")), 403, unlet);
    let large = line("x").repeat(1_000);
    check("large", &write(&by_key, &large), 413, [Drops, Halves, Drops, Drops, Drops, Repeats]);
    let bomb = gzipped(&vec![b'\n'; 1_000_000]);
    let headers = [by_key[0], ("content-encoding", "gzip")];
    let inflated = send(&service, ("POST", "/write?db=influx"), &headers, &bomb);
    check("large inflated", &inflated, 413, [Drops, Halves, Drops, Drops, Drops, Repeats]);
    let often = until("the key is used too often", || {
        let value = format!("{} {}", now_ms() / 60_000, limits::KEY_USES_PER_MINUTE_MAX);
        service.journal().set("key-rate/1/lines", value.as_bytes()).unwrap();
        Some(write(&by_key, &line("x"))).filter(|answer| answer.status != 204)
    });
    check("too often", &often, 429, [Drops, Repeats, Repeats, Drops, Drops, Repeats]);
    assert_eq!(kept(&service, &root), ["a", "b", "c"]);
}

/// The devices that have a reading.
fn kept(service: &Service, token: &str) -> Vec<String> {
    let bearer = format!("Bearer {token}");
    let all = until("everything is counted", || {
        let headers = [("authorization", bearer.as_str())];
        let all = send(service, ("GET", "/v1/devices"), &headers, b"").json().unwrap();
        Some(all).filter(|all| all["unfolded_entries"] == 0)
    });
    let devices = all["devices"].as_array().unwrap().iter();
    devices.map(|device| device["device_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn clients_that_repeat_lose_nothing_while_a_store_is_away_or_the_journal_is_full() {
    const LATER: [Does; 6] = [Repeats, Repeats, Repeats, Drops, Drops, Repeats];
    let service = Service::start_faulty(&[("journal_max_entries", "3")]).unwrap();
    let send = |device: &str| write(&service, "/write?db=influx", &[], &line(device));
    service
        .set_faults(&json!([
            {"store": "sqlite", "effect": "fail"}, {"store": "key_value", "effect": "fail"}
        ]))
        .unwrap();
    check("stores away", &send("a"), 503, LATER);
    service.heal();
    check(
        "stores back",
        &until("they are", || Some(send("a")).filter(|a| a.status == 204)),
        204,
        [Goes; 6],
    );
    service.fail("sqlite", "fail");
    let mut sent = 0;
    let full = until("the journal is full", || {
        sent += 1;
        Some(send(&format!("d-{sent:03}"))).filter(|answer| answer.status != 204)
    });
    check("journal full", &full, 503, LATER);
    service.heal();
    let again = || Some(send(&format!("d-{sent:03}"))).filter(|answer| answer.status == 204);
    check("and empty", &until("there is room", again), 204, [Goes; 6]);
    assert_eq!(service.totals().0, i64::from(sent) + 1);
}
