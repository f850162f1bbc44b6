//! Group commit: writes that come while another one is being synced are committed together, with
//! one sync for all of them.
//!
//! Whoever finds no commit under way makes one, of all that waits by then: nobody waits for
//! others to come. All writes of a group are there afterwards, or none is; each caller hears so.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Failure;

/// The most writes in one commit: what waits for a commit is bounded by it, and so is what a
/// single failure can take with it.
const WRITES_MAX: usize = 128;

/// Writes that wait for a commit, and what came of those that did.
pub(crate) struct Group<W> {
    state: Mutex<State<W>>,
    /// A commit is over.
    over: Condvar,
}

struct State<W> {
    next: u64,
    /// In the order in which they came.
    waiting: Vec<(u64, W)>,
    is_led: bool,
    results: HashMap<u64, Result<(), Failure>>,
    /// Commits, and the writes in them.
    counted: (u64, u64),
}

impl<W> Default for Group<W> {
    fn default() -> Self {
        let state = State {
            next: 0,
            waiting: Vec::new(),
            is_led: false,
            results: HashMap::new(),
            counted: (0, 0),
        };
        Self { state: Mutex::new(state), over: Condvar::new() }
    }
}

/// A commit under way. If it ends without a result, as in a panic, its writes have failed.
struct Lead<'a, W> {
    group: &'a Group<W>,
    ids: Vec<u64>,
    result: Result<(), Failure>,
}

impl<W> Drop for Lead<'_, W> {
    fn drop(&mut self) {
        let mut state = self.group.state();
        state.is_led = false;
        for id in &self.ids {
            state.results.insert(*id, self.result.clone());
        }
        drop(state);
        self.group.over.notify_all();
    }
}

impl<W> Group<W> {
    fn state(&self) -> MutexGuard<'_, State<W>> {
        // The state is whole whenever it is not locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when `commit` has committed this write, alone or with others. It is given all
    /// writes of a group, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The commit failed: none of the group is there.
    pub(crate) fn write(
        &self,
        write: W,
        commit: impl Fn(&[W]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut state = self.state();
        let own = state.next;
        state.next += 1;
        state.waiting.push((own, write));
        loop {
            if let Some(result) = state.results.remove(&own) {
                return result;
            }
            if state.is_led {
                state = self.over.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_led = true;
            let count = state.waiting.len().min(WRITES_MAX);
            let (ids, writes): (Vec<u64>, Vec<W>) = state.waiting.drain(..count).unzip();
            state.counted.0 += 1;
            state.counted.1 += u64::try_from(ids.len()).unwrap_or(u64::MAX);
            drop(state);
            let result = Err("the commit ended without a result".to_owned());
            let mut lead = Lead { group: self, ids, result };
            lead.result = commit(&writes);
            drop(lead);
            state = self.state();
        }
    }

    /// Commits so far, and the writes in them.
    pub(crate) fn counted(&self) -> (u64, u64) {
        self.state().counted
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_write_that_is_alone_waits_for_nobody() {
        let group = Group::default();
        for number in 0..3 {
            let commit = |writes: &[u32]| {
                assert_eq!(writes, [number]);
                Ok(())
            };
            assert_eq!(group.write(number, commit), Ok(()));
        }
        assert_eq!(group.counted(), (3, 3));
    }

    /// Writes that come while the first is committed: `commit` is given them, and what it says
    /// of the second group is returned for each.
    fn beside(result: &Result<(), Failure>) -> Vec<Result<(), Failure>> {
        const OTHERS: u32 = 20;
        let (group, has_begun) = (Group::default(), Barrier::new(2));
        let commits = AtomicUsize::new(0);
        let commit = |writes: &[u32]| {
            if writes == [0] {
                has_begun.wait();
                // Until all others wait.
                while group.state().waiting.len() < 20 {
                    std::thread::yield_now();
                }
                return Ok(());
            }
            commits.fetch_add(1, Ordering::SeqCst);
            assert_eq!(writes.len(), 20, "all that waited, in one");
            result.clone()
        };
        let results = std::thread::scope(|scope| {
            let first = scope.spawn(|| group.write(0, commit));
            has_begun.wait();
            let (group, commit) = (&group, &commit);
            let others: Vec<_> = (1..=OTHERS)
                .map(|number| scope.spawn(move || group.write(number, commit)))
                .collect();
            assert_eq!(first.join().unwrap(), Ok(()));
            others.into_iter().map(|other| other.join().unwrap()).collect()
        });
        assert_eq!(commits.load(Ordering::SeqCst), 1);
        results
    }

    #[test]
    fn what_waits_meanwhile_is_committed_together_or_fails_together() {
        for result in [Ok(()), Err("disk full".to_owned())] {
            let results = beside(&result);
            assert!(results.iter().all(|one| *one == result), "{results:?}");
        }
    }

    #[test]
    fn a_commit_that_panics_fails_and_the_next_one_goes_on() {
        let group = Group::default();
        let panics = || group.write(1, |_writes: &[u32]| panic!("as if"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(group.write(2, |_writes| Ok(())), Ok(()));
    }
}
