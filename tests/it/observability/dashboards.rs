//! Every query of the dashboards is asked: those of Prometheus of one that scrapes a running
//! service, those of the Infinity data source of the service itself.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_it::{Service, now_ms};
use isotherm_load::scenario::{self, Scenario};
use serde_json::{Value, json};

use super::nodes::Between;
use super::scraper::{Collector, Prometheus};
use super::{file, metrics_in};
use crate::questions;
use crate::support::readings::{DAY, HOUR, MINUTE, celsius, json_reading};
use crate::support::service::{Expect as _, until};
use isotherm_it::programs::check;

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

/// What can be chosen of a variable that is a plain list.
fn options(dashboard: &Value, name: &str) -> Vec<String> {
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let variable = list.iter().find(|variable| variable["name"] == name).unwrap();
    assert_eq!(variable["type"], "custom", "{name}");
    variable["query"].as_str().unwrap().split(',').map(ToOwned::to_owned).collect()
}

/// Every query of the dashboard on Prometheus, with its panel: for all rooms and sensors, for
/// a selection as Grafana writes it, and for each of the temperatures to choose from. And
/// those of its variables, by the label that they list.
fn queries_of_prometheus() -> BTreeSet<(String, String)> {
    let dashboard = dashboard("dashboard.json");
    let panels: Vec<_> = targets(&dashboard)
        .into_iter()
        .map(|(panel, target)| (panel, target["expr"].as_str().unwrap().to_owned()))
        .collect();
    // label_values(SERIES, LABEL): Grafana asks for the series.
    let of_variables = variables(&dashboard).into_iter().map(|(name, query)| {
        let query = query["query"].as_str().unwrap();
        let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (series, label) = inner.rsplit_once(',').unwrap();
        (
            name,
            format!("count by ({label}) ({series}) unless count({series})", label = label.trim()),
        )
    });
    let all: Vec<_> = panels.into_iter().chain(of_variables).collect();
    let mut queries = BTreeSet::new();
    for stat in options(&dashboard, "stat") {
        for (region, device) in [(".*", ".*"), ("(freezer-south|r0|r1)", "(t-06|t-08)")] {
            let values = [
                ("__rate_interval", "1m"),
                ("region", region),
                ("device", device),
                ("stat", &stat),
            ];
            queries.extend(all.iter().map(|(what, text)| (what.clone(), filled(text, &values))));
        }
    }
    queries
}

/// Readings that are stored, repeated, rejected and contradicting; a room that is outside its
/// limits, and a sensor that was warm and fell silent.
fn send_some_of_everything(service: &Service) {
    let now = now_ms();
    let one =
        |i: i64| json_reading(&format!("d{}", i % 10), &format!("r{}", i % 5), 20.0, now - i * 100);
    let first: Value = (0..500).map(one).collect();
    let wrong = json!([{"device_id": "d1"}, json_reading("d1", "r1", 999_999.0, now)]);
    let contradiction = json_reading("d0", "r0", 21.0, now);
    let silent = json_reading("silent", "r1", 35.0, now - 2 * HOUR);
    for body in [&first, &first, &wrong, &contradiction, &silent] {
        service.send(body, &[]);
    }
    service.settled();
    let limits = service.sender().put("/v1/regions/r0/limits", br#"{"high_c":8}"#).unwrap();
    assert_eq!(limits.status, 200, "{}", limits.body);
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
    let between = Between::start();
    let service = &between.service;
    let collector = Collector::start();
    let prometheus = Prometheus::start(service.sender().url(), &collector);
    until("both are scraped", || (prometheus.series("up == 1") == 2).then_some(()));
    let scraped = "isotherm_readings_accepted_total == 0";
    // A rate needs what was there before.
    until("the counters begin at nothing", || (prometheus.series(scraped) == 1).then_some(()));

    questions::send(service, &scenario::scenario(1, now_ms()));
    send_some_of_everything(service);
    between.exchange();
    let mut queries: Vec<_> = queries_of_prometheus().into_iter().collect();
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
    // What a silent sensor measured last is not what the room's warmest one measures.
    let of_all = |(panel, query): &&(String, String)| {
        panel == "Warmest sensor of each room" && query.contains("=~\".*\"")
    };
    let warmest = queries.iter().find(of_all).unwrap();
    let warmest = prometheus.ask(&warmest.1);
    assert!(warmest.iter().any(|series| series["metric"]["region"] == "r1"), "{warmest:?}");
    assert!(warmest.iter().all(|series| series["metric"]["device_id"] != "silent"), "{warmest:?}");
    let sick = |rule: &Value| rule["health"] == "err";
    assert_eq!(
        prometheus.rules().into_iter().filter(sick).collect::<Vec<_>>(),
        Vec::<Value>::new()
    );
}

/// What an answer about a list has to do with a query of the Infinity data source: a list at
/// its root selector, and for each of the query's columns a row that has something in it.
fn check_infinity(service: &Service, what: &str, query: &Value, values: &[(&str, &str)]) {
    let url = filled(query["url"].as_str().unwrap(), values);
    // It is relative to the address of the data source.
    assert!(url.starts_with("/v1/"), "{what}: {url}");
    let answer = service.get_with(&url, &[("accept", "application/json")]);
    assert_eq!(answer.status, 200, "{what}: {url}: {}", answer.body);
    let root = query["root_selector"].as_str().unwrap();
    let answer = answer.json().unwrap();
    let list = answer[root].as_array().unwrap_or_else(|| panic!("{what}: no {root} in {answer}"));
    assert!(!list.is_empty(), "{what}: {url}: {root} is empty");
    for column in query["columns"].as_array().unwrap() {
        let selector = column["selector"].as_str().unwrap();
        let is_there = |item: &Value| item.get(selector).is_some();
        assert!(list.iter().all(is_there), "{what}: {url}: not all have {selector}");
        let has_any = |item: &Value| !item[selector].is_null();
        assert!(list.iter().any(has_any), "{what}: {url}: {selector} is empty");
    }
}

/// Sends what the panels of the history are for beside the scenario: `t-07`, which was silent,
/// is warm again for 40 minutes and then cold; two readings of `t-01` are contradicted and
/// corrected; one reading has no temperature.
fn go_on(service: &Service, scenario: &Scenario) {
    let end = scenario.truth.end;
    let of_t07 = |minute: i64| {
        let celsius = if minute > 5 { -10.0 } else { -21.0 };
        json_reading("t-07", "freezer-south", celsius, end - minute * MINUTE)
    };
    service.accept_and_wait(&(0..45).rev().map(of_t07).collect());
    let last = scenario.readings.iter().rev().find(|one| one.device_id == "t-01").unwrap();
    let other = json_reading("t-01", last.region, -1.5, last.timestamp);
    service.accept_and_wait(&json!([other, {"device_id": "t-01", "region": last.region}]));
    let correction = json!({
        "device_id": "t-01", "timestamp": last.timestamp, "expect_c": celsius(last.millicelsius),
        "temperature_c": -20.5, "reason": "its calibration",
    });
    let corrected = std::process::Command::new("curl")
        .args(["--silent", "--fail-with-body", "--header", "content-type: application/json"])
        .args(["--data", &correction.to_string()])
        .arg(format!("{}/v1/corrections", service.sender().url()))
        .output()
        .unwrap();
    check(&corrected);
    service.settled();
}

#[test]
fn every_query_of_the_history_has_its_columns_in_an_answer() {
    let between = Between::start();
    let service = &between.service;
    between.exchange();
    let scenario = scenario::scenario(1, now_ms());
    questions::send(service, &scenario);
    go_on(service, &scenario);
    let end = scenario.truth.end + MINUTE;
    let [from, to] = [end - 2 * DAY, end].map(|at| at.to_string());
    let dashboard = dashboard("dashboard-infinity.json");
    let of_variables = variables(&dashboard).into_iter();
    let of_variables = of_variables.map(|(name, query)| (name, query["infinityQuery"].clone()));
    let queries: Vec<(String, Value)> =
        targets(&dashboard).into_iter().chain(of_variables).collect();
    assert!(queries.len() > 10, "{}", queries.len());
    let mut failures = Vec::new();
    for step in options(&dashboard, "step") {
        let values = [
            ("__from", from.as_str()),
            ("__to", to.as_str()),
            ("region", "freezer-north"),
            ("device", "t-07"),
            ("step", &step),
        ];
        failures.extend(queries.iter().filter_map(|(what, query)| {
            questions::failure(what, || check_infinity(service, what, query, &values))
        }));
    }
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
}
