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
    problems
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
    for command in ["EVAL", "EVALSHA", "FUNCTION"] {
        if !arguments.windows(3).any(|three| three == ["--rename-command", command, ""]) {
            problems.push(format!("Redis: it runs scripts by {command}"));
        }
    }
    problems
}
