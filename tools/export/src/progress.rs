//! How far long work is: a bar in a terminal, or a line every ten seconds in a log.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a log has a line.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often a bar is drawn although nothing was done.
const TICK: Duration = Duration::from_millis(250);

/// The progress of some work, on standard error. It ends when it is dropped.
pub struct Progress {
    state: Arc<State>,
    /// In a terminal.
    bar: Option<ProgressBar>,
    /// Otherwise; it ends once this is dropped.
    lines: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

struct State {
    what: String,
    unit: &'static str,
    total: Option<u64>,
    done: AtomicU64,
    step: Mutex<String>,
}

impl Progress {
    /// Begins `what`, of which `total` units have to be done, if that is known.
    pub fn new(what: &str, unit: &'static str, total: Option<u64>) -> Self {
        let (done, step) = (AtomicU64::new(0), Mutex::default());
        let state = Arc::new(State { what: what.to_owned(), unit, total, done, step });
        if std::io::stderr().is_terminal() {
            let bar = bar(what, unit, total);
            bar.enable_steady_tick(TICK);
            return Self { state, bar: Some(bar), lines: None };
        }
        let (stop, stopped) = mpsc::channel();
        let of_thread = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let started = now();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LINE_EVERY) {
                eprintln!("{}", of_thread.line(now().duration_since(started)));
            }
        });
        Self { state, bar: None, lines: Some((stop, thread)) }
    }

    /// So many more units are done.
    pub fn add(&self, units: u64) {
        self.state.done.fetch_add(units, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(units);
        }
    }

    /// What is being done now.
    pub fn step(&self, what: &str) {
        what.clone_into(&mut self.state.step.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// Prints a line that stays, above the bar.
    pub fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if let Some((stop, thread)) = self.lines.take() {
            drop(stop);
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

fn bar(what: &str, unit: &str, total: Option<u64>) -> ProgressBar {
    let (bar, shape) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {human_pos} of {human_len}"),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos}"),
    };
    let eta = if total.is_some() { ", {eta} left" } else { "" };
    let template = format!("{what}: {shape} {unit}, {{elapsed}}{eta} {{msg}}");
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl State {
    /// A line of a log.
    fn line(&self, elapsed: Duration) -> String {
        let Self { what, unit, total, .. } = self;
        let done = self.done.load(Ordering::Relaxed);
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let step = if step.is_empty() { String::new() } else { format!(": {step}") };
        let seconds = elapsed.as_secs();
        match total.filter(|total| *total > 0) {
            Some(total) => {
                let percent = done.saturating_mul(100) / total;
                format!("{what}: {done} of {total} {unit} ({percent} %), {seconds} s{step}")
            }
            None => format!("{what}: {done} {unit}, {seconds} s{step}"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a person wants to know how long it takes")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let line = |total| {
            let progress = Progress::new("export", "readings", total);
            progress.add(300);
            progress.add(200);
            let plain = progress.state.line(Duration::from_millis(12_900));
            progress.step("page 2");
            (plain, progress.state.line(Duration::from_secs(13)))
        };
        let (plain, with_step) = line(Some(2_000));
        assert_eq!(plain, "export: 500 of 2000 readings (25 %), 12 s");
        assert_eq!(with_step, "export: 500 of 2000 readings (25 %), 13 s: page 2");
        for unknown in [None, Some(0)] {
            assert_eq!(line(unknown).0, "export: 500 readings, 12 s");
        }
    }
}
