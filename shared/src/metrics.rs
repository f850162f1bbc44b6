//! What the node counts, in the text format of Prometheus, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), or as
//! OpenMetrics 1.0.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use crate::breaker::State;
use crate::inventory::Inventory;
use crate::journal::QuarantineReason;
use crate::ledger::{REJECTED_PREFIX, Totals};
use crate::rejection::Reason;
use crate::settings::JournalBound;

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    Prometheus,
    OpenMetrics,
}

impl Exposition {
    /// What there is to choose from, the first by default.
    pub(crate) const OFFERS: &[(&str, Self)] =
        &[("text/plain", Self::Prometheus), ("application/openmetrics-text", Self::OpenMetrics)];

    /// The media type with its parameters.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What the regions database counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// What is in the averages.
    pub(crate) totals: Totals,
    /// The tallies by their names.
    pub(crate) tallies: Vec<(String, i64)>,
    /// Regions and their newest readings, Unix milliseconds.
    pub(crate) newest: Vec<(String, i64)>,
}

/// Everything that is known at the moment: without the database's counts while
/// it is away, without the inventory while key-value is.
pub(crate) fn render(
    exposition: Exposition,
    inventory: Option<&Inventory>,
    bound: Option<JournalBound>,
    breaker: State,
    counted: Option<&Counted>,
) -> String {
    let mut text = Text { exposition, text: String::new() };
    if let Some(counted) = counted {
        text.counted(counted);
    }
    if let Some(inventory) = inventory {
        text.inventory(inventory);
    }
    if let Some(bound) = bound {
        text.bound(bound);
    }
    text.family(
        "isotherm_breaker_state",
        "gauge",
        "1 for the state of the regions database's breaker.",
    );
    for name in ["closed", "open", "half-open"] {
        let value = i64::from(breaker.name() == name);
        text.sample("isotherm_breaker_state", &[("state", name)], value);
    }
    text.family("isotherm_store_up", "gauge", "Whether a store answered this request.");
    text.sample("isotherm_store_up", &[("store", "journal")], i64::from(inventory.is_some()));
    text.sample("isotherm_store_up", &[("store", "regions")], i64::from(counted.is_some()));
    if exposition == Exposition::OpenMetrics {
        text.text.push_str("# EOF\n");
    }
    text.text
}

struct Text {
    exposition: Exposition,
    text: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // In OpenMetrics, `_total` belongs to a counter's sample, not to its name.
        let name = match self.exposition {
            Exposition::Prometheus => name,
            Exposition::OpenMetrics => name.trim_end_matches("_total"),
        };
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.text.push_str(&format!("{name}{labels} {value}\n"));
    }

    fn counted(&mut self, counted: &Counted) {
        let tally = |name: &str| {
            let found = counted.tallies.iter().find(|(known, _)| known == name);
            found.map_or(0, |(_, value)| *value)
        };
        let outcomes = [
            ("stored", counted.totals.readings),
            ("duplicate", tally("duplicates")),
            ("conflict", tally("conflicts")),
            ("too_old", tally("too_old")),
        ];
        let accepted = outcomes.iter().map(|(_, value)| value).sum();
        let name = "isotherm_readings_accepted_total";
        self.family(name, "counter", "Acknowledged readings that were folded.");
        self.sample(name, &[], accepted);
        let name = "isotherm_readings_folded_total";
        self.family(name, "counter", "Folded readings, by what became of them.");
        for (outcome, value) in outcomes {
            self.sample(name, &[("outcome", outcome)], value);
        }
        let name = "isotherm_readings_rejected_total";
        self.family(name, "counter", "Rejected readings, by reason, when they were folded.");
        for reason in Reason::ALL {
            let value = tally(&format!("{REJECTED_PREFIX}{}", reason.code()));
            self.sample(name, &[("reason", reason.code())], value);
        }
        self.family("isotherm_regions", "gauge", "Regions that have readings.");
        self.sample("isotherm_regions", &[], counted.totals.regions);
        let name = "isotherm_region_newest_reading_timestamp_seconds";
        self.family(name, "gauge", "When the newest reading of a region was taken, Unix time.");
        for (region, newest) in &counted.newest {
            // A region's name has no character that a label would escape.
            self.sample(name, &[("region", region)], newest.div_euclid(1_000));
        }
    }

    fn bound(&mut self, bound: JournalBound) {
        for (name, help, value) in [
            (
                "isotherm_journal_entries_max",
                "How many requests may wait before readings are refused.",
                bound.entries,
            ),
            (
                "isotherm_journal_bytes_max",
                "How large the journal may be before readings are refused.",
                bound.bytes,
            ),
        ] {
            self.family(name, "gauge", help);
            self.sample(name, &[], number(value));
        }
    }

    fn inventory(&mut self, inventory: &Inventory) {
        for (name, help, value) in [
            (
                "isotherm_journal_entries",
                "Acknowledged requests that wait to be folded.",
                inventory.unfolded(),
            ),
            (
                "isotherm_journal_readings",
                "Acknowledged readings that wait to be folded.",
                inventory.journal_readings(),
            ),
            ("isotherm_journal_bytes", "The size of the journal.", inventory.journal_bytes()),
            (
                "isotherm_journal_full",
                "Whether readings are refused because the journal is full.",
                usize::from(inventory.is_full),
            ),
        ] {
            self.family(name, "gauge", help);
            self.sample(name, &[], number(value));
        }
        let name = "isotherm_quarantined_entries";
        self.family(name, "gauge", "Entries in quarantine, by reason.");
        for reason in [QuarantineReason::Unreadable, QuarantineReason::TooOld] {
            let entries = inventory.quarantined.iter().filter(|q| q.reason == reason).count();
            self.sample(name, &[("reason", reason.code())], number(entries));
        }
        let name = "isotherm_quarantined_readings";
        self.family(name, "gauge", "Acknowledged readings that are in quarantine and not counted.");
        self.sample(name, &[], number(inventory.quarantined_readings()));
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_belongs_to_a_family_that_was_announced_once() {
        let counted = Counted {
            totals: Totals { readings: 5, regions: 1 },
            tallies: Vec::from([("duplicates".to_owned(), 2), ("rejected.too_old".to_owned(), 7)]),
            newest: Vec::from([("hall".to_owned(), 1_700_000_000_999)]),
        };
        let bound = JournalBound { entries: 900, bytes: 1_000 };
        let text = render(
            Exposition::Prometheus,
            Some(&Inventory::default()),
            Some(bound),
            State::NEW,
            Some(&counted),
        );
        let mut announced: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap();
                assert!(!announced.contains(&name), "{name} twice");
                announced.push(name);
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(announced.last(), Some(&name), "{line}");
            }
        }
        for line in [
            "isotherm_readings_accepted_total 7",
            "isotherm_readings_folded_total{outcome=\"stored\"} 5",
            "isotherm_readings_rejected_total{reason=\"too_old\"} 7",
            "isotherm_regions 1",
            "isotherm_region_newest_reading_timestamp_seconds{region=\"hall\"} 1700000000",
            "isotherm_breaker_state{state=\"closed\"} 1",
            "isotherm_breaker_state{state=\"open\"} 0",
            "isotherm_journal_entries 0",
            "isotherm_journal_entries_max 900",
            "isotherm_journal_bytes_max 1000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
