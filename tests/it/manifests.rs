//! Kubernetes' manifests: rendered, held to the schemas of their kinds, and to what
//! `spin.toml` has under the names that they use.
//!
//! `cargo xtask test` looks for kubectl and says in `ISOTHERM_KUBECTL` where it is;
//! without it, or without Python, these tests are skipped by name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use isotherm_it::root;
use serde_json::Value;

use crate::tools::{check, variable};

const OVERLAYS: [&str; 5] = ["edge", "fleet", "fleet/gateway", "cloud", "canary"];

/// The Secret that nobody keeps in a repository; the README says how to make it.
const SECRET: &str = "isotherm-stores";

/// What Spin 3.6 takes for a store of a type (`crates/key-value-*`, `crates/sqlite`).
const KEY_VALUE_TYPES: [(&str, &[&str]); 2] = [("spin", &["path"]), ("redis", &["url"])];
const SQLITE_TYPES: [(&str, &[&str]); 2] = [("spin", &["path"]), ("libsql", &["url", "token"])];

/// The overlay, as kubectl renders it.
fn rendered(overlay: &str) -> String {
    let directory = root().join("deploy/spinkube/overlays").join(overlay);
    let output = Command::new(variable("ISOTHERM_KUBECTL"))
        .arg("kustomize")
        .arg(directory)
        .output()
        .unwrap();
    check(&output);
    String::from_utf8(output.stdout).unwrap()
}

/// The objects in this YAML, and what their schemas say against them.
fn objects(yaml: &str) -> (Vec<Value>, Vec<String>) {
    let mut python = Command::new(variable("ISOTHERM_PYTHON"))
        .arg(root().join("tests/python/manifests.py"))
        .arg(root().join("tests/data/kubernetes"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    check(&output);
    let checked: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for mut one in checked {
        let object = one["object"].take();
        let named = format!("{} {}", text(&object["kind"]), name(&object));
        problems.extend(list(&one["errors"]).iter().map(|e| format!("{named}: {}", text(e))));
        objects.push(object);
    }
    (objects, problems)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// The application's own manifest.
struct Spin(toml::Table);

impl Spin {
    fn read() -> Self {
        let text = std::fs::read_to_string(root().join("spin.toml")).unwrap();
        Self(toml::from_str(&text).unwrap())
    }

    fn component(&self, id: &str) -> Option<&toml::Table> {
        self.0["component"].get(id)?.as_table()
    }

    fn labels(&self, component: &str, stores: &str) -> BTreeSet<&str> {
        let labels = self.component(component).and_then(|table| table.get(stores)?.as_array());
        labels.into_iter().flatten().filter_map(toml::Value::as_str).collect()
    }

    /// The variables, and whether each has to be given.
    fn variables(&self) -> BTreeMap<&str, bool> {
        let table = self.0["variables"].as_table().unwrap();
        table.iter().map(|(name, value)| (name.as_str(), value.get("default").is_none())).collect()
    }

    /// The component that answers to `path`: an exact route before the wildcard.
    fn component_at(&self, path: &str) -> &str {
        let triggers = self.0["trigger"]["http"].as_array().unwrap();
        let route = |wanted: &str| triggers.iter().find(|t| t["route"].as_str() == Some(wanted));
        route(path).or_else(|| route("/...")).unwrap()["component"].as_str().unwrap()
    }
}

/// What is wrong with the objects of an overlay, by the names that they use.
fn inconsistencies(objects: &[Value]) -> Vec<String> {
    let spin = Spin::read();
    let of = |kind: &str| objects.iter().filter(move |o| o["kind"] == kind).collect::<Vec<_>>();
    let names = |kind: &str| of(kind).into_iter().map(name).collect::<BTreeSet<_>>();
    let mut problems = Vec::new();
    let apps = of("SpinApp");
    for app in &apps {
        let mut found = app_against_manifest(app, &spin);
        found.extend(stores(app, &spin));
        found.extend(references(app, objects));
        if !names("SpinAppExecutor").contains(text(&app["spec"]["executor"])) {
            found.push("no such executor".to_owned());
        }
        problems.extend(found.into_iter().map(|what| format!("SpinApp {}: {what}", name(app))));
    }
    // The operator makes a Service of each SpinApp, under its name.
    for (path, service) in backends(objects) {
        let Some(app) = apps.iter().find(|app| name(app) == service) else {
            problems.push(format!("route {path}: no Service {service}"));
            continue;
        };
        let component = spin.component_at(&path);
        if !list(&app["spec"]["components"]).iter().any(|c| c == component) {
            problems.push(format!("route {path}: {service} has no component {component}"));
        }
    }
    for scaler in of("HorizontalPodAutoscaler") {
        let target = text(&scaler["spec"]["scaleTargetRef"]["name"]);
        let app = apps.iter().find(|app| name(app) == target);
        if !app.is_some_and(|app| app["spec"]["enableAutoscaling"] == true) {
            problems.push(format!("HorizontalPodAutoscaler {target}: no SpinApp for it"));
        }
    }
    for budget in of("PodDisruptionBudget") {
        let labels = &budget["spec"]["selector"]["matchLabels"];
        let selected = text(&labels["core.spinkube.dev/app-name"]);
        if !apps.iter().any(|app| name(app) == selected) {
            problems.push(format!("PodDisruptionBudget: no pods of {selected:?}"));
        }
    }
    let namespaces: BTreeSet<_> = objects
        .iter()
        .filter(|o| o["kind"] != "Namespace")
        .map(|o| text(&o["metadata"]["namespace"]))
        .collect();
    if namespaces != BTreeSet::from(["isotherm"]) {
        problems.push(format!("namespaces {namespaces:?}"));
    }
    problems
}

/// Components, variables and probes of a SpinApp.
fn app_against_manifest(app: &Value, spin: &Spin) -> Vec<String> {
    let spec = &app["spec"];
    let components: Vec<&str> = list(&spec["components"]).iter().map(text).collect();
    let mut problems = Vec::new();
    for component in &components {
        if spin.component(component).is_none() {
            problems.push(format!("no component {component} in spin.toml"));
        }
    }
    let given: Vec<&str> = list(&spec["variables"]).iter().map(|v| text(&v["name"])).collect();
    let known = spin.variables();
    for variable in &given {
        if !known.contains_key(variable) {
            problems.push(format!("no variable {variable} in spin.toml"));
        }
        if given.iter().filter(|other| *other == variable).count() > 1 {
            problems.push(format!("variable {variable} twice"));
        }
    }
    for (variable, required) in known {
        if required && !given.contains(&variable) {
            problems.push(format!("variable {variable} is required"));
        }
    }
    let probe = |what: &str| text(&spec["checks"][what]["httpGet"]["path"]).to_owned();
    if probe("liveness") != "/.well-known/spin/health" {
        problems.push("liveness is not asked of Spin itself".to_owned());
    }
    let ready = probe("readiness");
    if !ready.starts_with("/readyz") || !components.contains(&spin.component_at(&ready)) {
        problems.push(format!("no component of it answers to {ready}"));
    }
    if spec["resources"]["limits"]["memory"].is_null() {
        problems.push("no limit on memory".to_owned());
    }
    problems
}

/// The stores of a SpinApp: each that its components name, and no other, of a type and
/// with the options that Spin knows.
fn stores(app: &Value, spin: &Spin) -> Vec<String> {
    let (spec, mut problems) = (&app["spec"], Vec::new());
    let config = &spec["runtimeConfig"];
    let components: Vec<&str> = list(&spec["components"]).iter().map(text).collect();
    let mut files = Vec::new();
    for (kind, labels, types) in [
        ("keyValueStores", "key_value_stores", KEY_VALUE_TYPES),
        ("sqliteDatabases", "sqlite_databases", SQLITE_TYPES),
    ] {
        let wanted: BTreeSet<&str> =
            components.iter().flat_map(|component| spin.labels(component, labels)).collect();
        let given: Vec<&str> = list(&config[kind]).iter().map(name_of_store).collect();
        if given.iter().copied().collect::<BTreeSet<_>>() != wanted || given.len() != wanted.len() {
            problems.push(format!("{kind} are {given:?}, and spin.toml has {wanted:?}"));
        }
        for store in list(&config[kind]) {
            let options: BTreeSet<&str> =
                list(&store["options"]).iter().map(|option| text(&option["name"])).collect();
            let known = types.iter().find(|(name, _)| store["type"] == *name);
            if known
                .is_none_or(|(_, known)| known.iter().copied().collect::<BTreeSet<_>>() != options)
            {
                problems.push(format!("{kind}: type {} with {options:?}", store["type"]));
            }
            if store["type"] == "spin" {
                files.push(text(&store["options"][0]["value"]).to_owned());
            }
        }
    }
    let mounts: Vec<&str> =
        list(&spec["volumeMounts"]).iter().map(|m| text(&m["mountPath"])).collect();
    for file in &files {
        if !mounts.iter().any(|mount| file.starts_with(&format!("{mount}/"))) {
            problems.push(format!("{file} is on no volume, so it ends with the pod"));
        }
        if files.iter().filter(|other| *other == file).count() > 1 {
            problems.push(format!("two stores in {file}"));
        }
    }
    if !files.is_empty() && (spec["replicas"] != 1 || spec["enableAutoscaling"] == true) {
        problems.push("several pods would have files of their own".to_owned());
    }
    problems
}

fn name_of_store(store: &Value) -> &str {
    text(&store["name"])
}

/// What a SpinApp refers to: keys of ConfigMaps, the one Secret, volumes and claims.
fn references(app: &Value, objects: &[Value]) -> Vec<String> {
    let (spec, mut problems) = (&app["spec"], Vec::new());
    let find = |kind: &str, wanted: &str| {
        objects.iter().find(|object| object["kind"] == kind && name(object) == wanted)
    };
    let stores = &spec["runtimeConfig"];
    let options = ["keyValueStores", "sqliteDatabases"]
        .into_iter()
        .flat_map(|kind| list(&stores[kind]))
        .flat_map(|store| list(&store["options"]));
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    for from in list(&spec["variables"]).iter().chain(options).map(|v| &v["valueFrom"]) {
        let map = &from["configMapKeyRef"];
        if !map.is_null() {
            let found = find("ConfigMap", text(&map["name"]));
            if found.is_none_or(|found| found["data"][text(&map["key"])].is_null()) {
                problems.push(format!("no ConfigMap has {map}"));
            }
        }
        let secret = &from["secretKeyRef"];
        let explained = readme.contains(&format!("--from-literal={}=", text(&secret["key"])));
        if !secret.is_null() && (secret["name"] != SECRET || !explained) {
            problems.push(format!("the README does not say how to make {secret}"));
        }
    }
    for mount in list(&spec["volumeMounts"]) {
        let volume = list(&spec["volumes"]).iter().find(|v| v["name"] == mount["name"]);
        let claim = volume.map_or("", |v| text(&v["persistentVolumeClaim"]["claimName"]));
        match find("PersistentVolumeClaim", claim) {
            None => problems.push(format!("no claim for the volume {}", mount["name"])),
            Some(claim)
                if claim["spec"]["accessModes"] != serde_json::json!(["ReadWriteOncePod"]) =>
            {
                problems.push("two pods could have the volume at once".to_owned());
            }
            Some(_) => {}
        }
    }
    if find("ServiceAccount", text(&spec["serviceAccountName"])).is_none() {
        problems.push("no such ServiceAccount".to_owned());
    }
    problems
}

/// Paths and the Services that they lead to, through TraefikServices.
fn backends(objects: &[Value]) -> Vec<(String, String)> {
    let mut backends = Vec::new();
    for object in objects {
        for path in list(&object["spec"]["rules"]).iter().flat_map(|r| list(&r["http"]["paths"])) {
            let service = text(&path["backend"]["service"]["name"]);
            backends.push((text(&path["path"]).to_owned(), service.to_owned()));
        }
        for route in list(&object["spec"]["routes"]) {
            let path = text(&route["match"]).split('`').nth(1).unwrap_or_default();
            for service in list(&route["services"]) {
                let weighted = objects.iter().find(|o| {
                    o["kind"] == "TraefikService" && o["metadata"]["name"] == service["name"]
                });
                let parts = weighted.map_or(&[][..], |o| list(&o["spec"]["weighted"]["services"]));
                let none = parts.is_empty().then_some(service);
                for part in parts.iter().chain(none) {
                    backends.push((path.to_owned(), text(&part["name"]).to_owned()));
                }
            }
        }
    }
    backends
}

fn problems(yaml: &str) -> Vec<String> {
    let (objects, mut problems) = objects(yaml);
    problems.extend(inconsistencies(&objects));
    problems
}

#[test]
fn every_overlay_renders_and_is_valid() {
    for overlay in OVERLAYS {
        let yaml = rendered(overlay);
        assert_eq!(problems(&yaml), Vec::<String>::new(), "{overlay}");
        assert!(yaml.contains("kind: SpinApp\n"), "{overlay}");
        let (objects, _) = objects(&yaml);
        assert!(!backends(&objects).is_empty(), "{overlay}: no way in");
    }
}

#[test]
fn a_mistake_in_a_name_is_found() {
    let (edge, cloud, canary) = (rendered("edge"), rendered("cloud"), rendered("canary"));
    for (yaml, from, to, what) in [
        (&edge, "  - ingest\n", "  - ingress\n", "no component ingress in spin.toml"),
        (
            &edge,
            "    - name: default\n",
            "    - name: journal\n",
            "keyValueStores are [\"journal\"]",
        ),
        (&edge, "name: retention\n", "name: retain\n", "no variable retain in spin.toml"),
        (&edge, "  replicas: 1\n", "  replica: 1\n", "'replica' was unexpected"),
        (&edge, "      - name: path\n", "      - name: file\n", "type \"spin\" with {\"file\"}"),
        (&edge, "      type: spin\n", "      type: sqlite\n", "type \"sqlite\""),
        (&edge, "/data/journal.db", "/data/regions.db", "two stores in /data/regions.db"),
        (&edge, "/data/journal.db", "/journal.db", "/journal.db is on no volume"),
        (&edge, "path: /readyz\n", "path: /health\n", "no component of it answers to /health"),
        (&edge, "key: retention\n", "key: retain\n", "no ConfigMap has"),
        (&edge, "- ReadWriteOncePod", "- ReadWriteOnce", "two pods could have the volume"),
        (&edge, "executor: containerd-shim-spin", "executor: spin", "no such executor"),
        (&cloud, "key: redis-url", "key: redis-address", "the README does not say how to make"),
        (
            &cloud,
            "            name: isotherm-ingest\n",
            "            name: ingest\n",
            "no Service ingest",
        ),
        (&cloud, "/v1/readings", "/v1/reading", "isotherm-ingest has no component query"),
        (&cloud, "enableAutoscaling: true\n", "enableAutoscaling: false\n", "no SpinApp for it"),
        (
            &canary,
            "name: isotherm-query-next\n      port",
            "name: isotherm-next\n      port",
            "no Service",
        ),
    ] {
        let broken = yaml.replacen(from, to, 1);
        assert_ne!(&broken, yaml, "{from}");
        let found = problems(&broken);
        assert!(found.iter().any(|problem| problem.contains(what)), "{to}: {found:#?}");
    }
}
