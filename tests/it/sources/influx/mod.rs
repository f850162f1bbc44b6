//! The same lines to InfluxDB 1.x and to Isotherm: the same points and statuses, but for what
//! is documented ("Differences from InfluxDB").
//!
//! `cargo xtask test` looks for `influxd` and says in `ISOTHERM_INFLUXD` where it is; without
//! it, these tests are skipped by name. `kinds` has the lines, and in what they differ; `lines`
//! makes requests of them.

mod kinds;
mod lines;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use isotherm::http::{Header, Request, Response};
use isotherm_load::sender::Answer;

use self::kinds::{AGREED, DIFFERENCES, Kind, Points};
use self::lines::{Batch, Line};
use self::server::Influxd;
use crate::support::gzip::gzipped;
use crate::support::node::Node;
use crate::support::sources::sources;

const LINES: usize = 100_000;

/// A point: device, region, Unix nanoseconds, thousandths of a degree.
type Point = (String, String, i64, i64);

/// Points by the names of their kinds.
type ByKind = BTreeMap<String, BTreeSet<Point>>;

impl Node {
    fn write(&mut self, target: &str, body: &[u8], is_gzip: bool) -> Response {
        let request = Request::post(target);
        match is_gzip {
            true => self.deliver_bytes(&request.with(Header::ContentEncoding, "gzip"), body),
            false => self.deliver_bytes(&request, body),
        }
    }
}

fn put(points: impl Iterator<Item = Point>) -> ByKind {
    let mut by_kind = ByKind::new();
    for point in points {
        let kind = point.0.split('-').next().unwrap().to_owned();
        by_kind.entry(kind).or_default().insert(point);
    }
    by_kind
}

fn points_of_influxdb(server: &Influxd) -> ByKind {
    put(server.points().into_iter().map(|point| {
        // Some have no reading's temperature.
        let millicelsius = format!("{:.0}", point.celsius * 1_000.0).parse().unwrap_or(i64::MAX);
        (point.device, point.region, point.ns, millicelsius)
    }))
}

fn points_of_isotherm(node: &Node) -> ByKind {
    assert_eq!(node.fold(), 0);
    let all = node.ledger().into_iter();
    put(all.map(|row| (row.device, row.region, row.at * 1_000_000, row.millicelsius)))
}

fn as_meant(line: &Line) -> Point {
    (line.device.clone(), line.region.clone(), line.ns, line.millicelsius)
}

/// Of the points with the same device and time, the first one that was sent. A time has whole
/// milliseconds.
fn first_ones(lines: &[&Line]) -> BTreeSet<Point> {
    let mut first = BTreeMap::new();
    for line in lines {
        let (device, region, ns, millicelsius) = as_meant(line);
        let ms = ns / 1_000_000 * 1_000_000;
        first.entry((device.clone(), ms)).or_insert((device, region, ms, millicelsius));
    }
    first.into_values().collect()
}

/// The same, the last one.
fn last_ones(lines: &[&Line]) -> BTreeSet<Point> {
    let all = lines.iter().map(|line| as_meant(line));
    let last: BTreeMap<_, _> = all.map(|point| ((point.0.clone(), point.2), point)).collect();
    last.into_values().collect()
}

/// Both answer as the lines of the request say, and Isotherm says how many it did not take.
fn check_statuses(batch: &Batch, theirs: &Answer, ours: &Response) {
    let status = |all_taken: bool| if all_taken { 204 } else { 400 };
    let text = String::from_utf8_lossy(&ours.body);
    let request = format!("{}\n{}\n{}\n{text}", batch.query, batch.text, theirs.body);
    let taken = batch.lines.iter().all(|line| line.kind.influx_takes);
    assert_eq!(theirs.status, status(taken), "InfluxDB, {request}");
    let refused = batch.lines.iter().filter(|line| !line.kind.isotherm_takes).count();
    assert_eq!(ours.status, status(refused == 0), "Isotherm, {request}");
    let said = format!("partial write: {refused} of ");
    assert!(refused == 0 || text.contains(&said), "{said} {request}");
}

/// That both have the same points; otherwise names some that one of them has alone.
#[track_caller]
fn check_equal(name: &str, left: &BTreeSet<Point>, right: &BTreeSet<Point>) {
    let alone: Vec<&Point> = left.symmetric_difference(right).take(4).collect();
    let (left, right) = (left.len(), right.len());
    assert!(alone.is_empty(), "{name}: {left} and {right} points, among others {alone:?}");
}

fn check_points(kind: &Kind, lines: &[&Line], theirs: &BTreeSet<Point>, ours: &BTreeSet<Point>) {
    let meant: BTreeSet<Point> = lines.iter().map(|line| as_meant(line)).collect();
    let none = BTreeSet::new();
    let check = |expected_of_influxdb: &BTreeSet<Point>, expected: &BTreeSet<Point>| {
        check_equal(&format!("InfluxDB, {}", kind.name), theirs, expected_of_influxdb);
        check_equal(&format!("Isotherm, {}", kind.name), ours, expected);
    };
    match kind.points {
        Points::Same => {
            check_equal(kind.name, theirs, ours);
            check(&meant, &meant);
        }
        Points::Rounded => check(&meant, &meant),
        Points::Neither => check(&none, &none),
        Points::OnlyInflux => {
            check_equal(kind.name, ours, &none);
            assert!(!theirs.is_empty(), "{}", kind.name);
        }
        Points::OnlyIsotherm => check(&none, &meant),
        Points::LastAndFirst => check(&last_ones(lines), &first_ones(lines)),
        Points::BothAndFirst => check(&meant, &first_ones(lines)),
        Points::Earlier(factor) => {
            let earlier = |(device, region, ns, value): Point| (device, region, ns / factor, value);
            check(&meant.iter().cloned().map(earlier).collect(), &meant);
        }
    }
}

#[test]
fn the_same_lines_give_the_same_points_and_statuses_but_for_what_is_documented() {
    let (server, mut node) = (Influxd::start(), Node::quiet(&[]));
    let batches = lines::batches(LINES, 7);
    for batch in &batches {
        let body = match batch.is_gzip {
            true => gzipped(batch.text.as_bytes()),
            false => batch.text.clone().into_bytes(),
        };
        let theirs = server.write(batch.query, &body, batch.is_gzip);
        let ours = node.write(&format!("/write?db=x{}", batch.query), &body, batch.is_gzip);
        check_statuses(batch, &theirs, &ours);
        assert_eq!(node.fold(), 0);
    }
    let (theirs, ours) = (points_of_influxdb(&server), points_of_isotherm(&node));
    let lines: Vec<&Line> = batches.iter().flat_map(|batch| &batch.lines).collect();
    let none = BTreeSet::new();
    for kind in AGREED.iter().chain(&DIFFERENCES) {
        let of_kind: Vec<&Line> =
            lines.iter().copied().filter(|line| line.kind.name == kind.name).collect();
        assert!(of_kind.len() >= 10, "{}: {} lines", kind.name, of_kind.len());
        let of = |points: &'_ ByKind| points.get(kind.name).unwrap_or(&none).clone();
        check_points(kind, &of_kind, &of(&theirs), &of(&ours));
    }
    assert!(ours["plain"].len() > LINES / 2, "{}", ours["plain"].len());
    check_seen(&mut node, &lines);
}

/// The node has counted each reading once, and kept each contradiction.
fn check_seen(node: &mut Node, lines: &[&Line]) {
    let seen = node.seen("influx");
    assert_eq!(seen["kept"], node.stored(), "{seen}");
    // These two are counted by chance while requests come this fast.
    assert!(seen["ignored"].as_i64() > Some(0), "{seen}");
    assert!(seen["refused"]["malformed"].as_i64() > Some(0), "{seen}");
    let contradicts =
        |line: &&&Line| matches!(line.kind.name, "changed" | "tagged" | "fine" | "moved");
    // One of the two lines of each.
    let expected = lines.iter().filter(contradicts).count() / 2;
    assert_eq!(usize::try_from(node.conflicts_kept()).unwrap(), expected);
}

/// Requests that differ as a whole: what is documented, the target and the body, and the status
/// of each.
const REQUESTS: [(&str, &str, &str, u16, u16); 4] = [
    ("A database that is not there", "/write?db=none", GOOD, 404, 204),
    ("No database", "/write", GOOD, 400, 204),
    ("Other precisions", "/write?db=x&precision=d", GOOD, 204, 400),
    ("Version 2", "/api/v2/write?org=o&bucket=x", GOOD, 404, 204),
];

const GOOD: &str = "t,device_id=whole-1,region=hall temperature_c=1 1899999999000000000";

#[test]
fn whole_requests_differ_in_what_is_documented() {
    let (server, mut node) = (Influxd::start(), Node::quiet(&[]));
    for (documented, target, body, theirs, ours) in REQUESTS {
        assert_eq!(server.post(target, body.as_bytes(), "").status, theirs, "{documented}");
        assert_eq!(node.write(target, body.as_bytes(), false).status, ours, "{documented}");
    }
    // Too many temperatures at once.
    let line = |n: usize| format!("t,device_id=whole-{n},region=hall temperature_c=1 {n}\n");
    let many: String = (0..10_001).map(|n| line(1_899_000_000 + n)).collect();
    assert_eq!(server.write("&precision=s", many.as_bytes(), false).status, 204);
    assert_eq!(node.write("/write?db=x&precision=s", many.as_bytes(), false).status, 413);
    // Nothing, and what can't be inflated, is the same to both.
    let cut = gzipped(GOOD.as_bytes());
    let cut = &cut[..cut.len() - 9];
    for (body, is_gzip, status) in
        [(&b""[..], false, 204), (b"\n#\n", false, 204), (cut, true, 400), (b"t f=1", true, 400)]
    {
        assert_eq!(server.write("", body, is_gzip).status, status);
        assert_eq!(node.write("/write?db=x", body, is_gzip).status, status);
    }
}

/// Names of rows about requests that the tests above send in a way of their own.
const ALSO: [&str; 1] = ["More than 10,000"];

#[test]
fn each_difference_is_documented_and_each_that_is_documented_is_tested() {
    const TITLE: &str = "Differences from InfluxDB\n";
    let documents = sources("md");
    let section = documents.iter().find_map(|(_, text)| Some(text.split_once(TITLE)?.1)).unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| **"));
    let documented: BTreeSet<&str> = rows.map(|row| row[4..].split("**").next().unwrap()).collect();
    let of_lines = AGREED.iter().chain(&DIFFERENCES).map(|kind| kind.documented);
    let of_requests = REQUESTS.iter().map(|row| row.0).chain(ALSO);
    let tested = of_lines.chain(of_requests).filter(|name| !name.is_empty());
    assert_eq!(documented, tested.collect());
}
