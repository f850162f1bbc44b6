//! Retries of repeatable work, bounded in number and time, with full jitter, so that
//! callers that failed together don't retry together.
//!
//! Full jitter: the pause before attempt n is uniform between 0 and
//! min(cap, base · 2ⁿ). (Marc Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015.)

use crate::host::Host;

/// How often and how long to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The longest pause before the second attempt, in milliseconds.
    pub base_ms: u64,
    /// The longest pause before any attempt, in milliseconds.
    pub cap_ms: u64,
    /// How long after the first attempt pauses shrink to those before the second
    /// attempt again, in milliseconds. Where many wait for one lock, the one that has
    /// waited longest must not ask least often.
    pub impatient_after_ms: u64,
    /// No attempt starts later than this after the first one, in milliseconds. 0 is one
    /// attempt.
    pub total_ms: u64,
    /// The most attempts, at least 1.
    pub attempts: u32,
}

impl Policy {
    /// The pause after the `failed`th attempt (from 1), in milliseconds; `None` to give
    /// up. `random` is uniform over its type.
    pub(crate) fn pause_ms(&self, failed: u32, elapsed_ms: u64, random: u64) -> Option<u64> {
        if failed >= self.attempts {
            return None;
        }
        let doubled = 1_u64.checked_shl(failed.saturating_sub(1)).unwrap_or(u64::MAX);
        let cap = if elapsed_ms < self.impatient_after_ms { self.cap_ms } else { self.base_ms };
        let most = self.base_ms.saturating_mul(doubled).min(cap);
        let pause = random % most.saturating_add(1).max(1);
        (elapsed_ms.saturating_add(pause) <= self.total_ms).then_some(pause)
    }
}

/// Runs `work`, which must be safe to repeat, until it succeeds, fails with an error
/// that is not transient, or the policy gives up.
pub(crate) fn run<T, E>(
    host: &impl Host,
    policy: Policy,
    is_transient: impl Fn(&E) -> bool,
    mut work: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let started_ms = host.monotonic_ms();
    let mut failed = 0;
    loop {
        match work() {
            Err(error) if is_transient(&error) => {
                failed += 1;
                if !pauses(host, policy, failed, started_ms) {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
}

/// Pauses before the next attempt; false to give up. Not inlined, because `run` is
/// compiled once per kind of call.
#[cold]
#[inline(never)]
fn pauses(host: &impl Host, policy: Policy, failed: u32, started_ms: u64) -> bool {
    let elapsed_ms = host.monotonic_ms().saturating_sub(started_ms);
    let pause_ms = policy.pause_ms(failed, elapsed_ms, host.random());
    if let Some(pause_ms) = pause_ms {
        host.sleep_ms(pause_ms);
    }
    pause_ms.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy =
        Policy { base_ms: 2, cap_ms: 50, impatient_after_ms: 600, total_ms: 1_000, attempts: 20 };

    #[test]
    fn pauses_are_spread_from_nothing_to_a_doubling_bound() {
        for (failed, most) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 50), (19, 50)] {
            let pauses: Vec<u64> =
                (0..1_000).filter_map(|random| POLICY.pause_ms(failed, 0, random)).collect();
            assert_eq!(pauses.len(), 1_000);
            assert_eq!((pauses.iter().min(), pauses.iter().max()), (Some(&0), Some(&most)));
        }
    }

    #[test]
    fn who_has_waited_long_asks_often() {
        let longest = |elapsed_ms| {
            let pauses = (0..1_000).filter_map(|random| POLICY.pause_ms(9, elapsed_ms, random));
            pauses.max()
        };
        assert_eq!((longest(599), longest(600)), (Some(50), Some(2)));
    }

    #[test]
    fn attempts_and_time_are_bounded() {
        assert_eq!(POLICY.pause_ms(20, 0, 0), None);
        assert_eq!(POLICY.pause_ms(1, 1_000, 0), Some(0));
        assert_eq!(POLICY.pause_ms(1, 1_001, 0), None);
        assert_eq!(POLICY.pause_ms(19, 999, 2), None, "the pause would go beyond the time");
        let once = Policy { total_ms: 0, ..POLICY };
        assert_eq!(once.pause_ms(1, 1, 0), None);
        let endless = Policy { attempts: u32::MAX, total_ms: u64::MAX, ..POLICY };
        assert!(endless.pause_ms(200, 0, u64::MAX).is_some_and(|pause| pause <= 50));
    }
}
