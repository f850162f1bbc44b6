//! Metrics in the text format of Prometheus, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), or as OpenMetrics
//! 1.0.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use crate::access::Denied;
use crate::api::exposition_nodes::Nodes;
use crate::api::exposition_sources::Sources;
use crate::api::exposition_text::{Exposition, Text};
use crate::domain::rejection::{Reason, Rejections};
use crate::domain::summary::device_average;
use crate::journal::QuarantineReason;
use crate::journal::door::Door;
use crate::journal::inventory::Inventory;
use crate::journal::noted::Noted;
use crate::ledger::{REJECTED_PREFIX, Totals};
use crate::read::fresh::Coverage;
use crate::read::latest::{DeviceNow, Latest, Measured};
use crate::resilience::breaker::State;
use crate::settings::{JournalBound, NamesBound};

/// What the regions database counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// What is in the averages.
    pub(crate) totals: Totals,
    /// The tallies by their names.
    pub(crate) tallies: Vec<(String, i64)>,
    /// Regions with the time of their newest reading, in Unix milliseconds.
    pub(crate) newest: Vec<(String, i64)>,
    /// The same regions with what is measured there now.
    pub(crate) latest: Vec<(String, Latest)>,
    pub(crate) devices: Vec<DeviceNow>,
    /// The exchange with other nodes.
    pub(crate) nodes: Nodes,
    /// What was counted of sources.
    pub(crate) sources: Sources,
    /// Whether what is measured now is within the limits, of regions that have any.
    pub(crate) within_limits: Vec<(String, bool)>,
}

impl Counted {
    fn tally(&self, name: &str) -> i64 {
        let found = self.tallies.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, value)| *value)
    }
}

/// Everything that is known at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// What `counted` does not count; `None` while the database is away.
    pub(crate) coverage: Option<Coverage>,
    /// `None` while the database is away.
    pub(crate) counted: Option<Counted>,
    /// Readings that were rejected in requests that left no entry; `None` while
    /// key-value is away.
    pub(crate) rejected: Option<Rejections>,
    /// Requests that were not allowed, by why; `None` while key-value is away.
    pub(crate) denied: Option<Noted>,
    /// What was not counted of sources; `None` while key-value is away.
    pub(crate) sources: Option<Sources>,
    /// `None` while key-value is away.
    pub(crate) inventory: Option<Inventory>,
    /// What the door knows; `None` while key-value is away.
    pub(crate) door: Option<Door>,
    /// `None` if a variable can't be read.
    pub(crate) bound: Option<JournalBound>,
    /// `None` if a variable can't be read.
    pub(crate) names: Option<NamesBound>,
    pub(crate) breaker: State,
}

/// Renders what is known and leaves out the rest: a counter that fell would be taken
/// for a restart.
pub(crate) fn render(exposition: Exposition, known: &Known) -> String {
    let mut text = Text { exposition, text: String::new() };
    if let Some(counted) = &known.counted {
        text.counted(counted);
        text.latest(counted);
        text.nodes(&counted.nodes);
        if let Some(rejected) = &known.rejected {
            text.rejected(counted, rejected);
        }
    }
    if let Some(denied) = &known.denied {
        text.denied(denied);
    }
    let counted = known.counted.as_ref().map(|counted| &counted.sources);
    text.sources(counted, known.sources.as_ref());
    if let Some(inventory) = &known.inventory {
        text.inventory(inventory, known.coverage.as_ref());
    }
    if let Some(door) = &known.door {
        text.door(door, known.names);
    }
    if let Some(bound) = known.bound {
        text.bound(bound);
    }
    text.family(
        "isotherm_breaker_state",
        "gauge",
        "1 for the state of the regions database's breaker.",
    );
    for name in ["closed", "open", "half-open"] {
        let value = i64::from(known.breaker.name() == name);
        text.sample("isotherm_breaker_state", &[("state", name)], value);
    }
    text.family("isotherm_store_up", "gauge", "Whether a store answered this request.");
    let (journal, regions) = (known.inventory.is_some(), known.counted.is_some());
    text.sample("isotherm_store_up", &[("store", "journal")], i64::from(journal));
    text.sample("isotherm_store_up", &[("store", "regions")], i64::from(regions));
    if exposition == Exposition::OpenMetrics {
        text.text.push_str("# EOF\n");
    }
    text.text
}

impl Text {
    fn counted(&mut self, counted: &Counted) {
        let tally = |name: &str| counted.tally(name);
        let outcomes = [
            ("stored", counted.totals.readings),
            ("duplicate", tally("duplicates")),
            ("conflict", tally("conflicts")),
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
        self.family("isotherm_regions", "gauge", "Regions that have readings.");
        self.sample("isotherm_regions", &[], counted.totals.regions);
        let name = "isotherm_region_newest_reading_timestamp_seconds";
        self.family(name, "gauge", "When the newest reading of a region was taken, Unix time.");
        for (region, newest) in &counted.newest {
            // A region's name has no character that has to be escaped in a label.
            self.sample(name, &[("region", region)], newest.div_euclid(1_000));
        }
    }

    /// What is measured now. No name has a character that has to be escaped in a label.
    fn latest(&mut self, counted: &Counted) {
        let regions = &counted.latest;
        let name = "isotherm_region_temperature_celsius";
        self.family(name, "gauge", "The newest readings of the devices that are not silent.");
        for (region, latest) in regions.iter().filter(|(_, latest)| latest.devices > 0) {
            let mean = device_average(latest.devices, latest.sum_millicelsius);
            let extreme = |found: &Option<Measured>| {
                found.as_ref().map_or(0, |found| i64::from(found.temperature.get()) * 1_000)
            };
            let [min, max] = [extreme(&latest.coldest), extreme(&latest.warmest)];
            for (stat, millionths) in [("average", mean), ("min", min), ("max", max)] {
                self.decimal(name, &[("region", region), ("stat", stat)], millionths);
            }
        }
        for (name, help, value) in [
            (
                "isotherm_region_devices",
                "Devices that are not silent.",
                (|latest| latest.devices) as fn(&Latest) -> i64,
            ),
            ("isotherm_region_silent_devices", "Devices that are silent.", |latest| {
                latest.silent_devices
            }),
        ] {
            self.family(name, "gauge", help);
            for (region, latest) in regions {
                self.sample(name, &[("region", region)], value(latest));
            }
        }
        let name = "isotherm_region_outside_limits";
        self.family(name, "gauge", "Whether a newest reading is outside the region's limits.");
        for (region, is_within) in &counted.within_limits {
            self.sample(name, &[("region", region)], i64::from(!is_within));
        }
        let name = "isotherm_device_temperature_celsius";
        self.family(name, "gauge", "The newest reading of a device.");
        for DeviceNow { region, device, temperature, .. } in &counted.devices {
            let labels = [("region", region.as_str()), ("device_id", device)];
            self.decimal(name, &labels, i64::from(temperature.get()) * 1_000);
        }
        let name = "isotherm_device_silent";
        self.family(name, "gauge", "Whether a device has not sent for longer than is expected.");
        for DeviceNow { region, device, is_silent, .. } in &counted.devices {
            let labels = [("region", region.as_str()), ("device_id", device)];
            self.sample(name, &labels, i64::from(*is_silent));
        }
    }

    fn denied(&mut self, denied: &Noted) {
        let name = "isotherm_auth_total";
        self.family(name, "counter", "Requests that were not allowed, by why.");
        for why in Denied::ALL {
            let found = denied.counts().find(|(name, _)| *name == why.code());
            let count = found.map_or(0, |(_, count)| i64::try_from(count).unwrap_or(i64::MAX));
            self.sample(name, &[("outcome", why.code())], count);
        }
    }

    fn rejected(&mut self, counted: &Counted, rejected: &Rejections) {
        let name = "isotherm_readings_rejected_total";
        self.family(name, "counter", "Rejected readings, by reason.");
        for reason in Reason::ALL {
            // Rejections of requests with accepted readings are in the database, the
            // others in key-value.
            let folded = counted.tally(&format!("{REJECTED_PREFIX}{}", reason.code()));
            let alone = i64::try_from(rejected.count(reason)).unwrap_or(i64::MAX);
            self.sample(name, &[("reason", reason.code())], folded.saturating_add(alone));
        }
    }

    fn door(&mut self, door: &Door, names: Option<NamesBound>) {
        let name = "isotherm_journal_full";
        self.family(name, "gauge", "Whether readings are refused because the journal is full.");
        self.sample(name, &[], i64::from(door.full_since.is_some()));
        let name = "isotherm_journal_pressure";
        self.family(name, "gauge", "How full the journal is, from 0 at half of its bound to 8.");
        self.sample(name, &[], i64::from(door.pressure));
        let name = "isotherm_names_full";
        self.family(name, "gauge", "Whether new names are rejected, as there are too many.");
        let is_full = |count: usize, bound: fn(&NamesBound) -> usize| {
            i64::from(names.is_some_and(|names| count >= bound(&names)))
        };
        let regions = is_full(door.regions, |names| names.regions);
        let devices = is_full(door.devices, |names| names.devices);
        self.sample(name, &[("kind", "regions")], regions);
        self.sample(name, &[("kind", "devices")], devices);
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

    fn inventory(&mut self, inventory: &Inventory, coverage: Option<&Coverage>) {
        // As of the counts, if there are any; otherwise as of now.
        let left = |told: Option<usize>, listed: usize| told.unwrap_or(listed);
        for (name, help, value) in [
            (
                "isotherm_journal_entries",
                "Acknowledged requests that wait to be folded.",
                left(coverage.and_then(|c| c.unfolded_entries), inventory.unfolded()),
            ),
            (
                "isotherm_journal_readings",
                "Acknowledged readings that wait to be folded.",
                left(coverage.and_then(|c| c.unfolded_readings), inventory.journal_readings()),
            ),
            ("isotherm_journal_bytes", "The size of the journal.", inventory.journal_bytes()),
        ] {
            self.family(name, "gauge", help);
            self.sample(name, &[], number(value));
        }
        let name = "isotherm_quarantined_entries";
        self.family(name, "gauge", "Entries in quarantine, by reason.");
        for reason in QuarantineReason::ALL {
            let entries = inventory.quarantined().iter().filter(|q| q.reason == reason).count();
            self.sample(name, &[("reason", reason.code())], number(entries));
        }
        let name = "isotherm_quarantined_readings";
        self.family(name, "gauge", "Acknowledged readings that are in quarantine and not counted.");
        let told = coverage.and_then(|c| c.quarantined_readings);
        self.sample(name, &[], number(left(told, inventory.quarantined_readings())));
        let name = "isotherm_damaged_rows";
        self.family(name, "gauge", "Rows of the regions database that can't be read.");
        self.sample(name, &[], number(inventory.damaged_rows().len()));
        let name = "isotherm_damaged_row_info";
        self.family(name, "gauge", "1 for a row of the regions database that can't be read.");
        for row in inventory.damaged_rows() {
            // It has no character that has to be escaped in a label.
            self.sample(name, &[("row", row)], 1);
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_written_without_binary_fractions() {
        for (millionths, expected) in [
            (0, "0"),
            (-18_375_000, "-18.375"),
            (20_000_000, "20"),
            (-1, "-0.000001"),
            (100, "0.0001"),
        ] {
            let mut text = Text { exposition: Exposition::Prometheus, text: String::new() };
            text.decimal("x", &[], millionths);
            assert_eq!(text.text, format!("x {expected}\n"));
        }
    }

    #[test]
    fn every_sample_belongs_to_a_family_that_was_announced_once() {
        let counted = Counted {
            totals: Totals { readings: 5, regions: 1 },
            tallies: Vec::from([("duplicates".to_owned(), 2), ("rejected.too_old".to_owned(), 7)]),
            newest: Vec::from([("hall".to_owned(), 1_700_000_000_999)]),
            latest: Vec::from([("hall".to_owned(), Latest::default())]),
            devices: Vec::new(),
            within_limits: Vec::from([("hall".to_owned(), false)]),
            nodes: Nodes::none(),
            sources: Sources::default(),
        };
        let mut rejected = Rejections::default();
        rejected.add(Reason::TooOld, 3);
        let known = Known {
            denied: Some(Noted::default()),
            sources: None,
            coverage: None,
            counted: Some(counted),
            rejected: Some(rejected),
            inventory: Some(Inventory::default().with_damaged_row("ledger minute=7 first=0")),
            door: Some(Door { devices: 9, ..Door::default() }),
            names: Some(NamesBound { regions: 5, devices: 9 }),
            bound: Some(JournalBound { entries: 900, bytes: 1_000 }),
            breaker: State::NEW,
        };
        let text = render(Exposition::Prometheus, &known);
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
            "isotherm_readings_rejected_total{reason=\"too_old\"} 10",
            "isotherm_damaged_rows 1",
            "isotherm_damaged_row_info{row=\"ledger minute=7 first=0\"} 1",
            "isotherm_regions 1",
            "isotherm_journal_full 0",
            "isotherm_names_full{kind=\"devices\"} 1",
            "isotherm_region_newest_reading_timestamp_seconds{region=\"hall\"} 1700000000",
            "isotherm_region_devices{region=\"hall\"} 0",
            "isotherm_region_outside_limits{region=\"hall\"} 1",
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
