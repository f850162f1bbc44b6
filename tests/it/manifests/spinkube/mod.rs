//! The overlays for SpinKube: rendered, held to the schemas of their kinds, and to what
//! `spin.toml` has under the names that they use.
//!
//! `cargo xtask test` looks for kubectl and says in `ISOTHERM_KUBECTL` where it is;
//! without it, or without Python, these tests are skipped by name.

mod commands;
mod durable;
pub(super) mod nodes;
mod pods;
mod started;
mod stores;
mod wal;

use std::collections::BTreeMap;

use super::objects::{objects, render, rendered, text};
use super::{names, routes};

/// Those for the operator.
const APPLICATIONS: [&str; 5] = ["edge-operator", "fleet", "fleet/gateway", "cloud", "canary"];
/// Those that need none.
const NODES: [&str; 3] = ["edge", "hub", "hub/gateway"];

/// What the schemas and the names have against an overlay.
fn problems(yaml: &str) -> Vec<String> {
    let (objects, mut problems) = objects(yaml);
    problems.extend(names::inconsistencies(&objects));
    for deployment in objects.iter().filter(|one| one["kind"] == "Deployment") {
        problems.extend(nodes::problems(deployment, &objects));
    }
    problems.extend(nodes::claims(&objects));
    problems.extend(stores::problems(&objects));
    problems
}

#[test]
fn every_overlay_renders_and_is_valid() {
    for overlay in APPLICATIONS.into_iter().chain(NODES) {
        let yaml = rendered(overlay);
        assert_eq!(problems(&yaml), Vec::<String>::new(), "{overlay}");
        let is_node = NODES.contains(&overlay);
        assert_eq!(yaml.contains("\nkind: Deployment\n"), is_node, "{overlay}");
        assert_eq!(yaml.contains("\nkind: SpinApp\n"), !is_node, "{overlay}");
        let (objects, _) = objects(&yaml);
        assert!(!routes::backends(&objects).is_empty(), "{overlay}: no way in");
    }
}

/// What goes with the files, or with the Secrets.
const KEPT: [&str; 4] = ["Namespace", "PersistentVolumeClaim", "ServiceAccount", "StorageClass"];

#[test]
fn an_overlay_can_be_deleted_without_the_files_and_the_secrets() {
    let kinds_of = |directory: &str| {
        let (objects, _) = objects(&render(directory));
        objects.iter().map(|one| text(&one["kind"]).to_owned()).collect::<Vec<_>>()
    };
    for overlay in APPLICATIONS.into_iter().chain(NODES) {
        let kinds = kinds_of(&format!("overlays/{overlay}"));
        assert!(!kinds.iter().any(|kind| KEPT.contains(&kind.as_str())), "{overlay}: {kinds:?}");
    }
    // It would be seen in those that do have one.
    for directory in ["namespace", "volume"] {
        let kinds = kinds_of(directory);
        assert!(kinds.iter().all(|kind| KEPT.contains(&kind.as_str())), "{directory}: {kinds:?}");
    }
}

#[test]
fn an_application_before_its_executor_is_found() {
    for overlay in APPLICATIONS {
        let (mut objects, _) = objects(&rendered(overlay));
        let place = objects.iter().position(|one| one["kind"] == "SpinAppExecutor").unwrap();
        let executor = objects.remove(place);
        objects.push(executor);
        let found = names::inconsistencies(&objects);
        assert!(found.iter().any(|problem| problem.contains("not before it")), "{found:?}");
    }
}

/// Mistakes: in which overlay, what is replaced by what, and how the problem is named.
const MISTAKES: [(&str, &str, &str, &str); 64] = [
    ("edge-operator", "  - ingest\n", "  - ingress\n", "no component ingress in spin.toml"),
    ("edge-operator", "  - inspect\n", "", "no SpinApp has the component inspect"),
    (
        "edge-operator",
        "    - name: default\n",
        "    - name: journal\n",
        "keyValueStores are [\"journal\"]",
    ),
    ("edge-operator", "name: retention\n", "name: retain\n", "no variable retain in spin.toml"),
    ("edge-operator", "  replicas: 1\n", "  replica: 1\n", "'replica' was unexpected"),
    (
        "edge-operator",
        "      - name: path\n",
        "      - name: file\n",
        "type \"spin\" with {\"file\"}",
    ),
    ("edge-operator", "      type: spin\n", "      type: sqlite\n", "type \"sqlite\""),
    ("edge-operator", "/data/journal.db", "/data/regions.db", "two stores in /data/regions.db"),
    ("edge-operator", "/data/journal.db", "/journal.db", "/journal.db is on no volume"),
    (
        "edge-operator",
        "path: /readyz\n",
        "path: /health\n",
        "no component of it answers to /health",
    ),
    ("edge-operator", "key: retention\n", "key: retain\n", "no ConfigMap has"),
    ("edge-operator", "  auth: \"on\"\n", "  auth: \"off\"\n", "auth is not on"),
    ("edge-operator", "  auth: \"on\"\n", "", "no ConfigMap has"),
    (
        "edge-operator",
        "- name: session_key\n",
        "- name: tokens\n",
        "session_key of spin.toml is not",
    ),
    (
        "edge-operator",
        "name: isotherm-access\n",
        "name: isotherm-acces\n",
        "the README does not say",
    ),
    ("edge-operator", "secretKeyRef", "configMapKeyRef", "not the key tokens of a secretKeyRef"),
    ("canary", "- name: jwt_keys\n", "- name: jwt_key\n", "jwt_keys of spin.toml is not given"),
    ("edge", "- ReadWriteOncePod", "- ReadWriteOnce", "two pods could have the volume"),
    ("edge-operator", "executor: isotherm", "executor: spin", "no such executor"),
    (
        "edge-operator",
        "kind: SpinAppExecutor\nmetadata:\n  name: isotherm\n",
        "kind: SpinAppExecutor\nmetadata:\n  name: containerd-shim-spin\n",
        "that of the examples",
    ),
    ("edge-operator", "      initialDelaySeconds: 1\n", "", "not asked for ten seconds"),
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
    ("edge-operator", "  - sync\n", "", "no SpinApp has the component sync"),
    ("hub/gateway", "http://isotherm/v1/sync", "http://isotherm-query/v1/sync", "no Service"),
    ("hub/gateway", "secretName: isotherm-sync", "secretName: isotherm", "how to make it"),
    ("hub/gateway", "restartPolicy: Never", "restartPolicy: Always", "\"Always\""),
    ("edge", "type: Recreate", "type: RollingUpdate", "not Recreate"),
    ("edge", "runtimeClassName: spin\n", "runtimeClassName: wasmtime-spin-v2\n", "no RuntimeClass"),
    ("edge", "  RETENTION: ", "  RETAIN: ", "no variable retain in spin.toml"),
    ("edge", "  AUTH: \"on\"\n", "  AUTH: \"off\"\n", "auth is not on"),
    ("edge", "SPIN_VARIABLE_TOKENS", "SPIN_VARIABLE_TOKEN", "tokens of spin.toml is not given"),
    ("edge", "name: isotherm-access", "name: isotherm-acces", "the README does not say"),
    ("edge", "\"/data/journal.db\"", "\"/journal.db\"", "/journal.db is on no volume"),
    ("edge", "\"/data/journal.db\"", "\"/data/j.db\"", "into WAL mode"),
    ("edge", "key_value_store.default", "key_value_store.journal", "keyValueStores are"),
    ("edge", "mountPath: /runtime-config.toml", "mountPath: /config.toml", "keyValueStores are []"),
    ("edge", "path: /readyz\n", "path: /health\n", "no component of it answers to /health"),
    ("edge", "value: 0.0.0.0:80", "value: 0.0.0.0:3000", "does not listen"),
    ("edge", "reclaimPolicy: Retain", "reclaimPolicy: Delete", "removed with it"),
    ("edge", "targetPort: http-app", "targetPort: http", "does not lead to it"),
    ("cloud", "redis@sha256:", "redis:sha256-", "Redis: no digest"),
    ("cloud", "- EVAL\n", "- GET\n", "scripts by EVAL"),
    ("cloud", "value: 127.0.0.1:9090", "value: 0.0.0.0:9090", "its admin API"),
    ("cloud", "/etc/isotherm/synced.sh\n", "/etc/isotherm/health.sh\n", "before it syncs"),
    ("cloud", "/etc/isotherm/durable.sh\n", "/etc/isotherm/none.sh\n", "nobody tells it"),
    (
        "cloud",
        "storageClassName: isotherm-kept\n",
        "storageClassName: local-path\n",
        "removed with",
    ),
    ("fleet", "router.entrypoints: websecure", "router.entrypoints: web", "without TLS"),
    ("cloud", "- SCRIPT\n", "- GET\n", "scripts by SCRIPT"),
    ("cloud", "failureThreshold: 1\n", "failureThreshold: 30\n", "it stays ready"),
    ("cloud", "mountPath: /etc/isotherm\n", "mountPath: /scripts\n", "does not have the scripts"),
    (
        "fleet",
        "            name: isotherm-libsql\n            port",
        "            name: isotherm\n            port",
        "gateways in other clusters can't reach it",
    ),
    ("edge", "value: \"1000\"\n", "value: \"400\"\n", "get a 500"),
    ("cloud", "    installDefaultCACerts: true\n", "", "no certificates of authorities"),
    ("cloud", "- name: isotherm-registry\n", "- name: registry\n", "no Secret for its images"),
    ("cloud", "port: 4318\n", "port: 4317\n", "telemetry does not come through"),
    ("edge", "memory: 256Mi\n", "memory: 128Mi\n", "128Mi of memory were too little"),
    ("edge-operator", "memory: 512Mi\n", "memory: 256Mi\n", "256Mi of memory were too little"),
    ("cloud", "memory: 512Mi\n", "memory: 256Mi\n", "256Mi of memory were too little"),
];

#[test]
fn a_mistake_in_a_name_is_found() {
    let overlays = ["edge", "edge-operator", "fleet", "cloud", "canary", "hub/gateway"];
    let rendered: BTreeMap<&str, String> =
        overlays.into_iter().map(|overlay| (overlay, rendered(overlay))).collect();
    for (overlay, from, to, what) in MISTAKES {
        let yaml = &rendered[overlay];
        let broken = yaml.replacen(from, to, 1);
        assert_ne!(&broken, yaml, "{from}");
        let found = problems(&broken);
        assert!(found.iter().any(|problem| problem.contains(what)), "{to}: {found:#?}");
    }
}
