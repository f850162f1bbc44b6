//! Counts of what leaves no entry, in one key, written by chance.
//!
//! A request of which nothing was kept must cost the node no more than an accepted one: it
//! waits for nothing, takes no room in the journal, and rarely writes. Counts are written
//! after the answer. A request writes for certain if none has for a minute, or if few have:
//! ten in a row, and one more for each quarter of a minute. Otherwise it writes with a
//! probability that rises with the time since the last one that was left to chance, and then
//! also counts for those that did not write. So a few such requests per minute are counted
//! exactly, and many are counted in expectation.

use std::fmt::Write;

use crate::domain::reading::UnixMillis;
use crate::error::best_effort;
use crate::host::{Host, KeyValue, StoreError};
use crate::limits;

/// What is stored: when a note was left to chance and written, and the counts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    at_ms: i64,
    /// Until when the notes that were certain are paid for.
    paid_ms: i64,
    /// Random, so that no two writes are the same: a request that lost against another one with
    /// the same counts at the same moment would take that one's write for its own (as Spin's Redis
    /// store tells failure and success apart by what is there).
    tag: u64,
    counts: Vec<(String, u64)>,
}

impl Noted {
    fn parse(value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let mut noted = Self::default();
        for (name, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
            match name {
                "at" => noted.at_ms = value.parse().unwrap_or(0),
                "paid" => noted.paid_ms = value.parse().unwrap_or(0),
                "tag" => noted.tag = value.parse().unwrap_or(0),
                name => noted.add(name, value.parse().unwrap_or(0)),
            }
        }
        noted
    }

    fn to_text(&self) -> String {
        let mut text = format!("at={}", self.at_ms);
        if self.paid_ms > 0 {
            best_effort(write!(text, " paid={}", self.paid_ms));
        }
        if self.tag > 0 {
            best_effort(write!(text, " tag={}", self.tag));
        }
        for (name, count) in &self.counts {
            // Writing to a string can't fail.
            best_effort(write!(text, " {name}={count}"));
        }
        text
    }

    fn add(&mut self, name: &str, count: u64) {
        match self.counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, counted)) => *counted = counted.saturating_add(count),
            None if count > 0 => self.counts.push((name.to_owned(), count)),
            None => {}
        }
    }

    /// The counts by their names.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// For how many requests this one writes; `None` if it is not its turn.
    fn turn(&mut self, random: u64, now: UnixMillis) -> Option<u64> {
        let one_in = one_in(now, self);
        if one_in > 1 && self.pays(now) {
            return Some(1);
        }
        let writes = random.is_multiple_of(one_in);
        writes.then(|| {
            self.at_ms = now.get();
            one_in
        })
    }

    /// Whether one more note is certain. It is paid for with time, of which some is saved
    /// up.
    fn pays(&mut self, now: UnixMillis) -> bool {
        let most_ms = limits::REJECTED_CERTAIN_MS * limits::REJECTED_CERTAIN_MAX;
        let latest_ms = now.get().saturating_add(most_ms);
        // Later than possible: the clock was set back.
        let begin = if self.paid_ms > latest_ms { 0 } else { self.paid_ms };
        let paid_ms = begin.max(now.get()).saturating_add(limits::REJECTED_CERTAIN_MS);
        let pays = paid_ms <= latest_ms;
        if pays {
            self.paid_ms = paid_ms;
        }
        pays
    }
}

/// On average one in this many requests writes, on behalf of all of them.
fn one_in(now: UnixMillis, noted: &Noted) -> u64 {
    let ago = now.get().saturating_sub(noted.at_ms);
    // A clock that was set back must not stop the counting.
    if !(0..limits::REJECTED_NOTED_MS).contains(&ago) {
        return 1;
    }
    // Squared, so that at one request per second there is a write every twenty seconds.
    // Capped, so that a burst does not get lost.
    let times = limits::REJECTED_NOTED_MS / ago.max(1);
    times.saturating_mul(times).min(limits::REJECTED_PER_NOTE_MAX).cast_unsigned()
}

/// How often to try while other requests write, too.
const ATTEMPTS: usize = 12;

/// Adds these counts to those under `key`, if it is this request's turn; returns for how
/// many requests it then did. Of concurrent notes, those may be lost that come before there
/// is any: a store does not tell that it has no value (`KeyValue::replace`).
pub(crate) fn note<'a, H: Host>(
    host: &H,
    store: &H::KeyValue,
    key: &str,
    counts: impl Iterator<Item = (&'a str, u64)> + Clone,
    now: UnixMillis,
) -> Result<Option<u64>, StoreError> {
    for _ in 0..ATTEMPTS {
        let stored = store.get(key)?;
        let mut noted = stored.as_deref().map_or_else(Noted::default, Noted::parse);
        let Some(times) = noted.turn(host.random(), now) else { return Ok(None) };
        noted.tag = host.random();
        for (name, count) in counts.clone() {
            noted.add(name, count.saturating_mul(times));
        }
        if store.replace(key, stored.as_deref(), noted.to_text().as_bytes())? {
            return Ok(Some(times));
        }
    }
    Ok(None)
}

/// What is under `key`.
pub(crate) fn load(store: &impl KeyValue, key: &str) -> Result<Noted, StoreError> {
    Ok(store.get(key)?.map_or_else(Noted::default, |value| Noted::parse(&value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_back_as_they_were_written() {
        let mut noted = Noted {
            at_ms: 1_700_000_000_000,
            paid_ms: 1_700_000_015_000,
            tag: u64::MAX,
            counts: Vec::new(),
        };
        noted.add("in_future", 3);
        noted.add("malformed", 1 << 40);
        assert_eq!(Noted::parse(noted.to_text().as_bytes()), noted);
        assert_eq!(Noted::parse(b"at=x in_future=-1 =5x"), Noted::default());
    }

    #[test]
    fn one_a_minute_is_counted_for_certain_and_many_are_counted_rarely() {
        let noted = Noted { at_ms: 1_700_000_000_000, ..Noted::default() };
        let after = |ms| one_in(UnixMillis::new(noted.at_ms + ms).unwrap(), &noted);
        assert_eq!([after(60_000), after(-1), after(3_600_000)], [1, 1, 1]);
        assert_eq!([after(30_000), after(10_000), after(1_000), after(0)], [4, 36, 256, 256]);
    }

    #[test]
    fn a_handful_a_minute_is_certain_and_none_of_them_hides_the_others() {
        const NEVER: u64 = 1;
        let at = |ms: i64| UnixMillis::new(1_700_000_000_000 + ms).unwrap();
        let mut noted = Noted::default();
        // Five devices, one second after the other, for an hour.
        for minute in 0..60 {
            for second in 0..5 {
                let now = at(minute * 60_000 + second * 1_000);
                assert_eq!(noted.turn(NEVER, now), Some(1), "{minute} {second}");
            }
        }
        let mut burst = |ms| (0..100).filter_map(|_| noted.turn(NEVER, at(ms))).count();
        // One that is due, and those that were saved up.
        assert_eq!(burst(4_000_000), 1 + 10);
        assert_eq!(burst(4_015_000), 1);
        assert_eq!(burst(1_000_000), 1 + 10, "the clock was set back");
    }
}
