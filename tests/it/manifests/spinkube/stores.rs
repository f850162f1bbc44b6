//! The stores that several pods share: what makes them durable, and who reaches them.

use serde_json::{Value, json};

use crate::manifests::objects::{list, name, text};

/// What is wrong with them.
pub(super) fn problems(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    for set in objects.iter().filter(|one| one["kind"] == "StatefulSet") {
        let pod = &set["spec"]["template"]["spec"];
        let found = match name(set) {
            "isotherm-libsql" => libsql(pod),
            "isotherm-redis" => redis(pod),
            other => vec![format!("StatefulSet {other}: what is it?")],
        };
        problems.extend(found);
    }
    for ingress in objects.iter().filter(|one| one["kind"] == "Ingress") {
        let entry = &ingress["metadata"]["annotations"];
        let entry = &entry["traefik.ingress.kubernetes.io/router.entrypoints"];
        if entry != "websecure" || list(&ingress["spec"]["tls"]).is_empty() {
            problems.push(format!("Ingress {}: tokens would travel without TLS", name(ingress)));
        }
    }
    problems.extend(telemetry(objects));
    problems.extend(reach_of_libsql(objects));
    problems
}

/// Gateways in other clusters reach the server, unless a policy keeps it for the pods beside it.
fn reach_of_libsql(objects: &[Value]) -> Option<String> {
    let is_server = |one: &Value| one["kind"] == "StatefulSet" && name(one) == "isotherm-libsql";
    let is_kept = |one: &Value| one["kind"] == "NetworkPolicy" && name(one) == "isotherm-stores";
    let is_way = |one: &Value| {
        let backend = &one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"];
        one["kind"] == "Ingress" && *backend == "isotherm-libsql"
    };
    let has = |is: fn(&Value) -> bool| objects.iter().any(is);
    let is_closed = has(is_server) && !has(is_kept) && !has(is_way);
    is_closed.then(|| "libSQL: gateways in other clusters can't reach it".to_owned())
}

/// Where nothing comes in that is not let in, telemetry of the pods reaches a collector.
fn telemetry(objects: &[Value]) -> Option<String> {
    let policies = || objects.iter().filter(|one| one["kind"] == "NetworkPolicy");
    let is_closed = policies().any(|one| {
        let spec = &one["spec"];
        spec["podSelector"] == json!({}) && list(&spec["ingress"]).is_empty()
    });
    let of_collector = json!({"app.kubernetes.io/name": "otel-collector"});
    let of_pods = json!([{"key": "core.spinkube.dev/app-name", "operator": "Exists"}]);
    let lets_in = |rule: &Value| {
        rule["ports"][0]["port"] == 4318
            && list(&rule["from"])
                .iter()
                .any(|from| from["podSelector"]["matchExpressions"] == of_pods)
    };
    let is_let_in = policies().any(|one| {
        one["spec"]["podSelector"]["matchLabels"] == of_collector
            && list(&one["spec"]["ingress"]).iter().any(lets_in)
    });
    (is_closed && !is_let_in).then(|| "NetworkPolicy: telemetry does not come through".to_owned())
}

fn libsql(pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let server = &pod["containers"][0];
    let admin = list(&server["env"]).iter().find(|one| one["name"] == "SQLD_ADMIN_LISTEN_ADDR");
    if admin.is_none_or(|one| one["value"] != "127.0.0.1:9090") {
        problems.push("libSQL: its admin API is not for this pod alone".to_owned());
    }
    let probe = &server["readinessProbe"]["exec"]["command"];
    if *probe != json!(["bash", "/etc/isotherm/synced.sh"]) {
        problems.push("libSQL: it is ready before it syncs its commits".to_owned());
    }
    if server["readinessProbe"]["failureThreshold"] != 1 {
        problems.push("libSQL: it stays ready when it does not sync any more".to_owned());
    }
    let has_scripts = |container: &Value| {
        list(&container["volumeMounts"])
            .iter()
            .any(|mount| mount["name"] == "durable" && mount["mountPath"] == "/etc/isotherm")
    };
    if !list(&pod["containers"]).iter().all(has_scripts) {
        problems.push("libSQL: a container does not have the scripts".to_owned());
    }
    if pod["containers"][1]["command"] != json!(["sh", "/etc/isotherm/durable.sh"]) {
        problems.push("libSQL: nobody tells it to sync its commits".to_owned());
    }
    problems
}

fn redis(pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let server = &pod["containers"][0];
    if !text(&server["image"]).contains("@sha256:") {
        problems.push("Redis: no digest".to_owned());
    }
    let arguments: Vec<&str> = list(&server["args"]).iter().map(text).collect();
    for wanted in [["--appendonly", "yes"], ["--appendfsync", "always"]] {
        if !arguments.windows(2).any(|two| two == wanted) {
            problems.push(format!("Redis: not {wanted:?}"));
        }
    }
    let scripts =
        ["EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO", "FUNCTION", "SCRIPT"];
    for command in scripts {
        if !arguments.windows(3).any(|three| three == ["--rename-command", command, ""]) {
            problems.push(format!("Redis: it runs scripts by {command}"));
        }
    }
    problems
}
