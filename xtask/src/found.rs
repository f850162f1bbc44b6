//! Programs that are only unpacked, and what tests need of them.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::tools::{Tools, is_there, path_of, unpacked, with_libraries};

impl Tools {
    /// What the tests of the interface for devices need.
    pub(super) fn find_for_sources(&mut self, shell: &Shell) {
        if let Some(influxd) = influxd(shell) {
            self.variables.push(("ISOTHERM_INFLUXD", influxd));
        } else {
            let what = "the same lines to InfluxDB (install influxdb, version 1)";
            self.skip("sources::influx::the_same_lines", what);
            self.filter.extend(["--skip", "sources::influx::whole_requests"]);
        }
    }

    /// What the tests of the rest of `deploy/` need.
    pub(super) fn find_for_deploy(&mut self, shell: &Shell) {
        if let Some(directory) = prometheus(shell) {
            self.variables.push(("ISOTHERM_PROMETHEUS", directory));
        } else {
            self.skip("observability::", "rules and dashboard (install prometheus)");
        }
        if let Some(nginx) = nginx(shell) {
            self.variables.push(("ISOTHERM_NGINX", nginx));
        } else {
            let what = "nginx with client certificates (install nginx, openssl and curl)";
            self.skip("manifests::nginx", what);
        }
        if let Some(kubectl) = path_of(shell, "kubectl") {
            self.variables.push(("ISOTHERM_KUBECTL", kubectl));
        } else {
            self.skip("manifests::spinkube", "the manifests of Kubernetes (install kubectl)");
        }
        if !can_mount(shell) {
            let what = "power cuts (root, loop devices and mkfs.ext4)";
            self.skip("gateway::power", what);
        }
        if !is_there(shell, "curl") || path_of(shell, "openssl").is_none() {
            let what = "the gateway's TLS (install curl and openssl)";
            self.skip("gateway::secure", what);
            self.filter.extend(["--skip", "gateway::clients"]);
        }
        if !is_there(shell, "curl") || !is_there(shell, "jq") {
            let what = "the first reading of a gateway on Kubernetes (install curl and jq)";
            self.skip("started::the_first_reading_of_the_readme", what);
        }
    }

    /// What the tests of `isotherm-bridge` need.
    pub(super) fn find_for_bridge(&mut self, shell: &Shell) {
        let broker = with_libraries(shell, "mosquitto", "mosquitto");
        let client = with_libraries(shell, "mosquitto-clients", "mosquitto_pub");
        let clients = client.and_then(|path| Some(path.rsplit_once('/')?.0.to_owned()));
        if let Some((broker, clients)) = broker.zip(clients) {
            self.variables.push(("ISOTHERM_MOSQUITTO", broker));
            self.variables.push(("ISOTHERM_MOSQUITTO_CLIENTS", clients));
        } else {
            let what = "the bridge from MQTT (install mosquitto and mosquitto-clients)";
            self.skip("bridge::", what);
        }
    }
}

/// The directory of prometheus and promtool.
fn prometheus(shell: &Shell) -> Option<String> {
    let directory = |promtool: &Path| promtool.parent().map(|path| path.display().to_string());
    if let Some(promtool) = unpacked("prometheus", "promtool") {
        return directory(&promtool);
    }
    let both = path_of(shell, "prometheus").zip(path_of(shell, "promtool"));
    both.and_then(|(path, _)| path.strip_suffix("/prometheus").map(ToOwned::to_owned))
}

/// The path of nginx, if there is one, and what else its test needs.
fn nginx(shell: &Shell) -> Option<String> {
    let has_both = is_there(shell, "curl") && path_of(shell, "openssl").is_some();
    let unpacked = unpacked("nginx", "nginx").map(|path| path.display().to_string());
    // Elsewhere it is often on the PATH of root alone.
    let installed = || path_of(shell, "nginx").or_else(|| path_of(shell, "/usr/sbin/nginx"));
    has_both.then(|| unpacked.or_else(installed)).flatten()
}

/// The path of InfluxDB's server, if there is one of version 1.
fn influxd(shell: &Shell) -> Option<String> {
    let unpacked = unpacked("influxdb", "influxd").map(|path| path.display().to_string());
    let path = unpacked.or_else(|| path_of(shell, "influxd"))?;
    let version = cmd!(shell, "{path} version").quiet().read().ok()?;
    version.contains(" v1.").then_some(path)
}

/// Whether a file can be mounted as a file system.
fn can_mount(shell: &Shell) -> bool {
    let root = cmd!(shell, "id -u").quiet().ignore_stderr().read();
    root.is_ok_and(|id| id.trim() == "0")
        && path_of(shell, "mkfs.ext4").is_some()
        && cmd!(shell, "losetup --find").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}
