//! Minutes with so many readings that they take many runs: what comes later finds
//! its place among them, whether it is little or much.

use isotherm::api::routes;
use isotherm::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
use isotherm::domain::rejection::Rejections;
use isotherm::fold;
use isotherm::host::{Host, Sql, Value};
use isotherm::http::Request;
use isotherm::ledger::database::{Budget, Database};
use isotherm::ledger::{self, Outcome};
use isotherm::limits;
use isotherm_host::native::NativeHost;

use crate::faulty::scratch;

const START: i64 = 1_700_000_040_000;
const DEVICES: i64 = 10_000;
const REGIONS: i64 = 4;

/// The reading of a device at so many milliseconds into the minute, in the region
/// that all its readings are of.
fn reading(device: i64, ms: i64, millicelsius: i64) -> Reading<'static> {
    Reading {
        device_id: DeviceId::new(format!("sensor-{device:05}")).unwrap(),
        region: Region::new(format!("region-{}", device % REGIONS)).unwrap(),
        temperature: MilliCelsius::new(millicelsius).unwrap(),
        timestamp: UnixMillis::new(START + ms).unwrap(),
        is_late: false,
    }
}

fn post(host: &NativeHost, readings: &[Reading<'_>]) -> Vec<Outcome> {
    let regions = Database::open(host, Budget::waiting(60_000)).unwrap();
    fold::post_now(&regions, readings, &Rejections::default()).unwrap()
}

fn numbers(host: &NativeHost, statement: &str) -> Vec<i64> {
    let rows = Sql::execute(&host.sql().unwrap(), statement, &[]).unwrap();
    let number = |value: &Value| match value {
        Value::Integer(number) => *number,
        other => panic!("{other:?} is no integer"),
    };
    rows.iter().flatten().map(number).collect()
}

/// A minute of so many devices, in an order of no use to anybody.
fn dense() -> (tempfile::TempDir, NativeHost) {
    let directory = scratch();
    let host = NativeHost::new(directory.path(), &[("retention", "0")]).unwrap();
    let all: Vec<_> = (0..DEVICES).map(|i| i * 7_919 % DEVICES).map(|i| reading(i, 5, i)).collect();
    assert_eq!(post(&host, &all), vec![Outcome::Stored; all.len()]);
    (directory, host)
}

fn check(host: &NativeHost, readings: usize) {
    let rows = ledger::rows_between(&host.sql().unwrap(), 0, i64::MAX).unwrap();
    assert_eq!(rows.len(), readings);
    let place = |row: &ledger::Row| (row.device(), row.timestamp());
    assert!(rows.is_sorted_by(|a, b| place(a) < place(b)), "no reading stands twice");
    let readings = i64::try_from(readings).unwrap();
    assert_eq!(numbers(host, "SELECT sum(records) FROM ledger"), [readings]);
    for span in [0, 1, 60, 1_440] {
        let sum = format!("SELECT sum(readings) FROM windows WHERE span = {span}");
        assert_eq!(numbers(host, &sum), [readings], "span {span}");
    }
    for span in [0, 60, 1_440] {
        let told = format!("SELECT sum(devices) FROM windows WHERE span = {span}");
        let kept = format!("SELECT sum(records) FROM device_windows WHERE span = {span}");
        assert_eq!(numbers(host, &told), [DEVICES], "span {span}");
        assert_eq!(numbers(host, &kept), [DEVICES], "span {span}");
    }
}

#[test]
fn a_dense_minute_takes_many_runs_of_bounded_size() {
    let (_directory, host) = dense();
    check(&host, 10_000);
    let longest = numbers(&host, "SELECT max(length(run)), count(*) FROM ledger");
    assert!(longest[0] <= i64::try_from(limits::RUN_BYTES_MAX).unwrap(), "{longest:?}");
    assert!(longest[1] > 30, "{longest:?}");
}

#[test]
fn few_late_readings_find_their_runs_among_many() {
    let (_directory, host) = dense();
    // Too few to read all runs of the minute for them, too many to look each up
    // without counting.
    let late: Vec<_> = (0..12)
        .flat_map(|i| {
            let device = i * 833;
            [reading(device, 5, device), reading(device, 5, 1), reading(device, 4, 7)]
        })
        .collect();
    let outcomes = post(&host, &late);
    for (i, three) in outcomes.chunks(3).enumerate() {
        assert_eq!(three, [Outcome::Duplicate, Outcome::Conflict, Outcome::Stored], "{i}");
    }
    check(&host, 10_012);
    let repeats = "SELECT duplicates, conflicts FROM windows WHERE span = 1 ORDER BY region";
    assert_eq!(numbers(&host, repeats), [3, 3, 3, 3, 3, 3, 3, 3]);
    let one = [reading(9_999, 5, 9_999), reading(9_999, 59_999, 1)];
    assert_eq!(post(&host, &one), [Outcome::Duplicate, Outcome::Stored]);
    check(&host, 10_013);
}

#[test]
fn a_device_whose_minute_takes_many_runs_is_told_whole() {
    let directory = scratch();
    let host = NativeHost::new(directory.path(), &[("retention", "0")]).unwrap();
    let all: Vec<_> = (0..3_000).map(|ms| reading(7, ms, ms)).collect();
    post(&host, &all);
    assert!(numbers(&host, "SELECT count(*) FROM ledger")[0] > 3);
    let contradicting = [3, 2_990, 2_991].map(|ms| reading(7, ms, 9));
    assert_eq!(post(&host, &contradicting), [Outcome::Conflict; 3]);

    let get = |path: &str| -> serde_json::Value {
        let now = UnixMillis::new(START + 60_000).unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request { query: Some(query.to_owned()), ..Request::get(path) };
        let answer = routes::answer(&host, &request, now).response;
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_slice(&answer.body).unwrap()
    };
    let conflicts = get("/v1/conflicts");
    let standing: Vec<_> = conflicts["conflicts"].as_array().unwrap().iter().collect();
    let standing: Vec<_> = standing.iter().map(|c| &c["standing_temperature_c"]).collect();
    assert_eq!(standing, [0.003, 2.99, 2.991]);
    let readings = get("/v1/devices/sensor-00007/readings?limit=1000");
    let readings = readings["readings"].as_array().unwrap();
    assert_eq!((readings.len(), &readings[999]["temperature_c"]), (1_000, &0.999.into()));
    let half = format!("from={}&to={}", START + 1_500, START + 1_503);
    let readings = get(&format!("/v1/devices/sensor-00007/readings?{half}"));
    assert_eq!(readings["readings"].as_array().unwrap().len(), 3);
}

#[test]
fn as_many_again_are_merged_run_by_run() {
    let (_directory, host) = dense();
    let again: Vec<_> =
        (0..DEVICES).flat_map(|i| [reading(i, 5, i), reading(i, 30_000, i)]).collect();
    let outcomes = post(&host, &again);
    let is_new = |outcome: &&Outcome| **outcome == Outcome::Stored;
    assert_eq!(outcomes.iter().filter(is_new).count(), 10_000);
    check(&host, 20_000);
    assert_eq!(numbers(&host, "SELECT sum(sum) FROM windows WHERE span = 0"), [99_990_000]);
}
