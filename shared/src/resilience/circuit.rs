//! The regions database behind its circuit breaker, whose state is kept in
//! key-value: the one thing that requests share.
//!
//! The breaker is a courtesy and not a promise: where its state can't be read
//! or written, calls go through.

use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::host::{Host, KeyValue};
use crate::resilience::breaker::{State, Verdict};

/// Where the state of the regions database's breaker is.
pub const BREAKER_KEY: &str = "breaker/1/regions";

/// Lets calls through to the regions database, or spares it.
pub struct CircuitBreaker<'a, H: Host> {
    host: &'a H,
    store: &'a H::KeyValue,
    /// What is stored, and what it means.
    stored: Option<Vec<u8>>,
    state: State,
}

impl<'a, H: Host> CircuitBreaker<'a, H> {
    /// A guard in the stored state; `has_state` is the inventory's word that
    /// there is one to read.
    pub fn new(host: &'a H, store: &'a H::KeyValue, has_state: bool) -> Self {
        let stored = if has_state { store.get(BREAKER_KEY).unwrap_or(None) } else { None };
        let text = stored.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let state = text.and_then(|text| text.parse().ok()).unwrap_or(State::NEW);
        Self { host, store, stored, state }
    }

    /// The breaker's state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Makes the call unless the database is being spared, and learns from how
    /// it ends.
    pub fn call<T>(
        mut self,
        now: UnixMillis,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.ask(now)?;
        let started_ms = self.host.monotonic_ms();
        let done = work();
        self.learn(done.as_ref().err(), started_ms, now);
        done
    }

    /// Fails where the database is to be spared.
    fn ask(&mut self, now: UnixMillis) -> Result<(), Error> {
        match self.state.ask(now) {
            Verdict::Go => Ok(()),
            // Of several requests that want to probe at once, one does.
            Verdict::Probe(state) => match self.become_state(state, "the cool-down is over") {
                true => Ok(()),
                false => Err(Error::CircuitOpen { retry_after_ms: 1_000 }),
            },
            Verdict::Spare { retry_after_ms } => Err(Error::CircuitOpen { retry_after_ms }),
        }
    }

    /// A call that began at `started_ms` failed with this, or did not. If the database
    /// responded, another request that has changed the state meanwhile is left to it.
    fn learn(&mut self, failed: Option<&Error>, started_ms: u64, now: UnixMillis) {
        if let Some(error) = failed.filter(|error| error.is_outage()) {
            // The cool-down begins when the call has failed, which may take long.
            let took_ms = self.host.monotonic_ms().saturating_sub(started_ms);
            let now = now.saturating_add(i64::try_from(took_ms).unwrap_or(i64::MAX));
            self.become_state(self.state.failed(now), &error.to_string());
        } else if self.state != State::NEW
            && self.become_state(self.state.succeeded(), "it responds")
        {
            // Absent is as good as new, and what is absent need not be read.
            best_effort(self.store.delete_many(&[BREAKER_KEY.to_owned()]));
        }
    }

    /// Stores `next` and logs the transition, unless somebody else was first.
    /// Where the store fails, everybody is first.
    fn become_state(&mut self, next: State, cause: &str) -> bool {
        let written = next.to_string().into_bytes();
        let swapped = self.store.replace(BREAKER_KEY, self.stored.as_deref(), &written);
        if swapped == Ok(false) {
            return false;
        }
        if next.name() != self.state.name() {
            let (old, new) = (self.state.name(), next.name());
            self.host.log(&format!("breaker of the regions database: {old} to {new}: {cause}"));
        }
        (self.stored, self.state) = (Some(written), next);
        true
    }
}
