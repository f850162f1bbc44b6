//! What goes with an average, against the readings themselves: devices and
//! their average, percentiles, late readings, duplicates and conflicts, for
//! ranges of any edges.

use std::collections::BTreeMap;

use isotherm::api::routes;
use isotherm::domain::reading::UnixMillis;
use isotherm::fold;
use isotherm::host::Host;
use isotherm::http::{Request, Response};
use isotherm::ledger::database::{Budget, Database};
use isotherm::limits;
use isotherm::settings::Horizon;
use isotherm_host::native::NativeHost;
use isotherm_host::random::mix;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::faulty::{FaultyHost, Node, Plan};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A midnight.
const START: i64 = 1_699_920_000_000;

/// A reading that counts.
#[derive(Clone, Copy, Debug)]
struct One {
    device: i64,
    region: &'static str,
    millicelsius: i64,
    at: i64,
    late: bool,
}

impl One {
    fn json(&self) -> Value {
        json!({"device_id": format!("d{}", self.device), "region": self.region,
               "temperature_c": self.millicelsius as f64 / 1_000.0, "timestamp": self.at})
    }
}

struct Site {
    node: Node,
    native: NativeHost,
    readings: Vec<One>,
    _directory: TempDir,
}

/// Three and a half days of two regions, sent in batches of which some come
/// late; device 0 sends ten times as often as the others.
fn site(retention: &str) -> Site {
    let directory = TempDir::new().unwrap();
    let native = NativeHost::new(directory.path(), &[("retention", retention)]).unwrap();
    let host = FaultyHost { inner: native.clone(), plan: Plan::new(0, false, false) };
    let mut node = Node { host, now: UnixMillis::new(START).unwrap() };
    let mut readings = Vec::new();
    for n in 0..2_000 {
        let random = i64::try_from(mix(n) >> 2).unwrap();
        let n = i64::try_from(n).unwrap();
        let device = if n % 10 == 0 { random % 20 } else { 0 };
        let region = if random % 5 < 3 { "hall" } else { "yard" };
        let at = START + n * 150_000 + random % 100_000;
        readings.push(One {
            device,
            region,
            millicelsius: random % 40_000 - 9_000,
            at,
            late: false,
        });
    }
    for (index, batch) in readings.chunks_mut(50).enumerate() {
        let last = batch.iter().map(|one| one.at).max().unwrap();
        let delay = if index % 4 == 1 { 2 * HOUR } else { 1_000 };
        node.now = UnixMillis::new(last + delay).unwrap();
        // The first tick of a node is a second.
        let now = last + delay + 1_000;
        batch.iter_mut().for_each(|one| one.late = one.at < now - 5 * MINUTE);
        let body = Value::from(batch.iter().map(One::json).collect::<Vec<_>>());
        assert_eq!(node.post(&body, None).status, 202);
    }
    node.now = UnixMillis::new(START + 4 * DAY).unwrap();
    Site { node, native, readings, _directory: directory }
}

impl Site {
    fn get(&self, target: &str) -> Value {
        let answer = self.response(&Request::get(target));
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn response(&self, request: &Request) -> Response {
        routes::answer(&self.native, request, self.node.now).response
    }

    fn inside(&self, region: &str, from: i64, to: i64) -> Vec<One> {
        let inside = |one: &&One| one.region == region && (from..to).contains(&one.at);
        self.readings.iter().filter(inside).copied().collect()
    }
}

/// What an answer has to say of these readings, computed as a textbook would.
fn expected(readings: &[One]) -> Value {
    let mut by_device: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for one in readings {
        by_device.entry(one.device).or_default().push(one.millicelsius);
    }
    let averages = by_device.values().map(|millis| {
        let sum: i64 = millis.iter().sum();
        sum * 1_000 / i64::try_from(millis.len()).unwrap()
    });
    let averages: i64 = averages.sum();
    let mut sorted: Vec<i64> = readings.iter().map(|one| one.millicelsius).collect();
    sorted.sort_unstable();
    let percentile = |percent: usize| {
        let exact = sorted[(sorted.len() * percent).div_ceil(100) - 1];
        (exact.div_euclid(100) * 100).max(sorted[0]) as f64 / 1_000.0
    };
    json!({
        "count": readings.len(), "devices": by_device.len(),
        "device_average_c": averages as f64 / (by_device.len() as f64 * 1e6),
        "p50_c": percentile(50), "p95_c": percentile(95), "p99_c": percentile(99),
        "late": readings.iter().filter(|one| one.late).count(),
    })
}

#[track_caller]
fn check(answer: &Value, expected: &Value, what: &str) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[field], value, "{field} of {what}");
    }
}

#[test]
fn devices_and_percentiles_of_any_range_equal_what_is_computed_from_the_readings() {
    let site = site("0");
    for region in ["hall", "yard"] {
        let all = site.inside(region, 0, i64::MAX);
        check(&site.get(&format!("/v1/regions/{region}")), &expected(&all), region);
    }
    let mut checked = 0;
    for n in 0..60 {
        let random = |salt: u64, below: i64| i64::try_from(mix(n * 7 + salt) >> 2).unwrap() % below;
        let unit = [MINUTE, HOUR, DAY][usize::try_from(n % 3).unwrap()];
        let from = START + random(1, 3 * DAY) / unit * unit;
        let to = from + (1 + random(2, 2 * DAY) / unit) * unit;
        let range = format!("from={from}&to={to}");
        let inside = site.inside("hall", from, to);
        if inside.is_empty() {
            continue;
        }
        let one = site.get(&format!("/v1/regions/hall?{range}"));
        check(&one, &expected(&inside), &range);
        let list = site.get(&format!("/v1/regions?{range}"));
        check(&list["regions"][0], &expected(&inside), &range);
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn each_step_of_a_series_has_its_own_devices_and_percentiles() {
    let site = site("0");
    for (step, ms) in
        [("1m", MINUTE), ("15m", 15 * MINUTE), ("1h", HOUR), ("5h", 5 * HOUR), ("1d", DAY)]
    {
        for offset in [0, 17 * MINUTE] {
            let (from, to) = (START + DAY + offset, START + 3 * DAY);
            let target = format!("/v1/regions/yard/windows?from={from}&to={to}&step={step}");
            let series = site.get(&target);
            let mut counted = 0;
            for (n, window) in series["windows"].as_array().unwrap().iter().enumerate() {
                let start = from + i64::try_from(n).unwrap() * ms;
                let inside = site.inside("yard", start, (start + ms).min(to));
                counted += inside.len();
                let expected = match inside.as_slice() {
                    [] => json!({"count": 0, "devices": 0, "p50_c": null, "average_c": null}),
                    some => expected(some),
                };
                check(window, &expected, &format!("{target}, step {n}"));
            }
            assert_eq!(counted, site.inside("yard", from, to).len(), "{target}");
        }
    }
}

#[test]
fn once_the_ledger_has_forgotten_parts_of_hours_are_not_told_and_whole_ones_are() {
    let mut site = site("12h");
    site.node.now = UnixMillis::new(START + 5 * DAY).unwrap();
    let fresh =
        One { device: 99, region: "attic", millicelsius: 1_000, at: START + 5 * DAY, late: false };
    assert_eq!(site.node.post(&fresh.json(), Some("wait")).status, 200);
    let horizon = Horizon::from_variables(&site.native).unwrap();
    let regions = Database::open(&site.native, Budget::waiting(60_000)).unwrap();
    let journal = site.native.key_value().unwrap();
    for later in [0, limits::PRUNE_PUBLISHED_MS_MIN] {
        let now = site.node.now.saturating_add(later);
        fold::prune(&regions, &journal, horizon, now).unwrap();
    }
    drop(regions);
    let (from, to) = (START + DAY + 20 * MINUTE, START + 2 * DAY);
    let part = site.get(&format!("/v1/regions/hall?from={from}&to={to}"));
    let inside = site.inside("hall", from, to);
    assert_eq!(part["count"], inside.len());
    for field in ["devices", "device_average_c", "p50_c", "p99_c"] {
        assert_eq!(part[field], Value::Null, "{field}");
    }
    let (from, to) = (START + DAY + HOUR, START + 2 * DAY);
    let whole = site.get(&format!("/v1/regions/hall?from={from}&to={to}"));
    check(&whole, &expected(&site.inside("hall", from, to)), "whole hours");
}

#[test]
fn duplicates_and_conflicts_are_counted_where_the_reading_stands() {
    let mut site = site("0");
    let one = site.inside("hall", START + DAY, START + 2 * DAY)[3];
    let hotter = One { millicelsius: one.millicelsius + 1, ..one };
    let elsewhere = One { region: "yard", ..one };
    let batch = json!([one.json(), one.json(), hotter.json(), elsewhere.json()]);
    let before = site.get("/v1/regions/hall");
    site.node.now = UnixMillis::new(START + 4 * DAY).unwrap();
    assert_eq!(site.node.post(&batch, Some("wait")).status, 200);
    let hour = one.at / HOUR * HOUR;
    let minute = one.at / MINUTE * MINUTE;
    for (from, to) in [(0, START + 9 * DAY), (hour, hour + HOUR), (minute, minute + MINUTE)] {
        let body = site.get(&format!("/v1/regions/hall?from={from}&to={to}"));
        assert_eq!(
            (&body["duplicates"], &body["conflicts"]),
            (&json!(2), &json!(2)),
            "{from} {to}"
        );
    }
    let after = site.get("/v1/regions/hall");
    assert_eq!((&after["duplicates"], &after["conflicts"]), (&json!(2), &json!(2)));
    for field in ["count", "average_c", "devices", "p50_c", "late", "revision"] {
        assert_eq!(after[field], before[field], "{field} is not changed by what is no new reading");
    }
    let yard = site.get("/v1/regions/yard");
    assert_eq!((&yard["duplicates"], &yard["conflicts"]), (&json!(0), &json!(0)));
}
