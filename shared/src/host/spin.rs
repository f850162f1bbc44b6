//! The seam over spin-sdk. The one file that knows it: one-line forwards, and
//! the order in which a body is read and written.

use std::io::Write;

use spin_sdk::http::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use spin_sdk::sqlite3::{self, Connection};
use spin_sdk::variables;
use spin_sdk::wit::wasi::keyvalue::{atomics, batch, store};
use wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasi::io::poll::{Pollable, poll};
use wasi::io::streams::{OutputStream, StreamError};

use crate::domain::reading::UnixMillis;
use crate::error::best_effort;
use crate::host::{Host, KeyValue, Pair, Sql, StoreError, Value};
use crate::http::{Problem, Request, Response};
use crate::limits;
use crate::log::{Answered, Log};

/// The label that plain `spin up` provides a store and a database under.
const LABEL: &str = "default";

/// Where `spin.toml` mounts the files of `query`.
const ASSETS: &str = "/assets";

/// How much of a file is read at once.
const ASSET_CHUNK_BYTES: u64 = 64 * 1024;

/// The Spin runtime around one request.
pub struct Spin {
    log: Log,
}

impl Spin {
    /// The runtime around `request`, which `component` answers.
    pub fn new(component: &'static str, request: &Request) -> Self {
        Self { log: Log::new(component, request) }
    }

    /// Logs that `request` was answered.
    pub fn log_request(&self, request: &Request, answered: Answered) {
        print(self.log.request(request, answered));
    }
}

/// Writes one line, at once: in two writes, those of two requests could mix. A log that
/// can't be written, on a full disk for one, is no reason to end a request; `eprintln!`
/// would.
fn print(mut line: String) {
    line.push('\n');
    best_effort(std::io::stderr().write_all(line.as_bytes()));
}

impl Host for Spin {
    type KeyValue = store::Bucket;
    type Sql = Connection;

    fn key_value(&self) -> Result<store::Bucket, StoreError> {
        store::open(LABEL).map_err(from_key_value)
    }

    fn sql(&self) -> Result<Connection, StoreError> {
        Connection::open(LABEL).map_err(from_sqlite)
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

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match mounted(name) {
            Err(ErrorCode::NoEntry) => Ok(None),
            // The names of the others would be a tenth of the component.
            other => other.map_err(|_code| StoreError::from_message("a file can't be read")),
        }
    }

    fn log(&self, line: &str) {
        print(self.log.message(line));
    }
}

/// The file `name` of the directory `ASSETS`, without the standard library's
/// files, which would be 20 KB of the component.
fn mounted(name: &str) -> Result<Option<Vec<u8>>, ErrorCode> {
    let mounts = wasi::filesystem::preopens::get_directories();
    let found = mounts.iter().find_map(|(mount, at)| Some((mount, below(at, name)?)));
    let Some((mount, path)) = found else { return Ok(None) };
    let file =
        mount.open_at(PathFlags::empty(), &path, OpenFlags::empty(), DescriptorFlags::READ)?;
    let mut content = Vec::new();
    loop {
        let offset = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let (chunk, is_end) = file.read(ASSET_CHUNK_BYTES, offset)?;
        content.extend(chunk);
        if is_end {
            return Ok(Some(content));
        }
    }
}

/// The path of the file `name` of `ASSETS` in what is mounted at `at`: Spin mounts
/// copies of all directories at `/`, and with `--direct-mounts` each where it is to be.
fn below(at: &str, name: &str) -> Option<String> {
    match ASSETS.strip_prefix(at.trim_end_matches('/'))? {
        "" => Some(name.to_owned()),
        rest => rest.strip_prefix('/').map(|directory| format!("{directory}/{name}")),
    }
}

/// The node's clock. The entries read it, once a request.
pub fn now() -> UnixMillis {
    let now = wasi::clocks::wall_clock::now();
    let seconds = i64::try_from(now.seconds).unwrap_or(i64::MAX);
    let ms = i64::from(now.nanoseconds / 1_000_000);
    UnixMillis::new(seconds.saturating_mul(1_000).saturating_add(ms)).unwrap_or(UnixMillis::MAX)
}

impl KeyValue for store::Bucket {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        store::Bucket::set(self, key, value).map_err(from_key_value)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        store::Bucket::get(self, key).map_err(from_key_value)
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let cas = atomics::Cas::new(self, key).map_err(from_key_value)?;
        if cas.current().map_err(from_key_value)?.as_deref() != old {
            return Ok(false);
        }
        match atomics::swap(cas, new) {
            Ok(()) => Ok(true),
            Err(atomics::CasError::CasFailed(_)) => Ok(false),
            Err(atomics::CasError::StoreError(error)) => Err(from_key_value(error)),
        }
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        // Spin's Redis store asks for many keys with the wrong command, which
        // fails for two of them and brings the host down for one.
        if let [key] = keys {
            return Ok(vec![(key.clone(), KeyValue::get(self, key)?)]);
        }
        batch::get_many(self, keys).or_else(|_refused| {
            keys.iter().map(|key| Ok((key.clone(), KeyValue::get(self, key)?))).collect()
        })
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        batch::delete_many(self, keys).map_err(from_key_value)
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        let mut page = self.list_keys(None).map_err(from_key_value)?;
        let mut keys = page.keys;
        while let Some(cursor) = page.cursor.as_deref() {
            page = self.list_keys(Some(cursor)).map_err(from_key_value)?;
            keys.append(&mut page.keys);
        }
        Ok(keys)
    }
}

impl Sql for Connection {
    fn execute(
        &self,
        statement: &str,
        parameters: &[Value],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let parameters: Vec<sqlite3::Value> = parameters.iter().map(to_sqlite).collect();
        let result = Connection::execute(self, statement, &parameters).map_err(from_sqlite)?;
        let row = |row: sqlite3::RowResult| row.values.into_iter().map(from_value).collect();
        result.rows.into_iter().map(row).collect()
    }
}

fn to_sqlite(value: &Value) -> sqlite3::Value {
    match value {
        Value::Integer(number) => sqlite3::Value::Integer(*number),
        Value::Text(text) => sqlite3::Value::Text(text.clone()),
        Value::Blob(bytes) => sqlite3::Value::Blob(bytes.clone()),
        Value::Null => sqlite3::Value::Null,
    }
}

fn from_value(value: sqlite3::Value) -> Result<Value, StoreError> {
    match value {
        sqlite3::Value::Integer(number) => Ok(Value::Integer(number)),
        sqlite3::Value::Text(text) => Ok(Value::Text(text)),
        sqlite3::Value::Null => Ok(Value::Null),
        sqlite3::Value::Blob(bytes) => Ok(Value::Blob(bytes)),
        sqlite3::Value::Real(_) => {
            Err(StoreError::from_message("a value of a type that the schema does not have"))
        }
    }
}

fn from_key_value(error: store::Error) -> StoreError {
    match error {
        store::Error::NoSuchStore => StoreError::denied("no such key-value store: default"),
        store::Error::AccessDenied => {
            StoreError::denied("spin.toml does not give this component the key-value store")
        }
        store::Error::Other(message) => StoreError::from_message(message),
    }
}

fn from_sqlite(error: sqlite3::Error) -> StoreError {
    match error {
        sqlite3::Error::NoSuchDatabase => StoreError::denied("no such SQLite database: default"),
        sqlite3::Error::AccessDenied => {
            StoreError::denied("spin.toml does not give this component the SQLite database")
        }
        sqlite3::Error::InvalidConnection => StoreError::from_message("invalid connection"),
        sqlite3::Error::DatabaseFull => StoreError::from_message("database or disk is full"),
        sqlite3::Error::Io(message) => StoreError::from_message(message),
    }
}

/// The head of `request`, as the application sees it.
pub fn head(request: &IncomingRequest) -> Request {
    let target = request.path_with_query().unwrap_or_default();
    let headers = request.headers();
    let header = |name: &str| {
        let values = headers.get(name);
        // Several lines of one header mean the same as one with commas.
        let values: Vec<String> =
            values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect();
        (!values.is_empty()).then(|| values.join(","))
    };
    Request {
        method: method(&request.method()),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        prefer: header("prefer"),
        accept: header("accept"),
        if_none_match: header("if-none-match"),
        traceparent: header("traceparent"),
        content_length: header("content-length").and_then(|length| length.parse().ok()),
        awaits_continue: header("expect").is_some(),
        ..Request::get(&target)
    }
}

fn method(method: &spin_sdk::http::Method) -> http::Method {
    // An unknown method is one that no resource answers to.
    http::Method::from_bytes(method.to_string().as_bytes()).unwrap_or(http::Method::TRACE)
}

/// Reads the body of `request`, and keeps at most `limit` bytes of it.
///
/// Of a body that turns out to be longer, a little more is read and dropped: a client
/// that is still sending does not read the answer. One that does not come in time is
/// given up: as long as it is waited for, it keeps an instance.
pub fn read_body(request: IncomingRequest, limit: usize) -> Result<Vec<u8>, Problem> {
    const CHUNK_BYTES: u64 = 256 * 1024;
    let deadline = Deadline::after_ms(limits::BODY_MS_MAX);
    let mut dropped = 0;
    let body = request.consume().map_err(|()| Problem::body_cut_off())?;
    let stream = body.stream().map_err(|()| Problem::body_cut_off())?;
    let mut read = Vec::new();
    loop {
        if !deadline.comes(&stream.subscribe(), limits::BODY_GAP_MS_MAX) {
            return Err(Problem::body_too_slow());
        }
        match stream.read(CHUNK_BYTES) {
            Ok(_) if dropped > limits::BODY_BYTES_DROPPED_MAX => break,
            Ok(chunk) if dropped > 0 || read.len() + chunk.len() > limit => {
                dropped += chunk.len();
                read = Vec::new();
            }
            Ok(chunk) if read.is_empty() => read = chunk,
            Ok(chunk) => read.extend_from_slice(&chunk),
            Err(StreamError::Closed) if dropped == 0 => return Ok(read),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(Problem::body_cut_off()),
        }
    }
    Err(Problem::body_too_large(limit))
}

/// Reads a body that nobody wants, after the answer: most clients read that only when
/// they have sent all. Not for long, and not all that there could be.
pub fn drop_body(request: IncomingRequest) {
    const CHUNK_BYTES: u64 = 256 * 1024;
    let deadline = Deadline::after_ms(limits::BODY_GAP_MS_MAX);
    let Ok(body) = request.consume() else { return };
    let Ok(stream) = body.stream() else { return };
    let mut dropped = 0;
    while dropped <= limits::BODY_BYTES_DROPPED_MAX
        && deadline.comes(&stream.subscribe(), limits::BODY_GAP_MS_MAX)
    {
        match stream.read(CHUNK_BYTES) {
            Ok(chunk) => dropped += chunk.len(),
            Err(_ended) => return,
        }
    }
}

/// How long all of something may take.
struct Deadline {
    at_ns: u64,
}

impl Deadline {
    fn after_ms(ms: u64) -> Self {
        let now_ns = wasi::clocks::monotonic_clock::now();
        Self { at_ns: now_ns.saturating_add(ms.saturating_mul(1_000_000)) }
    }

    /// Waits for `event`, for `gap_ms` at most and no longer than there is time for all.
    /// Returns whether it came.
    fn comes(&self, event: &Pollable, gap_ms: u64) -> bool {
        let left_ns = self.at_ns.saturating_sub(wasi::clocks::monotonic_clock::now());
        let wait_ns = left_ns.min(gap_ms.saturating_mul(1_000_000));
        let timer = wasi::clocks::monotonic_clock::subscribe_duration(wait_ns);
        poll(&[event, &timer]).contains(&0)
    }
}

/// Sends `response`.
///
/// What the host takes of the body without waiting (a megabyte) is written
/// before the response is handed over, so that head and body leave in one TCP
/// segment: in two, a keep-alive client waits 40 ms for the second.
pub fn send(host: &Spin, response: Response, out: ResponseOutparam) {
    if let Err(what) = try_send(response, out) {
        host.log(&format!("the response was not sent completely: {what}"));
    }
}

/// Says which part failed; what can fail here is the connection, and the causes
/// are enumerations whose texts would be a tenth of the component.
fn try_send(response: Response, out: ResponseOutparam) -> Result<(), &'static str> {
    // A 304 has no content, and is not to say that the representation is empty.
    let length = (response.status != http::StatusCode::NOT_MODIFIED)
        .then(|| ("content-length", response.body.len().to_string()));
    let outgoing = head_of(response.status, response.headers, length)?;
    let body = outgoing.body().map_err(|()| "body")?;
    let stream = body.write().map_err(|()| "stream")?;

    let rest = write_ready(&stream, &response.body)?;
    if rest.is_empty() {
        drop(stream);
        OutgoingBody::finish(body, None).map_err(|_cause| "end")?;
        out.set(outgoing);
        return Ok(());
    }
    out.set(outgoing);
    write_rest(&stream, rest)?;
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|_cause| "end")
}

fn head_of(
    status: http::StatusCode,
    headers: Vec<(&'static str, String)>,
    further: Option<(&'static str, String)>,
) -> Result<OutgoingResponse, &'static str> {
    let headers = headers.into_iter().chain(further);
    let headers: Vec<(String, Vec<u8>)> =
        headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    let fields = Fields::from_list(&headers).map_err(|_cause| "headers")?;
    let outgoing = OutgoingResponse::new(fields);
    outgoing.set_status_code(status.as_u16()).map_err(|()| "status")?;
    Ok(outgoing)
}

/// Sends the head of `response`, and lets `write` send text piece by piece; its
/// argument says whether the client still takes it.
pub fn stream(
    host: &Spin,
    response: Response,
    out: ResponseOutparam,
    write: impl FnOnce(&mut dyn FnMut(&str) -> bool),
) {
    if let Err(what) = try_stream(response, out, write) {
        host.log(&format!("the events were not sent: {what}"));
    }
}

fn try_stream(
    response: Response,
    out: ResponseOutparam,
    write: impl FnOnce(&mut dyn FnMut(&str) -> bool),
) -> Result<(), &'static str> {
    let outgoing = head_of(response.status, response.headers, None)?;
    let body = outgoing.body().map_err(|()| "body")?;
    let stream = body.write().map_err(|()| "stream")?;
    out.set(outgoing);
    write(&mut |text| {
        let written = write_rest(&stream, text.as_bytes());
        written.is_ok() && stream.flush().is_ok() && write_rest(&stream, b"").is_ok()
    });
    drop(stream);
    // A client that is gone is no event here.
    best_effort(OutgoingBody::finish(body, None));
    Ok(())
}

/// Writes bytes as the client takes them. One that takes none for a while is given up:
/// as long as it is waited for, it keeps an instance.
fn write_rest(stream: &OutputStream, mut rest: &[u8]) -> Result<(), &'static str> {
    let client = Deadline::after_ms(limits::ANSWER_MS_MAX);
    loop {
        if !client.comes(&stream.subscribe(), limits::ANSWER_GAP_MS_MAX) {
            return Err("the client reads nothing");
        }
        rest = write_ready(stream, rest)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// Writes as much as the stream takes at once, and returns what is left.
fn write_ready<'a>(stream: &OutputStream, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let ready = stream.check_write().map_err(|_cause| "connection")?;
    let ready = usize::try_from(ready).unwrap_or(usize::MAX).min(bytes.len());
    let (now, later) = bytes.split_at(ready);
    stream.write(now).map_err(|_cause| "connection")?;
    Ok(later)
}
