//! What the ledger forgets, what the door knows of it, and what becomes of readings that
//! are older.

use isotherm::api::{readings, routes};
use isotherm::host::{Host, KeyValue, Sql};
use isotherm::http::Request;
use isotherm::journal::door::Door;
use isotherm::journal::keys;
use isotherm::ledger::Outcome;
use isotherm::limits;
use isotherm::settings::Horizon;
use isotherm_host::native::NativeHost;
use serde_json::{Value, json};

use crate::faulty::{FaultyHost, Node as Client, Plan, scratch};
use crate::folding::{Node, START, at, reading};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

#[test]
fn expired_rows_are_pruned_windows_stay_and_what_can_not_be_told_apart_is_set_aside() {
    let node = Node::new();
    let horizon = Horizon { retention_ms: Some(DAY), max_skew_ms: 0, late_after_ms: 0 };
    let old = reading("a", "hall", 21_500, START);
    node.journal(std::slice::from_ref(&old));
    node.fold_at(horizon, START);
    assert_eq!(node.number("SELECT sum(records) FROM ledger"), 1);

    // Just past the horizon the row is still there, and still tells.
    node.journal(&[reading("b", "hall", 1_000, START + DAY)]);
    node.fold_at(horizon, START + DAY + 60_000);
    assert_eq!(node.post(std::slice::from_ref(&old)), [Outcome::Duplicate]);
    // A contradiction goes with what stands beside it.
    assert_eq!(node.post(&[reading("a", "hall", 1, START)]), [Outcome::Conflict]);

    // Two hours say that it is past.
    for hours in [29, 30] {
        node.journal(&[reading("c", "hall", 2_000, START + hours * HOUR)]);
    }
    node.fold_at(horizon, START + 30 * HOUR);
    assert_eq!(node.number("SELECT sum(records) FROM ledger"), 3, "the old row is gone");
    assert_eq!(node.number("SELECT count(*) FROM conflicts"), 0);
    let windows = node.windows();
    assert_eq!(node.number("SELECT sum(readings) FROM windows WHERE span = 0"), 4);

    assert_eq!(node.post(std::slice::from_ref(&old)), [Outcome::TooOld]);
    let entry = node.journal(&[old, reading("d", "hall", 3_000, START + 30 * HOUR)]);
    node.fold_at(horizon, START + 30 * HOUR);
    assert_eq!((node.keys("journal/"), node.keys("quarantine/1/")), (0, 1));
    assert_ne!(node.windows(), windows, "the good reading beside it is counted");
    assert_eq!(node.number("SELECT sum(readings) FROM windows WHERE span = 0"), 5);
    assert_eq!(entry.name().readings(), 2);
}

#[test]
fn a_clock_that_runs_ahead_for_a_while_forgets_nothing_recent() {
    let node = Node::new();
    let horizon = Horizon { retention_ms: Some(HOUR), max_skew_ms: 0, late_after_ms: 0 };
    let recent = reading("a", "hall", 1, START);
    node.journal(std::slice::from_ref(&recent));
    node.fold_at(horizon, START + 365 * DAY);
    assert_eq!(node.post(&[recent]), [Outcome::Duplicate]);
    assert_eq!(node.post(&[reading("a", "hall", 1, START - HOUR)]), [Outcome::Stored]);
}

#[test]
fn a_reading_from_the_future_drags_no_pruning_behind_it() {
    let node = Node::new();
    let horizon = Horizon { retention_ms: Some(7 * DAY), max_skew_ms: 0, late_after_ms: 0 };
    for hour in 0..48 {
        node.journal(&[reading("a", "hall", hour, START + hour * HOUR)]);
    }
    // For an hour, clock and device are a month ahead.
    for minute in 0..60 {
        node.journal(&[reading("b", "hall", 1, START + 30 * DAY + minute * 60_000)]);
    }
    node.fold_at(horizon, START + 30 * DAY + HOUR);
    assert_eq!(node.number("SELECT sum(records) FROM ledger"), 108, "nothing is forgotten");
    assert_eq!(node.post(&[reading("a", "hall", 5, START + 5 * HOUR)]), [Outcome::Duplicate]);
}

#[test]
fn how_far_is_pruned_is_published_a_minute_before_it_goes() {
    let node = Node::new();
    let horizon = Horizon { retention_ms: Some(DAY), max_skew_ms: 0, late_after_ms: 0 };
    let now = START + 3 * DAY;
    node.journal(&[reading("a", "hall", 1, START)]);
    node.journal(&[reading("a", "hall", 2, now - HOUR), reading("a", "hall", 3, now)]);
    node.fold();
    let regions =
        isotherm::ledger::database::Database::open(&node.host, crate::folding::PATIENT).unwrap();
    let journal = node.host.key_value().unwrap();
    let prune = |now| isotherm::fold::prune(&regions, &journal, horizon, at(now)).unwrap();
    let published = || {
        let text = KeyValue::get(&journal, keys::DOOR).unwrap();
        text.map(|text| String::from_utf8(text).unwrap()).unwrap_or_default()
    };
    assert_eq!(published(), "");
    prune(now);
    assert!(published().starts_with("pruned="), "{}", published());
    for early in [0, limits::PRUNE_PUBLISHED_MS_MIN - 1] {
        prune(now + early);
        assert_eq!(node.number("SELECT sum(records) FROM ledger"), 3, "after {early} ms");
    }
    prune(now + limits::PRUNE_PUBLISHED_MS_MIN);
    assert_eq!(node.number("SELECT sum(records) FROM ledger"), 2);
}

/// A client of a node whose clock stands there.
fn client(directory: &std::path::Path, retention: &str, now: i64) -> Client {
    let inner = NativeHost::new(directory, &[("retention", retention)]).unwrap();
    // Chance that makes no request fold by itself.
    let inner = inner.simulated(1, 3);
    Client { host: FaultyHost { inner, plan: Plan::new(0, false, false) }, now: at(now) }
}

fn json(device: &str, at: i64) -> Value {
    json!({"device_id": device, "region": "hall", "temperature_c": 1, "timestamp": at})
}

/// A database that was pruned up to there, as the door knows.
fn prune_by_hand(client: &Client, before: i64) {
    let sql = client.host.inner.sql().unwrap();
    let statement = format!(
        "INSERT INTO tallies (name, value) VALUES ('pruned_before', {before}) \
         ON CONFLICT DO UPDATE SET value = excluded.value"
    );
    Sql::execute(&sql, &statement, &[]).unwrap();
}

fn hall(client: &mut Client) -> Value {
    serde_json::from_slice(&client.get("/v1/regions/hall").body).unwrap()
}

const NOW: i64 = 1_900_000_000_000;

#[test]
fn what_is_acknowledged_after_retention_was_made_longer_is_counted_or_the_sender_is_told() {
    let directory = scratch();
    let days: Vec<Value> = (0..60).map(|hour| json("d", NOW - hour * HOUR)).collect();
    let mut node = client(directory.path(), "0", NOW);
    for batch in days.chunks(4) {
        assert_eq!(node.post(&json!(batch), Some("wait")).status, 200);
    }
    // A day is kept now, and what is older is pruned by and by.
    let mut node = client(directory.path(), "1d", NOW);
    let rows = |node: &Client| {
        let sql = node.host.inner.sql().unwrap();
        Sql::execute(&sql, "SELECT count(*) FROM ledger", &[]).unwrap().remove(0).remove(0)
    };
    let before = rows(&node);
    for step in 0..400 {
        node.now = node.now.saturating_add(limits::PRUNE_PUBLISHED_MS_MIN);
        // As large as makes a request fold after its answer now and then.
        let batch: Vec<Value> =
            (0..3_000).map(|i| json(&format!("e{i}"), node.now.get() - step)).collect();
        assert_eq!(node.post(&json!(batch), None).status, 202);
        if rows(&node) != before && node.get("/v1/regions").status == 200 {
            let store = node.host.inner.key_value().unwrap();
            let door = KeyValue::get(&store, keys::DOOR).unwrap();
            if door.is_some() && oldest_is_gone(&node) {
                break;
            }
        }
    }
    assert!(oldest_is_gone(&node), "nothing was pruned");

    // And for ever again: what was pruned is not told from a duplicate any more.
    let mut node = client(directory.path(), "0", node.now.get());
    let count = hall(&mut node)["count"].as_i64().unwrap();
    let answer = node.post(&json("late", NOW - 3 * DAY), None);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status.as_u16(), &body["errors"][0]["reason"]), (422, &json!("too_old")));
    // What was not, is.
    assert_eq!(node.post(&json("late", NOW - HOUR), None).status, 202);
    let body = hall(&mut node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(count + 1), &json!(0)));
}

fn oldest_is_gone(node: &Client) -> bool {
    let sql = node.host.inner.sql().unwrap();
    let oldest = "SELECT count(*) FROM ledger WHERE minute < ?1";
    let minute = isotherm::host::Value::Integer((NOW - 2 * DAY) / 60_000);
    let rows = Sql::execute(&sql, oldest, &[minute]).unwrap();
    rows == [[isotherm::host::Value::Integer(0)]]
}

#[test]
fn a_key_value_store_that_is_new_asks_the_database_how_far_was_pruned() {
    let directory = scratch();
    let mut node = client(directory.path(), "0", NOW);
    assert_eq!(node.post(&json("a", NOW), Some("wait")).status, 200);
    prune_by_hand(&node, NOW - DAY);
    let store = node.host.inner.key_value().unwrap();
    KeyValue::delete_many(&store, &[keys::DOOR.to_owned()]).unwrap();
    // What is accepted is counted, and what is not, is told: from the first on.
    assert_eq!(node.post(&json("b", NOW - 2 * DAY), None).status, 422);
    assert_eq!(node.post(&json("c", NOW - HOUR), None).status, 202);
    assert_eq!(node.post(&json("d", NOW - 3 * DAY), None).status, 422);
    let body = hall(&mut node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(2), &json!(0)));
}

#[test]
fn a_fold_before_an_answer_tells_the_door_too() {
    let directory = scratch();
    let mut node = client(directory.path(), "0", NOW);
    assert_eq!(node.post(&json("a", NOW), None).status, 202);
    assert_eq!(hall(&mut node)["count"], 1);
    prune_by_hand(&node, NOW - DAY);
    assert_eq!(node.post(&json("b", NOW), None).status, 202);
    assert_eq!(hall(&mut node)["count"], 2);
    assert_eq!(node.post(&json("c", NOW - 2 * DAY), None).status, 422);
}

#[test]
fn a_new_database_behind_an_old_door_takes_history_again() {
    let directory = scratch();
    let mut node = client(directory.path(), "0", NOW);
    let store = node.host.inner.key_value().unwrap();
    let text = format!("pruned={} published=5 newest=0 told=1", NOW - DAY);
    KeyValue::set(&store, keys::DOOR, text.as_bytes()).unwrap();
    assert_eq!(node.post(&json("a", NOW - 2 * DAY), None).status, 422);
    let batch: Vec<Value> = (0..10_000).map(|i| json("b", NOW - i)).collect();
    for _ in 0..60 {
        assert_eq!(node.post(&json!(batch), None).status, 202);
        if node.post(&json("a", NOW - 2 * DAY), None).status == 202 {
            return;
        }
    }
    panic!("the door keeps what the database does not have");
}

#[test]
fn what_can_be_told_from_a_duplicate_again_comes_back_from_quarantine() {
    let directory = scratch();
    let mut node = client(directory.path(), "0", NOW);
    assert_eq!(node.post(&json("a", NOW), Some("wait")).status, 200);
    let old = json!([json("b", NOW - 2 * DAY), json("c", NOW - 2 * DAY)]);
    assert_eq!(node.post(&old, None).status, 202);
    prune_by_hand(&node, NOW - DAY);
    let body = hall(&mut node);
    assert_eq!((&body["count"], &body["quarantined_readings"]), (&json!(1), &json!(2)));

    // Tried again, it is as old as before.
    let names: Value = serde_json::from_slice(&node.get("/v1/quarantine").body).unwrap();
    let name = names["entries"][0]["name"].as_str().unwrap().to_owned();
    for path in ["/v1/quarantine/retry".to_owned(), format!("/v1/quarantine/{name}/retry")] {
        let answer = retry(&node, &path);
        assert_eq!((&answer["retried"], &answer["quarantined_readings"]), (&json!(1), &json!(2)));
    }
    assert_eq!(hall(&mut node)["count"], 1);
    assert_eq!(retry(&node, "/v1/quarantine/other/retry")["status"], 404);

    // The database of before the pruning is put back.
    prune_by_hand(&node, 0);
    let answer = retry(&node, "/v1/quarantine/retry");
    assert_eq!((&answer["retried"], &answer["quarantined_readings"]), (&json!(1), &json!(0)));
    assert_eq!(hall(&mut node)["count"], 3);

    // Nobody has to ask: what is done after an answer brings it back, too.
    let store = node.host.inner.key_value().unwrap();
    KeyValue::set(&store, keys::DOOR, b"told=1").unwrap();
    assert_eq!(node.post(&json("f", NOW - 2 * DAY), None).status, 202);
    prune_by_hand(&node, NOW - DAY);
    assert_eq!(hall(&mut node)["quarantined_readings"], 1);
    prune_by_hand(&node, 0);
    let batch: Vec<Value> = (0..10_000).map(|i| json("g", NOW - i)).collect();
    for _ in 0..40 {
        assert_eq!(node.post(&json!(batch), None).status, 202);
        let body = hall(&mut node);
        if body["quarantined_readings"] == 0 && body["unfolded_entries"] == 0 {
            assert_eq!(body["count"], 10_004);
            return;
        }
    }
    panic!("it never came back");
}

fn retry(node: &Client, path: &str) -> Value {
    let request = Request::post(path);
    let answer = routes::answer(&node.host, &request, node.now).response;
    serde_json::from_slice(&answer.body).unwrap()
}

/// Status, kind of problem, and whether it says when to come again.
fn status(node: &mut Client, body: &Value) -> (u16, String, bool) {
    let answer = node.post(body, None);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let kind = body["type"].as_str().unwrap_or_default();
    let retry_after = answer.headers.iter().any(|(name, _)| *name == "retry-after");
    (answer.status.as_u16(), kind.rsplit(':').next().unwrap().to_owned(), retry_after)
}

#[test]
fn a_node_whose_clock_is_behind_keeps_senders_waiting_and_rejects_nothing() {
    let directory = scratch();
    let mut node = client(directory.path(), "7d", NOW);
    assert_eq!(node.post(&json("a", NOW), None).status, 202);
    assert_eq!(hall(&mut node)["count"], 1);
    let waits = (503, "clock-not-set".to_owned(), true);
    let stands = (422, "nothing-valid".to_owned(), false);
    // A gateway without a clock chip starts in 1970, or some days or an hour ago.
    for now in [1_000, NOW - 3 * DAY, NOW - HOUR] {
        node.now = at(now);
        assert_eq!(status(&mut node, &json("b", NOW + 5)), waits);
        assert_eq!(status(&mut node, &json!([json("b", NOW), json("b", NOW + HOUR)])), waits);
    }
    // With a clock that is right, a device that is ahead is told so.
    node.now = at(NOW + 1_000);
    assert_eq!(status(&mut node, &json("b", NOW + DAY)), stands);
    // What is not ahead is taken in any case.
    node.now = at(NOW - DAY);
    assert_eq!(node.post(&json("c", NOW - DAY - HOUR), None).status, 202);
}

#[test]
fn a_clock_that_is_behind_is_known_without_what_the_door_knows() {
    let directory = scratch();
    let mut node = client(directory.path(), "7d", NOW);
    assert_eq!(node.post(&json("a", NOW), None).status, 202);
    assert_eq!(hall(&mut node)["count"], 1);
    node.now = at(NOW - HOUR);
    let waits = (503, "clock-not-set".to_owned(), true);
    // The key-value store is away, or is another one.
    node.host.plan = Plan::key_value_away();
    assert_eq!(status(&mut node, &json("b", NOW - 1_000)), waits);
    node.host.plan = Plan::new(0, false, false);
    let store = node.host.inner.key_value().unwrap();
    let forget = || KeyValue::delete_many(&store, &[keys::DOOR.to_owned()]).unwrap();
    forget();
    assert_eq!(status(&mut node, &json("b", NOW - 1_000)), waits);
    let answer = node.post(&json!([json("c", NOW - HOUR), json("b", NOW - 1_000)]), None);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&body["accepted"], &body["waiting_for_clock"]), (&json!(2), &json!(1)), "{body}");
}

#[test]
fn what_is_ahead_of_a_clock_that_is_behind_is_kept_or_told_beside_new_names_too() {
    let directory = scratch();
    let mut node = client(directory.path(), "7d", NOW);
    node.host.inner =
        NativeHost::new(directory.path(), &[("retention", "7d"), ("devices_max", "1")]).unwrap();
    assert_eq!(node.post(&json("a", NOW), None).status, 202);
    assert_eq!(hall(&mut node)["count"], 1);
    assert_eq!(node.post(&json("a", NOW + 1), Some("wait")).status, 200);
    node.now = at(NOW - HOUR);
    // The only one that is not ahead is of a new device.
    let body = json!([json("new", NOW - HOUR), json("a", NOW - 1_000)]);
    assert_eq!(status(&mut node, &body), (503, "clock-not-set".to_owned(), true));
}

#[test]
fn a_backlog_that_crosses_a_clock_that_is_behind_is_kept_until_it_is_set() {
    let directory = scratch();
    let mut node = client(directory.path(), "7d", NOW);
    assert_eq!(node.post(&json("a", NOW), None).status, 202);
    assert_eq!(hall(&mut node)["count"], 1);
    // Two days of a gateway's backlog meet a node that is a day behind.
    node.now = at(NOW - DAY);
    let backlog: Vec<Value> =
        (0..576).map(|i| json("b", NOW - 2 * DAY + i * 5 * 60_000 + 1)).collect();
    let answer = node.post(&json!(backlog), Some("wait"));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status.as_u16(), &body["accepted"]), (202, &json!(576)), "{body}");
    assert_eq!(body["rejected"], json!([]));
    let waiting = body["waiting_for_clock"].as_i64().unwrap();
    assert!((280..290).contains(&waiting), "{waiting}");
    let told = hall(&mut node);
    assert_eq!(
        (&told["quarantined_readings"], &told["count"]),
        (&json!(waiting), &json!(577 - waiting))
    );
    // An operator may ask, and nothing ahead is counted.
    assert_eq!(retry(&node, "/v1/quarantine/retry")["quarantined_readings"], waiting);
    // The clock is set: what is done after an answer brings them back.
    node.now = at(NOW + 1_000);
    let batch: Vec<Value> = (0..10_000).map(|i| json("c", NOW - i)).collect();
    for _ in 0..60 {
        assert_eq!(node.post(&json!(batch), None).status, 202);
        let body = hall(&mut node);
        if body["quarantined_readings"] == 0 {
            assert_eq!(body["count"], 577 + 10_000);
            return;
        }
    }
    panic!("they never came back");
}

#[test]
fn after_a_time_with_a_clock_far_ahead_a_lone_device_is_rejected_and_no_neighbour() {
    let directory = scratch();
    let mut node = client(directory.path(), "0", NOW);
    let week: Vec<Value> = (0..168).map(|hour| json("a", NOW - hour * HOUR)).collect();
    assert_eq!(node.post(&json!(week), Some("wait")).status, 200);
    // For a while, clock and devices were ten days ahead.
    node.now = at(NOW + 10 * DAY);
    assert_eq!(node.post(&json("a", NOW + 10 * DAY), None).status, 202);
    hall(&mut node);
    node.now = at(NOW);
    assert_eq!(node.post(&json("a", NOW + 1), None).status, 202);
    hall(&mut node);
    assert_eq!(status(&mut node, &json("lone", NOW + HOUR)).0, 422);
    let mut batch: Vec<Value> = (0..99).map(|i| json("b", NOW - 6 * 60_000 - i * 60_000)).collect();
    batch.push(json("lone", NOW + 10 * 60_000));
    let answer = node.post(&json!(batch), None);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status.as_u16(), &body["accepted"]), (202, &json!(99)), "{body}");
    assert_eq!(body["rejected"][0]["reason"], "in_future");
}

#[test]
fn the_newest_reading_is_not_one_of_the_future() {
    let directory = scratch();
    let mut node = client(directory.path(), "0", NOW + 30 * DAY);
    let ahead = json("a", NOW + 30 * DAY);
    assert_eq!(node.post(&json!([json("b", NOW - HOUR), ahead]), Some("wait")).status, 200);
    node.now = at(NOW);
    let body = hall(&mut node);
    let of = |ms| json!(at(ms).to_string());
    assert_eq!((&body["newest"], &body["count"]), (&of(NOW - HOUR), &json!(2)));
    let age = body["newest_age_ms"].as_i64().unwrap();
    assert!((HOUR..HOUR + 60_000).contains(&age), "{age}");
    let list: Value = serde_json::from_slice(&node.get("/v1/regions").body).unwrap();
    assert_eq!(list["regions"][0]["newest"], of(NOW - HOUR));
    let metrics = String::from_utf8(node.get("/metrics").body).unwrap();
    let line = format!(
        "isotherm_region_newest_reading_timestamp_seconds{{region=\"hall\"}} {}",
        (NOW - HOUR) / 1_000
    );
    assert!(metrics.lines().any(|l| l == line), "{metrics}");
}

#[test]
fn rejected_readings_are_counted_without_an_entry_and_rarely_written() {
    let directory = scratch();
    let mut node = client(directory.path(), "7d", NOW);
    let bad = json!({"device_id": "a"});
    let store = node.host.inner.key_value().unwrap();
    let (mut writes, mut before) = (0, None);
    // The node's clock goes on by a second with every request.
    for _ in 0..600 {
        assert_eq!(node.post(&bad, None).status, 422);
        let noted = KeyValue::get(&store, keys::REJECTED).unwrap();
        writes += usize::from(noted != before);
        before = noted;
    }
    assert!((20..100).contains(&writes), "{writes} writes for 600 requests in ten minutes");
    let metrics = String::from_utf8(node.get("/metrics").body).unwrap();
    let name = "isotherm_readings_rejected_total{reason=\"missing_field\"} ";
    let counted: f64 = metrics.lines().find_map(|l| l.strip_prefix(name)).unwrap().parse().unwrap();
    assert!((400.0..800.0).contains(&counted), "{counted} of 600");
    let keys = KeyValue::keys(&store).unwrap();
    assert!(!keys.iter().any(|key| key.starts_with("journal/")), "{keys:?}");
}

#[test]
fn requests_that_looked_at_the_clock_before_the_journal_was_full_list_nothing() {
    let directory = scratch();
    let node = client(directory.path(), "7d", NOW);
    let store = node.host.inner.key_value().unwrap();
    KeyValue::set(&store, keys::DOOR, format!("full={}", NOW + 500).as_bytes()).unwrap();
    for behind in [0, 100, 5_000] {
        node.host.plan.calls();
        let before = node.host.plan.calls();
        let request = Request::post("/v1/readings");
        let body = json("a", NOW - behind).to_string();
        let answer = readings::post(&node.host, &request, body.as_bytes(), at(NOW - behind));
        assert_eq!(answer.response.status, 503);
        let calls = node.host.plan.calls() - before;
        assert_eq!(calls, 2, "to open the store and to look at what the door knows");
    }
}

#[test]
fn a_door_that_nobody_has_written_lets_everything_in() {
    let door = Door::default();
    assert_eq!((door.pruned_before.get(), door.full_since), (0, None));
    assert_eq!((door.regions, door.devices, door.is_told), (0, 0, false));
}
