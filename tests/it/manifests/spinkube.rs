//! The overlays for SpinKube: rendered, held to the schemas of their kinds, and to what
//! `spin.toml` has under the names that they use.
//!
//! `cargo xtask test` looks for kubectl and says in `ISOTHERM_KUBECTL` where it is;
//! without it, or without Python, these tests are skipped by name.

use super::objects::{objects, rendered};
use super::{names, routes};

const OVERLAYS: [&str; 7] =
    ["edge", "fleet", "fleet/gateway", "cloud", "canary", "hub", "hub/gateway"];

/// What the schemas and the names have against an overlay.
fn problems(yaml: &str) -> Vec<String> {
    let (objects, mut problems) = objects(yaml);
    problems.extend(names::inconsistencies(&objects));
    problems
}

#[test]
fn every_overlay_renders_and_is_valid() {
    for overlay in OVERLAYS {
        let yaml = rendered(overlay);
        assert_eq!(problems(&yaml), Vec::<String>::new(), "{overlay}");
        assert!(yaml.contains("kind: SpinApp\n"), "{overlay}");
        let (objects, _) = objects(&yaml);
        assert!(!routes::backends(&objects).is_empty(), "{overlay}: no way in");
    }
}

#[test]
fn an_application_before_its_executor_is_found() {
    for overlay in OVERLAYS {
        let (mut objects, _) = objects(&rendered(overlay));
        let place = objects.iter().position(|one| one["kind"] == "SpinAppExecutor").unwrap();
        let executor = objects.remove(place);
        objects.push(executor);
        let found = names::inconsistencies(&objects);
        assert!(found.iter().any(|problem| problem.contains("not before it")), "{found:?}");
    }
}

/// Mistakes: in which overlay, what is replaced by what, and how the problem is named.
const MISTAKES: [(&str, &str, &str, &str); 32] = [
    ("edge", "  - ingest\n", "  - ingress\n", "no component ingress in spin.toml"),
    ("edge", "  - inspect\n", "", "no SpinApp has the component inspect"),
    ("edge", "    - name: default\n", "    - name: journal\n", "keyValueStores are [\"journal\"]"),
    ("edge", "name: retention\n", "name: retain\n", "no variable retain in spin.toml"),
    ("edge", "  replicas: 1\n", "  replica: 1\n", "'replica' was unexpected"),
    ("edge", "      - name: path\n", "      - name: file\n", "type \"spin\" with {\"file\"}"),
    ("edge", "      type: spin\n", "      type: sqlite\n", "type \"sqlite\""),
    ("edge", "/data/journal.db", "/data/regions.db", "two stores in /data/regions.db"),
    ("edge", "/data/journal.db", "/journal.db", "/journal.db is on no volume"),
    ("edge", "path: /readyz\n", "path: /health\n", "no component of it answers to /health"),
    ("edge", "key: retention\n", "key: retain\n", "no ConfigMap has"),
    ("edge", "  auth: \"on\"\n", "  auth: \"off\"\n", "auth is not on"),
    ("edge", "  auth: \"on\"\n", "", "no ConfigMap has"),
    ("edge", "- name: session_key\n", "- name: tokens\n", "session_key of spin.toml is not"),
    ("edge", "name: isotherm-access\n", "name: isotherm-acces\n", "the README does not say"),
    ("edge", "secretKeyRef", "configMapKeyRef", "not the key tokens of a secretKeyRef"),
    ("canary", "- name: jwt_keys\n", "- name: jwt_key\n", "jwt_keys of spin.toml is not given"),
    ("edge", "- ReadWriteOncePod", "- ReadWriteOnce", "two pods could have the volume"),
    ("edge", "executor: isotherm", "executor: spin", "no such executor"),
    (
        "edge",
        "kind: SpinAppExecutor\nmetadata:\n  name: isotherm\n",
        "kind: SpinAppExecutor\nmetadata:\n  name: containerd-shim-spin\n",
        "that of the examples",
    ),
    ("edge", "      initialDelaySeconds: 1\n", "", "not asked for ten seconds"),
    ("canary", "    priority: 1001\n", "", "no priority"),
    ("canary", "    priority: 1000\n", "    priority: 100\n", "no priority"),
    ("cloud", "key: redis-url", "key: redis-address", "the README does not say how to make"),
    (
        "cloud",
        "            name: isotherm-ingest\n",
        "            name: ingest\n",
        "no Service ingest",
    ),
    ("cloud", "/v1/readings", "/v1/reading", "isotherm-ingest has no component query"),
    ("cloud", "enableAutoscaling: true\n", "enableAutoscaling: false\n", "no SpinApp for it"),
    (
        "canary",
        "name: isotherm-query-next\n      port",
        "name: isotherm-next\n      port",
        "no Service",
    ),
    ("edge", "  - sync\n", "", "no SpinApp has the component sync"),
    ("hub/gateway", "http://isotherm/v1/sync", "http://isotherm-query/v1/sync", "no Service"),
    ("hub/gateway", "secretName: isotherm-sync", "secretName: isotherm", "how to make it"),
    ("hub/gateway", "restartPolicy: Never", "restartPolicy: Always", "\"Always\""),
];

#[test]
fn a_mistake_in_a_name_is_found() {
    let [edge, cloud, canary, gateway] = ["edge", "cloud", "canary", "hub/gateway"].map(rendered);
    for (overlay, from, to, what) in MISTAKES {
        let yaml = match overlay {
            "edge" => &edge,
            "cloud" => &cloud,
            "hub/gateway" => &gateway,
            _ => &canary,
        };
        let broken = yaml.replacen(from, to, 1);
        assert_ne!(&broken, yaml, "{from}");
        let found = problems(&broken);
        assert!(found.iter().any(|problem| problem.contains(what)), "{to}: {found:#?}");
    }
}
