//! What lanes have to know of the connection: whether a message is still to be sent.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shared by the connection and all lanes.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopping: bool,
    /// Messages of QoS 1 with a lower number came on a connection that was lost.
    wanted_from: u64,
}

impl State {
    /// A message without a number has QoS 0: the broker does not send it again.
    fn wants(&self, number: Option<u64>) -> bool {
        !self.is_stopping && number.is_none_or(|number| number >= self.wanted_from)
    }
}

impl Gate {
    /// Whether the message of this number is still to be sent. It is not if the broker sends it
    /// again, or if the program is to end.
    pub(crate) fn wants(&self, number: Option<u64>) -> bool {
        self.lock().wants(number)
    }

    /// Waits for as long as `pause`, or until the message is not wanted any more.
    pub(crate) fn wait(&self, pause: Duration, number: Option<u64>) {
        let wants = |state: &mut State| state.wants(number);
        drop(self.changed.wait_timeout_while(self.lock(), pause, wants));
    }

    /// Messages with a number below this one are not wanted any more.
    pub(crate) fn forget_before(&self, number: u64) {
        self.lock().wanted_from = number;
        self.changed.notify_all();
    }

    /// No message is wanted any more.
    pub(crate) fn stop(&self) {
        self.lock().is_stopping = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_lost_connection_only_what_the_broker_does_not_repeat_is_wanted() {
        let gate = Gate::default();
        gate.forget_before(5);
        assert_eq!([Some(4), Some(5), None].map(|number| gate.wants(number)), [false, true, true]);
        gate.stop();
        assert_eq!([Some(5), None].map(|number| gate.wants(number)), [false, false]);
    }

    #[test]
    fn a_pause_ends_when_the_program_is_to_end() {
        let gate = Gate::default();
        std::thread::scope(|scope| {
            // Without the end of the pause this test would take an hour.
            scope.spawn(|| gate.wait(Duration::from_secs(3_600), None));
            gate.stop();
        });
    }
}
