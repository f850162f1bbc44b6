//! A gateway and a hub, as programs that speak HTTP with each other.

use isotherm_it::{Service, now_ms};
use rusqlite::Connection;
use serde_json::Value;

use crate::support::bare::ask;
use crate::support::readings::json_reading;
use crate::support::service::until;

/// A gateway that sends to `hub`.
fn gateway(hub: &Service, name: &str) -> Service {
    Service::start(&[("peer1", hub.url().as_str()), ("node", name)]).unwrap()
}

/// Runs a beat, or finds one running.
pub(super) fn beat(gateway: &Service) {
    let answer = ask::<&str>(gateway, "POST", "/v1/sync", &[], "");
    assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
}

pub(super) fn get(service: &Service, path: &str) -> Value {
    let answer = ask::<&str>(service, "GET", path, &[], "");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json().unwrap()
}

/// The regions of a node, with how many readings each has.
pub(super) fn counts(service: &Service) -> Vec<(String, i64)> {
    let body = get(service, "/v1/regions");
    let all = body["regions"].as_array().unwrap().iter();
    let one = |region: &Value| {
        (region["region"].as_str().unwrap().to_owned(), region["count"].as_i64().unwrap())
    };
    all.map(one).collect()
}

/// Every window of every region of the last hours, without what a node saw itself.
pub(super) fn windows(service: &Service, from: i64, to: i64) -> Vec<Value> {
    let mut all = Vec::new();
    for (region, _) in counts(service) {
        for step in ["1m", "1h", "1d"] {
            let path = format!("/v1/regions/{region}/windows?from={from}&to={to}&step={step}");
            let body = get(service, &path);
            for window in body["windows"].as_array().unwrap() {
                let mut window = window.clone();
                for own in ["revision", "duplicates", "conflicts"] {
                    window.as_object_mut().unwrap().remove(own);
                }
                all.push(window);
            }
        }
    }
    all
}

/// Waits until the hub counts so many readings of the hall.
fn wait_for(hub: &Service, count: u64) {
    until("the hub has all readings", || {
        let answer = ask::<&str>(hub, "GET", "/v1/regions/hall", &[], "");
        answer.json().ok().filter(|body| body["count"] == count)
    });
}

#[test]
fn what_a_gateway_has_comes_to_the_hub_and_the_hub_says_from_whom() {
    let hub = Service::start(&[]).unwrap();
    let gateway = gateway(&hub, "gw-1");
    let now = now_ms();
    let batch: Value = (0..300)
        .map(|i| json_reading(&format!("d{}", i % 7), "hall", i % 30, now - 1_000 * i))
        .collect();
    assert_eq!(ask::<&str>(&gateway, "POST", "/v1/readings", &[], &batch.to_string()).status, 202);
    beat(&gateway);
    wait_for(&hub, 300);
    let state = get(&gateway, "/v1/sync");
    let senders = get(&hub, "/v1/senders");
    assert_eq!(senders["nodes"][0]["name"], "gw-1");
    assert_eq!(senders["nodes"][0]["node"], state["node"]);
    assert_eq!(senders["silent_senders"], 0);
}

/// What a node says of what goes out, and what its database has of it: for the person that has
/// to find out why it waits.
pub(super) fn outgoing(node: &Service) -> (Value, Vec<String>) {
    let connection = Connection::open(node.regions_file()).unwrap();
    let mut lines = Vec::new();
    for table in ["lease", "peers", "batches", "outbox", "aside"] {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..width).map(|at| format!("{:?}", row.get_ref(at).unwrap()));
            lines.push(format!("{table}: {}", values.collect::<Vec<_>>().join(" ")));
        }
    }
    (get(node, "/v1/sync"), lines)
}
