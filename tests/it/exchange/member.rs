//! A node of the model: what it sends and hears, how it is restored, lost and cloned.

use std::path::Path;

use isotherm::api::{readings, router};
use isotherm::http::{Header, Request, Response};
use isotherm::internals::exchange::apply::apply;
use isotherm::internals::exchange::peers::{Configured, register_in};
use isotherm::internals::exchange::push::{Prepared, Told, prepare};
use isotherm::internals::ledger::database::Database;
use isotherm::internals::wire::answer::Answer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::node::{Node, PATIENT, scratch};
use crate::support::readings::{DAY, MINUTE, NOW, at};

/// A generator of random numbers: the histories are the same in every run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// True in this many of a hundred cases.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

pub(super) const READINGS: usize = 400;

/// The reading of this number: the same wherever it is sent from, but for whether it comes
/// late.
pub(super) fn reading(number: usize) -> Value {
    let (minute, within) = (number / 10, number % 10);
    let ms =
        NOW - DAY + i64::try_from(minute).unwrap() * MINUTE + 997 * i64::try_from(within).unwrap();
    json!({
        "device_id": format!("d-{}", number % 7),
        "region": format!("r-{}", number % 3),
        "temperature_c": f64::from(u32::try_from(number * 37 % 50).unwrap()) - 20.5,
        "timestamp": ms,
    })
}

/// A correction of the reading of this number.
pub(super) fn correction(number: usize) -> Value {
    let of = reading(number);
    let mut body = json!({
        "device_id": of["device_id"],
        "timestamp": of["timestamp"],
        "expect_c": of["temperature_c"],
        "expect_region": of["region"],
        "reason": "a test",
        "temperature_c": null,
    });
    if number.is_multiple_of(2) {
        body["temperature_c"] = json!(number % 5);
        body["region"] = json!(format!("r-{}", number % 4));
    }
    body
}

/// A node of the history. Clones have the same name.
pub(super) struct Member {
    pub(super) name: usize,
    pub(super) peers: Vec<usize>,
    node: Option<Node>,
    directory: TempDir,
    /// Seed of its chance.
    life: u64,
    /// Copies of database and key-value store; some have one of them only.
    pub(super) backups: Vec<TempDir>,
}

pub(super) const DATABASE: [&str; 3] = ["regions.db", "regions.db-wal", "regions.db-shm"];
pub(super) const JOURNAL: [&str; 3] = ["journal.db", "journal.db-wal", "journal.db-shm"];

pub(super) fn copy(from: &Path, to: &Path, files: &[&str]) {
    for file in files {
        let (from, to) = (from.join(file), to.join(file));
        drop(std::fs::remove_file(&to));
        if from.exists() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

impl Member {
    pub(super) fn new(name: usize, peers: &[usize]) -> Self {
        let directory = scratch();
        let mut member = Self {
            name,
            peers: peers.to_vec(),
            node: None,
            directory,
            life: u64::try_from(name).unwrap() << 20,
            backups: Vec::new(),
        };
        member.open();
        member
    }

    pub(super) fn open(&mut self) {
        // No two lives of a node have the same chance.
        self.life += 1 << 32;
        // To some of them everything comes in time, to others everything late.
        let late_after = if self.name.is_multiple_of(2) { "3d" } else { "5m" };
        let variables = [("retention", "0"), ("late_after", late_after)];
        let node = Node::over(self.directory.path(), &variables).simulated(1, self.life);
        self.node = Some(node.with_clock_at(NOW));
        let peers: Vec<Configured> = self
            .peers
            .iter()
            .zip(1..)
            .map(|(peer, number)| Configured::new(number, &format!("http://{peer}")))
            .collect();
        register_in(&self.database(), &peers, at(NOW)).unwrap();
    }

    pub(super) fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    pub(super) fn database(&self) -> Database<'_, impl isotherm::host::Host> {
        Database::open(&self.node().host, PATIENT).unwrap()
    }

    pub(super) fn close(&mut self) {
        self.node = None;
    }

    pub(super) fn backup(&mut self, chance: &mut Chance) {
        let stores = [DATABASE, JOURNAL].into_iter().filter(|_| chance.percent(80));
        let copied = self.copied(&stores.collect::<Vec<_>>());
        self.backups.push(copied);
    }

    pub(super) fn restore(&mut self, chance: &mut Chance) {
        let backup = self.backups[chance.below(self.backups.len())].path().to_owned();
        let stores = [DATABASE, JOURNAL].into_iter();
        let stores =
            stores.filter(|files| backup.join(files[0]).exists() && chance.percent(70)).collect();
        self.bring_back(&backup, stores);
    }

    /// A copy of these stores.
    pub(super) fn copied(&mut self, stores: &[[&str; 3]]) -> TempDir {
        self.close();
        let copied = scratch();
        for files in stores {
            copy(self.directory.path(), copied.path(), files);
        }
        self.open();
        copied
    }

    /// Puts these stores of a copy in the place of its own.
    pub(super) fn bring_back(&mut self, from: &Path, stores: Vec<[&str; 3]>) {
        self.close();
        for files in stores {
            copy(from, self.directory.path(), &files);
        }
        self.open();
    }

    pub(super) fn lose(&mut self, files: &[&str]) {
        self.close();
        copy(Path::new("/nowhere"), self.directory.path(), files);
        self.open();
    }

    pub(super) fn cloned(&mut self) -> Self {
        self.close();
        let directory = scratch();
        for files in [DATABASE, JOURNAL] {
            copy(self.directory.path(), directory.path(), &files);
        }
        self.open();
        let (name, peers, life) = (self.name, self.peers.clone(), self.life | 1 << 60);
        let mut clone = Self { name, peers, node: None, directory, life, backups: Vec::new() };
        clone.open();
        clone
    }

    /// Posts a body to `ingest`, and does nothing after the answer.
    pub(super) fn post(&self, media_type: &str, body: &[u8], now: i64) -> Vec<u8> {
        let response = self.answered(media_type, body, now);
        assert_eq!(response.status, 202, "{}", String::from_utf8_lossy(&response.body));
        response.body
    }

    /// The same; `None` where all of it is rejected.
    pub(super) fn offer(&self, media_type: &str, body: &[u8], now: i64) -> Option<Vec<u8>> {
        let response = self.answered(media_type, body, now);
        let said = String::from_utf8_lossy(&response.body);
        assert!([202, 422].contains(&response.status.as_u16()), "{said}");
        (response.status == 202).then_some(response.body)
    }

    fn answered(&self, media_type: &str, body: &[u8], now: i64) -> Response {
        let request = Request::post("/v1/readings").with(Header::ContentType, media_type);
        readings::post(&self.node().host, &request, body, at(now)).response
    }

    pub(super) fn correct(&self, number: usize, now: i64) {
        let request = Request::post("/v1/corrections");
        let body = correction(number).to_string();
        let answered = router::answer_with(&self.node().host, &request, body.as_bytes(), at(now));
        assert_eq!(answered.response.status, 200, "{answered:?}");
    }

    /// Folds some of the entries. In some cases it crashes before it removes them.
    pub(super) fn fold(&self, chance: &mut Chance) {
        let store = self.node().key_value();
        let all: Vec<String> =
            store.keys().unwrap().into_iter().filter(|key| key.starts_with("journal/")).collect();
        let put = |key: &String| (key.clone(), store.get(key).unwrap().unwrap());
        let kept: Vec<(String, Vec<u8>)> =
            all.iter().filter(|_| chance.percent(30)).map(put).collect();
        let hidden: Vec<String> = kept.iter().map(|(key, _)| key.clone()).collect();
        if !hidden.is_empty() {
            store.delete_many(&hidden).unwrap();
        }
        let crashed = chance.percent(10);
        let rest: Vec<(String, Vec<u8>)> = match crashed {
            true => all.iter().filter(|key| !hidden.contains(key)).map(put).collect(),
            false => Vec::new(),
        };
        self.node().fold();
        for (key, value) in kept.into_iter().chain(rest) {
            store.set(&key, &value).unwrap();
        }
    }

    pub(super) fn prepare(&self, peer: usize, now: i64) -> Prepared {
        let number = 1 + self.peers.iter().position(|known| *known == peer).unwrap();
        let number = i64::try_from(number).unwrap();
        prepare(&self.database(), number, "", at(now)).unwrap().unwrap()
    }

    /// Whether nothing waits, and nothing is under way.
    pub(super) fn is_at_rest(&self) -> bool {
        let left = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM batches)";
        self.node().execute(left) == [[isotherm::host::Value::Integer(0)]]
    }

    pub(super) fn hear(&self, told: &Told, answer: &[u8], now: i64) {
        let answer = Answer::parse(answer).unwrap();
        apply(&self.database(), told, &answer, at(now)).unwrap();
    }
}
