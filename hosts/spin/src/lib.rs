//! The seam over Spin: one-line forwards to its SDK, and how bodies are read and
//! written.
//!
//! `stores` has the two stores, `files` the mounted files, `request` and `response`
//! HTTP as a server, `outgoing` HTTP as a client.

#![cfg(target_family = "wasm")]
#![forbid(unsafe_code)]

mod deadline;
mod files;
mod outgoing;
mod request;
mod response;
mod stores;

use std::cell::OnceCell;
use std::io::Write;

use isotherm::UnixMillis;
use isotherm::error::best_effort;
use isotherm::host::{Host, HttpAnswer, HttpCall, SendError, StoreError};
use isotherm::http::Request;
use isotherm::log::{AccessLine, Log};
use spin_sdk::variables;

pub use request::{drop_body, head, read_body};
pub use response::{send, stream};
pub use stores::{Bucket, Connection};

/// The Spin runtime around one request.
pub struct Spin {
    log: Log,
    /// Opened once: on Spin each opening costs a switch of threads, and with Redis a round
    /// trip. Its connection is the runtime's, and comes back by itself.
    bucket: OnceCell<Bucket>,
}

impl Spin {
    /// The runtime around `request`, which `component` answers.
    pub fn new(component: &'static str, request: &Request) -> Self {
        Self { log: Log::new(component, request), bucket: OnceCell::new() }
    }

    /// Logs that `request` was answered.
    pub fn log_request(&self, request: &Request, answered: AccessLine<'_>) {
        print(self.log.request(request, answered));
    }
}

/// Writes one line in one call: in two, those of concurrent requests could mix. A log
/// that can't be written (a full disk, say) must not end a request; `eprintln!` would
/// panic.
fn print(mut line: String) {
    line.push('\n');
    best_effort(std::io::stderr().write_all(line.as_bytes()));
}

/// The node's clock. Only the entry points and the stream of events read it.
pub fn now() -> UnixMillis {
    let now = wasi::clocks::wall_clock::now();
    let seconds = i64::try_from(now.seconds).unwrap_or(i64::MAX);
    let ms = i64::from(now.nanoseconds / 1_000_000);
    UnixMillis::new(seconds.saturating_mul(1_000).saturating_add(ms)).unwrap_or(UnixMillis::MAX)
}

impl Host for Spin {
    type KeyValue = Bucket;
    type Sql = Connection;

    fn key_value(&self) -> Result<Bucket, StoreError> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket.clone());
        }
        let opened = Bucket::open()?;
        Ok(self.bucket.get_or_init(|| opened).clone())
    }

    fn sql(&self) -> Result<Connection, StoreError> {
        Connection::open()
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        match variables::get(name) {
            Ok(value) => Ok(Some(value)),
            Err(variables::Error::Undefined(_)) => Ok(None),
            Err(error) => Err(StoreError::from_message(error.to_string())),
        }
    }

    fn monotonic_ms(&self) -> u64 {
        wasi::clocks::monotonic_clock::now() / 1_000_000
    }

    fn sleep_ms(&self, ms: u64) {
        wasi::clocks::monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000)).block();
    }

    fn random(&self) -> u64 {
        wasi::random::random::get_random_u64()
    }

    fn secret(&self) -> Result<[u8; 32], StoreError> {
        let bytes = wasi::random::random::get_random_bytes(32);
        bytes
            .try_into()
            .map_err(|_wrong_length| StoreError::from_message("the runtime gave too few bytes"))
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        files::asset(name)
    }

    fn send(&self, call: &HttpCall<'_>) -> Result<HttpAnswer, SendError> {
        outgoing::send(call)
    }

    fn log(&self, line: &str) {
        print(self.log.message(line));
    }
}
