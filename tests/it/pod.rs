//! What a pod of `deploy/spinkube` gives a service: the file of `tests/data/spinkube` that
//! `ISOTHERM_POD` names. Then every service of the tests is started as in that pod.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context, Result};

/// Its environment, and its runtime configuration.
pub(crate) struct Pod {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) config: String,
}

/// The pod, with the files of its volume in `directory`, under the names that Spin gives them.
/// The test's own `variables` go before the pod's. Access control is off unless the test says
/// otherwise: its tokens are in a Secret, which a test does not have.
pub(crate) fn named(directory: &Path, variables: &[(&str, &str)]) -> Result<Option<Pod>> {
    let Ok(name) = std::env::var("ISOTHERM_POD") else {
        return Ok(None);
    };
    let file = crate::root().join("tests/data/spinkube").join(name);
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let (_, text) = text.split_once("# environment\n").context("no environment")?;
    let (environment, text) = text.split_once("# mounts\n").context("no mounts")?;
    let (_, config) = text.split_once("# /runtime-config.toml\n").context("no configuration")?;
    let is_of_test = |name: &str| {
        let variable = name.strip_prefix("SPIN_VARIABLE_").unwrap_or_default().to_lowercase();
        variable == "auth" || variables.iter().any(|(name, _)| *name == variable)
    };
    let pairs = environment.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.filter(|(name, value)| !is_of_test(name) && !value.starts_with('<'));
    let at = |name: &str| directory.join(name).display().to_string();
    let mut config = config
        .replace("/data/journal.db", &at("sqlite_key_value.db"))
        .replace("/data/regions.db", &at("sqlite_db.db"));
    if config.contains("<isotherm-stores/") {
        for (key, value) in servers()? {
            config = config.replace(&format!("<isotherm-stores/{key}>"), &value);
        }
    }
    let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Some(Pod { environment, config }))
}

/// Addresses of stores on servers, for this service alone, by the keys of the Secret. The test that
/// started this process starts them: `ISOTHERM_STORES` is where it listens.
fn servers() -> Result<Vec<(String, String)>> {
    let address = std::env::var("ISOTHERM_STORES").context("no ISOTHERM_STORES")?;
    let stream = TcpStream::connect(address)?;
    let pair = |line: std::io::Result<String>| {
        let line = line?;
        let (key, value) = line.split_once('=').context("a line without =")?;
        Ok((key.to_owned(), value.to_owned()))
    };
    BufReader::new(stream).lines().map(pair).collect()
}
