//! A row of the database that can't be read: what needs it waits or is refused, and
//! everything else goes on.

use isotherm::api::routes;
use isotherm::host::{Host, KeyValue, Sql, Value as SqlValue};
use isotherm::http::Request;
use isotherm_host::native::NativeHost;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::faulty::{FaultyHost, Node, Plan, scratch};
use crate::folding::at;

/// A whole hour.
const NOW: i64 = 1_900_000_800_000;
const HOUR: i64 = 3_600_000;

struct Site {
    // Removed with its stores at the end.
    _directory: TempDir,
    node: Node,
}

impl Site {
    /// Two regions with readings of two hours each.
    fn new() -> Self {
        let directory = scratch();
        let inner = NativeHost::new(directory.path(), &[]).unwrap().simulated(1, 3);
        let host = FaultyHost { inner, plan: Plan::new(0, false, false) };
        let mut site = Self { _directory: directory, node: Node { host, now: at(NOW) } };
        for region in ["hall", "yard"] {
            for hour in [1, 2] {
                site.post(region, "a", NOW - hour * HOUR);
            }
        }
        assert_eq!(site.count("hall"), json!(2));
        site
    }

    fn post(&mut self, region: &str, device: &str, ms: i64) {
        let device = format!("{region}-{device}");
        let reading =
            json!({"device_id": device, "region": region, "temperature_c": 1, "timestamp": ms});
        assert_eq!(self.node.post(&reading, None).status, 202);
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        let answer = self.node.get(path);
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
    }

    fn count(&mut self, region: &str) -> Value {
        self.get(&format!("/v1/regions/{region}")).1["count"].clone()
    }

    fn execute(&self, statement: &str) -> Vec<Vec<SqlValue>> {
        Sql::execute(&self.node.host.inner.sql().unwrap(), statement, &[]).unwrap()
    }

    /// Flips a bit of the values that the condition chooses.
    fn damage(&self, table: &str, column: &str, condition: &str) {
        let rows = self.execute(&format!("SELECT hex({column}) FROM {table} WHERE {condition}"));
        assert!(!rows.is_empty(), "there is no such row");
        for row in rows {
            let [SqlValue::Text(hex)] = row.as_slice() else { panic!("{row:?}") };
            let last = u8::from_str_radix(&hex[hex.len() - 2..], 16).unwrap() ^ 1;
            let damaged = format!("{}{last:02X}", &hex[..hex.len() - 2]);
            self.execute(&format!(
                "UPDATE {table} SET {column} = unhex('{damaged}') WHERE {column} = unhex('{hex}') \
                 AND {condition}"
            ));
        }
    }

    fn metrics(&mut self) -> String {
        String::from_utf8(self.node.get("/metrics").body).unwrap()
    }

    fn retry(&mut self) -> Value {
        let request = Request::post("/v1/quarantine/retry");
        let answer = routes::answer(&self.node.host, &request, self.node.now).response;
        serde_json::from_slice(&answer.body).unwrap()
    }
}

/// The id of a region, in a condition.
fn of(region: &str) -> String {
    format!("region = (SELECT id FROM regions WHERE name = '{region}')")
}

#[test]
fn a_damaged_row_of_one_region_keeps_no_other_from_being_counted_and_answered() {
    for (table, column) in [("device_windows", "run"), ("histograms", "bins")] {
        let mut site = Site::new();
        site.damage(table, column, &format!("{} AND span = 0", of("hall")));
        // One entry has readings of both.
        let both = json!([
            {"device_id": "b", "region": "hall", "temperature_c": 5, "timestamp": NOW - 5},
            {"device_id": "c", "region": "yard", "temperature_c": 5, "timestamp": NOW - 5},
        ]);
        assert_eq!(site.node.post(&both, None).status, 202);
        site.post("yard", "b", NOW - 10);
        let (status, yard) = site.get("/v1/regions/yard");
        assert_eq!((status, &yard["count"]), (200, &json!(4)), "{table}: {yard}");
        assert_eq!(
            (&yard["quarantined_readings"], &yard["unfolded_entries"]),
            (&json!(1), &json!(0))
        );

        // The list has both, without what can't be told.
        let (status, list) = site.get("/v1/regions");
        assert_eq!((status, &list["regions"][0]["count"]), (200, &json!(2)), "{table}");
        // What needs the row is refused, and names no cause to the caller.
        let path = match table {
            "histograms" => "/v1/regions/hall",
            _ => "/v1/regions/hall/devices",
        };
        let (status, problem) = site.get(path);
        assert_eq!(status, 503, "{table}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("damaged"), "{problem}");
        if table == "histograms" {
            assert_eq!(list["regions"][0]["p50_c"], Value::Null);
        }

        // The log and the metrics name the row, once.
        let metrics = site.metrics();
        let row = format!("isotherm_damaged_row_info{{row=\"{table} region=1 span=0 start=0");
        assert!(metrics.lines().any(|line| line.starts_with(&row)), "{metrics}");
        assert!(metrics.contains("isotherm_quarantined_entries{reason=\"damaged_row\"} 1"));
        assert!(metrics.contains("isotherm_breaker_state{state=\"closed\"} 1"), "{metrics}");
        let log = site.node.host.inner.logged();
        let named = log.iter().filter(|line| line.contains("readings of it are set aside")).count();
        assert_eq!(named, 1, "{log:?}");

        // As long as it is damaged, a retry changes nothing.
        let again = site.retry();
        assert_eq!((&again["retried"], &again["quarantined_readings"]), (&json!(1), &json!(1)));
        // The row is put back as it was: the bit flips again.
        site.damage(table, column, &format!("{} AND span = 0", of("hall")));
        let again = site.retry();
        assert_eq!((&again["retried"], &again["quarantined_readings"]), (&json!(1), &json!(0)));
        assert_eq!((site.count("hall"), site.get(path).0), (json!(3), 200));
        assert!(!site.metrics().contains("isotherm_damaged_row_info{"));
    }
}

#[test]
fn a_damaged_minute_of_the_ledger_sets_aside_what_is_of_that_minute() {
    let mut site = Site::new();
    site.post("hall", "x", NOW - 5);
    assert_eq!(site.count("hall"), json!(3));
    site.damage("ledger", "run", &format!("minute = {}", (NOW - 5) / 60_000));
    site.post("hall", "y", NOW - 4);
    site.post("hall", "z", NOW - HOUR);
    let (status, hall) = site.get("/v1/regions/hall");
    assert_eq!(
        (status, &hall["count"], &hall["quarantined_readings"]),
        (200, &json!(4), &json!(1))
    );
    // Its readings can't be told, those of other minutes can.
    let readings = |from: i64, to: i64| format!("/v1/devices/hall-x/readings?from={from}&to={to}");
    assert_eq!(site.get(&readings(NOW - 60_000, NOW)).0, 503);
    assert_eq!(site.get(&readings(NOW - 2 * HOUR, NOW - 60_000)).0, 200);
    // Nor can the devices of a range with that minute, of one region.
    let range = format!("from={}&to={}", NOW - 60_000, NOW);
    assert_eq!(site.get(&format!("/v1/regions/hall?{range}")).0, 503);
    let (status, list) = site.get(&format!("/v1/regions?{range}"));
    assert_eq!((status, &list["regions"][0]["devices"]), (200, &Value::Null));
}

#[test]
fn an_entry_with_readings_of_two_damaged_minutes_is_set_aside_once() {
    let mut site = Site::new();
    site.post("hall", "x", NOW - 5);
    site.post("hall", "y", NOW - 65_000);
    assert_eq!(site.count("hall"), json!(4));
    for ms in [NOW - 5, NOW - 65_000] {
        site.damage("ledger", "run", &format!("minute = {}", ms / 60_000));
    }
    let one =
        |ms: i64| json!({"device_id": "z", "region": "hall", "temperature_c": 1, "timestamp": ms});
    let both = json!([one(NOW - 6), one(NOW - 65_001), one(NOW - HOUR)]);
    assert_eq!(site.node.post(&both, None).status, 202);
    let (status, hall) = site.get("/v1/regions/hall");
    assert_eq!(
        (status, &hall["count"], &hall["quarantined_readings"]),
        (200, &json!(5), &json!(2))
    );
}

#[test]
fn however_many_rows_are_damaged_what_does_not_need_them_goes_on() {
    let mut site = Site::new();
    let minutes: Vec<i64> = (0..60).map(|minute| NOW - 5 - minute * 60_000).collect();
    for ms in &minutes {
        site.post("hall", "b", *ms);
    }
    assert_eq!(site.count("hall"), json!(62));
    site.damage("ledger", "run", &format!("minute > {}", (NOW - HOUR) / 60_000));
    site.damage("histograms", "bins", &of("hall"));
    site.damage("device_windows", "run", &of("hall"));
    let batch: Value = minutes
        .iter()
        .map(|ms| json!({"device_id": "c", "region": "hall", "temperature_c": 1, "timestamp": ms - 1}))
        .collect();
    assert_eq!(site.node.post(&batch, None).status, 202);
    site.post("yard", "b", NOW - 2 * HOUR - 5);
    let (status, yard) = site.get("/v1/regions/yard");
    assert_eq!((status, &yard["count"]), (200, &json!(3)), "{yard}");
    assert_eq!((&yard["unfolded_entries"], &yard["quarantined_readings"]), (&json!(0), &json!(60)));
    let (status, list) = site.get("/v1/regions");
    assert_eq!((status, list["regions"].as_array().unwrap().len()), (200, 2));
    let store = site.node.host.inner.key_value().unwrap();
    let keys = KeyValue::keys(&store).unwrap();
    assert!(!keys.iter().any(|key| key.starts_with("journal/")), "{keys:?}");
    assert_eq!(site.node.get("/readyz").status, 200);
}
