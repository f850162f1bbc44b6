//! What an operator configures, and what becomes of a wrong value.

use isotherm_it::{Service, now_ms, root};

use crate::support::assert::check_problem;
use crate::support::readings::json_reading;
use crate::support::service::Expect as _;

#[test]
fn the_operator_decides_how_old_and_how_new_a_reading_may_be() {
    let service = Service::start(&[("retention", "1h"), ("max_skew", "10s")]).unwrap();
    let now = now_ms();
    let status = |offset: i64| service.send(&json_reading("d", "r", 1.0, now + offset), &[]).status;
    assert_eq!([status(-3_500_000), status(5_000)], [202, 202]);
    assert_eq!([status(-3_700_000), status(60_000)], [422, 422]);
}

#[test]
fn a_misconfigured_node_accepts_nothing_and_names_the_variable() {
    let service = Service::start_unchecked(&[("retention", "a week")]).unwrap();
    let answer = service.send(&json_reading("d", "r", 1.0, now_ms()), &[]);
    check_problem(&answer, 503, "misconfigured");
    assert!(answer.body.contains("retention"), "{}", answer.body);
    assert!(!answer.body.contains("a week"), "{}", answer.body);
    check_problem(&service.get("/v1/regions").unwrap(), 503, "misconfigured");
}

#[test]
fn a_node_with_a_variable_that_can_not_be_read_is_not_ready() {
    let manifest = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    for variable in manifest["variables"].as_table().unwrap().keys() {
        let service = Service::start_unchecked(&[(variable, "many")]).unwrap();
        for path in ["/readyz", "/readyz/ingest"] {
            let answer = service.get(path).unwrap();
            check_problem(&answer, 503, "misconfigured");
            assert!(answer.body.contains(variable.as_str()), "{}", answer.body);
        }
        assert_eq!(service.get("/healthz").unwrap().status, 200, "a restart mends nothing");
    }
}
