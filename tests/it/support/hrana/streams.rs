//! Streams with their batons, and the one that may write.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use libsql_hrana::proto::{
    CloseStreamResp, CursorEntry, CursorReqBody, CursorRespBody, Error, ExecuteStreamResp,
    GetAutocommitStreamResp, PipelineReqBody, PipelineRespBody, StepErrorEntry, StreamRequest,
    StreamResponse, StreamResult,
};
use rusqlite::{Connection, InterruptHandle};

use super::Rules;
use super::statements::{self, Ran};

/// Why a request has no answer of the protocol.
pub(super) enum Refusal {
    /// The connection ends.
    Lost,
    /// It is no request that a client may send.
    Protocol(&'static str),
    /// Nobody has used its stream for a while.
    Expired,
}

pub(super) struct Streams {
    file: PathBuf,
    rules: Arc<Rules>,
    all: Mutex<All>,
    writer: Mutex<Writer>,
    freed: Condvar,
}

#[derive(Default)]
struct All {
    slots: HashMap<u64, Slot>,
    made: u64,
}

enum Slot {
    Free(Box<Stream>),
    /// A request has it.
    Used,
    Expired,
}

struct Stream {
    id: u64,
    connection: Connection,
    /// What the next baton must have.
    sequence: u64,
    used: Instant,
    /// Its transaction was taken away, and it was not told yet.
    is_robbed: bool,
}

#[derive(Default)]
struct Writer {
    held: Option<Held>,
    has_ended: bool,
}

struct Held {
    stream: u64,
    since: Instant,
    interrupt: InterruptHandle,
    is_taken: bool,
}

#[expect(clippy::disallowed_methods, reason = "a server's limits are by the machine's clock")]
fn now() -> Instant {
    Instant::now()
}

impl Streams {
    pub(super) fn new(file: &Path, rules: Arc<Rules>) -> Self {
        let (all, writer, freed) = (Mutex::default(), Mutex::default(), Condvar::new());
        Self { file: file.to_owned(), rules, all, writer, freed }
    }

    /// No stream goes on, and nobody waits any longer.
    pub(super) fn end(&self) {
        self.writer.lock().unwrap().has_ended = true;
        self.freed.notify_all();
        self.all.lock().unwrap().slots.clear();
    }

    /// Runs the statements of a batch in order, and answers with a line for each thing.
    pub(super) fn cursor(&self, asked: CursorReqBody) -> Result<String, Refusal> {
        let mut stream = self.take(asked.baton.as_deref())?;
        let (mut entries, mut is_lost) = (Vec::new(), false);
        for (number, step) in (0_u32..).zip(&asked.batch.steps) {
            if step.condition.is_some() {
                return Err(Refusal::Protocol("conditions are not served"));
            }
            let sql = step.stmt.sql.as_deref().unwrap_or_default();
            match self.run(&mut stream, sql, &step.stmt.args) {
                Ok(ran) => entries.extend(ran.entries(number)),
                Err(error) => {
                    entries.push(CursorEntry::StepError(StepErrorEntry { step: number, error }));
                }
            }
            is_lost |= self.rules.loses(sql);
        }
        let baton = Some(self.give_back(stream));
        if is_lost {
            return Err(Refusal::Lost);
        }
        let head = serde_json::to_string(&CursorRespBody { baton, base_url: None }).unwrap();
        let lines = entries.iter().map(|entry| serde_json::to_string(entry).unwrap());
        Ok(std::iter::once(head).chain(lines).map(|line| line + "\n").collect())
    }

    /// Answers requests about one stream in order.
    pub(super) fn pipeline(&self, asked: PipelineReqBody) -> Result<String, Refusal> {
        let mut stream = Some(self.take(asked.baton.as_deref())?);
        let mut results = Vec::new();
        for request in asked.requests {
            let closed = Refusal::Protocol("Stream for this baton was closed");
            let open = stream.as_mut().ok_or(closed)?;
            let answered = match request {
                StreamRequest::Close(_) => {
                    if let Some(stream) = stream.take() {
                        self.close(stream);
                    }
                    Ok(StreamResponse::Close(CloseStreamResp {}))
                }
                StreamRequest::Execute(asked) => {
                    let sql = asked.stmt.sql.as_deref().unwrap_or_default();
                    let ran = self.run(open, sql, &asked.stmt.args);
                    if self.rules.loses(sql) {
                        self.give_back(stream.take().unwrap());
                        return Err(Refusal::Lost);
                    }
                    let executed = |ran: Ran| ExecuteStreamResp { result: ran.result() };
                    ran.map(|ran| StreamResponse::Execute(executed(ran)))
                }
                StreamRequest::GetAutocommit(_) => {
                    let is_autocommit = open.connection.is_autocommit();
                    Ok(StreamResponse::GetAutocommit(GetAutocommitStreamResp { is_autocommit }))
                }
                _ => return Err(Refusal::Protocol("not served here")),
            };
            results.push(match answered {
                Ok(response) => StreamResult::Ok { response },
                Err(error) => StreamResult::Error { error },
            });
        }
        let baton = stream.map(|stream| self.give_back(stream));
        let body = PipelineRespBody { baton, base_url: None, results };
        Ok(serde_json::to_string(&body).unwrap())
    }

    /// A stream with a transaction that holds the lock.
    pub(super) fn begin(&self) -> String {
        let Ok(mut stream) = self.take(None) else { panic!("a new stream is refused") };
        assert!(self.run(&mut stream, "BEGIN IMMEDIATE", &[]).is_ok());
        self.give_back(stream)
    }

    pub(super) fn leave(&self, baton: &str) {
        if let Ok(stream) = self.take(Some(baton)) {
            self.close(stream);
        }
    }

    /// The stream of a baton, or a new one.
    fn take(&self, baton: Option<&str>) -> Result<Box<Stream>, Refusal> {
        let mut all = self.all.lock().unwrap();
        let Some(baton) = baton else {
            all.made += 1;
            let id = all.made;
            all.slots.insert(id, Slot::Used);
            let connection = Connection::open(&self.file).unwrap();
            connection.pragma_update(None, "journal_mode", "wal").unwrap();
            let is_relaxed = self.rules.is_relaxed.load(Ordering::SeqCst);
            let synchronous = if is_relaxed { "normal" } else { "full" };
            connection.pragma_update(None, "synchronous", synchronous).unwrap();
            let new = Stream { id, connection, sequence: 0, used: now(), is_robbed: false };
            return Ok(Box::new(new));
        };
        let invalid = || Refusal::Protocol("The baton is invalid");
        let (id, sequence) = baton.split_once('-').ok_or_else(invalid)?;
        let id: u64 = id.parse().ok().ok_or_else(invalid)?;
        let Some(slot) = all.slots.get_mut(&id) else { return Err(invalid()) };
        let idle = Duration::from_millis(self.rules.idle_ms.load(Ordering::SeqCst));
        match std::mem::replace(slot, Slot::Used) {
            Slot::Free(stream) if stream.sequence.to_string() != sequence => {
                *slot = Slot::Free(stream);
                Err(Refusal::Protocol("Received a baton that has already been used"))
            }
            Slot::Free(stream) if stream.used.elapsed() > idle => {
                *slot = Slot::Expired;
                self.rules.counts.expired.fetch_add(1, Ordering::SeqCst);
                drop(all);
                self.end_transaction(stream);
                Err(Refusal::Expired)
            }
            Slot::Free(stream) => Ok(stream),
            Slot::Used => Err(Refusal::Protocol("Received a baton that has already been used")),
            Slot::Expired => {
                *slot = Slot::Expired;
                Err(Refusal::Expired)
            }
        }
    }

    /// Lets the next request have it, and returns the baton for that.
    fn give_back(&self, mut stream: Box<Stream>) -> String {
        stream.sequence += 1;
        stream.used = now();
        let (id, baton) = (stream.id, format!("{}-{}", stream.id, stream.sequence));
        if self.writer.lock().unwrap().has_ended {
            self.end_transaction(stream);
        } else {
            self.all.lock().unwrap().slots.insert(id, Slot::Free(stream));
        }
        baton
    }

    fn close(&self, stream: Box<Stream>) {
        self.all.lock().unwrap().slots.remove(&stream.id);
        self.end_transaction(stream);
    }

    fn end_transaction(&self, stream: Box<Stream>) {
        let id = stream.id;
        drop(stream);
        self.free(id);
    }

    fn run(
        &self,
        stream: &mut Stream,
        sql: &str,
        args: &[libsql_hrana::proto::Value],
    ) -> Result<Ran, Error> {
        let pause_ms = self.rules.pause_ms.load(Ordering::SeqCst);
        if pause_ms > 0 {
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
        if std::mem::take(&mut stream.is_robbed) {
            return Err(timed_out());
        }
        if stream.connection.is_autocommit() && statements::writes(&stream.connection, sql) {
            self.hold(stream)?;
        }
        let ran = statements::run(&stream.connection, sql, args);
        if self.is_taken(stream.id) {
            // In the middle of a statement, which was interrupted for it.
            if !stream.connection.is_autocommit() {
                stream.connection.execute_batch("ROLLBACK").unwrap();
            }
            self.free(stream.id);
            return match ran {
                Ok(ran) if sql.starts_with("COMMIT") => Ok(ran),
                _ => Err(timed_out()),
            };
        }
        if stream.connection.is_autocommit() {
            self.free(stream.id);
        }
        ran
    }

    /// Waits until this stream is the writer. A transaction that has been it for too long is
    /// rolled back.
    fn hold(&self, stream: &Stream) -> Result<(), Error> {
        let mut writer = self.writer.lock().unwrap();
        loop {
            if writer.has_ended {
                return Err(timed_out());
            }
            let Some(held) = &mut writer.held else {
                let interrupt = stream.connection.get_interrupt_handle();
                let new = Held { stream: stream.id, since: now(), interrupt, is_taken: false };
                writer.held = Some(new);
                return Ok(());
            };
            let may_ms = Duration::from_millis(self.rules.lock_ms.load(Ordering::SeqCst));
            let left = may_ms.saturating_sub(held.since.elapsed());
            if left.is_zero() {
                if !held.is_taken {
                    held.is_taken = true;
                    held.interrupt.interrupt();
                    self.rules.counts.taken.fetch_add(1, Ordering::SeqCst);
                }
                // Again and again: a request may just be giving it back.
                let robbed = held.stream;
                drop(writer);
                self.rob(robbed);
                writer = self.writer.lock().unwrap();
                if writer.held.is_none() {
                    continue;
                }
            }
            let wait = left.max(Duration::from_millis(10));
            (writer, _) = self.freed.wait_timeout(writer, wait).unwrap();
        }
    }

    /// Rolls back the transaction of a stream that no request has. (One that has it sees that
    /// after its statement.)
    fn rob(&self, id: u64) {
        let mut all = self.all.lock().unwrap();
        if let Some(Slot::Free(stream)) = all.slots.get_mut(&id) {
            if !stream.connection.is_autocommit() {
                stream.connection.execute_batch("ROLLBACK").unwrap();
                stream.is_robbed = true;
            }
            drop(all);
            self.free(id);
        }
    }

    fn is_taken(&self, id: u64) -> bool {
        let writer = self.writer.lock().unwrap();
        writer.held.as_ref().is_some_and(|held| held.stream == id && held.is_taken)
    }

    fn free(&self, id: u64) {
        let mut writer = self.writer.lock().unwrap();
        if writer.held.as_ref().is_some_and(|held| held.stream == id) {
            writer.held = None;
            self.freed.notify_all();
        }
    }
}

fn timed_out() -> Error {
    let message = "Transaction timed out".to_owned();
    Error { message, code: "TRANSACTION_TIMEOUT".to_owned() }
}
