//! Nodes without the operator: a Deployment, held to what the shim, k3s and `spin.toml` have.

use serde_json::{Value, json};

use crate::manifests::objects::{Spin, list, name, text};

const PREFIX: &str = "SPIN_VARIABLE_";

/// The Deployment as the SpinApp that says the same, so that the same is asked of both.
pub(in crate::manifests) fn as_app(deployment: &Value, objects: &[Value]) -> Value {
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let map = |wanted: &Value| {
        objects.iter().find(|one| one["kind"] == "ConfigMap" && one["metadata"]["name"] == *wanted)
    };
    let mut variables = Vec::new();
    for source in list(&container["envFrom"]).iter().filter(|from| from["prefix"] == PREFIX) {
        let named = &source["configMapRef"]["name"];
        let keys = map(named).and_then(|map| map["data"].as_object()).into_iter().flatten();
        variables.extend(keys.map(|(key, _)| {
            let from = json!({"configMapKeyRef": {"name": named, "key": key}});
            json!({"name": key.to_lowercase(), "valueFrom": from})
        }));
    }
    for variable in list(&container["env"]) {
        if let Some(name) = text(&variable["name"]).strip_prefix(PREFIX) {
            let name = name.to_lowercase();
            variables.push(json!({"name": name, "valueFrom": variable["valueFrom"]}));
        }
    }
    let is_claim = |mount: &&Value| {
        let volume = list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
        volume.is_some_and(|volume| !volume["persistentVolumeClaim"].is_null())
    };
    let mounts: Vec<&Value> = list(&container["volumeMounts"]).iter().filter(is_claim).collect();
    let probe = |what: &str| {
        let probe = &container[what];
        json!({"httpGet": probe["httpGet"], "initialDelaySeconds": probe["initialDelaySeconds"]})
    };
    json!({
        "kind": "Deployment",
        "metadata": deployment["metadata"],
        "spec": {
            "components": Spin::read().components(),
            "variables": variables,
            "replicas": deployment["spec"]["replicas"],
            "runtimeConfig": stores(&runtime_config(deployment, objects)),
            "checks": {"liveness": probe("livenessProbe"), "readiness": probe("readinessProbe")},
            "resources": container["resources"],
            "serviceAccountName": pod["serviceAccountName"],
            "volumes": pod["volumes"],
            "volumeMounts": mounts,
        },
    })
}

/// What is mounted at `/runtime-config.toml`, where the shim looks for it.
pub(super) fn runtime_config(deployment: &Value, objects: &[Value]) -> String {
    let pod = &deployment["spec"]["template"]["spec"];
    let mounts = list(&pod["containers"][0]["volumeMounts"]);
    let Some(mount) = mounts.iter().find(|one| one["mountPath"] == "/runtime-config.toml") else {
        return String::new();
    };
    let volume = list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
    let named = volume.map_or(&Value::Null, |volume| &volume["configMap"]["name"]);
    let map = objects.iter().find(|one| one["metadata"]["name"] == *named);
    map.map_or(String::new(), |map| text(&map["data"][text(&mount["subPath"])]).to_owned())
}

/// The stores of a runtime configuration, as a SpinApp has them.
fn stores(config: &str) -> Value {
    let config: toml::Table = toml::from_str(config).unwrap_or_default();
    let of = |kind: &str| {
        let stores = config.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
        let store = |(label, store): (&String, &toml::Value)| {
            let all = store.as_table().into_iter().flatten();
            let options: Vec<Value> = all
                .filter(|(name, _)| *name != "type")
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect();
            json!({"name": label, "type": store.get("type"), "options": options})
        };
        stores.map(store).collect::<Vec<_>>()
    };
    json!({"keyValueStores": of("key_value_store"), "sqliteDatabases": of("sqlite_database")})
}

/// What is wrong with a node beside what a SpinApp can have wrong.
pub(super) fn problems(deployment: &Value, objects: &[Value]) -> Vec<String> {
    let (spec, mut problems) = (&deployment["spec"], Vec::new());
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    let mut report = |what: &str| {
        problems.push(format!("Deployment {}: {what}", name(deployment)));
    };
    if spec["strategy"]["type"] != "Recreate" {
        report("not Recreate: two pods would have the same files");
    }
    if pod["runtimeClassName"] != "spin" {
        report("no RuntimeClass that k3s makes");
    }
    if container["command"] != json!(["/"]) {
        report("no command for the shim");
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let selects = |selector: &Value| {
        let wanted = selector.as_object().filter(|wanted| !wanted.is_empty());
        wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
    };
    if !selects(&spec["selector"]["matchLabels"]) {
        report("it does not select its pods");
    }
    let is_its = |one: &&Value| one["kind"] == "Service" && name(one) == name(deployment);
    let service = objects.iter().find(is_its);
    if !service.is_some_and(|service| {
        selects(&service["spec"]["selector"])
            && service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    }) {
        report("its Service does not lead to it");
    }
    let env = |name: &str| list(&container["env"]).iter().find(|one| one["name"] == name);
    if env("SPIN_HTTP_LISTEN_ADDR").is_none_or(|one| one["value"] != "0.0.0.0:80") {
        report("it does not listen where it is asked");
    }
    let kept = env("SPIN_WASMTIME_LINEAR_MEMORY_KEEP_RESIDENT");
    if kept.is_none_or(|one| one["value"] != "0") {
        report("Wasmtime keeps memory for good");
    }
    let count = env("SPIN_MAX_INSTANCE_COUNT").map(|one| text(&one["value"]).parse().unwrap_or(0));
    if count.is_none_or(|count: u32| count < 768) {
        report("so few instances that some of 64 connections get a 500");
    }
    let first = &pod["initContainers"][0];
    let journal = stores(&runtime_config(deployment, objects));
    let journal = &journal["keyValueStores"][0]["options"][0]["value"];
    let is_run = list(&first["command"]).iter().any(|word| text(word).ends_with("/wal.py"));
    if !is_run || list(&first["command"]).last() != Some(journal) {
        report("no step puts the journal into WAL mode");
    }
    problems
}

/// What is wrong with the claims: a class that removes what a claim had.
pub(super) fn claims(objects: &[Value]) -> Vec<String> {
    let kept = |class: &Value| {
        objects.iter().any(|one| {
            one["kind"] == "StorageClass"
                && one["metadata"]["name"] == *class
                && one["reclaimPolicy"] == "Retain"
        })
    };
    let alone = objects.iter().filter(|one| one["kind"] == "PersistentVolumeClaim");
    let of_sets = objects.iter().flat_map(|one| list(&one["spec"]["volumeClaimTemplates"]));
    alone
        .chain(of_sets)
        .filter(|claim| !kept(&claim["spec"]["storageClassName"]))
        .map(|claim| format!("claim {}: its files are removed with it", name(claim)))
        .collect()
}
