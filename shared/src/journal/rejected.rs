//! Counts of readings rejected in requests of which nothing was kept.
//!
//! Such a request leaves no entry to carry the number. It must cost the node no more
//! than an accepted one: it waits for nothing, takes no room in the journal, and rarely
//! writes. The counts are one key (`rejected/1`). After its answer, a request writes
//! for certain if none has for a minute, and otherwise with a probability that rises
//! with the time since the last write; it then also counts for those that did not
//! write. So one rejected request per minute is counted exactly, and many are counted
//! in expectation.

use std::fmt::Write;

use crate::domain::reading::UnixMillis;
use crate::domain::rejection::{Reason, Rejections};
use crate::error::best_effort;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal::keys;
use crate::limits;

/// What is stored: when it was written, and the counts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Noted {
    at_ms: i64,
    rejections: Rejections,
}

impl Noted {
    fn parse(value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let mut noted = Self::default();
        for (name, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
            let reason = Reason::ALL.into_iter().find(|reason| reason.code() == name);
            match reason {
                Some(reason) => noted.rejections.add(reason, value.parse().unwrap_or(0)),
                None if name == "at" => noted.at_ms = value.parse().unwrap_or(0),
                None => {}
            }
        }
        noted
    }

    fn to_text(&self) -> String {
        let mut text = format!("at={}", self.at_ms);
        for (reason, count) in self.rejections.iter() {
            // Writing to a string can't fail.
            best_effort(write!(text, " {}={count}", reason.code()));
        }
        text
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

/// Adds to the counts, now and then. A concurrent addition may be lost.
pub(crate) fn note<H: Host>(
    host: &H,
    store: &H::KeyValue,
    rejections: &Rejections,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let stored = store.get(keys::REJECTED)?;
    let mut noted = stored.as_deref().map_or_else(Noted::default, Noted::parse);
    let one_in = one_in(now, &noted);
    if !host.random().is_multiple_of(one_in) {
        return Ok(());
    }
    for (reason, count) in rejections.iter() {
        noted.rejections.add(reason, count.saturating_mul(one_in));
    }
    noted.at_ms = now.get();
    store
        .replace(keys::REJECTED, stored.as_deref(), noted.to_text().as_bytes())
        .map(|_was_first| ())
}

/// The counts.
pub(crate) fn counts(store: &impl KeyValue) -> Result<Rejections, StoreError> {
    let stored = store.get(keys::REJECTED)?;
    Ok(stored.map_or_else(Rejections::default, |value| Noted::parse(&value).rejections))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_back_as_they_were_written() {
        let mut rejections = Rejections::default();
        rejections.add(Reason::InFuture, 3);
        rejections.add(Reason::Malformed, 1 << 40);
        let noted = Noted { at_ms: 1_700_000_000_000, rejections };
        assert_eq!(Noted::parse(noted.to_text().as_bytes()), noted);
        assert_eq!(Noted::parse(b"at=x in_future=-1 of_tomorrow=5"), Noted::default());
    }

    #[test]
    fn one_a_minute_is_counted_for_certain_and_many_are_counted_rarely() {
        let noted = Noted { at_ms: 1_700_000_000_000, rejections: Rejections::default() };
        let after = |ms| one_in(UnixMillis::new(noted.at_ms + ms).unwrap(), &noted);
        assert_eq!([after(60_000), after(-1), after(3_600_000)], [1, 1, 1]);
        assert_eq!([after(30_000), after(10_000), after(1_000), after(0)], [4, 36, 256, 256]);
    }
}
