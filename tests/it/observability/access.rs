//! What scrapes and asks has a token, and none of it is in a file of `deploy/`.

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use super::file;
use super::scraper::Prometheus;
use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};

/// A token with these scopes, and its line for the variable `tokens`.
fn token(id: &str, scopes: &[&str]) -> (String, String) {
    let now = isotherm::UnixMillis::new(now_ms()).unwrap();
    isotherm::new_token(id, &[7; 32], scopes, None, now).unwrap()
}

#[test]
fn prometheus_scrapes_with_the_token_of_its_file() {
    let (device, first) = token("device", &["write:*@*"]);
    let (scraper, second) = token("scraper", &["metrics", "read:*"]);
    let tokens = format!("{first};{second}");
    let service = Service::start(&[("auth", "on"), ("tokens", &tokens)]).unwrap();
    let bearer = format!("Bearer {device}");
    let reading = json_reading("d1", "hall", 20.0, now_ms());
    let sent = service.send(&reading, &[("authorization", &bearer), ("prefer", "wait")]);
    assert_eq!(sent.status, 200, "{}", sent.body);

    let url = service.sender().url();
    let prometheus = Prometheus::deployed(url, &scraper);
    let has = |query: &str| (prometheus.series(query) == 1).then_some(());
    until("it is scraped", || has("up{job=\"isotherm\"} == 1"));
    until("with its rooms", || has("isotherm_region_temperature_celsius{stat=\"max\"} == 20"));

    // One that may not scrape is refused, which is counted, and no target that is well.
    let refused = Prometheus::deployed(url, &device);
    until("it is tried", || (refused.series("up == 0") == 1).then_some(()));
    assert_eq!(refused.series("isotherm_store_up"), 0);
    until("it is counted", || has("isotherm_auth_total{outcome=\"forbidden\"} > 0"));
}

#[test]
fn the_data_sources_take_their_token_from_the_environment() {
    let sources = file("grafana-datasources.yaml");
    assert!(sources.contains("      bearerToken: $ISOTHERM_TOKEN\n"));
    // Otherwise Grafana would send no token, or to any host.
    assert!(sources.contains("      auth_method: bearerToken\n"));
    assert!(sources.contains("      allowedHosts:\n        - $ISOTHERM_URL\n"));
    // The dashboard asks for sources of these types.
    for (dashboard, kind) in [
        ("dashboard.json", "prometheus"),
        ("dashboard-infinity.json", "yesoreyeram-infinity-datasource"),
    ] {
        let dashboard: Value = serde_json::from_str(&file(dashboard)).unwrap();
        let inputs = dashboard["templating"]["list"].as_array().unwrap();
        let asks = inputs.iter().any(|it| it["type"] == "datasource" && it["query"] == json!(kind));
        assert!(asks, "no dashboard asks for {kind}");
        assert!(sources.contains(&format!("    type: {kind}\n")), "no source of type {kind}");
    }
}
