//! A connection to the regions database, with the schema applied and a time budget.
//!
//! SQLite's busy handler is off: it waits in growing steps and starves callers that
//! come late. A caller that finds a lock tries again after a random pause (`retry`), as
//! long as its budget lasts.

use crate::error::{Error, best_effort};
use crate::host::{Ending, Host, Sql, TransactionKind};
use crate::ledger::schema;
use crate::limits;
use crate::resilience::retry::{self, Policy};

/// How long a caller waits for the database and works with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How long to wait for the write lock, in milliseconds; 0 leaves the work to the
    /// request that holds it.
    pub lock_ms: u64,
    /// No further step starts after this many milliseconds.
    pub total_ms: u64,
}

impl Budget {
    /// The most steps, even if the clock stands still; at least 1.
    pub(crate) fn steps_max(self) -> usize {
        let steps = self.total_ms / limits::FOLD_STEP_MS_MIN + 1;
        usize::try_from(steps).unwrap_or(usize::MAX)
    }

    /// Waits and works for `ms` milliseconds.
    pub const fn waiting(ms: u64) -> Self {
        Self { lock_ms: ms, total_ms: ms }
    }
}

/// A new caller backs off; one that has waited for 200 ms retries often, and so is
/// next. (64 connections that wait for their folds at once, on two cores: p99 326 ms,
/// against 628 ms with pauses of at most 25 ms for every caller.)
const LOCK: Policy =
    Policy { base_ms: 8, cap_ms: 100, impatient_after_ms: 200, total_ms: 0, attempts: u32::MAX };

/// The error if a host did not call `work`, as `Sql::transaction` requires.
const NOT_CALLED: Error = Error::Corrupt("transaction");

/// A connection to the regions database.
pub struct Database<'a, H: Host> {
    host: &'a H,
    sql: H::Sql,
    budget: Budget,
    started_ms: u64,
    is_server: bool,
}

impl<'a, H: Host> Database<'a, H> {
    /// Opens the database and applies the schema if need be.
    pub fn open(host: &'a H, budget: Budget) -> Result<Self, Error> {
        let started_ms = host.monotonic_ms();
        let sql = host.sql().map_err(Error::Regions)?;
        let mut database = Self { host, sql, budget, started_ms, is_server: false };
        database.check_that_it_responds(started_ms)?;
        let without_waiting = database.sql.execute("PRAGMA busy_timeout = 0", &[]);
        database.is_server = best_effort(without_waiting).is_none();
        database.check_that_it_responds(started_ms)?;
        database.retry_while_busy(budget.total_ms, || {
            // The first statement that reaches a server: its client answers those before.
            let asked_ms = host.monotonic_ms();
            let is_current = schema::is_current(&database.sql)?;
            database.check_that_it_responds(asked_ms)?;
            if is_current { Ok(()) } else { schema::migrate(&database.sql) }
        })?;
        Ok(database)
    }

    /// Runs `work` in one transaction that holds the write lock from its first
    /// statement on. It is rolled back if `work` fails, and run again if its commit
    /// finds a lock.
    pub(crate) fn transaction<T>(
        &self,
        mut work: impl FnMut(&H::Sql) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut value = None;
        self.in_transaction(TransactionKind::Write, self.budget.lock_ms, &mut || {
            value = Some(work(&self.sql)?);
            Ok(())
        })?;
        value.ok_or(NOT_CALLED)
    }

    /// Runs `work`, which only reads.
    pub(crate) fn read<T>(&self, work: impl Fn(&H::Sql) -> Result<T, Error>) -> Result<T, Error> {
        self.retry_read(|| work(&self.sql))
    }

    /// Runs `work`, which only reads, in one transaction: no fold changes anything
    /// between two of its statements.
    pub(crate) fn read_at_once<T>(
        &self,
        work: impl Fn(&H::Sql) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut value = None;
        let mut read_into_value = || {
            value = Some(work(&self.sql)?);
            Ok(())
        };
        self.retry_read(|| self.in_transaction(TransactionKind::Read, 0, &mut read_into_value))?;
        value.ok_or(NOT_CALLED)
    }

    /// Waits at most `lock_ms` for the transaction to begin. Returns an error of `work`
    /// unchanged. Not generic in the result, so that a component contains it once.
    fn in_transaction(
        &self,
        kind: TransactionKind,
        lock_ms: u64,
        work: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut done = Err(NOT_CALLED);
        self.retry_while_busy(lock_ms, || {
            let ended = self.sql.transaction(kind, &mut || {
                done = work();
                // A read has nothing to commit.
                let is_kept = kind == TransactionKind::Write && done.is_ok();
                if is_kept { Ending::Commit } else { Ending::RollBack }
            });
            ended.map_err(Error::Regions)
        })?;
        done
    }

    /// The runtime that this connection belongs to.
    pub(crate) fn host(&self) -> &'a H {
        self.host
    }

    /// Fails if the time since then is too long for an answer. A call can't be aborted, but
    /// no further one is made.
    fn check_that_it_responds(&self, since_ms: u64) -> Result<(), Error> {
        let elapsed_ms = self.host.monotonic_ms().saturating_sub(since_ms);
        if elapsed_ms < limits::REGIONS_RESPONSE_MS_MAX {
            return Ok(());
        }
        Err(Error::Unresponsive { elapsed_ms })
    }

    fn elapsed_ms(&self) -> u64 {
        self.host.monotonic_ms().saturating_sub(self.started_ms)
    }

    /// Whether it is a server, as far as it shows: one refuses to set how long to wait for a
    /// lock, and lets a transaction wait for the one before it. Each statement is a request to
    /// it, and it ends a transaction that others wait for (libSQL's after 5 s).
    pub(crate) fn is_server(&self) -> bool {
        self.is_server
    }

    /// The budget that was given.
    pub(crate) fn budget(&self) -> Budget {
        self.budget
    }

    /// How much of the budget is left, in milliseconds.
    pub(crate) fn left_ms(&self) -> u64 {
        self.budget.total_ms.saturating_sub(self.elapsed_ms())
    }

    /// Repeats `work` while it finds a lock, for at most `ms` milliseconds.
    fn retry_read<T>(&self, work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let total_ms = self.left_ms().max(limits::READ_BUSY_MS);
        retry::run(self.host, Policy { total_ms, ..LOCK }, Error::is_busy, work)
    }

    fn retry_while_busy<T>(
        &self,
        ms: u64,
        work: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let total_ms = ms.min(self.left_ms());
        let policy = Policy { total_ms, ..LOCK };
        retry::run(self.host, policy, Error::is_busy, work)
    }
}
