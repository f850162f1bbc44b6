//! Counters, and the lines that the program prints: what went wrong on standard error, what
//! goes on on standard output. No line has a payload or a token in it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use isotherm::UnixMillis;

/// The longest topic in a line, in characters.
const TOPIC_CHARS_MAX: usize = 200;

/// What can keep messages waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The connection to the broker.
    Broker,
    /// The node, in a lane of this number.
    Lane(usize),
}

/// What has happened since the program was started.
#[derive(Debug, Default)]
pub(crate) struct Report {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    refused: u64,
    skipped: u64,
    dropped: u64,
    held: usize,
    waiting: BTreeMap<Source, Wait>,
}

#[derive(Debug)]
struct Wait {
    /// Unix milliseconds.
    since: i64,
    why: String,
}

impl Report {
    /// The node has a message.
    pub(crate) fn taken(&self) {
        self.lock().taken += 1;
    }

    /// The node will never take a message of this topic, and what it said.
    pub(crate) fn refused(&self, topic: &str, said: &str) {
        self.lock().refused += 1;
        complain(&format!("refused, and not sent again: {}: {said}", of_topic(topic)));
    }

    /// The node rejected a part of a message of this topic, and what it said.
    pub(crate) fn rejected_in_part(&self, topic: &str, said: &str) {
        complain(&format!("taken in part: {}: {said}", of_topic(topic)));
    }

    /// A retained message was left alone.
    pub(crate) fn skipped(&self) {
        self.lock().skipped += 1;
    }

    /// A message of QoS 0 is lost: no broker sends it again.
    pub(crate) fn dropped(&self) {
        self.lock().dropped += 1;
    }

    /// How many messages are here and not settled.
    pub(crate) fn held(&self, count: usize) {
        self.lock().held = count;
    }

    /// Nothing goes on at `source`. Says so unless another source waits for the same.
    pub(crate) fn waits(&self, source: Source, why: &str) {
        let mut state = self.lock();
        let is_known = state.waiting.values().any(|wait| wait.why == why);
        let since = state.waiting.get(&source).map_or_else(now_ms, |wait| wait.since);
        state.waiting.insert(source, Wait { since, why: why.to_owned() });
        if !is_known {
            complain(&format!("waiting: {why}"));
        }
    }

    /// It goes on at `source`. Says so if nothing waits any more.
    pub(crate) fn goes_on(&self, source: Source) {
        let mut state = self.lock();
        let was_waiting = state.waiting.remove(&source).is_some();
        if was_waiting && state.waiting.is_empty() {
            say("isotherm-bridge: going on");
        }
    }

    /// What `source` waited for is of no interest any more.
    pub(crate) fn gave_up(&self, source: Source) {
        self.lock().waiting.remove(&source);
    }

    /// Prints the line of the counters.
    pub(crate) fn status(&self) {
        say(&format!("isotherm-bridge: {}", self.lock().line()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&self) -> String {
        let mut line = format!("taken {}, refused {}", self.taken, self.refused);
        for (count, what) in
            [(self.skipped, "retained and skipped"), (self.dropped, "of QoS 0 and lost")]
        {
            if count > 0 {
                line += &format!(", {what} {count}");
            }
        }
        line += &format!(", not settled {}", self.held);
        if let Some(wait) = self.waiting.values().min_by_key(|wait| wait.since) {
            let since = UnixMillis::new(wait.since).map(|since| since.to_string());
            line += &format!("; waiting since {}: {}", since.unwrap_or_default(), wait.why);
        }
        line
    }
}

fn of_topic(topic: &str) -> String {
    plain(topic, TOPIC_CHARS_MAX)
}

/// The first `chars_max` characters of a text that came from outside, with those escaped that
/// would begin a line of their own or drive a terminal.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    let mut plain = String::new();
    for (index, char) in text.chars().enumerate() {
        match char {
            _ if index == chars_max => {
                plain.push('…');
                break;
            }
            _ if char.is_control() => plain.extend(char.escape_default()),
            _ => plain.push(char),
        }
    }
    plain
}

/// Prints a line to standard output.
pub(crate) fn say(line: &str) {
    // Messages go on where nobody can be told.
    writeln!(std::io::stdout().lock(), "{line}").unwrap_or_default();
}

/// Prints a line to standard error.
pub(crate) fn complain(line: &str) {
    // The same.
    writeln!(std::io::stderr().lock(), "isotherm-bridge: {line}").unwrap_or_default();
}

#[expect(clippy::disallowed_methods, reason = "a program is an entry: it has a clock of its own")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_names_what_has_waited_longest() {
        let report = Report::default();
        report.taken();
        assert_eq!(report.lock().line(), "taken 1, refused 0, not settled 0");
        report.waits(Source::Lane(3), "503");
        report.lock().waiting.get_mut(&Source::Lane(3)).unwrap().since = 0;
        report.waits(Source::Lane(3), "401");
        report.waits(Source::Broker, "away");
        report.held(2);
        report.dropped();
        let line = report.lock().line();
        let expected = "taken 1, refused 0, of QoS 0 and lost 1, not settled 2; waiting since \
                        1970-01-01T00:00:00.000Z: 401";
        assert_eq!(line, expected);
        report.goes_on(Source::Lane(3));
        assert!(report.lock().line().ends_with(": away"));
    }

    #[test]
    fn text_from_outside_makes_no_line_of_its_own() {
        assert_eq!(plain("a\nb\u{1b}[2J", 100), "a\\nb\\u{1b}[2J");
        assert_eq!(plain("Kühlraum", 3), "Küh…");
        assert_eq!(plain("abc", 3), "abc");
    }
}
