//! `cargo xtask fleet`, and the gateway's `fleet`: a hub and three gateways, one of which is cut
//! off.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use isotherm_it::{binary, gateway, now_ms};
use isotherm_load::sender::Sender;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::readings::{MINUTE, instant};
use crate::support::service::until;

/// A fleet with its stores in a directory, and what it has printed.
struct Fleet {
    process: Child,
    said: Arc<Mutex<String>>,
    nodes: BTreeMap<String, Sender>,
}

impl Fleet {
    fn start(state: &Path, further: &[&str]) -> Self {
        let mut command = Command::new(binary("xtask").unwrap());
        command.args(["fleet", "--no-build"]);
        Self::start_by(command, state, further)
    }

    fn start_by(mut command: Command, state: &Path, further: &[&str]) -> Self {
        command.arg("--state-dir").arg(state).args(further);
        command.args(["--variable", "sender_silent_after=11s"]);
        // What the shell has set for one node is not meant for these.
        command.env("SPIN_VARIABLE_AUTH", "on");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let all = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *all.lock().unwrap() += &format!("{line}\n");
            }
        });
        let mut fleet = Self { process, said, nodes: BTreeMap::new() };
        fleet.wait_for("    quit");
        let said = fleet.said();
        let rows = said.lines().filter_map(|line| line.trim().split_once(" http://"));
        let sender = |url: &str| Sender::new(&format!("http://{url}"), Duration::from_secs(10));
        fleet.nodes = rows.map(|(name, url)| (name.trim().to_owned(), sender(url))).collect();
        let names: Vec<&String> = fleet.nodes.keys().collect();
        assert_eq!(names, ["gateway-1", "gateway-2", "gateway-3", "hub"], "{said}");
        fleet
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        until(text, || self.said().contains(text).then_some(()));
    }

    /// Types a command, and waits until it says this.
    #[track_caller]
    fn give(&mut self, line: &str, said: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.wait_for(said);
    }

    fn read(&self, node: &str, path: &str) -> Option<Value> {
        let answer = self.nodes[node].get(path).unwrap();
        (answer.status == 200).then(|| answer.json().unwrap())
    }

    /// What the hub says of each gateway: whether it is silent, and how much is missing.
    fn senders(&self) -> BTreeMap<String, (bool, i64)> {
        let answer = self.read("hub", "/v1/senders").unwrap();
        let sender = |one: &Value| {
            let missing = one["missing_readings"].as_i64().unwrap();
            (one["name"].as_str().unwrap().to_owned(), (one["silent"] == true, missing))
        };
        answer["nodes"].as_array().unwrap().iter().map(sender).collect()
    }

    /// Whether each gateway has told the hub how many readings it has in an hour: a first contact
    /// may come before the first reading, and then nothing is known to be missing.
    fn all_have_sent(&self) -> Option<()> {
        let answer = self.read("hub", "/v1/senders")?;
        let nodes = answer["nodes"].as_array()?;
        let has = |one: &Value| one["readings_per_hour"].as_i64().is_some_and(|rate| rate > 0);
        (nodes.len() == 3 && nodes.iter().all(has)).then_some(())
    }
}

/// What the sensors of each gateway measure.
const ROOMS: [&str; 2] = ["cold-room", "freezer"];

const GATEWAYS: [&str; 3] = ["gateway-1", "gateway-2", "gateway-3"];

impl Fleet {
    fn give_to_all(&mut self, command: &str, said: &str) {
        for number in 1..=3 {
            self.give(&format!("{command} {number}"), &format!("gateway-{number} {said}"));
        }
    }

    /// How many readings a node has of each room.
    fn counts(&self, node: &str) -> BTreeMap<String, i64> {
        let answer = self.read(node, "/v1/regions").unwrap();
        let regions = answer["regions"].as_array().unwrap().iter();
        let count =
            |of: &Value| (of["region"].as_str().unwrap().to_owned(), of["count"].as_i64().unwrap());
        regions.map(count).collect()
    }

    /// Whether a gateway knows that the hub has counted more than these.
    fn knows_of_more(&self, gateway: &str, copied: &BTreeMap<String, i64>) -> Option<()> {
        let own = self.counts(gateway);
        let state = self.read(gateway, "/v1/sync")?;
        let counted = own.values().sum::<i64>() - state["peers"][0]["behind_readings"].as_i64()?;
        let then: i64 = own.keys().map(|room| copied[room]).sum();
        (counted > then).then_some(())
    }

    /// Waits until the hub counts what all gateways do, of each minute that is over.
    fn wait_for_all(&self) {
        let now = now_ms();
        let to = instant(now - now % MINUTE);
        for (number, room) in (1..=3).flat_map(|number| ROOMS.map(|room| (number, room))) {
            let path = format!("/v1/regions/{room}-{number}?to={}", to.as_str().unwrap());
            until(&path, || {
                let figures = |node: &str| {
                    let body = self.read(node, &path)?;
                    Some((body["count"].as_i64()?, body["sum_millicelsius"].as_i64()?))
                };
                (figures(&format!("gateway-{number}"))? == figures("hub")?).then_some(())
            });
        }
    }

    /// Waits until the hub says, as JSON and beside CSV, that it lacks nothing of anyone.
    /// Of which gateways the hub's metrics say that they are silent.
    fn silent_by_metrics(&self) -> Vec<String> {
        let metrics = self.nodes["hub"].get("/metrics").unwrap().body;
        let lines = metrics.lines().filter_map(|line| line.strip_prefix("isotherm_sender_silent{"));
        let silent = lines.filter_map(|line| line.strip_suffix("\"} 1")?.split("name=\"").nth(1));
        silent.map(str::to_owned).collect()
    }

    /// The fields of the coverage in the header of the hub's table of regions.
    fn coverage_of_csv(&self) -> Option<Vec<String>> {
        let csv = [("accept", "text/csv")];
        let answer = self.nodes["hub"].send_with(&Method::GET, "/v1/regions", &csv).unwrap();
        let coverage = answer.header("isotherm-coverage")?;
        Some(coverage.split(',').map(|field| field.trim().to_owned()).collect())
    }

    /// That the hub says in JSON, in the header of a table and in its metrics that this gateway
    /// alone is silent, and marks its rooms alone.
    fn check_said_of_silent(&self, gateway: &str) {
        let body = self.read("hub", "/v1/regions").unwrap();
        assert_eq!((&body["silent_senders"], &body["silent_nodes"]), (&json!(1), &json!(gateway)));
        assert!(body["missing_readings"].as_i64().unwrap() > 0, "{body}");
        let number = gateway.split('-').next_back().unwrap();
        for region in body["regions"].as_array().unwrap() {
            let is_its = region["region"].as_str().unwrap().ends_with(number);
            let behind = if is_its { json!([gateway]) } else { json!([]) };
            assert_eq!(region["behind"], behind, "{region}");
        }
        let fields = self.coverage_of_csv().unwrap();
        for wanted in ["senders=3".to_owned(), format!("silent_nodes=\"{gateway}\"")] {
            assert!(fields.contains(&wanted), "{fields:?}");
        }
        assert_eq!(self.silent_by_metrics(), [gateway]);
    }

    fn wait_until_complete(&self) {
        until("the hub lacks nothing", || {
            let body = self.read("hub", "/v1/regions")?;
            let lacks = ["senders", "silent_senders", "missing_readings"];
            (lacks.map(|field| body[field].as_i64()) == [Some(3), Some(0), Some(0)]).then_some(())
        });
        until("the header of a table says so", || {
            let fields = self.coverage_of_csv()?;
            let lacks = ["senders=3", "silent_senders=0", "missing_readings=0"];
            lacks.iter().all(|lack| fields.iter().any(|field| field == lack)).then_some(())
        });
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The fleet said:\n{}", self.said());
        }
        let group = format!("-{}", self.process.id());
        // It fails where all of them have ended.
        Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().unwrap();
        self.process.wait().unwrap();
    }
}

/// How many processes have this directory in their command lines.
fn processes(state: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.filter(|line| line.contains(state.to_str().unwrap())).count()
}

#[test]
fn a_gateway_that_is_cut_off_is_named_at_the_hub_which_has_everything_after_it_heals() {
    let state = TempDir::new().unwrap();
    check_cut_off(Fleet::start(state.path(), &[]), state.path());
}

#[test]
fn the_executable_alone_makes_the_same_fleet() {
    let state = TempDir::new().unwrap();
    let mut command = Command::new(gateway().unwrap());
    command.arg("fleet").current_dir("/");
    check_cut_off(Fleet::start_by(command, state.path(), &[]), state.path());
}

fn check_cut_off(mut fleet: Fleet, state: &Path) {
    assert_eq!(processes(state), 5, "what started them, and four nodes");
    until("all gateways have sent readings", || fleet.all_have_sent());

    fleet.give("cut 2", "gateway-2 can't reach the hub");
    let missing = until("the hub says that gateway 2 is silent", || {
        let senders = fleet.senders();
        senders["gateway-2"].0.then_some(senders["gateway-2"].1)
    });
    assert!(missing > 0);
    fleet.check_said_of_silent("gateway-2");
    fleet.give("status", "SILENT");
    let said = fleet.said();
    let line = said.lines().find(|line| line.contains("SILENT")).unwrap();
    assert!(line.starts_with("gateway-2 ") && line.contains("cut"), "{said}");

    let path = format!("/v1/regions/cold-room-2?to={}", instant(now_ms()).as_str().unwrap());
    fleet.give("heal 2", "gateway-2 can reach the hub again");
    let healed = now_ms();
    until("the hub has all readings of gateway 2", || {
        let [of_gateway, of_hub] = ["gateway-2", "hub"].map(|node| fleet.read(node, &path));
        let figures = |body: &Value| (body["count"].clone(), body["sum_millicelsius"].clone());
        (of_gateway.as_ref().map(figures)? == of_hub.as_ref().map(figures)?).then_some(())
    });
    assert!(!fleet.senders()["gateway-2"].0, "it is still silent");
    fleet.wait_until_complete();
    assert_eq!(fleet.silent_by_metrics(), Vec::<String>::new());
    let took = now_ms() - healed;
    assert!(took < 60_000, "it took {took} ms until the hub said nothing of it any more");

    fleet.give("quit", "All nodes have ended");
    assert!(fleet.process.wait().unwrap().success());
    assert_eq!(processes(state), 0);
}

#[test]
fn no_node_outlives_a_fleet_that_is_killed_and_its_stores_can_be_kept() {
    let state = TempDir::new().unwrap();
    let mut first = Fleet::start(state.path(), &[]);
    until("the hub has readings", || first.read("hub", "/v1/regions/freezer-3"));
    first.give("kill hub", "hub is killed");
    first.give("start hub", "hub serves");
    let sent = first.read("hub", "/v1/regions/freezer-3").unwrap();
    first.process.kill().unwrap();
    until("no process is left", || (processes(state.path()) == 0).then_some(()));

    let mut second = Fleet::start(state.path(), &["--keep"]);
    let kept = second.read("hub", "/v1/regions/freezer-3").unwrap();
    assert!(kept["count"].as_i64() >= sent["count"].as_i64(), "{sent} {kept}");
    // The end of its input ends it, too.
    drop(second.process.stdin.take());
    assert!(second.process.wait().unwrap().success());
    assert_eq!(processes(state.path()), 0);
}

#[test]
fn a_hub_that_is_restored_has_again_what_its_gateways_have_also_of_one_that_was_killed() {
    let state = TempDir::new().unwrap();
    let mut fleet = Fleet::start(state.path(), &[]);
    until("all rooms are known at the hub", || (fleet.counts("hub").len() == 6).then_some(()));
    fleet.give("backup hub", "The hub has a backup.");
    let copied = fleet.counts("hub");

    fleet.give("kill 1", "gateway-1 is killed");
    fleet.give("start 1", "gateway-1 serves");
    let grown = |now: &BTreeMap<String, i64>, then: &BTreeMap<String, i64>| {
        then.iter().all(|(room, count)| now[room] > *count)
    };
    // What a gateway does not know to be counted is sent again without that it notices anything,
    // and not before ten minutes are over.
    for gateway in GATEWAYS {
        until(gateway, || fleet.knows_of_more(gateway, &copied));
    }

    // Nothing comes back before it is counted.
    fleet.give_to_all("cut", "can't reach the hub");
    let before = fleet.counts("hub");
    fleet.give("restore hub", "The hub is what it was at its last backup");
    let restored = fleet.counts("hub");
    assert!(grown(&before, &restored), "{before:?} {restored:?}");
    fleet.give_to_all("heal", "can reach the hub again");
    until("the hub has what was lost", || grown(&fleet.counts("hub"), &before).then_some(()));
    fleet.wait_for_all();
    fleet.wait_until_complete();
    // They noticed it.
    for gateway in GATEWAYS {
        let state = fleet.read(gateway, "/v1/sync").unwrap();
        assert_eq!(state["peers"][0]["sent_again"], 1, "{state:#}");
    }
}
