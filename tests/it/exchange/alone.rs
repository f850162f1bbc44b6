//! `sync` as an application of its own, beside a node that does not have it.

use std::os::unix::fs::symlink;

use isotherm_it::{Service, now_ms, root};
use serde_json::json;
use tempfile::TempDir;
use toml::Table;

use super::two::{beat, counts, get};
use crate::support::bare::ask;
use crate::support::readings::json_reading;
use crate::support::service::{Expect as _, until};

/// The project's manifest with those components alone of whose names `is_wanted` holds, as a
/// file of this directory (`scratch`).
fn manifest_with(directory: &TempDir, name: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let all = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let mut all: Table = all.parse().unwrap();
    let routes = all["trigger"]["http"].as_array_mut().unwrap();
    routes.retain(|route| is_wanted(route["component"].as_str().unwrap()));
    let components = all["component"].as_table_mut().unwrap();
    components.retain(|name, _| is_wanted(name));
    let path = directory.path().join(name);
    std::fs::write(&path, toml::to_string(&all).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A directory with what manifests name. (Spin takes files from below the manifest alone.)
fn scratch() -> TempDir {
    let directory = TempDir::new().unwrap();
    for name in ["target", "query"] {
        symlink(root().join(name), directory.path().join(name)).unwrap();
    }
    directory
}

#[test]
fn sync_alone_sends_what_a_node_without_it_has_counted() {
    let manifests = scratch();
    let without = manifest_with(&manifests, "without.toml", |name| name != "sync");
    let alone = manifest_with(&manifests, "alone.toml", |name| name == "sync");
    let hub = Service::start(&[]).unwrap();
    let mut node = Service::prepare(&without, &[], &[]).unwrap();
    node.run().unwrap();
    let sync = node.start_beside(&alone, &[("peer1", &hub.url()), ("node", "gw-1")]).unwrap();

    // Neither can do what the other can. (`query` answers what no component takes.)
    assert_eq!(ask::<&str>(&node, "POST", "/v1/sync", &[], "").status, 404);
    for path in ["/v1/regions", "/v1/readings", "/readyz"] {
        assert_eq!(ask::<&str>(&sync, "GET", path, &[], "").status, 404, "{path}");
    }
    node.accept(&json!([
        json_reading("d1", "hall", 20.0, now_ms()),
        json_reading("d2", "attic", 21.0, now_ms()),
    ]));
    until("the node has counted", || (counts(&node).len() == 2).then_some(()));
    until("the hub has all of it", || {
        beat(&sync);
        (counts(&hub) == counts(&node)).then_some(())
    });
    let nodes = get(&hub, "/v1/senders")["nodes"].clone();
    assert_eq!((nodes.as_array().unwrap().len(), &nodes[0]["name"]), (1, &json!("gw-1")));
    until("it knows that the hub has all of it", || {
        beat(&sync);
        (get(&sync, "/v1/sync")["peers"][0]["behind_readings"] == 0).then_some(())
    });
}

#[test]
fn what_sync_alone_finds_waiting_it_counts_and_sends() {
    let manifests = scratch();
    let alone = manifest_with(&manifests, "alone.toml", |name| name == "sync");
    let hub = Service::start(&[]).unwrap();
    let node = Service::start(&[]).unwrap();
    let sync = node.start_beside(&alone, &[("peer1", &hub.url())]).unwrap();
    beat(&sync);
    node.accept(&json_reading("d1", "hall", 20.0, now_ms()));
    // What took the readings is gone.
    drop(node);
    until("the hub has the reading", || {
        beat(&sync);
        (counts(&hub) == [("hall".to_owned(), 1)]).then_some(())
    });
}
