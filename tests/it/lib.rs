//! What starts a service for a black-box test: the components in the runtime
//! that `ISOTHERM_RUNTIME` names, on a port and in a directory of its own.

#![forbid(unsafe_code)]

mod fresh;
mod pod;
pub mod programs;
mod runtime;
mod secrets;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use runtime::gateway;

use anyhow::{Context, Result, bail};
use isotherm_load::sender::{Answer, Sender};
use tempfile::TempDir;

/// How long a test's sender keeps trying.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the embedded runtime has its switches.
const FAULTS_PATH: &str = "/.well-known/isotherm-host/faults";

/// A running service. When it is dropped it is killed, and searched for secrets (`secrets`).
pub struct Service {
    manifest: String,
    directory: Arc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    survives_file_limit: bool,
    has_no_log: bool,
    process: Option<Child>,
    sender: Sender,
    log: Arc<Mutex<String>>,
}

impl Service {
    /// Starts a service with these variables and waits until it serves.
    pub fn start(variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(variables, &[])
    }

    /// The same in the embedded runtime, with switches that make its stores
    /// fail (`set_faults`).
    pub fn start_faulty(variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(variables, &["--faults"])
    }

    /// The same with variables that need not be valid. The embedded runtime would not start
    /// with them; Spin does.
    pub fn start_unchecked(variables: &[(&str, &str)]) -> Result<Self> {
        match std::env::var("ISOTHERM_RUNTIME").as_deref() {
            Ok("spin") => Self::start(variables),
            _ => Self::start_with(variables, &["--unchecked"]),
        }
    }

    /// The same with further arguments for the runtime.
    pub fn start_with(variables: &[(&str, &str)], arguments: &[&str]) -> Result<Self> {
        let mut service = Self::prepare("spin.toml", variables, arguments)?;
        service.run()?;
        Ok(service)
    }

    /// The same for the manifest at this path in the project, and not started yet. Fails
    /// where its components are older than their source: `cargo test` does not build them.
    pub fn prepare(manifest: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Self> {
        fresh::check(manifest)?;
        let directory = Arc::new(TempDir::new()?);
        let pod = pod::named(directory.path(), variables)?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        let variables = variables
            .iter()
            .flat_map(|(name, value)| ["--variable".to_owned(), format!("{name}={value}")]);
        let mut service = Self {
            manifest: manifest.to_owned(),
            directory,
            arguments: arguments.chain(variables).collect(),
            environment: Vec::new(),
            survives_file_limit: false,
            has_no_log: false,
            process: None,
            sender: Sender::new("http://127.0.0.1:0", PATIENCE),
            log: Arc::default(),
        };
        if let Some(pod) = pod {
            service.set_environment(pod.environment);
            service.configure(&pod.config)?;
        }
        Ok(service)
    }

    /// Gives it these variables of the environment for its next start.
    pub fn set_environment(&mut self, variables: Vec<(String, String)>) {
        self.environment = variables;
    }

    /// Gives it a runtime configuration for its next start, in a file of its own directory.
    pub fn configure(&mut self, lines: &str) -> Result<()> {
        const FLAG: &str = "--runtime-config-file";
        let file = self.directory().join("runtime-config.toml");
        std::fs::write(&file, lines)?;
        if !self.arguments.iter().any(|argument| argument == FLAG) {
            let file = file.to_str().context("a directory whose name is no text")?;
            self.arguments.extend([FLAG, file].map(ToOwned::to_owned));
        }
        Ok(())
    }

    /// Starts another one on the stores of this one: by another manifest, on a port of its own.
    pub fn start_beside(&self, manifest: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let mut service = Self::prepare(manifest, variables, &[])?;
        service.directory = self.directory.clone();
        service.run()?;
        Ok(service)
    }

    /// The same as `start`, for a limit on the size of files that `prlimit` sets: what is
    /// beyond it can't be written, as on a full disk.
    pub fn start_limited() -> Result<Self> {
        let mut service = Self::start(&[])?;
        service.survives_file_limit = true;
        service.run()?;
        Ok(service)
    }

    /// The same, with a log that can't be written, as on a full disk.
    pub fn start_without_log() -> Result<Self> {
        let mut service = Self::prepare("spin.toml", &[], &[])?;
        service.has_no_log = true;
        // The components' log is a file with Spin, and the embedded runtime's own
        // standard error.
        let logs = service.directory.path().join("logs");
        std::fs::create_dir(&logs)?;
        for component in ["ingest", "query", "inspect"] {
            std::os::unix::fs::symlink("/dev/full", logs.join(format!("{component}_stderr.txt")))?;
        }
        service.run()?;
        Ok(service)
    }

    /// Starts it, or again on its old stores and on another port.
    pub fn run(&mut self) -> Result<()> {
        self.kill();
        let mut process =
            runtime::command(self)?.spawn().context("the runtime can't be started")?;
        let stdout = process.stdout.take().context("no standard output")?;
        let stderr = process.stderr.take();
        self.process = Some(process);
        let reader = stderr.map(|stderr| self.collect(stderr));
        let mut lines = BufReader::new(stdout);
        let Some(url) = self.url_if_it_serves(&mut lines)? else {
            // It says why, and then ends.
            reader.map(std::thread::JoinHandle::join);
            let hint = "the runtime ended before it served; build with `cargo xtask test`";
            bail!("{hint}\n{}", self.log());
        };
        self.collect(lines);
        self.sender = Sender::new(&url, PATIENCE);
        Ok(())
    }

    fn url_if_it_serves(&self, lines: &mut impl BufRead) -> Result<Option<String>> {
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            if let Some((_, url)) = line.split_once("Serving ") {
                return Ok(Some(url.trim().to_owned()));
            }
            line.clear();
        }
        Ok(None)
    }

    /// Reads a stream to its end in the background, into the log.
    fn collect(&self, mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<()> {
        let log = self.log.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
                log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        })
    }

    /// Its origin, like `http://127.0.0.1:41234`.
    pub fn url(&self) -> String {
        self.sender.url().trim_end_matches('/').to_owned()
    }

    /// The id of its process.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Lets its stores fail by these rules, or by none (`isotherm_host::faults`).
    pub fn set_faults(&self, rules: &serde_json::Value) -> Result<()> {
        let plan = serde_json::json!({"seed": 1, "rules": rules}).to_string();
        let answer = self.sender.put(FAULTS_PATH, plan.as_bytes())?;
        if answer.status != 204 {
            bail!("the faults were not set: {} {}", answer.status, answer.body);
        }
        Ok(())
    }

    /// Ends the service with SIGKILL: no process of it gets to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let group = format!("-{}", process.id());
            let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
            assert!(killed.is_ok_and(|status| status.success()), "the service was not running");
            assert!(process.wait().is_ok(), "the service did not end");
        }
    }

    /// What the service has written to its output and log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has logged `text`: the log comes later than the answer that
    /// it is about.
    #[expect(clippy::disallowed_methods, reason = "a test waits by the machine's clock")]
    pub fn wait_for_log(&self, text: &str) -> Result<()> {
        let started = Instant::now();
        while !self.log().contains(text) {
            if started.elapsed() > PATIENCE {
                bail!("nothing like {text:?} was logged:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The directory of its stores.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A sender to it, until it is run again.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The file of its journal.
    pub fn journal_file(&self) -> PathBuf {
        self.directory().join("sqlite_key_value.db")
    }

    /// The file of its regions database.
    pub fn regions_file(&self) -> PathBuf {
        self.directory().join("sqlite_db.db")
    }

    /// One POST of `body` as JSON.
    pub fn post(&self, body: &str) -> Result<Answer> {
        self.sender.post(body.as_bytes(), &[])
    }

    /// One GET of `path`. Fails if a secret is in the answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let answer = self.sender.get(path)?;
        match secrets::found_in(answer.body.as_bytes(), &[]) {
            Some(what) => bail!("GET {path} answers with {what}"),
            None => Ok(answer),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("The service's log:\n{}", self.log());
            return;
        }
        let checked = secrets::check(self.directory(), &self.log(), &self.arguments);
        assert!(checked.is_ok(), "a secret was left behind: {checked:?}");
    }
}

/// The machine's clock, which the service goes by, in Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "the tests share the service's clock")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The path of a page that `next` refers to from an answer to `path`: the same resource
/// with another query (RFC 3986, 5.2.2).
pub fn next_page(path: &str, next: &str) -> String {
    let resource = path.split('?').next().unwrap_or(path);
    assert!(next.starts_with('?'), "{next} is no query alone");
    format!("{resource}{next}")
}

/// A program of the workspace, where cargo put it beside this one.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.parent().context("a program without a directory")?;
    // Tests are in one of their own beside the programs.
    let profile = directory.parent().filter(|_| directory.ends_with("deps")).unwrap_or(directory);
    let path = profile.join(name);
    if !path.exists() {
        bail!("{} is not built; use `cargo xtask test` or `bench`", path.display());
    }
    Ok(path)
}

/// The project's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
