//! Random stories against a model of a few lines.
//!
//! Sensors send what they measured in any order and company, again and again,
//! while calls fail, processes are killed, clocks are set, the retention is changed,
//! rows are pruned, stores are restored from a backup, and what is in quarantine is
//! tried again. After every step a reader's view (of a copy, so that looking changes
//! nothing) must be that of the model: each acknowledged reading is counted exactly
//! once, or in quarantine: because a restored store could not tell it from a duplicate,
//! or until the node's clock is set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isotherm::api::routes;
use isotherm::domain::reading::UnixMillis;
use isotherm::fold;
use isotherm::host::{Host, KeyValue, Sql, Value as SqlValue};
use isotherm::http::Request;
use isotherm::journal::inventory::Inventory;
use isotherm::journal::{self, EntryName};
use isotherm::ledger;
use isotherm::ledger::database::{Budget, Database};
use isotherm::settings::Horizon;
use isotherm_host::native::NativeHost;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::faulty::{FaultyHost, Node, Plan, scratch};

const START: i64 = 1_900_000_000_000;
const HOUR: i64 = 3_600_000;
const MAX_SKEW_MS: i64 = 300_000;
/// How many readings were ever measured.
const READINGS: i64 = 400;
/// What the retention may be.
const RETENTIONS: [&str; 4] = ["12h", "3h", "48h", "0"];

/// What was measured, once and for all: by four devices in three regions, every
/// six hours.
fn region(id: usize) -> String {
    format!("r{}", id % 3)
}

pub(crate) fn millicelsius(id: usize) -> i64 {
    i64::try_from(id * 7_919 % 50_000).unwrap() - 10_000
}

/// Half past an hour, so that no clock is ever right at a reading's limits.
fn timestamp(id: usize) -> i64 {
    START + i64::try_from(id / 4).unwrap() * 6 * HOUR + HOUR / 2
}

pub(crate) fn reading(id: usize, millicelsius: i64) -> Value {
    json!({
        "device_id": format!("d{}", id % 4), "region": region(id),
        "temperature_c": millicelsius as f64 / 1_000.0, "timestamp": timestamp(id),
    })
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A sensor sends these until they are acknowledged: readings by their
    /// distance from what is measured at the moment.
    Send { near: Vec<i64>, waits: bool, trouble: Trouble },
    /// A sensor contradicts those of them that are counted.
    Contradict { near: Vec<i64>, waits: bool },
    /// A client reads, which folds.
    Read { trouble: Trouble },
    /// What `ingest` does after an answer when it is its turn: fold and prune.
    Fold { trouble: Trouble },
    /// The node's clock is set.
    Clock { hours: i64 },
    /// The retention is changed.
    Retention { choice: usize },
    /// Both stores are copied.
    Backup,
    /// One of them, or both, is put back.
    Restore { journal: bool, regions: bool },
    /// An operator has what is in quarantine tried again.
    Retry,
}

/// What goes wrong meanwhile, at the n-th call to a store; whether the call did
/// its work before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    None,
    /// One call fails.
    Fault {
        call: usize,
        works: bool,
    },
    /// All calls fail from there on, until the request is answered.
    Outage {
        call: usize,
        works: bool,
    },
    /// The process is killed, and started again.
    Kill {
        call: usize,
        works: bool,
    },
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let call = 1..60_usize;
    prop_oneof![
        2 => Just(Trouble::None),
        1 => (call.clone(), any::<bool>()).prop_map(|(call, works)| Trouble::Fault { call, works }),
        1 => (call.clone(), any::<bool>())
            .prop_map(|(call, works)| Trouble::Outage { call, works }),
        1 => (call, any::<bool>()).prop_map(|(call, works)| Trouble::Kill { call, works }),
    ]
}

/// Readings around the present and the retention, in any order, now and then
/// twice.
fn near() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-16..6_i64, 1..12_usize)
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (near(), any::<bool>(), trouble())
            .prop_map(|(near, waits, trouble)| Step::Send { near, waits, trouble }),
        2 => (near(), any::<bool>()).prop_map(|(near, waits)| Step::Contradict { near, waits }),
        2 => trouble().prop_map(|trouble| Step::Read { trouble }),
        3 => trouble().prop_map(|trouble| Step::Fold { trouble }),
        4 => (-16..20_i64).prop_map(|hours| Step::Clock { hours }),
        1 => (0..RETENTIONS.len()).prop_map(|choice| Step::Retention { choice }),
        1 => Just(Step::Backup),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(journal, regions)| Step::Restore { journal, regions }),
        1 => Just(Step::Retry),
    ]
}

/// The model: which readings were acknowledged, and which of them are counted.
#[derive(Default)]
struct Model {
    acknowledged: BTreeSet<usize>,
    counted: BTreeSet<usize>,
    /// Acknowledged ones that wait for the clock, until they are counted.
    aside: BTreeSet<usize>,
    /// Of the counted ones, those that are in the ledger itself.
    folded: BTreeSet<usize>,
    /// Whether a store was ever put back: only then can it be that an acknowledged
    /// reading is not told from a duplicate.
    was_restored: bool,
}

/// Copies of the stores, and which readings were counted then.
struct Backup {
    directory: TempDir,
    counted: BTreeSet<usize>,
}

pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) node: Node,
    model: Model,
    backup: Option<Backup>,
    pub(crate) retention: &'static str,
    restarts: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = scratch();
        let now = UnixMillis::new(START + 100 * HOUR).unwrap();
        let retention = RETENTIONS[0];
        let node = Node { host: host(directory.path(), retention, 0), now };
        let model = Model::default();
        Self { directory, node, model, backup: None, retention, restarts: 0 }
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.node.host = host(self.directory.path(), self.retention, self.restarts);
    }

    fn restore(&mut self, journal: bool, regions: bool) {
        let Some(backup) = &self.backup else { return };
        // A contradiction that comes before what it contradicts would stand.
        let copied = host(backup.directory.path(), self.retention, 0);
        if [&copied.inner, &self.node.host.inner].iter().any(|host| contradictions(host) > 0) {
            return;
        }
        drop(copied);
        let counted = match regions {
            true => backup.counted.clone(),
            false => self.in_the_database(),
        };
        // No connection is open while files are exchanged.
        let elsewhere = scratch();
        self.node.host = host(elsewhere.path(), self.retention, 0);
        for (wanted, name) in [(journal, "journal.db"), (regions, "regions.db")] {
            if wanted {
                for suffix in ["", "-wal", "-shm"] {
                    let name = format!("{name}{suffix}");
                    let (from, to) =
                        (backup.directory.path().join(&name), self.directory.path().join(&name));
                    drop(std::fs::remove_file(&to));
                    if from.exists() {
                        std::fs::copy(from, to).unwrap();
                    }
                }
            }
        }
        self.restart();
        // What came after the backup is lost with the store that had it, unless the other
        // one has it.
        let InQuarantine { too_old, ahead_of_clock } = quarantined(&self.node.host.inner);
        let kept = &waiting(&self.node.host.inner) | &too_old;
        self.model.acknowledged = &counted | &kept;
        self.model.aside = ahead_of_clock;
        self.model.counted = counted;
        self.model.folded.clear();
        self.model.was_restored = true;
    }

    /// Does `work` under this trouble; a kill ends it.
    fn under<T>(&mut self, trouble: Trouble, work: impl FnOnce(&mut Node) -> T) -> T {
        let plan = match trouble {
            Trouble::None => Plan::new(0, false, false),
            Trouble::Fault { call, works } => Plan::new(call, false, works),
            Trouble::Outage { call, works } | Trouble::Kill { call, works } => {
                Plan::new(call, true, works)
            }
        };
        self.node.host.plan = plan;
        let given = work(&mut self.node);
        if let Trouble::Kill { .. } = trouble {
            self.restart();
        }
        given
    }

    pub(crate) fn run(&mut self, step: &Step) {
        match step {
            Step::Send { near, waits, trouble } => {
                let ids = self.deliver(&self.ids(near), *waits, *trouble, millicelsius);
                let latest = self.node.now.saturating_add(MAX_SKEW_MS).get();
                let is_ahead = |id: &usize| timestamp(*id) > latest;
                let (aside, acknowledged): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_ahead);
                self.model.acknowledged.extend(acknowledged);
                self.model.aside.extend(aside);
            }
            Step::Contradict { near, waits } => {
                let mut known = self.ids(near);
                known.retain(|id| self.model.folded.contains(id));
                if !known.is_empty() {
                    self.deliver(&known, *waits, Trouble::None, |id| millicelsius(id) + 1);
                }
            }
            Step::Read { trouble } => {
                let response = self.under(*trouble, |node| node.get("/v1/regions"));
                assert!(matches!(response.status.as_u16(), 200 | 503));
                let body: Value = serde_json::from_slice(&response.body).unwrap();
                if body["unfolded_entries"] == 0 && body["stale"] == false {
                    self.model.folded = self.model.counted.clone();
                }
            }
            Step::Fold { trouble } => {
                let left = self.under(*trouble, fold_and_prune);
                if left == Some(0) {
                    self.model.folded = self.model.counted.clone();
                }
            }
            Step::Clock { hours } => {
                self.node.now = self.node.now.saturating_add(hours * HOUR);
            }
            Step::Retention { choice } => {
                self.retention = RETENTIONS[*choice];
                self.restart();
            }
            Step::Backup => {
                let directory = copy_of(self.directory.path());
                // Of the database alone: what waits is in the journal's copy.
                let counted = self.in_the_database();
                self.backup = Some(Backup { directory, counted });
            }
            Step::Restore { journal, regions } => self.restore(*journal, *regions),
            Step::Retry => {
                let request = Request::post("/v1/quarantine/retry");
                let answer = self.under(Trouble::None, |node| {
                    routes::answer(&node.host, &request, node.now).response
                });
                assert!(matches!(answer.status.as_u16(), 200 | 503));
                self.model.folded.clear();
            }
        }
    }

    /// The readings that the database counts, whatever waits.
    fn in_the_database(&self) -> BTreeSet<usize> {
        let waiting = waiting(&self.node.host.inner);
        // What waits may be there all the same, sent again.
        let ledger = in_the_ledger(&self.node.host.inner);
        let is_there = |id: &&usize| {
            !waiting.contains(id) || ledger.contains(id) || self.model.folded.contains(id)
        };
        self.model.counted.iter().filter(is_there).copied().collect()
    }

    pub(crate) fn ids(&self, near: &[i64]) -> Vec<usize> {
        let present = (self.node.now.get() - START) / (6 * HOUR) * 4;
        let id =
            |distance: &i64| usize::try_from((present + distance).clamp(0, READINGS - 1)).unwrap();
        near.iter().map(id).collect()
    }

    /// Sends until it is acknowledged or refused for good; returns which
    /// readings were acknowledged.
    fn deliver(
        &mut self,
        ids: &[usize],
        waits: bool,
        trouble: Trouble,
        millicelsius: impl Fn(usize) -> i64,
    ) -> Vec<usize> {
        let body: Value = ids.iter().map(|&id| reading(id, millicelsius(id))).collect();
        let prefer = waits.then_some("wait");
        let mut trouble = trouble;
        for _ in 0..40 {
            let response = self.under(trouble, |node| node.post(&body, prefer));
            let answer: Value = serde_json::from_slice(&response.body).unwrap();
            // A process that was killed has answered nobody.
            let was_killed = matches!(trouble, Trouble::Kill { .. });
            trouble = Trouble::None;
            match response.status.as_u16() {
                _ if was_killed => {}
                200 | 202 => {
                    let rejected = answer["rejected"].as_array().unwrap();
                    let is_rejected = |index| rejected.iter().any(|r| r["index"] == index);
                    let accepted = ids.iter().enumerate().filter(|(index, _)| !is_rejected(*index));
                    return accepted.map(|(_, id)| *id).collect();
                }
                422 => return Vec::new(),
                // Nothing was kept, and nothing will be until the clock is set.
                503 if answer["type"] == "urn:isotherm:problem:clock-not-set" => return Vec::new(),
                503 => {}
                other => panic!("{other}: {answer}"),
            }
        }
        panic!("not acknowledged though everything is well: {:?}", self.node.host.inner.logged());
    }

    /// Compares what a reader would see now with the model.
    fn check(&mut self) {
        let (regions, quarantined) = self.look();
        let Model { acknowledged, counted, aside, was_restored, .. } = &mut self.model;
        let is_lost = |id: &&usize| !counted.contains(id) && !aside.contains(id);
        let lost: Vec<&usize> = quarantined.too_old.iter().filter(is_lost).collect();
        assert!(lost.is_empty() || *was_restored, "{lost:?} are in quarantine");
        counted.extend(acknowledged.difference(&quarantined.too_old));
        counted.extend(aside.difference(&quarantined.all()));
        aside.retain(|id| !counted.contains(id));
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for &id in &*counted {
            expected.entry(region(id)).or_default().push(millicelsius(id));
        }
        let figures = |millis: &Vec<i64>| {
            let celsius = |millicelsius: Option<&i64>| *millicelsius.unwrap() as f64 / 1_000.0;
            json!({
                "count": millis.len(), "sum_millicelsius": millis.iter().sum::<i64>(),
                "min_c": celsius(millis.iter().min()), "max_c": celsius(millis.iter().max()),
            })
        };
        let expected: BTreeMap<String, Value> =
            expected.iter().map(|(region, millis)| (region.clone(), figures(millis))).collect();
        assert_eq!(regions, expected);
    }

    /// Folds a copy of the node's files and reads it: per region count, sum,
    /// min and max, and which readings are in quarantine.
    fn look(&self) -> (BTreeMap<String, Value>, InQuarantine) {
        let copy = copy_of(self.directory.path());
        let mut node = Node { host: host(copy.path(), self.retention, 0), now: self.node.now };
        for _ in 0..30 {
            let response = node.get("/v1/regions");
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            if body["unfolded_entries"] != 0 || body["stale"] != false {
                continue;
            }
            let row = |region: &Value| {
                let fields = ["count", "sum_millicelsius", "min_c", "max_c"];
                let figures: Value =
                    fields.into_iter().map(|f| (f.to_owned(), region[f].clone())).collect();
                (region["region"].as_str().unwrap().to_owned(), figures)
            };
            let regions = body["regions"].as_array().unwrap();
            // A region that only a contradiction has named counts nothing.
            let counting = regions.iter().filter(|region| region["count"] != 0);
            return (counting.map(row).collect(), quarantined(&node.host.inner));
        }
        panic!("it does not recover: {:?}", node.host.inner.logged());
    }
}

pub(crate) fn host(directory: &Path, retention: &str, seed: u64) -> FaultyHost {
    let variables = [("retention", retention), ("max_skew", "5m")];
    let native = NativeHost::new(directory, &variables).unwrap().simulated(1, seed);
    FaultyHost { inner: native, plan: Plan::new(0, false, false) }
}

pub(crate) fn copy_of(directory: &Path) -> TempDir {
    let copy = scratch();
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

pub(crate) fn fold_and_prune(node: &mut Node) -> Option<usize> {
    let run = || {
        let host = &node.host;
        let horizon = Horizon::from_variables(host)?;
        let journal = host.key_value().map_err(isotherm::error::Error::Journal)?;
        let inventory = Inventory::list(host, &journal)?;
        let regions = Database::open(host, Budget::waiting(5_000))?;
        let left = fold::run(&regions, &journal, &inventory)?.left_entries;
        if left == 0 {
            fold::prune(&regions, &journal, horizon, node.now)?;
        }
        Ok::<usize, isotherm::error::Error>(left)
    };
    run().ok()
}

/// The readings in entries under this prefix, by their ids, with their temperatures.
fn entries(host: &NativeHost, prefix: &str) -> Vec<(usize, i64)> {
    let store = host.key_value().unwrap();
    let mut found = Vec::new();
    for key in KeyValue::keys(&store).unwrap() {
        let Some(name) = key.strip_prefix(prefix) else { continue };
        // As it would be in the journal.
        let value = KeyValue::get(&store, &key).unwrap().unwrap();
        let other = scratch();
        let reader = NativeHost::new(other.path(), &[]).unwrap();
        let journal = reader.key_value().unwrap();
        let back = format!("journal/2/{name}");
        KeyValue::set(&journal, &back, &value).unwrap();
        let name = EntryName::from_key(&back).unwrap();
        for entry in journal::load(&reader, &journal, std::slice::from_ref(&name)).unwrap() {
            for reading in entry.decode().unwrap().readings {
                let device: usize = reading.device_id.as_str()[1..].parse().unwrap();
                let slot = (reading.timestamp.get() - START) / (6 * HOUR);
                let id = usize::try_from(slot).unwrap() * 4 + device;
                found.push((id, i64::from(reading.temperature.get())));
            }
        }
    }
    found
}

/// The readings that the ledger has.
fn in_the_ledger(host: &NativeHost) -> BTreeSet<usize> {
    let sql = host.sql().unwrap();
    let Ok(names) = Sql::execute(&sql, "SELECT id, name FROM devices", &[]) else {
        // There is no schema yet.
        return BTreeSet::new();
    };
    let names: BTreeMap<i64, usize> = names
        .into_iter()
        .map(|row| match row.as_slice() {
            [SqlValue::Integer(id), SqlValue::Text(name)] => (*id, name[1..].parse().unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    let rows = ledger::rows_between(&sql, 0, i64::MAX).unwrap();
    let id = |row: &ledger::Row| {
        let device = names[&i64::try_from(row.device()).unwrap()];
        let slot = (row.timestamp().unwrap().get() - START) / (6 * HOUR);
        usize::try_from(slot).unwrap() * 4 + device
    };
    rows.iter().map(id).collect()
}

/// Those that were measured so, by their ids.
fn measured(host: &NativeHost, prefix: &str) -> BTreeSet<usize> {
    let all = entries(host, prefix).into_iter();
    all.filter(|(id, temperature)| *temperature == millicelsius(*id)).map(|(id, _)| id).collect()
}

/// The readings that wait in the journal.
fn waiting(host: &NativeHost) -> BTreeSet<usize> {
    measured(host, "journal/2/")
}

/// The readings in quarantine.
struct InQuarantine {
    too_old: BTreeSet<usize>,
    ahead_of_clock: BTreeSet<usize>,
}

impl InQuarantine {
    fn all(&self) -> BTreeSet<usize> {
        &self.too_old | &self.ahead_of_clock
    }
}

const TOO_OLD: &str = "quarantine/1/too_old/";
pub(crate) const AHEAD_OF_CLOCK: &str = "quarantine/1/ahead_of_clock/";

fn quarantined(host: &NativeHost) -> InQuarantine {
    InQuarantine {
        too_old: measured(host, TOO_OLD),
        ahead_of_clock: measured(host, AHEAD_OF_CLOCK),
    }
}

/// The readings of all entries in quarantine, as often as they are there.
pub(crate) fn quarantined_entries(host: &NativeHost) -> Vec<(usize, i64)> {
    [TOO_OLD, AHEAD_OF_CLOCK].iter().flat_map(|prefix| entries(host, prefix)).collect()
}

/// How many readings wait that contradict what was measured.
fn contradictions(host: &NativeHost) -> usize {
    ["journal/2/", TOO_OLD, AHEAD_OF_CLOCK]
        .iter()
        .flat_map(|prefix| entries(host, prefix))
        .filter(|(id, temperature)| *temperature != millicelsius(*id))
        .count()
}

/// The same stories in every run, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES`
/// say otherwise. What ever failed is in model.regressions and goes first: so
/// far, what failed when a protection was taken out to see it fail.
pub(crate) fn config() -> ProptestConfig {
    let persistence =
        FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/model.regressions"));
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 256;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(2);
    }
    ProptestConfig { failure_persistence: Some(Box::new(persistence)), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_acknowledged_reading_is_counted_exactly_once_whatever_happens(
        steps in prop::collection::vec(step(), 1..30)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.check();
        }
    }
}
