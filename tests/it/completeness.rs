//! What goes with an average, against the readings themselves: devices and
//! their average, percentiles, late readings, duplicates and conflicts, for
//! ranges of any edges.

use std::collections::BTreeMap;

use isotherm::internals::fold;
use isotherm::internals::ledger::database::Database;
use isotherm::internals::settings::Horizon;
use isotherm::limits;
use isotherm_stores::random::mix;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::{Node, PATIENT};
use crate::support::readings::{DAY, HOUR, MINUTE, at, celsius, json_reading};

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
        let device = format!("d{}", self.device);
        json_reading(&device, self.region, celsius(self.millicelsius), self.at)
    }
}

/// Three and a half days of two regions; device 0 sends ten times as often as the others.
fn measured() -> Vec<One> {
    let one = |n: i64| {
        let random = i64::try_from(mix(n.unsigned_abs()) >> 2).unwrap();
        One {
            device: if n % 10 == 0 { random % 20 } else { 0 },
            region: if random % 5 < 3 { "hall" } else { "yard" },
            millicelsius: random % 40_000 - 9_000,
            at: START + n * 150_000 + random % 100_000,
            late: false,
        }
    };
    (0..2_000).map(one).collect()
}

struct Site {
    node: Node,
    readings: Vec<One>,
}

impl Site {
    /// What was measured, sent in batches of which some come late.
    fn new(retention: &str) -> Self {
        let mut node = Node::new(&[("retention", retention)]);
        let mut readings = measured();
        for (index, batch) in readings.chunks_mut(50).enumerate() {
            let last = batch.iter().map(|one| one.at).max().unwrap();
            let delay = if index % 4 == 1 { 2 * HOUR } else { 1_000 };
            node.now = at(last + delay);
            // The first tick of a node is a second.
            let now = last + delay + 1_000;
            batch.iter_mut().for_each(|one| one.late = one.at < now - 5 * MINUTE);
            node.accept(&batch.iter().map(One::json).collect());
        }
        node.now = at(START + 4 * DAY);
        Self { node, readings }
    }

    fn get(&self, target: &str) -> Value {
        self.node.look_at(target)
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
        celsius((exact.div_euclid(100) * 100).max(sorted[0]))
    };
    json!({
        "count": readings.len(), "devices": by_device.len(),
        "device_average_c": averages as f64 / (by_device.len() as f64 * 1e6),
        "p50_c": percentile(50), "p95_c": percentile(95), "p99_c": percentile(99),
        "late": readings.iter().filter(|one| one.late).count(),
    })
}

#[test]
fn devices_and_percentiles_of_any_range_equal_what_is_computed_from_the_readings() {
    let site = Site::new("0");
    for region in ["hall", "yard"] {
        let all = site.inside(region, 0, i64::MAX);
        check_fields(&site.get(&format!("/v1/regions/{region}")), &expected(&all));
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
        check_fields(&one, &expected(&inside));
        let list = site.get(&format!("/v1/regions?{range}"));
        check_fields(&list["regions"][0], &expected(&inside));
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn each_step_of_a_series_has_its_own_devices_and_percentiles() {
    let site = Site::new("0");
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
                check_fields(window, &expected);
            }
            assert_eq!(counted, site.inside("yard", from, to).len(), "{target}");
        }
    }
}

#[test]
fn after_pruning_only_whole_quarters_of_an_hour_have_devices_and_percentiles() {
    let mut site = Site::new("12h");
    site.node.now = at(START + 5 * DAY);
    let fresh =
        One { device: 99, region: "attic", millicelsius: 1_000, at: START + 5 * DAY, late: false };
    site.node.accept_and_wait(&fresh.json());
    let host = &site.node.host.inner;
    let horizon = Horizon::from_variables(host).unwrap();
    let regions = Database::open(host, PATIENT).unwrap();
    let journal = site.node.key_value();
    for later in [0, limits::PRUNE_PUBLISHED_MS_MIN] {
        let now = site.node.now.saturating_add(later);
        fold::prune(&regions, &journal, horizon, now).unwrap();
    }
    drop(regions);
    let after = site.node.stored();
    assert!((10..1_000).contains(&after), "most are deleted: {after} are left");
    let (from, to) = (START + DAY + 20 * MINUTE, START + 2 * DAY);
    let part = site.get(&format!("/v1/regions/hall?from={from}&to={to}"));
    let inside = site.inside("hall", from, to);
    assert_eq!(part["count"], inside.len());
    let untold = json!({"devices": null, "device_average_c": null, "p50_c": null, "p99_c": null});
    check_fields(&part, &untold);
    // Up to times of which the ledger still has the readings, too.
    for (from, to) in [(60, 1_440), (45, 1_440), (15, 2_880), (60, 3_000), (1_005, 1_035), (75, 90)]
    {
        let (from, to) = (START + DAY + from * MINUTE, START + DAY + to * MINUTE);
        let whole = site.get(&format!("/v1/regions/hall?from={from}&to={to}"));
        check_fields(&whole, &expected(&site.inside("hall", from, to)));
    }
    let (from, to) = (START + DAY + 45 * MINUTE, START + 3 * DAY);
    let series = site.get(&format!("/v1/regions/yard/windows?from={from}&to={to}&step=45m"));
    let mut checked = 0;
    for (n, window) in series["windows"].as_array().unwrap().iter().enumerate() {
        let start = from + i64::try_from(n).unwrap() * 45 * MINUTE;
        let inside = site.inside("yard", start, (start + 45 * MINUTE).min(to));
        if !inside.is_empty() {
            check_fields(window, &expected(&inside));
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn duplicates_and_conflicts_are_counted_where_the_reading_stands() {
    let mut site = Site::new("0");
    let one = site.inside("hall", START + DAY, START + 2 * DAY)[3];
    let hotter = One { millicelsius: one.millicelsius + 1, ..one };
    let elsewhere = One { region: "yard", ..one };
    let batch = json!([one.json(), one.json(), hotter.json(), elsewhere.json()]);
    let before = site.get("/v1/regions/hall");
    site.node.now = at(START + 4 * DAY);
    site.node.accept_and_wait(&batch);
    let hour = one.at / HOUR * HOUR;
    let minute = one.at / MINUTE * MINUTE;
    for (from, to) in [(0, START + 9 * DAY), (hour, hour + HOUR), (minute, minute + MINUTE)] {
        let body = site.get(&format!("/v1/regions/hall?from={from}&to={to}"));
        check_fields(&body, &json!({"duplicates": 2, "conflicts": 2}));
    }
    let after = site.get("/v1/regions/hall");
    check_fields(&after, &json!({"duplicates": 2, "conflicts": 2}));
    for field in ["count", "average_c", "devices", "p50_c", "late", "revision"] {
        assert_eq!(after[field], before[field], "{field} is not changed by what is no new reading");
    }
    let yard = site.get("/v1/regions/yard");
    check_fields(&yard, &json!({"duplicates": 0, "conflicts": 0}));
}
