//! What a sensor and a client see while stores fail, over a real socket. These
//! need the embedded runtime, whose stores fail on demand.

use std::time::Duration;

use isotherm::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
use isotherm::domain::rejection::Rejections;
use isotherm::journal::Entry;
use isotherm_host::stores::KeyValueFile;
use isotherm_it::Service;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::contract::{check_problem, now_ms, reading};
use crate::exactly_once::{SUM_MILLI, settled, shuffled, ten_thousand, totals, until};

const WAIT: &[(&str, &str)] = &[("prefer", "wait")];

/// A reading of its own for every `index`, a while ago.
fn nth(index: i64) -> Value {
    reading("d", "hall", 20.0, now_ms() - 3_600_000 + index)
}

fn hall(service: &Service) -> Value {
    service.get("/v1/regions/hall").unwrap().json().unwrap()
}

fn calls(service: &Service, store: &str) -> i64 {
    let shown = service.get("/.well-known/isotherm-host/faults").unwrap();
    shown.json().unwrap()[format!("{store}_calls")].as_i64().unwrap()
}

fn journal(service: &Service) -> KeyValueFile {
    KeyValueFile::open(&service.journal_file(), "default").unwrap()
}

fn keys(service: &Service, prefix: &str) -> Vec<String> {
    let keys = journal(service).keys().unwrap();
    keys.into_iter().filter(|key| key.starts_with(prefix)).collect()
}

#[test]
fn without_the_flag_nobody_can_make_the_stores_fail() {
    let service = Service::start(&[]).unwrap();
    assert!(service.set_faults(&json!([])).is_err());
}

#[test]
fn while_the_database_is_away_readings_are_taken_and_the_last_good_averages_served() {
    let service = Service::start_faulty(&[]).unwrap();
    assert_eq!(service.post(&json!([nth(0), nth(1)]).to_string()).unwrap().status, 202);
    assert_eq!(hall(&service)["count"], 2);
    until("a snapshot is kept", || keys(&service, "snapshot/").pop());
    for path in ["/readyz", "/readyz/ingest"] {
        assert_eq!(service.get(path).unwrap().json().unwrap()["status"], "ready");
    }
    // A probe may put anything into its query.
    for path in ["/readyz/ingest?probe=1", "/readyz?verbose", "/healthz?_=1"] {
        assert_eq!(service.get(path).unwrap().status, 200, "{path}");
    }

    service.set_faults(&json!([{"store": "sqlite", "effect": "fail"}])).unwrap();
    for index in 2..12 {
        let answer = service.sender().post(nth(index).to_string().as_bytes(), WAIT).unwrap();
        assert_eq!((answer.status, answer.header("preference-applied")), (202, None));
        let answer = service.get("/v1/regions/hall").unwrap();
        assert!(answer.header("age").unwrap().parse::<u32>().is_ok());
        let body = answer.json().unwrap();
        assert_eq!((&body["stale"], &body["count"]), (&json!(true), &json!(2)));
        assert_eq!(body["unfolded_entries"], index - 1);
    }
    let list = service.get("/v1/regions").unwrap().json().unwrap();
    assert_eq!((&list["stale"], &list["regions"][0]["region"]), (&json!(true), &json!("hall")));
    assert_eq!(list["complete"], false);
    // It may be newer than the snapshot.
    check_problem(&service.get("/v1/regions/attic").unwrap(), 503, "store-unavailable");
    let range = service.get("/v1/regions/hall?from=0").unwrap();
    check_problem(&range, 503, "store-unavailable");
    assert!(range.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);

    let readiness = service.get("/readyz").unwrap();
    assert_eq!(readiness.status, 200, "it can make readings durable");
    let body = readiness.json().unwrap();
    assert_eq!((&body["status"], &body["regions"]), (&json!("degraded"), &json!("failing")));
    assert_ne!(body["breaker"], "closed");
    let metrics = service.get("/metrics").unwrap().body;
    for line in [
        "isotherm_store_up{store=\"regions\"} 0",
        "isotherm_store_up{store=\"journal\"} 1",
        "isotherm_breaker_state{state=\"closed\"} 0",
        "isotherm_journal_entries 10",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }

    // A hundred questions, and a few probes.
    let before = calls(&service, "sqlite");
    for _ in 0..100 {
        assert_eq!(hall(&service)["stale"], true);
    }
    let spared = calls(&service, "sqlite") - before;
    assert!(spared < 40, "{spared} calls to a database that is to be spared");

    service.set_faults(&json!([])).unwrap();
    let body = until("the database is asked again", || {
        Some(hall(&service)).filter(|body| body["stale"] == false)
    });
    assert_eq!((&body["count"], &body["unfolded_entries"]), (&json!(12), &json!(0)));
    let metrics = service.get("/metrics").unwrap().body;
    assert!(metrics.lines().any(|l| l == "isotherm_breaker_state{state=\"closed\"} 1"));
    let log = service.log();
    assert_eq!(log.matches(": closed to open").count(), 1, "{log}");
    assert_eq!(log.matches(": half-open to closed").count(), 1, "{log}");
    let probes = log.matches(": open to half-open").count();
    assert_eq!(log.matches("breaker of the").count(), 2 * probes + 1, "each once: {log}");
    assert_eq!(probes, log.matches(": half-open to open").count() + 1, "{log}");
}

#[test]
fn when_the_journal_fails_readings_are_counted_straight_away() {
    for effect in ["fail", "full", "locked"] {
        let service = Service::start_faulty(&[]).unwrap();
        let first = nth(0);
        assert_eq!(service.post(&first.to_string()).unwrap().status, 202);
        service.set_faults(&json!([{"store": "key_value", "effect": effect}])).unwrap();
        let both = json!([first, nth(1)]);
        let answer = service.post(&both.to_string()).unwrap();
        assert_eq!(answer.status, 200, "{effect}: {}", answer.body);
        let body = answer.json().unwrap();
        assert_eq!((&body["ack"], &body["stored"]), (&json!("folded"), &json!(2)));
        let body = hall(&service);
        assert_eq!((&body["count"], &body["unfolded_entries"]), (&json!(2), &Value::Null));

        // What the journal still holds of it is not counted again.
        service.set_faults(&json!([])).unwrap();
        let body = hall(&service);
        assert_eq!((&body["count"], &body["unfolded_entries"]), (&json!(2), &json!(0)));
    }
}

#[test]
fn when_both_stores_fail_nothing_is_kept_and_the_sender_is_told_when_to_come_again() {
    let service = Service::start_faulty(&[]).unwrap();
    for effect in ["fail", "full", "damaged"] {
        let rules = json!([
            {"store": "key_value", "effect": effect}, {"store": "sqlite", "effect": effect}]);
        service.set_faults(&rules).unwrap();
        for headers in [&[], WAIT] {
            let answer = service.sender().post(nth(0).to_string().as_bytes(), headers).unwrap();
            check_problem(&answer, 503, "store-unavailable");
            assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
        }
        for path in ["/readyz", "/readyz/ingest"] {
            let readiness = service.get(path).unwrap();
            assert_eq!(readiness.status, 503, "{path}");
            assert_eq!(readiness.json().unwrap()["status"], "unavailable");
        }
        assert_eq!(service.get("/healthz").unwrap().status, 200);
        assert_eq!(service.get("/metrics").unwrap().status, 200);
        check_problem(&service.get("/v1/regions").unwrap(), 503, "store-unavailable");
        service.set_faults(&json!([])).unwrap();
        assert_eq!(settled(service.sender())["regions"], json!([]));
    }
}

#[test]
fn a_full_journal_refuses_and_takes_readings_again_once_it_is_folded() {
    let service = Service::start_faulty(&[("journal_max_entries", "50")]).unwrap();
    service.set_faults(&json!([{"store": "sqlite", "effect": "fail"}])).unwrap();
    let mut accepted = 0;
    let refused = loop {
        let answer = service.post(&nth(accepted).to_string()).unwrap();
        if answer.status == 503 {
            break answer;
        }
        assert_eq!(answer.status, 202);
        accepted += 1;
        assert!(accepted < 5_000, "a journal bounded to 50 entries");
    };
    check_problem(&refused, 503, "store-unavailable");
    assert!(refused.body.contains("full"), "{}", refused.body);
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert!(accepted >= 50, "refused at {accepted}");
    let entries = keys(&service, "journal/").len();
    assert_eq!(i64::try_from(entries).unwrap(), accepted, "refused and yet kept");
    let metrics = service.get("/metrics").unwrap().body;
    assert!(metrics.lines().any(|l| l == "isotherm_journal_full 1"), "{metrics}");

    service.set_faults(&json!([])).unwrap();
    service.sender().deliver(&[nth(accepted)]).unwrap();
    until("the database is asked again", || {
        Some(hall(&service)).filter(|b| b["stale"] == false && b["count"] == accepted + 1)
    });
    assert_eq!(service.log().matches("reached its bound").count(), 1);
}

#[test]
fn an_entry_that_can_not_be_read_is_listed_counted_and_never_in_the_way() {
    let service = Service::start_faulty(&[]).unwrap();
    let at = UnixMillis::new(now_ms()).unwrap();
    let entry = |millicelsius| {
        let one = Reading {
            device_id: DeviceId::new("x").unwrap(),
            region: Region::new("hall").unwrap(),
            temperature: MilliCelsius::new(millicelsius).unwrap(),
            timestamp: at,
            is_late: false,
        };
        Entry::encode(&[one], &Rejections::default())
    };
    let (flipped, cut) = (entry(1), entry(2));
    let mut bytes = flipped.as_pair().1.to_vec();
    bytes[5] ^= 4;
    journal(&service).set(&flipped.as_pair().0, &bytes).unwrap();
    let half = cut.as_pair().1;
    journal(&service).set(&cut.as_pair().0, &half[..half.len() / 2]).unwrap();
    // What no known release wrote, with the right checksum.
    let unknown = [9, 9, 9];
    let digest: String = Sha256::digest(unknown).iter().map(|b| format!("{b:02x}")).collect();
    let unknown_name = format!("{:08x}-{:08x}-{digest}", 1, unknown.len());
    journal(&service).set(&format!("journal/1/{unknown_name}"), &unknown).unwrap();
    assert_eq!(service.post(&nth(0).to_string()).unwrap().status, 202);

    let body = hall(&service);
    assert_eq!((&body["count"], &body["unfolded_entries"]), (&json!(1), &json!(0)));
    let mut names = [flipped.name().as_str(), cut.name().as_str(), unknown_name.as_str()];
    names.sort_unstable();
    for _ in 0..2 {
        let listed = service.get("/v1/quarantine").unwrap().json().unwrap();
        let entries = listed["entries"].as_array().unwrap();
        let listed: Vec<&str> = entries.iter().map(|e| e["name"].as_str().unwrap()).collect();
        assert_eq!(listed, names);
        assert!(entries.iter().all(|e| e["reason"] == "unreadable" && e["readings"] == 1));
        assert_eq!(hall(&service)["quarantined_readings"], 3);
    }
    let metrics = service.get("/metrics").unwrap().body;
    let line = "isotherm_quarantined_entries{reason=\"unreadable\"} 3";
    assert!(metrics.lines().any(|l| l == line), "{metrics}");
    let key = format!("quarantine/1/unreadable/{}", flipped.name().as_str());
    assert_eq!(journal(&service).get(&key).unwrap(), Some(bytes), "byte by byte as it was");
}

#[test]
fn metrics_count_what_was_accepted_and_what_was_rejected() {
    let service = Service::start_faulty(&[]).unwrap();
    let (good, other) = (nth(0), reading("d2", "hall", 1.0, now_ms()));
    let hot = reading("d", "hall", 5_000.0, now_ms());
    assert_eq!(service.post(&json!([good, hot, other]).to_string()).unwrap().status, 202);
    assert_eq!(service.post(&json!([good, hot]).to_string()).unwrap().status, 202);
    assert_eq!(service.post(&hot.to_string()).unwrap().status, 422);
    let mut contradicting = good;
    contradicting["temperature_c"] = json!(7);
    settled(service.sender());
    let waiting = json!([contradicting, hot]).to_string();
    assert_eq!(service.sender().post(waiting.as_bytes(), WAIT).unwrap().status, 200);
    let expected = [
        "isotherm_readings_accepted_total 4",
        "isotherm_readings_folded_total{outcome=\"stored\"} 2",
        "isotherm_readings_folded_total{outcome=\"duplicate\"} 1",
        "isotherm_readings_folded_total{outcome=\"conflict\"} 1",
        "isotherm_readings_rejected_total{reason=\"temperature_out_of_range\"} 4",
        "isotherm_journal_entries 0",
    ];
    // The rejections of a request without a valid reading are noted after its
    // answer.
    let metrics = until("every rejection is counted", || {
        settled(service.sender());
        let metrics = service.get("/metrics").unwrap();
        assert_eq!(
            metrics.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let all = expected.iter().all(|line| metrics.body.lines().any(|l| l == *line));
        all.then_some(metrics.body)
    });
    assert!(metrics.ends_with('\n'));
}

#[test]
fn faults_at_random_lose_nothing_and_count_nothing_twice() {
    let service = Service::start_faulty(&[]).unwrap();
    let rules = json!([
        {"store": "key_value", "effect": "lost", "probability": 0.05},
        {"store": "key_value", "effect": "fail", "probability": 0.1},
        {"store": "key_value", "effect": "stall", "ms": 5, "probability": 0.1},
        {"store": "sqlite", "effect": "locked", "probability": 0.1},
        {"store": "sqlite", "effect": "lost", "probability": 0.02},
        {"store": "sqlite", "effect": "full", "probability": 0.05},
    ]);
    service.set_faults(&rules).unwrap();
    let readings = ten_thousand();
    let batches = |seed| -> Vec<Vec<Value>> {
        let mine = shuffled(&readings, seed);
        mine.chunks(100).map(<[Value]>::to_vec).collect()
    };
    std::thread::scope(|scope| {
        for seed in [1, 2] {
            let (service, batches) = (&service, batches(seed));
            scope.spawn(move || service.sender().deliver_all(&batches, 4).unwrap());
        }
        // Whoever reads meanwhile makes it fold.
        for _ in 0..50 {
            assert!(matches!(service.get("/v1/regions").unwrap().status, 200 | 503));
        }
    });
    service.set_faults(&json!([])).unwrap();
    assert_eq!(totals(service.sender()), (10_000, SUM_MILLI));
    assert_eq!(keys(&service, "quarantine/"), Vec::<String>::new());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a sender waits is what is tested")]
fn a_slow_database_keeps_no_sender_waiting() {
    let service = Service::start_faulty(&[]).unwrap();
    let stall_ms = 20_000;
    service.set_faults(&json!([{"store": "sqlite", "effect": "stall", "ms": stall_ms}])).unwrap();
    let started = std::time::Instant::now();
    for index in 0..100 {
        assert_eq!(service.post(&nth(index).to_string()).unwrap().status, 202);
    }
    assert!(started.elapsed() < Duration::from_millis(stall_ms), "{:?}", started.elapsed());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a client waits is what is tested")]
fn a_slow_database_is_spared_like_one_that_is_away() {
    let service = Service::start_faulty(&[]).unwrap();
    assert_eq!(service.post(&nth(0).to_string()).unwrap().status, 202);
    assert_eq!(hall(&service)["count"], 1);
    until("a snapshot is kept", || keys(&service, "snapshot/").pop());
    service.set_faults(&json!([{"store": "sqlite", "effect": "stall", "ms": 2_100}])).unwrap();
    for _ in 0..3 {
        assert_eq!(hall(&service)["stale"], true);
    }
    let started = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(hall(&service)["stale"], true);
    }
    // Twenty answers, and a probe or two.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(service.log().contains("ms to be opened"), "{}", service.log());
}

#[test]
fn a_lost_database_comes_back_with_what_the_journal_holds() {
    let service = Service::start_faulty(&[]).unwrap();
    assert_eq!(service.post(&nth(0).to_string()).unwrap().status, 202);
    assert_eq!(hall(&service)["count"], 1);
    service.set_faults(&json!([{"store": "sqlite", "effect": "fail"}])).unwrap();
    assert_eq!(service.post(&json!([nth(1), nth(2)]).to_string()).unwrap().status, 202);
    for path in files_of(&service) {
        std::fs::remove_file(path).unwrap();
    }
    service.set_faults(&json!([])).unwrap();
    let body = until("the new database answers", || {
        Some(hall(&service)).filter(|body| body["stale"] == false && body["count"] == 2)
    });
    assert_eq!(body["unfolded_entries"], 0);
}

/// The database's file, its log and its index, as far as they are there.
fn files_of(service: &Service) -> Vec<std::path::PathBuf> {
    let name = service.regions_file().into_os_string();
    let with = |suffix| {
        let mut name = name.clone();
        name.push(suffix);
        std::path::PathBuf::from(name)
    };
    ["", "-wal", "-shm"].map(with).into_iter().filter(|path| path.exists()).collect()
}

#[test]
fn a_damaged_database_is_named_and_readings_are_taken_until_it_is_put_aside() {
    let service = Service::start_faulty(&[]).unwrap();
    assert_eq!(service.post(&nth(0).to_string()).unwrap().status, 202);
    assert_eq!(hall(&service)["count"], 1);
    until("a snapshot is kept", || keys(&service, "snapshot/").pop());
    until("nobody uses the database", || (files_of(&service).len() == 1).then_some(()));
    std::fs::write(service.regions_file(), vec![b'?'; 65_536]).unwrap();

    assert_eq!(hall(&service)["stale"], true);
    let range = service.get("/v1/regions/hall?from=0").unwrap();
    check_problem(&range, 503, "store-unavailable");
    assert!(range.body.contains("damaged"), "{}", range.body);
    assert!(service.log().contains("move its file aside"), "{}", service.log());
    for index in 1..20 {
        assert_eq!(service.post(&nth(index).to_string()).unwrap().status, 202);
    }
    let aside = service.directory().join("regions.db.damaged");
    std::fs::rename(service.regions_file(), aside).unwrap();
    until("the new database answers", || {
        Some(hall(&service)).filter(|body| body["stale"] == false && body["count"] == 19)
    });
}

#[test]
fn a_disk_without_space_refuses_and_goes_on_when_there_is_space_again() {
    let service = Service::start_limited().unwrap();
    let pid = service.process_id().unwrap().to_string();
    let limit = |bytes: &str| {
        let size = format!("--fsize={bytes}:unlimited");
        let done = std::process::Command::new("prlimit").args(["--pid", &pid, &size]).status();
        assert!(done.unwrap().success());
    };
    limit("60000");
    let readings = ten_thousand();
    let mut refused = Vec::new();
    let mut acknowledged = 0;
    for round in 0..4 {
        for batch in readings.chunks(200).skip(round).step_by(4) {
            let body = Value::from(batch.to_vec()).to_string();
            let answer = service.post(&body).unwrap();
            match answer.status {
                200 | 202 => acknowledged += 1,
                _ => {
                    check_problem(&answer, 503, "store-unavailable");
                    assert!(answer.header("retry-after").is_some());
                    refused.push(batch);
                }
            }
        }
    }
    assert!(refused.len() > 5 && acknowledged > 5, "{acknowledged}, {} refused", refused.len());

    limit("unlimited");
    for batch in refused {
        service.sender().deliver(batch).unwrap();
    }
    assert_eq!(totals(service.sender()), (10_000, SUM_MILLI));
    assert_eq!(keys(&service, "quarantine/"), Vec::<String>::new());
}
