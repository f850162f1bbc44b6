//! Files of measured temperatures, sent over many connections, against figures
//! that are calculated from the files here, by other means.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use isotherm_it::{Service, binary, root};
use isotherm_load::sender::Sender;
use serde_json::Value;

use crate::support::readings::{celsius, json_reading, shuffled};
use crate::support::service::Expect as _;

/// What a file says of a region: thousandths of a degree in whole numbers.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    millicelsius: Vec<i64>,
}

impl Expected {
    fn check(&self, region: &Value) {
        let n = self.millicelsius.len();
        let sum: i64 = self.millicelsius.iter().sum();
        assert_eq!(region["count"], n);
        assert_eq!(region["sum_millicelsius"], sum);
        assert_eq!(region["min_c"], celsius(*self.millicelsius.iter().min().unwrap()));
        assert_eq!(region["max_c"], celsius(*self.millicelsius.iter().max().unwrap()));

        // The average must be the double that is nearest to the exact quotient:
        // neither neighbour may be nearer.
        let average = region["average_c"].as_f64().unwrap();
        let distance = |x: f64| (exact(x) * (1_000 * n as i128) - (i128::from(sum) << SHIFT)).abs();
        assert!(distance(average) <= distance(average.next_up()), "{average}");
        assert!(distance(average) <= distance(average.next_down()), "{average}");

        // Two passes over the file, as a statistics book does it.
        let mean = sum as f64 / n as f64;
        let variance =
            self.millicelsius.iter().map(|&m| (m as f64 - mean).powi(2)).sum::<f64>() / n as f64;
        let deviation = region["standard_deviation_c"].as_f64().unwrap();
        assert!((deviation - variance.sqrt() / 1_000.0).abs() < 1e-9, "{deviation}");
    }
}

const SHIFT: u32 = 60;

/// A double times 2^60, exactly: the temperatures of these files have
/// magnitudes from 2^-7 on, so that their last bit is at least 2^-60.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
fn exact(x: f64) -> i128 {
    let scaled = x * (1_u64 << SHIFT) as f64;
    assert!(scaled.fract() == 0.0 && scaled.abs() < 1e30, "{x} has bits below 2^-60");
    scaled as i128
}

/// "-12.3" as -12300, digit by digit.
fn millicelsius(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<3}");
    assert!(fraction.len() <= 3, "{text}");
    digits.parse().unwrap()
}

/// Readings to send, and what must come back for every region.
type Replay = (Vec<Value>, BTreeMap<String, Expected>);

fn rows(file: &str) -> (csv::StringRecord, Vec<csv::StringRecord>) {
    let mut reader = csv::Reader::from_path(path(file)).unwrap();
    let headers = reader.headers().unwrap().clone();
    (headers, reader.records().collect::<Result<_, _>>().unwrap())
}

fn path(file: &str) -> PathBuf {
    root().join("tests/data").join(file)
}

fn reading(region: &str, device: &str, text: &str, timestamp: &str) -> Value {
    let temperature: Value = serde_json::from_str(text).unwrap();
    json_reading(device, region, temperature, timestamp)
}

/// The hourly file: seven devices take turns, in three regions.
fn seattle_hourly() -> Replay {
    let (headers, rows) = rows("seattle-hourly-2010.csv");
    assert_eq!(headers, vec!["date", "pressure", "temperature", "wind"]);
    assert_eq!(rows.len(), 8_759);
    let mut expected: BTreeMap<String, Expected> = BTreeMap::new();
    let readings = rows.iter().enumerate().map(|(i, row)| {
        let region = format!("seattle-{}", i % 3);
        expected.entry(region.clone()).or_default().millicelsius.push(millicelsius(&row[2]));
        reading(&region, &format!("station-{}", i % 7), &row[2], &format!("{}Z", &row[0]))
    });
    (readings.collect(), expected)
}

/// The daily file: in each city, one device has the maxima and one the minima.
fn seattle_and_new_york_daily() -> Replay {
    let (headers, rows) = rows("daily-seattle-newyork-2012-2015.csv");
    assert_eq!(
        (&headers[0], &headers[1], &headers[3], &headers[4]),
        ("location", "date", "temp_max", "temp_min")
    );
    assert_eq!(rows.len(), 2_922);
    let mut expected: BTreeMap<String, Expected> = BTreeMap::new();
    let readings = rows.iter().flat_map(|row| {
        let city = row[0].replace(' ', "-");
        [("max", &row[3]), ("min", &row[4])].map(|(what, text)| {
            expected.entry(city.clone()).or_default().millicelsius.push(millicelsius(text));
            reading(&city, &format!("{city}.{what}"), text, &format!("{}T00:00:00Z", &row[1]))
        })
    });
    (readings.collect(), expected)
}

/// Shuffled, in batches of `size`, every batch twice, in an order in which the
/// second copy may come first.
fn batches(readings: &[Value], size: usize) -> Vec<Vec<Value>> {
    let once: Vec<Vec<Value>> =
        shuffled(readings, 42).chunks(size).map(<[Value]>::to_vec).collect();
    shuffled(&[once.clone(), once].concat(), 43)
}

fn check(service: &Service, expected: &BTreeMap<String, Expected>) {
    let body = service.settled();
    let regions = body["regions"].as_array().unwrap();
    let names: Vec<&str> =
        regions.iter().map(|region| region["region"].as_str().unwrap()).collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    for region in regions {
        let name = region["region"].as_str().unwrap();
        expected[name].check(region);
        expected[name].check(&service.read(&format!("/v1/regions/{name}")));
        let path = format!("/v1/regions/{name}?from=2009-01-01T00:00:00Z&to=2016-01-01T00:00:00Z");
        expected[name].check(&service.read(&path));
    }
}

#[test]
fn seattle_hour_by_hour_comes_back_exactly() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let (readings, expected) = seattle_hourly();
    let totals = service.sender().deliver_all(&batches(&readings, 250), 8).unwrap();
    assert_eq!(totals.accepted, 2 * readings.len());
    check(&service, &expected);

    // One month, by what its lines say.
    let (_, rows) = rows("seattle-hourly-2010.csv");
    let july =
        rows.iter().enumerate().filter(|(i, row)| i % 3 == 1 && row[0].starts_with("2010-07-"));
    let july = Expected { millicelsius: july.map(|(_, row)| millicelsius(&row[2])).collect() };
    let path = "/v1/regions/seattle-1?from=2010-07-01T00:00:00Z&to=2010-08-01T00:00:00Z";
    july.check(&service.read(path));

    // Every day of the year, the same way.
    let path = "/v1/regions/seattle-1/windows?from=2010-01-01T00:00:00Z&to=2011-01-01T00:00:00Z\
                &step=1d";
    let body = service.read(path);
    let windows = body["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 365);
    for window in windows {
        let day = &window["from"].as_str().unwrap()[..10];
        let of_day =
            rows.iter().enumerate().filter(|(i, row)| i % 3 == 1 && row[0].starts_with(day));
        Expected { millicelsius: of_day.map(|(_, row)| millicelsius(&row[2])).collect() }
            .check(window);
    }
}

#[test]
fn two_cities_day_by_day_come_back_exactly() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    let (readings, expected) = seattle_and_new_york_daily();
    let totals = service.sender().deliver_all(&batches(&readings, 77), 8).unwrap();
    assert_eq!(totals.accepted, 2 * readings.len());
    check(&service, &expected);
}

#[test]
fn a_kill_in_the_middle_of_the_replay_changes_no_figure() {
    let mut service = Service::start(&[("retention", "0")]).unwrap();
    let (readings, expected) = seattle_hourly();
    let batches = batches(&readings, 100);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (stop, batches) = (&stop, &batches);
        let sender = Sender::new(service.sender().url(), std::time::Duration::ZERO);
        let replay = scope.spawn(move || {
            let mut acknowledged = 0;
            while !stop.load(Ordering::Relaxed) {
                let Ok(totals) = sender.deliver(&batches[acknowledged % batches.len()]) else {
                    break;
                };
                assert_eq!(totals.rejected, 0);
                acknowledged += 1;
            }
            acknowledged
        });
        // Once it is well on its way, the power goes.
        while service.get("/v1/regions/seattle-0").unwrap().status != 200 {}
        service.kill();
        stop.store(true, Ordering::Relaxed);
        assert!(replay.join().unwrap() > 0, "nothing was acknowledged before the kill");
    });
    service.run().unwrap();
    service.sender().deliver_all(&batches, 8).unwrap();
    check(&service, &expected);
}

#[test]
fn a_replay_of_which_everything_is_rejected_fails_and_a_url_without_a_scheme_is_refused() {
    let service = Service::start(&[]).unwrap();
    for (url, said) in [
        (service.sender().url(), "none of 8759 readings was accepted"),
        ("127.0.0.1:3000", "--url 127.0.0.1:3000: a URL like http://127.0.0.1:3000 is needed"),
    ] {
        let output = Command::new(binary("isotherm-load").unwrap())
            .arg("replay")
            .arg(path("seattle-hourly-2010.csv"))
            .args(["--url", url, "--timestamp", "date", "--temperature", "temperature"])
            .args(["--device", "kbfi", "--region", "seattle"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let line = String::from_utf8(output.stderr).unwrap();
        assert!(line.lines().last().unwrap().contains(said), "{line}");
    }
    let export = Command::new(binary("isotherm-export").unwrap())
        .args(["--url", "127.0.0.1:3000", "--out", "never.csv"])
        .output()
        .unwrap();
    assert_eq!(export.status.code(), Some(1));
    let line = String::from_utf8(export.stderr).unwrap();
    assert!(line.contains("a URL like http://127.0.0.1:3000 is needed"), "{line}");
}

#[test]
fn the_replay_command_sends_a_file_as_it_is() {
    let service = Service::start(&[("retention", "0")]).unwrap();
    for _ in 0..2 {
        let output = Command::new(binary("isotherm-load").unwrap())
            .arg("replay")
            .arg(path("seattle-hourly-2010.csv"))
            .args(["--url", service.sender().url(), "--timestamp", "date"])
            .args(["--temperature", "temperature", "--device", "kbfi", "--region", "Seattle WA"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(text.contains("Acknowledged 8759 of 8759 readings, rejected 0"), "{text}");
    }
    let (_, rows) = rows("seattle-hourly-2010.csv");
    let expected =
        Expected { millicelsius: rows.iter().map(|row| millicelsius(&row[2])).collect() };
    check(&service, &BTreeMap::from([("Seattle-WA".to_owned(), expected)]));
}
