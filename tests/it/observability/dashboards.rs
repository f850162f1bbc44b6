//! Every query of the dashboards is asked: those of Prometheus of one that scrapes a running
//! service, those of the Infinity data source of the service itself.

use std::collections::BTreeMap;

use isotherm_it::{Service, now_ms};
use isotherm_load::scenario;
use serde_json::{Value, json};

use super::scraper::{Collector, Prometheus};
use super::{file, metrics_in};
use crate::questions;
use crate::support::readings::{DAY, json_reading};
use crate::support::service::{Expect as _, until};

/// What has no data although nothing is wrong with the query, by panel and `refId`, and why.
const EMPTY: [(&str, &str, &str); 4] = [
    ("Temperature now", "B", "no room is outside its limits at the end of the scenario"),
    ("Gaps of $device", "A", "no sensor paused and went on"),
    ("Corrections", "A", "nothing was corrected"),
    ("Conflicts", "A", "nothing in the scenario contradicts"),
];

fn may_be_empty(panel: &str, reference: &str) -> bool {
    EMPTY.iter().any(|(title, id, _)| (*title, *id) == (panel, reference))
}

/// The dashboard's panels, also those in rows, and what they ask for: title and target.
fn targets(dashboard: &Value) -> Vec<(String, Value)> {
    fn of(panels: &Value, found: &mut Vec<(String, Value)>) {
        for panel in panels.as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                found.push((panel["title"].as_str().unwrap().to_owned(), target.clone()));
            }
            of(&panel["panels"], found);
        }
    }
    let mut found = Vec::new();
    of(&dashboard["panels"], &mut found);
    found
}

fn dashboard(name: &str) -> Value {
    serde_json::from_str(&file(name)).unwrap()
}

/// `text` with these values in the place of Grafana's variables.
fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    assert!(!text.contains('$'), "{text}: which variable?");
    text
}

/// What a dashboard's variables are asked of: by name.
fn variables(dashboard: &Value) -> BTreeMap<String, Value> {
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let queries = list.iter().filter(|variable| variable["type"] == "query");
    let pair = |it: &Value| (it["name"].as_str().unwrap().to_owned(), it["query"].clone());
    queries.map(pair).collect()
}

/// Every query of the dashboard on Prometheus, with its panel, and those of its variables.
fn queries_of_prometheus() -> Vec<(String, String)> {
    let values = [("__rate_interval", "1m"), ("region", ".*"), ("device", ".*"), ("stat", "max")];
    let dashboard = dashboard("dashboard.json");
    let has_data =
        |(panel, target): &(String, Value)| !may_be_empty(panel, target["refId"].as_str().unwrap());
    let of_panels = targets(&dashboard).into_iter().filter(has_data);
    let of_panels = of_panels.map(|(panel, target)| (panel, target["expr"].clone()));
    // label_values(SERIES, LABEL): Grafana asks for the series.
    let of_variables = variables(&dashboard).into_iter().map(|(name, query)| {
        let query = query["query"].as_str().unwrap();
        let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        (name, json!(inner.rsplit_once(',').unwrap().0))
    });
    let all = of_panels.chain(of_variables);
    all.map(|(what, query)| (what, filled(query.as_str().unwrap(), &values))).collect()
}

/// Readings that are stored, repeated, rejected and contradicting.
fn send_some_of_everything(service: &Service) {
    let now = now_ms();
    let one =
        |i: i64| json_reading(&format!("d{}", i % 10), &format!("r{}", i % 5), 20.0, now - i * 100);
    let first: Value = (0..500).map(one).collect();
    let wrong = json!([{"device_id": "d1"}, json_reading("d1", "r1", 999_999.0, now)]);
    let contradiction = json_reading("d0", "r0", 21.0, now);
    for body in [&first, &first, &wrong, &contradiction] {
        service.send(body, &[]);
    }
    service.settled();
}

/// Waits until Prometheus has data for all of these, and says what lacks.
fn until_there_is_data(prometheus: &Prometheus, queries: &[(String, String)]) {
    let mut missing = queries.to_vec();
    let mut look = || {
        missing.retain(|(_, query)| prometheus.series(query) == 0);
        missing.is_empty().then_some(())
    };
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("all queries have data", &mut look);
    }));
    assert!(asked.is_ok(), "{} without data: {missing:#?}", missing.len());
}

#[test]
fn every_query_has_data_from_a_running_service() {
    let service = Service::start(&[]).unwrap();
    let collector = Collector::start();
    let prometheus = Prometheus::start(service.sender().url(), &collector);
    until("both are scraped", || (prometheus.series("up == 1") == 2).then_some(()));
    let scraped = "isotherm_readings_accepted_total == 0";
    // A rate needs what was there before.
    until("the counters begin at nothing", || (prometheus.series(scraped) == 1).then_some(()));

    questions::send(&service, &scenario::scenario(1, now_ms()));
    send_some_of_everything(&service);
    let mut queries = queries_of_prometheus();
    for rule in prometheus.rules() {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        // Alerts are silent, so it is their metrics that have to be there.
        let of_query =
            metrics_in(query).into_iter().map(|metric| (name.to_owned(), metric.to_owned()));
        queries.extend(of_query);
        if rule["type"] == "recording" {
            queries.push((name.to_owned(), name.to_owned()));
        }
    }
    until_there_is_data(&prometheus, &queries);
    let sick = |rule: &Value| rule["health"] == "err";
    assert_eq!(
        prometheus.rules().into_iter().filter(sick).collect::<Vec<_>>(),
        Vec::<Value>::new()
    );
}

/// What an answer about a list has to do with a query of the Infinity data source: a list at
/// its root selector, and a column for each of the query's.
fn check_infinity(service: &Service, what: &str, query: &Value, values: &[(&str, &str)]) {
    let url = filled(query["url"].as_str().unwrap(), values);
    // It is relative to the address of the data source.
    assert!(url.starts_with("/v1/"), "{what}: {url}");
    let answer = service.get_with(&url, &[("accept", "application/json")]);
    assert_eq!(answer.status, 200, "{what}: {url}: {}", answer.body);
    let root = query["root_selector"].as_str().unwrap();
    let answer = answer.json().unwrap();
    let list = answer[root].as_array().unwrap_or_else(|| panic!("{what}: no {root} in {answer}"));
    let may_be_empty = may_be_empty(what, query["refId"].as_str().unwrap());
    assert!(!list.is_empty() || may_be_empty, "{what}: {url}: {root} is empty");
    // The same table as CSV names its columns, also where it has no row.
    let csv = service.get_with(&url, &[("accept", "text/csv")]);
    assert_eq!(csv.status, 200, "{what}: {url}: {}", csv.body);
    let header: Vec<&str> = csv.body.lines().next().unwrap().split(',').collect();
    for column in query["columns"].as_array().unwrap() {
        let selector = column["selector"].as_str().unwrap();
        assert!(header.contains(&selector), "{what}: {url}: {selector} is not in {header:?}");
        let is_there = |item: &Value| item.get(selector).is_some();
        assert!(list.iter().all(is_there), "{what}: {url}: not all have {selector}");
    }
}

#[test]
fn every_query_of_the_history_has_its_columns_in_an_answer() {
    let service = Service::start(&[]).unwrap();
    let scenario = scenario::scenario(1, now_ms());
    questions::send(&service, &scenario);
    let end = scenario.truth.end;
    let [from, to] = [end - 2 * DAY, end].map(|at| at.to_string());
    let values = [
        ("__from", from.as_str()),
        ("__to", to.as_str()),
        ("region", "freezer-north"),
        ("device", "t-01"),
        ("step", "15m"),
    ];
    let dashboard = dashboard("dashboard-infinity.json");
    let of_variables = variables(&dashboard).into_iter();
    let of_variables = of_variables.map(|(name, query)| (name, query["infinityQuery"].clone()));
    let queries: Vec<(String, Value)> =
        targets(&dashboard).into_iter().chain(of_variables).collect();
    assert!(queries.len() > 10, "{}", queries.len());
    let failures: Vec<String> = queries
        .iter()
        .filter_map(|(what, query)| {
            questions::failure(what, || check_infinity(&service, what, query, &values))
        })
        .collect();
    let (count, all) = (failures.len(), failures.join("\n"));
    assert!(failures.is_empty(), "{count} of {} are wrong:\n{all}", queries.len());
}

#[test]
fn panels_have_numbers_of_their_own_and_say_what_they_are() {
    for name in ["dashboard.json", "dashboard-infinity.json"] {
        let dashboard = dashboard(name);
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: std::collections::BTreeSet<i64> =
            panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}");
        let mut below = 0;
        for panel in panels {
            let (title, place) = (panel["title"].as_str().unwrap(), &panel["gridPos"]);
            let edge = |a: &str, b: &str| place[a].as_i64().unwrap() + place[b].as_i64().unwrap();
            assert!(edge("x", "w") <= 24 && place["y"].as_i64().unwrap() <= below, "{title}");
            below = below.max(edge("y", "h"));
            let is_row = panel["type"] == "row";
            assert!(is_row || panel["description"].as_str().unwrap().ends_with('.'), "{title}");
        }
    }
    let all = ["dashboard.json", "dashboard-infinity.json"].map(|name| targets(&dashboard(name)));
    for (title, reference, why) in EMPTY {
        let is_it =
            |(panel, target): &&(String, Value)| panel == title && target["refId"] == reference;
        assert_eq!(all.iter().flatten().filter(is_it).count(), 1, "{title} {reference}: {why}");
    }
}
