//! What Spin sees in a pod: the environment, the runtime configuration, what is mounted.
//!
//! Of a SpinApp, that is what SpinKube's operator makes of it (0.6.1:
//! `internal/controller/deployment.go`, `spinapp_controller.go`, `internal/runtimeconfig`), in
//! eighty lines. Of a node, it is what its Deployment says. Both are kept in
//! `tests/data/spinkube`, and a service is started with just that (`started`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use isotherm_it::{Service, root};
use serde_json::Value;

use super::{APPLICATIONS, NODES, nodes};
use crate::manifests::objects::{bytes, list, name, objects, rendered, text};

/// What Spin sees. A value of a Secret is `<its name/the key>`, with a `?` where it need not be
/// there.
pub(super) struct Pod {
    labels: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    mounts: BTreeMap<String, String>,
    config: String,
}

/// The value of a variable or an option: as it is, of a ConfigMap, or of a Secret.
fn given(from: &Value, objects: &[Value]) -> String {
    if let Some(value) = from["value"].as_str() {
        return value.to_owned();
    }
    let map = &from["valueFrom"]["configMapKeyRef"];
    if map.is_null() {
        let secret = &from["valueFrom"]["secretKeyRef"];
        let optional = if secret["optional"] == true { "?" } else { "" };
        return format!("<{}/{}{optional}>", text(&secret["name"]), text(&secret["key"]));
    }
    let found = objects.iter().find(|one| one["metadata"]["name"] == map["name"]);
    found.map_or("", |found| text(&found["data"][text(&map["key"])])).to_owned()
}

/// The mounts of a pod, each with what it shows.
fn mounts(mounts: &Value, volumes: &Value) -> BTreeMap<String, String> {
    let shown = |mount: &Value| {
        let volume = list(volumes).iter().find(|volume| volume["name"] == mount["name"]);
        let claim = volume.map_or("", |volume| text(&volume["persistentVolumeClaim"]["claimName"]));
        let shown = if claim.is_empty() { "a file".to_owned() } else { format!("claim {claim}") };
        (text(&mount["mountPath"]).to_owned(), shown)
    };
    list(mounts).iter().map(shown).collect()
}

/// What the operator makes of a SpinApp.
fn of_app(app: &Value, objects: &[Value]) -> Pod {
    let spec = &app["spec"];
    let labels = [
        ("core.spinkube.dev/app-name".to_owned(), name(app).to_owned()),
        (format!("core.spinkube.dev/app.{}.status", name(app)), "ready".to_owned()),
    ];
    let variable = |one: &Value| {
        (format!("SPIN_VARIABLE_{}", text(&one["name"]).to_uppercase()), given(one, objects))
    };
    let mut environment: BTreeMap<_, _> = list(&spec["variables"]).iter().map(variable).collect();
    environment.insert("SPIN_HTTP_LISTEN_ADDR".to_owned(), "0.0.0.0:80".to_owned());
    let components: Vec<&str> = list(&spec["components"]).iter().map(text).collect();
    if !components.is_empty() {
        environment.insert("SPIN_COMPONENTS_TO_RETAIN".to_owned(), components.join(","));
    }
    if let Some(limit) = spec["invocationLimits"]["memory"].as_str() {
        environment.insert("SPIN_MAX_INSTANCE_MEMORY".to_owned(), bytes(limit).to_string());
    }
    let mut config = toml::Table::new();
    for (kind, table) in
        [("keyValueStores", "key_value_store"), ("sqliteDatabases", "sqlite_database")]
    {
        let mut stores = toml::Table::new();
        for store in list(&spec["runtimeConfig"][kind]) {
            let mut options = toml::Table::new();
            options.insert("type".to_owned(), text(&store["type"]).into());
            for option in list(&store["options"]) {
                options.insert(text(&option["name"]).to_owned(), given(option, objects).into());
            }
            stores.insert(text(&store["name"]).to_owned(), options.into());
        }
        config.insert(table.to_owned(), stores.into());
    }
    let mut mounts = mounts(&spec["volumeMounts"], &spec["volumes"]);
    mounts.insert("/runtime-config.toml".to_owned(), "a file".to_owned());
    let executor = objects.iter().find(|one| one["kind"] == "SpinAppExecutor");
    if executor.is_some_and(|one| one["spec"]["deploymentConfig"]["installDefaultCACerts"] == true)
    {
        let path = "/etc/ssl/certs/ca-certificates.crt";
        mounts.insert(path.to_owned(), "a file".to_owned());
    }
    Pod { labels: labels.into(), environment, mounts, config: toml::to_string(&config).unwrap() }
}

/// What a node's Deployment says.
fn of_node(deployment: &Value, objects: &[Value]) -> Pod {
    let template = &deployment["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    let labels = template["metadata"]["labels"].as_object().unwrap().iter();
    let mut environment = BTreeMap::new();
    for source in list(&container["envFrom"]) {
        let named = &source["configMapRef"]["name"];
        let map = objects.iter().find(|one| one["metadata"]["name"] == *named).unwrap();
        for (key, value) in map["data"].as_object().unwrap() {
            let variable = format!("{}{key}", text(&source["prefix"]));
            environment.insert(variable, text(value).to_owned());
        }
    }
    for one in list(&container["env"]) {
        environment.insert(text(&one["name"]).to_owned(), given(one, objects));
    }
    Pod {
        labels: labels.map(|(key, value)| (key.clone(), text(value).to_owned())).collect(),
        environment,
        mounts: mounts(&container["volumeMounts"], &template["spec"]["volumes"]),
        config: nodes::runtime_config(deployment, objects),
    }
}

/// The pods of Isotherm in an overlay, by name.
pub(super) fn pods(overlay: &str) -> BTreeMap<String, Pod> {
    let (objects, _) = objects(&rendered(overlay));
    let pod = |one: &Value| match text(&one["kind"]) {
        "SpinApp" => Some((name(one).to_owned(), of_app(one, &objects))),
        "Deployment" => Some((name(one).to_owned(), of_node(one, &objects))),
        _ => None,
    };
    objects.iter().filter_map(pod).collect()
}

impl Pod {
    fn to_text(&self) -> String {
        let mut text = String::new();
        for (what, pairs) in
            [("labels", &self.labels), ("environment", &self.environment), ("mounts", &self.mounts)]
        {
            writeln!(text, "# {what}").unwrap();
            for (name, value) in pairs {
                writeln!(text, "{name}={value}").unwrap();
            }
        }
        text + "# /runtime-config.toml\n" + &self.config
    }

    /// Starts a service that sees this, with `secrets` by `name/key`, and `data` in the place of
    /// the volume.
    pub(super) fn start(&self, data: &Path, secrets: &[(&str, String)]) -> Service {
        self.try_start(data, secrets).unwrap()
    }

    /// The same where it may not start.
    pub(super) fn try_start(
        &self,
        data: &Path,
        secrets: &[(&str, String)],
    ) -> anyhow::Result<Service> {
        let data = data.display().to_string();
        let filled = |value: &str| {
            let mut filled = value.replace("/data/", &format!("{data}/"));
            for (secret, known) in secrets {
                filled = filled.replace(&format!("<{secret}>"), known);
            }
            filled
        };
        let environment = self.environment.iter().map(|(name, value)| (name, filled(value)));
        // A key of a Secret that need not be there is not there.
        let environment = environment.filter(|(_, value)| !value.ends_with("?>"));
        // The shim takes them from the environment, and `spin up` as arguments.
        let only = self.environment.get("SPIN_COMPONENTS_TO_RETAIN");
        let only = only.into_iter().flat_map(|only| only.split(','));
        let only: Vec<&str> = only.flat_map(|component| ["--component-id", component]).collect();
        let mut service = Service::prepare("spin.toml", &[], &only)?;
        service.set_environment(environment.map(|(name, value)| (name.clone(), value)).collect());
        service.configure(&filled(&self.config))?;
        service.run()?;
        Ok(service)
    }
}

#[test]
fn each_pod_sees_what_is_kept_of_it() {
    let directory = root().join("tests/data/spinkube");
    let is_writing = std::env::var("ISOTHERM_WRITE_PODS").is_ok();
    for overlay in APPLICATIONS.into_iter().chain(NODES) {
        for (name, pod) in pods(overlay) {
            let file = directory.join(format!("{}.{name}.txt", overlay.replace('/', "-")));
            if is_writing {
                std::fs::write(&file, pod.to_text()).unwrap();
            }
            let kept = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(pod.to_text(), kept, "{overlay}: write it anew with ISOTHERM_WRITE_PODS=1");
        }
    }
}
