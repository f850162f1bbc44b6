//! `GET /v1/readings`: every single reading, once, in pages of any size and in each format.

use std::collections::BTreeSet;

use isotherm::http::{Header, Request, Response};
use isotherm::limits;
use isotherm_it::next_page;
use serde_json::{Value, json};

use crate::support::assert::{check_fields, header};
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{DAY, MINUTE, NOW, START, instant, json_reading, shuffled};

const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";
const HEADLINE: &str = "timestamp,device_id,region,temperature_c\r\n";

fn answer(node: &mut Node, path: &str, accept: &str) -> Response {
    node.ask_ingest(&Request::get(path).with(Header::Accept, accept))
}

#[track_caller]
fn text_of(response: &Response) -> &str {
    let text = std::str::from_utf8(&response.body).unwrap();
    assert_eq!(response.status, 200, "{text}");
    text
}

/// All pages from this one on, each as its body.
#[track_caller]
fn pages(node: &mut Node, path: &str, accept: &str) -> Vec<String> {
    let (mut path, mut pages) = (path.to_owned(), Vec::new());
    loop {
        let response = answer(node, &path, accept);
        pages.push(text_of(&response).to_owned());
        assert!(pages.len() < 10_000, "the pages never end: {path}");
        let Some(link) = header(&response, "link") else { return pages };
        let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        path = next_page(&path, next);
    }
}

/// The lines of all pages of CSV, without the head.
#[track_caller]
fn lines(node: &mut Node, path: &str) -> Vec<String> {
    let pages = pages(node, path, CSV);
    let rows = pages.iter().flat_map(|page| page.strip_prefix(HEADLINE).unwrap().lines());
    rows.map(ToOwned::to_owned).collect()
}

/// A line of CSV as the reading that it stands for.
fn parsed(line: &str) -> Value {
    let cells: Vec<&str> = line.split(',').collect();
    let [timestamp, device, region, celsius] = cells[..] else { panic!("{line}") };
    json_reading(device, region, celsius.parse::<f64>().unwrap(), timestamp)
}

/// The temperature of a line of CSV, in thousandths of a degree.
fn millicelsius(line: &str) -> i64 {
    let (_, celsius) = line.rsplit_once(',').unwrap();
    let (whole, part) = celsius.split_once('.').unwrap();
    format!("{whole}{part:0<3}").parse().unwrap()
}

/// Forty readings in four minutes: two devices share each millisecond, one moves to another
/// region, and one has many readings in a minute.
fn forty() -> Vec<Value> {
    let mut all = Vec::new();
    for minute in 0..4 {
        let begin = START + minute * MINUTE;
        for (device, region) in [("b", "hall"), ("a", "yard")] {
            all.push(json_reading(device, region, minute as f64 - 1.5, begin));
            all.push(json_reading(device, region, 20.125, begin + 7));
        }
        let region = if minute < 2 { "hall" } else { "attic" };
        all.extend((0..6).map(|n| json_reading("c", region, -18.0 + n as f64, begin + n * 9)));
    }
    all
}

/// A node that has counted these readings, in an order of its own, late ones among them.
fn node_with(readings: &[Value], batch: usize) -> Node {
    let mut node = Node::quiet(&[("retention", "0")]);
    for some in shuffled(readings, 5).chunks(batch) {
        node.accept(&some.iter().cloned().collect());
    }
    node
}

const ALL: &str = "/v1/readings?from=0";

#[test]
fn every_reading_comes_once_whatever_the_size_of_the_pages() {
    let sent = forty();
    let mut node = node_with(&sent, 3);
    let whole = lines(&mut node, ALL);
    let at = |reading: &Value| reading["timestamp"].as_i64().unwrap();
    let expected: BTreeSet<String> = sent
        .iter()
        .map(|reading| {
            let mut reading = reading.clone();
            reading["timestamp"] = instant(at(&reading));
            reading.to_string()
        })
        .collect();
    let found: Vec<String> = whole.iter().map(|line| parsed(line).to_string()).collect();
    assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.len(), sent.len());

    // By minute; in it by device, whose readings are together and in order.
    let mut order = Vec::new();
    for line in &whole {
        let reading = parsed(line);
        let (timestamp, device) =
            (reading["timestamp"].as_str().unwrap(), reading["device_id"].as_str().unwrap());
        order.push((timestamp[..16].to_owned(), device.to_owned(), timestamp.to_owned()));
    }
    let minutes: Vec<&String> = order.iter().map(|(minute, ..)| minute).collect();
    assert!(minutes.is_sorted());
    let groups: Vec<_> = order.chunk_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1)).collect();
    assert_eq!(groups.len(), 4 * 3);
    assert!(groups.iter().all(|group| group.is_sorted()));

    for limit in [1, 2, 3, 7, 39, 40, 41] {
        let path = format!("{ALL}&limit={limit}");
        assert_eq!(lines(&mut node, &path), whole, "{limit}");
        assert_eq!(pages(&mut node, &path, CSV).len(), whole.len().div_ceil(limit), "{limit}");
    }
}

#[test]
fn all_formats_have_the_same_readings_and_say_what_they_cover() {
    let mut node = node_with(&forty(), 40);
    let csv: Vec<Value> = lines(&mut node, ALL).iter().map(|line| parsed(line)).collect();
    let path = format!("{ALL}&limit=7");
    let ndjson = pages(&mut node, &path, NDJSON).concat();
    let ndjson: Vec<Value> = ndjson.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(ndjson, csv);
    let mut of_json = Vec::new();
    for page in pages(&mut node, &path, "application/json") {
        let page: Value = serde_json::from_str(&page).unwrap();
        of_json.extend(page["readings"].as_array().unwrap().clone());
        let covers = json!({"kept_from": null, "stale": false, "unfolded_entries": 0,
                            "quarantined_readings": 0, "from": instant(0)});
        check_fields(&page, &covers);
    }
    assert_eq!(of_json, csv);

    let response = answer(&mut node, &path, CSV);
    let coverage = header(&response, "isotherm-coverage").unwrap();
    assert!(coverage.contains("unfolded_entries=0, ") && !coverage.contains("next"), "{coverage}");
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    assert_eq!(header(&response, "vary"), Some("accept"));
    // A number of readings that fills a page is the last one.
    let page = answer(&mut node, &format!("{ALL}&limit=40"), "*/*");
    assert!(!text_of(&page).contains("\"next\"") && header(&page, "link").is_none());
}

#[test]
fn filters_and_edges_are_exact_and_sums_are_those_of_the_figures() {
    let mut node = node_with(&forty(), 11);
    let whole = lines(&mut node, ALL);
    let of = |words: &str| -> Vec<String> {
        whole.iter().filter(|line| line.contains(words)).cloned().collect()
    };
    for (query, words) in [
        ("region=hall", ",hall,"),
        ("region=attic", ",attic,"),
        ("device_id=a", ",a,"),
        ("device_id=c", ",c,"),
        ("device_id=c&region=attic", ",c,attic,"),
        ("device_id=b&region=attic", ",b,attic,"),
    ] {
        for limit in [1, 4, 100_000] {
            let path = format!("{ALL}&{query}&limit={limit}");
            assert_eq!(lines(&mut node, &path), of(words), "{path}");
        }
    }
    // Half-open, to the millisecond, in the middle of a minute.
    let (from, to) = (START + 7, START + MINUTE + 9);
    for device in ["", "&device_id=b", "&device_id=c"] {
        let found = lines(&mut node, &format!("/v1/readings?from={from}&to={to}{device}"));
        let all = lines(&mut node, &format!("{ALL}{device}"));
        let instants = [from, to].map(|ms| instant(ms).as_str().unwrap().to_owned());
        let is_within =
            |line: &&String| (&instants[0]..&instants[1]).contains(&&line[..24].to_owned());
        assert_eq!(found, all.iter().filter(is_within).cloned().collect::<Vec<_>>(), "{device}");
        assert!(!found.is_empty());
    }
    for region in ["hall", "yard", "attic"] {
        let figures = node.read(&format!("/v1/regions/{region}"));
        let found = lines(&mut node, &format!("{ALL}&region={region}"));
        let sum: i64 = found.iter().map(|line| millicelsius(line)).sum();
        check_fields(&figures, &json!({"count": found.len(), "sum_millicelsius": sum}));
    }
}

#[test]
fn a_device_that_fills_minutes_and_one_that_is_rare_come_in_full() {
    let mut node = Node::quiet(&[("retention", "0")]);
    // Runs of other devices before and behind, and a minute of many runs.
    let fast = |n: i64| json_reading("fast", "lab", n % 400, START + n * 13);
    for batch in 0..2 {
        node.accept_and_wait(&(0..9_000).map(|n| fast(batch * 9_000 + n)).collect());
    }
    let others = |n: i64| json_reading(&format!("d{n:04}"), "lab", 1, START + n % 3 * MINUTE);
    node.accept_and_wait(&(0..9_000).map(others).collect());
    for days in [0, 200, 500] {
        node.accept_and_wait(&json_reading("rare", "shed", days as f64, START + days * DAY));
    }
    let whole = lines(&mut node, &format!("{ALL}&limit=100000"));
    assert_eq!(whole.len(), 18_000 + 9_000 + 3);
    for (device, count) in [("fast", 18_000), ("d4711", 1), ("rare", 3)] {
        let expected: Vec<&String> =
            whole.iter().filter(|line| line.contains(&format!(",{device},"))).collect();
        assert_eq!(expected.len(), count);
        for limit in [999, 10_000] {
            let path = format!("{ALL}&device_id={device}&limit={limit}");
            assert_eq!(lines(&mut node, &path).iter().collect::<Vec<_>>(), expected, "{path}");
        }
    }
    // Between the rare ones is more than a page looks at.
    let path = format!("{ALL}&device_id=rare");
    let found: Vec<usize> =
        pages(&mut node, &path, NDJSON).iter().map(|p| p.lines().count()).collect();
    assert!(found.len() > 3 && found.contains(&0), "{found:?}");
    // What is before and behind the ledger is not looked at.
    for range in [format!("from=0&to={START}"), format!("from={}&to={NOW}", START + 501 * DAY)] {
        let path = format!("/v1/readings?device_id=rare&{range}");
        assert_eq!(pages(&mut node, &path, NDJSON), [""]);
    }
}

#[test]
fn what_comes_between_two_pages_is_on_a_later_one_if_it_is_not_older() {
    let mut node = node_with(&forty(), 40);
    let first = answer(&mut node, &format!("{ALL}&limit=15"), "*/*");
    let first: Value = serde_json::from_slice(&first.body).unwrap();
    let late = |ms: i64| json_reading("b", "hall", 99, ms);
    node.accept(&json!([late(START + 1), late(START + 2 * MINUTE + 1)]));
    let path = next_page(ALL, first["next"].as_str().unwrap());
    let rest = lines(&mut node, &path);
    assert_eq!(rest.len(), 40 - 15 + 1);
    assert_eq!(rest.iter().filter(|line| line.ends_with("99.0")).count(), 1);
}

/// A month of 40 sensors that report every minute, in the proportion of one to 720.
#[test]
fn a_month_of_forty_sensors_takes_fewer_than_twenty_requests() {
    let one = |n: i64| {
        let (device, region) = (format!("d{}", n % 40), format!("r{}", n % 9));
        json_reading(&device, &region, n as f64 / 8.0, START + n / 40 * MINUTE + n % 40)
    };
    let sent: Vec<Value> = (0..40 * 60).map(one).collect();
    let mut node = node_with(&sent, 1_000);
    let limit = limits::READINGS_PER_PAGE_MAX.div_ceil(720);
    let pages = pages(&mut node, &format!("{ALL}&limit={limit}"), NDJSON);
    assert_eq!(pages.len(), 18);
    assert_eq!(pages.concat().lines().count(), sent.len());
}

#[test]
fn without_the_database_there_are_no_readings_and_without_the_journal_it_is_said() {
    let mut node = node_with(&forty(), 40);
    text_of(&answer(&mut node, ALL, CSV));
    node.set_plan(Plan::sqlite_away());
    assert_eq!(answer(&mut node, ALL, CSV).status, 503);
    node.set_plan(Plan::key_value_away());
    let page = answer(&mut node, ALL, "*/*");
    let page: Value = serde_json::from_str(text_of(&page)).unwrap();
    check_fields(&page, &json!({"unfolded_entries": null, "stale": false}));
    assert_eq!(page["readings"].as_array().unwrap().len(), 40);
}
