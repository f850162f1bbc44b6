//! Changes to a table of devices, large ones and small ones, and what they cost.

use http::Method;
use isotherm::api::router;
use isotherm::http::{Header, Request, Response};
use serde_json::{Value, json};

use crate::support::assert::check_fields;
use crate::support::gzip::gzipped;
use crate::support::node::Node;
use crate::support::readings::NOW;

const TABLE: &str = "/v1/sources/attic/devices";

/// A node with a source that reads `{"id":…,"t":…,"at":…}`, and an array of such.
fn node() -> Node {
    let mut node = Node::quiet(&[("retention", "30d")]);
    let mapping = json!({
        "body": "json", "take": [{"value": "t", "unit": "C"}], "device": ["@id"],
        "time": {"at": "at", "as": "unix-ms"},
    });
    node.source("attic", &mapping);
    node
}

impl Node {
    /// One request to `inspect` with a compressed body.
    fn send_gzipped(&self, request: Request, body: &str) -> Response {
        let request = request.with(Header::ContentEncoding, "gzip");
        router::answer_with(&self.host, &request, &gzipped(body.as_bytes()), self.now).response
    }

    /// The keys of the table's parts: they have the number of the table.
    fn parts(&self) -> Vec<String> {
        let keys = self.key_value().keys().unwrap().into_iter();
        let mut parts: Vec<String> =
            keys.filter(|key| key.starts_with("source-devices/1/attic/")).collect();
        parts.sort();
        parts
    }

    /// Makes this row one of the table; returns how many there are.
    #[track_caller]
    fn adopted(&mut self, id: &str, device: &str) -> u64 {
        let row = json!({"id": id, "device": device, "region": "hall"}).to_string();
        let response = self.change(Method::POST, TABLE, &row);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.status, 200, "{body}");
        body["rows"].as_u64().unwrap()
    }

    /// What the table has of an id.
    fn row(&mut self, id: &str) -> Vec<String> {
        let table = self.read(TABLE);
        let rows = table["devices"].as_array().unwrap().iter().filter(|row| row["id"] == id);
        rows.map(|row| row["device"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_row_that_is_added_to_a_large_table_leaves_its_parts_as_they_are() {
    let mut node = node();
    let rows: String = (0..2_000).map(|n| format!("id-{n},d-{n},r\n")).collect();
    let put = node.change(Method::PUT, TABLE, &format!("id,device,region\n{rows}"));
    assert_eq!(put.status, 204);
    let parts = node.parts();
    assert_eq!(parts.len(), 8);
    assert_eq!(node.adopted("new", "new-1"), 2_001);
    // A row that is there already, in the head or in a part, and one with a glob.
    assert_eq!(node.adopted("new", "new-2"), 2_001);
    assert_eq!(node.adopted("id-7", "seven"), 2_001);
    assert_eq!(node.adopted("glob-*", "many"), 2_002);
    assert_eq!(node.parts(), parts);
    assert_eq!((node.row("new"), node.row("id-7")), (vec!["new-2".into()], vec!["seven".into()]));
    for id in ["new", "id-7", "glob-1", "id-8"] {
        node.message("attic", &json!({"id": id, "t": 4, "at": NOW - 1_000}).to_string());
    }
    let devices = node.read("/v1/devices")["devices"].clone();
    let names: Vec<&str> =
        devices.as_array().unwrap().iter().map(|d| d["device_id"].as_str().unwrap()).collect();
    assert_eq!(names, ["d-8", "many", "new-2", "seven"]);
    check_fields(&node.seen("attic"), &json!({"devices": 2_002, "kept": 4}));
}

#[test]
fn the_head_of_a_large_table_has_room_for_256_rows_and_then_the_table_is_written_anew() {
    let mut node = node();
    let rows: String = (0..300).map(|n| format!("id-{n},d-{n},r\n")).collect();
    node.change(Method::PUT, TABLE, &format!("id,device,region\n{rows}"));
    let parts = node.parts();
    for number in 0..256 {
        assert_eq!(node.adopted(&format!("new-{number}"), "new"), 301 + number);
    }
    assert_eq!(node.parts(), parts);
    assert_eq!(node.adopted("last", "new"), 557);
    let after = node.parts();
    assert!(after.len() == 3 && after.iter().all(|part| !parts.contains(part)), "{after:?}");
    assert_eq!(node.read(TABLE)["devices"].as_array().unwrap().len(), 557);
    assert_eq!(
        (node.row("id-299").len(), node.row("new-255").len(), node.row("last").len()),
        (1, 1, 1)
    );
}

#[test]
fn a_small_table_becomes_a_large_one_by_a_single_row() {
    let mut node = node();
    for number in 0..257 {
        assert_eq!(node.adopted(&format!("id-{number}"), "new"), number + 1);
        assert_eq!(node.parts().len(), if number < 256 { 0 } else { 2 }, "{number}");
    }
    assert_eq!(node.read(TABLE)["devices"].as_array().unwrap().len(), 257);
}

#[test]
fn a_table_and_a_message_to_be_tried_may_be_compressed() {
    let mut node = node();
    let put = |path| Request::with_method(Method::PUT, path).with(Header::ContentType, "text/csv");
    let csv = "id,device,region\na,one,hall\n";
    assert_eq!(node.send_gzipped(put(TABLE), csv).status, 204);
    assert_eq!(node.row("a"), ["one"]);
    let message = json!({"id": "a", "t": 4, "at": NOW}).to_string();
    let tried = node.send_gzipped(Request::post("/v1/sources/attic/try"), &message);
    let tried: Value = serde_json::from_slice(&tried.body).unwrap();
    assert_eq!(tried["readings"][0]["device_id"], "one", "{tried}");
    // A bomb, and another encoding.
    let bomb = " ".repeat(9 * 1024 * 1024);
    assert_eq!(node.send_gzipped(put(TABLE), &bomb).status, 413);
    assert_eq!(node.send_gzipped(Request::post("/v1/sources/attic/try"), &bomb).status, 413);
    let other = put(TABLE).with(Header::ContentEncoding, "br");
    let response = router::answer_with(&node.host, &other, csv.as_bytes(), node.now).response;
    assert_eq!(response.status, 415);
}

#[test]
fn ten_thousand_ids_and_256_globs_take_a_bounded_number_of_steps() {
    let mut node = node();
    let table = |glob: &dyn Fn(usize) -> String| {
        let rows: String = (0..256).map(|n| format!("{},d,r\n", glob(n))).collect();
        format!("id,device,region\n{rows}")
    };
    let messages: Vec<Value> =
        (0..10_000).map(|n| json!({"id": format!("id-{n}"), "t": 4, "at": NOW})).collect();
    let body = Value::from(messages).to_string();
    let send = |node: &mut Node, table: &str| {
        assert_eq!(node.change(Method::PUT, TABLE, table).status, 204);
        node.deliver(&Request::post("/v1/in/attic"), &body)
    };
    // Those that begin otherwise are no work.
    assert_eq!(send(&mut node, &table(&|n| format!("model-{n}.*"))).status, 204);
    // Each is searched in each id.
    let worst = table(&|n| format!("*{}x{n}*", "-".repeat(100)));
    let answer = send(&mut node, &worst);
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 400, "{text}");
    assert!(text.contains("too much work") || text.contains("steps"), "{text}");
    let refused = node.read("/v1/sources/attic/refused");
    assert_eq!(refused["refused"][0]["reason"], "unreadable");
    // In SenML, too.
    node.change(Method::PUT, "/v1/sources/senml/devices", &worst);
    let pack: Vec<Value> =
        (0..10_000).map(|n| json!({"n": format!("id-{n}"), "u": "Cel", "v": 4})).collect();
    let request = Request::post("/v1/readings").with(Header::ContentType, "application/senml+json");
    let answer = node.deliver(&request, &Value::from(pack).to_string());
    assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&answer.body));
}

#[test]
fn two_ids_that_look_alike_are_two_devices_in_whatever_messages_they_come() {
    let mut node = Node::quiet(&[]);
    let mapping = json!({
        "body": "json", "take": [{"value": "t", "unit": "C"}], "device": ["@id"],
        "region": ["@room"], "time": {"at": "at", "as": "unix-ms"},
    });
    node.source("attic", &mapping);
    for id in ["a-b", "a b", "a/b"] {
        let message = json!({"id": id, "room": "cold store", "t": 4, "at": NOW}).to_string();
        node.message("attic", &message);
    }
    let region = node.read("/v1/regions/cold-store");
    check_fields(&region, &json!({"count": 3, "devices": 3, "conflicts": 0, "duplicates": 0}));
    // A row gives one of them a name of its own, also if it is too long to be one.
    let long = "topic/".repeat(20);
    node.adopted(&long, "short");
    let message = json!({"id": long, "room": "cold store", "t": 5, "at": NOW}).to_string();
    node.message("attic", &message);
    check_fields(&node.read("/v1/regions/hall"), &json!({"count": 1, "average_c": 5.0}));
    // What is no UTF-8 can't be told apart.
    node.source(
        "q",
        &json!({"body": "query", "take": [{"value": "t", "unit": "C"}],
        "device": ["?id"], "time": {"missing": "received"}}),
    );
    for id in ["K%FChl", "K%F6hl"] {
        let request = Request::get(&format!("/v1/in/q?t=3&id={id}"));
        assert_eq!(node.deliver(&request, "").status, 204);
    }
    check_fields(
        &node.seen("q"),
        &json!({"unknown_devices": 0, "refused": {"invalid_device_id": 2}}),
    );
    let longer = json!({"id": "x".repeat(129), "room": "r", "t": 5, "at": NOW}).to_string();
    node.message("attic", &longer);
    let refused = node.read("/v1/sources/attic/refused");
    assert_eq!(refused["refused"][0]["reason"], "invalid_device_id");
}

#[test]
fn a_compressed_message_is_read_and_one_that_can_not_be_inflated_is_seen() {
    let mut node = node();
    let message = json!({"id": "a", "t": 4, "at": NOW - 1_000}).to_string();
    node.adopted("a", "one");
    let request =
        Request::post("/v1/in/attic?precision=high").with(Header::ContentEncoding, "gzip");
    let compressed = gzipped(message.as_bytes());
    assert_eq!(node.deliver_bytes(&request, &compressed).status, 204);
    assert_eq!(node.seen("attic")["kept"], 1);
    for (bytes, status, part) in [
        (&compressed[..compressed.len() - 5], 400, "cut off"),
        (b"not gzip".as_slice(), 400, "not valid gzip"),
        (&gzipped(&vec![b' '; 2_000_000]), 413, "bytes"),
    ] {
        let answer = node.deliver_bytes(&request, bytes);
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
        let refused = node.read("/v1/sources/attic/refused")["refused"][0].clone();
        assert_eq!(refused["reason"], "unreadable");
        assert!(refused["detail"].as_str().unwrap().contains(part), "{refused}");
        assert_eq!(refused["query"], "precision=high");
    }
    assert_eq!(node.seen("attic")["refused"], json!({"unreadable": 3}));
}

#[test]
fn a_refused_message_is_kept_with_its_query() {
    let mut node = node();
    let request = Request::post("/v1/in/attic?room=cellar&token=secret");
    node.deliver(&request, "{\"id\":\"a\"");
    let refused = node.read("/v1/sources/attic/refused");
    let expected = json!({"query": "room=cellar&token=…", "body": "{\"id\":\"a\""});
    check_fields(&refused["refused"][0], &expected);
}
