//! What an answer says of what it does not have: of what waits, what is set aside, what a
//! snapshot lacks, and files that can't be read.

use isotherm::host::{Host, Sql};
use serde_json::{Value, json};

use crate::support::assert::{check_fields, check_lines, header};
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{DAY, NOW, in_hall, json_reading};

#[test]
fn readings_that_wait_are_unavailable_and_not_missing() {
    let mut node = Node::quiet(&[]);
    node.accept(&in_hall("a", NOW));
    node.hall();
    // Somebody has the write lock for as long as the answers may take.
    let busy = node.host.inner.sql().unwrap();
    Sql::execute(&busy, "BEGIN IMMEDIATE", &[]).unwrap();
    node.accept(&json_reading("b", "attic", 1, NOW));
    for path in [
        "/v1/regions/attic",
        "/v1/regions/attic/windows",
        "/v1/regions/attic/devices",
        "/v1/devices/b",
        "/v1/devices/b/readings",
        // It may be among them.
        "/v1/regions/nowhere",
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, 503, "{path}");
        assert!(header(&answer, "retry-after").is_some(), "{path}");
    }
    let list = node.read("/v1/regions");
    check_fields(&list, &json!({"complete": false, "unfolded_readings": 1}));
    Sql::execute(&busy, "COMMIT", &[]).unwrap();
    node.read("/v1/regions/attic");
    assert_eq!(node.status_of("/v1/regions/nowhere"), 404);
    assert_eq!(node.status_of("/v1/devices/nobody"), 404);
    assert_eq!(node.read("/v1/regions")["complete"], true);
}

#[test]
fn a_list_from_a_snapshot_that_lacks_regions_says_so_and_has_another_page() {
    let mut node = Node::quiet(&[]);
    let one = |i: i64| json_reading("a", &format!("r{i:04}"), 1, NOW - i);
    node.accept(&(0..1_500).map(one).collect());
    node.read("/v1/regions");
    node.set_plan(Plan::sqlite_away());
    let list = node.read("/v1/regions?after=r0990");
    check_fields(&list, &json!({"stale": true, "complete": false}));
    assert_eq!(list["regions"].as_array().unwrap().len(), 9, "up to the thousandth");
    // What comes then is not the end of the list, but not to be had.
    let next = list["next"].as_str().unwrap();
    assert_eq!(node.status_of(&format!("/v1/regions{next}")), 503);
    // Beyond the snapshot, as before it.
    node.read("/v1/regions/r0999");
    assert_eq!(node.status_of("/v1/regions/r1400"), 503);
    assert_eq!(node.status_of("/v1/regions/nowhere"), 503);
}

#[test]
fn without_a_snapshot_counted_readings_are_unavailable_and_not_missing() {
    let mut node = Node::quiet(&[]);
    node.accept(&in_hall("a", NOW));
    node.set_plan(Plan::sqlite_away());
    for path in ["/v1/regions/hall", "/v1/regions", "/v1/devices/a", "/v1/conflicts"] {
        assert_eq!(node.status_of(path), 503, "{path}");
    }
}

/// A node whose next answer sets one of two readings aside, as if the database had been
/// restored while it waited.
fn about_to_set_aside() -> Node {
    let mut node = Node::quiet(&[("retention", "0")]);
    node.accept_and_wait(&in_hall("a", NOW));
    node.accept(&in_hall("b", NOW - DAY));
    node.set_pruned_before(1_899_999_000_000);
    node
}

#[test]
fn the_answer_that_sets_readings_aside_counts_them_in_every_format() {
    for path in ["/v1/regions/hall", "/v1/regions"] {
        let told = json!({"quarantined_readings": 1, "unfolded_readings": 0});
        check_fields(&about_to_set_aside().read(path), &told);
    }
    let metrics = about_to_set_aside().metrics();
    check_lines(&metrics, &["isotherm_quarantined_readings 1", "isotherm_journal_readings 0"]);
    let coverage = about_to_set_aside().coverage_of_csv();
    assert!(coverage.contains("quarantined_readings=1"), "{coverage}");
    assert!(coverage.contains("unfolded_readings=0"), "{coverage}");
}

#[test]
fn a_scraper_alone_keeps_the_figures_up_to_date() {
    let mut node = Node::quiet(&[]);
    for i in 0..120 {
        node.accept(&in_hall("a", NOW - i));
    }
    let expected = ["isotherm_readings_accepted_total 120", "isotherm_journal_entries 0"];
    check_lines(&node.metrics(), &expected);
}

#[test]
fn a_file_that_can_not_be_read_is_unavailable_and_not_missing() {
    let mut node = Node::quiet(&[]);
    assert_eq!(node.status_of("/assets/app.js"), 404);
    node.set_plan(Plan::fail(1).for_ever());
    assert_eq!(node.status_of("/assets/app.js"), 503);
}

#[test]
fn the_next_page_of_a_time_long_ago_can_be_read() {
    let mut node = Node::quiet(&[("retention", "0")]);
    let at = |minute: i64| format!("1971-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    let batch: Value = (0..30).map(|minute| json_reading("a", "hall", 1, at(minute))).collect();
    node.accept_and_wait(&batch);
    for path in [
        "/v1/devices/a/readings?from=1971-01-01T00:00:00Z&to=1971-01-02T00:00:00Z&limit=10",
        "/v1/regions/hall/windows?from=0&to=1971-01-01T01:00:00Z&step=1m",
        "/v1/regions/hall/windows?from=0",
    ] {
        let page = node.read(path);
        node.read(&isotherm_it::next_page(path, page["next"].as_str().unwrap()));
    }
}
