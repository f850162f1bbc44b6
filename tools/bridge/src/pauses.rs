//! How long to wait after a failure: longer each time, and not at the same time as others.

use std::time::Duration;

/// The first pause has at least this.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(500);

/// No pause has more: a node that is back is noticed within half a minute.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The pauses between attempts at the same thing.
#[derive(Debug)]
pub(crate) struct Pauses {
    upper: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { upper: PAUSE_MIN * 2 }
    }
}

impl Pauses {
    /// The next pause: at random between a half and the whole of a bound that doubles up to
    /// `PAUSE_MAX`.
    pub(crate) fn next(&mut self) -> Duration {
        let half = self.upper / 2;
        self.upper = (self.upper * 2).min(PAUSE_MAX);
        half + half.mul_f64(fastrand::f64())
    }

    /// The next pause, and not less than the node has asked for, but for `PAUSE_MAX`.
    pub(crate) fn next_after(&mut self, asked: Option<Duration>) -> Duration {
        self.next().max(asked.unwrap_or_default()).min(PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let mut pauses = Pauses::default();
        let first = pauses.next();
        assert!((PAUSE_MIN..=PAUSE_MIN * 2).contains(&first), "{first:?}");
        for _ in 0..10 {
            pauses.next();
        }
        let late: Vec<Duration> = (0..100).map(|_| pauses.next()).collect();
        assert!(late.iter().all(|pause| (PAUSE_MAX / 2..=PAUSE_MAX).contains(pause)), "{late:?}");
        assert!(late.iter().any(|pause| *pause != late[0]), "all are the same: {late:?}");
    }

    #[test]
    fn what_the_node_asks_for_is_kept_up_to_the_bound() {
        let asked = |seconds| Pauses::default().next_after(Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(3_600), PAUSE_MAX);
        assert!(asked(0) >= PAUSE_MIN);
    }
}
