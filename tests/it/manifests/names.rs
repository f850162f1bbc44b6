//! Names that have to fit each other: of components, variables, stores, secrets, volumes.

use std::collections::BTreeSet;

use isotherm_it::root;
use serde_json::{Value, json};

use super::objects::{Spin, list, name, text};
use super::routes;

/// The Secret that nobody keeps in a repository; the README says how to make it.
const SECRET: &str = "isotherm-stores";

/// What Spin 3.6 takes for a store of a type (`crates/key-value-*`, `crates/sqlite`).
const KEY_VALUE_TYPES: [(&str, &[&str]); 2] = [("spin", &["path"]), ("redis", &["url"])];
const SQLITE_TYPES: [(&str, &[&str]); 2] = [("spin", &["path"]), ("libsql", &["url", "token"])];

/// What is wrong with the objects of an overlay, by the names that they use.
pub(super) fn inconsistencies(objects: &[Value]) -> Vec<String> {
    let spin = Spin::read();
    let of = |kind: &str| objects.iter().filter(move |o| o["kind"] == kind).collect::<Vec<_>>();
    let executors: BTreeSet<_> = of("SpinAppExecutor").into_iter().map(name).collect();
    let apps = of("SpinApp");
    let mut problems = Vec::new();
    for app in &apps {
        let mut found = app_against_manifest(app, &spin);
        found.extend(stores(app, &spin));
        found.extend(references(app, objects));
        if !executors.contains(text(&app["spec"]["executor"])) {
            found.push("no such executor".to_owned());
        }
        problems.extend(found.into_iter().map(|what| format!("SpinApp {}: {what}", name(app))));
    }
    let has = |component: &str| {
        apps.iter().any(|app| list(&app["spec"]["components"]).iter().any(|c| c == component))
    };
    let missing = spin.components().filter(|component| !has(component));
    problems.extend(missing.map(|component| format!("no SpinApp has the component {component}")));
    problems.extend(routes::inconsistencies(objects, &apps, &spin));
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
    problems.extend(variables(spec, spin));
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

/// The variables of a SpinApp: each that has to be given, once, and no unknown one.
fn variables(spec: &Value, spin: &Spin) -> Vec<String> {
    let mut problems = Vec::new();
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
    problems
}

/// The stores of a SpinApp: each that its components name, and no other, of a type and
/// with the options that Spin knows.
fn stores(app: &Value, spin: &Spin) -> Vec<String> {
    let spec = &app["spec"];
    let components: Vec<&str> = list(&spec["components"]).iter().map(text).collect();
    let (mut problems, mut files) = (Vec::new(), Vec::new());
    for (kind, labels, types) in [
        ("keyValueStores", "key_value_stores", KEY_VALUE_TYPES),
        ("sqliteDatabases", "sqlite_databases", SQLITE_TYPES),
    ] {
        let given = list(&spec["runtimeConfig"][kind]);
        let wanted: BTreeSet<&str> =
            components.iter().flat_map(|component| spin.labels(component, labels)).collect();
        let names: Vec<&str> = given.iter().map(|store| text(&store["name"])).collect();
        if names.iter().copied().collect::<BTreeSet<_>>() != wanted || names.len() != wanted.len() {
            problems.push(format!("{kind} are {names:?}, and spin.toml has {wanted:?}"));
        }
        for store in given {
            let options: BTreeSet<&str> =
                list(&store["options"]).iter().map(|option| text(&option["name"])).collect();
            let known = types.iter().find(|(name, _)| store["type"] == *name);
            let known = known.map(|(_, known)| known.iter().copied().collect::<BTreeSet<_>>());
            if known.as_ref() != Some(&options) {
                problems.push(format!("{kind}: type {} with {options:?}", store["type"]));
            }
            if store["type"] == "spin" {
                files.push(text(&store["options"][0]["value"]));
            }
        }
    }
    problems.extend(stores_in_files(spec, &files));
    problems
}

/// Files are on a volume, each its own, of a single pod.
fn stores_in_files(spec: &Value, files: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let mounts: Vec<&str> =
        list(&spec["volumeMounts"]).iter().map(|m| text(&m["mountPath"])).collect();
    for file in files {
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
    problems.extend(volumes(spec, find));
    if find("ServiceAccount", text(&spec["serviceAccountName"])).is_none() {
        problems.push("no such ServiceAccount".to_owned());
    }
    problems
}

/// The volumes of a SpinApp: of claims that one pod alone can have.
fn volumes<'a>(spec: &Value, find: impl Fn(&str, &str) -> Option<&'a Value>) -> Vec<String> {
    let mut problems = Vec::new();
    for mount in list(&spec["volumeMounts"]) {
        let volume = list(&spec["volumes"]).iter().find(|v| v["name"] == mount["name"]);
        let claim = volume.map_or("", |v| text(&v["persistentVolumeClaim"]["claimName"]));
        match find("PersistentVolumeClaim", claim) {
            None => problems.push(format!("no claim for the volume {}", mount["name"])),
            Some(claim) if claim["spec"]["accessModes"] != json!(["ReadWriteOncePod"]) => {
                problems.push("two pods could have the volume at once".to_owned());
            }
            Some(_) => {}
        }
    }
    problems
}
