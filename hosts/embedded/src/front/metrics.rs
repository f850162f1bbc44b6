//! What the runtime counts of itself, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::bounds::Bound;

/// What was counted since the start.
#[derive(Debug, Default)]
pub struct Counted {
    accepted: AtomicU64,
    ended: AtomicU64,
    refused_all: AtomicU64,
    refused_address: AtomicU64,
    accept_failed: AtomicU64,
    handshakes_failed: AtomicU64,
    stalled: AtomicU64,
    requests: AtomicU64,
    busy: AtomicU64,
    traps: AtomicU64,
    traps_after: AtomicU64,
    backups: AtomicU64,
    backups_failed: AtomicU64,
    /// Seconds since 1970; 0 as long as there is none.
    backup_at: AtomicU64,
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counted {
    pub(super) fn accepted(&self) {
        one_more(&self.accepted);
    }

    pub(super) fn ended(&self) {
        one_more(&self.ended);
    }

    pub(super) fn refused(&self, bound: Bound) {
        one_more(match bound {
            Bound::All => &self.refused_all,
            Bound::Address => &self.refused_address,
        });
    }

    pub(super) fn accept_failed(&self) {
        one_more(&self.accept_failed);
    }

    pub(super) fn handshake_failed(&self) {
        one_more(&self.handshakes_failed);
    }

    pub(super) fn stalled(&self) {
        one_more(&self.stalled);
    }

    pub(crate) fn request(&self) {
        one_more(&self.requests);
    }

    pub(crate) fn busy(&self) {
        one_more(&self.busy);
    }

    pub(crate) fn trap(&self) {
        one_more(&self.traps);
    }

    pub(crate) fn trap_after_the_answer(&self) {
        one_more(&self.traps_after);
    }

    /// The latest backup was made then.
    pub fn backup_found(&self, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.backup_at.store(seconds, Ordering::Relaxed);
    }

    /// A backup was made.
    pub fn backup_made(&self, at: SystemTime) {
        one_more(&self.backups);
        self.backup_found(at);
    }

    /// No backup could be made.
    pub fn backup_failed(&self) {
        one_more(&self.backups_failed);
    }

    /// In the text format of Prometheus, or of OpenMetrics, with how many instances live now, and the
    /// journal's commits with the writes in them.
    pub(crate) fn to_text(&self, instances: usize, commits: (u64, u64), is_open: bool) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (accepted, ended) = (of(&self.accepted), of(&self.ended));
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
            // There, a family has the name of its counter without the end.
            let of_family = if is_open { name.trim_end_matches("_total") } else { name };
            text += &format!(
                "# HELP isotherm_gateway_{of_family} {help}\n\
                 # TYPE isotherm_gateway_{of_family} {kind}\n"
            );
            for (labels, value) in samples {
                text += &format!("isotherm_gateway_{name}{labels} {value}\n");
            }
        };
        family(
            "connections_open",
            "gauge",
            "Open connections.",
            &[("", accepted.saturating_sub(ended))],
        );
        family("connections_total", "counter", "Accepted connections.", &[("", accepted)]);
        let refused = [
            ("{reason=\"all\"}", of(&self.refused_all)),
            ("{reason=\"address\"}", of(&self.refused_address)),
            ("{reason=\"accept\"}", of(&self.accept_failed)),
            ("{reason=\"handshake\"}", of(&self.handshakes_failed)),
        ];
        let help = "Connections that were refused, by the bound that they met or what failed.";
        family("connections_refused_total", "counter", help, &refused);
        let help = "Connections that were ended because their client stalled.";
        family("connections_stalled_total", "counter", help, &[("", of(&self.stalled))]);
        family("requests_total", "counter", "Requests.", &[("", of(&self.requests))]);
        let help = "Requests that were answered with 503, as too many were under way.";
        family("requests_busy_total", "counter", help, &[("", of(&self.busy))]);
        let help = "Commits of the journal, each with one sync.";
        family("commits_total", "counter", help, &[("", commits.0)]);
        let help = "Writes of the journal, of which a commit may have several.";
        family("writes_total", "counter", help, &[("", commits.1)]);
        let live = u64::try_from(instances).unwrap_or(u64::MAX);
        family("instances", "gauge", "Instances of components that live.", &[("", live)]);
        let traps =
            [("{when=\"before\"}", of(&self.traps)), ("{when=\"after\"}", of(&self.traps_after))];
        let help = "Instances that ended with an error, before or after their answer.";
        family("traps_total", "counter", help, &traps);
        let backups = [
            ("{outcome=\"made\"}", of(&self.backups)),
            ("{outcome=\"failed\"}", of(&self.backups_failed)),
        ];
        family("backups_total", "counter", "Backups by the timer.", &backups);
        let at = of(&self.backup_at);
        if at > 0 {
            let help = "When the latest backup was made, in seconds since 1970.";
            family("backup_timestamp_seconds", "gauge", help, &[("", at)]);
        }
        if let Some(memory) = Memory::now() {
            let help = "Memory of the process that is in RAM, its executable's pages included.";
            family("resident_bytes", "gauge", help, &[("", memory.resident)]);
            let help = "The most of it since the start.";
            family("resident_bytes_max", "gauge", help, &[("", memory.resident_max)]);
        }
        text
    }
}

/// Memory of this process, in bytes.
struct Memory {
    resident: u64,
    resident_max: u64,
}

impl Memory {
    /// As Linux says it; `None` elsewhere. Source: proc_pid_status(5), `VmRSS` and `VmHWM`.
    fn now() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Self { resident: value("VmRSS")?, resident_max: value("VmHWM")? })
    }
}
