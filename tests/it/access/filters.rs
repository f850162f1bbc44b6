//! What a credential reads: its regions, in every list and format, and nothing of the others;
//! also while the database is away.

use http::Method;
use isotherm::api::router;
use isotherm::http::{Header, Request};
use isotherm::internals::wire::batch::MEDIA_TYPE;
use isotherm_it::next_page;
use serde_json::{Value, json};

use super::{bearer, body, check_refused, get, tokens};
use crate::support::assert::header;
use crate::support::faulty::Plan;
use crate::support::node::Node;
use crate::support::readings::{HOUR, NOW, json_reading};

/// A node with readings, conflicts and rejections of three regions, and tokens: for all, for
/// the hall, for what begins with `hall`, and for metrics alone.
struct Story {
    node: Node,
    root: String,
    hall: String,
    halls: String,
    metrics: String,
}

fn story() -> Story {
    let ([root, hall, halls, metrics], lines) = tokens([
        ("root", "admin"),
        ("hall", "read:hall metrics"),
        ("halls", "read:hall* metrics"),
        ("metrics", "metrics"),
    ]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines)]);
    let one = |device: &str, region: &str, celsius: f64, ms: i64| {
        json_reading(device, region, celsius, NOW - HOUR + ms)
    };
    let batch = json!([
        one("in-hall", "hall", 1.0, 0),
        one("in-attic", "attic", 2.0, 0),
        one("in-annex", "hall.annex", 3.0, 0),
        one("roamer", "hall", 4.0, 0),
        // The newest, warmest and last.
        one("roamer", "attic", 50.0, 60_000),
        one("in-hall", "hall", 1.5, 0),
        one("in-attic", "attic", 2.5, 0),
        json_reading("early-hall", "hall", 1.0, NOW + HOUR),
        json_reading("early-attic", "attic", 1.0, NOW + HOUR),
        {"unit": "F"},
    ]);
    let answer = node.change_by(&root, Method::POST, "/v1/readings", &batch);
    assert_eq!(answer.status, 202, "{}", body(&answer));
    node.read_by(&root, "/v1/regions");
    Story { node, root, hall, halls, metrics }
}

#[test]
fn a_region_that_was_renamed_is_found_by_the_name_that_a_scope_has() {
    let ([root, hall], lines) = tokens([("root", "admin"), ("hall", "read:hall")]);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines)]);
    let reading = json_reading("d", "hall", 20, NOW - HOUR);
    node.change_by(&root, Method::POST, "/v1/readings", &reading);
    node.read_by(&root, "/v1/regions");
    let rename = json!({"region": "hall", "rename": "lobby", "reason": "a test"});
    let answer = node.change_by(&root, Method::POST, "/v1/corrections", &rename);
    assert_eq!(answer.status, 200, "{}", body(&answer));
    for (path, list) in
        [("/v1/readings?region=hall", "readings"), ("/v1/devices?region=hall", "devices")]
    {
        let found = node.read_by(&hall, path);
        assert_eq!(found[list].as_array().map(Vec::len), Some(1), "{path}: {found}");
        check_refused(&node.get_by(&hall, &path.replace("hall", "lobby")), 403, "forbidden");
    }
}

/// Every list, and what the hall has of it.
const LISTS: [(&str, &str); 11] = [
    ("/v1/regions", "hall"),
    ("/v1/regions/hall", "hall"),
    ("/v1/regions/hall/devices", "in-hall"),
    ("/v1/devices", "in-hall"),
    ("/v1/devices?region=hall", "in-hall"),
    ("/v1/devices/roamer", "hall"),
    ("/v1/devices/in-hall/readings", "hall"),
    ("/v1/conflicts", "in-hall"),
    ("/v1/rejections", "early-hall"),
    ("/v1/rejections/devices", "early-hall"),
    ("/v1/readings", "in-hall"),
];

/// Whether a text has any name of the other regions.
fn has_others(text: &str) -> bool {
    text.contains("attic") || text.contains("annex") || text.contains("50.0")
}

#[test]
fn every_list_in_every_format_has_the_own_regions_alone() {
    let Story { mut node, root, hall, .. } = story();
    for (path, own) in LISTS {
        for accept in ["application/json", "text/csv", "application/x-ndjson"] {
            let mut text = |token: &str| {
                let answer = node.asked(&get(path, token).with(Header::Accept, accept), "");
                let coverage = header(&answer, "isotherm-coverage").unwrap_or_default().to_owned();
                let text = String::from_utf8(answer.body).unwrap();
                assert_eq!(answer.status, 200, "{path} {accept}: {text}");
                text + &coverage
            };
            let seen = text(&hall);
            assert!(seen.contains(own) && !has_others(&seen), "{path} {accept}: {seen}");
            let has_all = !matches!(path, "/v1/regions/hall" | "/v1/devices?region=hall")
                && !path.contains("in-hall")
                && path != "/v1/regions/hall/devices";
            let all = text(&root);
            assert!(!has_all || has_others(&all), "{path} {accept}: {all}");
        }
    }
}

#[test]
fn pages_of_one_record_have_no_gap_and_nothing_of_the_others() {
    let Story { mut node, root, hall, .. } = story();
    for (path, list) in [
        ("/v1/regions", "regions"),
        ("/v1/devices", "devices"),
        ("/v1/conflicts", "conflicts"),
        ("/v1/rejections", "rejections"),
        ("/v1/readings", "readings"),
    ] {
        let mut paged = |token: &str| {
            let (mut target, mut found) = (format!("{path}?limit=1"), Vec::new());
            for _ in 0..20 {
                let page = node.read_by(token, &target);
                found.extend(page[list].as_array().unwrap().clone());
                match page["next"].as_str() {
                    Some(next) => target = next_page(&target, next),
                    None => return found,
                }
            }
            panic!("{path} has no end: {found:?}");
        };
        let mine = paged(&hall);
        let all = paged(&root);
        // What makes a record; others change from one moment to the next.
        let key = |row: &Value| {
            ["region", "device_id", "at", "timestamp"].map(|field| row[field].to_string())
        };
        let is_own = |row: &&Value| row["region"] == "hall";
        let own: Vec<_> = all.iter().filter(is_own).map(key).collect();
        // The roamer is in the attic now, and was in the hall.
        if path != "/v1/devices" {
            assert_eq!(mine.iter().map(key).collect::<Vec<_>>(), own, "{path}");
        }
        assert!(!mine.is_empty() && mine.len() < all.len(), "{path}: {mine:?}");
        assert!(!has_others(&json!(mine).to_string()), "{path}: {mine:?}");
    }
}

#[test]
fn a_prefix_has_the_regions_that_begin_so() {
    let Story { mut node, halls, .. } = story();
    let regions = node.read_by(&halls, "/v1/regions");
    let names: Vec<&str> = regions["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["region"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["hall", "hall.annex"]);
    assert_eq!(node.get_by(&halls, "/v1/regions/hall.annex").status, 200);
    assert_eq!(node.get_by(&halls, "/v1/regions/attic").status, 403);
    assert_eq!(node.get_by(&halls, "/v1/regions/hallmark").status, 404, "it may be known");
}

#[test]
fn what_is_outside_is_forbidden_whether_it_exists_or_not() {
    let Story { mut node, root, hall, .. } = story();
    for path in [
        "/v1/regions/attic",
        "/v1/regions/attic/windows",
        "/v1/regions/attic/devices",
        "/v1/regions/attic/limits",
        "/v1/regions/attic/excursions",
        "/v1/readings?region=attic",
        "/v1/devices?region=attic",
        "/v1/devices/in-attic",
        "/v1/devices/in-attic/readings",
        "/v1/devices/in-attic/windows",
        "/v1/devices/in-attic/gaps",
        "/v1/devices/in-attic/excursions",
        "/v1/readings?device_id=in-attic",
    ] {
        let there = node.get_by(&hall, path);
        // At the same time, as answers have it.
        node.now = node.now.saturating_add(-1_000);
        let missing = node.get_by(&hall, &path.replace("attic", "nowhere"));
        if path.contains("device_id") {
            // Its readings in the hall: there are none.
            assert_eq!(body(&there)["readings"], json!([]));
        } else {
            check_refused(&there, 403, "forbidden");
        }
        let same = |response: &isotherm::http::Response| {
            let text = String::from_utf8_lossy(&response.body).replace("nowhere", "attic");
            (response.status, text)
        };
        assert_eq!(same(&there), same(&missing), "{path}");
        let known = node.get_by(&root, path).status;
        let unknown = node.get_by(&root, &path.replace("attic", "nowhere")).status;
        // Without limits there are no excursions, and no limits.
        let has_none = path.ends_with("/limits") || path.ends_with("/excursions");
        assert!(known == 200 || has_none, "{path}: {known}");
        // A list of the devices of no region is empty.
        assert_eq!(unknown, if path.contains("devices?") { 200 } else { 404 }, "{path}");
    }
}

#[test]
fn the_history_of_a_device_needs_all_of_its_regions() {
    let Story { mut node, root, hall, .. } = story();
    for kind in ["readings", "windows", "gaps", "excursions"] {
        let path = format!("/v1/devices/roamer/{kind}");
        check_refused(&node.get_by(&hall, &path), 403, "forbidden");
        let of_all = node.get_by(&root, &path).status;
        assert!(of_all != 403 && of_all.as_u16() < 500, "{of_all}");
        let of_one = node.get_by(&hall, &format!("/v1/devices/in-hall/{kind}")).status;
        assert_eq!(of_one, node.get_by(&root, &format!("/v1/devices/in-hall/{kind}")).status);
    }
}

#[test]
fn metrics_have_figures_of_the_regions_that_may_be_read() {
    let Story { mut node, root, hall, metrics, .. } = story();
    let mut text = |token: &str| {
        let answer = node.get_by(token, "/metrics");
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body).unwrap()
    };
    assert!(has_others(&text(&root)));
    let of_hall = text(&hall);
    assert!(of_hall.contains("region=\"hall\"") && !has_others(&of_hall), "{of_hall}");
    let of_none = text(&metrics);
    assert!(!of_none.contains("region=\"") && !has_others(&of_none), "{of_none}");
    assert!(of_none.contains("isotherm_readings_accepted_total "), "{of_none}");
}

#[test]
fn metrics_of_other_nodes_and_of_sources_are_for_those_that_may_read_all() {
    let ids = [("root", "admin"), ("all", "metrics read:*"), ("scraper", "metrics read:hall")];
    let ([root, all, scraper], lines) = tokens(ids);
    let mut node = Node::quiet(&[("auth", "on"), ("tokens", &lines)]);
    let batch = super::batches::batch("gw-1");
    let post = |path: &str| Request::post(path).with(Header::Authorization, bearer(&root));
    let request = post("/v1/readings").with(Header::ContentType, MEDIA_TYPE);
    assert_eq!(node.deliver_bytes(&request, &batch).status, 202);
    let line = format!("t,device_id=d,region=hall temperature_c=4.5 {NOW}");
    assert_eq!(node.deliver(&post("/write"), &line).status, 204);
    assert_eq!(node.deliver(&post("/write"), "t,device_id=d temperature_c=4.5").status, 400);
    let mut has = |token: &str| {
        let text = String::from_utf8(node.get_by(token, "/metrics").body).unwrap();
        ["gw-1", "isotherm_sender_", "source=\"influx\""].map(|part| text.contains(part))
    };
    assert_eq!((has(&root), has(&all)), ([true; 3], [true; 3]));
    assert_eq!(has(&scraper), [false; 3]);
}

#[test]
fn events_count_the_readings_of_the_own_regions() {
    let Story { node, root, hall, .. } = story();
    let count = |token: &str| {
        let request = get("/v1/events", token);
        let mut stream = router::events(&node.host, &request, node.now).unwrap().0.stream.unwrap();
        let text = stream.step(node.now).text;
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        data.parse::<i64>().unwrap()
    };
    let (mine, all) = (count(&hall), count(&root));
    assert!(0 < mine && mine < all, "{mine} of {all}");
    let request = Request::get("/v1/events");
    let (refused, ..) = router::events(&node.host, &request, node.now).unwrap();
    assert!(refused.stream.is_none());
    check_refused(&refused.response, 401, "unauthenticated");
}

#[test]
fn the_snapshot_that_answers_while_the_database_is_away_is_filtered_too() {
    let Story { mut node, root, hall, .. } = story();
    assert!(node.keys("snapshot/") > 0, "there is no snapshot");
    node.set_plan(Plan::sqlite_away());
    let list = node.read_by(&hall, "/v1/regions");
    assert_eq!(list["stale"], true);
    assert_eq!(list["regions"].as_array().unwrap().len(), 1);
    assert!(list["regions"][0]["region"] == "hall" && !has_others(&list.to_string()), "{list}");
    assert!(has_others(&node.read_by(&root, "/v1/regions").to_string()));
    assert_eq!(node.read_by(&hall, "/v1/regions/hall")["stale"], true);
    for path in ["/v1/regions/attic", "/v1/regions/nowhere"] {
        check_refused(&node.get_by(&hall, path), 403, "forbidden");
    }
    let rejections = node.get_by(&hall, "/v1/rejections");
    assert!(!has_others(&String::from_utf8_lossy(&rejections.body)));
}

#[test]
fn corrections_and_quarantine_are_for_those_that_read_everything() {
    let Story { mut node, root, halls, .. } = story();
    for path in ["/v1/corrections", "/v1/quarantine"] {
        check_refused(&node.get_by(&halls, path), 403, "forbidden");
        assert_eq!(node.get_by(&root, path).status, 200);
    }
}

#[test]
fn an_answer_says_that_it_depends_on_the_credential() {
    let Story { mut node, hall, .. } = story();
    for request in [get("/v1/regions", &hall), Request::get("/v1/regions")] {
        let answer = node.asked(&request, "");
        let vary = answer.headers.iter().filter(|(name, _)| *name == "vary");
        assert!(vary.into_iter().any(|(_, value)| value == "authorization, cookie"));
        assert!(header(&answer, "cache-control").is_some_and(|text| text.contains("no-")));
    }
    let request = Request::get("/v1/regions").with(Header::Authorization, bearer("x"));
    check_refused(&node.asked(&request, ""), 401, "unauthenticated");
}
