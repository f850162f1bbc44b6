//! Four servers, each of which sends to the three others, over links that are cut at random.
//! They are killed under load, and the database of one is restored. At rest all say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Sender;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::member::{Chance, copy};
use super::two::{counts, get, outgoing, windows};
use crate::support::bare::ask;
use crate::support::readings::{DAY, HOUR, MINUTE, celsius, instant, json_reading};
use crate::support::relay::Relay;
use crate::support::service::{Expect as _, until};

const NODES: usize = 4;
/// How many different readings there are, and how far apart.
const READINGS: i64 = 6_000;
const EVERY_MS: i64 = 1_200;
const DATABASE: [&str; 3] = ["sqlite_db.db", "sqlite_db.db-wal", "sqlite_db.db-shm"];
/// What all nodes have to agree on, beside windows.
const FIGURES: &str = "count sum_millicelsius average_c min_c max_c standard_deviation_c oldest \
                       newest late corrected devices p50_c p95_c p99_c";

/// Who sends, and to whom.
type Link = (usize, usize);

/// The servers, and what they have acknowledged.
struct Mesh {
    nodes: Vec<Service>,
    links: BTreeMap<Link, Relay>,
    chance: Chance,
    start: i64,
    taken: BTreeSet<i64>,
    corrected: BTreeSet<i64>,
    torn: BTreeSet<i64>,
    /// How many kills met a request that was not answered.
    met: usize,
}

/// The node of this number, which sends over its links. It is not started yet.
fn node(own: usize, links: &BTreeMap<Link, Relay>) -> Service {
    let urls: Vec<String> = links.range((own, 0)..(own + 1, 0)).map(|it| it.1.url()).collect();
    let own = format!("n-{own}");
    let mut variables = vec![("node", own.as_str()), ("late_after", "1h")];
    variables.extend(["peer1", "peer2", "peer3"].into_iter().zip(urls.iter().map(String::as_str)));
    Service::prepare("spin.toml", &variables, &[]).unwrap()
}

/// Runs a beat now, as if it were later: it would wait for the lease of a node that was killed,
/// after a failure, and for ten minutes for a batch that went with the database of a peer.
fn beat(node: &Service) {
    let connection = Connection::open(node.regions_file()).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    for later in ["lease SET until = 0", "peers SET wait_until = 0", "batches SET made = 0"] {
        connection.execute(&format!("UPDATE {later}"), []).unwrap();
    }
    super::two::beat(node);
}

/// The region of a reading, and its temperature in thousandths of a degree.
fn measured(number: i64) -> (String, i64) {
    (format!("r-{}", number % 3), number * 37 % 50_000 - 20_000)
}

/// What stands of it once it is corrected: some are withdrawn, and some moved.
fn corrected(number: i64) -> Option<(String, i64)> {
    let (region, millicelsius) = measured(number);
    match number % 4 {
        0 => None,
        1 => Some((format!("r-{}", number % 5), millicelsius + 500)),
        _ => Some((region, millicelsius + 1_500)),
    }
}

impl Mesh {
    fn new(seed: u64) -> Self {
        let of = |own| (0..NODES).filter(move |it| *it != own).map(move |it| (own, it));
        // They lead nowhere until all nodes serve.
        let link = |it| (it, Relay::to("http://127.0.0.1:1"));
        let links = (0..NODES).flat_map(of).map(link).collect();
        let mut mesh = Self {
            nodes: (0..NODES).map(|own| node(own, &links)).collect(),
            links,
            chance: Chance(seed),
            start: now_ms() - READINGS * EVERY_MS - MINUTE,
            taken: BTreeSet::new(),
            corrected: BTreeSet::new(),
            torn: BTreeSet::new(),
            met: 0,
        };
        (0..NODES).for_each(|own| mesh.start(own));
        // The first beat makes the tables.
        mesh.nodes.iter().for_each(super::two::beat);
        mesh
    }

    /// Starts a node, to which its links lead then.
    fn start(&mut self, own: usize) {
        self.nodes[own].run().unwrap();
        let url = self.nodes[own].url();
        self.links_to(own).for_each(|link| link.lead_to(&url));
    }

    fn links_to(&self, own: usize) -> impl Iterator<Item = &Relay> {
        self.links.iter().filter(move |((_, to), _)| *to == own).map(|(_, link)| link)
    }

    fn other_than(&mut self, own: usize) -> usize {
        (own + 1 + self.chance.below(NODES - 1)) % NODES
    }

    fn number(&mut self, end: i64) -> i64 {
        i64::try_from(self.chance.below(usize::try_from(end).unwrap())).unwrap()
    }

    fn reading(&self, number: i64) -> Value {
        let (region, millicelsius) = measured(number);
        let (device, ms) = (format!("d-{}", number % 7), self.start + number * EVERY_MS);
        json_reading(&device, &region, celsius(millicelsius), ms)
    }

    /// Readings that follow each other, and some from anywhere: their numbers, and the request.
    fn batch(&mut self) -> (Vec<i64>, String) {
        let (begin, count) = (self.number(READINGS), 50 + self.number(150));
        let anywhere: Vec<i64> = (0..count / 5).map(|_| self.number(READINGS)).collect();
        let batch: Vec<i64> = (begin..READINGS.min(begin + count)).chain(anywhere).collect();
        let body: Value = batch.iter().map(|number| self.reading(*number)).collect();
        (batch, body.to_string())
    }

    /// Sends it until it is acknowledged.
    fn post(&self, own: usize, path: &str, body: &str) {
        until("a request is acknowledged", || {
            let answer = ask::<&str>(&self.nodes[own], "POST", path, &[], body);
            assert!(matches!(answer.status, 200 | 202 | 503), "{}", answer.body);
            (answer.status != 503).then_some(())
        });
    }

    /// A batch to a node, and now and then to another one, too.
    fn measure(&mut self) {
        let (own, (batch, body)) = (self.chance.below(NODES), self.batch());
        self.post(own, "/v1/readings", &body);
        if self.chance.percent(30) {
            let other = self.other_than(own);
            self.post(other, "/v1/readings", &body);
        }
        self.taken.extend(batch);
    }

    /// One time, a day before the other readings: each node is told another temperature of it.
    fn contradict(&mut self) {
        let (own, minute) = (self.chance.below(NODES), self.number(12));
        let ms = self.start - DAY + minute * MINUTE;
        self.post(own, "/v1/readings", &json_reading("torn", "torn", own, ms).to_string());
        self.torn.insert(ms);
    }

    /// Corrects a reading at any node, which may not have it yet.
    fn correct(&mut self) {
        let (own, number) = (self.chance.below(NODES), self.number(READINGS));
        let of = self.reading(number);
        let mut body = json!({
            "device_id": of["device_id"], "timestamp": of["timestamp"], "temperature_c": null,
            "expect_c": of["temperature_c"], "expect_region": of["region"], "reason": "a test",
        });
        if let Some((region, millicelsius)) = corrected(number) {
            body["region"] = region.into();
            body["temperature_c"] = celsius(millicelsius).into();
        }
        self.post(own, "/v1/corrections", &body.to_string());
        self.corrected.insert(number);
    }

    /// Cuts or heals some links.
    fn tear(&mut self) {
        for _ in 0..3 {
            let from = self.chance.below(NODES);
            let (to, is_cut) = (self.other_than(from), self.chance.percent(50));
            let link = &self.links[&(from, to)];
            if is_cut { link.cut() } else { link.heal(0) }
        }
    }

    /// Kills a node while it sends and is sent batches; sends again what was not acknowledged.
    fn kill(&mut self, own: usize) {
        let batches: Vec<_> = (0..12).map(|_| self.batch()).collect();
        let wait = Duration::from_millis(self.chance.next() % 30);
        let sender = Sender::new(&self.nodes[own].url(), Duration::from_secs(10));
        let is_taken =
            |body: &str| sender.post(body.as_bytes(), &[]).is_ok_and(|it| it.status == 202);
        beat(&self.nodes[own]);
        let taken = std::thread::scope(|scope| {
            let load = scope.spawn(|| batches.iter().take_while(|it| is_taken(&it.1)).count());
            // Some time within all that.
            std::thread::sleep(wait);
            self.nodes[own].kill();
            load.join().unwrap()
        });
        self.met += usize::from(taken < batches.len());
        self.start(own);
        batches[taken..].iter().for_each(|(_, body)| self.post(own, "/v1/readings", body));
        self.taken.extend(batches.into_iter().flat_map(|(batch, _)| batch));
    }

    /// Does something with a node's stores while it does not run.
    fn with_stopped(&mut self, own: usize, work: impl FnOnce(&Path)) {
        self.nodes[own].kill();
        work(self.nodes[own].directory());
        self.start(own);
    }

    /// Puts a copy back. Before, another node has all that this one has, as it would be lost
    /// otherwise; and it knows that this one has all of its own.
    fn restore(&mut self, own: usize, from: &Path) {
        let other = self.other_than(own);
        let both = [(own, other), (other, own)];
        both.iter().for_each(|link| self.links[link].heal(0));
        self.settle(&both);
        // Nothing comes back before it is counted.
        self.links_to(own).for_each(Relay::cut);
        let count = |mesh: &Self| -> i64 { counts(&mesh.nodes[own]).iter().map(|it| it.1).sum() };
        let before = count(self);
        self.with_stopped(own, |stores| copy(from, stores, &DATABASE));
        let after = count(self);
        assert!(0 < after && after < before, "{after} readings, {before} before");
    }

    /// Whether nothing waits on these links, and all that was sent is known to be counted.
    fn is_settled(&self, links: &[Link]) -> bool {
        links.iter().all(|link| {
            self.nodes[link.0].settled();
            let (state, origin) = (get(&self.nodes[link.0], "/v1/sync"), self.links[link].url());
            let mut peers = state["peers"].as_array().unwrap().iter();
            let peer = peers.find(|peer| peer["origin"] == origin.as_str()).unwrap();
            let waits = ["behind_minutes", "behind_readings", "batches_under_way"];
            waits.iter().all(|field| peer[field] == 0) && peer["aside"] == json!([])
        })
    }

    /// Beats in turns until nothing waits on these links.
    fn settle(&self, links: &[Link]) {
        let from: BTreeSet<usize> = links.iter().map(|(from, _)| *from).collect();
        for _ in 0..40 {
            from.iter().for_each(|own| beat(&self.nodes[*own]));
            for _ in 0..10 {
                // Twice: while one node was looked at, another one may have sent to it.
                if self.is_settled(links) && self.is_settled(links) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        let states: Vec<_> = from.iter().map(|own| outgoing(&self.nodes[*own])).collect();
        panic!("after 40 rounds of beats something still waits: {states:#?}");
    }

    /// Count and sum of each region, by what was acknowledged.
    fn expected(&self) -> BTreeMap<String, [i64; 2]> {
        let mut regions = BTreeMap::new();
        for number in &self.taken {
            let is_corrected = self.corrected.contains(number);
            let stands = if is_corrected { corrected(*number) } else { Some(measured(*number)) };
            if let Some((region, millicelsius)) = stands {
                let [count, sum] = regions.entry(region).or_default();
                (*count, *sum) = (*count + 1, *sum + millicelsius);
            }
        }
        regions
    }

    fn check_same(&self) {
        let (from, to) = (self.start - self.start % HOUR, self.start + 3 * HOUR);
        let of = |node: &Service| (figures(node), windows(node, from, to));
        let (first, all) = (of(&self.nodes[0]), self.nodes.iter().map(of));
        for (region, [count, sum]) in self.expected() {
            assert_eq!(first.0[&region][..2], [json!(count), json!(sum)], "{region}");
        }
        for (own, other) in all.enumerate() {
            assert_eq!(other.0, first.0, "figures of {own} and 0");
            assert!(other.1 == first.1, "windows of {own} and 0 differ");
        }
    }

    /// Of two nodes that counted different readings of one time, each lists the other's.
    fn check_torn(&self) {
        let path = format!("/v1/devices/torn/readings?from={}&to={}", self.start - DAY, self.start);
        let counted = |node: &Service| -> BTreeMap<String, Value> {
            let body = get(node, &path);
            let readings = body["readings"].as_array().unwrap().iter();
            readings.map(|it| (it["timestamp"].to_string(), it["temperature_c"].clone())).collect()
        };
        let all: Vec<_> = self.nodes.iter().map(counted).collect();
        let times: BTreeSet<String> = self.torn.iter().map(|ms| instant(*ms).to_string()).collect();
        let mut found = false;
        for (node, own) in self.nodes.iter().zip(&all) {
            assert!(own.keys().eq(&times), "{own:?} {times:?}");
            let listed = get(node, "/v1/conflicts");
            let fields = ["timestamp", "temperature_c", "standing_temperature_c"];
            for (at, contrary) in all.iter().flatten().filter(|(at, it)| own[*at] != **it) {
                let wanted = [at.clone(), contrary.to_string(), own[at].to_string()];
                let mut conflicts = listed["conflicts"].as_array().unwrap().iter();
                let is_listed = conflicts.any(|one| fields.map(|it| one[it].to_string()) == wanted);
                assert!(is_listed, "{wanted:?} is not in {listed}");
                found = true;
            }
        }
        assert!(found, "no two nodes counted different readings");
    }
}

/// The figures of each region but `torn`.
fn figures(node: &Service) -> BTreeMap<String, Vec<Value>> {
    let body = node.settled();
    let regions = body["regions"].as_array().unwrap().iter().filter(|it| it["region"] != "torn");
    let name = |region: &Value| region["region"].as_str().unwrap().to_owned();
    let of = |region: &Value| FIGURES.split(' ').map(|it| region[it].clone()).collect();
    regions.map(|region| (name(region), of(region))).collect()
}

#[test]
fn a_mesh_of_servers_is_equal_after_partitions_kills_and_a_restored_database() {
    let mut mesh = Mesh::new(11);
    let copied = TempDir::new().unwrap();
    let restored = mesh.chance.below(NODES);
    for step in 0..40 {
        mesh.measure();
        mesh.contradict();
        mesh.correct();
        mesh.tear();
        let own = mesh.chance.below(NODES);
        match step {
            15 => mesh.with_stopped(restored, |stores| copy(stores, copied.path(), &DATABASE)),
            30 => mesh.restore(restored, copied.path()),
            _ if step % 5 == 2 => mesh.kill(own),
            _ => beat(&mesh.nodes[own]),
        }
    }
    assert!(mesh.met > 2, "only {} kills met a request", mesh.met);
    mesh.links.values().for_each(|link| link.heal(0));
    mesh.settle(&mesh.links.keys().copied().collect::<Vec<_>>());
    mesh.check_same();
    mesh.check_torn();
}
