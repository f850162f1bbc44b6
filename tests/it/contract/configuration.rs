//! What an operator configures, and what becomes of a wrong value.

use isotherm::api::{router, routes::Route};
use isotherm::http::Request;
use isotherm_it::{Service, now_ms, root};

use crate::support::assert::check_problem;
use crate::support::faulty::FaultyHost;
use crate::support::node::Node;
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
        // Any text is the name of an issuer, and a token.
        if variable == "jwt_issuer" || variable == "jwt_audience" || variable.ends_with("_token") {
            continue;
        }
        if variable == "node" || variable.starts_with("peer") {
            // Only `sync` knows the peers; a runtime takes no such origin to begin with.
            let node = Node::quiet(&[(variable, "two words")]);
            let (routes, request) = (Route::<FaultyHost>::SYNC, Request::get("/v1/sync"));
            let answer = router::answer_at_once(&routes, &node.host, &request, &[], node.now);
            let answer = answer.response;
            let problem = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status, 503, "{problem}");
            assert!(problem.contains("misconfigured") && problem.contains(variable), "{problem}");
            continue;
        }
        let service = Service::start_unchecked(&[(variable, "many")]).unwrap();
        // `ingest` takes no JWT, and `query` reads no message of a source.
        let paths: &[&str] = match variable.as_str() {
            "jwt_keys" => &["/readyz"],
            "sources" => &["/readyz/ingest"],
            _ => &["/readyz", "/readyz/ingest"],
        };
        for path in paths {
            let answer = service.get(path).unwrap();
            check_problem(&answer, 503, "misconfigured");
            assert!(answer.body.contains(variable.as_str()), "{}", answer.body);
        }
        assert_eq!(service.get("/healthz").unwrap().status, 200, "a restart mends nothing");
    }
}
