//! How requests and other objects find a SpinApp.

use isotherm::api::routes::Route;
use isotherm_stores::native::NativeHost;
use serde_json::Value;

use super::objects::{Spin, list, name, text};

/// What is wrong with the ways to the SpinApps and with what scales and keeps them.
pub(super) fn inconsistencies(objects: &[Value], apps: &[&Value], spin: &Spin) -> Vec<String> {
    let mut problems = routes(objects, apps, spin);
    let of = |kind: &str| objects.iter().filter(move |o| o["kind"] == kind).collect::<Vec<_>>();
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
    problems
}

/// The operator makes a Service of each SpinApp, under its name.
fn routes(objects: &[Value], apps: &[&Value], spin: &Spin) -> Vec<String> {
    let mut problems = unreached(objects);
    for (path, service) in backends(objects) {
        let is_store = service == "isotherm-libsql";
        if is_store && objects.iter().any(|o| o["kind"] == "Service" && name(o) == service) {
            continue;
        }
        let Some(app) = apps.iter().find(|app| name(app) == service) else {
            problems.push(format!("route {path}: no Service {service}"));
            continue;
        };
        let component = spin.component_at(&path);
        if !list(&app["spec"]["components"]).iter().any(|c| c == component) {
            problems.push(format!("route {path}: {service} has no component {component}"));
        }
    }
    problems
}

/// Paths of `ingest` that a rule with several of them forgets: they would go to `query`.
fn unreached(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    for object in objects.iter().filter(|object| object["kind"] == "IngressRoute") {
        // Traefik goes by the length of a rule where no priority is given, and rules of an Ingress
        // may be as long.
        for rule in list(&object["spec"]["routes"]) {
            if rule["priority"].as_i64().is_none_or(|priority| priority < 1_000) {
                problems.push(format!("rule {}: no priority before an Ingress", rule["match"]));
            }
        }
        let rules = list(&object["spec"]["routes"]).iter().map(|rule| text(&rule["match"]));
        for rule in rules.filter(|rule| rule.contains("/v1/readings")) {
            for route in Route::<NativeHost>::INGEST {
                let path = route.pattern.replace(['{', '}'], "");
                // Readiness is asked by the kubelet alone.
                if !path.starts_with("/readyz") && !matches(rule, &path) {
                    problems.push(format!("route {path}: not led to ingest"));
                }
            }
        }
    }
    problems
}

/// Whether a rule of Traefik, of `Path` and `PathPrefix`, matches a path.
fn matches(rule: &str, path: &str) -> bool {
    let parts: Vec<&str> = rule.split('`').collect();
    parts.chunks(2).any(|part| match part {
        [before, wanted] if before.ends_with("PathPrefix(") => path.starts_with(wanted),
        [_, wanted] => path == *wanted,
        _ => false,
    })
}

/// What a CronJob calls: path and Service, by the addresses in its environment.
fn calls(object: &Value) -> Vec<(String, String)> {
    let pod = &object["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let variables = list(&pod["containers"]).iter().flat_map(|container| list(&container["env"]));
    let address = |variable: &Value| {
        let (service, path) = text(&variable["value"]).strip_prefix("http://")?.split_once('/')?;
        Some((format!("/{path}"), service.to_owned()))
    };
    variables.filter_map(address).collect()
}

/// Paths and the Services that they lead to, through TraefikServices; and what CronJobs call.
pub(super) fn backends(objects: &[Value]) -> Vec<(String, String)> {
    let mut backends = Vec::new();
    for object in objects {
        backends.extend(calls(object));
        for path in list(&object["spec"]["rules"]).iter().flat_map(|r| list(&r["http"]["paths"])) {
            let service = text(&path["backend"]["service"]["name"]);
            // Of a prefix, what is below it counts.
            let below = path["pathType"] == "Prefix" && path["path"] != "/";
            let asked = format!("{}{}", text(&path["path"]), if below { "/x" } else { "" });
            backends.push((asked, service.to_owned()));
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
