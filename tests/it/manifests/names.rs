//! Names that have to fit each other: of components, variables, stores, secrets, volumes.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_it::root;
use serde_json::{Value, json};

use super::objects::{Spin, bytes, list, name, text};
use super::routes;
use super::spinkube::nodes;

/// The Secrets that nobody keeps in a repository; the README says how to make them.
const SECRET: &str = "isotherm-stores";
const SECRET_OF_ACCESS: &str = "isotherm-access";
const SECRET_OF_BEATS: &str = "isotherm-sync";

/// What Spin 3.6 takes for a store of a type (`crates/key-value-*`, `crates/sqlite`).
const KEY_VALUE_TYPES: [(&str, &[&str]); 2] = [("spin", &["path"]), ("redis", &["url"])];
const SQLITE_TYPES: [(&str, &[&str]); 2] = [("spin", &["path"]), ("libsql", &["url", "token"])];

/// What is wrong with the objects of an overlay, by the names that they use.
pub(super) fn inconsistencies(objects: &[Value]) -> Vec<String> {
    let spin = Spin::read();
    let of = |kind: &str| objects.iter().filter(move |o| o["kind"] == kind).collect::<Vec<_>>();
    let executors: BTreeSet<_> = of("SpinAppExecutor").into_iter().map(name).collect();
    let mut problems = executors_and_order(objects);
    let nodes = of("Deployment").into_iter().map(|one| nodes::as_app(one, objects));
    let nodes: Vec<Value> = nodes.collect();
    let apps: Vec<&Value> = of("SpinApp").into_iter().chain(&nodes).collect();
    for app in &apps {
        let mut found = app_against_manifest(app, &spin);
        found.extend(stores(app, &spin));
        found.extend(references(app, objects));
        let is_node = app["kind"] == "Deployment";
        if !is_node && !executors.contains(text(&app["spec"]["executor"])) {
            found.push("no such executor".to_owned());
        }
        problems.extend(found.into_iter().map(|what| format!("{}: {what}", name(app))));
    }
    let has = |component: &str| {
        apps.iter().any(|app| list(&app["spec"]["components"]).iter().any(|c| c == component))
    };
    let missing = spin.components().into_iter().filter(|component| !has(component));
    problems.extend(missing.map(|component| format!("no SpinApp has the component {component}")));
    problems.extend(routes::inconsistencies(objects, &apps, &spin));
    problems.extend(of("CronJob").into_iter().flat_map(beats));
    problems.extend(accounts(objects));
    let namespaces: BTreeSet<_> = objects
        .iter()
        .filter(|o| o["kind"] != "Namespace" && o["kind"] != "StorageClass")
        .map(|o| text(&o["metadata"]["namespace"]))
        .collect();
    if namespaces != BTreeSet::from(["isotherm"]) {
        problems.push(format!("namespaces {namespaces:?}"));
    }
    problems
}

/// What the operator refuses, or makes hang: its webhook wants an executor to be there before
/// what names it; and one with a name that other applications of the cluster use can't be
/// deleted (operator 0.6.1).
fn executors_and_order(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    for object in objects {
        if object["kind"] == "SpinAppExecutor" {
            known.insert(name(object));
            if name(object) == "containerd-shim-spin" {
                problems.push("the executor's name is that of the examples".to_owned());
            }
            // Without them, Spin's client of libSQL can't be made, not even for `http://`.
            if object["spec"]["deploymentConfig"]["installDefaultCACerts"] != true {
                problems.push("the executor: no certificates of authorities".to_owned());
            }
        }
        if object["kind"] == "SpinApp" && !known.contains(text(&object["spec"]["executor"])) {
            problems.push(format!("SpinApp {}: its executor is not before it", name(object)));
        }
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
    problems.extend(variables(spec, &spin.variables()));
    let probe = |what: &str| text(&spec["checks"][what]["httpGet"]["path"]).to_owned();
    if probe("liveness") != "/.well-known/spin/health" {
        problems.push("liveness is not asked of Spin itself".to_owned());
    }
    let ready = probe("readiness");
    if !ready.starts_with("/readyz") || !components.contains(&spin.component_at(&ready)) {
        problems.push(format!("no component of it answers to {ready}"));
    }
    if spec["checks"]["readiness"]["initialDelaySeconds"] != 1 {
        problems.push("it is not asked for ten seconds whether it is ready".to_owned());
    }
    problems.extend(memory(app));
    problems
}

/// The limit on memory: at least what was measured with 64 connections and batches
/// (`deploy/spinkube/README.md`). Without a bound on what Wasmtime keeps, which a SpinApp can't
/// have, a pod needs twice as much.
fn memory(app: &Value) -> Option<String> {
    let Some(limit) = app["spec"]["resources"]["limits"]["memory"].as_str() else {
        return Some("no limit on memory".to_owned());
    };
    let least = if app["kind"] == "SpinApp" { 512 } else { 256 } << 20;
    (bytes(limit) < least).then(|| format!("{limit} of memory were too little when measured"))
}

/// The variables of a SpinApp: each of spin.toml, once, and no unknown one. What is secret
/// comes from a Secret, and the rest does not.
pub(super) fn variables(spec: &Value, known: &BTreeMap<&str, bool>) -> Vec<String> {
    let mut problems = Vec::new();
    let given: Vec<&str> = list(&spec["variables"]).iter().map(|v| text(&v["name"])).collect();
    for variable in &given {
        if !known.contains_key(variable) {
            problems.push(format!("no variable {variable} in spin.toml"));
        }
        if given.iter().filter(|other| *other == variable).count() > 1 {
            problems.push(format!("variable {variable} twice"));
        }
    }
    for (variable, is_secret) in known {
        let found = list(&spec["variables"]).iter().find(|v| v["name"] == *variable);
        let Some(found) = found else {
            problems.push(format!("variable {variable} of spin.toml is not given"));
            continue;
        };
        let kind = if *is_secret { "secretKeyRef" } else { "configMapKeyRef" };
        // A node's ConfigMap has the names in capitals, as they are in the environment.
        let key = text(&found["valueFrom"][kind]["key"]);
        if !key.eq_ignore_ascii_case(variable) || !found["value"].is_null() {
            problems.push(format!("variable {variable} is not the key {variable} of a {kind}"));
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

/// What a SpinApp refers to: keys of ConfigMaps and Secrets, volumes and claims.
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
            let value = found.map_or(&Value::Null, |found| &found["data"][text(&map["key"])]);
            if value.is_null() {
                problems.push(format!("no ConfigMap has {map}"));
            }
            if text(&map["key"]).eq_ignore_ascii_case("auth") && value != "on" {
                problems.push("auth is not on".to_owned());
            }
        }
        let secret = &from["secretKeyRef"];
        let key = text(&secret["key"]);
        let ways = [format!("--from-literal={key}="), format!("--from-file={key}")];
        let is_explained = [SECRET, SECRET_OF_ACCESS].contains(&text(&secret["name"]))
            && ways.iter().any(|way| readme.contains(way));
        if !secret.is_null() && !is_explained {
            problems.push(format!("the README does not say how to make {secret}"));
        }
    }
    problems.extend(volumes(spec, find));
    if find("ServiceAccount", text(&spec["serviceAccountName"])).is_none() {
        problems.push("no such ServiceAccount".to_owned());
    }
    problems
}

/// The account of the pods has the Secret for an image that is not public.
fn accounts(objects: &[Value]) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let is_explained = |account: &&Value| {
        list(&account["imagePullSecrets"]).first().is_some_and(|secret| {
            let made = format!("create secret docker-registry {} ", text(&secret["name"]));
            readme.contains(&made)
        })
    };
    let accounts = objects.iter().filter(|one| one["kind"] == "ServiceAccount");
    accounts
        .filter(|account| !is_explained(account))
        .map(|account| format!("ServiceAccount {}: no Secret for its images", name(account)))
        .collect()
}

/// What is wrong with the CronJob that calls `POST /v1/sync`: it takes a header with its token
/// from a file, which is of a Secret.
fn beats(job: &Value) -> Vec<String> {
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let (container, volume) = (&pod["containers"][0], &pod["volumes"][0]);
    let mount = text(&container["volumeMounts"][0]["mountPath"]);
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let mut problems = Vec::new();
    if !list(&container["args"]).iter().any(|argument| *argument == format!("@{mount}/header")) {
        problems.push(format!("CronJob {}: no header is taken from {mount}", name(job)));
    }
    let is_explained = volume["secret"]["secretName"] == SECRET_OF_BEATS
        && readme.contains(&format!("secret generic {SECRET_OF_BEATS} "))
        && readme.contains("--from-file=header");
    if !is_explained {
        problems.push(format!("CronJob {}: the README does not say how to make it", name(job)));
    }
    if container["env"].to_string().contains("secret") {
        problems.push(format!("CronJob {}: a secret is in its environment", name(job)));
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
