//! Whether a connection comes on: it may be idle for some time, and its client may be slow, but
//! not for ever.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Limits;
use super::bounds::Admitted;
use super::watched::Seen;

/// At least so many bytes of a body have to come within `Limits::stall`.
const STALL_BYTES: u64 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Well,
    Idle,
    Stalled,
}

/// How a connection has come on since it was looked at.
pub(super) struct Pace {
    /// Since when it has been in this state.
    state: State,
    since: Instant,
    /// Bytes that had come by then, and that had come when the last request ended.
    read: u64,
    read_before: u64,
    /// Bytes that had gone by then.
    written: u64,
    /// Whether what comes is a head. In HTTP/2 it may be of the connection itself.
    has_heads: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is under way, and nothing has come since.
    Quiet,
    /// A head has begun.
    Head,
    /// A body is coming.
    Body,
    /// The client does not take the answer.
    Blocked,
    /// The application works.
    Working,
}

impl Pace {
    pub(super) fn new(has_heads: bool) -> Self {
        // What it is in, the first look says.
        let (state, since) = (State::Working, Instant::now());
        Self { state, since, read: 0, read_before: 0, written: 0, has_heads }
    }

    pub(super) fn look(&mut self, seen: &Seen, admitted: &Admitted, limits: Limits) -> Look {
        let read = seen.read.load(Ordering::Relaxed);
        let read_before = seen.read_before.load(Ordering::Relaxed);
        let is_busy = seen.busy.load(Ordering::Acquire) > 0;
        let written = seen.written.load(Ordering::Relaxed);
        // In HTTP/2, a client may also just not ask for more.
        let is_blocked =
            seen.is_blocked.load(Ordering::Relaxed) || seen.unasked.load(Ordering::Acquire) > 0;
        let state = if is_busy && is_blocked {
            State::Blocked
        } else if is_busy && seen.bodies.load(Ordering::Relaxed) > 0 {
            State::Body
        } else if is_busy {
            State::Working
        } else if self.has_heads && read > read_before {
            State::Head
        } else {
            State::Quiet
        };
        let has_come_on = state == State::Body && read >= self.read + STALL_BYTES;
        let has_come_on = has_come_on || state == State::Blocked && written > self.written;
        // Whole requests may have passed since.
        let has_come_on = has_come_on || read_before != self.read_before;
        if state != self.state || has_come_on {
            if state == State::Quiet {
                admitted.set_idle();
            } else {
                admitted.set_busy();
            }
            (self.state, self.since) = (state, Instant::now());
            (self.read, self.read_before, self.written) = (read, read_before, written);
            return Look::Well;
        }
        let age = self.since.elapsed();
        match state {
            State::Quiet if age >= limits.idle => Look::Idle,
            State::Head if age >= limits.head => Look::Stalled,
            State::Body | State::Blocked if age >= limits.stall => Look::Stalled,
            _ => Look::Well,
        }
    }
}
