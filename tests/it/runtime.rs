//! The programs that serve: Spin, the embedded runtime, or the gateway, by `ISOTHERM_RUNTIME`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::{Service, binary, root};

/// The command that serves it.
pub(crate) fn command(service: &Service) -> Result<Command> {
    let mut words = Vec::new();
    if service.survives_file_limit {
        // By default the signal ends the process that meets the limit.
        words.extend(["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(OsString::from));
    }
    let runtime = std::env::var("ISOTHERM_RUNTIME").unwrap_or_else(|_absent| "embedded".to_owned());
    match runtime.as_str() {
        "spin" => {
            words.extend(["spin", "up", "--log-dir"].map(OsString::from));
            words.push(service.directory.path().join("logs").into());
        }
        "embedded" => words.push(binary("isotherm-host")?.into()),
        "gateway" => {
            // Of another processor: what runs it, and its arguments.
            let emulator = std::env::var("ISOTHERM_EMULATOR").unwrap_or_default();
            words.extend(emulator.split_whitespace().map(OsString::from));
            words.push(gateway()?.into());
        }
        other => bail!("ISOTHERM_RUNTIME is {other}, none of spin, embedded and gateway"),
    }
    let (program, rest) = words.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(rest).args(["--listen", "127.0.0.1:0"]);
    if runtime == "gateway" {
        of_gateway(service, &mut command)?;
    } else {
        command.args(["--from", &service.manifest, "--state-dir"]).arg(service.directory.path());
    }
    command.args(&service.arguments);
    command.envs(service.environment.iter().cloned());
    command.current_dir(root()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(match service.has_no_log && runtime != "spin" {
        true => std::fs::OpenOptions::new().write(true).open("/dev/full")?.into(),
        false => Stdio::piped(),
    });
    // A group of its own: `spin up` starts a process that has to end, too.
    command.process_group(0);
    Ok(command)
}

/// The gateway's arguments. Its stores have the names that tests expect, unless they have others.
fn of_gateway(service: &Service, command: &mut Command) -> Result<()> {
    const STORES: &str = "--runtime-config-file";
    command.arg("--data").arg(service.directory.path());
    if service.manifest != "spin.toml" {
        command.args(["--from", &service.manifest]);
    }
    if !service.arguments.iter().any(|argument| argument == STORES) {
        let quoted = |file: &Path| format!("{:?}", file.display().to_string());
        let lines = format!(
            "[key_value_store.default]\ntype = \"spin\"\npath = {}\n\
             [sqlite_database.default]\ntype = \"spin\"\npath = {}\n",
            quoted(&service.journal_file()),
            quoted(&service.regions_file())
        );
        let file = service.directory().join("stores.toml");
        std::fs::write(&file, lines)?;
        command.arg(STORES).arg(file);
    }
    Ok(())
}

/// The gateway with the application in it: one file. It is made of what cargo has built, unless
/// `ISOTHERM_GATEWAY` names one.
///
/// # Errors
///
/// It, or a component, is not built.
pub fn gateway() -> Result<&'static Path> {
    static MADE: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| make_gateway().map_err(|error| format!("{error:#}")));
    made.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn make_gateway() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("ISOTHERM_GATEWAY") {
        return Ok(given.into());
    }
    crate::fresh::check("spin.toml")?;
    let directory = root().join("target/gateway-of-tests");
    std::fs::create_dir_all(&directory)?;
    let compiler = binary("isotherm-compile")?;
    // Of this process: several may make one at a time.
    let unfinished = |name: &str| directory.join(format!("{name}.{}", std::process::id()));
    let (beside, gateway) = (unfinished("isotherm-compile"), unfinished("isotherm-gateway"));
    std::fs::copy(&compiler, &beside)?;
    std::fs::rename(&beside, directory.join("isotherm-compile"))?;
    let output = Command::new(&compiler)
        .args(["bundle", "--from", "spin.toml", "--onto"])
        .arg(binary("isotherm-gateway")?)
        .arg("--to")
        .arg(&gateway)
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        bail!("the gateway was not made: {}", String::from_utf8_lossy(&output.stderr));
    }
    let path = directory.join("isotherm-gateway");
    std::fs::rename(&gateway, &path)?;
    Ok(path)
}
