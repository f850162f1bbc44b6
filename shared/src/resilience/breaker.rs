//! A circuit breaker (closed, open, half-open): stops calls to a store that keeps
//! failing.
//!
//! A pure state machine: time is an argument, and `circuit` stores the state.

use std::fmt;
use std::str::FromStr;

use crate::domain::reading::UnixMillis;
use crate::limits;

/// The state between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Calls are made. This many have failed in a row.
    Closed {
        /// Below `limits::BREAKER_FAILURES_TO_OPEN`.
        failures: u32,
    },
    /// No calls are made until the cool-down is over.
    Open {
        /// When the next call may probe.
        until: UnixMillis,
        /// The length of this cool-down, in milliseconds.
        cooldown_ms: i64,
    },
    /// One call is probing. If it never returns, another may probe later.
    HalfOpen {
        /// When another call may probe.
        until: UnixMillis,
        /// The length of the previous cool-down, in milliseconds.
        cooldown_ms: i64,
    },
}

/// What to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Make it.
    Go,
    /// Make it as the probe, once this state is stored.
    Probe(State),
    /// Don't make it; ask again after this many milliseconds.
    Refuse {
        /// At least 1.
        retry_after_ms: i64,
    },
}

impl State {
    /// The state before anything happened.
    pub(crate) const NEW: Self = Self::Closed { failures: 0 };

    /// Whether a call may be made now.
    pub(crate) fn ask(self, now: UnixMillis) -> Verdict {
        let (until, cooldown_ms) = match self {
            Self::Closed { .. } => return Verdict::Go,
            Self::Open { until, cooldown_ms } | Self::HalfOpen { until, cooldown_ms } => {
                (until, cooldown_ms)
            }
        };
        let left_ms = until.get() - now.get();
        // A wait longer than any cool-down: the clock was set back. The margin is for a
        // call that read the clock before the probe did.
        const LONGEST_MS: i64 = limits::BREAKER_COOLDOWN_MS_MAX + limits::REQUEST_MS_MAX;
        if left_ms <= 0 || left_ms > LONGEST_MS {
            let until = now.saturating_add(cooldown_ms);
            return Verdict::Probe(Self::HalfOpen { until, cooldown_ms });
        }
        Verdict::Refuse { retry_after_ms: left_ms }
    }

    /// The state after a call that succeeded.
    #[must_use]
    pub(crate) fn succeeded(self) -> Self {
        Self::NEW
    }

    /// The state after a call that failed.
    #[must_use]
    pub(crate) fn failed(self, now: UnixMillis) -> Self {
        let cooldown_ms = match self {
            // A stored number may be any.
            Self::Closed { failures }
                if failures.saturating_add(1) < limits::BREAKER_FAILURES_TO_OPEN =>
            {
                return Self::Closed { failures: failures.saturating_add(1) };
            }
            Self::Closed { .. } => limits::BREAKER_COOLDOWN_MS_MIN,
            // A call from before the breaker opened tells nothing new.
            Self::Open { .. } => return self,
            Self::HalfOpen { cooldown_ms, .. } => {
                cooldown_ms.saturating_mul(2).min(limits::BREAKER_COOLDOWN_MS_MAX)
            }
        };
        Self::Open { until: now.saturating_add(cooldown_ms), cooldown_ms }
    }

    /// The state's name, as in metrics and log lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }
}

/// The stored form: `closed 2`, `open 1700000000000 1000`.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { failures } => write!(f, "closed {failures}"),
            Self::Open { until, cooldown_ms } | Self::HalfOpen { until, cooldown_ms } => {
                write!(f, "{} {} {cooldown_ms}", self.name(), until.get())
            }
        }
    }
}

/// A state that can't be read is of another release, and counts as new.
impl FromStr for State {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        let instant = |word: &str| word.parse().ok().and_then(UnixMillis::new).ok_or(());
        let cooldown = |word: &str| {
            let ms = word.parse::<i64>().ok().filter(|ms| *ms > 0);
            ms.map(|ms| ms.min(limits::BREAKER_COOLDOWN_MS_MAX)).ok_or(())
        };
        match words.as_slice() {
            ["closed", failures] => {
                let failures = failures.parse().map_err(|_not_a_number| ())?;
                Ok(Self::Closed { failures })
            }
            ["open", until, ms] => {
                Ok(Self::Open { until: instant(until)?, cooldown_ms: cooldown(ms)? })
            }
            ["half-open", until, ms] => {
                Ok(Self::HalfOpen { until: instant(until)?, cooldown_ms: cooldown(ms)? })
            }
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(1_700_000_000_000 + ms).unwrap()
    }

    fn opened(ms: i64) -> State {
        (0..limits::BREAKER_FAILURES_TO_OPEN).fold(State::NEW, |state, _| state.failed(at(ms)))
    }

    /// Probes at `ms` and returns the state in which the probe runs.
    fn probing(state: State, ms: i64) -> State {
        match state.ask(at(ms)) {
            Verdict::Probe(state) => state,
            other => panic!("{state} says {other:?}"),
        }
    }

    #[test]
    fn a_run_of_failures_opens_it_and_a_success_in_between_does_not() {
        let almost = State::NEW.failed(at(0)).failed(at(0));
        assert_eq!(almost.ask(at(0)), Verdict::Go);
        assert_eq!(almost.succeeded(), State::NEW);
        assert_eq!(opened(0).ask(at(0)), Verdict::Refuse { retry_after_ms: 1_000 });
        assert_eq!(opened(0).ask(at(999)), Verdict::Refuse { retry_after_ms: 1 });
    }

    #[test]
    fn after_the_cool_down_one_call_probes_and_the_others_are_spared() {
        let half_open = probing(opened(0), 1_000);
        assert_eq!(half_open.name(), "half-open");
        assert!(matches!(half_open.ask(at(1_001)), Verdict::Refuse { .. }));
        assert_eq!(half_open.succeeded(), State::NEW);
        // The probe died with its process.
        assert!(matches!(half_open.ask(at(2_000)), Verdict::Probe(_)));
    }

    #[test]
    fn the_cool_down_doubles_with_every_failed_probe_up_to_a_bound() {
        let (mut state, mut now, mut cooldowns) = (opened(0), 0, Vec::new());
        for _ in 0..6 {
            let State::Open { cooldown_ms, .. } = state else { panic!("{state}") };
            cooldowns.push(cooldown_ms);
            now += cooldown_ms;
            state = probing(state, now).failed(at(now));
        }
        assert_eq!(cooldowns, [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    }

    #[test]
    fn a_number_of_failures_that_nobody_counted_opens_it() {
        let stored: State = format!("closed {}", u32::MAX).parse().unwrap();
        assert_eq!(stored.failed(at(0)).name(), "open");
    }

    #[test]
    fn a_late_failure_does_not_prolong_an_open_breaker() {
        assert_eq!(opened(0).failed(at(900)), opened(0));
    }

    #[test]
    fn a_call_that_read_the_clock_before_the_probe_is_spared_like_the_others() {
        let (mut state, mut now) = (opened(0), 0);
        for _ in 0..5 {
            let State::Open { cooldown_ms, .. } = state else { panic!("{state}") };
            now += cooldown_ms;
            state = probing(state, now).failed(at(now));
        }
        // The cool-down is at its maximum.
        let half_open = probing(state, now + 15_000);
        for earlier in [0, 3, 2_000] {
            let asked = half_open.ask(at(now + 15_000 - earlier));
            assert_eq!(asked, Verdict::Refuse { retry_after_ms: 15_000 + earlier });
        }
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_open() {
        assert!(matches!(opened(3_600_000).ask(at(0)), Verdict::Probe(_)));
    }

    #[test]
    fn every_state_is_read_back_as_it_was_written() {
        let states = [State::NEW, State::NEW.failed(at(0)), opened(0), probing(opened(0), 1_000)];
        for state in states {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        for bad in ["", "open", "open x 1", "open 1 0", "closed -1", "ajar 1 2", "open 1 2 3"] {
            assert_eq!(bad.parse::<State>(), Err(()), "{bad}");
        }
    }
}
