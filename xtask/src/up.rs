//! `cargo xtask up`: builds the components and serves them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use rusqlite::{Connection, ErrorCode};
use xshell::{Shell, cmd};

use crate::{Runtime, build, listen, program, step};

/// The stores' files, as `runtime-config.toml` names them.
const JOURNAL: &str = ".spin/journal.db";
const REGIONS: &str = ".spin/regions.db";
/// The configuration that the runtime gets.
const CONFIG: &str = ".spin/runtime-config.toml";

struct Options {
    runtime: Option<Runtime>,
    listen: String,
    variables: Vec<String>,
}

/// Runs until it is interrupted.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let options = parse(arguments)?;
    let manifest = std::fs::read_to_string(crate::root().join("spin.toml"))?;
    let said = checked(&manifest, &options.variables, &|name| std::env::var(name).ok())?;
    let address = listen::address(&options.listen)?;
    listen::check(address)?;
    let has_spin = cmd!(shell, "spin --version").quiet().ignore_stdout().ignore_stderr();
    let runtime = match options.runtime {
        Some(runtime) => runtime,
        None if has_spin.run().is_ok() => Runtime::Spin,
        None => Runtime::Embedded,
    };
    build(shell)?;
    if runtime == Runtime::Embedded {
        step("Building the embedded runtime (some minutes the first time)");
        // With the whole workspace, as the tests build it: otherwise cargo would
        // compile the same dependencies again with other features.
        cmd!(shell, "cargo build --locked --workspace --bin isotherm-host").quiet().run()?;
    }
    prepare_journal(&crate::root().join(JOURNAL))?;
    put_aside_if_damaged(&crate::root().join(REGIONS))?;
    // Building takes a while: another program may have taken it.
    listen::check(address)?;
    greet(runtime, &options.listen, &said);

    // Spin takes no names.
    let mut flags = vec!["--listen".to_owned(), address.to_string()];
    let config = std::fs::read_to_string(crate::root().join("runtime-config.toml"))?;
    std::fs::write(crate::root().join(CONFIG), with_absolute_paths(&config, &crate::root()))?;
    flags.extend(["--runtime-config-file".to_owned(), CONFIG.to_owned()]);
    for variable in options.variables {
        flags.extend(["--variable".to_owned(), variable]);
    }
    let served = match runtime {
        Runtime::Spin => cmd!(shell, "spin up {flags...}").quiet().run(),
        Runtime::Embedded => {
            let host = program("isotherm-host")?;
            cmd!(shell, "{host} {flags...}").quiet().run()
        }
    };
    // The runtime has said why.
    served.map_err(|_exit| anyhow!("the {} runtime ended; see the line above", runtime.name()))
}

fn parse(arguments: Vec<String>) -> Result<Options> {
    use lexopt::prelude::*;
    let mut options =
        Options { runtime: None, listen: "127.0.0.1:3000".to_owned(), variables: Vec::new() };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("runtime") => options.runtime = Some(Runtime::named(&parser.value()?.string()?)?),
            Long("listen") => options.listen = parser.value()?.string()?,
            Long("variable") => options.variables.push(parser.value()?.string()?),
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    Ok(options)
}

/// What is to be said of the variables that the node will have: the manifest's defaults, those
/// of the environment, and the `given` ones. Fails if one of them is unknown or can't be used:
/// with a value that can't, Spin would start all the same, and refuse readings.
fn checked(
    manifest: &str,
    given: &[String],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String> {
    let manifest: toml::Table = manifest.parse().context("spin.toml")?;
    let variables = manifest.get("variables").and_then(toml::Value::as_table);
    let variables = variables.context("spin.toml has no variables")?;
    for pair in given {
        let (name, _) = pair
            .split_once('=')
            .with_context(|| format!("--variable {pair}: NAME=VALUE is needed"))?;
        if !variables.contains_key(name) {
            let known = variables.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            bail!("unknown variable {name}; supported: {known}");
        }
    }
    let value = |name: &str| {
        let given = given.iter().rev().filter_map(|pair| pair.split_once('='));
        let given = given.into_iter().find(|(known, _)| *known == name);
        let of_environment = || environment(&format!("SPIN_VARIABLE_{}", name.to_uppercase()));
        let default = || Some(variables.get(name)?.get("default")?.as_str()?.to_owned());
        given.map(|(_, value)| value.to_owned()).or_else(of_environment).or_else(default)
    };
    let asset = |name: &str| std::fs::read(crate::root().join("query/assets").join(name)).ok();
    isotherm::check_at_start(&value, &asset).map_err(anyhow::Error::msg)
}

/// The configuration with each relative path taken from the project's root. Spin takes that
/// of a key-value store from the configuration's directory, and that of a database from its
/// own working directory.
fn with_absolute_paths(config: &str, root: &Path) -> String {
    let absolute = |line: &str| {
        let path = line.strip_prefix("path = \"").and_then(|rest| rest.strip_suffix('"'));
        path.map_or(line.to_owned(), |path| format!("path = {:?}", root.join(path)))
    };
    config.lines().map(|line| absolute(line) + "\n").collect()
}

/// Puts the journal's file into WAL mode: Spin creates it without, which costs more than
/// half of the rate, and a copy may have lost it. A new file gets small pages. An entry of
/// one reading writes two or three of them, for which 1 KiB each is enough (12 KB written
/// to disk for a reading instead of 17, measured).
fn prepare_journal(path: &Path) -> Result<()> {
    if !path.exists() {
        step(&format!("Creating {JOURNAL} in WAL mode"));
    }
    let parent = path.parent().context("the journal's path has no directory")?;
    std::fs::create_dir_all(parent)?;
    let connection = Connection::open(path)?;
    // The first does nothing to a file that has pages.
    let set = connection
        .pragma_update(None, "page_size", 1024)
        .and_then(|()| connection.pragma_update(None, "journal_mode", "WAL"));
    if let Err(error) = set {
        println!("{JOURNAL} can't be put into WAL mode, so it may be slow: {error}");
    }
    Ok(())
}

/// Renames a damaged regions database, so that the operator can inspect it. The service
/// makes a new one, and folds what is in the journal into it.
fn put_aside_if_damaged(path: &Path) -> Result<()> {
    if !path.exists() || is_sound(path)? {
        return Ok(());
    }
    // The first number that is free.
    let aside = (1_u32..)
        .map(|number| PathBuf::from(format!("{}.damaged-{number}", path.display())))
        .find(|aside| !aside.exists())
        .context("no name is free")?;
    for suffix in ["", "-wal", "-shm"] {
        let with_suffix = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        if with_suffix(path).exists() {
            std::fs::rename(with_suffix(path), with_suffix(&aside))?;
        }
    }
    println!(
        "\nThe regions database was DAMAGED. It is kept as {}.\nA new one is made, and takes \
         what is in the journal. What was folded before is in the\ndamaged file alone: restore \
         it from a backup, or see https://sqlite.org/recovery.html.",
        aside.display()
    );
    Ok(())
}

/// Whether SQLite finds nothing wrong with the file. Fails if that can't be found out,
/// as when another process has locked it.
fn is_sound(path: &Path) -> Result<bool> {
    let check = || -> rusqlite::Result<String> {
        Connection::open(path)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(verdict) => Ok(verdict == "ok"),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(false),
            _ => Err(error).with_context(|| format!("{} can't be checked", path.display())),
        },
    }
}

fn greet(runtime: Runtime, listen: &str, said: &str) {
    let reason = match runtime {
        Runtime::Spin => "with spin",
        Runtime::Embedded => {
            "with the embedded runtime, as `spin` is not on the PATH or not wanted"
        }
    };
    step(&format!("Serving Isotherm on http://{listen} {reason}; end it with Ctrl-C"));
    println!(
        "
    POST /v1/readings                  one reading or an array of them
    GET  /v1/regions                   the averages of all regions
    GET  /v1/regions/{{region}}          the average of one; ?from=&to= narrow it
    GET  /v1/regions/{{region}}/windows  the same step by step; ?from=&to=&step=1h
    GET  /v1/regions/{{region}}/devices  the devices that sent them
    GET  /v1/regions/{{region}}/limits   what is set for it; PUT sets low_c and high_c
    GET  /v1/regions/{{region}}/excursions  when it was outside of that
    GET  /v1/devices/{{device_id}}       one device; below it its /readings
    GET  /v1/conflicts                 readings that contradict a counted one
    GET  /v1/rejections                what was rejected, of which device, and why
    GET  /v1/quarantine                readings that could not be counted
    GET  /v1/readings                  single readings as they stand, for an export
    POST /v1/corrections               takes a counted reading back, or replaces it
    GET  /v1/status                    how much there is, what it takes, and will take
    GET  /metrics  /readyz  /healthz  /v1/events  /openapi.json

The page with all regions and their charts: http://{listen}/
{said}; /v1/status has what that takes.

Try, in another terminal:

    curl -H 'content-type: application/json' -H 'prefer: wait' \\
        -d '{{\"device_id\":\"d1\",\"region\":\"hall\",\"temperature_c\":21.5,\"timestamp\":'$(date +%s000)'}}' \\
        http://{listen}/v1/readings
    curl http://{listen}/v1/regions/hall
"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_can_not_be_used_is_refused_wherever_it_comes_from() {
        let manifest = "[variables]\nretention = { default = \"7d\" }\n\
                        max_skew = { default = \"5m\" }\ntime_zone = { default = \"UTC\" }\n";
        let none = |_: &str| None;
        let said = |given: &[&str], environment: &dyn Fn(&str) -> Option<String>| {
            let given: Vec<String> = given.iter().map(|&pair| pair.to_owned()).collect();
            checked(manifest, &given, environment).map_err(|error| error.to_string())
        };
        assert!(said(&[], &none).unwrap().contains("7 days"));
        assert!(said(&["retention=9d", "retention=30d"], &none).unwrap().contains("30 days"));
        let soon = |name: &str| (name == "SPIN_VARIABLE_RETENTION").then(|| "soon".to_owned());
        assert!(said(&[], &soon).unwrap_err().starts_with("variable retention: \"soon\" must be "));
        assert!(said(&["retention=1d"], &soon).unwrap().contains("1 day "));
        assert!(said(&["max_skew=x"], &none).unwrap_err().starts_with("variable max_skew: \"x\""));
        assert!(said(&["time_zone=Europe/Berlin"], &none).is_ok());
        let zone = said(&["time_zone=Berlin"], &none).unwrap_err();
        assert!(zone.starts_with("variable time_zone: \"Berlin\" must be "), "{zone}");
        let unknown = "unknown variable retenton; supported: max_skew, retention, time_zone";
        assert_eq!(said(&["retenton=1d"], &none), Err(unknown.to_owned()));
        let form = "--variable retention: NAME=VALUE is needed";
        assert_eq!(said(&["retention"], &none), Err(form.to_owned()));
    }

    #[test]
    fn both_stores_of_the_configuration_are_below_the_projects_root() {
        let config = std::fs::read_to_string(crate::root().join("runtime-config.toml")).unwrap();
        let absolute = with_absolute_paths(&config, Path::new("/a \"b\"/c"));
        let paths: Vec<&str> = absolute.lines().filter(|line| line.starts_with("path")).collect();
        let below = |path| format!(r#"path = "/a \"b\"/c/{path}""#);
        assert_eq!(paths, [below(JOURNAL), below(REGIONS)]);
        assert_eq!(
            with_absolute_paths("path = \"/x.db\"\n", Path::new("/a")),
            "path = \"/x.db\"\n"
        );
    }

    #[test]
    fn a_journal_is_put_into_wal_mode_whether_it_is_new_or_a_copy() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("journal.db");
        for _new_or_old in 0..2 {
            prepare_journal(&path).unwrap();
            let connection = Connection::open(&path).unwrap();
            let mode = |sql| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
            assert_eq!(mode("PRAGMA journal_mode"), "wal");
            assert_eq!(mode("PRAGMA journal_mode = DELETE"), "delete");
        }
    }

    #[test]
    fn a_damaged_database_is_put_aside_and_a_sound_one_is_left_alone() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("regions.db");
        put_aside_if_damaged(&path).unwrap();
        let fill = "CREATE TABLE t (a); \
                    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) \
                    INSERT INTO t SELECT i || ' some text' FROM n";
        Connection::open(&path).unwrap().execute_batch(fill).unwrap();
        put_aside_if_damaged(&path).unwrap();
        assert!(path.exists());

        // A page in the middle, and then the whole file.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3 * 4_096..4 * 4_096].fill(0xaa);
        for (number, bytes) in [(1, bytes), (2, vec![b'?'; 9_000])] {
            std::fs::write(&path, &bytes).unwrap();
            put_aside_if_damaged(&path).unwrap();
            assert!(!path.exists());
            let aside = directory.path().join(format!("regions.db.damaged-{number}"));
            assert_eq!(std::fs::read(aside).unwrap(), bytes);
        }
    }
}
