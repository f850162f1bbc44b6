//! Names that a device or a region had before: each request takes them, and nothing that was
//! renamed loses its trace.

use http::Method;
use isotherm::api::routes::Route;
use isotherm::http::Request;
use isotherm_stores::native::NativeHost;
use serde_json::{Value, json};

use crate::corrections::{correct, correction};
use crate::corrections_of_all::in_steps;
use crate::interface::all_routes;
use crate::support::assert::check_fields;
use crate::support::node::Node;
use crate::support::readings::{MINUTE, NOW, json_reading};

/// A room and its sensor that have other names by now.
fn renamed() -> Node {
    let mut node = Node::quiet(&[]);
    let one = |n: i64| json_reading("esp32", "diary", n, NOW - n * 10 * MINUTE);
    node.accept_and_wait(&(0..5).map(one).collect());
    correct(&node, &json!({"region": "diary", "rename": "dairy", "reason": "a typo"}));
    correct(&node, &json!({"device_id": "esp32", "rename": "t-20", "reason": "labelled"}));
    node
}

/// The answer without what changes from one request to the next.
fn told(node: &mut Node, path: &str) -> Value {
    let response = match path.starts_with("/v1/readings") {
        true => node.ask_ingest(&Request::get(path)),
        false => node.ask(path),
    };
    let mut answer: Value = serde_json::from_slice(&response.body).unwrap();
    for field in ["as_of", "next"] {
        answer.as_object_mut().unwrap().remove(field);
    }
    json!([response.status.as_u16(), answer])
}

#[test]
fn each_request_takes_the_old_name() {
    let mut node = renamed();
    node.limit("diary", &json!({"low_c": 1, "high_c": 3}));
    let device = json!({"expected_interval": "10m"}).to_string();
    let answer = node.change(Method::PUT, "/v1/devices/esp32", &device);
    assert_eq!(answer.status, 200);
    let range = format!("from={}&to={}", NOW - 100 * MINUTE, NOW + MINUTE);
    let is_read = |route: &Route<NativeHost>| route.methods.contains(&Method::GET);
    let paths = all_routes()
        .filter(|route| {
            let names = ["{region}", "{device_id}"];
            is_read(route) && names.iter().any(|name| route.pattern.contains(name))
        })
        .map(|route| format!("{}?{range}", route.pattern))
        .chain([
            format!("/v1/readings?region={{region}}&{range}"),
            format!("/v1/readings?device_id={{device_id}}&{range}"),
            "/v1/devices?region={region}".to_owned(),
        ]);
    let mut asked = 0;
    for path in paths {
        let mut with = |region: &str, device: &str| {
            let path = path.replace("{region}", region).replace("{device_id}", device);
            let plain = path.split('?').next().unwrap_or_default().to_owned();
            // Some take no range.
            let path = if told(&mut node, &path)[0] == 400 { plain } else { path };
            told(&mut node, &path)
        };
        let (new, old) = (with("dairy", "t-20"), with("diary", "esp32"));
        assert_eq!(new[0], 200, "{path} {new}");
        // Some repeat the name that was asked for.
        let old = old.to_string().replace("\"diary\"", "\"dairy\"");
        let old: Value = serde_json::from_str(&old.replace("\"esp32\"", "\"t-20\"")).unwrap();
        assert_eq!(old, new, "{path}");
        asked += 1;
    }
    assert!(asked >= 12, "{asked}");
    check_fields(&node.look_at("/v1/regions/dairy/limits"), &json!({"high_c": 3.0}));
    let excursions = node.look_at(&format!("/v1/regions/diary/excursions?{range}"));
    assert_eq!(excursions["excursions"].as_array().unwrap().len(), 2);
    node.change(Method::DELETE, "/v1/regions/diary/limits", "");
    check_fields(&node.look_at("/v1/regions/dairy/limits"), &json!({"high_c": null}));
    let answer = correct(&node, &correction("esp32", NOW, json!(0), json!(1)));
    check_fields(&answer, &json!({"ack": "folded", "device_id": "t-20", "state": "applied"}));
}

/// However many names a batch has beside those that are known: a few are looked up, of many the
/// table is read whole, and of a few in a large table, they are looked up again.
#[test]
fn readings_under_old_known_and_new_names_are_of_the_same_devices_in_batches_of_any_size() {
    for (before, batch) in [(3_usize, 3_usize), (3, 40), (40, 40), (400, 40)] {
        let mut node = Node::quiet(&[("retention", "0")]);
        let names = |from: usize, n: usize| (from..from + n).map(|i| format!("d{i:03}"));
        let send = |node: &mut Node, names: &[String], at: i64| {
            let one = |name: &String| json_reading(name, "hall", 1, at);
            node.accept(&names.iter().map(one).collect());
            node.fold();
        };
        send(&mut node, &names(0, before).collect::<Vec<_>>(), NOW - MINUTE);
        correct(&node, &json!({"device_id": "d001", "rename": "labelled", "reason": "a label"}));
        // From d000 on, with the old name and without the new one, and some that are new.
        let sent: Vec<String> =
            names(0, before.min(batch.div_ceil(2))).chain(names(before, batch / 2)).collect();
        send(&mut node, &sent, NOW);
        let told = |node: &mut Node, name: &str| {
            node.read(&format!("/v1/devices/{name}"))["count"].clone()
        };
        assert_eq!(told(&mut node, "labelled"), 2, "{before} {batch}");
        assert_eq!(told(&mut node, "d000"), 2, "{before} {batch}");
        assert_eq!(told(&mut node, &format!("d{before:03}")), 1, "{before} {batch}");
        let page = node.read("/v1/regions/hall");
        assert_eq!(page["devices"], before + batch / 2, "{before} {batch}: {page}");
    }
}

#[test]
fn what_is_plausible_is_asked_of_old_and_new_names() {
    let mut node = renamed();
    let limits = json!({"plausible_low_c": -60, "plausible_high_c": 60});
    node.limit("diary", &limits);
    let rejects = |node: &mut Node, name: &str, ms: i64| {
        node.reject(&json!([json_reading("t-20", name, 85, NOW + ms)]));
    };
    rejects(&mut node, "dairy", 1);
    rejects(&mut node, "diary", 2);
    correct(&node, &json!({"region": "dairy", "rename": "milk", "reason": "as on the door"}));
    for name in ["milk", "dairy", "diary"] {
        rejects(&mut node, name, 3);
    }
    // What is merged is asked as the other.
    node.accept_and_wait(&json_reading("b", "hall", 1, NOW));
    in_steps(&node, json!({"region": "milk", "rename": "hall", "reason": "one room"}));
    let accepted = node.accept(&json!([json_reading("t-20", "diary", 85, NOW + 4)]));
    assert_eq!(accepted["accepted"], 1, "{accepted}");
    node.limit("hall", &limits);
    for name in ["milk", "diary", "hall"] {
        rejects(&mut node, name, 5);
    }
}

#[test]
fn renamings_and_merges_are_listed_with_their_reasons() {
    let mut node = renamed();
    node.accept_and_wait(&json_reading("b", "hall", 1, NOW));
    correct(&node, &json!({"region": "dairy", "rename": "diary", "reason": "back"}));
    in_steps(&node, json!({"region": "diary", "rename": "hall", "reason": "one room"}));
    let list = node.look_at("/v1/corrections?limit=2");
    let all = list["renamings"].as_array().unwrap();
    let expected = [
        json!({"region": "diary", "into": "hall", "merged": true, "reason": "one room"}),
        json!({"region": "dairy", "into": "diary", "merged": false, "reason": "back"}),
        json!({"device_id": "esp32", "into": "t-20", "merged": false, "reason": "labelled"}),
        json!({"region": "diary", "into": "dairy", "merged": false, "reason": "a typo"}),
    ];
    assert_eq!(all.len(), expected.len(), "{list}");
    for (one, expected) in all.iter().zip(&expected) {
        check_fields(one, expected);
        check_fields(one, &json!({"by": null}));
    }
    // They are on the first page.
    let next = isotherm_it::next_page("/v1/corrections", list["next"].as_str().unwrap());
    let next = node.look_at(&next);
    assert!(next.get("renamings").is_none(), "{next}");
}

#[test]
fn a_correction_that_waits_says_what_stands() {
    let mut node = renamed();
    let answer = correct(&node, &correction("t-20", NOW, json!(85), json!(1)));
    let stands = json!({"state": "waiting", "stands_region": "dairy", "stands_c": 0.0});
    check_fields(&answer, &stands);
    let answer = correct(&node, &correction("t-20", NOW + 1, json!(85), json!(1)));
    check_fields(&answer, &json!({"state": "waiting", "stands_region": null, "stands_c": null}));
    let answer = correct(&node, &correction("t-20", NOW, json!(0), Value::Null));
    let withdrawn = json!({"state": "applied", "stands_region": "dairy", "stands_c": null});
    check_fields(&answer, &withdrawn);
    node.accept_and_wait(&json_reading("t-20", "dairy", 85, NOW + 1));
    let list = node.look_at("/v1/corrections");
    let states: Vec<&Value> =
        list["corrections"].as_array().unwrap().iter().map(|one| &one["stands_c"]).collect();
    assert_eq!(states, [&Value::Null, &Value::Null, &json!(1.0)]);
}
