//! The log: lines of the components and of the runtime, to standard error or a file.
//!
//! A component's line is written whole, so that lines of instances that run at the same time don't
//! mix. The application writes JSON. So does the runtime where a program asks for it; for a person
//! that develops, its lines are text.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use serde_json::json;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// The longest line of a component; what is longer is cut into several. In bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Where lines go, and whether those of the runtime are JSON.
#[derive(Debug)]
pub enum Log {
    /// Standard error, as text.
    Text,
    /// Standard error, as JSON.
    Json,
    /// A file, as JSON.
    File(Rotated),
}

/// A file that is begun anew when it is full. Older ones have a number at the end of their names, 1
/// for the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The file that is written to.
    pub file: PathBuf,
    /// Beyond this many bytes it is full, with the line that exceeds it.
    pub bytes: usize,
    /// How many older files are kept.
    pub keep: usize,
}

enum Sink {
    Stderr { is_json: bool },
    File(Mutex<FileRotate<AppendCount>>),
}

static SINK: OnceLock<Sink> = OnceLock::new();

impl Log {
    /// Has all lines of this process go there, from now on. Later calls change nothing.
    ///
    /// # Errors
    ///
    /// A file that can't be written.
    pub fn begin(self) -> Result<()> {
        let sink = match self {
            Self::Text => Sink::Stderr { is_json: false },
            Self::Json => Sink::Stderr { is_json: true },
            Self::File(Rotated { file, bytes, keep }) => {
                let mut options = OpenOptions::new();
                options.read(true).append(true).create(true).mode(0o640);
                // What writes it later has no way to say that it can't.
                let opened = options.open(&file).and_then(|_file| check_directory(&file));
                opened.with_context(|| format!("log {} can't be written", file.display()))?;
                let limit = ContentLimit::BytesSurpassed(bytes);
                let suffix = AppendCount::new(keep);
                let rotated =
                    FileRotate::new(file, suffix, limit, Compression::None, Some(options));
                Sink::File(Mutex::new(rotated))
            }
        };
        if sink.is_json() {
            std::panic::set_hook(Box::new(|panic| {
                // It may be of the log itself, which must not be waited for then.
                let sink = SINK.get();
                let line = line(true, &format!("a panic: {panic}"));
                sink.map_or_else(|| to_stderr(&line), |sink| sink.write_if_free(&line));
            }));
        }
        // A second one is of a caller that does not know of the first.
        drop(SINK.set(sink));
        Ok(())
    }
}

impl Sink {
    fn is_json(&self) -> bool {
        !matches!(self, Self::Stderr { is_json: false })
    }

    /// Writes a line with its end. What the file does not take, standard error gets.
    fn write(&self, line: &[u8]) {
        match self {
            Self::Stderr { .. } => to_stderr(line),
            Self::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                if file.write_all(line).is_err() {
                    to_stderr(line);
                }
            }
        }
    }

    /// The same, but to standard error while another line is written to the file.
    fn write_if_free(&self, line: &[u8]) {
        let file = match self {
            Self::Stderr { .. } => None,
            Self::File(file) => file.try_lock().ok(),
        };
        if file.is_none_or(|mut file| file.write_all(line).is_err()) {
            to_stderr(line);
        }
    }
}

/// What can't be written there is lost: there is nobody to tell.
fn to_stderr(line: &[u8]) {
    drop(io::stderr().lock().write_all(line));
}

/// Whether a file can be renamed in its directory.
fn check_directory(file: &Path) -> io::Result<()> {
    let mut probe = file.as_os_str().to_owned();
    probe.push(".probe");
    let probe = PathBuf::from(probe);
    OpenOptions::new().write(true).create(true).truncate(true).open(&probe)?;
    std::fs::remove_file(probe)
}

fn sink() -> &'static Sink {
    SINK.get_or_init(|| Sink::Stderr { is_json: false })
}

/// A line of the runtime. It has no body of a request, and no token.
pub fn say(message: &str) {
    let sink = sink();
    sink.write(&line(sink.is_json(), message));
}

fn line(is_json: bool, message: &str) -> Vec<u8> {
    let line = match is_json {
        true => json!({"component": "gateway", "at": now_ms(), "message": message}).to_string(),
        false => message.to_owned(),
    };
    (line + "\n").into_bytes()
}

#[expect(clippy::disallowed_methods, reason = "a line of the log has its time")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The standard error of an instance.
pub(crate) struct OfComponent;

impl IsTerminal for OfComponent {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for OfComponent {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines::default())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Of WASI 0.3, which no component here has.
        Box::new(tokio::io::stderr())
    }
}

/// Collects lines, and writes each whole.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn end(&mut self) {
        self.begun.push(b'\n');
        sink().write(&self.begun);
        self.begun.clear();
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n");
            self.begun.extend_from_slice(text.unwrap_or(part));
            if text.is_some() || self.begun.len() > LINE_BYTES_MAX {
                self.end();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES_MAX)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            self.end();
        }
    }
}
