//! How far long work has come: a bar in a terminal, and lines where there is none, as in a
//! log. Both go to standard error, so that standard output has the results alone.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How much time is between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far some work has come. Threads share it.
///
/// Work that ends early drops it: the bar goes, and an error has the last word.
#[derive(Debug)]
pub struct Progress {
    what: String,
    unit: String,
    total: Option<u64>,
    done: AtomicU64,
    started: Instant,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    /// When the next line is due, from the start.
    Lines(Mutex<Duration>),
    Nothing,
}

impl Progress {
    /// Of the work `what`, which is counted in `unit` (a plural), `total` of them if that is
    /// known: `Progress::new("replay", "readings", Some(86_400))`.
    pub fn new(what: &str, unit: &str, total: Option<u64>) -> Self {
        let shown = match std::io::stderr().is_terminal() {
            true => Shown::Bar(bar(what, unit, total)),
            false => Shown::Lines(Mutex::new(LINE_EVERY)),
        };
        Self::shown(what, unit, total, shown)
    }

    /// The same for work that nobody watches.
    pub fn hidden() -> Self {
        Self::shown("", "", None, Shown::Nothing)
    }

    fn shown(what: &str, unit: &str, total: Option<u64>, shown: Shown) -> Self {
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Self { what, unit, total, done: AtomicU64::new(0), started: now(), shown }
    }

    /// `more` of it are done.
    pub fn add(&self, more: usize) {
        let more = u64::try_from(more).unwrap_or(0);
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        match &self.shown {
            Shown::Bar(bar) => bar.set_position(done),
            Shown::Lines(next) => {
                let elapsed = now().duration_since(self.started);
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(line) = self.line(done, elapsed, &mut next) {
                    eprintln!("{line}");
                }
            }
            Shown::Nothing => {}
        }
    }

    /// All of it is done.
    pub fn finish(self) {
        match &self.shown {
            Shown::Bar(bar) => bar.finish_and_clear(),
            Shown::Lines(_) => {
                let elapsed = now().duration_since(self.started);
                eprintln!("{}", self.text(self.done.load(Ordering::Relaxed), elapsed));
            }
            Shown::Nothing => {}
        }
    }

    /// A line, if one is due.
    fn line(&self, done: u64, elapsed: Duration, next: &mut Duration) -> Option<String> {
        (elapsed >= *next).then(|| {
            *next = elapsed + LINE_EVERY;
            self.text(done, elapsed)
        })
    }

    fn text(&self, done: u64, elapsed: Duration) -> String {
        let Self { what, unit, total, .. } = self;
        let part = match total {
            Some(total) if *total > 0 => {
                format!(" of {total} {unit} ({} %)", done.saturating_mul(100) / total)
            }
            _ => format!(" {unit}"),
        };
        format!("{what}: {done}{part} after {} s", elapsed.as_secs())
    }
}

fn bar(what: &str, unit: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            let template = "{prefix} [{bar:30}] {percent} % of {len} {msg}, {eta} to go";
            (ProgressBar::new(total), template)
        }
        None => (ProgressBar::new_spinner(), "{prefix} {spinner} {pos} {msg}, {elapsed}"),
    };
    // The template is a constant: if it were wrong, the bar would look plain.
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_wrong| ProgressStyle::default_bar()).progress_chars("=> ");
    bar.with_style(style).with_prefix(what.to_owned()).with_message(unit.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a person waits by this clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_line_is_written_every_ten_seconds() {
        let progress = Progress { what: "replay".to_owned(), ..Progress::hidden() };
        let mut next = LINE_EVERY;
        let due = [1, 9, 10, 11, 19, 25, 34, 35];
        let due = due.map(|at| progress.line(at, seconds(at), &mut next).is_some());
        assert_eq!(due, [false, false, true, false, false, true, false, true]);
    }

    #[test]
    fn a_line_says_how_much_of_what() {
        let of = |total| Progress::shown("replay", "readings", total, Shown::Nothing);
        let text = |total| of(total).text(1_500, seconds(12));
        assert_eq!(text(Some(6_000)), "replay: 1500 of 6000 readings (25 %) after 12 s");
        assert_eq!(text(None), "replay: 1500 readings after 12 s");
        assert_eq!(text(Some(0)), "replay: 1500 readings after 12 s");
    }

    #[test]
    fn a_bar_shows_its_figures() {
        for (total, length) in [(Some(10), Some(10)), (None, None)] {
            let bar = bar("replay", "readings", total);
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
            let progress = Progress::shown("replay", "readings", total, Shown::Bar(bar.clone()));
            progress.add(3);
            progress.add(4);
            assert_eq!((bar.position(), bar.length()), (7, length));
            progress.finish();
            assert!(bar.is_finished());
        }
    }
}
