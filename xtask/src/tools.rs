//! `cargo xtask tools`: finds or installs third-party programs that some tests and
//! `bench --peers` need. Tests that lack a program are skipped, by name.

use std::path::PathBuf;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{Runtime, debian, root, step};

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
const PACKAGES: [(&[&str], &str); 9] = [
    (&BROWSERS, "chromium"),
    (&["node"], "nodejs"),
    (&["npm"], "npm"),
    (&["curl"], "curl"),
    (&["prlimit"], "util-linux"),
    (&["sqlite3"], "sqlite3"),
    (&["shellcheck"], "shellcheck"),
    (&["valgrind"], "valgrind"),
    // Not redis-server, which would start a service. The program is the same.
    (&REDIS, "redis-tools"),
];

/// Names of the Redis server. In Debian, the checker is the same program.
const REDIS: [&str; 2] = ["redis-server", "redis-check-rdb"];

/// Debian packages that are only unpacked, and a program of each: installing them would
/// start services.
const UNPACKED: [(&str, &str); 7] = [
    ("prometheus", "promtool"),
    ("nginx", "nginx"),
    ("mosquitto", "mosquitto"),
    ("mosquitto-clients", "mosquitto_pub"),
    ("influxdb", "influxd"),
    ("mmdebstrap", "mmdebstrap"),
    // For `cargo xtask bench --peers`.
    ("victoria-metrics", "victoria-metrics"),
];

/// Unpacked packages that need libraries which few machines have.
const WITH_LIBRARIES: [&str; 2] = ["mosquitto", "mosquitto-clients"];

/// Installs what is missing, if Debian packages can be installed, by root or by `sudo`
/// without a password; if not, prints what is missing.
pub(crate) fn install(shell: &Shell) -> Result<()> {
    step("Programs that some tests and the bench need, from Debian's packages");
    let has_none = |names: &[&str]| !names.iter().any(|name| is_there(shell, name));
    let missing: Vec<&str> = PACKAGES
        .into_iter()
        .filter(|(names, _)| has_none(names))
        .map(|(_, package)| package)
        .collect();
    let is_unpacked = |package: &str, program: &str| match WITH_LIBRARIES.contains(&package) {
        true => with_libraries(shell, package, program).is_some(),
        false => unpacked(package, program).is_some() || path_of(shell, program).is_some(),
    };
    let to_unpack: Vec<&str> = UNPACKED
        .into_iter()
        .filter(|(package, program)| !is_unpacked(package, program))
        .map(|(package, _)| package)
        .collect();
    if missing.is_empty() && to_unpack.is_empty() {
        println!("All of them are there.");
        return debian::install(shell);
    }
    let Some(as_root) = as_root(shell).filter(|_| is_there(shell, "apt-get")) else {
        let all = [missing, to_unpack].concat().join(" ");
        println!("Missing: {all}. What needs them is skipped.");
        return Ok(());
    };
    cmd!(shell, "env {as_root...} apt-get update --quiet=2").quiet().run()?;
    if !missing.is_empty() {
        println!("Installing {}", missing.join(", "));
        cmd!(shell, "env {as_root...} apt-get install --quiet=2 --yes --no-install-recommends")
            .args(missing)
            .quiet()
            .ignore_stdout()
            .run()?;
    }
    for package in to_unpack {
        unpack(shell, package)?;
        if WITH_LIBRARIES.contains(&package) {
            install_libraries(shell, as_root, package)?;
        }
    }
    debian::install(shell)
}

/// Whether root runs it.
pub(super) fn is_root(shell: &Shell) -> bool {
    cmd!(shell, "id -u").quiet().read().is_ok_and(|id| id == "0")
}

/// What stands before a command for root, after `env`: nothing but a variable for root, and
/// `sudo` for others that need no password for it. `None` for those that do.
fn as_root(shell: &Shell) -> Option<&'static [&'static str]> {
    const ASK_NOTHING: &str = "DEBIAN_FRONTEND=noninteractive";
    if is_root(shell) {
        return Some(&[ASK_NOTHING]);
    }
    let may = cmd!(shell, "sudo --non-interactive true").quiet().ignore_stdout().ignore_stderr();
    may.run().is_ok().then_some(&["sudo", "--non-interactive", ASK_NOTHING])
}

/// The path of a program of an unpacked package, if it is there.
pub(super) fn unpacked(package: &str, program: &str) -> Option<PathBuf> {
    let directory = root().join("target").join(package).join("usr");
    let paths = ["bin", "sbin"].map(|name| directory.join(name).join(program));
    paths.into_iter().find(|path| path.exists())
}

/// The path of a program whose libraries are there, too: it says its version.
pub(super) fn with_libraries(shell: &Shell, package: &str, program: &str) -> Option<String> {
    let unpacked = unpacked(package, program).map(|path| path.display().to_string());
    // Elsewhere it is often on the PATH of root alone.
    let sbin = format!("/usr/sbin/{program}");
    let installed = || path_of(shell, program).or_else(|| path_of(shell, &sbin));
    let path = unpacked.or_else(installed)?;
    // The status is that of a mistake.
    let said = cmd!(shell, "{path} --help").quiet().ignore_status().ignore_stderr().read().ok()?;
    said.contains("version").then_some(path)
}

/// Installs what a package depends on, and not itself.
fn install_libraries(shell: &Shell, as_root: &[&str], package: &str) -> Result<()> {
    let shown = cmd!(shell, "apt-cache show --no-all-versions {package}").quiet().read()?;
    let Some(depends) = shown.lines().find_map(|line| line.strip_prefix("Depends: ")) else {
        return Ok(());
    };
    cmd!(shell, "env {as_root...} apt-get satisfy --quiet=2 --yes --no-install-recommends")
        .arg(depends)
        .quiet()
        .ignore_stdout()
        .run()?;
    Ok(())
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
            tools.skip("manifests::systemd::the_timer", "the unit for beats (install curl)");
        }
        if !is_there(shell, "prlimit") {
            tools.skip("store_faults::a_disk_without_space", "the full disk (install util-linux)");
            tools.filter.extend(["--skip", "backup_script::a_full_disk"]);
        }
        tools.find_for_backup(shell);
        if runtime == Runtime::Spin {
            let what = "store_faults::, the page in a browser, the client in Python, the timer of \
                        the embedded runtime and a_minute_without_the_database (stores fail on \
                        demand in the embedded runtime only)";
            tools.skip("store_faults::", what);
            tools.filter.extend(["--skip", "a_minute_without_the_database"]);
            tools.filter.extend(["--skip", "events::a_store_that_is_away_is_logged"]);
            tools.filter.extend(["--skip", "client::the_python_client_against"]);
            tools.filter.extend(["--skip", "over_a_socket_stores_that_fail_open_nothing"]);
            tools.filter.extend(["--skip", "no_secret_is_seen_in_a_whole_run"]);
            tools.filter.extend(["--skip", "clients_that_repeat_lose_nothing"]);
            tools.filter.extend(["--skip", "the_embedded_runtime_does_not_start_with"]);
            tools.filter.extend(["--skip", "the_timer_of_the_embedded_runtime"]);
            tools.skip("redis::without_redis", "a node without its Redis (Spin holds requests)");
            tools.filter.extend(["--skip", "in_a_browser::", "--skip", "questions::on_page"]);
        } else if let Some(browser) = browser(shell) {
            tools.variables.push(("ISOTHERM_CHROMIUM", browser));
        } else {
            let what = "the page, and the questions on it, in a browser (install Node.js 20 or \
                        newer with npm, and Chromium)";
            tools.skip("in_a_browser::", what);
            tools.filter.extend(["--skip", "questions::on_page"]);
        }
        if !has_python(shell) {
            let what = "the client in Python (install Python 3.9 or newer)";
            tools.skip("client::the_python_client_against", what);
            let what = "time zones by Python (install Python 3.9 or newer)";
            tools.skip("local_time::python_has", what);
            tools.filter.extend(["--skip", "sources::zones::"]);
        }
        if let Some(redis) = REDIS.into_iter().find_map(|name| path_of(shell, name)) {
            tools.variables.push(("ISOTHERM_REDIS", redis));
        } else {
            tools.skip("redis::", "the journal in Redis (install redis-server or redis-tools)");
            tools.filter.extend(["--skip", "started::what_one_pod_of_several"]);
            tools.filter.extend(["--skip", "in_a_pod_with_stores_on_servers"]);
        }
        tools.find_for_gateway(shell);
        tools.find_for_bridge(shell);
        tools.find_for_sources(shell);
        tools.find_for_deploy(shell);
        if let Some(python) = python(shell)? {
            tools.variables.push(("ISOTHERM_PYTHON", python));
        } else {
            tools.skip("manifests::spinkube", "the manifests of Kubernetes (install Python)");
            let what = "the parsers of Prometheus and schemathesis (install Python 3 with venv and \
                        pip)";
            tools.skip("tools::metrics", what);
            tools.filter.extend(["--skip", "tools::the_interface"]);
            let what = "the types of the client in Python (install Python 3 with venv and pip)";
            tools.skip("client::the_python_client_is_typed", what);
        }
        Ok(tools)
    }

    /// What the gateway's tests need that not everybody may do.
    fn find_for_gateway(&mut self, shell: &Shell) {
        if !is_root(shell) {
            self.skip("gateway::privileges", "the gateway that root starts (be root)");
            self.skip("gateway::package", "the package for Debian (be root on Debian)");
        } else {
            debian::find(self);
        }
    }

    /// What `deploy/backup/isotherm-backup` needs.
    fn find_for_backup(&mut self, shell: &Shell) {
        if !is_there(shell, "sqlite3") {
            let what = "the script for backups, and the questions, one of which it answers \
                        (install sqlite3)";
            self.filter.extend(["--skip", "questions::each_question"]);
            self.skip("backup_script::", what);
            self.filter.extend(["--skip", "restore_script::"]);
            self.filter.extend(["--skip", "manifests::systemd::a_backup"]);
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

    pub(super) fn skip(&mut self, tests: &'static str, what: &'static str) {
        self.filter.extend(["--skip", tests]);
        self.skipped.push(what);
    }
}

/// The path of a program, if it is there.
pub(super) fn path_of(shell: &Shell, program: &str) -> Option<String> {
    cmd!(shell, "sh -c").args([format!("command -v {program}")]).quiet().read().ok()
}

pub(super) fn is_there(shell: &Shell, program: &str) -> bool {
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
