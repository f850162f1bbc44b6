//! How large the database is, how fast it grows, and what it will take: figures that are
//! estimated, against those of the files.

use isotherm::api::{readings, router};
use isotherm::http::{Header, Request};
use isotherm::internals::settings::Horizon;
use isotherm_it::{Service, now_ms};
use isotherm_stores::native::NativeHost;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::{Node, scratch};
use crate::support::readings::{
    DAY, HOUR, MINUTE, NOW, at, in_hall, instant, json_reading, reading,
};
use crate::support::service::Expect as _;
use crate::support::strict::StrictHost;

const STATUS: &str = "/v1/status";
/// A midnight.
const BEGIN: i64 = 1_899_936_000_000;

/// The house: nine rooms with 40 sensors, which send once a minute.
fn live(node: &mut Node, from: i64, to: i64) {
    for hour in (from..to).step_by(usize::try_from(HOUR).unwrap()) {
        let one = |minute: i64, sensor: i64| {
            let time = hour + minute * MINUTE + sensor * 1_499;
            let swing = (time / 600_000 * 37 + sensor * 101) % 1_900;
            reading(
                format!("sensor-{sensor:02}"),
                format!("room-{}", sensor % 9),
                -19_000 + swing / 10 * 10,
                time,
            )
        };
        let sent = (0..60).flat_map(|minute| (0..40).map(move |sensor| one(minute, sensor)));
        node.journal(&sent.collect::<Vec<_>>());
        node.set_clock((hour + HOUR).min(to));
        node.read("/v1/regions");
    }
}

fn number(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or_else(|| panic!("{field}: {status}"))
}

/// Whether the two differ by no more than this factor.
#[track_caller]
fn check_near(estimated: i64, measured: i64, factor: f64) {
    let ratio = estimated as f64 / measured as f64;
    assert!((1.0 / factor..factor).contains(&ratio), "{estimated}, and measured {measured}");
}

/// The bytes of the database that are in use, by the file itself.
fn used(node: &Node) -> i64 {
    let file = Connection::open(node.directory().join("regions.db")).unwrap();
    file.query_row("SELECT sum(pgsize) FROM dbstat", [], |row| row.get(0)).unwrap()
}

#[test]
fn growth_and_forecast_are_those_of_the_house() {
    let mut node = Node::quiet(&[]);
    live(&mut node, BEGIN, BEGIN + DAY);
    // The first and the last reading are a second less than a day apart.
    let status = node.look_at(STATUS);
    for field in ["growth_bytes_per_day", "forecast_bytes_in_a_year"] {
        assert_eq!(status[field], Value::Null, "{status}");
    }
    live(&mut node, BEGIN + DAY, BEGIN + DAY + HOUR);
    let (first, used_then) = (node.look_at(STATUS), used(&node));
    check_near(number(&first, "readings_per_day"), 40 * 1_440, 1.01);
    live(&mut node, BEGIN + DAY + HOUR, BEGIN + 4 * DAY);
    let status = node.look_at(STATUS);
    let growth = (used(&node) - used_then) * 24 / 71;
    check_near(number(&first, "growth_bytes_per_day"), growth, 1.2);
    check_near(number(&status, "growth_bytes_per_day"), growth, 1.2);
    check_near(number(&status, "forecast_bytes_in_a_year"), used(&node) + 365 * growth, 1.2);
    // The runs, and what stands around them.
    let file = Connection::open(node.directory().join("regions.db")).unwrap();
    let sum = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%ledger%'";
    let ledger: i64 = file.query_row(sum, [], |row| row.get(0)).unwrap();
    check_near(number(&status, "ledger_bytes"), ledger, 1.1);
    assert_eq!(number(&status, "database_bytes"), used(&node));
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "now": instant(node.now.get()), "readings": 230_400,
        "regions": 9, "devices": 40, "oldest_reading": instant(BEGIN), "database_free_bytes": 0,
        "retention_ms": 400 * DAY, "journal_entries": 0, "journal_bytes": 0,
    });
    check_fields(&status, &expected);
}

#[test]
fn a_small_node_foretells_about_the_same_after_a_day_as_after_a_week() {
    let mut node = Node::quiet(&[]);
    let one = |minute: i64| {
        let swing = minute / 10 * 37 % 1_900;
        reading("sensor", "room", -19_000 + swing / 10 * 10, BEGIN + minute * MINUTE)
    };
    let mut foretold = Vec::new();
    for hour in 0..=7 * 24 {
        node.journal(&(hour * 60..(hour + 1) * 60).map(one).collect::<Vec<_>>());
        node.set_clock(BEGIN + (hour + 1) * HOUR);
        let status = node.read(STATUS);
        if hour < 24 {
            assert_eq!(status["forecast_bytes_in_a_year"], Value::Null, "{status}");
        } else if hour % 24 == 0 {
            foretold.push(number(&status, "forecast_bytes_in_a_year"));
        }
    }
    let [first, .., last] = foretold[..] else { panic!("{foretold:?}") };
    check_near(first, last, 1.2);
}

#[test]
fn where_readings_go_as_fast_as_they_come_only_the_averages_grow() {
    let retention = [("retention", "2d")];
    let mut node = Node::quiet(&retention);
    let horizon = Horizon::from_variables(&node.host).unwrap();
    let mut used_then = 0;
    for day in 0..5 {
        live(&mut node, BEGIN + day * DAY, BEGIN + (day + 1) * DAY);
        node.fold_at(horizon, node.now.get());
        if day == 2 {
            used_then = used(&node);
        }
    }
    let status = node.look_at(STATUS);
    let free = number(&status, "database_free_bytes");
    let in_use = number(&status, "database_bytes") - free;
    let growth = (used(&node) - used_then) / 2;
    check_near(number(&status, "growth_bytes_per_day"), growth, 1.5);
    check_near(number(&status, "forecast_bytes_in_a_year"), in_use + 365 * growth, 1.5);
    // The rows that went had the lowest ids.
    check_near(number(&status, "ledger_bytes"), 2 * 417_600, 1.2);
}

#[test]
fn a_name_without_a_counted_reading_is_no_device() {
    let mut node = Node::quiet(&[("retention", "0")]);
    node.accept(&json!([json_reading("d", "hall", 1, NOW), json_reading("d", "yard", 1, NOW - 1)]));
    assert_eq!(node.fold(), 0);
    // It sent what was too old to be told from a duplicate.
    node.execute("INSERT INTO devices (name) VALUES ('ghost')");
    check_fields(&node.read(STATUS), &json!({"readings": 2, "regions": 2, "devices": 1}));
}

#[test]
fn an_empty_node_foretells_nothing() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let nothing = [
        "retention_ms",
        "oldest_reading",
        "newest",
        "readings_per_day",
        "growth_bytes_per_day",
        "forecast_bytes_in_a_year",
        "written_bytes_per_day",
    ];
    let status = node.read(STATUS);
    for field in nothing {
        assert_eq!(status[field], Value::Null, "{field}");
    }
    check_fields(&status, &json!({"readings": 0, "regions": 0, "devices": 0, "ledger_bytes": 0}));
    // What no reading brought, as the forecast has it: 38 pages.
    let empty = number(&status, "database_bytes");
    assert!(empty.abs_diff(38 * 4_096) <= 2 * 4_096, "{empty}");
    let csv = String::from_utf8(node.get_as(STATUS, "text/csv").body).unwrap();
    assert_eq!(csv.lines().count(), 2, "{csv}");
}

#[test]
fn a_database_that_does_not_tell_its_size_leaves_the_bytes_open() {
    let directory = scratch();
    let inner = NativeHost::new(directory.path(), &[]).unwrap().simulated(1, 3);
    let host = StrictHost::over(inner);
    let body = in_hall("a", BEGIN).to_string();
    let request = Request::post("/v1/readings").with(Header::Prefer, "wait");
    let answer = readings::post(&host, &request, body.as_bytes(), at(BEGIN)).response;
    assert_eq!(answer.status, 200);
    let later = in_hall("a", BEGIN + DAY).to_string();
    let answer = readings::post(&host, &request, later.as_bytes(), at(BEGIN + DAY)).response;
    assert_eq!(answer.status, 200);
    let answer = router::answer(&host, &Request::get(STATUS), at(BEGIN + 2 * DAY)).response;
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    for field in ["database_bytes", "growth_bytes_per_day", "forecast_bytes_in_a_year"] {
        assert_eq!(status[field], Value::Null, "{status}");
    }
    check_fields(&status, &json!({"readings": 2, "readings_per_day": 1}));
    // Both senders waited: no entry of the journal, and two folds of a region.
    assert_eq!(number(&status, "written_bytes_per_day"), 57 + 84_000 + 17_000);
}

#[test]
fn the_bytes_are_those_of_the_file_and_what_is_written_is_near_what_was_measured() {
    let service = Service::start(&[]).unwrap();
    let begin = now_ms() - 70 * MINUTE;
    let written = || -> i64 {
        let process = service.process_id().unwrap();
        let io = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
    };
    let cycle = |minute: i64| {
        let one = |sensor: i64| {
            let (device, region) = (format!("sensor-{sensor}"), format!("room-{}", sensor % 9));
            json_reading(&device, &region, -20, begin + minute * MINUTE + sensor * 997)
        };
        service.accept(&(0..40).map(one).collect());
        service.read("/v1/regions");
    };
    (0..5).for_each(cycle);
    let before = written();
    (5..65).for_each(cycle);
    let measured = (written() - before) / 60 * 1_440;
    let status = service.read(STATUS);
    let file = std::fs::metadata(service.regions_file()).unwrap().len();
    let wal = service.regions_file().with_extension("db-wal");
    let wal = std::fs::metadata(wal).map_or(0, |wal| wal.len());
    let differs = number(&status, "database_bytes").unsigned_abs().abs_diff(file);
    assert!(differs <= wal, "{status} of a file of {file} and {wal} bytes");
    // Another runtime writes in another process, and a directory in memory is no disk.
    if std::env::var("ISOTHERM_RUNTIME").as_deref() != Ok("spin") && measured > 0 {
        // The 65 minutes are followed by five without a reading.
        check_near(number(&status, "written_bytes_per_day"), measured, 2.0);
    }
}
