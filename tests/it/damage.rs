//! A row of the database that can't be read: what needs it waits or is refused, and
//! everything else goes on.

use isotherm::host::Value as SqlValue;
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{HOUR, MINUTE, json_reading};

/// A whole hour.
const NOW: i64 = 1_900_000_800_000;

struct Site {
    node: Node,
}

impl Site {
    /// Two regions with readings of two hours each.
    fn new() -> Self {
        let mut site = Self { node: Node::quiet(&[]).with_clock_at(NOW) };
        for region in ["hall", "yard"] {
            for hour in [1, 2] {
                site.post(region, "a", NOW - hour * HOUR);
            }
        }
        assert_eq!(site.count("hall"), 2);
        site
    }

    fn post(&mut self, region: &str, device: &str, ms: i64) {
        self.node.accept(&json_reading(&format!("{region}-{device}"), region, 1, ms));
    }

    fn region(&mut self, region: &str) -> Value {
        self.node.read(&format!("/v1/regions/{region}"))
    }

    fn count(&mut self, region: &str) -> Value {
        self.region(region)["count"].clone()
    }

    /// Flips a bit of the values that the condition chooses.
    fn damage(&self, table: &str, column: &str, condition: &str) {
        let rows =
            self.node.execute(&format!("SELECT hex({column}) FROM {table} WHERE {condition}"));
        assert!(!rows.is_empty(), "there is no such row");
        for row in rows {
            let [SqlValue::Text(hex)] = row.as_slice() else { panic!("{row:?}") };
            let last = u8::from_str_radix(&hex[hex.len() - 2..], 16).unwrap() ^ 1;
            let damaged = format!("{}{last:02X}", &hex[..hex.len() - 2]);
            self.node.execute(&format!(
                "UPDATE {table} SET {column} = unhex('{damaged}') WHERE {column} = unhex('{hex}') \
                 AND {condition}"
            ));
        }
    }
}

/// The id of a region, in a condition.
fn of(region: &str) -> String {
    format!("region = (SELECT id FROM regions WHERE name = '{region}')")
}

/// Damages the hall's row of this table, of all time; the first time, or back.
fn flip_all_time_of_hall(site: &Site, table: &str, column: &str) {
    site.damage(table, column, &format!("{} AND span = 0", of("hall")));
}

/// The log and the metrics name the row, once.
fn check_named(site: &mut Site, table: &str) {
    let metrics = site.node.metrics();
    let row = format!("isotherm_damaged_row_info{{row=\"{table} region=1 span=0 start=0");
    assert!(metrics.lines().any(|line| line.starts_with(&row)), "{metrics}");
    assert!(metrics.contains("isotherm_quarantined_entries{reason=\"damaged_row\"} 1"));
    assert!(metrics.contains("isotherm_breaker_state{state=\"closed\"} 1"), "{metrics}");
    let log = site.node.host.inner.logged();
    let named = log.iter().filter(|line| line.contains("readings of it are set aside")).count();
    assert_eq!(named, 1, "{log:?}");
}

#[test]
fn a_damaged_row_of_one_region_keeps_no_other_from_being_counted_and_answered() {
    // And the path whose answer needs the row.
    for (table, column, path) in [
        ("device_windows", "run", "/v1/regions/hall/devices"),
        ("histograms", "bins", "/v1/regions/hall"),
    ] {
        let mut site = Site::new();
        flip_all_time_of_hall(&site, table, column);
        // One entry has readings of both.
        let of_both =
            json!([json_reading("b", "hall", 5, NOW - 5), json_reading("c", "yard", 5, NOW - 5)]);
        site.node.accept(&of_both);
        site.post("yard", "b", NOW - 10);
        let yard = json!({"count": 4, "quarantined_readings": 1, "unfolded_entries": 0});
        check_fields(&site.region("yard"), &yard);

        // The list has both, without what can't be read.
        let list = site.node.read("/v1/regions");
        assert_eq!(list["regions"][0]["count"], 2, "{table}");
        // What needs the row is refused, and names no cause to the caller.
        let refused = site.node.get(path);
        assert_eq!(refused.status, 503, "{table}");
        let problem: Value = serde_json::from_slice(&refused.body).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("damaged"), "{problem}");
        if table == "histograms" {
            assert_eq!(list["regions"][0]["p50_c"], Value::Null);
        }
        check_named(&mut site, table);

        // As long as it is damaged, a retry changes nothing.
        check_fields(&site.node.retry(), &json!({"retried": 1, "quarantined_readings": 1}));
        // The row is put back as it was: the bit flips again.
        flip_all_time_of_hall(&site, table, column);
        check_fields(&site.node.retry(), &json!({"retried": 1, "quarantined_readings": 0}));
        assert_eq!(site.count("hall"), 3);
        assert_eq!(site.node.status_of(path), 200);
        assert!(!site.node.metrics().contains("isotherm_damaged_row_info{"));
    }
}

fn damage_minute(site: &Site, ms: i64) {
    site.damage("ledger", "run", &format!("minute = {}", ms / MINUTE));
}

#[test]
fn a_damaged_minute_of_the_ledger_sets_aside_what_is_of_that_minute() {
    let mut site = Site::new();
    site.post("hall", "x", NOW - 5);
    assert_eq!(site.count("hall"), 3);
    damage_minute(&site, NOW - 5);
    site.post("hall", "y", NOW - 4);
    site.post("hall", "z", NOW - HOUR);
    check_fields(&site.region("hall"), &json!({"count": 4, "quarantined_readings": 1}));
    // Its readings can't be read, those of other minutes can.
    let readings = |from: i64, to: i64| format!("/v1/devices/hall-x/readings?from={from}&to={to}");
    assert_eq!(site.node.status_of(&readings(NOW - MINUTE, NOW)), 503);
    assert_eq!(site.node.status_of(&readings(NOW - 2 * HOUR, NOW - MINUTE)), 200);
    // Nor can the devices of a range with that minute, of one region.
    let range = format!("from={}&to={}", NOW - MINUTE, NOW);
    assert_eq!(site.node.status_of(&format!("/v1/regions/hall?{range}")), 503);
    let list = site.node.read(&format!("/v1/regions?{range}"));
    assert_eq!(list["regions"][0]["devices"], Value::Null);
}

#[test]
fn an_entry_with_readings_of_two_damaged_minutes_is_set_aside_once() {
    let mut site = Site::new();
    site.post("hall", "x", NOW - 5);
    site.post("hall", "y", NOW - 65_000);
    assert_eq!(site.count("hall"), 4);
    for ms in [NOW - 5, NOW - 65_000] {
        damage_minute(&site, ms);
    }
    let one = |ms: i64| json_reading("z", "hall", 1, ms);
    site.node.accept(&json!([one(NOW - 6), one(NOW - 65_001), one(NOW - HOUR)]));
    check_fields(&site.region("hall"), &json!({"count": 5, "quarantined_readings": 2}));
}

#[test]
fn however_many_rows_are_damaged_what_does_not_need_them_goes_on() {
    let mut site = Site::new();
    let minutes: Vec<i64> = (0..60).map(|minute| NOW - 5 - minute * MINUTE).collect();
    for ms in &minutes {
        site.post("hall", "b", *ms);
    }
    assert_eq!(site.count("hall"), 62);
    site.damage("ledger", "run", &format!("minute > {}", (NOW - HOUR) / MINUTE));
    site.damage("histograms", "bins", &of("hall"));
    site.damage("device_windows", "run", &of("hall"));
    site.node.accept(&minutes.iter().map(|ms| json_reading("c", "hall", 1, ms - 1)).collect());
    site.post("yard", "b", NOW - 2 * HOUR - 5);
    let yard = json!({"count": 3, "unfolded_entries": 0, "quarantined_readings": 60});
    check_fields(&site.region("yard"), &yard);
    let list = site.node.read("/v1/regions");
    assert_eq!(list["regions"].as_array().unwrap().len(), 2);
    assert_eq!(site.node.keys("journal/"), 0);
    assert_eq!(site.node.status_of("/readyz"), 200);
}
