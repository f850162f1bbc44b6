//! A node and the model beside it: does the steps of a story, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isotherm::error::Error;
use isotherm::host::Host;
use isotherm::internals::fold;
use isotherm::internals::journal::inventory::Inventory;
use isotherm::internals::ledger::database::{Budget, Database};
use isotherm::internals::settings::Horizon;
use isotherm_stores::native::NativeHost;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stores::{InQuarantine, contradictions, in_the_ledger, quarantined, waiting};
use super::story::{READINGS, RETENTIONS, Step, Trouble, millicelsius, reading, region, timestamp};
use crate::support::faulty::FaultyHost;
use crate::support::node::{Node, scratch};
use crate::support::readings::{HOUR, MINUTE, NOW, celsius};

const MAX_SKEW_MS: i64 = 5 * MINUTE;

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
    /// reading can't be told from a duplicate.
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
        let retention = RETENTIONS[0];
        let node = node(directory.path(), retention).with_clock_at(NOW + 100 * HOUR);
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
        self.node.set_plan(trouble.plan());
        let given = work(&mut self.node);
        if let Trouble::Kill { .. } = trouble {
            self.restart();
        }
        given
    }

    pub(crate) fn run(&mut self, step: &Step) {
        match step {
            Step::Send { near, waits, trouble } => self.send(near, *waits, *trouble),
            Step::Contradict { near, waits } => self.contradict(near, *waits),
            Step::Read { trouble } => self.read(*trouble),
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
                let directory = self.copy();
                // Of the database alone: what waits is in the journal's copy.
                let counted = self.in_the_database();
                self.backup = Some(Backup { directory, counted });
            }
            Step::Restore { journal, regions } => self.restore(*journal, *regions),
            Step::Retry => {
                let path = "/v1/quarantine/retry";
                let answer = self.under(Trouble::None, |node| node.retry_at(path));
                assert!(matches!(answer.status.as_u16(), 200 | 503));
                self.model.folded.clear();
            }
        }
    }

    fn send(&mut self, near: &[i64], waits: bool, trouble: Trouble) {
        let ids = self.deliver(&self.ids(near), waits, trouble, millicelsius);
        let latest = self.node.now.saturating_add(MAX_SKEW_MS).get();
        let is_ahead = |id: &usize| timestamp(*id) > latest;
        let (aside, acknowledged): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_ahead);
        self.model.acknowledged.extend(acknowledged);
        self.model.aside.extend(aside);
    }

    fn contradict(&mut self, near: &[i64], waits: bool) {
        let mut known = self.ids(near);
        known.retain(|id| self.model.folded.contains(id));
        if !known.is_empty() {
            self.deliver(&known, waits, Trouble::None, |id| millicelsius(id) + 1);
        }
    }

    fn read(&mut self, trouble: Trouble) {
        let response = self.under(trouble, |node| node.get("/v1/regions"));
        assert!(matches!(response.status.as_u16(), 200 | 503));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        if body["unfolded_entries"] == 0 && body["stale"] == false {
            self.model.folded = self.model.counted.clone();
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
        let present = (self.node.now.get() - NOW) / (6 * HOUR) * 4;
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
        let mut trouble = trouble;
        for _ in 0..40 {
            let response = self.under(trouble, |node| node.send(&body, waits));
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

    /// A copy of its stores.
    pub(crate) fn copy(&self) -> TempDir {
        copy_of(self.directory.path())
    }

    /// A node over a copy of its stores, at the same time.
    pub(crate) fn node_over(&self, copy: &TempDir) -> Node {
        node(copy.path(), self.retention).with_clock_at(self.node.now.get())
    }

    /// Compares what a reader would see now with the model.
    pub(super) fn check(&mut self) {
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
            let celsius = |millicelsius: Option<&i64>| celsius(*millicelsius.unwrap());
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
        let copy = self.copy();
        let mut node = self.node_over(&copy);
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

fn host(directory: &Path, retention: &str, seed: u64) -> FaultyHost {
    let variables = [("retention", retention), ("max_skew", "5m")];
    FaultyHost::over(NativeHost::new(directory, &variables).unwrap().simulated(1, seed))
}

fn node(directory: &Path, retention: &str) -> Node {
    let variables = [("retention", retention), ("max_skew", "5m")];
    Node::over(directory, &variables).simulated(1, 0)
}

fn copy_of(directory: &Path) -> TempDir {
    let copy = scratch();
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

/// What `ingest` does after an answer when it is its turn; `None` if it fails.
pub(crate) fn fold_and_prune(node: &mut Node) -> Option<usize> {
    let run = || {
        let host = &node.host;
        let horizon = Horizon::from_variables(host)?;
        let journal = host.key_value().map_err(Error::Journal)?;
        let inventory = Inventory::list(host, &journal)?;
        let regions = Database::open(host, Budget::waiting(5_000))?;
        let left = fold::run(&regions, &journal, &inventory)?.left_entries;
        if left == 0 {
            fold::prune(&regions, &journal, horizon, node.now)?;
        }
        Ok::<usize, Error>(left)
    };
    run().ok()
}
