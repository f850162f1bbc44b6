//! A server of libSQL's protocol, hrana 3 in JSON over HTTP, above one file of SQLite.
//!
//! What it does to a client is what libSQL's server does (0.24.33; its `hrana/http/stream.rs` and
//! `connection/connection_manager.rs`): a stream is one connection, and is found again by the
//! baton of the answer before; a writer waits for the one before it, and takes the lock away from
//! a transaction that is older than 5 s; a stream that nobody uses for 10 s is gone, with its
//! transaction. Beyond that it can be killed, and can lose answers. It is no libSQL: SQLite runs
//! the statements.
//!
//! - here: HTTP;
//! - `streams`: streams, batons, and the one writer;
//! - `statements`: runs a statement.

mod statements;
mod streams;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libsql_hrana::proto::{CursorReqBody, Error, PipelineReqBody};
use serde_json::json;
use tokio::runtime::Runtime;

use self::streams::{Refusal, Streams};

/// The token that it takes.
const TOKEN: &str = "token-of-the-libsql-server";

/// What it does to its clients.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Of so many answers to COMMIT, the last is lost after the commit; 0 loses none.
    lost_commits: AtomicU64,
    /// Of so many other answers, the last is lost; 0 loses none.
    lost_answers: AtomicU64,
    /// How long a statement waits before it runs, in milliseconds.
    pub(crate) pause_ms: AtomicU64,
    /// How long a transaction may hold the lock that another waits for, in milliseconds.
    pub(crate) lock_ms: AtomicU64,
    /// Whether commits are not synced, as libSQL's server has it by default.
    pub(crate) is_relaxed: AtomicBool,
    /// How long a stream may be unused, in milliseconds.
    pub(crate) idle_ms: AtomicU64,
    counts: Counts,
}

/// What has happened.
#[derive(Debug, Default)]
struct Counts {
    commits: AtomicU64,
    answers: AtomicU64,
    taken: AtomicU64,
    expired: AtomicU64,
}

impl Rules {
    /// As libSQL has it, but that it syncs each commit.
    fn of_libsql() -> Self {
        Self {
            is_relaxed: AtomicBool::new(false),
            lost_commits: AtomicU64::new(0),
            lost_answers: AtomicU64::new(0),
            pause_ms: AtomicU64::new(0),
            lock_ms: AtomicU64::new(5_000),
            idle_ms: AtomicU64::new(10_000),
            counts: Counts::default(),
        }
    }

    /// Whether the answer to this statement is lost.
    fn loses(&self, statement: &str) -> bool {
        let (every, count) = match statement.starts_with("COMMIT") {
            true => (&self.lost_commits, &self.counts.commits),
            false => (&self.lost_answers, &self.counts.answers),
        };
        let (every, count) = (every.load(Ordering::SeqCst), count.fetch_add(1, Ordering::SeqCst));
        every > 0 && count % every == every - 1
    }
}

/// A server and its file. It is stopped when it is dropped.
pub(crate) struct Hrana {
    file: PathBuf,
    port: u16,
    rules: Arc<Rules>,
    runtime: Option<(Runtime, Arc<Streams>)>,
}

impl Hrana {
    /// A server above `file`.
    pub(crate) fn start(file: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = Arc::new(Rules::of_libsql());
        let mut server = Self { file: file.to_owned(), port, rules, runtime: None };
        server.serve(listener);
        server
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The token that it takes.
    pub(crate) fn token(&self) -> &'static str {
        TOKEN
    }

    /// The lines of a runtime configuration that lead to it.
    pub(crate) fn config(&self) -> String {
        self.config_with(TOKEN)
    }

    /// The same with another token.
    pub(crate) fn config_with(&self, token: &str) -> String {
        let url = self.url();
        format!(
            "[sqlite_database.default]\ntype = \"libsql\"\nurl = \"{url}\"\ntoken = \"{token}\"\n"
        )
    }

    /// Ends it as a kill does: streams are gone with their transactions, and answers are lost.
    pub(crate) fn kill(&mut self) {
        if let Some((runtime, streams)) = self.runtime.take() {
            streams.end();
            // Statements that run end first: nothing works on the file after this.
            runtime.shutdown_timeout(Duration::from_secs(60));
        }
    }

    /// Starts it again, on the same port.
    pub(crate) fn run(&mut self) {
        self.serve(TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap());
    }

    /// What it does to its clients.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// From now on the last of `every` answers to COMMIT is lost.
    pub(crate) fn lose_commits(&self, every: u64) {
        self.rules.lost_commits.store(every, Ordering::SeqCst);
    }

    /// From now on the last of `every` other answers is lost.
    pub(crate) fn lose_answers(&self, every: u64) {
        self.rules.lost_answers.store(every, Ordering::SeqCst);
    }

    /// How many transactions were taken away from their streams.
    pub(crate) fn taken(&self) -> u64 {
        self.rules.counts.taken.load(Ordering::SeqCst)
    }

    /// How many streams were gone when they were used again.
    pub(crate) fn expired(&self) -> u64 {
        self.rules.counts.expired.load(Ordering::SeqCst)
    }

    /// Begins a transaction as a client that then does nothing. Returns its baton.
    pub(crate) fn begin_and_keep(&self) -> String {
        self.streams().begin()
    }

    /// Ends what such a client has.
    pub(crate) fn end(&self, baton: String) {
        self.streams().leave(&baton);
    }

    fn streams(&self) -> &Streams {
        &self.runtime.as_ref().unwrap().1
    }

    fn serve(&mut self, listener: TcpListener) {
        let runtime = Runtime::new().unwrap();
        let streams = Arc::new(Streams::new(&self.file, self.rules.clone()));
        let served = streams.clone();
        runtime.spawn(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let streams = served.clone();
                let service = service_fn(move |request| answer(streams.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        self.runtime = Some((runtime, streams));
    }
}

impl Drop for Hrana {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The answer is lost: the connection ends without one.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lost on purpose")
    }
}

impl std::error::Error for Lost {}

async fn answer(
    streams: Arc<Streams>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let path = request.uri().path().to_owned();
    let expected = format!("Bearer {TOKEN}");
    if request.headers().get("authorization").is_none_or(|sent| sent != expected.as_str()) {
        let error = "Authentication failed: The JWT is invalid".to_owned();
        return Ok(refused(StatusCode::UNAUTHORIZED, json!({"error": error}).to_string()));
    }
    let Ok(body) = request.into_body().collect().await else { return Err(Lost) };
    let body = body.to_bytes();
    let work = move || match path.as_str() {
        "/v3/cursor" => {
            let asked: CursorReqBody = serde_json::from_slice(&body).unwrap();
            streams.cursor(asked)
        }
        "/v3/pipeline" => {
            let asked: PipelineReqBody = serde_json::from_slice(&body).unwrap();
            streams.pipeline(asked)
        }
        _ => Err(Refusal::Protocol("no such endpoint")),
    };
    let Ok(answered) = tokio::task::spawn_blocking(work).await else { return Err(Lost) };
    match answered {
        Ok(body) => Ok(Response::new(Full::from(body))),
        Err(Refusal::Lost) => Err(Lost),
        Err(Refusal::Protocol(why)) => Ok(refused(StatusCode::BAD_REQUEST, why.to_owned())),
        Err(Refusal::Expired) => {
            let error = Error {
                message: "The stream has expired due to inactivity".to_owned(),
                code: "STREAM_EXPIRED".to_owned(),
            };
            Ok(refused(StatusCode::BAD_REQUEST, serde_json::to_string(&error).unwrap()))
        }
    }
}

fn refused(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}
