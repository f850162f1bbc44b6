//! What the commands of the README name in the cluster: objects that the overlays have, and
//! containers of their pods.

use std::collections::BTreeSet;

use isotherm_it::root;
use serde_json::Value;

use super::{APPLICATIONS, NODES};
use crate::manifests::objects::{list, name, objects, rendered, text};
use crate::manifests::readme::commands;

/// What there is, as kubectl names it: `kind/name`, and `container/name`.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for overlay in APPLICATIONS.into_iter().chain(NODES) {
        for object in objects(&rendered(overlay)).0 {
            let kind = text(&object["kind"]).to_lowercase();
            // The operator makes a Deployment and a Service of each SpinApp.
            let made: &[&str] = match kind.as_str() {
                "spinapp" => &["spinapp", "deployment", "service"],
                "persistentvolumeclaim" => &["pvc"],
                kind => &[kind],
            };
            known.extend(made.iter().map(|kind| format!("{kind}/{}", name(&object))));
            // A StatefulSet of one pod makes a claim of each template.
            let claims = list(&object["spec"]["volumeClaimTemplates"]).iter();
            known.extend(claims.map(|claim| format!("pvc/{}-{}-0", name(claim), name(&object))));
            let pod = &object["spec"]["template"]["spec"];
            let containers = ["containers", "initContainers"].map(|kind| list(&pod[kind]));
            known.extend(containers.into_iter().flatten().map(container));
        }
    }
    known
}

fn container(container: &Value) -> String {
    format!("container/{}", text(&container["name"]))
}

/// What commands of kubectl name, in the same form.
fn named(command: &str) -> Vec<String> {
    const KINDS: [&str; 9] = [
        "deployment",
        "statefulset",
        "spinapp",
        "service",
        "ingress",
        "ingressroute",
        "traefikservice",
        "cronjob",
        "pvc",
    ];
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut found = Vec::new();
    let is_kind = |word: &str| KINDS.contains(&word);
    for two in words.windows(2) {
        let is_name = !two[1].starts_with(['-', '$', '"']) && two[1] != "isotherm-";
        if is_kind(two[0]) && is_name {
            found.push(two.join("/"));
        }
        if two[0] == "--container" {
            found.push(format!("container/{}", two[1].trim_end_matches('`')));
        }
    }
    let joined =
        words.iter().filter(|word| word.split_once('/').is_some_and(|(kind, _)| is_kind(kind)));
    found.extend(joined.map(|&word| word.to_owned()));
    found
}

/// What the commands name that is not there.
fn unknown(readme: &str, known: &BTreeSet<String>) -> Vec<String> {
    let all = commands(readme).into_iter().filter(|command| command.contains("kubectl "));
    all.flat_map(|command| named(&command)).filter(|one| !known.contains(one)).collect()
}

#[test]
fn every_command_names_objects_that_are_there() {
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let known = known();
    assert_eq!(unknown(&readme, &known), Vec::<String>::new());
    let count = commands(&readme).iter().flat_map(|command| named(command)).count();
    assert!(count > 20, "only {count} names were found");
    for (from, to) in [
        ("scale deployment/isotherm ", "scale deployment/isotherms "),
        ("get pvc isotherm-data ", "get pvc isotherm-date "),
        ("spinapp/isotherm-ingest-next", "spinapp/isotherm-next"),
        ("--container wal", "--container first"),
        ("patch deployment isotherm ", "patch deployment ingest "),
    ] {
        let broken = readme.replace(from, to);
        assert_ne!(broken, readme, "{from}");
        assert!(!unknown(&broken, &known).is_empty(), "{to}");
    }
}
