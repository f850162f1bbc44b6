//! Deadlines of operations that wait several times.

use wasi::io::poll::{Pollable, poll};

/// When the whole operation must be done.
pub(crate) struct Deadline {
    at_ns: u64,
}

impl Deadline {
    pub(crate) fn after_ms(ms: u64) -> Self {
        let now_ns = wasi::clocks::monotonic_clock::now();
        Self { at_ns: now_ns.saturating_add(ms.saturating_mul(1_000_000)) }
    }

    /// Waits for `event`, for at most `gap_ms` and until the deadline. Returns whether
    /// it came.
    pub(crate) fn comes(&self, event: &Pollable, gap_ms: u64) -> bool {
        let left_ns = self.at_ns.saturating_sub(wasi::clocks::monotonic_clock::now());
        let wait_ns = left_ns.min(gap_ms.saturating_mul(1_000_000));
        let timer = wasi::clocks::monotonic_clock::subscribe_duration(wait_ns);
        poll(&[event, &timer]).contains(&0)
    }
}
