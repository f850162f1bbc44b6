//! Calls to the regions database through its circuit breaker. The breaker's state is in
//! the key-value store, so all requests share it.
//!
//! Best effort: if its state can't be read or written, calls go through.

use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::host::{Host, KeyValue};
use crate::resilience::breaker::{State, Verdict};

/// The key of the breaker's state.
pub(crate) const BREAKER_KEY: &str = "breaker/1/regions";

/// Makes calls to the regions database, unless the breaker is open.
pub(crate) struct CircuitBreaker<'a, H: Host> {
    host: &'a H,
    store: &'a H::KeyValue,
    /// The stored bytes, and the state they mean.
    stored: Option<Vec<u8>>,
    state: State,
}

impl<'a, H: Host> CircuitBreaker<'a, H> {
    /// The breaker in its stored state, which is read only if `has_state`.
    pub(crate) fn new(host: &'a H, store: &'a H::KeyValue, has_state: bool) -> Self {
        let stored = if has_state { store.get(BREAKER_KEY).unwrap_or(None) } else { None };
        let text = stored.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let state = text.and_then(|text| text.parse().ok()).unwrap_or(State::NEW);
        Self { host, store, stored, state }
    }

    /// The breaker's state.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Makes the call unless the breaker is open, and learns from how it ends.
    pub(crate) fn call<T>(
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

    /// Fails if the breaker is open.
    fn ask(&mut self, now: UnixMillis) -> Result<(), Error> {
        match self.state.ask(now) {
            Verdict::Go => Ok(()),
            // Of several requests that could probe at once, one does.
            Verdict::Probe(state) => match self.become_state(state, "the cool-down is over") {
                true => Ok(()),
                false => Err(Error::CircuitOpen { retry_after_ms: 1_000 }),
            },
            Verdict::Refuse { retry_after_ms } => Err(Error::CircuitOpen { retry_after_ms }),
        }
    }

    /// Learns from a call that began at `started_ms` and failed with `failed`, if it
    /// did. A success does not overwrite a state that another request has changed
    /// meanwhile.
    fn learn(&mut self, failed: Option<&Error>, started_ms: u64, now: UnixMillis) {
        if let Some(error) = failed.filter(|error| error.is_outage()) {
            // The cool-down begins when the call fails, possibly long after `now`.
            let took_ms = self.host.monotonic_ms().saturating_sub(started_ms);
            let now = now.saturating_add(i64::try_from(took_ms).unwrap_or(i64::MAX));
            self.become_state(self.state.failed(now), &error.to_string());
        } else if self.state != State::NEW
            && self.become_state(self.state.succeeded(), "it responds")
        {
            // An absent state counts as new, and saves a read.
            best_effort(self.store.delete_many(&[BREAKER_KEY.to_owned()]));
        }
    }

    /// Stores `next` and logs the transition. False if another request was first; if
    /// the store fails, every request counts as first.
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
