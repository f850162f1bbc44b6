//! The application in this process: its stores on a real SQLite, its calls without HTTP,
//! and a clock that is an argument.

use std::path::{Path, PathBuf};

use http::Method;
use isotherm::api::readings::Begun;
use isotherm::api::{readings, router};
use isotherm::error::Error;
use isotherm::host::{Host, KeyValue};
use isotherm::http::{Header, Request, Response};
use isotherm::internals::domain::reading::{Reading, UnixMillis};
use isotherm::internals::domain::rejection::Rejections;
use isotherm::internals::fold;
use isotherm::internals::journal::inventory::Inventory;
use isotherm::internals::journal::{self, Entry};
use isotherm::internals::ledger::Outcome;
use isotherm::internals::ledger::database::{Budget, Database};
use isotherm::internals::settings::Horizon;
use isotherm::limits;
use isotherm_it::root;
use isotherm_stores::KeyValueFile;
use isotherm_stores::native::NativeHost;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::assert::{header, metric};
use crate::support::faulty::{FaultyHost, Plan};
use crate::support::readings::{NOW, START, at};

/// Nothing is ever too old.
pub(crate) const FOR_EVER: Horizon =
    Horizon { retention_ms: None, max_skew_ms: 300_000, late_after_ms: 300_000 };
pub(crate) const PATIENT: Budget = Budget { lock_ms: 5_000, total_ms: 60_000 };

/// A directory for stores that nothing has to survive but the test's own faults: in
/// memory, where the machine has such a place, as every call syncs.
pub(crate) fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_absent| TempDir::new()).unwrap()
}

/// A node, and its clock, which goes on by a second with every request.
pub(crate) struct Node {
    pub(crate) host: FaultyHost,
    pub(crate) now: UnixMillis,
    directory: PathBuf,
    /// Removed with its stores at the end, if they are the node's own.
    _own: Option<TempDir>,
}

impl Node {
    /// One with stores of its own and the machine's time and chance. Its clock stands at
    /// `START`.
    pub(crate) fn new(variables: &[(&str, &str)]) -> Self {
        let own = scratch();
        Self { _own: None, ..Self::over(own.path(), variables) }.owning(own)
    }

    /// The same in simulated time, with chance that makes no request fold by itself. Its
    /// clock stands at `NOW`.
    pub(crate) fn quiet(variables: &[(&str, &str)]) -> Self {
        Self::new(variables).simulated(1, 3).with_clock_at(NOW)
    }

    /// One over the stores in this directory, which outlive it.
    pub(crate) fn over(directory: &Path, variables: &[(&str, &str)]) -> Self {
        let host = FaultyHost::over(NativeHost::new(directory, variables).unwrap());
        Self { host, now: at(START), directory: directory.to_owned(), _own: None }
    }

    fn owning(self, own: TempDir) -> Self {
        Self { _own: Some(own), ..self }
    }

    /// The same with simulated time and chance (`NativeHost::simulated`).
    pub(crate) fn simulated(mut self, step_ms: u64, seed: u64) -> Self {
        self.host.inner = self.host.inner.simulated(step_ms, seed);
        self
    }

    /// The same with the files of the page and the time zones.
    pub(crate) fn with_files(mut self) -> Self {
        self.host.inner = self.host.inner.with_files(&root().join("query/assets"));
        self
    }

    pub(crate) fn with_clock_at(mut self, ms: i64) -> Self {
        self.set_clock(ms);
        self
    }

    pub(crate) fn set_clock(&mut self, ms: i64) {
        self.now = at(ms);
    }

    /// From now on calls fail by this plan.
    pub(crate) fn set_plan(&mut self, plan: Plan) {
        self.host.plan = plan.into();
    }

    /// Starts a quiet node again on the same stores, with these variables.
    pub(crate) fn restart(&mut self, variables: &[(&str, &str)]) {
        let host = NativeHost::new(&self.directory, variables).unwrap();
        self.host = FaultyHost::over(host.simulated(1, 3));
    }

    /// The directory of its stores.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn tick(&mut self) -> UnixMillis {
        self.now = self.now.saturating_add(1_000);
        self.now
    }
}

/// Requests, of `ingest` and of `query`.
impl Node {
    /// One request to `ingest`, and what it does after its answer.
    pub(crate) fn send(&mut self, body: &Value, waits: bool) -> Response {
        let (now, mut head) = (self.tick(), Request::post("/v1/readings"));
        if waits {
            head.headers.set(Header::Prefer, "wait");
        }
        let handled = readings::post(&self.host, &head, body.to_string().as_bytes(), now);
        // What fails here fails after the answer, and nobody hears of it.
        drop(handled.after_answer.run(&self.host, now));
        handled.response
    }

    pub(crate) fn post(&mut self, body: &Value) -> Response {
        self.send(body, false)
    }

    /// Posts `body`; it is acknowledged with 202.
    #[track_caller]
    pub(crate) fn accept(&mut self, body: &Value) -> Value {
        json_of(&self.send(body, false), 202)
    }

    /// Posts `body` and waits for the outcomes, which come with 200.
    #[track_caller]
    pub(crate) fn accept_and_wait(&mut self, body: &Value) -> Value {
        json_of(&self.send(body, true), 200)
    }

    /// Posts `body`; nothing of it is accepted, for a reason of the sender's.
    #[track_caller]
    pub(crate) fn reject(&mut self, body: &Value) -> Value {
        json_of(&self.send(body, false), 422)
    }

    /// One request to `query`, and what it does after its answer.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.get_as(path, "*/*")
    }

    /// The same for this type of answer.
    pub(crate) fn get_as(&mut self, path: &str, accept: &str) -> Response {
        let (now, head) = (self.tick(), Request::get(path).with(Header::Accept, accept));
        let answered = router::answer(&self.host, &head, now);
        drop(answered.after_answer.run(&self.host, now));
        answered.response
    }

    /// One request to `ingest` that has no body, and what it does after its answer.
    pub(crate) fn ask_ingest(&mut self, request: &Request) -> Response {
        let now = self.tick();
        let Begun::Done(handled) = readings::begin(&self.host, request, now) else {
            panic!("{request:?} wants a body");
        };
        drop(handled.after_answer.run(&self.host, now));
        handled.response
    }

    /// One request for which the clock does not go on, and nothing is done after it.
    pub(crate) fn ask(&self, path: &str) -> Response {
        router::answer(&self.host, &Request::get(path), self.now).response
    }

    /// The JSON that `ask` gets, with 200.
    #[track_caller]
    pub(crate) fn look_at(&self, path: &str) -> Value {
        json_of(&self.ask(path), 200)
    }

    pub(crate) fn status_of(&mut self, path: &str) -> u16 {
        self.get(path).status.as_u16()
    }

    /// The JSON at `path`, with 200.
    #[track_caller]
    pub(crate) fn read(&mut self, path: &str) -> Value {
        json_of(&self.get(path), 200)
    }

    #[track_caller]
    pub(crate) fn hall(&mut self) -> Value {
        self.read("/v1/regions/hall")
    }

    #[track_caller]
    pub(crate) fn metrics(&mut self) -> String {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body).unwrap()
    }

    /// The value of a metric by its name and labels.
    #[track_caller]
    pub(crate) fn metric(&mut self, name: &str) -> i64 {
        metric(&self.metrics(), name)
    }

    /// What the header of CSV says of all regions beside the table.
    #[track_caller]
    pub(crate) fn coverage_of_csv(&mut self) -> String {
        let csv = self.get_as("/v1/regions", "text/csv");
        header(&csv, "isotherm-coverage").unwrap().to_owned()
    }

    /// One request to `query` with another method and this body, as its entry point makes it.
    pub(crate) fn change(&mut self, method: Method, path: &str, body: &str) -> Response {
        let (now, head) = (self.tick(), Request::with_method(method, path));
        let answered = router::answer_with(&self.host, &head, body.as_bytes(), now);
        drop(answered.after_answer.run(&self.host, now));
        answered.response
    }

    /// Sets the limits of a region.
    #[track_caller]
    pub(crate) fn limit(&mut self, region: &str, limits: &Value) -> Value {
        let path = format!("/v1/regions/{region}/limits");
        json_of(&self.change(Method::PUT, &path, &limits.to_string()), 200)
    }

    /// An operator has what is in quarantine tried again.
    #[track_caller]
    pub(crate) fn retry(&self) -> Value {
        json_of(&self.retry_at("/v1/quarantine/retry"), 200)
    }

    pub(crate) fn retry_at(&self, path: &str) -> Response {
        router::answer(&self.host, &Request::post(path), self.now).response
    }
}

#[track_caller]
fn json_of(response: &Response, status: u16) -> Value {
    let text = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The journal, and folds of it.
impl Node {
    pub(crate) fn key_value(&self) -> KeyValueFile {
        self.host.inner.key_value().unwrap()
    }

    /// How many keys begin so.
    pub(crate) fn keys(&self, prefix: &str) -> usize {
        let keys = KeyValue::keys(&self.key_value()).unwrap();
        keys.iter().filter(|key| key.starts_with(prefix)).count()
    }

    /// The text under a key; empty if there is none.
    pub(crate) fn text_at(&self, key: &str) -> String {
        let value = KeyValue::get(&self.key_value(), key).unwrap().unwrap_or_default();
        String::from_utf8(value).unwrap()
    }

    pub(crate) fn put(&self, key: &str, value: &[u8]) {
        KeyValue::set(&self.key_value(), key, value).unwrap();
    }

    pub(crate) fn remove(&self, key: &str) {
        KeyValue::delete_many(&self.key_value(), &[key.to_owned()]).unwrap();
    }

    /// Journals an entry of these readings.
    pub(crate) fn journal(&self, readings: &[Reading<'_>]) -> Entry {
        let entry = Entry::encode(readings, &Rejections::default());
        journal::append(&self.host.inner, &self.key_value(), &entry).unwrap();
        entry
    }

    /// Folds all entries, and prunes by this horizon. Returns how many entries are left.
    pub(crate) fn fold_at(&self, horizon: Horizon, now: i64) -> usize {
        fold_and_prune(&self.host.inner, horizon, now).unwrap()
    }

    pub(crate) fn fold(&self) -> usize {
        self.fold_at(FOR_EVER, START)
    }

    /// Folds these readings at once, without the journal.
    pub(crate) fn post_now(&self, readings: &[Reading<'_>]) -> Vec<Outcome> {
        let regions = Database::open(&self.host.inner, PATIENT).unwrap();
        fold::post_now(&regions, readings, &Rejections::default()).unwrap()
    }
}

/// Folds what is in the journal. When it is empty, prunes what has expired.
pub(crate) fn fold_and_prune<H: Host>(
    host: &H,
    horizon: Horizon,
    now: i64,
) -> Result<usize, Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &journal)?;
    let regions = Database::open(host, PATIENT)?;
    let left = fold::run(&regions, &journal, &inventory)?.left_entries;
    if left == 0 {
        // What is to go is published first, and goes when that is known.
        fold::prune(&regions, &journal, horizon, at(now))?;
        let known = at(now + limits::PRUNE_PUBLISHED_MS_MIN);
        fold::prune(&regions, &journal, horizon, known)?;
    }
    Ok(left)
}
