//! `cargo xtask up`: builds the components and serves them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use rusqlite::{Connection, ErrorCode};
use xshell::{Shell, cmd};

use crate::access::Access;
use crate::peers::{BEAT, Peers};
use crate::{Runtime, beat, build, greeting, listen, program, step};

/// The environment variable with the token for the beat.
const BEAT_TOKEN: &str = "ISOTHERM_BEAT_TOKEN";

/// Where everything is kept, unless `--state-dir` names another directory. The configuration
/// `runtime-config.toml` begins the stores' paths with it.
const STATE: &str = ".spin";
/// The stores' files in it, as `runtime-config.toml` names them.
const JOURNAL: &str = "journal.db";
const REGIONS: &str = "regions.db";
/// The configuration that the runtime gets.
const CONFIG: &str = "runtime-config.toml";

struct Options {
    runtime: Option<Runtime>,
    listen: String,
    state: PathBuf,
    /// Those of `--variable`.
    given: Vec<String>,
    /// These, and those of `--peer` and `--node`.
    variables: Vec<String>,
    peers: Peers,
    auth: bool,
    is_built: bool,
}

/// Runs until it is interrupted.
pub(crate) fn run(shell: &Shell, arguments: Vec<String>) -> Result<()> {
    let options = parse(arguments)?;
    let (secrets, said) = check(&options)?;
    let address = listen::address(&options.listen)?;
    listen::check(address)?;
    let has_spin = cmd!(shell, "spin --version").quiet().ignore_stdout().ignore_stderr();
    let runtime = match options.runtime {
        Some(runtime) => runtime,
        None if has_spin.run().is_ok() => Runtime::Spin,
        None => Runtime::Embedded,
    };
    let has_peers = !options.peers.origins().is_empty();
    if runtime == Runtime::Spin && has_peers && address.port() == 0 {
        bail!("--peer needs a port with Spin, as in --listen 127.0.0.1:3000");
    }
    if !options.is_built {
        build_for(shell, runtime)?;
    }
    let journal = options.state.join(JOURNAL);
    prepare_journal(&journal)?;
    put_aside_if_damaged(&options.state.join(REGIONS))?;
    // Building takes a while: another program may have taken it.
    listen::check(address)?;
    if let Some(access) = &secrets.access {
        access.keep()?;
    }
    let access_said = secrets.access.as_ref().map(|access| access.said(&journal));
    greeting::print(runtime, &options.listen, &options.peers, &said, access_said.as_deref());

    let template = std::fs::read_to_string(crate::root().join("runtime-config.toml"))?;
    let config = options.state.join(CONFIG);
    std::fs::write(&config, with_absolute_paths(&template, &crate::root(), &options.state))?;
    // Spin takes no names.
    let (state, listen) = (&options.state, address.to_string());
    let mut command = match runtime {
        Runtime::Spin => cmd!(shell, "spin up"),
        Runtime::Embedded => {
            let host = program("isotherm-host")?;
            cmd!(shell, "{host}")
        }
    };
    command = command.args(["--listen", &listen]).arg("--state-dir").arg(state);
    command = command.arg("--runtime-config-file").arg(&config);
    for variable in &options.variables {
        command = command.args(["--variable", variable]);
    }
    match runtime {
        Runtime::Embedded if has_peers => command = command.args(["--beat", BEAT]),
        Runtime::Spin if has_peers => beat::start(address, secrets.beat.clone()),
        Runtime::Embedded | Runtime::Spin => {}
    }
    // What is secret goes by the environment: every user of the machine sees command lines.
    let served = command.envs(secrets.environment()).quiet().run();
    // The runtime has said why.
    served.map_err(|_exit| anyhow!("the {} runtime ended; see the line above", runtime.name()))
}

/// What no command line has.
struct Secrets {
    access: Option<Access>,
    /// The token for the beat, where access control is on.
    beat: Option<String>,
    /// The variable of the token for the peer.
    peer: Option<(&'static str, String)>,
}

impl Secrets {
    /// The runtime's environment.
    fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let access = self.access.iter().flat_map(Access::environment);
        let beat = self.beat.iter().map(|token| (BEAT_TOKEN, token.as_str()));
        let peer = self.peer.iter().map(|(name, token)| (*name, token.as_str()));
        access.chain(beat).chain(peer)
    }
}

/// Fails if the options don't go together or with the environment. Returns what is secret, and
/// what is to be said of the variables.
fn check(options: &Options) -> Result<(Secrets, String)> {
    let manifest = std::fs::read_to_string(crate::root().join("spin.toml"))?;
    refuse_secrets(&manifest, &options.variables)?;
    let environment = |name: &str| std::env::var(name).ok();
    let given = &options.given;
    let peers = &options.peers;
    peers.check_alone(given, &environment)?;
    let mut access = match options.auth {
        true => Some(Access::read(&options.state)?),
        false => None,
    };
    if let Some(access) = &access {
        access.check_alone(given, &environment)?;
    }
    let has_peers = !peers.origins().is_empty();
    let beat = match &mut access {
        _ if !has_peers => None,
        Some(access) => Some(access.let_beat()?),
        None => environment(BEAT_TOKEN).filter(|token| !token.trim().is_empty()),
    };
    let secrets = Secrets { access, beat, peer: peers.environment(&environment)? };
    let ours = |name: &str| {
        let found = secrets.environment().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_owned()).or_else(|| environment(name))
    };
    let said = checked(&manifest, &options.variables, &ours)?;
    if has_peers && greeting::is_on(&said) && secrets.beat.is_none() {
        bail!(
            "access control is on, so the node's timer needs a token with a scope \
             sync:<node>@<region>: set {BEAT_TOKEN}, or give --auth"
        );
    }
    Ok((secrets, said))
}

pub(crate) fn build_for(shell: &Shell, runtime: Runtime) -> Result<()> {
    build(shell)?;
    if runtime == Runtime::Embedded {
        step("Building the embedded runtime (some minutes the first time)");
        // With the whole workspace, as the tests build it: otherwise cargo would
        // compile the same dependencies again with other features.
        cmd!(shell, "cargo build --locked --workspace --bin isotherm-host").quiet().run()?;
    }
    Ok(())
}

fn parse(arguments: Vec<String>) -> Result<Options> {
    use lexopt::prelude::*;
    let mut options = Options {
        runtime: None,
        listen: "127.0.0.1:3000".to_owned(),
        state: crate::root().join(STATE),
        given: Vec::new(),
        variables: Vec::new(),
        peers: Peers::default(),
        auth: false,
        is_built: false,
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("runtime") => options.runtime = Some(Runtime::named(&parser.value()?.string()?)?),
            Long("listen") => options.listen = parser.value()?.string()?,
            Long("variable") => options.given.push(parser.value()?.string()?),
            Long("peer") => options.peers.add(&parser.value()?.string()?)?,
            Long("node") => options.peers.name(parser.value()?.string()?)?,
            // As the shell names it, whatever directory the commands run in.
            Long("state-dir") => options.state = std::path::absolute(parser.value()?)?,
            Long("auth") => options.auth = true,
            Long("no-build") => options.is_built = true,
            other => bail!("{}; see cargo xtask help", other.unexpected()),
        }
    }
    let ours = options.peers.variables().into_iter().map(|(name, value)| format!("{name}={value}"));
    options.variables = options.given.iter().cloned().chain(ours).collect();
    Ok(options)
}

/// Fails if a variable that is secret would stand on command lines.
fn refuse_secrets(manifest: &str, given: &[String]) -> Result<()> {
    let manifest: toml::Table = manifest.parse().context("spin.toml")?;
    for (name, _) in given.iter().filter_map(|pair| pair.split_once('=')) {
        let secret = || manifest.get("variables")?.get(name)?.get("secret")?.as_bool();
        if secret() == Some(true) {
            bail!(
                "variable {name} is secret, and every user of the machine sees command lines; set \
                 it in the environment: SPIN_VARIABLE_{}",
                name.to_uppercase()
            );
        }
    }
    Ok(())
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

/// The configuration with absolute paths: below `.spin` those in `state`, other relative ones
/// from the project's root. Spin takes that of a key-value store from the configuration's
/// directory, and that of a database from its own working directory.
fn with_absolute_paths(config: &str, root: &Path, state: &Path) -> String {
    let place = |path: &Path| match path.strip_prefix(STATE) {
        Ok(below) => state.join(below),
        Err(_elsewhere) => root.join(path),
    };
    let absolute = |line: &str| {
        let path = line.strip_prefix("path = \"").and_then(|rest| rest.strip_suffix('"'));
        path.map_or(line.to_owned(), |path| format!("path = {:?}", place(Path::new(path))))
    };
    config.lines().map(|line| absolute(line) + "\n").collect()
}

/// Puts the journal's file into WAL mode, and says so where it is new.
fn prepare_journal(path: &Path) -> Result<()> {
    if !path.exists() {
        step(&format!("Creating {} in WAL mode", path.display()));
    }
    put_into_wal_mode(path)
}

/// Puts the journal's file into WAL mode: Spin creates it without, which costs more than
/// half of the rate, and a copy may have lost it. A new file gets small pages. An entry of
/// one reading writes two or three of them, for which 1 KiB each is enough (12 KB written
/// to disk for a reading instead of 17, measured).
pub(crate) fn put_into_wal_mode(path: &Path) -> Result<()> {
    let parent = path.parent().context("the journal's path has no directory")?;
    std::fs::create_dir_all(parent)?;
    let connection = Connection::open(path)?;
    // The first does nothing to a file that has pages.
    let set = connection
        .pragma_update(None, "page_size", 1024)
        .and_then(|()| connection.pragma_update(None, "journal_mode", "WAL"));
    if let Err(error) = set {
        println!("{} can't be put into WAL mode, so it may be slow: {error}", path.display());
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
    fn both_stores_of_the_configuration_are_in_the_state_directory() {
        let config = std::fs::read_to_string(crate::root().join("runtime-config.toml")).unwrap();
        let absolute = |root: &str, state: &str| {
            with_absolute_paths(&config, Path::new(root), Path::new(state))
        };
        let paths = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with("path"));
            lines.map(ToOwned::to_owned).collect()
        };
        let below = |path| format!(r#"path = "/a \"b\"/c/{path}""#);
        let both = [below(JOURNAL), below(REGIONS)];
        assert_eq!(paths(&absolute("/x", r#"/a "b"/c"#)), both);
        let elsewhere = |path| with_absolute_paths(path, Path::new("/a"), Path::new("/b"));
        assert_eq!(elsewhere("path = \"/x.db\"\n"), "path = \"/x.db\"\n");
        assert_eq!(elsewhere("path = \"x/y.db\"\n"), "path = \"/a/x/y.db\"\n");
    }

    #[test]
    fn a_secret_is_refused_on_the_command_line() {
        let manifest = std::fs::read_to_string(crate::root().join("spin.toml")).unwrap();
        let said = |pair: &str| refuse_secrets(&manifest, &[pair.to_owned()]);
        assert!(said("retention=9d").is_ok() && said("unknown=1").is_ok());
        for name in ["tokens", "session_key", "jwt_keys"] {
            let error = said(&format!("{name}=hush")).unwrap_err().to_string();
            assert!(error.contains(&format!("SPIN_VARIABLE_{}", name.to_uppercase())), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
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
