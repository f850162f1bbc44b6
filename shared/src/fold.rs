//! The fold: journal entries become ledger rows and windows.
//!
//! A fold goes in steps. Each takes the database's write lock, then reads some
//! entries, posts them in one transaction, and removes them from the journal
//! after the commit. Whoever dies in between leaves entries that are folded
//! again, to no effect. Reading the entries only under the lock keeps folds
//! that run at once from doing the same work; that they don't count twice is
//! the ledger's doing alone.

use crate::error::Error;
use crate::host::{Host, KeyValue, Sql};
use crate::journal::{self, Entry, EntryName};
use crate::ledger::{self, Outcome};
use crate::limits;
use crate::reading::{Reading, UnixMillis};
use crate::schema;
use crate::settings::Horizon;

/// How long a fold may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How long to wait for the write lock, in milliseconds; 0 leaves the work
    /// to whoever has it.
    pub lock_ms: u64,
    /// When to stop starting further steps, in milliseconds after the start.
    pub total_ms: u64,
}

impl Budget {
    /// For `ingest`, after it has answered: nobody waits for it.
    pub const AFTER_ANSWER: Self = Self { lock_ms: 0, total_ms: limits::AFTER_ANSWER_FOLD_MS_MAX };
    /// For `query`, before it answers.
    pub const BEFORE_READING: Self =
        Self { lock_ms: limits::QUERY_FOLD_MS_MAX, total_ms: limits::QUERY_FOLD_MS_MAX };

    /// For a sender who asked to wait.
    pub fn waiting(ms: u64) -> Self {
        Self { lock_ms: ms, total_ms: ms }
    }
}

/// What is in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog(Vec<EntryName>);

impl Backlog {
    /// Lists the journal.
    pub fn list(journal: &impl KeyValue) -> Result<Self, Error> {
        journal::list(journal).map(Self).map_err(Error::Journal)
    }

    /// Whether it has grown so far that `ingest` should fold it.
    pub fn is_due(&self) -> bool {
        let readings: usize = self.0.iter().map(EntryName::readings).sum();
        self.0.len() >= limits::FOLD_DUE_ENTRIES || readings >= limits::FOLD_DUE_READINGS
    }

    /// The number of entries.
    pub fn entries(&self) -> usize {
        self.0.len()
    }

    /// Cut into steps, each bounded in entries and readings.
    fn steps(&self) -> Vec<&[EntryName]> {
        let mut steps = Vec::new();
        let (mut from, mut readings) = (0, 0);
        for (index, name) in self.0.iter().enumerate() {
            readings += name.readings();
            let entries = index + 1 - from;
            if readings >= limits::READINGS_PER_FOLD_STEP
                || entries >= limits::ENTRIES_PER_FOLD_STEP_MAX
            {
                steps.extend(self.0.get(from..=index));
                (from, readings) = (index + 1, 0);
            }
        }
        steps.extend(self.0.get(from..).filter(|rest| !rest.is_empty()));
        steps
    }
}

/// A fold with what it works on: who holds one has the schema in place.
pub struct Fold<'a, H: Host> {
    host: &'a H,
    journal: &'a H::KeyValue,
    sql: &'a H::Sql,
    budget: Budget,
    started_ms: u64,
}

impl<'a, H: Host> Fold<'a, H> {
    /// Prepares the connection `sql` for folding within `budget`.
    pub fn new(
        host: &'a H,
        journal: &'a H::KeyValue,
        sql: &'a H::Sql,
        budget: Budget,
    ) -> Result<Self, Error> {
        let started_ms = host.monotonic_ms();
        schema::ensure(host, sql)?;
        Ok(Self { host, journal, sql, budget, started_ms })
    }

    /// One transaction, for whose lock the budget says how long to wait.
    fn transaction<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let patience = format!("PRAGMA busy_timeout = {}", self.budget.lock_ms);
        self.sql.execute(&patience, &[]).map_err(Error::Regions)?;
        schema::transaction(self.sql, work)
    }

    /// Folds the backlog as far as the budget goes, then prunes if all of it
    /// was folded. Returns how many entries are left.
    pub fn run(
        &self,
        backlog: &Backlog,
        horizon: Horizon,
        now: UnixMillis,
    ) -> Result<usize, Error> {
        let mut left = backlog.entries();
        for step in backlog.steps() {
            if left < backlog.entries() && self.is_late() {
                return Ok(left);
            }
            match self.step(step) {
                Ok(()) => left -= step.len(),
                Err(error) if error.is_busy() => return Ok(left),
                Err(error) => return Err(error),
            }
        }
        if backlog.entries() > 0 && !self.is_late() {
            self.prune(horizon, now)?;
        }
        Ok(left)
    }

    /// Posts readings that are not in the journal, and says what became of
    /// each, in their order.
    pub fn post(&self, readings: &[Reading<'_>]) -> Result<Vec<Outcome>, Error> {
        self.transaction(|| ledger::post(self.sql, readings))
    }

    fn is_late(&self) -> bool {
        let elapsed_ms = self.host.monotonic_ms().saturating_sub(self.started_ms);
        elapsed_ms >= self.budget.total_ms
    }

    fn step(&self, names: &[EntryName]) -> Result<(), Error> {
        let done = self.transaction(|| {
            let entries = journal::load(self.journal, names).map_err(Error::Journal)?;
            self.post_entries(&entries)?;
            Ok(entries.iter().map(|entry| entry.name().clone()).collect::<Vec<_>>())
        })?;
        journal::remove(self.journal, &done).map_err(Error::Journal)
    }

    /// What can't be posted is in quarantine before the transaction commits,
    /// and so before its entry is removed.
    fn post_entries(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut readings = Vec::new();
        for entry in entries {
            match entry.decode() {
                Ok(mut decoded) => readings.append(&mut decoded),
                Err(error) => {
                    self.set_aside(entry, &format!("unreadable: {error}"))?;
                }
            }
        }
        if readings.is_empty() {
            return Ok(());
        }
        let outcomes = ledger::post(self.sql, &readings)?;
        let too_old = readings.iter().zip(&outcomes).filter(|(_, o)| **o == Outcome::TooOld);
        let too_old: Vec<Reading<'_>> = too_old.map(|(reading, _)| reading.clone()).collect();
        for chunk in too_old.chunks(limits::READINGS_PER_REQUEST_MAX) {
            if let Some(entry) = Entry::encode(chunk) {
                self.set_aside(&entry, "older than the ledger when its turn came")?;
            }
        }
        Ok(())
    }

    fn set_aside(&self, entry: &Entry, why: &str) -> Result<(), Error> {
        journal::quarantine(self.journal, entry).map_err(Error::Journal)?;
        self.host.log(&format!("quarantined {} readings: {why}", entry.name().readings()));
        Ok(())
    }

    /// Only after the whole backlog was folded: what waits in the journal may
    /// be older than what is forgotten here. What has come since is not: it was
    /// accepted after `now`, and the slack in the horizon covers the time that
    /// a request takes.
    fn prune(&self, horizon: Horizon, now: UnixMillis) -> Result<(), Error> {
        let Some(before) = horizon.prune_before(now) else { return Ok(()) };
        if !ledger::has_rows_before(self.sql, before)? {
            return Ok(());
        }
        let pruned =
            self.transaction(|| ledger::prune(self.sql, before, limits::ROWS_PRUNED_PER_FOLD));
        match pruned {
            Err(error) if error.is_busy() => Ok(()),
            other => other,
        }
    }
}

/// Folds after an answer, if the journal has grown long enough.
pub fn after_answer<H: Host>(host: &H, now: UnixMillis) -> Result<(), Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let backlog = Backlog::list(&journal)?;
    if !backlog.is_due() {
        return Ok(());
    }
    let horizon = Horizon::from_variables(host)?;
    let sql = host.sql().map_err(Error::Regions)?;
    let folded = Fold::new(host, &journal, &sql, Budget::AFTER_ANSWER)
        .and_then(|fold| fold.run(&backlog, horizon, now));
    match folded {
        Err(error) if !error.is_busy() => Err(error),
        _ => Ok(()),
    }
}
