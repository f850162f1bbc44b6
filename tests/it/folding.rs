//! Journal, ledger and windows on a real SQLite, without HTTP: the seam's
//! native side, with the clock as an argument.

use std::collections::BTreeMap;

use isotherm::api::routes;
use isotherm::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
use isotherm::domain::rejection::Rejections;
use isotherm::domain::stats::Stats;
use isotherm::error::Error;
use isotherm::fold;
use isotherm::host::{Host, KeyValue, Pair, Sql, StoreError, Value};
use isotherm::http::Request;
use isotherm::journal::inventory::Inventory;
use isotherm::journal::{self, Entry};
use isotherm::ledger::database::{Budget, Database};
use isotherm::ledger::{self, Outcome, Row};
use isotherm::limits;
use isotherm::settings::Horizon;
use isotherm_host::native::NativeHost;
use isotherm_host::stores::{DatabaseConnection, KeyValueFile};
use tempfile::TempDir;

pub(crate) const START: i64 = 1_700_000_000_000;
const FOR_EVER: Horizon =
    Horizon { retention_ms: None, max_skew_ms: 300_000, late_after_ms: 300_000 };
pub(crate) const PATIENT: Budget = Budget { lock_ms: 5_000, total_ms: 60_000 };

pub(crate) fn at(ms: i64) -> UnixMillis {
    UnixMillis::new(ms).unwrap()
}

pub(crate) fn reading<'a>(
    device: &'a str,
    region: &'a str,
    millicelsius: i64,
    ms: i64,
) -> Reading<'a> {
    Reading {
        device_id: DeviceId::new(device).unwrap(),
        region: Region::new(region).unwrap(),
        temperature: MilliCelsius::new(millicelsius).unwrap(),
        timestamp: at(ms),
        is_late: false,
    }
}

/// A node in a directory of its own.
pub(crate) struct Node {
    pub(crate) directory: TempDir,
    pub(crate) host: NativeHost,
}

impl Node {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let host = NativeHost::new(directory.path(), &[("retention", "0")]).unwrap();
        Self { directory, host }
    }

    pub(crate) fn journal(&self, readings: &[Reading<'_>]) -> Entry {
        let entry = Entry::encode(readings, &Rejections::default());
        journal::append(&self.host, &self.host.key_value().unwrap(), &entry).unwrap();
        entry
    }

    pub(crate) fn fold_at(&self, horizon: Horizon, now: i64) -> usize {
        let journal = self.host.key_value().unwrap();
        fold_with(&self.host, &journal, horizon, now).unwrap()
    }

    pub(crate) fn fold(&self) -> usize {
        self.fold_at(FOR_EVER, START)
    }

    pub(crate) fn post(&self, readings: &[Reading<'_>]) -> Vec<Outcome> {
        let regions = Database::open(&self.host, PATIENT).unwrap();
        fold::post_now(&regions, readings, &Rejections::default()).unwrap()
    }

    pub(crate) fn rows(&self, statement: &str) -> Vec<Vec<i64>> {
        let rows = Sql::execute(&self.host.sql().unwrap(), statement, &[]).unwrap();
        let integer = |value: Value| match value {
            Value::Integer(number) => number,
            other => panic!("{other:?} is no integer"),
        };
        rows.into_iter().map(|row| row.into_iter().map(integer).collect()).collect()
    }

    pub(crate) fn ledger(&self) -> Vec<Row> {
        ledger::rows_between(&self.host.sql().unwrap(), 0, i64::MAX).unwrap()
    }

    pub(crate) fn number(&self, statement: &str) -> i64 {
        self.rows(statement)[0][0]
    }

    pub(crate) fn keys(&self, prefix: &str) -> usize {
        let keys = KeyValue::keys(&self.host.key_value().unwrap()).unwrap();
        keys.iter().filter(|key| key.starts_with(prefix)).count()
    }

    /// The windows by (region, span, start), as their columns.
    pub(crate) fn windows(&self) -> BTreeMap<Vec<i64>, Vec<i64>> {
        let rows = self.rows(
            "SELECT region, span, start, readings, sum, squares_high, squares_low, min, max,
                    oldest, newest, revision, late, coalesce(devices, -1), coalesce(averages, -1)
             FROM windows",
        );
        rows.into_iter().map(|row| (row[..3].to_vec(), row[3..].to_vec())).collect()
    }
}

pub(crate) fn fold_with<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    horizon: Horizon,
    now: i64,
) -> Result<usize, Error> {
    let inventory = Inventory::list(host, journal)?;
    let regions = Database::open(host, PATIENT)?;
    let left = fold::run(&regions, journal, &inventory)?.left_entries;
    if left == 0 {
        // What is to go is published first, and goes when that is known.
        fold::prune(&regions, journal, horizon, at(now))?;
        let known = at(now + limits::PRUNE_PUBLISHED_MS_MIN);
        fold::prune(&regions, journal, horizon, known)?;
    }
    Ok(left)
}

#[test]
fn a_fold_empties_the_journal_into_ledger_and_windows() {
    let node = Node::new();
    node.journal(&[reading("a", "hall", 21_500, START), reading("b", "hall", 22_500, START + 1)]);
    node.journal(&[reading("a", "attic", -5_000, START + 2)]);
    assert_eq!(node.fold(), 0);
    assert_eq!(node.keys("journal/"), 0);
    assert_eq!(node.number("SELECT sum(records) FROM ledger"), 3);
    assert_eq!(
        node.rows(
            "SELECT readings, sum, min, max, oldest, newest FROM windows
             WHERE span = 0 ORDER BY oldest"
        ),
        [
            [2, 44_000, 21_500, 22_500, START, START + 1],
            [1, -5_000, -5_000, -5_000, START + 2, START + 2]
        ]
    );
}

#[test]
fn the_first_of_one_identity_is_stored_and_the_others_are_named() {
    let node = Node::new();
    let (same, hotter, elsewhere) = (
        reading("a", "hall", 21_500, START),
        reading("a", "hall", 21_501, START),
        reading("a", "attic", 21_500, START),
    );
    use Outcome::{Conflict, Duplicate, Stored};
    let batch = [same.clone(), same.clone(), hotter.clone(), elsewhere.clone()];
    assert_eq!(node.post(&batch), [Stored, Duplicate, Conflict, Conflict]);
    assert_eq!(node.post(&[hotter, elsewhere, same]), [Conflict, Conflict, Duplicate]);
    assert_eq!(node.number("SELECT sum(readings) FROM windows WHERE span = 0"), 1);
    assert_eq!(node.number("SELECT count(*) FROM conflicts"), 2);
    assert_eq!(
        node.rows("SELECT value FROM tallies ORDER BY name"),
        [[4], [2], [2]],
        "conflicts, duplicates and folds"
    );
}

#[test]
fn of_more_conflicts_than_there_is_room_for_the_newest_are_kept_and_all_are_counted() {
    let node = Node::new();
    let minute = |round: i64| START + round * 60_000;
    for round in 0..12 {
        node.post(&[reading("a", "hall", 0, minute(round))]);
        let one = |i: i64| reading("a", "hall", i + 1, minute(round));
        node.post(&(0..1_000).map(one).collect::<Vec<_>>());
    }
    assert_eq!(node.number("SELECT count(*) FROM conflicts"), limits::CONFLICTS_KEPT_MAX);
    assert_eq!(node.number("SELECT value FROM tallies WHERE name = 'conflicts'"), 12_000);
    let kept = node.rows("SELECT minute, count(*) FROM conflicts GROUP BY minute ORDER BY minute");
    let expected: Vec<Vec<i64>> =
        (2..12).map(|round| vec![minute(round) / 60_000, 1_000]).collect();
    assert_eq!(kept, expected);
}

#[test]
fn regions_beyond_65536_have_devices_of_their_own() {
    let node = Node::new();
    node.fold();
    // As many regions as 16 bits can number, at once.
    let sql = node.host.sql().unwrap();
    let many = "INSERT INTO regions (name) \
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65536) \
                SELECT 'r' || i FROM n";
    Sql::execute(&sql, many, &[]).unwrap();
    // The device sends to regions 1 and 65,537, and back.
    node.post(&[
        reading("d", "r1", 1_000, START),
        reading("d", "r65537", 2_000, START + 1),
        reading("d", "r1", 3_000, START + 2),
    ]);
    for (region, count, average) in [("r1", 2, 2.0), ("r65537", 1, 2.0)] {
        let path = format!("/v1/regions/{region}/devices");
        let answer = routes::answer(&node.host, &Request::get(&path), at(START)).response;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let device = &body["devices"][0];
        assert_eq!((&device["count"], &device["average_c"]), (&count.into(), &average.into()));
        let path = format!("/v1/regions/{region}");
        let answer = routes::answer(&node.host, &Request::get(&path), at(START)).response;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&body["count"], &body["devices"]), (&count.into(), &1.into()));
    }
    // Two ordinary readings of far regions, and answers go on.
    node.post(&[reading("e", "r5001", 0, START), reading("f", "r65537", 0, START + 3)]);
    let answer = routes::answer(&node.host, &Request::get("/v1/regions/r5001"), at(START)).response;
    assert_eq!(answer.status, http::StatusCode::OK);
}

#[test]
fn windows_of_every_span_equal_what_is_computed_at_once() {
    let node = Node::new();
    // Some thousand readings over some hours, in an order that a multiplier
    // modulo a prime shuffles, in many small entries.
    let (count, prime) = (3_000, 3_001);
    let names: Vec<String> = (0..17).map(|i| format!("device-{i}")).collect();
    let regions = ["north", "south", "west"];
    let nth = |i: i64| {
        let k = i * 1_237 % prime;
        let device = usize::try_from(k % 17).unwrap();
        let millicelsius = (k * 7_919) % 1_273_151 - 273_150;
        reading(&names[device], regions[device % 3], millicelsius, START + k * 7_001)
    };
    let readings: Vec<Reading<'_>> = (1..=count).map(nth).collect();
    for batch in readings.chunks(37) {
        node.journal(batch);
    }
    node.fold();

    let region_id: BTreeMap<i64, &str> = (1..=3)
        .map(|id| {
            let sql = node.host.sql().unwrap();
            let rows =
                Sql::execute(&sql, "SELECT name FROM regions WHERE id = ?1", &[Value::Integer(id)]);
            match &rows.unwrap()[0][0] {
                Value::Text(name) => (id, *regions.iter().find(|r| **r == name.as_str()).unwrap()),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let windows = node.windows();
    let mut checked = 0;
    for (key, columns) in &windows {
        let (region, span, start) = (region_id[&key[0]], key[1], key[2]);
        let inside = |r: &&Reading<'_>| {
            let minute = r.timestamp.get() / 60_000;
            let width = if span == 0 { i64::MAX } else { span };
            r.region.as_str() == region && minute >= start && minute - start < width
        };
        let of = |r: &Reading<'_>| i128::from(r.temperature.get());
        let inside: Vec<&Reading<'_>> = readings.iter().filter(inside).collect();
        assert_eq!(columns[0], i64::try_from(inside.len()).unwrap());
        assert_eq!(i128::from(columns[1]), inside.iter().map(|r| of(r)).sum::<i128>());
        let squares = i128::from(columns[2]) * 1_048_576 + i128::from(columns[3]);
        assert_eq!(squares, inside.iter().map(|r| of(r) * of(r)).sum::<i128>());
        let (min, max) = (inside.iter().map(|r| of(r)).min(), inside.iter().map(|r| of(r)).max());
        assert_eq!((Some(columns[4].into()), Some(columns[5].into())), (min, max));
        checked += columns[0];
    }
    assert_eq!(checked, 4 * count, "every reading is in four windows");
}

#[test]
fn folding_entries_again_changes_nothing() {
    let node = Node::new();
    let batch = [reading("a", "hall", 21_500, START), reading("b", "hall", 22_500, START)];
    node.journal(&batch);
    node.fold();
    let (windows, ledger) = (node.windows(), node.ledger());
    for _ in 0..3 {
        node.journal(&batch);
        node.journal(&batch[..1]);
        node.fold();
    }
    assert_eq!((node.windows(), node.ledger()), (windows, ledger));
}

/// A key-value store whose removals fail: a process that dies between the
/// commit and the removal.
struct DiesBeforeRemoval(KeyValueFile);

impl KeyValue for DiesBeforeRemoval {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        KeyValue::set(&self.0, key, value)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        KeyValue::get_many(&self.0, keys)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        KeyValue::get(&self.0, key)
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        KeyValue::replace(&self.0, key, old, new)
    }

    fn delete_many(&self, _keys: &[String]) -> Result<(), StoreError> {
        Err(StoreError::from_message("killed"))
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        KeyValue::keys(&self.0)
    }
}

struct DyingHost(NativeHost);

impl Host for DyingHost {
    type KeyValue = DiesBeforeRemoval;
    type Sql = DatabaseConnection;

    fn key_value(&self) -> Result<DiesBeforeRemoval, StoreError> {
        self.0.key_value().map(DiesBeforeRemoval)
    }

    fn sql(&self) -> Result<DatabaseConnection, StoreError> {
        self.0.sql()
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.0.variable(name)
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.monotonic_ms()
    }

    fn sleep_ms(&self, ms: u64) {
        self.0.sleep_ms(ms);
    }

    fn random(&self) -> u64 {
        self.0.random()
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.asset(name)
    }

    fn log(&self, line: &str) {
        self.0.log(line);
    }
}

#[test]
fn a_crash_between_commit_and_removal_counts_nothing_twice() {
    let node = Node::new();
    node.journal(&[reading("a", "hall", 21_500, START), reading("b", "hall", 22_500, START)]);
    let dying = DyingHost(node.host.clone());
    let journal = dying.key_value().unwrap();
    for _ in 0..2 {
        let died = fold_with(&dying, &journal, FOR_EVER, START);
        assert!(matches!(died, Err(Error::Journal(_))), "{died:?}");
        assert_eq!(node.keys("journal/"), 1);
        assert_eq!(node.number("SELECT sum(readings) FROM windows WHERE span = 0"), 2);
    }
    assert_eq!(node.fold(), 0);
    assert_eq!(node.keys("journal/"), 0);
    assert_eq!(node.number("SELECT sum(sum) FROM windows WHERE span = 0"), 44_000);
}

#[test]
fn folds_at_once_over_the_same_journal_count_every_reading_once() {
    let node = Node::new();
    let names: Vec<String> = (0..100).map(|i| format!("d{i}")).collect();
    for minute in 0..50 {
        let one = |name| reading(name, "hall", minute, START + minute * 60_000);
        let batch: Vec<_> = names.iter().map(|name| one(name)).collect();
        node.journal(&batch);
    }
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| node.fold());
        }
    });
    node.fold();
    assert_eq!(node.keys("journal/"), 0);
    assert_eq!(node.number("SELECT sum(records) FROM ledger"), 5_000);
    for span in [0, 1, 60] {
        let sum = format!("SELECT sum(readings) FROM windows WHERE span = {span}");
        assert_eq!(node.number(&sum), 5_000);
    }
}

#[test]
fn an_entry_that_can_not_be_read_is_set_aside_and_the_rest_goes_on() {
    let node = Node::new();
    let damaged = node.journal(&[reading("a", "hall", 1, START)]);
    node.journal(&[reading("b", "hall", 2, START)]);
    let journal = node.host.key_value().unwrap();
    let (key, value) = damaged.as_pair();
    let mut flipped = value.to_vec();
    flipped[3] ^= 1;
    KeyValue::set(&journal, &key, &flipped).unwrap();

    assert_eq!(node.fold(), 0);
    assert_eq!((node.keys("journal/"), node.keys("quarantine/1/")), (0, 1));
    assert_eq!(node.number("SELECT sum(records) FROM ledger"), 1);
    assert_eq!(node.host.logged().len(), 1);
    assert!(node.host.logged()[0].contains("checksum"), "{:?}", node.host.logged());
    let kept = KeyValue::get_many(&journal, &[key.replace("journal/2", "quarantine/1/unreadable")])
        .unwrap();
    assert_eq!(kept[0].1.as_deref(), Some(flipped.as_slice()), "byte by byte as it was");
}

#[test]
fn entries_of_a_newer_release_wait_for_it_and_hold_up_pruning() {
    let node = Node::new();
    let journal = node.host.key_value().unwrap();
    KeyValue::set(&journal, "journal/2/whatever", b"?").unwrap();
    node.journal(&[reading("a", "hall", 1, START)]);
    assert_eq!(node.fold(), 1);
    assert_eq!(node.keys("journal/"), 1);
}

#[test]
fn a_database_of_a_newer_release_is_refused_and_left_alone() {
    let node = Node::new();
    node.fold();
    let known = isotherm::ledger::schema::VERSION;
    let newer = known + 1;
    let sql = node.host.sql().unwrap();
    Sql::execute(&sql, &format!("PRAGMA user_version = {newer}"), &[]).unwrap();
    node.journal(&[reading("a", "hall", 1, START)]);
    let refused = fold_with(&node.host, &node.host.key_value().unwrap(), FOR_EVER, START);
    assert_eq!(refused, Err(Error::SchemaTooNew { found: newer, known }));
    assert_eq!(node.keys("journal/"), 1);

    let request = Request::get("/v1/regions");
    let answer = routes::answer(&node.host, &request, at(START)).response;
    assert_eq!(answer.status, http::StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.iter().any(|(name, _)| *name == "retry-after"));
}

#[test]
fn two_components_that_start_at_once_find_one_schema() {
    for _ in 0..20 {
        let node = Node::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| node.fold());
            }
        });
        assert_eq!(node.number("PRAGMA user_version"), isotherm::ledger::schema::VERSION);
        let sql = node.host.sql().unwrap();
        let mode = Sql::execute(&sql, "PRAGMA journal_mode", &[]).unwrap();
        assert_eq!(mode, [[Value::Text("wal".to_owned())]]);
    }
}

#[test]
fn a_step_takes_so_many_entries_and_no_more() {
    let node = Node::new();
    let journal = node.host.key_value().unwrap();
    let entries: Vec<_> = (0..5_000)
        .map(|i| {
            let one = reading("x", "hall", 1_000, START + i);
            let entry = Entry::encode(&[one], &Rejections::default());
            let (key, value) = entry.as_pair();
            (key, value.to_vec())
        })
        .collect();
    journal.set_many(&entries).unwrap();
    // Every look at the clock costs 100 ms: time for one step.
    let host = node.host.clone().simulated(100, 1);
    let inventory = Inventory::list(&host, &journal).unwrap();
    let regions = Database::open(&host, Budget::waiting(500)).unwrap();
    let left = 5_000 - limits::ENTRIES_PER_FOLD_STEP_MAX;
    assert_eq!(fold::run(&regions, &journal, &inventory).unwrap().left_entries, left);
    assert_eq!(node.keys("journal/"), left);
    assert_eq!(node.fold(), 0);
    assert_eq!(node.number("SELECT readings FROM windows WHERE span = 0"), 5_000);
}

#[test]
fn a_folded_reading_takes_at_most_30_bytes_on_disk() {
    let node = Node::new();
    let names: Vec<String> = (0..1_000).map(|i| format!("sensor-{i:06}")).collect();
    let regions: Vec<String> = (0..20).map(|i| format!("region-{i}")).collect();
    let rounds = 100;
    for round in 0..rounds {
        let one = |(i, name): (usize, &'_ String)| {
            let ms = START + round * 10_000 + i64::try_from(i * 7 % 10_000).unwrap();
            let millicelsius = i64::try_from(i * 37 % 40_000).unwrap();
            (name.clone(), regions[i % 20].clone(), millicelsius, ms)
        };
        let parts: Vec<_> = names.iter().enumerate().map(one).collect();
        let batch: Vec<_> = parts
            .iter()
            .map(|(n, r, millicelsius, ms)| reading(n, r, *millicelsius, *ms))
            .collect();
        node.journal(&batch);
        node.fold();
    }
    drop(Sql::execute(&node.host.sql().unwrap(), "PRAGMA wal_checkpoint(TRUNCATE)", &[]).unwrap());
    let bytes = std::fs::metadata(node.directory.path().join("regions.db")).unwrap().len();
    let readings = u64::try_from(rounds).unwrap() * 1_000;
    println!("{} bytes a reading", bytes as f64 / readings as f64);
    assert!(bytes <= 30 * readings, "{bytes} bytes for {readings} readings");
}

#[test]
fn statistics_survive_sums_of_squares_beyond_64_bits() {
    let node = Node::new();
    node.post(&[reading("a", "hall", 1_000_000, START)]);
    // As if 40 million readings of 1,000 °C had been folded before.
    let sql = node.host.sql().unwrap();
    let many = 40_000_000_i64;
    let high = 953_674 * many;
    let low = (1_000_000_000_000 - 953_674 * 1_048_576) * many;
    Sql::execute(
        &sql,
        "UPDATE windows SET readings = readings + ?1, sum = sum + ?1 * 1000000, \
         squares_high = squares_high + ?2, squares_low = squares_low + ?3",
        &[Value::Integer(many), Value::Integer(high), Value::Integer(low)],
    )
    .unwrap();
    assert_eq!(node.post(&[reading("b", "hall", 0, START)]), [Outcome::Stored]);
    let columns = &node.rows("SELECT squares_high, squares_low FROM windows WHERE span = 0")[0];
    let squares = i128::from(columns[0]) * 1_048_576 + i128::from(columns[1]);
    assert_eq!(squares, 1_000_000_000_000 * i128::from(many + 1));
    assert!(squares > i128::from(i64::MAX));
    let one = Stats::of(MilliCelsius::MAX, at(START));
    assert_eq!(one.average(), 1_000.0);
}
