//! The objects of an overlay, and the application's own manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use isotherm_it::root;
use serde_json::Value;

use isotherm_it::programs::{check, variable};

/// The overlay with the steps that come before it, as kubectl renders them.
pub(super) fn rendered(overlay: &str) -> String {
    let overlay = format!("overlays/{overlay}");
    ["namespace", "volume", &overlay].map(render).join("---\n")
}

/// One directory of `deploy/spinkube`, as kubectl renders it.
pub(super) fn render(directory: &str) -> String {
    let directory = root().join("deploy/spinkube").join(directory);
    let output = Command::new(variable("ISOTHERM_KUBECTL"))
        .arg("kustomize")
        .arg(directory)
        .output()
        .unwrap();
    check(&output);
    String::from_utf8(output.stdout).unwrap()
}

/// The objects in this YAML, and what their schemas say against them.
pub(super) fn objects(yaml: &str) -> (Vec<Value>, Vec<String>) {
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

/// Empty if it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Empty if it is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Bytes of a quantity in Ki, Mi or Gi.
pub(super) fn bytes(quantity: &str) -> u64 {
    let (number, unit) = quantity.split_at(quantity.len() - 2);
    let shift = ["Ki", "Mi", "Gi"].iter().position(|one| *one == unit).unwrap() + 1;
    number.parse::<u64>().unwrap() << (10 * shift)
}

pub(super) fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// The application's own manifest.
pub(super) struct Spin(toml::Table);

impl Spin {
    pub(super) fn read() -> Self {
        Self::parse(&std::fs::read_to_string(root().join("spin.toml")).unwrap())
    }

    pub(super) fn parse(text: &str) -> Self {
        Self(toml::from_str(text).unwrap())
    }

    pub(super) fn component(&self, id: &str) -> Option<&toml::Table> {
        self.0["component"].get(id)?.as_table()
    }

    pub(super) fn labels(&self, component: &str, stores: &str) -> BTreeSet<&str> {
        let labels = self.component(component).and_then(|table| table.get(stores)?.as_array());
        labels.into_iter().flatten().filter_map(toml::Value::as_str).collect()
    }

    /// The variables, and whether each is secret.
    pub(super) fn variables(&self) -> BTreeMap<&str, bool> {
        let table = self.0["variables"].as_table().unwrap();
        let is_secret = |value: &toml::Value| {
            value.get("secret").and_then(toml::Value::as_bool).unwrap_or(false)
        };
        table.iter().map(|(name, value)| (name.as_str(), is_secret(value))).collect()
    }

    /// The components.
    pub(super) fn components(&self) -> Vec<&str> {
        self.0["component"].as_table().unwrap().keys().map(String::as_str).collect()
    }

    /// The component that answers to `path`: by an exact route, or by the longest that ends with
    /// a wildcard.
    pub(super) fn component_at(&self, path: &str) -> &str {
        let triggers = self.0["trigger"]["http"].as_array().unwrap();
        let route = |trigger: &'_ toml::Value| trigger["route"].as_str().unwrap().to_owned();
        let is_met = |trigger: &&toml::Value| {
            let route = route(trigger);
            route == path
                || route.strip_suffix("...").is_some_and(|prefix| path.starts_with(prefix))
        };
        let best = triggers.iter().filter(is_met).max_by_key(|trigger| {
            let route = route(trigger);
            (route == path, route.len())
        });
        best.unwrap()["component"].as_str().unwrap()
    }
}
