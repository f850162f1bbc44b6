//! `spin.toml`, as far as this runtime supports it. It refuses the rest by name: ignoring it would
//! be an unnoticed difference from Spin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::origin::Origin;
use crate::variables;

/// The application: its components with their routes.
#[derive(Debug)]
pub struct Application {
    /// The components that have a route.
    pub components: Vec<Component>,
}

/// One component, as the runtime needs it.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its id in the manifest.
    pub id: String,
    /// Its route: exact, with `:name` for a segment, or with `/...` at its end.
    pub route: String,
    /// The `.wasm` file.
    pub source: PathBuf,
    /// The labels of its key-value stores.
    pub key_value_stores: Vec<String>,
    /// The labels of its databases.
    pub sqlite_databases: Vec<String>,
    /// The servers that it may call.
    pub outbound: Vec<Origin>,
    /// Directories that it may read.
    pub files: Vec<Mount>,
    /// Its variables with their values.
    pub variables: BTreeMap<String, String>,
}

/// A directory of this machine, mounted for a component to read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// The directory.
    pub source: PathBuf,
    /// The path where the component finds it.
    pub destination: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    spin_manifest_version: u32,
    #[serde(rename = "application")]
    _application: toml::Table,
    #[serde(default)]
    variables: BTreeMap<String, VariableTable>,
    trigger: TriggerTable,
    component: BTreeMap<String, ComponentTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariableTable {
    default: Option<String>,
    #[serde(rename = "required", default)]
    _required: bool,
    #[serde(rename = "secret", default)]
    _secret: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TriggerTable {
    http: Vec<HttpTrigger>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpTrigger {
    route: String,
    component: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentTable {
    source: PathBuf,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(default)]
    sqlite_databases: Vec<String>,
    #[serde(default)]
    files: Vec<Mount>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(rename = "build")]
    _build: Option<toml::Table>,
}

impl Mount {
    fn below(&self, base: &Path) -> Self {
        Self { source: base.join(&self.source), destination: self.destination.clone() }
    }
}

impl Component {
    /// The content of the file `name` that it finds in `/assets`.
    pub fn asset(&self, name: &str) -> Option<Vec<u8>> {
        let mount = self.files.iter().find(|mount| mount.destination == "/assets")?;
        std::fs::read(mount.source.join(name)).ok()
    }
}

impl Application {
    /// Leaves these components, or all if there are none. Fails if one of them has no route.
    pub fn retain(&mut self, ids: &[String]) -> Result<()> {
        let has = |id: &&String| self.components.iter().any(|component| component.id == **id);
        if let Some(unknown) = ids.iter().find(|id| !has(id)) {
            bail!("there is no component {unknown} with a route");
        }
        if !ids.is_empty() {
            self.components.retain(|component| ids.contains(&component.id));
        }
        Ok(())
    }

    /// Reads the manifest at `path`. `environment` and `overrides` replace the defaults
    /// of application variables. Unknown ones in the environment are ignored: they may
    /// be meant for other programs.
    pub fn read(
        path: &Path,
        environment: &[(String, String)],
        overrides: &[(String, String)],
    ) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        let base = path.parent().unwrap_or(Path::new("."));
        let file: ManifestFile = toml::from_str(&text)
            .with_context(|| format!("{} can't be followed", path.display()))?;
        Self::of(file, base, environment, overrides)
    }

    /// The same for a manifest with this text, whose paths begin in the directory `base`.
    pub fn parse(
        text: &str,
        base: &Path,
        environment: &[(String, String)],
        overrides: &[(String, String)],
    ) -> Result<Self> {
        Self::of(toml::from_str(text)?, base, environment, overrides)
    }

    fn of(
        file: ManifestFile,
        base: &Path,
        environment: &[(String, String)],
        overrides: &[(String, String)],
    ) -> Result<Self> {
        if file.spin_manifest_version != 2 {
            bail!("only spin_manifest_version = 2 is followed");
        }
        let of_components = file.component.values().flat_map(|table| table.variables.keys());
        for name in file.variables.keys().chain(of_components) {
            variables::check_words(name, '_')
                .with_context(|| format!("the name of variable {name}"))?;
        }
        for id in file.component.keys() {
            variables::check_words(id, '-').with_context(|| format!("the id of component {id}"))?;
        }
        let known = |(name, _): &&(String, String)| file.variables.contains_key(name);
        let ours: Vec<_> = environment.iter().filter(known).chain(overrides).cloned().collect();
        let defaults = file.variables.iter().map(|(name, table)| (name, table.default.as_ref()));
        let values = variables::values(defaults.collect(), &ours)?;
        let mut components = Vec::new();
        for trigger in file.trigger.http {
            let id = trigger.component;
            let table = file
                .component
                .get(&id)
                .with_context(|| format!("route {} names no component: {id}", trigger.route))?;
            let allowed = table.allowed_outbound_hosts.iter().map(|template| {
                let value = variables::expand(template, &values);
                let origin = value.and_then(|value| Origin::parse(&value));
                origin.with_context(|| format!("component {id}: allowed_outbound_hosts"))
            });
            let variables = table.variables.iter().map(|(name, template)| {
                let value = variables::expand(template, &values);
                value.map(|v| (name.clone(), v)).with_context(|| format!("component {id}: {name}"))
            });
            components.push(Component {
                variables: variables.collect::<Result<_>>()?,
                route: trigger.route,
                source: base.join(&table.source),
                key_value_stores: table.key_value_stores.clone(),
                sqlite_databases: table.sqlite_databases.clone(),
                outbound: allowed.collect::<Result<_>>()?,
                files: table.files.iter().map(|mount| mount.below(base)).collect(),
                id,
            });
        }
        Ok(Self { components })
    }

    /// The component for `path`: an exact route before one with `:name`, that before a
    /// wildcard, a longer wildcard before a shorter one.
    pub fn route(&self, path: &str) -> Option<&Component> {
        let exact = self.components.iter().find(|component| component.route == path);
        let named = || self.components.iter().find(|component| fits(&component.route, path));
        let wildcard = || {
            let matching = self.components.iter().filter_map(|component| {
                let prefix = component.route.strip_suffix("/...")?;
                let rest = path.strip_prefix(prefix)?;
                (rest.is_empty() || rest.starts_with('/')).then_some((prefix.len(), component))
            });
            matching.max_by_key(|(length, _)| *length).map(|(_, component)| component)
        };
        exact.or_else(named).or_else(wildcard)
    }
}

/// Whether the segments of a route without a wildcard are those of the path; `:name` is any.
fn fits(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(name), Some(segment)) if name.starts_with(':') && !segment.is_empty() => {}
            (Some(name), Some(segment)) if name == segment => {}
            _ => return false,
        }
    }
}

pub(crate) fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} can't be read", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} can't be followed", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(routes: &[(&str, &str)]) -> Application {
        let component = |(id, route): &(&str, &str)| Component {
            id: (*id).to_owned(),
            route: (*route).to_owned(),
            source: PathBuf::new(),
            key_value_stores: Vec::new(),
            sqlite_databases: Vec::new(),
            outbound: Vec::new(),
            files: Vec::new(),
            variables: BTreeMap::new(),
        };
        Application { components: routes.iter().map(component).collect() }
    }

    #[test]
    fn an_exact_route_goes_before_a_wildcard() {
        let app = application(&[
            ("query", "/..."),
            ("deep", "/v1/x/..."),
            ("ingest", "/v1/readings"),
            ("named", "/v1/:x/y"),
        ]);
        for (path, id) in [
            ("/v1/readings", "ingest"),
            ("/v1/readings/", "query"),
            ("/v1/readingsx", "query"),
            ("/v1/x", "deep"),
            ("/v1/x/z", "deep"),
            ("/v1/xy", "query"),
            ("/v1/a/y", "named"),
            ("/v1/x/y", "named"),
            ("/v1/a/y/", "query"),
            ("/v1//y", "query"),
            ("/v1/a/z", "query"),
            ("/", "query"),
        ] {
            assert_eq!(app.route(path).unwrap().id, id, "{path}");
        }
        assert!(application(&[("ingest", "/v1/readings")]).route("/").is_none());
    }

    #[test]
    fn the_projects_own_manifest_can_be_followed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let application = Application::read(&root.join("spin.toml"), &[], &[]).unwrap();
        let routes: Vec<(&str, &str)> =
            application.components.iter().map(|c| (c.route.as_str(), c.id.as_str())).collect();
        for expected in [
            ("/v1/readings", "ingest"),
            ("/readyz/ingest", "ingest"),
            ("/...", "query"),
            ("/v1/devices/...", "inspect"),
        ] {
            assert!(routes.contains(&expected), "{expected:?} in {routes:?}");
        }
    }
}
