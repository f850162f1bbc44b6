//! `cargo xtask tools`: finds or installs third-party programs that some tests and
//! `bench --peers` need. Tests that lack a program are skipped, by name.

use std::path::PathBuf;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{Runtime, root, step};

/// What the tests need to know, and which of them are skipped.
#[derive(Default)]
pub(crate) struct Tools {
    /// Environment variables with the paths of programs.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Arguments that skip tests.
    pub(crate) filter: Vec<&'static str>,
    /// The tests that are skipped, and how to enable them.
    pub(crate) skipped: Vec<&'static str>,
}

/// Names of Chromium.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Programs that a machine may lack, and the Debian packages that have them.
const PACKAGES: [(&[&str], &str); 8] = [
    (&BROWSERS, "chromium"),
    (&["node"], "nodejs"),
    (&["npm"], "npm"),
    (&["curl"], "curl"),
    (&["prlimit"], "util-linux"),
    (&["sqlite3"], "sqlite3"),
    (&["shellcheck"], "shellcheck"),
    // Not redis-server, which would start a service. The program is the same.
    (&REDIS, "redis-tools"),
];

/// Names of the Redis server. In Debian, the checker is the same program.
const REDIS: [&str; 2] = ["redis-server", "redis-check-rdb"];

/// Debian packages that are only unpacked, and a program of each: installing them would
/// start services.
const UNPACKED: [(&str, &str); 3] = [
    ("prometheus", "promtool"),
    // For `cargo xtask bench --peers`.
    ("influxdb", "influxd"),
    ("victoria-metrics", "victoria-metrics"),
];

/// Installs what is missing, if Debian packages can be installed; if not, prints what
/// is missing.
pub(crate) fn install(shell: &Shell) -> Result<()> {
    step("Programs that some tests and the bench need, from Debian's packages");
    let has_none = |names: &[&str]| !names.iter().any(|name| is_there(shell, name));
    let missing: Vec<&str> = PACKAGES
        .into_iter()
        .filter(|(names, _)| has_none(names))
        .map(|(_, package)| package)
        .collect();
    let is_unpacked = |package: &str, program: &str| {
        unpacked(package).join(program).exists() || path_of(shell, program).is_some()
    };
    let to_unpack: Vec<&str> = UNPACKED
        .into_iter()
        .filter(|(package, program)| !is_unpacked(package, program))
        .map(|(package, _)| package)
        .collect();
    if missing.is_empty() && to_unpack.is_empty() {
        println!("All of them are there.");
        return Ok(());
    }
    let is_root = cmd!(shell, "id -u").quiet().read().is_ok_and(|id| id == "0");
    if !is_root || !is_there(shell, "apt-get") {
        let all = [missing, to_unpack].concat().join(" ");
        println!("Missing: {all}. What needs them is skipped.");
        return Ok(());
    }
    let environment = [("DEBIAN_FRONTEND", "noninteractive")];
    cmd!(shell, "apt-get update --quiet=2").envs(environment).quiet().run()?;
    if !missing.is_empty() {
        println!("Installing {}", missing.join(", "));
        cmd!(shell, "apt-get install --quiet=2 --yes --no-install-recommends {missing...}")
            .envs(environment)
            .quiet()
            .ignore_stdout()
            .run()?;
    }
    to_unpack.into_iter().try_for_each(|package| unpack(shell, package))
}

/// The directory with the programs of an unpacked package.
fn unpacked(package: &str) -> PathBuf {
    root().join("target").join(package).join("usr/bin")
}

/// The directory of prometheus and promtool.
fn prometheus(shell: &Shell) -> Option<String> {
    let unpacked = unpacked("prometheus");
    if unpacked.join("promtool").exists() {
        return Some(unpacked.display().to_string());
    }
    let both = path_of(shell, "prometheus").zip(path_of(shell, "promtool"));
    both.and_then(|(path, _)| path.strip_suffix("/prometheus").map(ToOwned::to_owned))
}

/// Unpacks a Debian package into the project: installing it would start a service.
fn unpack(shell: &Shell, package: &str) -> Result<()> {
    let directory = root().join("target").join(package);
    println!("Unpacking {package} into {}", directory.display());
    shell.create_dir(&directory)?;
    let _directory = shell.push_dir(&directory);
    // Otherwise apt, run by root, drops its rights and can't enter the directory.
    cmd!(shell, "apt-get download --quiet=2 -o APT::Sandbox::User=root {package}").quiet().run()?;
    for file in shell.read_dir(&directory)? {
        if file.extension().is_some_and(|extension| extension == "deb") {
            cmd!(shell, "dpkg-deb --extract {file} .").quiet().run()?;
        }
    }
    Ok(())
}

impl Tools {
    /// Looks for everything, and installs what can be installed.
    pub(crate) fn find(shell: &Shell, runtime: Runtime) -> Result<Self> {
        step("Programs that some tests need");
        let mut tools = Self::default();
        if !is_there(shell, "curl") {
            tools.skip(
                "readme::",
                "the README's example, and the documented questions (install curl)",
            );
            tools.filter.extend(["--skip", "questions::each_question"]);
        }
        if !is_there(shell, "prlimit") {
            let what = "the full disk (install util-linux's prlimit)";
            tools.skip("store_faults::a_disk_without_space", what);
            tools.filter.extend(["--skip", "backup_script::a_full_disk"]);
        }
        tools.find_for_backup(shell);
        if runtime == Runtime::Spin {
            let what = "store_faults::, the page in a browser, the client in Python and \
                        a_minute_without_the_database (stores fail on demand in the embedded \
                        runtime only)";
            tools.skip("store_faults::", what);
            tools.filter.extend(["--skip", "a_minute_without_the_database"]);
            tools.filter.extend(["--skip", "events::a_store_that_is_away_is_logged"]);
            tools.filter.extend(["--skip", "client::the_python_client_against"]);
            let what = "a node without its Redis (Spin holds requests until Redis is back)";
            tools.skip("redis::without_redis", what);
            tools.filter.extend(["--skip", "tools::the_page", "--skip", "questions::on_page"]);
        } else if let Some(browser) = browser(shell) {
            tools.variables.push(("ISOTHERM_CHROMIUM", browser));
        } else {
            let what = "the page, and the questions on it, in a browser (install Node.js 20 or \
                        newer with npm, and Chromium)";
            tools.skip("tools::the_page", what);
            tools.filter.extend(["--skip", "questions::on_page"]);
        }
        if !has_python(shell) {
            let what = "the client in Python (install Python 3.9 or newer)";
            tools.skip("client::the_python_client_against", what);
            let what = "time zones by Python (install Python 3.9 or newer)";
            tools.skip("local_time::python_has", what);
        }
        if let Some(redis) = REDIS.into_iter().find_map(|name| path_of(shell, name)) {
            tools.variables.push(("ISOTHERM_REDIS", redis));
        } else {
            tools.skip("redis::", "the journal in Redis (install redis-server or redis-tools)");
        }
        if let Some(directory) = prometheus(shell) {
            tools.variables.push(("ISOTHERM_PROMETHEUS", directory));
        } else {
            tools.skip("observability::", "rules and dashboard (install prometheus)");
        }
        if let Some(kubectl) = path_of(shell, "kubectl") {
            tools.variables.push(("ISOTHERM_KUBECTL", kubectl));
        } else {
            tools.skip("manifests::", "the manifests of Kubernetes (install kubectl)");
        }
        if let Some(python) = python(shell)? {
            tools.variables.push(("ISOTHERM_PYTHON", python));
        } else {
            tools.skip("manifests::", "the manifests of Kubernetes (install Python)");
            let what = "the parsers of Prometheus and schemathesis (install Python 3 with venv and \
                        pip)";
            tools.skip("tools::metrics", what);
            tools.filter.extend(["--skip", "tools::the_interface"]);
            let what = "the types of the client in Python (install Python 3 with venv and pip)";
            tools.skip("client::the_python_client_is_typed", what);
        }
        Ok(tools)
    }

    /// What `deploy/backup/isotherm-backup` needs.
    fn find_for_backup(&mut self, shell: &Shell) {
        if !is_there(shell, "sqlite3") {
            let what = "the script for backups, and the questions, one of which it answers \
                        (install sqlite3)";
            self.filter.extend(["--skip", "questions::each_question"]);
            self.skip("backup_script::", what);
            self.filter.extend(["--skip", "restore_script::"]);
        }
        let python = cmd!(shell, "python3 -c").args(["import sqlite3"]).quiet().ignore_stderr();
        if python.run().is_err() {
            let what = "the script for backups without sqlite3 (install Python 3)";
            self.skip("backup_script::python_does", what);
        }
        if !is_there(shell, "shellcheck") {
            let what = "the check of the script for backups (install shellcheck)";
            self.skip("backup_script::shellcheck", what);
        }
    }

    fn skip(&mut self, tests: &'static str, what: &'static str) {
        self.filter.extend(["--skip", tests]);
        self.skipped.push(what);
    }
}

/// The path of a program, if it is there.
fn path_of(shell: &Shell, program: &str) -> Option<String> {
    cmd!(shell, "sh -c").args([format!("command -v {program}")]).quiet().read().ok()
}

fn is_there(shell: &Shell, program: &str) -> bool {
    let asked = cmd!(shell, "{program} --version").quiet().ignore_stdout().ignore_stderr();
    asked.run().is_ok()
}

/// Whether there is a Python that the client in Python supports.
fn has_python(shell: &Shell) -> bool {
    let question = "import sqlite3, sys; sys.exit(sys.version_info < (3, 9))";
    cmd!(shell, "python3 -c {question}").quiet().ignore_stderr().run().is_ok()
}

/// A browser, if there is one; installs the packages that drive it.
fn browser(shell: &Shell) -> Option<String> {
    let browser = BROWSERS.into_iter().find(|name| is_there(shell, name))?;
    let path = path_of(shell, browser)?;
    let packages = root().join("tests/browser");
    let installed = cmd!(shell, "npm ci --no-audit --no-fund --prefix {packages}").quiet();
    installed.run().ok().map(|()| path)
}

/// The interpreter of a virtual environment with the tests' packages.
fn python(shell: &Shell) -> Result<Option<String>> {
    let environment = root().join("target/python");
    let python = environment.join("bin/python");
    if !python.exists() && cmd!(shell, "python3 -m venv {environment}").quiet().run().is_err() {
        // An incomplete one would be taken for a complete one.
        shell.remove_path(&environment)?;
        return Ok(None);
    }
    let requirements = root().join("tests/python/requirements.txt");
    let installed = cmd!(shell, "{python} -m pip install --quiet --disable-pip-version-check")
        .args(["--requirement".into(), requirements])
        .quiet()
        .run();
    Ok(installed.is_ok().then(|| python.display().to_string()))
}
