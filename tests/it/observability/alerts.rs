//! Which alerts fire in what happens to rooms: the service is sent readings minute by minute,
//! by a clock that the test sets, and promtool evaluates the rules over what `/metrics` said.
//!
//! Series that are written by hand show what the rules do with them, and not that the service
//! writes such series; so those of rules.test.yml are compared with it here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::nodes::Between;
use super::{directory, file, program};
use crate::support::node::Node;
use crate::support::readings::{MINUTE, NOW, json_reading};
use isotherm_it::programs::check;

/// What each series needs that a Prometheus adds.
const TARGET: &str = "job=\"isotherm\", instance=\"a:80\"";
/// How long a situation lasts, in minutes.
const END: i64 = 60;
/// When it begins: the sensors' intervals are learned by then.
const BEGIN: i64 = 10;
/// The sensors of the room that something happens to.
const SENSORS: [&str; 3] = ["cold", "door", "probe"];
/// What they measure there while all is well.
const COLD: (&str, f64) = ("room", -20.0);

/// What the service said, one sample a minute: by name and labels.
#[derive(Default)]
struct Series(BTreeMap<String, BTreeMap<i64, String>>);

impl Series {
    /// Takes up a scrape. promtool's time begins at 0, and `NOW` is that.
    fn add(&mut self, minute: i64, metrics: &str) {
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value = match name.contains("_timestamp_seconds") {
                true => (value.parse::<i64>().unwrap() - NOW / 1_000).to_string(),
                false => value.to_owned(),
            };
            let (name, labels) = name.trim_end_matches('}').split_once('{').unwrap_or((name, ""));
            let comma = if labels.is_empty() { "" } else { "," };
            let name = format!("{name}{{{TARGET}{comma}{labels}}}");
            self.0.entry(name).or_default().insert(minute, value);
        }
        self.0.entry(format!("up{{{TARGET}}}")).or_default().insert(minute, "1".to_owned());
    }

    /// As promtool takes them: a series that is not in a scrape ends there.
    fn input(&self) -> String {
        let mut text = String::new();
        for (name, samples) in &self.0 {
            let value = |minute| match samples.get(&minute) {
                Some(value) => value.as_str(),
                None if samples.contains_key(&(minute - 1)) => "stale",
                None => "_",
            };
            let values = (0..=END).map(value).collect::<Vec<_>>().join(" ");
            writeln!(text, "      - series: '{name}'\n        values: '{values}'").unwrap();
        }
        text
    }
}

/// Where a sensor is in a minute, and its temperature; `None` while it is silent.
type Story = fn(sensor: &str, minute: i64) -> Option<(&'static str, f64)>;

/// What `/metrics` says while this happens to the room; in another one, all is well. Both
/// have limits. Nothing is scraped in the minute `lost`.
fn happening(story: Story, lost: Option<i64>) -> Series {
    let mut node = Node::quiet(&[]);
    let mut series = Series::default();
    for minute in 0..=END {
        let at = NOW + minute * MINUTE;
        node.set_clock(at);
        let of_room = SENSORS
            .iter()
            .filter_map(|&sensor| Some((sensor, story(sensor, minute)?)))
            .map(|(sensor, (region, celsius))| json_reading(sensor, region, celsius, at));
        let yard = json_reading("shade", "yard", 4.0, at);
        node.accept_and_wait(&of_room.chain([yard]).collect());
        if minute == 0 {
            for region in ["room", "yard"] {
                node.limit(region, &json!({"low_c": -25, "high_c": 8, "for": "20m"}));
            }
        }
        if lost == Some(minute) {
            let up = series.0.entry(format!("up{{{TARGET}}}")).or_default();
            up.insert(minute, "0".to_owned());
        } else {
            series.add(minute, &node.metrics());
        }
    }
    series
}

/// An alert: its name, what it is about, and the minutes in which it fires first, at the
/// earliest and at the latest.
type Expected = (&'static str, &'static str, i64, i64);

/// Asserts that these alerts fire in all that happened, and no others.
fn check_alerts(series: &Series, expected: &[Expected]) {
    let test = TempDir::new().unwrap();
    let fires = "count by (alertname, region, device_id) \
                 (count_over_time(ALERTS{alertstate=\"firing\"}[2h]))";
    let mut text = format!(
        "rule_files: ['{}']\nevaluation_interval: 30s\ntests:\n  - interval: 1m\n    \
         input_series:\n{}    promql_expr_test:\n",
        directory().join("rules.yml").display(),
        series.input(),
    );
    let mut expect = |minute: i64, is_expected: &dyn Fn(&Expected) -> bool| {
        write!(text, "      - expr: '{fires}'\n        eval_time: {minute}m\n").unwrap();
        let samples: String = expected
            .iter()
            .filter(|one| is_expected(one))
            .map(|(alert, labels, ..)| {
                let labels = format!("{{alertname=\"{alert}\", {labels}}}");
                format!("\n          - labels: '{labels}'\n            value: 1")
            })
            .collect();
        let none = if samples.is_empty() { " []" } else { "" };
        writeln!(text, "        exp_samples:{none}{samples}").unwrap();
    };
    expect(END, &|_| true);
    for (.., earliest, latest) in expected {
        expect(earliest - 1, &|(.., first, _)| first < earliest);
        expect(*latest, &|(.., last)| last <= latest);
    }
    let path = test.path().join("test.yml");
    std::fs::write(&path, text).unwrap();
    check(&Command::new(program("promtool")).args(["test", "rules"]).arg(path).output().unwrap());
}

#[test]
fn no_alert_fires_while_all_is_well() {
    check_alerts(&happening(|_, _| Some(COLD), None), &[]);
}

#[test]
fn one_of_several_sensors_that_is_silent_is_named_and_its_room_still_has_data() {
    let story: Story = |sensor, minute| (sensor != "door" || minute < BEGIN).then_some(COLD);
    // Silent three minutes after its last reading, and then for five.
    let door = r#"region="room", device_id="door""#;
    let (earliest, latest) = (BEGIN + 7, BEGIN + 9);
    let expected = [("IsothermSensorSilent", door, earliest, latest)];
    check_alerts(&happening(story, None), &expected);
    // A scrape that fails does not begin the five minutes anew.
    check_alerts(&happening(story, Some(BEGIN + 6)), &expected);
}

#[test]
fn most_sensors_of_a_room_are_silent_and_it_still_has_data() {
    let story: Story = |sensor, minute| (sensor == "door" || minute < BEGIN).then_some(COLD);
    let (earliest, latest) = (BEGIN + 7, BEGIN + 9);
    let expected = [
        ("IsothermSensorSilent", r#"region="room", device_id="cold""#, earliest, latest),
        ("IsothermSensorSilent", r#"region="room", device_id="probe""#, earliest, latest),
    ];
    check_alerts(&happening(story, None), &expected);
}

#[test]
fn a_room_whose_sensors_are_all_silent_has_no_data_which_is_said_once() {
    let story: Story = |_, minute| (minute < BEGIN).then_some(COLD);
    let (earliest, latest) = (BEGIN + 7, BEGIN + 9);
    let expected = [("IsothermRoomWithoutData", r#"region="room""#, earliest, latest)];
    check_alerts(&happening(story, None), &expected);
    check_alerts(&happening(story, Some(BEGIN + 6)), &expected);
}

#[test]
fn a_room_that_its_sensors_left_is_stale() {
    let story: Story = |_, minute| Some((if minute < BEGIN { "room" } else { "yard" }, -20.0));
    let (earliest, latest) = (BEGIN + 18, BEGIN + 20);
    let expected = [("IsothermRegionStale", r#"region="room""#, earliest, latest)];
    check_alerts(&happening(story, None), &expected);
}

#[test]
fn a_room_that_is_too_warm_is_told_of_after_twenty_minutes() {
    /// One sensor is too warm for this many minutes.
    fn warm(sensor: &str, minute: i64, minutes: i64) -> Option<(&'static str, f64)> {
        let is_warm = sensor == "door" && (BEGIN..BEGIN + minutes).contains(&minute);
        Some(("room", if is_warm { 9.5 } else { 2.0 }))
    }
    let (earliest, latest) = (BEGIN + 20, BEGIN + 21);
    let expected = [("IsothermRoomOutsideLimits", r#"region="room""#, earliest, latest)];
    let story: Story = |sensor, minute| warm(sensor, minute, 25);
    check_alerts(&happening(story, None), &expected);
    check_alerts(&happening(story, Some(BEGIN + 12)), &expected);
    check_alerts(&happening(|sensor, minute| warm(sensor, minute, 18), None), &[]);
}

/// A metric with the names of its labels, without those that a scrape adds.
fn shape(series: &str) -> (String, BTreeSet<String>) {
    let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    let names = labels.map(|(label, _)| label.trim().to_owned());
    (
        name.to_owned(),
        names.filter(|label| !["job", "instance"].contains(&label.as_str())).collect(),
    )
}

/// The samples of promtool's notation, `None` where there is none.
fn samples(values: &str) -> Vec<Option<f64>> {
    let mut all = Vec::new();
    for value in values.split_whitespace() {
        let (first, times) = value.split_once('x').unwrap_or((value, "0"));
        let times: u32 = times.parse().unwrap();
        let (start, step) = match first.rfind(['+', '-']) {
            Some(sign) if sign > 0 => first.split_at(sign),
            _ => (first, "0"),
        };
        let step: f64 = step.parse().unwrap();
        // `_x3` is three missing samples, `5x3` four of 5.
        let is_missing = ["_", "stale"].contains(&start);
        let number = start.parse::<f64>().ok();
        assert!(is_missing || number.is_some(), "{value}");
        let count = if is_missing { times.max(1) } else { times + 1 };
        all.extend((0..count).map(|n| Some(number? + step * f64::from(n))));
    }
    all
}

/// The tests of rules.test.yml: name, and each series with its values.
fn tests_by_hand() -> Vec<(String, Vec<(String, String)>)> {
    let mut tests: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for line in file("rules.test.yml").lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- name: ") {
            tests.push((name.to_owned(), Vec::new()));
        } else if let Some(series) = line.strip_prefix("- series: '") {
            let series = series.trim_end_matches('\'').to_owned();
            tests.last_mut().unwrap().1.push((series, String::new()));
        } else if let Some(values) = line.strip_prefix("values: '") {
            let test = &mut tests.last_mut().unwrap().1;
            values.trim_end_matches('\'').clone_into(&mut test.last_mut().unwrap().1);
        }
    }
    tests
}

#[test]
fn the_series_of_the_rules_tests_are_such_as_the_service_writes() {
    let written = happening(|_, _| Some(COLD), None);
    let mut known: BTreeSet<_> = written.0.keys().map(|series| shape(series)).collect();
    known.insert(shape("isotherm_damaged_row_info{row=\"\"}"));
    let between = Between::start();
    between.exchange();
    let metrics = between.service.get("/metrics").unwrap().body;
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    known.extend(samples.filter_map(|line| Some(shape(line.rsplit_once(' ')?.0))));
    let tests = tests_by_hand();
    let series = tests.iter().flat_map(|(test, all)| all.iter().map(move |one| (test, &one.0)));
    for (test, series) in series.filter(|(_, series)| !series.starts_with("isotherm_http_")) {
        assert!(known.contains(&shape(series)), "{test}: the service does not write {series}");
    }
}

/// The figures of a test for one node and region: how many devices are not silent, how many
/// are, and those devices by themselves.
#[derive(Default)]
struct Counted {
    measured: Option<Vec<Option<f64>>>,
    silent: Option<Vec<Option<f64>>>,
    devices: Vec<Vec<Option<f64>>>,
}

#[test]
fn the_rules_tests_count_devices_as_the_service_does() {
    let mut checked = 0;
    for (test, all) in tests_by_hand() {
        let mut regions: BTreeMap<(&str, &str), Counted> = BTreeMap::new();
        for (series, values) in &all {
            let text = |label: &str| series.split_once(&format!("{label}=\""))?.1.split('"').next();
            let Some((instance, region)) = text("instance").zip(text("region")) else { continue };
            let counted = regions.entry((instance, region)).or_default();
            match shape(series).0.as_str() {
                "isotherm_region_devices" => counted.measured = Some(samples(values)),
                "isotherm_region_silent_devices" => counted.silent = Some(samples(values)),
                "isotherm_device_silent" => counted.devices.push(samples(values)),
                _ => {}
            }
        }
        for ((instance, region), Counted { measured, silent, devices }) in regions {
            let what = format!("{test}: {region} of {instance}");
            assert_eq!(measured.is_some(), silent.is_some(), "{what}: one of the two counts");
            let Some((measured, silent)) = measured.zip(silent) else {
                assert!(devices.is_empty(), "{what}: devices without the region's counts");
                continue;
            };
            for minute in 0..measured.len() {
                let count = |wanted: f64| {
                    let is_it = |device: &&Vec<Option<f64>>| device[minute] == Some(wanted);
                    Some(devices.iter().filter(is_it).count() as f64)
                };
                let what = format!("{what}, sample {minute}");
                assert_eq!(measured[minute], count(0.0), "{what}: devices that are not silent");
                assert_eq!(silent[minute], count(1.0), "{what}: devices that are silent");
            }
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked}");
}
